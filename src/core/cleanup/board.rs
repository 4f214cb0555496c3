//! What all processes of the server know of the cleanup, in shared words that outlive restarts.
//!
//! ```text
//!  0  who is at it: pid and start time, 0 for nobody   \
//!  1  since when, monotonic                             | of the one who is at it
//!  2  when the next round is due, monotonic             |
//!  3  bytes of the position where it goes on            |
//!  4  the position, 8 words                             |
//! 12  records that this walk has left in place so far   |
//! 13  1 if this walk began at the start                /
//! 14  records there are: as the last whole walk left them, and what came and went since
//! 15  when that walk ended, wall time; 0: there was none
//! 16  rounds  17 walks  18 records seen  19 removed  20 damaged  21 rounds that failed
//! 22  end of the last round, wall time  23 how long it took  24 how many it removed
//! 25  sessions refused by SessionMaxSessions  26 when a line said so last, monotonic
//! ```
//!
//! Times are in microseconds. A process that is killed between two words leaves a position or a count
//! that is out of date: the walk begins elsewhere, and the next one counts anew.

use std::time::Duration;

use crate::core::clock::{Monotonic, Time};
use crate::core::lock::host::{Owner, Words};
use crate::core::store::{Population, Position, Purged};

/// How many words there are.
pub const WORDS: usize = 27;

const OWNER: usize = 0;
const SINCE: usize = 1;
const DUE: usize = 2;
const POSITION_BYTES: usize = 3;
const POSITION: usize = 4;
const POSITION_WORDS: usize = 8;
const WALKED: usize = 12;
const WHOLE: usize = 13;
const RECORDS: usize = 14;
const COUNTED_AT: usize = 15;
const ROUNDS: usize = 16;
const WALKS: usize = 17;
const SEEN: usize = 18;
const REMOVED: usize = 19;
const CORRUPT: usize = 20;
const FAILED: usize = 21;
const LAST_AT: usize = 22;
const LAST_TOOK: usize = 23;
const LAST_REMOVED: usize = 24;
const REFUSED: usize = 25;
const TOLD: usize = 26;

/// How often a full store is worth a line in the log.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Words that change by comparison too.
pub trait Shared: Words {
    /// Writes `new` if the word is `old`, in one step; false if it is not.
    fn exchange(&self, index: usize, old: u64, new: u64) -> bool;
}

/// The words, and what they mean.
#[derive(Clone, Copy)]
pub struct Board<M>(pub M);

/// What the cleanup has done since the server started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Rounds, those that failed included.
    pub rounds: u64,
    /// Times that every record had been looked at.
    pub walks: u64,
    /// Records looked at.
    pub seen: u64,
    /// Expired records removed.
    pub removed: u64,
    /// Damaged records moved aside or removed.
    pub corrupt: u64,
    /// Rounds that the store failed in.
    pub failed: u64,
    /// When the last round ended; none if there was none.
    pub last_at: Option<Time>,
    /// How long it took.
    pub last_took: Duration,
    /// How many records it removed.
    pub last_removed: u64,
    /// Records after the last whole walk; with `SessionMaxSessions` those that came and went since are
    /// counted too. None before the first whole walk.
    pub records: Option<u64>,
    /// New sessions that `SessionMaxSessions` refused.
    pub refused: u64,
}

impl<M: Shared> Board<M> {
    fn get(&self, index: usize) -> u64 {
        self.0.load(index)
    }

    fn set(&self, index: usize, value: u64) {
        self.0.store(index, value);
    }

    /// Whether a round is due.
    pub fn is_due(&self, now: Monotonic) -> bool {
        now.0 >= self.get(DUE)
    }

    /// The next round is due then.
    pub fn set_due(&self, at: Monotonic) {
        self.set(DUE, at.0);
    }

    /// Who is at it, and since when.
    pub fn owner(&self) -> Option<(Owner, Monotonic)> {
        let word = self.get(OWNER);
        let owner = Owner { pid: (word >> 32) as u32, start: word as u32 };
        (word != 0).then(|| (owner, Monotonic(self.get(SINCE))))
    }

    /// Puts `me` in the place of `before`; false if another process was faster.
    pub fn take(&self, before: Option<Owner>, me: Owner, now: Monotonic) -> bool {
        let taken = self.0.exchange(OWNER, before.map_or(0, word_of), word_of(me));
        if taken {
            self.set(SINCE, now.0);
        }
        taken
    }

