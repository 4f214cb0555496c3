//! A database in the memory of one process, for tests.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use crate::core::database::{Change, Database, DatabaseError, Key, Size, Traits, View};

/// The content: values by key, and keys by mark.
#[derive(Clone, Default)]
pub struct Content {
    values: BTreeMap<Key, Vec<u8>>,
    marks: Option<BTreeSet<(u64, Key)>>,
}

/// Keeps values in memory; its clones are the same database. Fails when told to.
#[derive(Clone)]
pub struct MemoryDatabase {
    content: Arc<Mutex<Content>>,
    failing: Arc<AtomicU32>,
    shared: bool,
    /// What it does when it is told to sync.
    syncing: Arc<OnceLock<Syncing>>,
}

type Syncing = Box<dyn Fn() -> Result<(), DatabaseError> + Send + Sync>;

impl MemoryDatabase {
    /// One with everything that a database can do.
    pub fn able() -> MemoryDatabase {
        MemoryDatabase::new(Some(BTreeSet::new()), true)
    }

    /// One without marks, that is looked at by one at a time.
    pub fn plain() -> MemoryDatabase {
        MemoryDatabase::new(None, false)
    }

    fn new(marks: Option<BTreeSet<(u64, Key)>>, shared: bool) -> MemoryDatabase {
        let content = Content { marks, ..Content::default() };
        let content = Arc::new(Mutex::new(content));
        MemoryDatabase { content, failing: Arc::default(), shared, syncing: Arc::default() }
    }

    /// Does this whenever it is told to sync; set once.
    pub fn on_sync(&self, what: impl Fn() -> Result<(), DatabaseError> + Send + Sync + 'static) {
        assert!(self.syncing.set(Box::new(what)).is_ok());
    }

    /// Makes the next `changes` changes fail after everything was done.
    pub fn fail_next(&self, changes: u32) {
        self.failing.store(changes, Ordering::Relaxed);
    }

    /// Puts any bytes under a key.
    pub fn plant(&self, key: &Key, bytes: &[u8]) {
        self.content.lock().unwrap().values.insert(*key, bytes.to_vec());
    }

    /// The bytes under a key.
    pub fn bytes(&self, key: &Key) -> Option<Vec<u8>> {
        self.content.lock().unwrap().values.get(key).cloned()
    }

    /// How many keys have a mark.
    pub fn marks(&self) -> usize {
        self.content.lock().unwrap().marks.as_ref().map_or(0, BTreeSet::len)
    }
}

impl Database for MemoryDatabase {
    type View<'a> = Content;
    type Change<'a> = Content;

    fn traits(&self) -> Traits {
        Traits { survives_kill: false, reads_beside_writes: self.shared }
    }

    fn view<T, E: From<DatabaseError>>(
        &self,
        work: impl FnOnce(&Content) -> Result<T, E>,
    ) -> Result<T, E> {
        let content = self.content.lock().unwrap().clone();
        work(&content)
    }

    fn change<T, E: From<DatabaseError>>(
        &self,
        work: impl FnOnce(&mut Content) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut content = self.content.lock().unwrap().clone();
        let done = work(&mut content)?;
        let left = self.failing.load(Ordering::Relaxed);
        if left > 0 {
            self.failing.store(left - 1, Ordering::Relaxed);
            let cause = io::Error::from(io::ErrorKind::StorageFull);
            return Err(DatabaseError::Failed { doing: "writing the database", cause }.into());
        }
        // Two changes at once would undo each other: the caller's mutex is seen to work.
        *self.content.lock().unwrap() = content;
        Ok(done)
    }

    fn sync(&self) -> Result<(), DatabaseError> {
        self.syncing.get().map_or(Ok(()), |syncing| syncing())
    }

    fn size(&self) -> Result<Size, DatabaseError> {
        let keys = Some(self.content.lock().unwrap().values.len() as u64);
        Ok(Size { keys, ..Size::default() })
    }

    fn tidy(&self) -> Result<(), DatabaseError> {
        Ok(())
    }
}

impl View for Content {
    fn get(&self, key: &Key) -> Result<Option<Cow<'_, [u8]>>, DatabaseError> {
        Ok(self.values.get(key).map(|bytes| Cow::Borrowed(bytes.as_slice())))
    }

    fn keys_after(&self, after: Option<&Key>, most: usize) -> Result<Vec<Key>, DatabaseError> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        Ok(self
            .values
            .range::<Key, _>((start, Bound::Unbounded))
            .map(|(k, _)| *k)
            .take(most)
            .collect())
    }

    fn marked(&self, mark: u64) -> Result<Option<Vec<Key>>, DatabaseError> {
        let of_mark = |marks: &BTreeSet<(u64, Key)>| {
            marks.iter().filter(|(found, _)| *found == mark).map(|(_, key)| *key).collect()
        };
        Ok(self.marks.as_ref().map(of_mark))
    }
}

impl Change for Content {
    fn put(&mut self, key: &Key, value: &[u8]) -> Result<(), DatabaseError> {
        self.values.insert(*key, value.to_vec());
        Ok(())
    }

    fn remove(&mut self, key: &Key) -> Result<(), DatabaseError> {
        self.values.remove(key);
        Ok(())
    }

    fn mark(&mut self, mark: u64, key: &Key) -> Result<(), DatabaseError> {
        if let Some(marks) = &mut self.marks {
            marks.insert((mark, *key));
        }
        Ok(())
    }

    fn unmark(&mut self, mark: u64, key: &Key) -> Result<(), DatabaseError> {
        if let Some(marks) = &mut self.marks {
            marks.remove(&(mark, *key));
        }
        Ok(())
    }
}
