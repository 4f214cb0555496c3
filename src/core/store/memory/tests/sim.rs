//! Shared memory whose writer dies when told to, and a look at every word of it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};

use super::super::layout::{Block, Field, Halves, unpair};
use super::super::version::second_after;
use super::*;
use crate::core::clock::{ManualClock, Monotonic, Time};
use crate::core::store::fake::TestMutexes;

/// What a killed process unwinds with.
struct Killed;

const FOR_EVER: usize = usize::MAX;

struct Shared {
    words: Vec<AtomicU64>,
    /// Stores that are left to do.
    fuse: AtomicUsize,
    /// Stores done.
    stores: AtomicUsize,
    clock: ManualClock,
}

/// Memory, and a process that uses it. Clones are others on the same memory.
#[derive(Clone)]
pub(super) struct World {
    shared: Arc<Shared>,
    pub layout: Layout,
}

pub(super) type SimStore = MemoryStore<World, World>;

impl World {
    pub fn new(bytes: u64, shards: u32) -> World {
        let layout = Layout::new(bytes, shards).unwrap();
        let words = (0..bytes / 8).map(|_| AtomicU64::new(0)).collect();
        let clock = ManualClock::new(Time::from_secs(1000));
        let (fuse, stores) = (AtomicUsize::new(FOR_EVER), AtomicUsize::new(0));
        let world = World { shared: Arc::new(Shared { words, fuse, stores, clock }), layout };
        create(&world, &layout, None);
        world
    }

    /// The store as a process sees it that was just started: nobody holds a mutex.
    pub fn process(&self) -> SimStore {
        let mutexes = Arc::new(TestMutexes::new(self.layout.shards() as usize));
        MemoryStore::open(self.clone(), self.layout, mutexes, self.clone())
    }

    pub fn advance(&self, seconds: u64) {
        self.shared.clock.advance(std::time::Duration::from_secs(seconds));
    }

    /// Lets `work` live for so many stores. None if it was killed before one more.
    pub fn with_fuse<T>(&self, stores: usize, work: impl FnOnce() -> T) -> Option<T> {
        self.shared.fuse.store(stores, SeqCst);
        let result = catch_unwind(AssertUnwindSafe(work));
        self.shared.fuse.store(FOR_EVER, SeqCst);
        match result {
            Ok(result) => Some(result),
            Err(cause) if cause.is::<Killed>() => None,
            Err(cause) => resume_unwind(cause),
        }
    }

    /// How many stores `work` does.
    pub fn stores_of(&self, work: impl FnOnce()) -> usize {
        let before = self.shared.stores.load(SeqCst);
        work();
        self.shared.stores.load(SeqCst) - before
    }

    fn burn(&self) {
        self.shared.stores.fetch_add(1, SeqCst);
        match self.shared.fuse.load(SeqCst) {
            FOR_EVER => {}
            0 => resume_unwind(Box::new(Killed)),
            left => self.shared.fuse.store(left - 1, SeqCst),
        }
    }

    pub fn shard(&self, index: u32) -> Shard<'_, World> {
        Shard::new(self, &self.layout, index)
    }

    /// How many words there are.
    pub fn len(&self) -> usize {
        self.shared.words.len()
    }

    /// Every record, as a new process sees it.
    pub fn records(&self) -> BTreeMap<StoreKey, Record> {
        let mut records = BTreeMap::new();
        let end = self.process().scan(&Position::default(), &mut |entry| {
            assert!(records.insert(entry.key, entry.record.unwrap()).is_none(), "seen twice");
            true
        });
        assert_eq!(end.unwrap(), None);
        records
    }

    /// Fails unless everything that follows from the entries is as it should be between two verbs.
    pub fn assert_whole(&self) {
        for index in 0..self.layout.shards() {
            Look::at(self.shard(index)).assert_whole();
        }
    }
}

/// What a walk through a shard finds.
struct Look<'a> {
    shard: Shard<'a, World>,
    taken: Vec<Block>,
    entries: Vec<Block>,
}

impl<'a> Look<'a> {
    fn at(shard: Shard<'a, World>) -> Look<'a> {
        let (mut taken, mut entries) = (Vec::new(), Vec::new());
        for bucket in 0..shard.layout.buckets() {
            for place in shard.bucket(bucket) {
                let entry = place.unwrap().entry;
                let version = shard.version(entry).unwrap();
                let chain = shard.chain(version.first, version.blocks());
                taken.extend(chain.map(Result::unwrap));
                taken.push(entry);
                entries.push(entry);
            }
        }
        Look { shard, taken, entries }
    }

    fn assert_whole(&self) {
        let shard = &self.shard;
        assert_eq!(shard.part(Part::Busy), 0);
        assert_eq!(shard.part(Part::Records), self.entries.len() as u64);
        let (first, count) = unpair(shard.part(Part::Free));
        let mut all = self.taken.clone();
        if let Some(first) = shard.block(first).unwrap() {
            all.extend(shard.chain(first, count).map(Result::unwrap));
        }
        all.sort_unstable_by_key(|block| block.0);
        let expected: Vec<Block> = (0..shard.layout.blocks()).map(Block).collect();
        assert_eq!(all, expected, "a block is lost or used twice");
        self.assert_facts();
    }

    fn assert_facts(&self) {
        let shard = &self.shard;
        let (mut loose, mut of_users) = (0, 0);
        for &entry in &self.entries {
            let version = shard.version(entry).unwrap();
            let (hash, end) = unpair(shard.field(entry, Field::Facts));
            let record = shard.copy(entry).unwrap().record().unwrap();
            assert_eq!(version.user, record.user.is_some());
            match record.user {
                None => loose += u64::from(1 + version.blocks()),
                Some(user) => {
                    assert_eq!(hash, user_hash(record.scope, &user));
                    let chain: Vec<_> = shard.of_user(hash).map(Result::unwrap).collect();
                    assert!(chain.contains(&entry), "a user's session is not in its chain");
                    of_users += 1;
                }
            }
            assert!(u64::from(end) >= shard.part(Part::Earliest));
            // A visit cut in two leaves one that is too early.
            assert!(end <= second_after(record.deadline));
        }
        assert_eq!(shard.part(Part::Loose), loose);
        let mut linked = 0;
        for bucket in 0..shard.layout.buckets() {
            let mut next = shard.block(shard.half(Halves::Users, bucket)).unwrap();
            while let Some(entry) = next {
                linked += 1;
                assert!(linked <= of_users && self.entries.contains(&entry));
                next = shard.block(unpair(shard.field(entry, Field::Links)).1).unwrap();
            }
        }
        assert_eq!(linked, of_users);
    }
}

impl Words for World {
    fn load(&self, index: usize) -> u64 {
        self.shared.words[index].load(SeqCst)
    }

    fn store(&self, index: usize, value: u64) {
        self.burn();
        self.shared.words[index].store(value, SeqCst);
    }

    fn add(&self, index: usize, value: u64) {
        self.burn();
        self.shared.words[index].fetch_add(value, SeqCst);
    }
}

impl Clock for World {
    fn now(&self) -> Time {
        self.shared.clock.now()
    }

    fn monotonic(&self) -> Monotonic {
        self.shared.clock.monotonic()
    }
}