    /// `me` is at it no longer, and the next round is due at `next`; unless another process has taken
    /// its place.
    pub fn end_turn(&self, me: Owner, next: Monotonic) {
        if self.owner().is_some_and(|(owner, _)| owner == me) {
            self.set_due(next);
            self.0.exchange(OWNER, word_of(me), 0);
        }
    }

    /// Where the next round goes on.
    pub fn position(&self) -> Position {
        let words = (0..POSITION_WORDS).flat_map(|at| self.get(POSITION + at).to_le_bytes());
        let length = usize::try_from(self.get(POSITION_BYTES)).unwrap_or_default();
        Position::new(&words.take(length).collect::<Vec<u8>>())
    }

    fn set_position(&self, position: &Position) {
        let (words, _) = position.bytes().as_chunks::<8>();
        let mut last = [0; 8];
        let rest = &position.bytes()[words.len() * 8..];
        last[..rest.len()].copy_from_slice(rest);
        for (at, word) in words.iter().chain([&last]).take(POSITION_WORDS).enumerate() {
            self.set(POSITION + at, u64::from_le_bytes(*word));
        }
        self.set(POSITION_BYTES, position.bytes().len() as u64);
    }

    /// A round that began at `from` has done this.
    pub fn record(&self, from: &Position, purged: &Purged, (now, took): (Time, Duration)) {
        if *from == Position::default() {
            self.set(WALKED, 0);
            self.set(WHOLE, 1);
        }
        let left = purged.seen.saturating_sub(purged.removed + purged.corrupt);
        self.0.add(WALKED, left);
        self.set_position(purged.next.as_ref().unwrap_or(&Position::default()));
        if purged.next.is_none() {
            self.0.add(WALKS, 1);
            if self.get(WHOLE) == 1 {
                self.set(RECORDS, self.get(WALKED));
                self.set(COUNTED_AT, now.0);
            }
        }
        self.0.add(SEEN, purged.seen);
        self.0.add(REMOVED, purged.removed);
        self.0.add(CORRUPT, purged.corrupt);
        self.ended(now, took, purged.removed);
    }

    /// A round failed; the next one begins at `next`, so that what made it fail does not stop all.
    pub fn record_failure(&self, next: &Position, (now, took): (Time, Duration)) {
        self.set(WHOLE, 0);
        self.set_position(next);
        self.0.add(FAILED, 1);
        self.ended(now, took, 0);
    }

    fn ended(&self, now: Time, took: Duration, removed: u64) {
        self.0.add(ROUNDS, 1);
        self.set(LAST_AT, now.0);
        self.set(LAST_TOOK, u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        self.set(LAST_REMOVED, removed);
    }

    /// Whether it is time for a line that says that the store is full: true for one who asks in a
    /// minute.
    pub fn may_tell(&self, now: Monotonic) -> bool {
        let told = self.get(TOLD);
        let due = told == 0 || now.since(Monotonic(told)) >= TELL_EVERY;
        due && self.0.exchange(TOLD, told, now.0.max(1))
    }

    /// What was done so far.
    pub fn stats(&self) -> Stats {
        let ever = |index: usize| Some(self.get(index)).filter(|&at| at != 0).map(Time);
        Stats {
            rounds: self.get(ROUNDS),
            walks: self.get(WALKS),
            seen: self.get(SEEN),
            removed: self.get(REMOVED),
            corrupt: self.get(CORRUPT),
            failed: self.get(FAILED),
            last_at: ever(LAST_AT),
            last_took: Duration::from_micros(self.get(LAST_TOOK)),
            last_removed: self.get(LAST_REMOVED),
            records: ever(COUNTED_AT).map(|_| self.count()),
            refused: self.get(REFUSED),
        }
    }
}

impl<M: Shared> Population for Board<M> {
    fn count(&self) -> u64 {
        // Below zero while nothing was counted and much is deleted.
        u64::try_from(self.get(RECORDS).cast_signed()).unwrap_or(0)
    }

    fn made(&self) {
        self.0.add(RECORDS, 1);
    }

    fn gone(&self, records: u64) {
        self.0.add(RECORDS, records.wrapping_neg());
    }

    fn refused(&self) {
        self.0.add(REFUSED, 1);
    }
}

fn word_of(owner: Owner) -> u64 {
    u64::from(owner.pid) << 32 | u64::from(owner.start)
}
