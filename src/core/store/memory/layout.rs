//! Where the words of the store are and what they say; picture in the parent module.

use crate::core::session::codec::RECORD_MAX;
use crate::core::store::StoreKey;
use crate::core::store::checksum::xxh64;

/// Shards of a server's store.
pub const SHARDS: u32 = 32;
/// Words before the first shard.
pub(super) const HEADER_WORDS: usize = 64;
/// Words of a block.
pub(super) const BLOCK_WORDS: usize = 8;
/// Bytes of a block.
pub(super) const BLOCK: usize = 8 * BLOCK_WORDS;
/// Bytes of a version before its payload.
pub(super) const VERSION_HEAD: usize = 24;

const PARTS: usize = 16;
/// Blocks for each bucket: a session of 400 bytes has eight.
const PER_BUCKET: u32 = 8;
/// Fewest blocks of a shard.
const BLOCKS_MIN: usize = 64;
/// One block in this many is kept for sessions that exist already.
const RESERVE: u32 = 64;

/// Words of a shard that change under its mutex.
#[derive(Clone, Copy)]
pub(super) enum Part {
    /// Somebody is changing the shard, or died while doing so.
    Busy = 0,
    /// First free block (32), how many there are (32).
    Free = 1,
    Records = 2,
    /// Blocks of records without a user.
    Loose = 3,
    /// The bucket where the search for the unused goes on.
    Hand = 4,
    /// No record ends before this second.
    Earliest = 5,
}

/// What [`Part::Busy`] says of a shard that is new, or another server's: not known to be in order.
pub(super) const UNSURE: u64 = 2;

/// Words of a shard that count something.
#[derive(Clone, Copy)]
pub(super) enum Count {
    Expired = 8,
    Evicted = 9,
    Refused = 10,
    Repaired = 11,
    Corrupt = 12,
}

/// Words of an entry behind the key.
#[derive(Clone, Copy)]
pub(super) enum Field {
    /// Next in the bucket (32), next of the users' bucket (32).
    Links = 4,
    Version = 5,
    Incarnation = 6,
    /// Hash of scope and user (32), the second by which the session has ended (32).
    Facts = 7,
}

/// Arrays of half words, two in each.
#[derive(Clone, Copy)]
pub(super) enum Halves {
    /// First entry of each bucket.
    Buckets,
    /// First entry of each bucket of users.
    Users,
    /// The block behind each block.
    Next,
}

/// How much of what there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    bytes: u64,
    shards: u32,
    blocks: u32,
    buckets: u32,
    words: usize,
    first_block: usize,
}

impl Layout {
    /// A store in `bytes` bytes. None if that is too little for so many shards, or too much for
    /// numbers of 32 bits.
    pub fn new(bytes: u64, shards: u32) -> Option<Layout> {
        let words = usize::try_from(bytes / 8).ok()?.checked_sub(HEADER_WORDS)?;
        let words = words.checked_div(shards as usize)? & !(BLOCK_WORDS - 1);
        // A block takes its words, half a word for what is behind it and an eighth for buckets; what
        // is taken off before is more than rounding adds.
        let blocks = words.checked_sub(PARTS + 40)? * 8 / 69;
        let fits =
            blocks >= BLOCKS_MIN && u32::try_from(blocks).is_ok_and(|count| count < u32::MAX);
        let blocks = blocks as u32;
        let buckets = (blocks / PER_BUCKET).next_multiple_of(2 * BLOCK_WORDS as u32);
        let next = (blocks as usize).div_ceil(2).next_multiple_of(BLOCK_WORDS);
        let first_block = PARTS + buckets as usize + next;
        fits.then_some(Layout { bytes, shards, blocks, buckets, words, first_block })
    }

    /// Bytes of the whole.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many shards there are.
    pub fn shards(&self) -> u32 {
        self.shards
    }

    /// Blocks of a shard.
    pub(super) fn blocks(&self) -> u32 {
        self.blocks
    }

    /// Buckets of a shard; as many for keys as for users.
    pub(super) fn buckets(&self) -> u32 {
        self.buckets
    }

    /// Blocks that a new record leaves free, and one that grows: so that those who are there can
    /// always write as much again as they have.
    pub(super) fn reserve(&self) -> u32 {
        self.blocks / RESERVE
    }

    /// Most bytes of an encoded record: two versions of it fit into a shard.
    pub fn record_max(&self) -> usize {
        let blocks = (self.blocks - self.reserve() - 1) / 2;
        (blocks as usize * BLOCK - VERSION_HEAD).min(RECORD_MAX)
    }

    /// The shard of a key: the same in every process. Other bytes decide about leases and buckets.
    pub(super) fn shard_of(&self, key: &StoreKey) -> u32 {
        (key_words(key)[3] % u64::from(self.shards)) as u32
    }

    pub(super) fn bucket_of(&self, key: &StoreKey) -> u32 {
        (key_words(key)[1] % u64::from(self.buckets)) as u32
    }

    /// The bucket of users for a hash of [`user_hash`].
    pub(super) fn user_bucket(&self, hash: u32) -> u32 {
        hash % self.buckets
    }

