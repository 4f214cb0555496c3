//! Walking over the records of a database: looking at them, removing old ones, finding a user's.

use super::super::listing::{Entry, Position, Purged, Stale};
use super::{DbmStore, record_in, remove, value};
use crate::core::database::{Database, View};
use crate::core::session::record::Record;
use crate::core::store::{StoreError, StoreKey};

/// Most keys taken at once: for a database without an order each batch costs a pass over all keys.
const BATCH: usize = 4096;
/// Most records looked at, and most removed, without letting others in.
const STEP: usize = 100;
/// Most bytes of records kept in memory while nobody has been shown them.
const STEP_BYTES: u64 = 4 << 20;

impl<D: Database> DbmStore<D> {
    /// [`Store::scan`](super::Store::scan).
    pub(super) fn walk(
        &self,
        from: &Position,
        see: &mut dyn FnMut(Entry) -> bool,
    ) -> Result<Option<Position>, StoreError> {
        let mut last = from.key();
        loop {
            let keys = self.keys_after(last.as_ref())?;
            let mut left = keys.as_slice();
            while !left.is_empty() {
                let (entries, used) = self.entries(left)?;
                left = left.get(used..).unwrap_or_default();
                for entry in entries {
                    let key = entry.key;
                    if !see(entry) {
                        return Ok(Some(key.into()));
                    }
                }
            }
            if keys.len() < BATCH {
                return Ok(None);
            }
            last = keys.last().copied();
        }
    }

    /// [`Store::purge`](super::Store::purge).
    pub(super) fn remove_stale(
        &self,
        stale: Stale,
        from: &Position,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Purged, StoreError> {
        let mut purged = Purged { next: Some(from.clone()), ..Purged::default() };
        let mut last = from.key();
        loop {
            let keys = self.keys_after(last.as_ref())?;
            for step in keys.chunks(STEP) {
                let allowed = step.iter().take_while(|_| go_on()).count();
                let (now, later) = step.split_at(allowed);
                self.remove_stale_of(now, stale, &mut purged)?;
                last = now.last().copied().or(last);
                purged.next = last.map(Position::from).or(purged.next);
                if !later.is_empty() {
                    return Ok(purged);
                }
            }
            if keys.len() < BATCH {
                purged.next = None;
                return Ok(purged);
            }
        }
    }

    /// [`Store::of_user`](super::Store::of_user).
    pub(super) fn find_user(
        &self,
        scope: [u8; 8],
        user: &str,
    ) -> Result<Vec<StoreKey>, StoreError> {
        let his = |record: &Record| record.scope == scope && record.user.as_deref() == Some(user);
        let marked = self.look(|view| {
            let Some(keys) = view.marked(value::mark_of(scope, user))? else { return Ok(None) };
            let mut found = Vec::new();
            for key in keys {
                let bytes = view.get(&key)?;
                let record = bytes.map(|bytes| record_in(&key, &bytes));
                if matches!(record, Some(Ok(record)) if his(&record)) {
                    found.push(StoreKey::from_bytes(key));
                }
            }
            Ok(Some(found))
        })?;
        if let Some(found) = marked {
            return Ok(found);
        }
        let mut found = Vec::new();
        self.walk(&Position::default(), &mut |entry| {
            if entry.record.as_ref().is_ok_and(his) {
                found.push(entry.key);
            }
            true
        })?;
        Ok(found)
    }

    fn keys_after(&self, last: Option<&StoreKey>) -> Result<Vec<StoreKey>, StoreError> {
        self.look(|view| {
            let keys = view.keys_after(last.map(StoreKey::as_bytes), BATCH)?;
            Ok(keys.into_iter().map(StoreKey::from_bytes).collect())
        })
    }

    /// What is under the first of `keys`, and how many of them that are.
    fn entries(&self, keys: &[StoreKey]) -> Result<(Vec<Entry>, usize), StoreError> {
        self.look(|view| {
            let (mut entries, mut bytes, mut used) = (Vec::new(), 0, 0);
            for key in keys.iter().take(STEP) {
                if bytes >= STEP_BYTES {
                    break;
                }
                used += 1;
                // Removed meanwhile if there is nothing.
                let Some(found) = view.get(key.as_bytes())? else { continue };
                let size = found.len() as u64;
                bytes += size;
                let record = record_in(key.as_bytes(), &found);
                entries.push(Entry { key: *key, record, bytes: size });
            }
            Ok((entries, used))
        })
    }

    fn remove_stale_of(
        &self,
        keys: &[StoreKey],
        stale: Stale,
        purged: &mut Purged,
    ) -> Result<(), StoreError> {
        let mut doomed = Vec::new();
        self.look(|view| {
            for key in keys {
                let Some(bytes) = view.get(key.as_bytes())? else { continue };
                purged.seen += 1;
                match value::parse(key.as_bytes(), &bytes) {
                    Ok(value) if !stale.was(value.visit) => {}
                    Err(StoreError::Newer(_)) => {}
                    Ok(_) | Err(_) => doomed.push(*key),
                }
            }
            Ok(())
        })?;
        if doomed.is_empty() {
            return Ok(());
        }
        let (removed, corrupt) = self.change(|change| {
            let (mut removed, mut corrupt) = (0, 0);
            for key in &doomed {
                match self.remove_if_stale(change, key, stale)? {
                    Fate::Kept => {}
                    Fate::Removed => removed += 1,
                    Fate::SetAside => corrupt += 1,
                }
            }
            Ok((removed, corrupt))
        })?;
        purged.removed += removed;
        purged.corrupt += corrupt;
        Ok(())
    }

    fn remove_if_stale(
        &self,
        change: &mut D::Change<'_>,
        key: &StoreKey,
        stale: Stale,
    ) -> Result<Fate, StoreError> {
        let mark = {
            let Some(bytes) = change.get(key.as_bytes())? else { return Ok(Fate::Kept) };
            match value::parse(key.as_bytes(), &bytes) {
                Ok(value) if stale.was(value.visit) => Some(value.mark),
                Err(StoreError::Corrupt) => None,
                Ok(_) | Err(_) => return Ok(Fate::Kept),
            }
        };
        match mark {
            Some(mark) => remove(change, key.as_bytes(), mark).map(|()| Fate::Removed),
            None => Ok(if self.set_aside(change, key)? { Fate::SetAside } else { Fate::Kept }),
        }
    }
}

/// What became of a record.
enum Fate {
    Kept,
    Removed,
    SetAside,
}
