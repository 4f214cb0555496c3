//! One connection, byte by byte if need be: slow readers, slow uploads, visitors who leave.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use super::message::Response;

/// A connection to the server.
#[derive(Debug)]
pub struct Wire {
    stream: BufReader<TcpStream>,
}

impl Wire {
    pub(super) fn connect(address: SocketAddr, timeout: Duration) -> io::Result<Wire> {
        let stream = TcpStream::connect_timeout(&address, timeout)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        stream.set_nodelay(true)?;
        Ok(Wire { stream: BufReader::new(stream) })
    }

    /// The connection itself.
    pub fn stream(&self) -> &TcpStream {
        self.stream.get_ref()
    }

    /// Sends bytes: a part of a body, say.
    #[track_caller]
    pub fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).expect("sending");
    }

    /// Sends bytes.
    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Says that nothing more will be sent.
    pub fn end_of_request(&self) {
        // Fails only if the server closed first, which is the same end.
        let _ = self.stream().shutdown(Shutdown::Write);
    }

    /// Reads exactly `count` bytes as they come, head included.
    #[track_caller]
    pub fn read(&mut self, count: usize) -> Vec<u8> {
        self.try_read(count).expect("reading from the server")
    }

    /// Reads exactly `count` bytes as they come.
    pub fn try_read(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Whether a byte, or the end, comes within `patience`. Nothing is taken.
    pub fn stirs(&mut self, patience: Duration) -> bool {
        let usual = self.stream().read_timeout().ok().flatten();
        let limited = self.stream().set_read_timeout(Some(patience));
        limited.expect("setting a timeout");
        let stirred = self.stream.fill_buf().is_ok();
        self.stream().set_read_timeout(usual).expect("setting a timeout");
        stirred
    }

    /// Reads status and headers; interim answers (1xx but 101) are skipped.
    pub fn head(&mut self) -> io::Result<Response> {
        loop {
            let response = self.any_head()?;
            if response.status >= 200 || response.status == 101 {
                return Ok(response);
            }
        }
    }

    /// Reads the whole answer to a request of `method`.
    pub fn response(&mut self, method: &str) -> io::Result<Response> {
        let start = Instant::now();
        let mut response = self.head()?;
        if method != "HEAD" && ![101, 204, 304].contains(&response.status) {
            response.body = self.body(&response)?;
        }
        response.took = start.elapsed();
        Ok(response)
    }

    /// Reads the body that belongs to a head.
    pub fn body(&mut self, head: &Response) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if head.is_chunked() {
            while self.chunk(&mut body)? {}
        } else if let Some(length) = head.length() {
            let got = self.stream.by_ref().take(length).read_to_end(&mut body)?;
            if got as u64 != length {
                return Err(bad(format!("the body ended after {got} of {length} bytes")));
            }
        } else {
            self.stream.read_to_end(&mut body)?;
        }
        Ok(body)
    }

    /// Reads a chunk; false if it was the last one.
    pub fn chunk(&mut self, body: &mut Vec<u8>) -> io::Result<bool> {
        let line = self.line()?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        let size =
            u64::from_str_radix(digits, 16).map_err(|_| bad(format!("chunk size {line:?}")))?;
        if size == 0 {
            while !self.line()?.is_empty() {}
            return Ok(false);
        }
        let before = body.len();
        self.stream.by_ref().take(size).read_to_end(body)?;
        if (body.len() - before) as u64 != size || !self.line()?.is_empty() {
            return Err(bad("a chunk was cut short".to_owned()));
        }
        Ok(true)
    }

    /// Leaves: the server gets a reset instead of an end.
    pub fn abort(self) {
        let linger = libc::linger { l_onoff: 1, l_linger: 0 };
        set_option(self.stream(), libc::SO_LINGER, &linger);
    }

    /// Leaves room for a few kilobytes of what the server sends.
    pub(super) fn narrow(&self) {
        set_option(self.stream(), libc::SO_RCVBUF, &4096_i32);
    }

    fn any_head(&mut self) -> io::Result<Response> {
        let status = self.line()?;
        let number = status.split(' ').nth(1).and_then(|word| word.parse().ok());
        let number = number.ok_or_else(|| bad(format!("status line {status:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(Response {
                    status: number,
                    headers,
                    body: Vec::new(),
                    took: Duration::ZERO,
                });
            }
            let (name, value) =
                line.split_once(':').ok_or_else(|| bad(format!("header {line:?}")))?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    /// A line without its end.
    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Err(io::Error::new(ErrorKind::UnexpectedEof, SILENT));
        }
        let line = String::from_utf8_lossy(&line);
        let line = line.strip_suffix("\r\n").ok_or_else(|| bad(format!("line {line:?}")))?;
        Ok(line.to_owned())
    }
}

const SILENT: &str = "the server closed the connection";

/// Whether the connection ended where a line should have begun.
pub(super) fn is_silent_close(cause: &io::Error) -> bool {
    cause.kind() == ErrorKind::UnexpectedEof && cause.to_string() == SILENT
}

fn bad(what: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

fn set_option<T>(stream: &TcpStream, option: libc::c_int, value: &T) {
    let size = libc::socklen_t::try_from(size_of::<T>()).expect("a small option");
    let pointer = std::ptr::from_ref(value).cast();
    // SAFETY: the descriptor is open as long as `stream`; the option is read during the call, from
    // a value of the size given.
    let done =
        unsafe { libc::setsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, option, pointer, size) };
    assert_eq!(done, 0, "setting a socket option: {}", io::Error::last_os_error());
}
