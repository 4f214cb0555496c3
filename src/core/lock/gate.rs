//! One thread of a process at a time before a mutex that all processes share.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{MutexError, SlotMutexes};

/// Looks at a gate that is taken before a thread sleeps, and pauses of the processor behind each: about
/// 2 microseconds in all. What is done behind the gate takes longer, but where processors are few, a thread that
/// looks on takes one from whoever is there: on two, 50 looks cost twice the processor's time of 5, and none more
/// than 5.
const LOOKS: u32 = 8;
const PAUSES: u32 = 8;

/// A mutex that everybody wants, in front of which the threads of this process queue up among themselves.
///
/// Mutexes that processes share and that outlive their holders hand themselves over: who waits owns it
/// before it has been woken, and all others wait for that as well. With one waiter a process that is rare.
pub struct Gated<M> {
    mutexes: M,
    gate: Gate,
    timeout: Duration,
}

impl<M: SlotMutexes> Gated<M> {
    /// A gate in front of all of `mutexes`; a thread waits before it for `timeout` at most.
    pub fn new(mutexes: M, timeout: Duration) -> Gated<M> {
        Gated { mutexes, gate: Gate::default(), timeout }
    }
}

impl<M: SlotMutexes> SlotMutexes for Gated<M> {
    fn count(&self) -> u32 {
        self.mutexes.count()
    }

    fn lock(&self, index: u32) -> Result<(), MutexError> {
        if !self.gate.enter(self.timeout) {
            return Err(MutexError::TimedOut);
        }
        self.mutexes.lock(index).inspect_err(|_| self.gate.leave())
    }

    fn unlock(&self, index: u32) {
        self.mutexes.unlock(index);
        self.gate.leave();
    }
}

/// Taken by one thread at a time; whoever comes first when it is free.
#[derive(Default)]
struct Gate {
    taken: AtomicBool,
    /// Threads that sleep, or are about to.
    sleeping: AtomicU32,
    sleep: Mutex<()>,
    freed: Condvar,
}

impl Gate {
    /// False: it was not free within `timeout`.
    fn enter(&self, timeout: Duration) -> bool {
        for _ in 0..LOOKS {
            if self.take() {
                return true;
            }
            (0..PAUSES).for_each(|_| std::hint::spin_loop());
        }
        self.sleeping.fetch_add(1, Ordering::SeqCst);
        let taken = self.sleep_for(timeout);
        self.sleeping.fetch_sub(1, Ordering::SeqCst);
        taken
    }

    fn take(&self) -> bool {
        // Looking first leaves the cache line with who has it.
        !self.taken.load(Ordering::SeqCst) && !self.taken.swap(true, Ordering::SeqCst)
    }

    fn sleep_for(&self, timeout: Duration) -> bool {
        let end = Instant::now() + timeout;
        let mut guard = self.sleep.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            // Counted as asleep before this look, under the lock: who leaves after it sees that, and takes
            // the lock to wake this thread.
            if self.take() {
                return true;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let woken = self.freed.wait_timeout(guard, left);
            guard = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn leave(&self) {
        self.taken.store(false, Ordering::SeqCst);
        if self.sleeping.load(Ordering::SeqCst) > 0 {
            drop(self.sleep.lock().unwrap_or_else(PoisonError::into_inner));
            self.freed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::lock::SlotGuard;
    use std::thread;

    const LONG: Duration = Duration::from_secs(60);

    /// Excludes nobody; says whether two were there at once.
    #[derive(Default)]
    struct Open {
        inside: AtomicU32,
        crowded: AtomicBool,
        refuses: AtomicBool,
    }

    impl SlotMutexes for &Open {
        fn count(&self) -> u32 {
            1
        }

        fn lock(&self, _: u32) -> Result<(), MutexError> {
            if self.refuses.load(Ordering::SeqCst) {
                return Err(MutexError::Failed(7));
            }
            if self.inside.fetch_add(1, Ordering::SeqCst) > 0 {
                self.crowded.store(true, Ordering::SeqCst);
            }
            Ok(())
        }

        fn unlock(&self, _: u32) {
            self.inside.fetch_sub(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn one_thread_at_a_time_comes_to_the_mutex_and_none_is_forgotten() {
        let open = Open::default();
        let gated = Gated::new(&open, LONG);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for round in 0..2000 {
                        let _guard = SlotGuard::lock(&gated, 0).unwrap();
                        if round % 100 == 0 {
                            // Longer than anybody looks: the others sleep.
                            thread::sleep(Duration::from_micros(200));
                        }
                    }
                });
            }
        });
        assert!(!open.crowded.load(Ordering::SeqCst));
        assert_eq!(gated.gate.sleeping.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn who_waits_too_long_is_refused_and_in_nobodys_way() {
        let open = Open::default();
        let gated = Gated::new(&open, Duration::from_millis(20));
        let held = SlotGuard::lock(&gated, 0).unwrap();
        thread::scope(|scope| {
            let late = scope.spawn(|| gated.lock(0));
            assert_eq!(late.join().unwrap(), Err(MutexError::TimedOut));
        });
        drop(held);
        assert!(SlotGuard::lock(&gated, 0).is_ok());
    }

    #[test]
    fn a_mutex_that_fails_leaves_the_gate_free() {
        let open = Open::default();
        let gated = Gated::new(&open, LONG);
        open.refuses.store(true, Ordering::SeqCst);
        assert_eq!(gated.lock(0), Err(MutexError::Failed(7)));
        open.refuses.store(false, Ordering::SeqCst);
        assert!(SlotGuard::lock(&gated, 0).is_ok());
    }
}
