//! What a child process has for all its requests. Made in `child_init`, before there are threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::Duration;

use crate::core::cleanup::{self, Shared};
use crate::core::clock::{Clock, SystemClock};
use crate::core::lock::host::{Owner, Owners, Parking, Words};
use crate::core::lock::table::Table;
use crate::core::lock::{MutexError, SlotMutexes};
use crate::core::session::Services;
use crate::core::session::id::SystemRandom;
use crate::core::session::wire::Secrets;
use crate::core::store::{Bounded, Store, StoreError};
use crate::httpd::mutex::MutexPool;
use crate::httpd::server::MainServer;
use crate::module::cleanup::Aside;
use crate::module::stores::{Child, Late, Prepared};
use crate::system::process as system;
use crate::system::shared::{self, SharedWords};

/// Longest wait for a mutex of the pool. They are held for microseconds: past this a holder is stopped,
/// or the disk under it stalls.
const MUTEX_DEADLINE: Duration = Duration::from_secs(10);

/// Longest wait for a mutex of the store's own, and before the gate that some have: together no more than
/// that, since a lease is safe for so long once its holder is about to write.
pub const OWN_DEADLINE: Duration = Duration::from_secs(5);

/// The lease table of a child.
pub type LeaseTable = Table<LeaseMemory, Processes, SystemClock, Arc<PoolMutexes>>;

/// The cleanup of a child.
pub type Cleaner = cleanup::Cleaner<LeaseMemory, Processes, SystemClock>;
/// A round that a child is to do.
pub type Turn<'c> = cleanup::Turn<'c, LeaseMemory, Processes, SystemClock>;

/// The pool of mutexes as the core sees it: one for each slot, the last one for the free list.
pub struct PoolMutexes {
    pool: MutexPool,
    deadline: Duration,
}

impl PoolMutexes {
    /// The mutexes of this pool.
    pub fn new(pool: MutexPool) -> PoolMutexes {
        PoolMutexes { pool, deadline: MUTEX_DEADLINE }
    }

    /// The same as a store's own.
    pub fn of_store(self) -> PoolMutexes {
        PoolMutexes { deadline: OWN_DEADLINE, ..self }
    }

    /// The pool.
    pub fn into_pool(self) -> MutexPool {
        self.pool
    }
}

impl SlotMutexes for PoolMutexes {
    fn count(&self) -> u32 {
        self.pool.count().saturating_sub(1)
    }

    fn lock(&self, index: u32) -> Result<(), MutexError> {
        match self.pool.lock(index, self.deadline) {
            Ok(true) => Ok(()),
            Ok(false) => Err(MutexError::TimedOut),
            Err(status) => Err(MutexError::Failed(status)),
        }
    }

    fn unlock(&self, index: u32) {
        self.pool.unlock(index);
    }
}

/// Words that all processes of the server share.
#[derive(Clone, Copy)]
pub struct LeaseMemory(pub SharedWords);

impl Words for LeaseMemory {
    fn load(&self, index: usize) -> u64 {
        shared::load(self.0.words(), index)
    }

    fn store(&self, index: usize, value: u64) {
        shared::store(self.0.words(), index, value);
    }

    fn add(&self, index: usize, value: u64) {
        if let Some(word) = self.0.words().get(index) {
            word.fetch_add(value, Ordering::Relaxed);
        }
    }
}

impl Shared for LeaseMemory {
    fn exchange(&self, index: usize, old: u64, new: u64) -> bool {
        self.0.words().get(index).is_some_and(|word| {
            word.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire).is_ok()
        })
    }
}

impl Parking for LeaseMemory {
    fn park(&self, word: usize, expected: u32, timeout: Duration) {
        self.0.sleep(word, expected, timeout);
    }

    fn unpark(&self, word: usize) {
        self.0.wake(word);
    }
}

/// The processes of the machine, and which of them is this one.
pub struct Processes {
    me: Owner,
    can_tell: bool,
}

impl Processes {
    /// As seen from this process.
    pub fn here() -> Processes {
        let pid = std::process::id();
        Processes {
            me: Owner { pid, start: start_of(pid).unwrap_or_default() },
            can_tell: system::can_tell(),
        }
    }
}

