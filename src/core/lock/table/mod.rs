//! The lease table: who holds which session, and who waits for it, in words shared by all
//! processes.
//!
//! ```text
//! word   0  header   0 layout version   1 slots          2 overflow entries
//!                    3 free list        4 its busy mark  5 last sweep (µs)
//!                    8 timeouts         9 refusals: too many waiters   10 refusals: table full
//!                   11 leases of the dead   12 overdue leases   13 lists rebuilt
//!                   14 merged commits       15 ended without their mutex   16 ids refused as old
//!                   17 changes dropped       18 changes lost
//!                   24 … 55 waits by length: bucket n counts those of 2^(n-1) to 2^n µs
//!       64  slot 0   0 busy mark  1 list  2 tokens given  3 leases given  4 waiters  5 last logged refusal (µs)
//!                    6 of which session: first word of its key
//!       72  slot 1   …
//!           …
//! 64 + 8s   entry 0  0 state (8 bits), slot (24), next in its list (32)      s: number of slots
//!                    1 token   2, 3 first half of the store key   4 owner: pid (32), start (32)
//!                    5 signal (32), a waiter's hold in ms (32)     6 since (µs)   7 until (µs)
//!           entry 1  …
//! ```
//!
//! Lists name entries from 1, so that zero words are an empty table. Entry `n` below the number of
//! slots is slot `n`'s own and in no list; the others go from the free list to a slot's list and
//! back. So a session whose slot is otherwise idle is leased by filling one entry, without the free
//! list.
//!
//! - A slot's words, and the entries in its list, change under its mutex; the free list under a
//!   mutex of its own. Nobody holds two. In between, an entry is *detached* and its owner carries
//!   it.
//! - Counters are added to without a mutex. A waiter looks at its own entry without one, and so does
//!   a holder before it writes, if its lease is far from its end. A waiter or holder that cannot get
//!   the mutex gives its entry to nobody, whose entries are those of a dead owner.
//! - A change of several words is made under the busy mark. Who finds it set rebuilds that list
//!   from the entries: after every single store they say enough to keep what live processes hold.
//! - Tokens of a slot rise, so the waiter with the lowest came first.
//! - A lease goes from hand to hand: who ends one makes the oldest waiter its holder and wakes it.
//!   Death wakes nobody, so a waiter looks every 250 ms whether those before it live.
//! - Who has a lease and waits for another machine has one more entry, a waiter's, under a key that no
//!   session has: it is counted with the others, and recovered like theirs.

mod free;
mod layout;
mod repair;
mod slot;
mod stats;
mod sweep;
#[cfg(test)]
mod tests;
mod wait;

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use self::layout::{Cells, Count, Field, Head, Key, NO_END, Part, State, VERSION};
pub use self::layout::{Layout, MAX_OVERFLOW, MAX_SLOTS};
use self::slot::{Slot, end_of};
pub use self::stats::{Holder, Statistics};
use self::wait::{Place, Step, Want};
use crate::core::clock::{Clock, Monotonic};
use crate::core::lock::host::{NOBODY, Owners, Parking, Words};
use crate::core::lock::{
    Event, Lease, LeaseError, Leases, MutexError, Queued, SlotGuard, SlotMutexes, Wait, slot_of,
};
use crate::core::store::StoreKey;

/// For how long a confirmed lease is safe from being taken over: more than a commit takes.
pub const CONFIRMED: Duration = Duration::from_secs(10);

/// How often something is logged of one session.
pub const LOG_EVERY: Duration = Duration::from_secs(60);

/// And of sessions of one slot, in turns.
const LOG_OTHERS: Duration = Duration::from_secs(1);

/// Shared memory holds another table than the one asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayoutError {
    /// Its first word says that another release made it, or none.
    Version(u64),
    /// It has other numbers of slots and overflow entries: these.
    Size(u64, u64),
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LayoutError::Version(found) => {
                write!(f, "opening the lease table: layout {found:#x} found, {VERSION:#x} known")
            }
            LayoutError::Size(slots, overflow) => {
                write!(
                    f,
                    "opening the lease table: it has {slots} slots and {overflow} more entries"
                )
            }
        }
    }
}

