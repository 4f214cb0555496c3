//! How long a session still lives.

use std::time::Duration;

use super::state::{Base, Session};
use crate::core::clock::Clock;

impl Session {
    /// How long it lives from now on if nobody comes again, this visit counted where it is to be
    /// recorded; none if it was not found.
    pub fn idle_left(&self, clock: &dyn Clock) -> Option<Duration> {
        let (stored, now) = (&self.found()?.record, clock.now());
        let visited = match self.rules.touch_due(stored.accessed, stored.timeout, now) {
            true => now,
            false => stored.accessed,
        };
        let left = visited.after(self.timeout()).since(now);
        Some(self.age_left(clock).map_or(left, |age| left.min(age)))
    }

    /// How long it lives at most from now on; none if it was not found, or without an end
    /// (`SessionMaxLifetime 0`).
    pub fn age_left(&self, clock: &dyn Clock) -> Option<Duration> {
        let most = self.rules.place.max_lifetime()?;
        Some(self.found()?.record.created.after(most).since(clock.now()))
    }

    fn found(&self) -> Option<&Base> {
        self.base.as_ref().filter(|_| !self.fresh)
    }
}
