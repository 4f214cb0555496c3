//! What dead processes left behind.

use std::time::Duration;

use super::Table;
use super::layout::{Head, State};
use crate::core::clock::{Clock, Monotonic};
use crate::core::lock::SlotMutexes;
use crate::core::lock::host::{NOBODY, Owner, Owners, Parking, Words};

/// A table that stays full, or waiters that stay too many, are not swept more often: it looks at
/// every entry and asks the system about every owner.
pub(super) const SWEEP_EVERY: Duration = Duration::from_millis(250);

impl<M, O, C, S> Table<M, O, C, S>
where
    M: Words + Parking,
    O: Owners,
    C: Clock,
    S: SlotMutexes,
{
    /// Sweeps unless any process did a moment ago; whether it did.
    pub(super) fn sweep_if_due(&self) -> bool {
        let now = self.clock.monotonic();
        let last = self.cells.head(Head::Swept);
        if last != 0 && now.since(Monotonic(last)) < SWEEP_EVERY {
            return false;
        }
        self.cells.set_head(Head::Swept, now.0.max(1));
        self.sweep();
        true
    }

    /// Ends the leases, the waiting and the errands of dead processes. One mutex at a time; a slot
    /// whose mutex cannot be had is left for the next sweep.
    pub fn sweep(&self) {
        let all = 0..self.cells.layout.entries();
        let owners = all
            .clone()
            .filter(|&entry| self.cells.meta(entry).state != State::Free)
            .map(|entry| self.cells.owner(entry))
            .collect();
        let dead = self.dead_among(owners);
        if dead.is_empty() {
            return;
        }
        for entry in all {
            let meta = self.cells.meta(entry);
            let known = meta.slot < self.cells.layout.slots();
            if known && meta.is_listed() && dead.contains(&self.cells.owner(entry)) {
                let _ = self.within(meta.slot, |slot| slot.bury_entry(entry, &dead));
            }
        }
        let _ = self.reclaim(&dead);
    }

    /// Those of the owners that are gone, each once. Reads the process table: not under a mutex.
    pub(super) fn dead_among(&self, mut owners: Vec<Owner>) -> Vec<Owner> {
        owners.sort_unstable_by_key(|owner| (owner.pid, owner.start));
        owners.dedup();
        let me = self.owners.me();
        owners
            .retain(|&owner| owner.pid == NOBODY.pid || (owner != me && !self.owners.alive(owner)));
        owners
    }
}
