//! Ports that no other test of this machine uses at the same time.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

use rustix::fs::{FlockOperation, flock};

/// Below the range from which the system picks ports of outgoing connections.
const RANGE: Range<u16> = 21_000..31_000;

/// A port of 127.0.0.1 that is ours until this is dropped, also when this process is killed: what
/// reserves it is a lock on a file.
pub struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// Reserves a port that is neither reserved nor listened on. Each run begins its search elsewhere:
    /// runs of other users, or with another `TMPDIR`, do not see its locks.
    pub fn reserve() -> Port {
        let count = RANGE.len();
        let first = std::process::id() as usize * 97 % count;
        let ports = RANGE.cycle().skip(first).take(count);
        ports.filter_map(Port::try_reserve).next().expect("every port of the test range is taken")
    }

    fn try_reserve(number: u16) -> Option<Port> {
        let user = rustix::process::geteuid().as_raw();
        let folder = std::env::temp_dir().join(format!("session_store-ports-{user}"));
        fs::create_dir_all(&folder).expect("making the folder of port locks");
        let lock = File::create(folder.join(number.to_string())).expect("opening a port lock");
        flock(&lock, FlockOperation::NonBlockingLockExclusive).ok()?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
        Some(Port { number, _lock: lock })
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }
}