    /// Where a shard begins.
    pub(super) fn base(&self, shard: u32) -> usize {
        HEADER_WORDS + shard as usize * self.words
    }

    /// Where an array begins in its shard.
    pub(super) fn halves(&self, array: Halves) -> usize {
        let buckets = self.buckets as usize / 2;
        match array {
            Halves::Buckets => PARTS,
            Halves::Users => PARTS + buckets,
            Halves::Next => PARTS + 2 * buckets,
        }
    }

    /// Where a block begins in its shard.
    pub(super) fn block(&self, block: Block) -> usize {
        self.first_block + block.0 as usize * BLOCK_WORDS
    }
}

/// A block of a shard. Shared memory counts them from 1, so that 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block(pub u32);

/// A block, or none, as shared memory says it.
pub(super) fn unlink(block: Option<Block>) -> u32 {
    block.map_or(0, |block| block.0 + 1)
}

/// Two numbers in one word, so that one is never seen without the other.
pub(super) fn pair(low: u32, high: u32) -> u64 {
    u64::from(low) | (u64::from(high) << 32)
}

pub(super) fn unpair(word: u64) -> (u32, u32) {
    (word as u32, (word >> 32) as u32)
}

/// A key as words.
pub(super) fn key_words(key: &StoreKey) -> [u64; 4] {
    let (words, _) = key.as_bytes().as_chunks::<8>();
    std::array::from_fn(|word| words.get(word).map_or(0, |bytes| u64::from_le_bytes(*bytes)))
}

/// The key that words are.
pub(super) fn key_from(words: [u64; 4]) -> StoreKey {
    let mut bytes = [0; 32];
    for (chunk, word) in bytes.chunks_exact_mut(8).zip(words) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    StoreKey::from_bytes(bytes)
}

/// What finds the sessions of a user in a scope.
pub(super) fn user_hash(scope: [u8; 8], user: &str) -> u32 {
    xxh64(user.as_bytes(), u64::from_le_bytes(scope)) as u32
}

/// What an entry says of its version, in one word: the version that counts changes in one store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version {
    /// Its first block.
    pub first: Block,
    /// Bytes of its payload, never 0.
    pub length: usize,
    /// The record has a user.
    pub user: bool,
    /// It was used since the search for the unused came by.
    pub used: bool,
}

const LENGTH_BITS: u32 = 25;
const USER: u64 = 1 << 62;
const USED: u64 = 1 << 63;

const _: () = assert!(RECORD_MAX < 1 << LENGTH_BITS);

impl Version {
    pub fn pack(self) -> u64 {
        let flags = if self.user { USER } else { 0 } | if self.used { USED } else { 0 };
        pair(unlink(Some(self.first)), self.length as u32) | flags
    }

    /// None for what no version is packed to.
    pub fn unpack(word: u64, layout: &Layout) -> Option<Version> {
        let (first, high) = unpair(word);
        let first = first.checked_sub(1).filter(|block| *block < layout.blocks)?;
        let length = (high & ((1 << LENGTH_BITS) - 1)) as usize;
        let (user, used) = (word & USER != 0, word & USED != 0);
        let fits = (1..=layout.record_max()).contains(&length);
        fits.then_some(Version { first: Block(first), length, user, used })
    }

    /// How many blocks it takes.
    pub fn blocks(&self) -> u32 {
        blocks_of(self.length)
    }
}

/// How many blocks a version with a payload of this many bytes takes.
pub(super) fn blocks_of(length: usize) -> u32 {
    (VERSION_HEAD + length).div_ceil(BLOCK) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_fits_and_little_is_left() {
        for (bytes, shards) in [(1 << 20, 32), (64 << 20, 32), (16_000, 1), (1 << 40, 32)] {
            let layout = Layout::new(bytes, shards).unwrap();
            let last = layout.base(shards - 1) + layout.block(Block(layout.blocks));
            assert!(last * 8 <= bytes as usize, "{layout:?}");
            let left = bytes as usize - last * 8;
            assert!(left < shards as usize * 1024 + 8192, "{left} of {layout:?}");
            assert_eq!((layout.base(shards - 1) + layout.block(Block(0))) % BLOCK_WORDS, 0);
        }
        for (bytes, shards) in [(0, 32), (100_000, 32), (1 << 20, 0), (u64::MAX, 1)] {
            assert_eq!(Layout::new(bytes, shards), None, "{bytes} {shards}");
        }
    }

    #[test]
    fn a_version_is_one_word() {
        let layout = Layout::new(64 << 20, 32).unwrap();
        for (user, used) in [(false, false), (true, false), (false, true), (true, true)] {
            for (first, length) in [(0, 1), (layout.blocks - 1, layout.record_max())] {
                let version = Version { first: Block(first), length, user, used };
                assert_eq!(Version::unpack(version.pack(), &layout), Some(version));
            }
        }
        for word in [0, 1, pair(layout.blocks + 1, 1), pair(1, layout.record_max() as u32 + 1)] {
            assert_eq!(Version::unpack(word, &layout), None, "{word:#x}");
        }
    }

    #[test]
    fn a_key_is_four_words() {
        let key = StoreKey::new("tests", &[7; 32]);
        assert_eq!(key_from(key_words(&key)), key);
    }
}
