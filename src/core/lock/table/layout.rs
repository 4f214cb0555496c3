//! Where the words of the table are and what they say; picture in the parent module.

use crate::core::clock::Monotonic;
use crate::core::lock::host::{Owner, Words};
use crate::core::store::StoreKey;

/// What the first word says: a tag and, in the low half, the version of the layout. Any change of
/// the picture raises it, so that a table kept by an older library is recognised; but for words that
/// were free, and so zero, and from now on count something: older libraries leave them alone.
pub(super) const VERSION: u64 = 0x7353_4c54_0000_0001;

const HEADER_WORDS: usize = 64;
const SLOT_WORDS: usize = 8;
const ENTRY_WORDS: usize = 8;

/// Most slots: their number has 24 bits of an entry's first word.
pub const MAX_SLOTS: u32 = 1 << 24;
/// Most entries of the free list.
pub const MAX_OVERFLOW: u32 = 1 << 30;

/// `until` of a lease without an end.
pub(super) const NO_END: Monotonic = Monotonic(u64::MAX);

/// Words of the header.
#[derive(Clone, Copy)]
pub(super) enum Head {
    Version = 0,
    Slots = 1,
    Overflow = 2,
    Free = 3,
    FreeBusy = 4,
    Swept = 5,
}

/// Words of the header that count something; any process adds to them at any time.
#[derive(Clone, Copy)]
pub(super) enum Count {
    Timeouts = 8,
    TooManyWaiters = 9,
    TableFull = 10,
    FromDead = 11,
    FromOverdue = 12,
    Rebuilt = 13,
    Merged = 14,
    Disowned = 15,
    OldIds = 16,
    Dropped = 17,
    Lost = 18,
    /// First of [`BUCKETS`] words.
    Waited = 24,
}

/// Buckets of the histogram of waits.
pub(super) const BUCKETS: usize = 32;

/// Words of a slot, changed under its mutex only.
#[derive(Clone, Copy)]
pub(super) enum Part {
    Busy = 0,
    Chain = 1,
    Tokens = 2,
    Taken = 3,
    Waiting = 4,
    Logged = 5,
    LoggedOf = 6,
}

/// Words of an entry.
#[derive(Clone, Copy)]
pub(super) enum Field {
    Meta = 0,
    Token = 1,
    KeyLow = 2,
    KeyHigh = 3,
    Owner = 4,
    Signal = 5,
    Since = 6,
    Until = 7,
}

/// The first 16 bytes of a store key: they tell sessions apart, and cannot be turned back into one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(pub [u64; 2]);

impl Key {
    pub fn of(key: &StoreKey) -> Key {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ..] = *key.as_bytes();
        Key([
            u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            u64::from_le_bytes([i, j, k, l, m, n, o, p]),
        ])
    }

    /// What stands in the same slot for those who have the lease of this key and wait for another machine:
    /// the key of no session, so that nobody hands them anything.
    pub fn afar(self) -> Key {
        Key([self.0[0], !self.0[1]])
    }

    pub fn bytes(self) -> [u8; 16] {
        (u128::from(self.0[0]) | (u128::from(self.0[1]) << 64)).to_le_bytes()
    }
}

/// What an entry is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// For nothing; an overflow entry is in the free list.
    Free,
    /// In no list: its owner is carrying it from one to the other.
    Detached,
    /// A lease.
    Held,
    /// A request that waits for one.
    Waiting,
}

/// First word of an entry: what it is, where, and who is next in that list. One word, so that an
/// entry is never seen in one list with the state of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meta {
    pub state: State,
    pub slot: u32,
    pub next: Option<u32>,
}

impl Meta {
    fn unpack(word: u64) -> Meta {
        let state = match word & 0xff {
            0 => State::Free,
            2 => State::Held,
            3 => State::Waiting,
            _ => State::Detached,
        };
        Meta { state, slot: (word >> 8) as u32 & (MAX_SLOTS - 1), next: link(word >> 32) }
    }

    fn pack(self) -> u64 {
        self.state as u64 | (u64::from(self.slot) << 8) | (unlink(self.next) << 32)
    }

    /// Whether the entry is in a slot's list.
    pub fn is_listed(self) -> bool {
        matches!(self.state, State::Held | State::Waiting)
    }
}

/// An entry in a list, counted from 1 in shared memory so that zero ends the list.
fn link(word: u64) -> Option<u32> {
    u32::try_from(word).ok()?.checked_sub(1)
}

fn unlink(entry: Option<u32>) -> u64 {
    entry.map_or(0, |entry| u64::from(entry) + 1)
}

/// How many slots and entries there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    slots: u32,
    overflow: u32,
}

