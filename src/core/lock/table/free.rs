//! The free list, under the mutex behind those of the slots.

use super::Table;
use super::layout::{Cells, Count, Head, Meta, State};
use crate::core::clock::Clock;
use crate::core::lock::host::{NOBODY, Owner, Owners, Parking, Words};
use crate::core::lock::{MutexError, SlotGuard, SlotMutexes};

/// The free list while its mutex is held.
struct FreeList<'a, M> {
    cells: &'a Cells<M>,
}

impl<M: Words> FreeList<'_, M> {
    fn mark(&self) {
        self.cells.set_head(Head::FreeBusy, 1);
    }

    fn pop(&self, me: Owner) -> Option<u32> {
        let first = self.cells.free()?;
        if !self.is_free(first) {
            self.rebuild();
        }
        let first = self.cells.free()?;
        self.mark();
        let meta = self.cells.meta(first);
        self.cells.set_owner(first, me);
        self.cells.set_meta(first, Meta { state: State::Detached, slot: 0, next: None });
        self.cells.set_free(meta.next);
        Some(first)
    }

    /// Takes back an entry that `owner` carries; not one that is somewhere already.
    fn push(&self, entry: u32, owner: Owner) {
        let carried = self.cells.meta(entry).state == State::Detached;
        if carried && self.cells.owner(entry) == owner {
            self.mark();
            let next = self.cells.free();
            self.cells.set_meta(entry, Meta { state: State::Free, slot: 0, next });
            self.cells.set_free(Some(entry));
        }
    }

    fn is_free(&self, entry: u32) -> bool {
        self.cells.layout.overflow().contains(&entry) && self.cells.meta(entry).state == State::Free
    }

    /// Makes the list anew from all entries that say they are free: none becomes or ceases to be so
    /// without this mutex.
    fn rebuild(&self) {
        self.mark();
        self.cells.count(Count::Rebuilt);
        self.link_all();
    }

    fn link_all(&self) {
        let mut first = None;
        for entry in self.cells.layout.overflow().rev().filter(|&entry| self.is_free(entry)) {
            self.cells.set_meta(entry, Meta { state: State::Free, slot: 0, next: first });
            first = Some(entry);
        }
        self.cells.set_free(first);
    }
}

impl<M, O, C, S> Table<M, O, C, S>
where
    M: Words + Parking,
    O: Owners,
    C: Clock,
    S: SlotMutexes,
{
    fn with_free<R>(&self, work: impl FnOnce(&FreeList<'_, M>) -> R) -> Result<R, MutexError> {
        let _guard = SlotGuard::lock(&self.mutexes, self.mutexes.count())?;
        let list = FreeList { cells: &self.cells };
        if self.cells.head(Head::FreeBusy) != 0 {
            list.rebuild();
        }
        let result = work(&list);
        if self.cells.head(Head::FreeBusy) != 0 {
            self.cells.set_head(Head::FreeBusy, 0);
        }
        Ok(result)
    }

    /// An entry for this process to carry to a slot; none if the list is empty.
    pub(super) fn pop_free(&self) -> Result<Option<u32>, MutexError> {
        self.with_free(|list| list.pop(self.owners.me()))
    }

    /// Brings entries back that this process carries.
    pub(super) fn push_free(&self, entries: &[u32]) {
        if entries.is_empty() {
            return;
        }
        let me = self.owners.me();
        let pushed = self.with_free(|list| entries.iter().for_each(|&e| list.push(e, me)));
        if pushed.is_err() {
            // Nobody's: the next sweep brings them back.
            entries.iter().for_each(|&entry| self.cells.set_owner(entry, NOBODY));
        }
    }

    /// Brings entries back that dead processes carried.
    pub(super) fn reclaim(&self, dead: &[Owner]) -> Result<(), MutexError> {
        self.with_free(|list| {
            for entry in self.cells.layout.overflow() {
                // A dead process changes nothing any more, so what is true now stays true.
                let owner = self.cells.owner(entry);
                if dead.contains(&owner) {
                    list.push(entry, owner);
                }
            }
        })
    }

    /// Links all overflow entries of a new table.
    pub(super) fn fill_free(&self) {
        FreeList { cells: &self.cells }.link_all();
    }
}
