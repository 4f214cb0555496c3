//! What happens when a shard is full: first what has ended goes, then the longest unused without a user.
//!
//! "Longest unused" is the order of a clock: a hand goes round the buckets, takes the note of use off
//! what has one, and removes what had none since it last came by. So nothing has to be sorted or moved
//! when a session is used, and a flood of new sessions removes itself rather than those who come back.

use super::entry::Place;
use super::layout::{Block, Count, Field, Part, Version, unpair};
use super::shard::{Broken, Shard};
use super::version::second_after;
use crate::core::clock::Time;
use crate::core::lock::host::Words;

/// What is to be written.
#[derive(Clone, Copy)]
pub(super) struct Need {
    /// Free blocks that it takes.
    pub blocks: u32,
    /// The entry it is for, which stays whatever happens, and the blocks that are free afterwards.
    pub instead: Option<(Block, u32)>,
}

impl<M: Words> Shard<'_, M> {
    /// Makes room; false if those who may go do not suffice. Then none of them went.
    pub(super) fn make_room(&self, need: Need, now: impl FnOnce() -> Time) -> Result<bool, Broken> {
        let wanted = self.wanted(need);
        if self.free() >= wanted {
            return Ok(true);
        }
        let stays = need.instead.map(|(entry, _)| entry);
        let now = now();
        if now.secs() >= self.part(Part::Earliest) {
            self.drop_ended(now, stays)?;
        }
        if self.free() >= wanted {
            return Ok(true);
        }
        let loose = match stays.map(|entry| self.version(entry)).transpose()? {
            Some(version) if !version.user => {
                self.part(Part::Loose).saturating_sub(u64::from(1 + version.blocks()))
            }
            _ => self.part(Part::Loose),
        };
        if u64::from(self.free()) + loose < wanted.into() {
            self.count(Count::Refused);
            return Ok(false);
        }
        while self.free() < wanted {
            let unused = self.next_unused(stays)?;
            self.drop_one(unused, Count::Evicted)?;
        }
        Ok(true)
    }

    /// Removes a record that gives room: all of its blocks, or nobody goes on to remove more.
    fn drop_one(&self, place: Place, why: Count) -> Result<(), Broken> {
        let cleared = self.remove(place)?;
        self.count(why);
        cleared.then_some(()).ok_or(Broken)
    }

    /// How many blocks have to be free. What does not grow may use up the reserve.
    fn wanted(&self, need: Need) -> u32 {
        let freed = need.instead.map_or(0, |(_, blocks)| blocks);
        match need.blocks.saturating_sub(freed) {
            0 => need.blocks,
            more => need.blocks.max(self.layout.reserve() + more),
        }
    }

    /// Removes every record that has ended, and finds out when the next one does.
    fn drop_ended(&self, now: Time, stays: Option<Block>) -> Result<(), Broken> {
        let mut earliest = u32::MAX;
        for bucket in 0..self.layout.buckets() {
            let places: Result<Vec<Place>, Broken> = self.bucket(bucket).collect();
            // From the last one on: a place names the entry before it.
            for place in places?.into_iter().rev() {
                let (_, end) = unpair(self.field(place.entry, Field::Facts));
                let may_go = Some(place.entry) != stays && u64::from(end) <= now.secs();
                if may_go && self.visit(place.entry)?.deadline < now {
                    self.drop_one(place, Count::Expired)?;
                } else {
                    earliest = earliest.min(end);
                }
            }
        }
        // Once a second at most: a full shard may be asked for room often.
        self.set_part(Part::Earliest, earliest.max(second_after(now)).into());
        Ok(())
    }

    /// The next one without a user that nobody used since the hand came by.
    fn next_unused(&self, stays: Option<Block>) -> Result<Place, Broken> {
        let buckets = self.layout.buckets();
        let mut hand = self.part(Part::Hand) as u32 % buckets;
        // Twice round: the first time may do no more than take notes of use off.
        for _ in 0..=2 * buckets {
            for place in self.bucket(hand) {
                let place = place?;
                let version = self.version(place.entry)?;
                if version.user || Some(place.entry) == stays {
                    continue;
                }
                if !version.used {
                    self.set_part(Part::Hand, hand.into());
                    return Ok(place);
                }
                let unused = Version { used: false, ..version };
                self.set_field(place.entry, Field::Version, unused.pack());
            }
            hand = (hand + 1) % buckets;
        }
        Err(Broken)
    }
}
