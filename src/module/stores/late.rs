//! A store that is opened when it is first used.

use once_cell::sync::OnceCell;

use crate::core::session::record::Record;
use crate::core::store::{
    Abilities, Claims, Entry, Held, Loaded, Merge, Position, Purged, Stale, Stats, Store,
    StoreError, StoreKey, Visit,
};

/// Opened at the first use that succeeds: a directory that was out of reach when the child started may
/// come back. Until then every use is a failure of the store, and `SessionStoreFailure` says what requests
/// get.
pub struct Late {
    opened: OnceCell<Box<dyn Store>>,
    open: Opener,
}

/// Opens a store.
pub type Opener = Box<dyn Fn() -> Result<Box<dyn Store>, StoreError> + Send + Sync>;

impl Late {
    /// What `open` will open.
    pub fn new(open: Opener) -> Late {
        Late { opened: OnceCell::new(), open }
    }

    /// The store.
    ///
    /// # Errors
    /// It cannot be opened now.
    pub fn open(&self) -> Result<&dyn Store, StoreError> {
        Ok(&**self.opened.get_or_try_init(&self.open)?)
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        self.opened.get().is_some()
    }
}

impl Store for Late {
    fn name(&self) -> &'static str {
        self.opened.get().map_or("store", |store| store.name())
    }

    fn abilities(&self) -> Abilities {
        let none = Abilities { survives_kill: false, lists: false, compares: false };
        self.opened.get().map_or(none, |store| store.abilities())
    }

    fn create(&self, key: &StoreKey, record: &Record) -> Result<(), StoreError> {
        self.open()?.create(key, record)
    }

    fn load(&self, key: &StoreKey) -> Result<Option<Loaded>, StoreError> {
        self.open()?.load(key)
    }

    fn update(&self, key: &StoreKey, held: Held, record: &Record) -> Result<Held, StoreError> {
        self.open()?.update(key, held, record)
    }

    fn merge(
        &self,
        key: &StoreKey,
        incarnation: u64,
        change: &mut dyn FnMut(Record) -> Merge,
    ) -> Result<(), StoreError> {
        self.open()?.merge(key, incarnation, change)
    }

    fn touch(
        &self,
        key: &StoreKey,
        held: &Held,
        incarnation: u64,
        visit: Visit,
    ) -> Result<(), StoreError> {
        self.open()?.touch(key, held, incarnation, visit)
    }

    fn delete(&self, key: &StoreKey, incarnation: Option<u64>) -> Result<bool, StoreError> {
        self.open()?.delete(key, incarnation)
    }

    fn quarantine(&self, key: &StoreKey) -> Result<bool, StoreError> {
        self.open()?.quarantine(key)
    }

    fn scan(
        &self,
        from: &Position,
        see: &mut dyn FnMut(Entry) -> bool,
    ) -> Result<Option<Position>, StoreError> {
        self.open()?.scan(from, see)
    }

    fn purge(
        &self,
        stale: Stale,
        from: &Position,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Purged, StoreError> {
        self.open()?.purge(stale, from, go_on)
    }

    fn of_user(&self, scope: [u8; 8], user: &str) -> Result<Vec<StoreKey>, StoreError> {
        self.open()?.of_user(scope, user)
    }

    fn claims(&self) -> Option<&dyn Claims> {
        // One that cannot be opened fails when it is asked for a record.
        self.open().ok()?.claims()
    }

    fn stats(&self) -> Result<Stats, StoreError> {
        self.open()?.stats()
    }
}
