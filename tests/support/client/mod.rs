//! A small HTTP/1.1 visitor: one connection at a time, one cookie jar, no dependency.

mod jar;
mod message;
mod wire;

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub use self::jar::Jar;
pub use self::message::{Request, Response};
pub use self::wire::Wire;

/// A visitor. A clone has the same cookies and its own connection.
#[derive(Debug)]
pub struct Client {
    /// Cookies, sent with every request that brings none of its own.
    pub jar: Jar,
    address: SocketAddr,
    host: String,
    timeout: Duration,
    wire: Option<Wire>,
}

impl Clone for Client {
    fn clone(&self) -> Client {
        Client { jar: self.jar.clone(), host: self.host.clone(), wire: None, ..*self }
    }
}

impl Client {
    /// A visitor without cookies.
    pub fn new(address: SocketAddr) -> Client {
        let host = format!("localhost:{}", address.port());
        Client { jar: Jar::default(), address, host, timeout: Duration::from_secs(30), wire: None }
    }

    /// The `Host` it asks for; `localhost:PORT` if not said.
    pub fn host(mut self, host: &str) -> Client {
        host.clone_into(&mut self.host);
        self
    }

    /// Longest silence it bears; 30 s if not said.
    pub fn timeout(mut self, timeout: Duration) -> Client {
        self.timeout = timeout;
        self
    }

    /// Gets `path`.
    #[track_caller]
    pub fn get(&mut self, path: &str) -> Response {
        self.send(&Request::get(path))
    }

    /// Posts `body` to `path` as a form.
    #[track_caller]
    pub fn post(&mut self, path: &str, body: &str) -> Response {
        let form = "application/x-www-form-urlencoded";
        self.send(&Request::new("POST", path).header("Content-Type", form).body(body))
    }

    /// Sends a request and reads the whole answer; fails the test if none comes.
    #[track_caller]
    pub fn send(&mut self, request: &Request) -> Response {
        match self.try_send(request) {
            Ok(response) => response,
            Err(cause) => panic!("{} {}: {cause}", request.method(), request.target()),
        }
    }

    /// Sends a request and reads the whole answer. Tries a new connection if a kept one turns out
    /// to be closed.
    pub fn try_send(&mut self, request: &Request) -> io::Result<Response> {
        let start = Instant::now();
        if let Some(wire) = self.wire.take() {
            match self.exchange(wire, request, start) {
                Err(cause) if was_closed(&cause) => {}
                result => return result,
            }
        }
        let wire = self.connect()?;
        self.exchange(wire, request, start)
    }

    /// Sends head and body of a request on a new connection and hands the connection over.
    #[track_caller]
    pub fn open(&mut self, request: &Request) -> Wire {
        self.open_with(request, |_| {})
    }

    /// As [`Client::open`], with little room for what was not read yet: the server soon has to wait
    /// for a slow reader.
    #[track_caller]
    pub fn open_narrow(&mut self, request: &Request) -> Wire {
        self.open_with(request, Wire::narrow)
    }

    #[track_caller]
    fn open_with(&mut self, request: &Request, prepare: impl FnOnce(&Wire)) -> Wire {
        let mut wire = self.connect().expect("connecting");
        prepare(&wire);
        wire.send(&request.bytes(&self.host, &self.jar));
        wire
    }

    /// A connection on which nothing was sent yet.
    pub fn connect(&self) -> io::Result<Wire> {
        Wire::connect(self.address, self.timeout)
    }

    fn exchange(
        &mut self,
        mut wire: Wire,
        request: &Request,
        start: Instant,
    ) -> io::Result<Response> {
        wire.try_send(&request.bytes(&self.host, &self.jar))?;
        let mut response = wire.response(request.method())?;
        response.took = start.elapsed();
        self.jar.learn(&response);
        if response.keeps_alive() {
            self.wire = Some(wire);
        }
        Ok(response)
    }
}

fn was_closed(cause: &io::Error) -> bool {
    let closed = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset, ErrorKind::ConnectionAborted];
    closed.contains(&cause.kind()) || wire::is_silent_close(cause)
}
