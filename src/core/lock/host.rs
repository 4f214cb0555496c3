//! What the lease table needs from the machine: shared words, sleep and wake-up, and who is alive.

use std::time::Duration;

/// Words of 64 bits that all processes of the server share, zero at first.
///
/// A word is stored whole: whoever is killed leaves the old value or the new one. Stores of one
/// thread become visible in their order, also to a process that takes a mutex over from a dead one;
/// so `store` is at least a release store and `load` at least an acquire load.
pub trait Words: Send + Sync {
    /// Reads the word `index`.
    fn load(&self, index: usize) -> u64;
    /// Writes the word `index`.
    fn store(&self, index: usize, value: u64);
    /// Adds to the word `index` in one step, without a mutex. Needs no order: it is for counters.
    fn add(&self, index: usize, value: u64);
}

/// Sleeping on a word until somebody wakes its sleeper.
pub trait Parking: Send + Sync {
    /// Sleeps until [`Parking::unpark`], at most `timeout`; not at all if the low 32 bits of the
    /// word are not `expected`. Looking at the word and falling asleep is one step, as a futex does
    /// it. May return early; where nothing better exists it looks at the word every few
    /// milliseconds.
    fn park(&self, word: usize, expected: u32, timeout: Duration);
    /// Wakes who sleeps on the word; does nothing if nobody does.
    fn unpark(&self, word: usize);
}

/// A process, told from a later one with the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner {
    /// Its process id; 0 is nobody.
    pub pid: u32,
    /// The low half of its start time, in whatever unit the system counts. A half is enough (it
    /// comes round in 497 days at 100 Hz, and the pid would have to be the same too) and lets an
    /// owner be one word, which is never seen half-written.
    pub start: u32,
}

/// The owner of what nobody owns; never alive.
pub const NOBODY: Owner = Owner { pid: 0, start: 0 };

/// Who is asking, and who is still there.
pub trait Owners: Send + Sync {
    /// This process; right also in a child that was forked after the table was opened. Asked with
    /// every lease, so no system call.
    fn me(&self) -> Owner;
    /// Whether the process still runs. A zombie does not, nor does one whose number started at
    /// another time; in doubt it does. Called without a mutex held.
    fn alive(&self, owner: Owner) -> bool;
}

impl<T: Words + ?Sized> Words for &T {
    fn load(&self, index: usize) -> u64 {
        (**self).load(index)
    }

    fn store(&self, index: usize, value: u64) {
        (**self).store(index, value);
    }

    fn add(&self, index: usize, value: u64) {
        (**self).add(index, value);
    }
}

impl<T: Parking + ?Sized> Parking for &T {
    fn park(&self, word: usize, expected: u32, timeout: Duration) {
        (**self).park(word, expected, timeout);
    }

    fn unpark(&self, word: usize) {
        (**self).unpark(word);
    }
}

impl<T: Owners + ?Sized> Owners for &T {
    fn me(&self) -> Owner {
        (**self).me()
    }

    fn alive(&self, owner: Owner) -> bool {
        (**self).alive(owner)
    }
}
