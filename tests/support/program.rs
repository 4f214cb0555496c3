//! A program beside httpd: a backend of its own. It ends with the test.

use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use super::orphans::{self, Leftover};
use super::ports::Port;
use super::wait::wait_for;

const PATIENCE: Duration = Duration::from_secs(20);

/// A running program that listens on a port of 127.0.0.1.
pub struct Program {
    child: Child,
    port: Port,
}

impl Program {
    /// Starts what `command` makes of the port and waits until it takes connections.
    #[track_caller]
    pub fn start(what: &str, command: impl FnOnce(u16) -> Command) -> Program {
        let port = Port::reserve();
        let mut command = command(port.number());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0).spawn();
        let child = child.unwrap_or_else(|cause| panic!("starting {what}: {cause}"));
        orphans::remember(&Leftover::Group(child.id()));
        let program = Program { child, port };
        let address = (Ipv4Addr::LOCALHOST, program.port());
        wait_for(what, PATIENCE, || TcpStream::connect(address).ok());
        program
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port.number()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        // Its leader was not waited for yet: the number is still its own.
        if let Some(group) = group {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
        orphans::forget(&Leftover::Group(self.child.id()));
    }
}
