//! Transactions of LMDB: looking at the database, and changing it.

use std::borrow::Cow;
use std::ops::Bound;

use heed::{RoTxn, RwTxn};

use super::{Opened, translate};
use crate::core::database::{Change, DatabaseError, Key, View};

const READING: &str = "reading the database";
const WRITING: &str = "writing the database";

/// The database as it was when the transaction began.
pub struct LmdbView<'a> {
    txn: &'a RoTxn<'a>,
    opened: &'a Opened,
}

impl<'a> LmdbView<'a> {
    pub(super) fn new(txn: &'a RoTxn<'a>, opened: &'a Opened) -> LmdbView<'a> {
        LmdbView { txn, opened }
    }
}

/// A change; undone unless it is committed.
pub struct LmdbChange<'a> {
    txn: RwTxn<'a>,
    opened: &'a Opened,
    full: &'static str,
}

impl<'a> LmdbChange<'a> {
    pub(super) fn new(txn: RwTxn<'a>, opened: &'a Opened, full: &'static str) -> LmdbChange<'a> {
        LmdbChange { txn, opened, full }
    }

    pub(super) fn commit(self) -> heed::Result<()> {
        self.txn.commit()
    }

    fn used(&self) -> Result<u64, DatabaseError> {
        self.written(self.opened.used(&self.txn))
    }

    fn written<T>(&self, result: heed::Result<T>) -> Result<T, DatabaseError> {
        result.map_err(|cause| translate(WRITING, self.full, cause))
    }
}

fn read<T>(result: heed::Result<T>) -> Result<T, DatabaseError> {
    result.map_err(|cause| translate(READING, "", cause))
}

fn get<'a>(
    txn: &'a RoTxn<'_>,
    opened: &Opened,
    key: &Key,
) -> Result<Option<Cow<'a, [u8]>>, DatabaseError> {
    Ok(read(opened.values.get(txn, key.as_slice()))?.map(Cow::Borrowed))
}

fn keys_after(
    txn: &RoTxn<'_>,
    opened: &Opened,
    after: Option<&Key>,
    most: usize,
) -> Result<Vec<Key>, DatabaseError> {
    let start = after.map_or(Bound::Unbounded, |key| Bound::Excluded(key.as_slice()));
    let mut keys = Vec::new();
    for entry in read(opened.values.range(txn, &(start, Bound::Unbounded)))? {
        if keys.len() >= most {
            break;
        }
        // What is no key is the name of the marks.
        if let Ok(key) = <&Key>::try_from(read(entry)?.0) {
            keys.push(*key);
        }
    }
    Ok(keys)
}

fn marked(txn: &RoTxn<'_>, opened: &Opened, mark: u64) -> Result<Option<Vec<Key>>, DatabaseError> {
    let mut keys = Vec::new();
    let found = read(opened.marks.get_duplicates(txn, &mark.to_be_bytes()))?;
    for entry in found.into_iter().flatten() {
        if let Ok(key) = <&Key>::try_from(read(entry)?.1) {
            keys.push(*key);
        }
    }
    Ok(Some(keys))
}

impl View for LmdbView<'_> {
    fn get(&self, key: &Key) -> Result<Option<Cow<'_, [u8]>>, DatabaseError> {
        get(self.txn, self.opened, key)
    }

    fn keys_after(&self, after: Option<&Key>, most: usize) -> Result<Vec<Key>, DatabaseError> {
        keys_after(self.txn, self.opened, after, most)
    }

    fn marked(&self, mark: u64) -> Result<Option<Vec<Key>>, DatabaseError> {
        marked(self.txn, self.opened, mark)
    }
}

impl View for LmdbChange<'_> {
    fn get(&self, key: &Key) -> Result<Option<Cow<'_, [u8]>>, DatabaseError> {
        get(&self.txn, self.opened, key)
    }

    fn keys_after(&self, after: Option<&Key>, most: usize) -> Result<Vec<Key>, DatabaseError> {
        keys_after(&self.txn, self.opened, after, most)
    }

    fn marked(&self, mark: u64) -> Result<Option<Vec<Key>>, DatabaseError> {
        marked(&self.txn, self.opened, mark)
    }
}

impl Change for LmdbChange<'_> {
    fn put(&mut self, key: &Key, value: &[u8]) -> Result<(), DatabaseError> {
        let near_the_end = self.opened.is_near_its_end();
        let before = if near_the_end { self.used()? } else { 0 };
        let put = self.opened.values.put(&mut self.txn, key.as_slice(), value);
        self.written(put)?;
        if near_the_end {
            let after = self.used()?;
            // What finds room in pages that are in use already may always be written.
            if after > before && after > self.opened.most {
                return Err(DatabaseError::Full(self.full));
            }
        }
        Ok(())
    }

    fn remove(&mut self, key: &Key) -> Result<(), DatabaseError> {
        let removed = self.opened.values.delete(&mut self.txn, key.as_slice());
        self.written(removed).map(drop)
    }

    fn mark(&mut self, mark: u64, key: &Key) -> Result<(), DatabaseError> {
        let put = self.opened.marks.put(&mut self.txn, &mark.to_be_bytes(), key.as_slice());
        self.written(put)
    }

    fn unmark(&mut self, mark: u64, key: &Key) -> Result<(), DatabaseError> {
        let mark = mark.to_be_bytes();
        let removed = self.opened.marks.delete_one_duplicate(&mut self.txn, &mark, key.as_slice());
        self.written(removed).map(drop)
    }
}
