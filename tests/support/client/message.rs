//! Requests and responses.

use std::time::Duration;

use super::jar::Jar;

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
    close: bool,
}

impl Request {
    /// A GET of `target`, a path with its query.
    pub fn get(target: &str) -> Request {
        Request::new("GET", target)
    }

    /// Any method.
    pub fn new(method: &str, target: &str) -> Request {
        Request {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: None,
            close: false,
        }
    }

    /// Adds a header. A `Cookie` here goes instead of the visitor's jar; a `Host` instead of its
    /// host.
    pub fn header(mut self, name: &str, value: &str) -> Request {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Gives it a body and its length.
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Request {
        self.body = Some(body.as_ref().to_vec());
        self
    }

    /// Announces a body of `length` bytes that the test sends itself, by [`super::Wire::send`].
    pub fn body_follows(self, length: usize) -> Request {
        self.header("Content-Length", &length.to_string())
    }

    /// Asks the server to close the connection.
    pub fn close(mut self) -> Request {
        self.close = true;
        self
    }

    /// Its method.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Path and query.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// What goes over the wire.
    pub(super) fn bytes(&self, host: &str, jar: &Jar) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        let mut add = |name: &str, value: &str| head.push_str(&format!("{name}: {value}\r\n"));
        if !self.has("Host") {
            add("Host", host);
        }
        if let (false, Some(cookies)) = (self.has("Cookie"), jar.header()) {
            add("Cookie", &cookies);
        }
        if self.close {
            add("Connection", "close");
        }
        if let Some(body) = &self.body {
            add("Content-Length", &body.len().to_string());
        }
        for (name, value) in &self.headers {
            add(name, value);
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend(self.body.iter().flatten());
        bytes
    }

    fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// Its status.
    pub status: u16,
    /// Its headers, in order and as spelled.
    pub headers: Vec<(String, String)>,
    /// Its body, decoded.
    pub body: Vec<u8>,
    /// From the first byte asked to the last answered.
    pub took: Duration,
}

impl Response {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The first header called `name`.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers_all(name).first().copied()
    }

    /// Every header called `name`.
    pub fn headers_all(&self, name: &str) -> Vec<&str> {
        let same = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        same.map(|(_, value)| value.as_str()).collect()
    }

    /// Every `Set-Cookie`, as sent.
    pub fn set_cookies(&self) -> Vec<&str> {
        self.headers_all("Set-Cookie")
    }

    /// Fails the test if the status is another one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Response {
        assert_eq!(self.status, status, "{:#?}\n{}", self.headers, self.text());
        self
    }

    /// Whether the connection may be used again.
    pub(super) fn keeps_alive(&self) -> bool {
        let says_close = |value: &str| value.eq_ignore_ascii_case("close");
        let framed = self.has_length() || [204, 304].contains(&self.status);
        framed && !self.headers_all("Connection").into_iter().any(says_close)
    }

    /// Whether the transfer encoding is chunked.
    pub(super) fn is_chunked(&self) -> bool {
        self.header("Transfer-Encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"))
    }

    /// Announced length of the body.
    pub(super) fn length(&self) -> Option<u64> {
        self.header("Content-Length")?.parse().ok()
    }

    fn has_length(&self) -> bool {
        self.is_chunked() || self.length().is_some()
    }
}
