//! Versions of records as bytes: made before a mutex is taken, made sense of after it is given back.

use super::layout::{BLOCK, BLOCK_WORDS, Block, VERSION_HEAD, blocks_of, key_words, user_hash};
use super::shard::{Broken, Shard};
use crate::core::clock::Time;
use crate::core::lock::host::Words;
use crate::core::session::codec::{self, DecodeError};
use crate::core::session::record::Record;
use crate::core::store::checksum::xxh64;
use crate::core::store::{StoreError, StoreKey, Visit};

/// Where a version's sum is: a word of its first block.
const CHECK_WORD: usize = 0;
/// Where its latest visit is, likewise.
pub(super) const DEADLINE_WORD: usize = 1;
pub(super) const ACCESSED_WORD: usize = 2;

/// A version that is to be written: whole blocks.
pub(super) struct Draft {
    bytes: Vec<u8>,
    /// Bytes of the payload.
    pub length: usize,
    /// Sum of the payload, see [`sum`]: which version it is.
    pub check: u64,
    pub incarnation: u64,
    /// Hash of scope and user, if there is a user.
    pub user: Option<u32>,
    /// The second by which the session has ended.
    pub end: u32,
}

impl Draft {
    pub fn new(key: &StoreKey, record: &Record, most: usize) -> Result<Draft, StoreError> {
        let room = VERSION_HEAD + 128 + record.bytes() + 24 * record.values.len() + BLOCK;
        let mut bytes = Vec::with_capacity(room);
        bytes.resize(VERSION_HEAD, 0);
        codec::encode_into(record, &mut bytes)?;
        let length = bytes.len() - VERSION_HEAD;
        if length > most {
            return Err(StoreError::TooLarge(most));
        }
        let check = sum(&bytes[VERSION_HEAD..], key, record.incarnation);
        let head = [check, record.deadline.0, record.accessed.0];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(head) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        bytes.resize(blocks_of(length) as usize * BLOCK, 0);
        let user = record.user.as_deref().map(|user| user_hash(record.scope, user));
        let end = second_after(record.deadline);
        Ok(Draft { bytes, length, check, incarnation: record.incarnation, user, end })
    }

    pub fn blocks(&self) -> u32 {
        blocks_of(self.length)
    }
}

/// The sum of a payload, which is that of no other entry with the same bytes: words of an entry that
/// somebody wrote over may lead to the version of another one.
fn sum(payload: &[u8], key: &StoreKey, incarnation: u64) -> u64 {
    let seed = key_words(key).into_iter().fold(incarnation, |seed, word| {
        // Turned, since equal words would undo one another.
        seed.rotate_left(17).wrapping_add(word)
    });
    xxh64(payload, seed)
}

/// The second by which a time has passed; the last one for all that come later.
pub(super) fn second_after(time: Time) -> u32 {
    u32::try_from(time.0.div_ceil(1_000_000)).unwrap_or(u32::MAX)
}

/// An entry as it was read, not yet made sense of.
pub(super) struct Copied {
    pub key: StoreKey,
    pub incarnation: u64,
    pub visit: Visit,
    /// As in [`Draft`].
    pub check: u64,
    bytes: Vec<u8>,
    length: usize,
}

impl Copied {
    fn payload(&self) -> &[u8] {
        self.bytes.get(VERSION_HEAD..VERSION_HEAD + self.length).unwrap_or_default()
    }

    /// The sum of its bytes.
    pub fn sum(&self) -> u64 {
        sum(self.payload(), &self.key, self.incarnation)
    }

    /// Whether its bytes are those that were written.
    pub fn is_whole(&self) -> bool {
        self.check == self.sum()
    }

    /// Bytes it takes in memory, its entry among them.
    pub fn taken(&self) -> u64 {
        (BLOCK + self.bytes.len()) as u64
    }

    /// The record, with the times of its latest visit.
    pub fn record(&self) -> Result<Record, StoreError> {
        if !self.is_whole() {
            return Err(StoreError::Corrupt);
        }
        match codec::decode(self.payload()) {
            Ok(record) if record.incarnation != self.incarnation => Err(StoreError::Corrupt),
            Ok(mut record) => {
                record.accessed = record.accessed.max(self.visit.accessed);
                record.deadline = record.deadline.max(self.visit.deadline);
                Ok(record)
            }
            Err(DecodeError::Malformed) => Err(StoreError::Corrupt),
            Err(DecodeError::Newer(format)) => Err(StoreError::Newer(format)),
        }
    }
}

impl<M: Words> Shard<'_, M> {
    /// Writes a draft into a chain of free blocks.
    pub(super) fn write(&self, first: Block, draft: &Draft) -> Result<(), Broken> {
        let (blocks, _) = draft.bytes.as_chunks::<BLOCK>();
        for (at, bytes) in self.chain(first, draft.blocks()).zip(blocks) {
            let place = self.place(at?);
            let (words, _) = bytes.as_chunks::<8>();
            for (offset, word) in words.iter().enumerate() {
                self.words.store(place + offset, u64::from_le_bytes(*word));
            }
        }
        Ok(())
    }

    /// Reads an entry. [`Broken`] if it changes meanwhile, which it does without the mutex only.
    pub(super) fn copy(&self, entry: Block) -> Result<Copied, Broken> {
        let (key, incarnation) = (self.key(entry), self.incarnation(entry));
        let version = self.version(entry)?;
        let count = version.blocks();
        // Not zeroed first: that takes another way through the allocator, and a slow one.
        let mut bytes = Vec::with_capacity(count as usize * BLOCK);
        for at in self.chain(version.first, count) {
            let place = self.place(at?);
            let words: [[u8; 8]; BLOCK_WORDS] =
                std::array::from_fn(|offset| self.words.load(place + offset).to_le_bytes());
            bytes.extend_from_slice(words.as_flattened());
        }
        let now = self.version(entry)?;
        let same = (now.first, now.length) == (version.first, version.length)
            && self.key(entry) == key
            && self.incarnation(entry) == incarnation;
        let [check, deadline, accessed] = [CHECK_WORD, DEADLINE_WORD, ACCESSED_WORD].map(|word| {
            let number = bytes[8 * word..].first_chunk::<8>();
            number.map_or(0, |number| u64::from_le_bytes(*number))
        });
        let visit = Visit { accessed: Time(accessed), deadline: Time(deadline) };
        let copied = Copied { key, incarnation, visit, check, bytes, length: version.length };
        same.then_some(copied).ok_or(Broken)
    }

    /// Which version an entry has, see [`Draft::check`].
    pub(super) fn check(&self, entry: Block) -> Result<u64, Broken> {
        Ok(self.word(self.version(entry)?.first, CHECK_WORD))
    }

    /// The latest visit of an entry.
    pub(super) fn visit(&self, entry: Block) -> Result<Visit, Broken> {
        let first = self.version(entry)?.first;
        let [accessed, deadline] =
            [ACCESSED_WORD, DEADLINE_WORD].map(|word| Time(self.word(first, word)));
        Ok(Visit { accessed, deadline })
    }
}