impl std::error::Error for LayoutError {}

/// The lease table, as one process sees it.
///
/// The pool of mutexes has as many slots as the layout. A table opened before a fork serves the
/// children as well.
pub struct Table<M, O, C, S> {
    cells: Cells<M>,
    owners: O,
    clock: C,
    mutexes: S,
    /// Requests of this process that wait, and how many may: plain memory.
    waiting_here: AtomicU32,
    most_here: u32,
}

impl<M, O, C, S> Table<M, O, C, S>
where
    M: Words + Parking,
    O: Owners,
    C: Clock,
    S: SlotMutexes,
{
    /// Makes a new table in `words`, which are [`Layout::words`] many. Nobody else uses them yet.
    pub fn create(layout: Layout, words: M, owners: O, clock: C, mutexes: S) -> Self {
        (0..layout.words()).for_each(|word| words.store(word, 0));
        let table = Table::over(Cells { words, layout }, owners, clock, mutexes);
        table.fill_free();
        table.cells.set_head(Head::Slots, u64::from(layout.slots()));
        table.cells.set_head(Head::Overflow, u64::from(layout.entries() - layout.slots()));
        table.cells.set_head(Head::Version, VERSION);
        table
    }

    /// Opens the table that [`Table::create`] made in `words`, as another process or an older
    /// generation of the server.
    pub fn open(
        layout: Layout,
        words: M,
        owners: O,
        clock: C,
        mutexes: S,
    ) -> Result<Self, LayoutError> {
        let cells = Cells { words, layout };
        let version = cells.head(Head::Version);
        if version != VERSION {
            return Err(LayoutError::Version(version));
        }
        let (slots, overflow) = (cells.head(Head::Slots), cells.head(Head::Overflow));
        let wanted = (u64::from(layout.slots()), u64::from(layout.entries() - layout.slots()));
        if (slots, overflow) != wanted {
            return Err(LayoutError::Size(slots, overflow));
        }
        Ok(Table::over(cells, owners, clock, mutexes))
    }

    fn over(cells: Cells<M>, owners: O, clock: C, mutexes: S) -> Self {
        let waiting_here = AtomicU32::new(0);
        Table { cells, owners, clock, mutexes, waiting_here, most_here: u32::MAX }
    }

    /// Lets at most `most` requests of this process wait, or a few more that come at one moment:
    /// the process has other work for its threads. [`LeaseError::TooManyWaiters`] for the rest.
    pub fn with_waiters_here(mut self, most: u32) -> Self {
        self.most_here = most;
        self
    }

    /// Gives an entry up whose mutex cannot be had: nobody's, it is recovered like that of the
    /// dead. Should another process take the lease over at this very moment, it loses it and
    /// merges: better than a session that nobody can have until its hold is over.
    fn disown(&self, entry: u32, token: u64) {
        if self.cells.token(entry) == token {
            self.cells.count(Count::Disowned);
            self.cells.set_owner(entry, NOBODY);
        }
    }

    /// Runs `work` on a slot under its mutex; what it leaves to do is done after that.
    fn within<R>(
        &self,
        index: u32,
        work: impl FnOnce(&mut Slot<'_, M, C>) -> R,
    ) -> Result<R, MutexError> {
        let guard = SlotGuard::lock(&self.mutexes, index)?;
        let mut slot = Slot::enter(&self.cells, &self.clock, index, self.owners.me());
        let result = work(&mut slot);
        let after = slot.leave();
        drop(guard);
        if let Some(entry) = after.wake {
            self.cells.words.unpark(self.cells.signal_word(entry));
        }
        self.push_free(&after.spares);
        Ok(result)
    }

    /// Whether the lease is its taker's and will not be overdue during a commit, seen without the mutex.
    fn is_safe(&self, lease: &Lease) -> bool {
        // The end first: who takes an entry writes its token before anything else, so that an end of
        // theirs is followed by a token of theirs.
        let until = self.cells.until(lease.entry);
        let meta = self.cells.meta(lease.entry);
        let held = meta.state == State::Held && meta.slot == lease.slot;
        // A mark that a killed process left: the list has to be made anew before anything in it counts.
        let whole = self.cells.part(lease.slot, Part::Busy) == 0;
        whole
            && held
            && self.cells.token(lease.entry) == lease.token
            && (until == NO_END || until >= self.clock.monotonic().after(CONFIRMED))
    }

    fn wait_for(&self, want: &Want, mut place: Place) -> Result<Lease, LeaseError> {
        self.waiting_here.fetch_add(1, Ordering::Relaxed);
        let outcome = loop {
            self.nap(&place);
            match self.look(want, place) {
                Ok(Step::Held(lease)) => break Ok(lease),
                Ok(Step::Waiting(next)) => place = next,
                Err(cause) => break Err(cause),
            }
        };
        self.waiting_here.fetch_sub(1, Ordering::Relaxed);
        outcome
    }

    fn is_crowded_here(&self) -> bool {
        self.waiting_here.load(Ordering::Relaxed) >= self.most_here
    }
}

impl<M, O, C, S> Leases for Table<M, O, C, S>
where
    M: Words + Parking,
    O: Owners,
    C: Clock,
    S: SlotMutexes,
{
    fn acquire(&self, key: &StoreKey, wait: &Wait) -> Result<Lease, LeaseError> {
        let want = self.want(key, wait);
        match self.begin(&want)? {
            Step::Held(lease) => Ok(lease),
            Step::Waiting(place) => self.wait_for(&want, place),
        }
    }

    fn queue(&self, key: &StoreKey, wait: &Wait) -> Result<Queued, LeaseError> {
        let want = self.want_afar(key, wait);
        let lease = match self.begin(&want)? {
            Step::Held(lease) => lease,
            Step::Waiting(place) => place.lease(&want),
        };
        self.waiting_here.fetch_add(1, Ordering::Relaxed);
        Ok(Queued(lease))
    }

    fn unqueue(&self, Queued(place): Queued) {
        self.waiting_here.fetch_sub(1, Ordering::Relaxed);
        let left = self.within(place.slot, |slot| {
            if slot.standing(place.entry, place.token).is_some() {
                slot.remove(place.entry);
            }
        });
        if left.is_err() {
            self.disown(place.entry, place.token);
        }
    }

    fn confirm(&self, lease: &Lease) -> Result<bool, MutexError> {
        if self.is_safe(lease) {
            return Ok(true);
        }
        self.within(lease.slot, |slot| {
            let held = slot.holds(lease);
            if held && self.cells.until(lease.entry) != NO_END {
                let safe = end_of(slot.now(), Some(CONFIRMED)).max(self.cells.until(lease.entry));
                self.cells.set_field(lease.entry, Field::Until, safe.0);
            }
            held
        })
    }

    fn may_log(&self, key: &StoreKey) -> bool {
        let slot = slot_of(key, self.cells.layout.slots());
        let [tag, _] = Key::of(key).0;
        let is_due = |now: Monotonic| {
            let last = self.cells.part(slot, Part::Logged);
            let same = tag == self.cells.part(slot, Part::LoggedOf);
            last == 0 || now.since(Monotonic(last)) >= if same { LOG_EVERY } else { LOG_OTHERS }
        };
        let now = self.clock.monotonic();
        // Most of many that are refused at once see without the mutex that it was said.
        if !is_due(now) {
            return false;
        }
        let first = self.within(slot, |_| {
            let due = is_due(now);
            if due {
                self.cells.set_part(slot, Part::LoggedOf, tag);
                self.cells.set_part(slot, Part::Logged, now.0.max(1));
            }
            due
        });
        // That a mutex cannot be had is worth a line as well.
        first.unwrap_or(true)
    }

    fn count(&self, what: Event) {
        self.cells.count(match what {
            Event::Merged => Count::Merged,
            Event::Dropped => Count::Dropped,
            Event::Lost => Count::Lost,
            Event::OldId => Count::OldIds,
        });
    }

    fn release(&self, lease: Lease) {
        let released = self.within(lease.slot, |slot| {
            if slot.holds(&lease) {
                let key = self.cells.key(lease.entry);
                slot.remove(lease.entry);
                slot.settle(key);
            }
        });
        if released.is_err() {
            self.disown(lease.entry, lease.token);
        }
    }
}