impl Layout {
    /// A table of `slots` slots with one entry each and `overflow` entries that any slot may use.
    /// None if there are no slots or the numbers are past [`MAX_SLOTS`] and [`MAX_OVERFLOW`].
    pub fn new(slots: u32, overflow: u32) -> Option<Layout> {
        ((1..=MAX_SLOTS).contains(&slots) && overflow <= MAX_OVERFLOW)
            .then_some(Layout { slots, overflow })
    }

    /// How many words of shared memory it takes.
    pub fn words(&self) -> usize {
        HEADER_WORDS + SLOT_WORDS * self.slots as usize + ENTRY_WORDS * self.entries() as usize
    }

    /// How many slots there are.
    pub fn slots(&self) -> u32 {
        self.slots
    }

    /// How many entries there are: one of each slot, then those of the free list.
    pub fn entries(&self) -> u32 {
        self.slots + self.overflow
    }

    /// The entries of the free list.
    pub(super) fn overflow(&self) -> std::ops::Range<u32> {
        self.slots..self.entries()
    }

    fn slot(&self, slot: u32, part: Part) -> usize {
        HEADER_WORDS + SLOT_WORDS * slot as usize + part as usize
    }

    fn entry(&self, entry: u32, field: Field) -> usize {
        HEADER_WORDS
            + SLOT_WORDS * self.slots as usize
            + ENTRY_WORDS * entry as usize
            + field as usize
    }
}

/// The words by name.
pub(super) struct Cells<M> {
    pub words: M,
    pub layout: Layout,
}

impl<M: Words> Cells<M> {
    pub fn head(&self, head: Head) -> u64 {
        self.words.load(head as usize)
    }

    pub fn set_head(&self, head: Head, value: u64) {
        self.words.store(head as usize, value);
    }

    pub fn count(&self, what: Count) {
        self.words.add(what as usize, 1);
    }

    pub fn counted(&self, what: Count) -> u64 {
        self.words.load(what as usize)
    }

    pub fn count_wait(&self, bucket: usize) {
        self.words.add(Count::Waited as usize + bucket.min(BUCKETS - 1), 1);
    }

    pub fn waits(&self) -> [u64; BUCKETS] {
        std::array::from_fn(|bucket| self.words.load(Count::Waited as usize + bucket))
    }

    pub fn part(&self, slot: u32, part: Part) -> u64 {
        self.words.load(self.layout.slot(slot, part))
    }

    pub fn set_part(&self, slot: u32, part: Part, value: u64) {
        self.words.store(self.layout.slot(slot, part), value);
    }

    pub fn chain(&self, slot: u32) -> Option<u32> {
        link(self.part(slot, Part::Chain))
    }

    pub fn set_chain(&self, slot: u32, first: Option<u32>) {
        self.set_part(slot, Part::Chain, unlink(first));
    }

    pub fn free(&self) -> Option<u32> {
        link(self.head(Head::Free))
    }

    pub fn set_free(&self, first: Option<u32>) {
        self.set_head(Head::Free, unlink(first));
    }

    pub fn field(&self, entry: u32, field: Field) -> u64 {
        self.words.load(self.layout.entry(entry, field))
    }

    pub fn set_field(&self, entry: u32, field: Field, value: u64) {
        self.words.store(self.layout.entry(entry, field), value);
    }

    pub fn meta(&self, entry: u32) -> Meta {
        Meta::unpack(self.field(entry, Field::Meta))
    }

    pub fn set_meta(&self, entry: u32, meta: Meta) {
        self.set_field(entry, Field::Meta, meta.pack());
    }

    pub fn token(&self, entry: u32) -> u64 {
        self.field(entry, Field::Token)
    }

    pub fn key(&self, entry: u32) -> Key {
        Key([self.field(entry, Field::KeyLow), self.field(entry, Field::KeyHigh)])
    }

    pub fn owner(&self, entry: u32) -> Owner {
        let word = self.field(entry, Field::Owner);
        Owner { pid: word as u32, start: (word >> 32) as u32 }
    }

    pub fn set_owner(&self, entry: u32, owner: Owner) {
        let word = u64::from(owner.pid) | (u64::from(owner.start) << 32);
        self.set_field(entry, Field::Owner, word);
    }

    pub fn since(&self, entry: u32) -> Monotonic {
        Monotonic(self.field(entry, Field::Since))
    }

    pub fn until(&self, entry: u32) -> Monotonic {
        Monotonic(self.field(entry, Field::Until))
    }

    /// The word a waiter sleeps on.
    pub fn signal_word(&self, entry: u32) -> usize {
        self.layout.entry(entry, Field::Signal)
    }

    /// The half of the signal word that changes when its waiter is to wake.
    pub fn signal(&self, entry: u32) -> u32 {
        self.field(entry, Field::Signal) as u32
    }
}
