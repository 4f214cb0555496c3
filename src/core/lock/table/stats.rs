//! What the table tells about itself, read without any mutex.

use super::Table;
use super::layout::{BUCKETS, Count, Part, State};
use super::wait::waiting_in_all;
use crate::core::clock::{Clock, Monotonic};
use crate::core::lock::SlotMutexes;
use crate::core::lock::host::{Owners, Parking, Words};

/// Counts since the table was made; numbers of one moment only roughly.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Leases given, at once or after a wait.
    pub leases: u64,
    /// Leases held now.
    pub held: u64,
    /// Requests waiting now.
    pub waiting: u64,
    /// Leases that were waited for, by the length of the wait: the element `n` counts those of
    /// 2^(n-1) up to 2^n µs, the last also longer ones.
    pub waits: [u64; BUCKETS],
    /// Waits that ended without the lease, those of no length too.
    pub timeouts: u64,
    /// Requests that were refused because too many waited.
    pub too_many_waiters: u64,
    /// Requests that were refused because the table was full.
    pub table_full: u64,
    /// Leases taken from dead processes.
    pub from_dead: u64,
    /// Leases taken from live requests that held them too long.
    pub from_overdue: u64,
    /// Lists rebuilt after a process was killed while it changed them.
    pub rebuilt: u64,
    /// Commits that found what others had changed and merged with it, as `Leases::count` was told.
    pub merged: u64,
    /// Requests whose changes were dropped because the session was ended meanwhile, likewise.
    pub dropped: u64,
    /// Requests whose changes could not be stored when their answers were on their way, likewise.
    pub lost: u64,
    /// Ids that were refused because they had been replaced, as `Leases::count` was told. Once the
    /// cleanup has removed the last trace of such an id it is as unknown as any other.
    pub old_ids: u64,
    /// Leases and waits that were given up without their slot's mutex, because it could not be had.
    pub disowned: u64,
}

/// A lease that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// The first half of the store key; not for logs.
    pub key: [u8; 16],
    /// Since when.
    pub since: Monotonic,
    /// By which process.
    pub pid: u32,
}

impl<M, O, C, S> Table<M, O, C, S>
where
    M: Words + Parking,
    O: Owners,
    C: Clock,
    S: SlotMutexes,
{
    /// The counts.
    pub fn statistics(&self) -> Statistics {
        let cells = &self.cells;
        let taken = |slot| cells.part(slot, Part::Taken);
        let held = |&entry: &u32| cells.meta(entry).state == State::Held;
        Statistics {
            leases: (0..cells.layout.slots()).map(taken).sum(),
            held: (0..cells.layout.entries()).filter(held).count() as u64,
            waiting: waiting_in_all(cells),
            waits: cells.waits(),
            timeouts: cells.counted(Count::Timeouts),
            too_many_waiters: cells.counted(Count::TooManyWaiters),
            table_full: cells.counted(Count::TableFull),
            from_dead: cells.counted(Count::FromDead),
            from_overdue: cells.counted(Count::FromOverdue),
            rebuilt: cells.counted(Count::Rebuilt),
            merged: cells.counted(Count::Merged),
            dropped: cells.counted(Count::Dropped),
            lost: cells.counted(Count::Lost),
            old_ids: cells.counted(Count::OldIds),
            disowned: cells.counted(Count::Disowned),
        }
    }

    /// The leases held now, at most `most`, those held longest first.
    pub fn holders(&self, most: usize) -> Vec<Holder> {
        let mut holders: Vec<Holder> =
            (0..self.cells.layout.entries()).filter_map(|entry| self.holder(entry)).collect();
        holders.sort_unstable_by_key(|holder| holder.since);
        holders.truncate(most);
        holders
    }

    /// What the entry holds; none if that changed while it was read. Whoever fills an entry sets
    /// its token first and its state last.
    fn holder(&self, entry: u32) -> Option<Holder> {
        let (meta, token) = (self.cells.meta(entry), self.cells.token(entry));
        if meta.state != State::Held {
            return None;
        }
        let holder = Holder {
            key: self.cells.key(entry).bytes(),
            since: self.cells.since(entry),
            pid: self.cells.owner(entry).pid,
        };
        (self.cells.meta(entry) == meta && self.cells.token(entry) == token).then_some(holder)
    }
}
