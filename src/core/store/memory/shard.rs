//! One shard: its words by name, its free blocks, its chains.
//!
//! Nothing read from shared memory is used as a place before it was compared with the layout, and no
//! walk is longer than there are blocks: memory that somebody overwrote is [`Broken`], no endless loop.

use super::layout::{Block, Count, Field, Halves, Layout, Part, Version, pair, unlink, unpair};
use crate::core::lock::host::Words;

/// What the words say cannot be: somebody else wrote there, or, without the mutex, writes there now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken;

/// A shard. Reading needs no mutex if what was read is checked; everything else does.
pub(super) struct Shard<'a, M> {
    pub words: &'a M,
    pub layout: &'a Layout,
    pub index: u32,
    base: usize,
}

impl<'a, M: Words> Shard<'a, M> {
    pub fn new(words: &'a M, layout: &'a Layout, index: u32) -> Shard<'a, M> {
        Shard { words, layout, index, base: layout.base(index) }
    }

    // --- Words ---

    pub fn part(&self, part: Part) -> u64 {
        self.words.load(self.base + part as usize)
    }

    pub fn set_part(&self, part: Part, value: u64) {
        self.words.store(self.base + part as usize, value);
    }

    pub fn count(&self, count: Count) {
        self.words.add(self.base + count as usize, 1);
    }

    pub fn counted(&self, count: Count) -> u64 {
        self.words.load(self.base + count as usize)
    }

    /// Changes a number of the header that is made anew after a kill.
    pub fn adjust(&self, part: Part, more: u32, less: u32) {
        let value = self.part(part).wrapping_add(more.into()).wrapping_sub(less.into());
        self.set_part(part, value);
    }

    pub fn half(&self, array: Halves, at: u32) -> u32 {
        let word = self.words.load(self.base + self.layout.halves(array) + at as usize / 2);
        let (low, high) = unpair(word);
        if at.is_multiple_of(2) { low } else { high }
    }

    pub fn set_half(&self, array: Halves, at: u32, value: u32) {
        let place = self.base + self.layout.halves(array) + at as usize / 2;
        let (low, high) = unpair(self.words.load(place));
        let word = if at.is_multiple_of(2) { pair(value, high) } else { pair(low, value) };
        self.words.store(place, word);
    }

    /// The first word of a block.
    pub fn place(&self, block: Block) -> usize {
        self.base + self.layout.block(block)
    }

    /// The word `at` of a block.
    pub fn word(&self, block: Block, at: usize) -> u64 {
        self.words.load(self.place(block) + at)
    }

    pub fn set_word(&self, block: Block, at: usize, value: u64) {
        self.words.store(self.place(block) + at, value);
    }

    pub fn field(&self, entry: Block, field: Field) -> u64 {
        self.word(entry, field as usize)
    }

    pub fn set_field(&self, entry: Block, field: Field, value: u64) {
        self.set_word(entry, field as usize, value);
    }

    pub fn version(&self, entry: Block) -> Result<Version, Broken> {
        Version::unpack(self.field(entry, Field::Version), self.layout).ok_or(Broken)
    }

    /// The block that a number in shared memory names.
    pub fn block(&self, number: u32) -> Result<Option<Block>, Broken> {
        match number.checked_sub(1) {
            None => Ok(None),
            Some(block) if block < self.layout.blocks() => Ok(Some(Block(block))),
            Some(_) => Err(Broken),
        }
    }

    // --- Chains of blocks ---

    /// The blocks of a chain: `first` and those behind it.
    pub fn chain(&self, first: Block, count: u32) -> impl Iterator<Item = Result<Block, Broken>> {
        let mut last: Option<Block> = None;
        (0..count).map(move |_| {
            // What is behind the last one is not looked at: it is far away from it.
            let block = match last {
                None => first,
                Some(last) => self.block(self.half(Halves::Next, last.0))?.ok_or(Broken)?,
            };
            last = Some(block);
            Ok(block)
        })
    }

    pub fn last_of(&self, first: Block, count: u32) -> Result<Block, Broken> {
        self.chain(first, count).last().ok_or(Broken)?
    }

    pub fn set_next(&self, block: Block, next: Option<Block>) {
        self.set_half(Halves::Next, block.0, unlink(next));
    }

    /// How many blocks are free.
    pub fn free(&self) -> u32 {
        unpair(self.part(Part::Free)).1
    }

    pub fn set_free(&self, first: u32, count: u32) {
        self.set_part(Part::Free, pair(first, count));
    }

    /// Takes a chain of `count` blocks, which are free.
    pub fn take(&self, count: u32) -> Result<Block, Broken> {
        let (first, free) = unpair(self.part(Part::Free));
        let first = self.block(first)?.ok_or(Broken)?;
        let last = self.last_of(first, count)?;
        self.set_free(self.half(Halves::Next, last.0), free.checked_sub(count).ok_or(Broken)?);
        Ok(first)
    }

    /// Gives a chain back.
    pub fn give(&self, first: Block, count: u32) -> Result<(), Broken> {
        let last = self.last_of(first, count)?;
        let (next, free) = unpair(self.part(Part::Free));
        self.set_half(Halves::Next, last.0, next);
        self.set_free(unlink(Some(first)), free.saturating_add(count));
        Ok(())
    }
}