fn start_of(pid: u32) -> Option<u32> {
    system::start_of(pid).map(|ticks| ticks as u32)
}

impl Owners for Processes {
    fn me(&self) -> Owner {
        self.me
    }

    fn alive(&self, owner: Owner) -> bool {
        // Without process information nobody is declared dead: SessionLockHold ends such a lease.
        !self.can_tell || start_of(owner.pid) == Some(owner.start)
    }
}

/// A child process.
pub struct Process {
    store: Late,
    leases: LeaseTable,
    /// Removes expired records.
    pub cleaner: Cleaner,
    /// What requests need to start rounds; none where others do.
    pub aside: Option<Aside>,
    grace: Duration,
    /// For lines in the log that no request is the reason of.
    pub main: MainServer,
    /// What signs ids.
    pub secrets: Secrets,
    /// How many requests the server works on at a time.
    pub workers: u32,
    /// A place of the server writes without a lease.
    pub shared_writes: bool,
}

static CURRENT: AtomicPtr<Process> = AtomicPtr::new(std::ptr::null_mut());

/// The process, if it could be set up.
pub fn get() -> Option<&'static Process> {
    // SAFETY: null, or a process that `Process::install` gave away for ever.
    unsafe { CURRENT.load(Ordering::Acquire).as_ref() }
}

/// What a process is made of.
pub struct Parts {
    /// The store as the parent has prepared it.
    pub prepared: &'static dyn Prepared,
    /// What the store needs of the child.
    pub child: Child,
    /// Who has which session.
    pub leases: LeaseTable,
    /// Removes expired records.
    pub cleaner: Cleaner,
    /// Requests see to the cleanup, for there is no mod_watchdog.
    pub by_requests: bool,
    /// `SessionMaxSessions`.
    pub max_sessions: Option<u32>,
    /// httpd's main server.
    pub main: MainServer,
    /// What signs ids.
    pub secrets: Secrets,
    /// How many requests the server works on at a time.
    pub workers: u32,
    /// A place of the server writes without a lease.
    pub shared_writes: bool,
}

impl Process {
    /// A process with its parts.
    pub fn new(parts: Parts) -> Process {
        let (prepared, child, most) = (parts.prepared, parts.child, parts.max_sessions);
        let (grace, board) = (child.grace, parts.cleaner.board);
        let open = move || -> Result<Box<dyn Store>, StoreError> {
            let store = prepared.open(&child)?;
            Ok(match most {
                Some(most) => Box::new(Bounded::new(store, most.into(), board)),
                None => store,
            })
        };
        Process {
            store: Late::new(Box::new(open)),
            grace,
            leases: parts.leases,
            cleaner: parts.cleaner,
            aside: parts.by_requests.then(Aside::default),
            main: parts.main,
            secrets: parts.secrets,
            workers: parts.workers,
            shared_writes: parts.shared_writes,
        }
    }

    /// Makes this the process of all requests. It lives as long as the child: a child serves one
    /// configuration only.
    pub fn install(self) {
        CURRENT.store(Box::into_raw(Box::new(self)), Ordering::Release);
    }

    /// What sessions need.
    pub fn services(&self) -> Services<'_> {
        Services {
            store: &self.store,
            leases: &self.leases,
            clock: &SystemClock,
            random: &SystemRandom,
            secrets: &self.secrets,
        }
    }

    /// The store itself.
    ///
    /// # Errors
    /// It cannot be opened now.
    pub fn store(&self) -> Result<&dyn Store, StoreError> {
        self.store.open()
    }

    /// How long cleanup leaves a record after its end.
    pub fn grace(&self) -> Duration {
        self.grace
    }

    /// Whether it is time for a line that says that the store is full.
    pub fn may_tell_full(&self) -> bool {
        self.cleaner.board.may_tell(SystemClock.monotonic())
    }

    /// Whether the store is open.
    pub fn is_ready(&self) -> bool {
        self.store.is_open()
    }
}
