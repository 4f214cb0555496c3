//! A memcached of a test's own, on a port of its own; it ends with the test.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::layout::{SERVER_USER, is_root};
use super::orphans::{self, Leftover};
use super::ports::Port;
use super::wait::wait_for;

/// A running memcached.
pub struct Memcached {
    child: Child,
    port: Port,
}

impl Memcached {
    /// Starts one and waits until it answers.
    #[track_caller]
    pub fn start() -> Memcached {
        let port = Port::reserve();
        Memcached { child: launch(port.number()), port }
    }

    /// Its address, as `SessionStore socache:memcache:` takes it.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port.number())
    }

    /// Ends it at once; what it kept is gone.
    pub fn kill(&mut self) {
        self.child.kill().expect("killing memcached");
        self.child.wait().expect("waiting for memcached");
        orphans::forget(&Leftover::Group(self.child.id()));
    }

    /// Starts it again where it was, empty.
    #[track_caller]
    pub fn start_again(&mut self) {
        self.child = launch(self.port.number());
    }
}

impl Drop for Memcached {
    fn drop(&mut self) {
        // It may have been killed before.
        let _ = self.child.kill();
        let _ = self.child.wait();
        orphans::forget(&Leftover::Group(self.child.id()));
    }
}

#[track_caller]
fn launch(port: u16) -> Child {
    let mut command = Command::new("memcached");
    command.args(["-l", "127.0.0.1", "-U", "0", "-t", "2", "-p"]).arg(port.to_string());
    if is_root() {
        command.args(["-u", SERVER_USER]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    let child = command.spawn().expect("starting memcached (make deps installs it)");
    orphans::remember(&Leftover::Group(child.id()));
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    wait_for("memcached to answer", Duration::from_secs(20), || TcpStream::connect(address).ok());
    child
}
