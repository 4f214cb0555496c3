//! Records in memory that all processes share: a file that is mapped, so that they outlive the server.
//!
//! ```text
//! word   0  header   0 layout version   1, 2 boot id   3 bytes   4 shards   5 sum of words 1 to 4
//!                    6 process id of the server
//!       64  shard 0  0 busy mark        1 first free block (32), free blocks (32)
//!                    2 records          3 blocks of records without a user
//!                    4 hand             5 second before which nothing ends
//!                    8 dropped when ended   9 dropped unused   10 refused
//!                   11 repairs         12 damaged records dropped
//!            + 16    K half words: the first entry of each bucket
//!            + K/2   K half words: the first entry of each bucket of users
//!            + K/2   B half words: the block behind each block
//!            + B/2   B blocks of 8 words
//! 64 + w    shard 1  …                                          w: words of a shard
//!
//! entry     a block  0 … 3 store key
//!                    4 next in its bucket (32), next of its bucket of users (32)
//!                    5 version: first block (32), bytes of payload (25), user (bit 62), used (bit 63)
//!                    6 incarnation     7 hash of scope and user (32), second of its end (32)
//!
//! version   a chain  0 XXH64 of the payload, seeded with incarnation and key
//!           of       1 deadline (µs)   2 accessed (µs): of the latest visit
//!           blocks   3 … payload: what the codec makes of a record; zeros behind it
//! ```
//!
//! Blocks are counted from 1, so that zero words name none. The picture is exact: `layout` is its code.
//!
//! - A shard changes under its mutex, of which each shard has its own. The last 8 bytes of a key decide
//!   about the shard and others about the bucket, the slot of the lease table and its mutex.
//! - Two versions: an update writes the new one into free blocks, then names it in the entry by one
//!   store, then frees the old one. A record appears and goes by one store to a chain. So whatever
//!   store a process is killed before, each record is as it was or as it is to be. All else follows
//!   from those chains; a process that changes it sets the busy mark, and who finds the mark set makes
//!   it anew (`repair`).
//! - A visit is two words of the version: killed between them, the session lives as long as the visit
//!   asked for.
//! - Reading takes the mutex to copy bytes out, no longer. What they are is found out afterwards:
//!   bytes whose sum is wrong are a damaged record and never one that was not written.
//! - A shard that is full drops what has ended, then the longest unused without a user (`room`), then
//!   refuses. Who has a user stays. A few blocks are kept for those who exist already, so that they
//!   can write when nothing new fits.
//! - A record has at most half of a shard. There is nowhere to put a damaged one aside: it goes.

mod entry;
mod header;
mod layout;
mod repair;
mod room;
mod shard;
mod snapshot;
#[cfg(test)]
mod tests;
mod users;
mod version;
mod walk;

use std::sync::Arc;

pub use self::header::{Boot, Misfit, PID_WORD, check, claim, create, distrust, read};
use self::layout::{Count, Part, user_hash};
pub use self::layout::{Layout, SHARDS};
use self::room::Need;
use self::shard::{Broken, Shard};
pub use self::snapshot::Snapshot;
use self::version::{Copied, Draft};
use self::walk::Walk;
use super::{
    Abilities, Entry, Held, Loaded, Merge, Position, Purged, Stale, Stats, Store, StoreError,
    StoreKey, Visit,
};
use crate::core::clock::{Clock, SystemClock};
use crate::core::lock::host::Words;
use crate::core::lock::{SlotGuard, SlotMutexes};
use crate::core::session::record::Record;

/// The name of its file, in `SessionDataDir` or the runtime directory.
pub const FILE: &std::ffi::CStr = c"session_store.memory";

/// The directive that bounds the store.
const BOUND: &str = "SessionMemorySize";

/// Records in shared memory, as one process sees them.
pub struct MemoryStore<M, C = SystemClock> {
    words: M,
    layout: Layout,
    mutexes: Arc<dyn SlotMutexes>,
    clock: C,
}

/// What a verb makes of a shard: nonsense in it is repaired and the verb done again, so nothing may
/// have been committed before.
type Done<T> = Result<Result<T, StoreError>, Broken>;

impl<M: Words, C: Clock> MemoryStore<M, C> {
    /// Opens the store that [`create`] made in `words`. `mutexes` are as many as there are shards.
    pub fn open(
        words: M,
        layout: Layout,
        mutexes: Arc<dyn SlotMutexes>,
        clock: C,
    ) -> MemoryStore<M, C> {
        MemoryStore { words, layout, mutexes, clock }
    }

