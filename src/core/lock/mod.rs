//! Who may write a session, and for how long.
//!
//! Two things with two jobs. A **slot mutex** is one of the pool of global mutexes, picked by a hash
//! of the store key; it is held for microseconds, never while a handler runs or a network is waited
//! on. A **lease** is a session held for a request: an entry in shared memory that any thread can
//! end, that a deadline ends if nobody does, and that dies with its owner.

pub mod gate;
pub mod host;
#[cfg(test)]
pub(crate) mod local;
pub mod table;

use std::fmt;
use std::time::Duration;

use crate::core::store::StoreKey;

/// A slot mutex could not be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MutexError {
    /// Its deadline passed: a holder is stopped, or a disk under it stalls.
    TimedOut,
    /// The operating system refused; the number is the `apr_status_t`.
    Failed(i32),
}

impl fmt::Display for MutexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MutexError::TimedOut => f.write_str("a mutex of the pool was not free in time"),
            MutexError::Failed(status) => {
                write!(f, "a mutex of the pool failed with status {status}")
            }
        }
    }
}

impl std::error::Error for MutexError {}

/// The pool of slot mutexes, and one more with the index [`SlotMutexes::count`] for what belongs to
/// no slot: the lease table's free list. Not re-entrant: a thread holds at most one at a time.
pub trait SlotMutexes: Send + Sync {
    /// How many slots there are; at least 1, the same in every process.
    fn count(&self) -> u32;
    /// Takes the mutex `index` or gives up at the pool's deadline.
    fn lock(&self, index: u32) -> Result<(), MutexError>;
    /// Gives the mutex `index` back; called by the thread that took it.
    fn unlock(&self, index: u32);
}

impl<T: SlotMutexes + ?Sized> SlotMutexes for &T {
    fn count(&self) -> u32 {
        (**self).count()
    }

    fn lock(&self, index: u32) -> Result<(), MutexError> {
        (**self).lock(index)
    }

    fn unlock(&self, index: u32) {
        (**self).unlock(index);
    }
}

impl<T: SlotMutexes + ?Sized> SlotMutexes for std::sync::Arc<T> {
    fn count(&self) -> u32 {
        (**self).count()
    }

    fn lock(&self, index: u32) -> Result<(), MutexError> {
        (**self).lock(index)
    }

    fn unlock(&self, index: u32) {
        (**self).unlock(index);
    }
}

/// A held slot mutex; gives it back when dropped.
pub struct SlotGuard<'a> {
    mutexes: &'a dyn SlotMutexes,
    index: u32,
}

impl<'a> SlotGuard<'a> {
    /// Takes the mutex `index` of the pool.
    pub fn lock(mutexes: &'a dyn SlotMutexes, index: u32) -> Result<SlotGuard<'a>, MutexError> {
        mutexes.lock(index)?;
        Ok(SlotGuard { mutexes, index })
    }
}

impl Drop for SlotGuard<'_> {
    fn drop(&mut self) {
        self.mutexes.unlock(self.index);
    }
}

/// The slot of a key among `count`: a fixed function of the key alone, so that every process, server
/// generation and release picks the same one.
pub fn slot_of(key: &StoreKey, count: u32) -> u32 {
    let [a, b, c, d, e, f, g, h, ..] = *key.as_bytes();
    let hash = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    (hash % u64::from(count.max(1))) as u32
}

/// How long to wait for a lease, and how long it may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// Longest wait; zero: do not wait (`SessionLockTimeout`).
    pub timeout: Duration,
    /// How long the lease may be kept before others may have it; none: for ever (`SessionLockHold`).
    pub hold: Option<Duration>,
    /// Most waiters for one session (`SessionLockWaiters`).
    pub waiters: u32,
    /// Most waiters of all sessions together.
    pub waiters_in_all: u32,
}

/// A lease that is held. Ended by [`Leases::release`]; not by dropping it, because it may have to
/// outlive the thread that took it.
#[derive(Debug, PartialEq, Eq)]
pub struct Lease {
    /// The entry of the table.
    pub entry: u32,
    /// What tells this holding of the entry from every other one.
    pub token: u64,
    /// The slot the entry is chained in.
    pub slot: u32,
}

/// A place among those that wait, of a request that has the lease here and waits for another machine.
/// Ended by [`Leases::unqueue`].
#[derive(Debug, PartialEq, Eq)]
pub struct Queued(pub Lease);

/// Why there is no lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseError {
    /// The wait ended; the session is still held by another request.
    TimedOut,
    /// Too many requests wait already, for this session or in all.
    TooManyWaiters,
    /// Every entry of the table is taken by live owners.
    TableFull,
    /// The slot's mutex could not be had.
    Mutex(MutexError),
}

impl fmt::Display for LeaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LeaseError::TimedOut => {
                f.write_str("another request held the session longer than SessionLockTimeout")
            }
            LeaseError::TooManyWaiters => {
                f.write_str("more requests than SessionLockWaiters wait for sessions")
            }
            LeaseError::TableFull => f.write_str("the lease table is full of live requests"),
            LeaseError::Mutex(cause) => cause.fmt(f),
        }
    }
}

impl std::error::Error for LeaseError {}

impl From<MutexError> for LeaseError {
    fn from(cause: MutexError) -> LeaseError {
        LeaseError::Mutex(cause)
    }
}

/// What sessions have counted in the memory that all processes share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A commit found another request's changes and merged with them.
    Merged,
    /// A request's changes were dropped: the session was ended meanwhile.
    Dropped,
    /// A request's changes could not be stored, and its answer did not say so.
    Lost,
    /// A request was refused an id that had been replaced longer ago than `SessionRegenerateGrace`.
    OldId,
}

/// Leases of sessions, by store key.
pub trait Leases: Send + Sync {
    /// Takes the lease of `key`, waiting as `wait` says, oldest waiter first.
    fn acquire(&self, key: &StoreKey, wait: &Wait) -> Result<Lease, LeaseError>;

    /// Counts who has the lease of `key`, and has to wait for another machine that holds the session too,
    /// among those that wait: as many as `wait` says wait in all, whatever for.
    /// [`LeaseError::TooManyWaiters`] if there are enough.
    fn queue(&self, key: &StoreKey, wait: &Wait) -> Result<Queued, LeaseError>;

    /// The wait for another machine is over, in vain or not.
    fn unqueue(&self, queued: Queued);

    /// Whether the lease is still held by its taker; if so nobody takes it over while the commit that
    /// follows is under way. False: it was taken over, and the commit has to merge.
    fn confirm(&self, lease: &Lease) -> Result<bool, MutexError>;

    /// Whether what befell a request for this session is to be logged: once a minute, by whichever process
    /// comes first. Sessions that share a slot take a second each from one another.
    fn may_log(&self, key: &StoreKey) -> bool;

    /// Counts what only sessions see, beside what the leases count themselves.
    fn count(&self, what: Event);

    /// Ends the lease and wakes the oldest waiter. Ending one that was taken over does nothing. Works
    /// from any thread; touches memory only.
    fn release(&self, lease: Lease);
}
