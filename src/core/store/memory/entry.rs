//! Entries: found by their key, made, given another version, removed.
//!
//! Each of the last three is committed by one store: of a bucket's head or a link to it, or of the word
//! that names the version. What else changes is made anew if the process dies around it, so it stands
//! under the shard's mark. What fails behind that store leaves the mark set and is no failure.

use super::layout::{
    Block, Field, Halves, Part, Version, key_from, key_words, pair, unlink, unpair,
};
use super::shard::{Broken, Shard};
use super::version::{ACCESSED_WORD, DEADLINE_WORD, Draft, second_after};
use crate::core::lock::host::Words;
use crate::core::store::{StoreKey, Visit};

/// Where a link to an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    /// In the bucket.
    Bucket(u32),
    /// In the entry before it.
    Entry(Block),
}

/// An entry, and what leads to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub entry: Block,
    pub from: From,
}

impl<M: Words> Shard<'_, M> {
    pub(super) fn key(&self, entry: Block) -> StoreKey {
        key_from(std::array::from_fn(|word| self.word(entry, word)))
    }

    pub(super) fn incarnation(&self, entry: Block) -> u64 {
        self.field(entry, Field::Incarnation)
    }

    /// The entries of a bucket.
    pub(super) fn bucket(&self, bucket: u32) -> impl Iterator<Item = Result<Place, Broken>> {
        let mut from = From::Bucket(bucket);
        let mut left = self.layout.blocks();
        std::iter::from_fn(move || {
            let place = match self.next(from) {
                Ok(None) => return None,
                Ok(Some(entry)) if left > 0 => Ok(Place { entry, from }),
                _ => Err(Broken),
            };
            left = left.saturating_sub(1);
            match place {
                Ok(place) => from = From::Entry(place.entry),
                // The end: what is behind nonsense is nonsense.
                Err(Broken) => from = From::Bucket(u32::MAX),
            }
            Some(place)
        })
    }

    pub(super) fn next(&self, from: From) -> Result<Option<Block>, Broken> {
        match from {
            From::Bucket(bucket) if bucket >= self.layout.buckets() => Ok(None),
            From::Bucket(bucket) => self.block(self.half(Halves::Buckets, bucket)),
            From::Entry(entry) => self.block(unpair(self.field(entry, Field::Links)).0),
        }
    }

    /// Makes what led to an entry lead to another one.
    pub(super) fn lead(&self, from: From, to: Option<Block>) {
        match from {
            From::Bucket(bucket) => self.set_half(Halves::Buckets, bucket, unlink(to)),
            From::Entry(entry) => {
                let (_, user) = unpair(self.field(entry, Field::Links));
                self.set_field(entry, Field::Links, pair(unlink(to), user));
            }
        }
    }

    /// The entry of a key.
    pub(super) fn find(&self, key: &StoreKey) -> Result<Option<Place>, Broken> {
        let words = key_words(key);
        for place in self.bucket(self.layout.bucket_of(key)) {
            let place = place?;
            if (0..4).all(|word| self.word(place.entry, word) == words[word]) {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    pub(super) fn mark(&self) {
        self.set_part(Part::Busy, 1);
    }

    /// Ends what [`Shard::mark`] began, if it was finished.
    pub(super) fn settle(&self, finished: Result<(), Broken>) {
        if finished.is_ok() {
            self.set_part(Part::Busy, 0);
        }
    }

    /// Makes an entry for a key that has none; there is room.
    pub(super) fn insert(&self, key: &StoreKey, draft: &Draft) -> Result<(), Broken> {
        self.mark();
        let blocks = 1 + draft.blocks();
        let entry = self.take(blocks)?;
        let first = self.block(self.half(Halves::Next, entry.0))?.ok_or(Broken)?;
        self.write(first, draft)?;
        let version =
            Version { first, length: draft.length, user: draft.user.is_some(), used: true };
        for (word, value) in key_words(key).into_iter().enumerate() {
            self.set_word(entry, word, value);
        }
        let bucket = self.layout.bucket_of(key);
        self.set_field(entry, Field::Links, pair(self.half(Halves::Buckets, bucket), 0));
        self.set_field(entry, Field::Version, version.pack());
        self.set_field(entry, Field::Incarnation, draft.incarnation);
        self.set_field(entry, Field::Facts, pair(draft.user.unwrap_or(0), draft.end));
        self.lead(From::Bucket(bucket), Some(entry));
        self.adjust(Part::Records, 1, 0);
        self.appear(entry, draft.user, blocks, draft.end);
        self.settle(Ok(()));
        Ok(())
    }

    /// Gives an entry another version; there is room.
    pub(super) fn replace(&self, entry: Block, draft: &Draft) -> Result<(), Broken> {
        let before = self.version(entry)?;
        let (user, _) = unpair(self.field(entry, Field::Facts));
        self.mark();
        let first = self.take(draft.blocks())?;
        self.write(first, draft)?;
        let stays = before.user == draft.user.is_some() && draft.user.is_none_or(|new| new == user);
        if !stays && before.user {
            self.forget_user(entry, user)?;
        }
        let version =
            Version { first, length: draft.length, user: draft.user.is_some(), used: true };
        self.set_field(entry, Field::Facts, pair(draft.user.unwrap_or(0), draft.end));
        self.set_field(entry, Field::Version, version.pack());
        if !before.user {
            self.adjust(Part::Loose, 0, 1 + before.blocks());
        }
        let user = draft.user.filter(|_| !stays);
        self.appear_again(entry, version, user, draft.end);
        self.settle(self.give(before.first, before.blocks()));
        Ok(())
    }

    /// Removes an entry. False: it is gone, and what belonged to it is given back by the next repair.
    pub(super) fn remove(&self, place: Place) -> Result<bool, Broken> {
        let Place { entry, from } = place;
        let next = self.next(From::Entry(entry))?;
        self.mark();
        self.lead(from, next);
        let cleared = self.clear(entry);
        self.settle(cleared);
        Ok(cleared.is_ok())
    }

    /// Gives back what belonged to an entry that nothing leads to any more.
    fn clear(&self, entry: Block) -> Result<(), Broken> {
        let version = self.version(entry)?;
        let blocks = 1 + version.blocks();
        if version.user {
            let (user, _) = unpair(self.field(entry, Field::Facts));
            self.forget_user(entry, user)?;
        } else {
            self.adjust(Part::Loose, 0, blocks);
        }
        self.adjust(Part::Records, 0, 1);
        self.set_next(entry, Some(version.first));
        self.give(entry, blocks)
    }

    fn appear(&self, entry: Block, user: Option<u32>, blocks: u32, end: u32) {
        match user {
            Some(user) => self.remember_user(entry, user),
            None => self.adjust(Part::Loose, blocks, 0),
        }
        self.expect_end(end);
    }

    fn appear_again(&self, entry: Block, version: Version, new_user: Option<u32>, end: u32) {
        if let Some(user) = new_user {
            self.remember_user(entry, user);
        }
        if !version.user {
            self.adjust(Part::Loose, 1 + version.blocks(), 0);
        }
        self.expect_end(end);
    }

    fn expect_end(&self, end: u32) {
        if u64::from(end) < self.part(Part::Earliest) {
            self.set_part(Part::Earliest, end.into());
        }
    }

    /// Notes that an entry is in use.
    pub(super) fn note_use(&self, entry: Block) -> Result<(), Broken> {
        let version = self.version(entry)?;
        if !version.used {
            self.set_field(entry, Field::Version, Version { used: true, ..version }.pack());
        }
        Ok(())
    }

    /// Records a visit. Each word is good by itself: killed in between, the session lives as long as the
    /// visit asked for, and shows the one before.
    pub(super) fn touch(&self, entry: Block, visit: Visit) -> Result<(), Broken> {
        let before = self.visit(entry)?;
        let first = self.version(entry)?.first;
        if visit.deadline > before.deadline {
            self.set_word(first, DEADLINE_WORD, visit.deadline.0);
            let (user, _) = unpair(self.field(entry, Field::Facts));
            self.set_field(entry, Field::Facts, pair(user, second_after(visit.deadline)));
        }
        if visit.accessed > before.accessed {
            self.set_word(first, ACCESSED_WORD, visit.accessed.0);
        }
        self.note_use(entry)
    }
}
