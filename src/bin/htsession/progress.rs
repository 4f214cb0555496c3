//! How far a long walk is, on a terminal.

use std::io::{IsTerminal, Stderr, Write};
use std::time::{Duration, Instant};

/// How long a walk may take before anything is shown, and how often it is shown anew.
const PAUSE: Duration = Duration::from_millis(250);
/// A look at the clock for each record would cost as much as some stores do.
const RECORDS: u64 = 64;

/// A count of records on a terminal. Gone when dropped.
pub struct Progress<W: Write> {
    /// None: it is no terminal.
    terminal: Option<W>,
    pause: Duration,
    count: u64,
    shown: Instant,
    dirty: bool,
}

impl Progress<Stderr> {
    /// On standard error, if that is a terminal.
    pub fn new() -> Progress<Stderr> {
        Progress::beside(false)
    }

    /// Likewise, while rows are printed: not if they go to a terminal, which is the same one but for rare
    /// cases, and where the two would be written into each other.
    pub fn beside_rows() -> Progress<Stderr> {
        Progress::beside(std::io::stdout().is_terminal())
    }

    fn beside(rows: bool) -> Progress<Stderr> {
        let err = std::io::stderr();
        let is_terminal = err.is_terminal();
        Progress::on(shown_on(err, is_terminal, rows), PAUSE)
    }
}

/// Where a count is shown, if it is; `rows` go to a terminal as well.
fn shown_on<W>(err: W, is_terminal: bool, rows: bool) -> Option<W> {
    (is_terminal && !rows).then_some(err)
}

impl<W: Write> Progress<W> {
    fn on(terminal: Option<W>, pause: Duration) -> Progress<W> {
        Progress { terminal, pause, count: 0, shown: Instant::now(), dirty: false }
    }

    /// One record more.
    pub fn step(&mut self) {
        self.count += 1;
        let is_due = self.terminal.is_some() && self.count.is_multiple_of(RECORDS);
        if is_due && self.shown.elapsed() >= self.pause {
            self.shown = Instant::now();
            self.show(&format!("\r{} records", self.count));
        }
    }

    fn show(&mut self, text: &str) {
        let Some(terminal) = &mut self.terminal else { return };
        self.dirty = true;
        // Nobody misses it.
        let _ = terminal.write_all(text.as_bytes()).and_then(|()| terminal.flush());
    }
}

impl<W: Write> Drop for Progress<W> {
    fn drop(&mut self) {
        if self.dirty {
            self.show("\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(records: u64, pause: Duration) -> String {
        let mut bytes = Vec::new();
        let mut progress = Progress::on(Some(&mut bytes), pause);
        (0..records).for_each(|_| progress.step());
        drop(progress);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_long_walk_is_counted_and_the_count_wiped_at_its_end() {
        assert_eq!(shown(130, Duration::ZERO), "\r64 records\r128 records\r\x1b[K");
    }

    #[test]
    fn rows_on_a_terminal_are_not_garbled_by_a_count() {
        assert_eq!(shown_on((), true, true), None);
        assert_eq!(shown_on((), true, false), Some(()));
        assert_eq!(shown_on((), false, false), None);
    }

    #[test]
    fn a_short_walk_shows_nothing() {
        assert_eq!(shown(RECORDS - 1, Duration::ZERO), "");
        assert_eq!(shown(10_000, Duration::from_secs(3600)), "");
    }
}
