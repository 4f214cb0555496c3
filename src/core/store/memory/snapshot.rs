//! The store as somebody sees it who has none of its mutexes: a tool beside a running server.

use super::layout::{BLOCK, Count, Layout, Part};
use super::shard::{Broken, Shard};
use super::walk::Walk;
use super::{Misfit, entry_of, header};
use crate::core::lock::host::Words;
use crate::core::session::record::Record;
use crate::core::store::{
    Abilities, Entry, Held, Loaded, Merge, Position, Stats, Store, StoreError, StoreKey, Visit,
};

/// How often what changes under the eyes is looked at again before it counts as damaged.
const TRIES: u32 = 100;

/// Records in shared memory that others write: to be read only.
///
/// An entry that changes while it is copied is copied again; its sum tells a whole record from one that
/// is half another's.
pub struct Snapshot<M> {
    words: M,
    layout: Layout,
}

impl<M: Words> Snapshot<M> {
    /// Looks at `bytes` bytes of memory.
    ///
    /// # Errors
    /// There is no store in it that this release knows.
    pub fn open(words: M, bytes: u64) -> Result<Snapshot<M>, Misfit> {
        let (layout, _) = header::read(&words, bytes)?;
        Ok(Snapshot { words, layout })
    }

    fn shard(&self, index: u32) -> Shard<'_, M> {
        Shard::new(&self.words, &self.layout, index)
    }
}

/// Looks until nothing changed meanwhile.
fn steady<T>(mut look: impl FnMut() -> Result<T, Broken>) -> Result<T, StoreError> {
    for _ in 0..TRIES {
        match look() {
            Ok(seen) => return Ok(seen),
            Err(Broken) => std::thread::yield_now(),
        }
    }
    Err(StoreError::Corrupt)
}

impl<M: Words> Store for Snapshot<M> {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn abilities(&self) -> Abilities {
        Abilities { survives_kill: true, lists: true, compares: false }
    }

    fn create(&self, _: &StoreKey, _: &Record) -> Result<(), StoreError> {
        Err(StoreError::Unsupported)
    }

    fn load(&self, key: &StoreKey) -> Result<Option<Loaded>, StoreError> {
        let shard = self.shard(self.layout.shard_of(key));
        let look = || {
            let Some(place) = shard.find(key)? else { return Ok(None) };
            let copied = shard.copy(place.entry)?;
            if copied.key == *key && copied.is_whole() { Ok(Some(copied)) } else { Err(Broken) }
        };
        let record = steady(look)?.map(|copied| copied.record()).transpose()?;
        Ok(record.map(|record| Loaded { record, held: Held::default() }))
    }

    fn update(&self, _: &StoreKey, _: Held, _: &Record) -> Result<Held, StoreError> {
        Err(StoreError::Unsupported)
    }

    fn merge(
        &self,
        _: &StoreKey,
        _: u64,
        _: &mut dyn FnMut(Record) -> Merge,
    ) -> Result<(), StoreError> {
        Err(StoreError::Unsupported)
    }

    fn touch(&self, _: &StoreKey, _: &Held, _: u64, _: Visit) -> Result<(), StoreError> {
        Err(StoreError::Unsupported)
    }

    fn delete(&self, _: &StoreKey, _: Option<u64>) -> Result<bool, StoreError> {
        Err(StoreError::Unsupported)
    }

    fn quarantine(&self, _: &StoreKey) -> Result<bool, StoreError> {
        Err(StoreError::Unsupported)
    }

    fn scan(
        &self,
        from: &Position,
        see: &mut dyn FnMut(Entry) -> bool,
    ) -> Result<Option<Position>, StoreError> {
        let mut walk = Walk::new(from, &self.layout);
        while !walk.is_over(&self.layout) {
            let shard = self.shard(walk.shard);
            for copied in steady(|| walk.batch(&shard))? {
                // One that was torn is read again by its key; it may be gone.
                let entry = if copied.is_whole() {
                    entry_of(&copied)
                } else {
                    match self.load(&copied.key) {
                        Ok(None) => continue,
                        Ok(Some(loaded)) => {
                            Entry { record: Ok(loaded.record), ..entry_of(&copied) }
                        }
                        Err(cause) => Entry { record: Err(cause), ..entry_of(&copied) },
                    }
                };
                if !see(entry) {
                    return Ok(Some(copied.key.into()));
                }
            }
        }
        Ok(None)
    }

    fn stats(&self) -> Result<Stats, StoreError> {
        Ok(figures(&self.words, &self.layout))
    }
}

/// What the words of the shards' headers say; exact while nobody writes.
pub(super) fn figures<M: Words>(words: &M, layout: &Layout) -> Stats {
    let sum = |of: &dyn Fn(&Shard<'_, M>) -> u64| {
        (0..layout.shards()).map(|index| of(&Shard::new(words, layout, index))).sum()
    };
    let blocks = u64::from(layout.blocks());
    let taken = |shard: &Shard<'_, M>| blocks.saturating_sub(shard.free().into()) * BLOCK as u64;
    let counter = |count| sum(&|shard| shard.counted(count));
    Stats {
        records: Some(sum(&|shard| shard.part(Part::Records))),
        bytes: Some(sum(&taken)),
        capacity: Some(u64::from(layout.shards()) * blocks * BLOCK as u64),
        counters: vec![
            ("ended dropped", counter(Count::Expired)),
            ("evicted", counter(Count::Evicted)),
            ("refused", counter(Count::Refused)),
            ("repaired", counter(Count::Repaired)),
            ("corrupt", counter(Count::Corrupt)),
        ],
    }
}
