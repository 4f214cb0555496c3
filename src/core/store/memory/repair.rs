//! A shard made sure of: after a kill in the middle of a change, at its first use by another server, and
//! when something in it cannot be.
//!
//! The chains of the buckets and the versions they lead to are right after every single store, for each
//! is changed by one. All else follows from them and is made anew: free blocks, users, counts, facts.
//! Killed meanwhile, it is done again. What somebody overwrote is dropped where it cannot be followed;
//! a record that is damaged inside stays and is found so when it is read.

use super::entry::{From, Place};
use super::layout::{Block, Count, Field, Halves, Part, UNSURE, Version, pair, unlink, user_hash};
use super::shard::{Broken, Shard};
use super::version::second_after;
use crate::core::lock::host::Words;

/// What is known of a shard after a walk through all of its entries.
struct Survey {
    taken: Vec<bool>,
    records: u64,
    loose: u64,
    earliest: u32,
}

impl Survey {
    /// Notes blocks as taken; false, and none noted, if one of them is already.
    fn claim(&mut self, blocks: &[Block]) -> bool {
        for (at, block) in blocks.iter().enumerate() {
            match self.taken.get_mut(block.0 as usize) {
                Some(taken) if !*taken => *taken = true,
                _ => {
                    blocks[..at].iter().for_each(|block| self.taken[block.0 as usize] = false);
                    return false;
                }
            }
        }
        true
    }

    fn is_taken(&self, block: u32) -> bool {
        self.taken.get(block as usize).is_none_or(|taken| *taken)
    }
}

impl<M: Words> Shard<'_, M> {
    /// Makes all that follows from the entries anew.
    pub(super) fn repair(&self) {
        if self.part(Part::Busy) != UNSURE {
            self.count(Count::Repaired);
        }
        self.mark();
        (0..self.layout.buckets()).for_each(|bucket| self.set_half(Halves::Users, bucket, 0));
        let taken = vec![false; self.layout.blocks() as usize];
        let mut survey = Survey { taken, records: 0, loose: 0, earliest: u32::MAX };
        (0..self.layout.buckets()).for_each(|bucket| self.survey(bucket, &mut survey));
        self.link_free(&survey);
        self.set_part(Part::Records, survey.records);
        self.set_part(Part::Loose, survey.loose);
        self.set_part(Part::Earliest, survey.earliest.into());
        self.set_part(Part::Hand, 0);
        self.settle(Ok(()));
    }

    fn survey(&self, bucket: u32, survey: &mut Survey) {
        let mut from = From::Bucket(bucket);
        // Each round claims a block or takes a link away, so this ends.
        loop {
            let entry = match self.next(from) {
                Ok(Some(entry)) if !survey.is_taken(entry.0) => entry,
                Ok(None) => return,
                Ok(Some(_)) | Err(Broken) => {
                    self.count(Count::Corrupt);
                    return self.lead(from, None);
                }
            };
            let place = Place { entry, from };
            if self.survey_entry(place, bucket, survey).is_ok() {
                from = From::Entry(entry);
            } else {
                self.count(Count::Corrupt);
                let next = self.next(From::Entry(entry)).unwrap_or(None);
                self.lead(from, next.filter(|next| *next != entry));
            }
        }
    }

    fn survey_entry(&self, place: Place, bucket: u32, survey: &mut Survey) -> Result<(), Broken> {
        let (key, version) = (self.key(place.entry), self.version(place.entry)?);
        if self.layout.shard_of(&key) != self.index || self.layout.bucket_of(&key) != bucket {
            return Err(Broken);
        }
        let chain: Result<Vec<Block>, Broken> = std::iter::once(Ok(place.entry))
            .chain(self.chain(version.first, version.blocks()))
            .collect();
        if !survey.claim(&chain?) {
            return Err(Broken);
        }
        let end = self.restate(place.entry, version)?;
        survey.records += 1;
        survey.earliest = survey.earliest.min(end);
        if !self.version(place.entry)?.user {
            survey.loose += u64::from(1 + version.blocks());
        }
        Ok(())
    }

    /// Says again what an entry says of its version: its user and its end.
    fn restate(&self, entry: Block, version: Version) -> Result<u32, Broken> {
        let copied = self.copy(entry)?;
        let end = second_after(copied.visit.deadline);
        let mut user = version.user.then(|| self.user(entry));
        if let Ok(record) = copied.record() {
            user = record.user.map(|user| user_hash(record.scope, &user));
        }
        self.set_field(entry, Field::Facts, pair(user.unwrap_or(0), end));
        let restated = Version { user: user.is_some(), ..version };
        if restated != version {
            self.set_field(entry, Field::Version, restated.pack());
        }
        if let Some(user) = user {
            self.remember_user(entry, user);
        }
        Ok(end)
    }

    fn link_free(&self, survey: &Survey) {
        let (mut next, mut count) = (None, 0);
        // The first ones last, so that records of a new store lie side by side.
        for block in (0..self.layout.blocks()).rev().filter(|block| !survey.is_taken(*block)) {
            self.set_next(Block(block), next);
            next = Some(Block(block));
            count += 1;
        }
        self.set_free(unlink(next), count);
    }
}
