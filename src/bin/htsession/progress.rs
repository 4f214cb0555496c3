//! How far a long walk is, on a terminal.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// How long a walk may take before anything is shown, and how often it is shown anew.
const PAUSE: Duration = Duration::from_millis(250);

/// A count of records on standard error, if that is a terminal. Gone when dropped.
pub struct Progress {
    is_terminal: bool,
    count: u64,
    shown: Instant,
    dirty: bool,
}

impl Progress {
    /// One that has seen nothing.
    pub fn new() -> Progress {
        let is_terminal = std::io::stderr().is_terminal();
        Progress { is_terminal, count: 0, shown: Instant::now(), dirty: false }
    }

    /// One record more.
    pub fn step(&mut self) {
        self.count += 1;
        // A look at the clock for each record would cost as much as some stores do.
        if self.is_terminal && self.count.is_multiple_of(64) && self.shown.elapsed() >= PAUSE {
            self.shown = Instant::now();
            self.show(&format!("\r{} records", self.count));
        }
    }

    fn show(&mut self, text: &str) {
        self.dirty = true;
        let mut err = std::io::stderr().lock();
        // Nobody misses it.
        let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.dirty {
            self.show("\r\x1b[K");
        }
    }
}
