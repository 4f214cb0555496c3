//! Removal of expired records in the background: in rounds that end when their time is up and go on
//! where the last one stopped, by one process of the server at a time.
//!
//! Whether a session is over is judged when it is loaded; here only the room that it takes is freed.
//! Who calls, and from which thread, is not known here.

mod board;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

pub use self::board::{Board, Shared, Stats, WORDS};
use crate::core::clock::{Clock, Time};
use crate::core::lock::host::Owners;
use crate::core::session::id::Random;
use crate::core::store::{Position, Purged, Stale, Store, StoreError};

/// How long a process that lives may be at one round, beyond its time limit, before another one begins
/// the next. Two at once do no harm: each record is judged under its mutex.
const STUCK: Duration = Duration::from_secs(600);

/// When and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// From the end of a round to the next (`SessionCleanupInterval`).
    pub interval: Duration,
    /// Longest time of a round (`SessionCleanupTimeLimit`).
    pub limit: Duration,
    /// How long after its end a record stays (`SessionCleanupGrace`).
    pub grace: Duration,
}

/// The cleanup as one process sees it.
pub struct Cleaner<M, P, C> {
    /// What all processes know.
    pub board: Board<M>,
    processes: P,
    clock: C,
    /// None: nothing is removed in the background.
    settings: Option<Settings>,
}

/// The right to do the round that is due. Others may have the next one when this is dropped.
#[must_use = "others have to wait while it is kept"]
pub struct Turn<'c, M: Shared, P: Owners, C: Clock> {
    cleaner: &'c Cleaner<M, P, C>,
    settings: Settings,
}

/// What a round did.
#[derive(Debug)]
pub struct Round {
    /// What the store says of it.
    pub outcome: Result<Purged, StoreError>,
    /// How long it took.
    pub took: Duration,
}

impl<M: Shared, P: Owners, C: Clock> Cleaner<M, P, C> {
    /// With words that all processes share.
    pub fn new(words: M, processes: P, clock: C, settings: Option<Settings>) -> Cleaner<M, P, C> {
        Cleaner { board: Board(words), processes, clock, settings }
    }

    /// Whether a round is due. Costs a look at the clock.
    pub fn is_due(&self) -> bool {
        self.settings.is_some() && self.board.is_due(self.clock.monotonic())
    }

    /// The right to do the round that is due, if one is and nobody else is at it.
    pub fn turn(&self) -> Option<Turn<'_, M, P, C>> {
        let settings = self.settings.filter(|_| self.is_due())?;
        let now = self.clock.monotonic();
        let before = self.board.owner();
        if let Some((owner, since)) = before {
            let stuck = now.since(since) > settings.limit + STUCK;
            if self.processes.alive(owner) && !stuck {
                return None;
            }
        }
        if !self.board.take(before.map(|(owner, _)| owner), self.processes.me(), now) {
            return None;
        }
        // At once, so that nobody asks who is at it, and should this process be killed.
        self.board.set_due(now.after(settings.limit + settings.interval));
        Some(Turn { cleaner: self, settings })
    }
}

impl<M: Shared, P: Owners, C: Clock> Turn<'_, M, P, C> {
    /// Does the round, until its time is up or `stop` says so.
    pub fn round(self, store: &dyn Store, random: &dyn Random, stop: &dyn Fn() -> bool) -> Round {
        let Cleaner { board, clock, .. } = self.cleaner;
        let (start, from) = (clock.monotonic(), board.position());
        let until = start.after(self.settings.limit);
        let stale = Stale::EndedBefore(before(clock.now(), self.settings.grace));
        let mut go_on = || !stop() && clock.monotonic() < until;
        let outcome = store.purge(stale, &from, &mut go_on);
        let took = clock.monotonic().since(start);
        let end = (clock.now(), took);
        match &outcome {
            Ok(purged) => board.record(&from, purged, end),
            Err(_) => board.record_failure(&anywhere(random), end),
        }
        Round { outcome, took }
    }
}

impl<M: Shared, P: Owners, C: Clock> Drop for Turn<'_, M, P, C> {
    fn drop(&mut self) {
        let Cleaner { board, clock, processes, .. } = self.cleaner;
        board.end_turn(processes.me(), clock.monotonic().after(self.settings.interval));
    }
}

fn is_odd(purged: &Purged) -> bool {
    purged.corrupt > 0 || purged.failed > 0
}

fn before(now: Time, span: Duration) -> Time {
    Time(now.0.saturating_sub(u64::try_from(span.as_micros()).unwrap_or(u64::MAX)))
}

/// Somewhere among the records; without randomness at their start.
fn anywhere(random: &dyn Random) -> Position {
    let mut bytes = [0; 32];
    random.fill(&mut bytes).map_or_else(|_| Position::default(), |()| Position::new(&bytes))
}

impl Round {
    /// Whether it is worth a line in the log of an administrator who does not ask for every step.
    pub fn did_something(&self) -> bool {
        self.outcome.as_ref().map_or(true, |purged| purged.removed > 0 || is_odd(purged))
    }

    /// Whether an administrator should look.
    pub fn is_trouble(&self) -> bool {
        self.outcome.as_ref().map_or(true, is_odd)
    }
}

/// The line for the log.
impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let took = self.took.as_millis();
        let purged = match &self.outcome {
            Ok(purged) => purged,
            Err(cause) => return write!(f, "cleanup failed after {took} ms: {cause}"),
        };
        let Purged { seen, removed, corrupt, failed, next } = purged;
        write!(f, "cleanup removed {removed} of {seen} records in {took} ms")?;
        if *corrupt > 0 {
            write!(f, "; {corrupt} damaged ones were moved aside or removed")?;
        }
        if *failed > 0 {
            write!(f, "; {failed} could not be read or removed")?;
        }
        f.write_str(if next.is_some() { "; more in the next round" } else { "" })
    }
}