    fn lock(&self, index: u32) -> Result<(SlotGuard<'_>, Shard<'_, M>), StoreError> {
        let mutexes = &*self.mutexes;
        let guard = SlotGuard::lock(mutexes, index % mutexes.count().max(1))?;
        Ok((guard, Shard::new(&self.words, &self.layout, index)))
    }

    /// Runs `work` on a shard under its mutex.
    fn within<T>(
        &self,
        index: u32,
        work: impl FnMut(&Shard<'_, M>) -> Done<T>,
    ) -> Result<T, StoreError> {
        let (_guard, shard) = self.lock(index)?;
        sure(&shard, work)
    }

    fn with_key<T>(
        &self,
        key: &StoreKey,
        work: impl FnMut(&Shard<'_, M>) -> Done<T>,
    ) -> Result<T, StoreError> {
        self.within(self.layout.shard_of(key), work)
    }

    fn room(&self, shard: &Shard<'_, M>, need: Need) -> Done<()> {
        let has_room = shard.make_room(need, || self.clock.now())?;
        Ok(if has_room { Ok(()) } else { Err(StoreError::Full(BOUND)) })
    }

    fn put(
        &self,
        shard: &Shard<'_, M>,
        key: &StoreKey,
        draft: &Draft,
        version: Option<u64>,
    ) -> Done<()> {
        let Some(place) = shard.find(key)? else { return Ok(Err(StoreError::Gone)) };
        if shard.incarnation(place.entry) != draft.incarnation {
            return Ok(Err(StoreError::Gone));
        }
        if let Some(expected) = version
            && shard.check(place.entry)? != expected
        {
            return Ok(Err(StoreError::Overtaken));
        }
        let before = shard.version(place.entry)?.blocks();
        let need = Need { blocks: draft.blocks(), instead: Some((place.entry, before)) };
        if let Err(full) = self.room(shard, need)? {
            return Ok(Err(full));
        }
        shard.replace(place.entry, draft).map(Ok)
    }

    /// Walks over all records; `see` gets each with its key, until it returns false.
    fn walk(
        &self,
        from: &Position,
        mut see: impl FnMut(Copied) -> Result<bool, StoreError>,
    ) -> Result<Option<Position>, StoreError> {
        let mut walk = Walk::new(from, &self.layout);
        while !walk.is_over(&self.layout) {
            let batch = self.within(walk.shard, |shard| walk.batch(shard).map(Ok))?;
            for copied in batch {
                let key = copied.key;
                if !see(copied)? {
                    return Ok(Some(key.into()));
                }
            }
        }
        Ok(None)
    }

    fn remove_if(
        &self,
        key: &StoreKey,
        goes: impl Fn(&Copied) -> bool,
        why: Option<Count>,
    ) -> Result<bool, StoreError> {
        self.with_key(key, |shard| {
            let Some(place) = shard.find(key)? else { return Ok(Ok(false)) };
            let going = goes(&shard.copy(place.entry)?);
            if going {
                shard.remove(place)?;
                why.into_iter().for_each(|why| shard.count(why));
            }
            Ok(Ok(going))
        })
    }
}

/// Runs `work` on a shard that is in order; puts it in order if it turns out not to be.
fn sure<M: Words, T>(
    shard: &Shard<'_, M>,
    mut work: impl FnMut(&Shard<'_, M>) -> Done<T>,
) -> Result<T, StoreError> {
    if shard.part(Part::Busy) != 0 {
        shard.repair();
    }
    match work(shard) {
        Ok(result) => result,
        Err(Broken) => {
            shard.repair();
            work(shard).unwrap_or(Err(StoreError::Corrupt))
        }
    }
}

fn is_damaged(copied: &Copied) -> bool {
    matches!(copied.record(), Err(StoreError::Corrupt))
}

impl<M: Words, C: Clock> Store for MemoryStore<M, C> {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn abilities(&self) -> Abilities {
        Abilities { survives_kill: true, lists: true, compares: true }
    }

    fn create(&self, key: &StoreKey, record: &Record) -> Result<(), StoreError> {
        let draft = Draft::new(key, record, self.layout.record_max())?;
        self.with_key(key, |shard| {
            if shard.find(key)?.is_some() {
                return Ok(Err(StoreError::Exists));
            }
            let need = Need { blocks: 1 + draft.blocks(), instead: None };
            if let Err(full) = self.room(shard, need)? {
                return Ok(Err(full));
            }
            shard.insert(key, &draft).map(Ok)
        })
    }

    fn load(&self, key: &StoreKey) -> Result<Option<Loaded>, StoreError> {
        let copied = self.with_key(key, |shard| {
            let Some(place) = shard.find(key)? else { return Ok(Ok(None)) };
            shard.note_use(place.entry)?;
            shard.copy(place.entry).map(|copied| Ok(Some(copied)))
        })?;
        let Some(copied) = copied else { return Ok(None) };
        Ok(Some(Loaded { record: copied.record()?, held: Held::version(copied.check) }))
    }

    fn update(&self, key: &StoreKey, held: Held, record: &Record) -> Result<Held, StoreError> {
        let draft = Draft::new(key, record, self.layout.record_max())?;
        self.with_key(key, |shard| self.put(shard, key, &draft, held.version))?;
        Ok(Held::version(draft.check))
    }

    fn merge(
        &self,
        key: &StoreKey,
        incarnation: u64,
        change: &mut dyn FnMut(Record) -> Merge,
    ) -> Result<(), StoreError> {
        let (_guard, shard) = self.lock(self.layout.shard_of(key))?;
        let found = sure(&shard, |shard| {
            let place = shard.find(key)?;
            let place = place.filter(|place| shard.incarnation(place.entry) == incarnation);
            place.map(|place| shard.copy(place.entry)).transpose().map(Ok)
        })?;
        match change(found.ok_or(StoreError::Gone)?.record()?) {
            Merge::Keep => Ok(()),
            Merge::Write(changed) if changed.incarnation != incarnation => Err(StoreError::Gone),
            Merge::Write(changed) => {
                let draft = Draft::new(key, &changed, self.layout.record_max())?;
                sure(&shard, |shard| self.put(shard, key, &draft, None))
            }
        }
    }

    fn touch(
        &self,
        key: &StoreKey,
        _: &Held,
        incarnation: u64,
        visit: Visit,
    ) -> Result<(), StoreError> {
        self.with_key(key, |shard| match shard.find(key)? {
            Some(place) if shard.incarnation(place.entry) == incarnation => {
                shard.touch(place.entry, visit).map(Ok)
            }
            _ => Ok(Err(StoreError::Gone)),
        })
    }

    fn delete(&self, key: &StoreKey, incarnation: Option<u64>) -> Result<bool, StoreError> {
        let named = |found| incarnation.is_none_or(|incarnation| incarnation == found);
        self.with_key(key, |shard| match shard.find(key)? {
            Some(place) if named(shard.incarnation(place.entry)) => {
                shard.remove(place).map(|_| Ok(true))
            }
            _ => Ok(Ok(false)),
        })
    }

    fn quarantine(&self, key: &StoreKey) -> Result<bool, StoreError> {
        self.remove_if(key, is_damaged, Some(Count::Corrupt))
    }

    fn scan(
        &self,
        from: &Position,
        see: &mut dyn FnMut(Entry) -> bool,
    ) -> Result<Option<Position>, StoreError> {
        self.walk(from, |copied| Ok(see(entry_of(&copied))))
    }

    fn purge(
        &self,
        stale: Stale,
        from: &Position,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Purged, StoreError> {
        let mut purged = Purged { next: Some(from.clone()), ..Purged::default() };
        let (mut seen, mut removed, mut corrupt, mut last) = (0, 0, 0, from.clone());
        let end = self.walk(from, |copied| {
            if !go_on() {
                return Ok(false);
            }
            let key = copied.key;
            seen += 1;
            if !copied.is_whole() {
                corrupt += u64::from(self.quarantine(&key)?);
            } else if stale.was(copied.visit) {
                let goes = |now: &Copied| stale.was(now.visit);
                removed += u64::from(self.remove_if(&key, goes, None)?);
            }
            last = key.into();
            Ok(true)
        })?;
        purged.next = end.map(|_| last);
        Ok(Purged { seen, removed, corrupt, ..purged })
    }

    fn of_user(&self, scope: [u8; 8], user: &str) -> Result<Vec<StoreKey>, StoreError> {
        let hash = user_hash(scope, user);
        let mut keys = Vec::new();
        for index in 0..self.layout.shards() {
            let found = self.within(index, |shard| {
                let all: Result<Vec<Copied>, Broken> =
                    shard.of_user(hash).map(|entry| shard.copy(entry?)).collect();
                all.map(Ok)
            })?;
            let his =
                |record: Record| record.scope == scope && record.user.as_deref() == Some(user);
            keys.extend(
                found.iter().filter(|it| it.record().is_ok_and(his)).map(|copied| copied.key),
            );
        }
        Ok(keys)
    }

    fn stats(&self) -> Result<Stats, StoreError> {
        Ok(snapshot::figures(&self.words, &self.layout))
    }
}

fn entry_of(copied: &Copied) -> Entry {
    Entry { key: copied.key, record: copied.record(), bytes: copied.taken() }
}
