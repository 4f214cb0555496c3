//! Repair of a slot's list after a process was killed while it changed it.

use super::layout::{Count, Key, Meta, Part, State};
use super::slot::Slot;
use crate::core::clock::Clock;
use crate::core::lock::host::{NOBODY, Words};

impl<M: Words, C: Clock> Slot<'_, M, C> {
    /// Makes the list anew from all entries that say they belong to this slot. Those of other slots
    /// change meanwhile, but never into one of this slot: that takes this mutex.
    pub(super) fn rebuild(&mut self) {
        self.mark();
        self.cells.count(Count::Rebuilt);
        let all = self.cells.layout.overflow();
        let here = |&entry: &u32| {
            let meta = self.cells.meta(entry);
            meta.is_listed() && (meta.slot == self.index || entry == self.index)
        };
        let (sound, odd): (Vec<u32>, Vec<u32>) =
            std::iter::once(self.index).chain(all).filter(here).partition(|&e| self.is_sound(e));
        let mut held: Vec<(Key, u64, u32)> = (sound.iter())
            .filter(|&&entry| self.cells.meta(entry).state == State::Held)
            .map(|&entry| (self.cells.key(entry), self.cells.token(entry), entry))
            .collect();
        held.sort_unstable();
        let second = held.windows(2).filter(|two| two[0].0 == two[1].0).map(|two| two[1].2);
        second.chain(odd).for_each(|entry| self.discard(entry));
        self.relink(&sound);
    }

    fn relink(&self, entries: &[u32]) {
        let (mut first, mut waiting) = (None, 0);
        for &entry in entries {
            let meta = self.cells.meta(entry);
            if !meta.is_listed() {
                continue;
            }
            waiting += u64::from(meta.state == State::Waiting);
            if entry != self.index {
                self.cells.set_meta(entry, Meta { next: first, ..meta });
                first = Some(entry);
            }
        }
        self.cells.set_chain(self.index, first);
        self.cells.set_part(self.index, Part::Waiting, waiting);
    }

    fn is_sound(&self, entry: u32) -> bool {
        let slots = u64::from(self.cells.layout.slots());
        let index = u64::from(self.index);
        let token = self.cells.token(entry);
        self.cells.meta(entry).slot == self.index
            && self.cells.key(entry).0[0] % slots == index
            && token % slots == index
            && token / slots <= self.cells.part(self.index, Part::Tokens)
    }

    fn discard(&self, entry: u32) {
        let inline = entry == self.index;
        if !inline {
            // Found by the next sweep.
            self.cells.set_owner(entry, NOBODY);
        }
        let state = if inline { State::Free } else { State::Detached };
        self.cells.set_meta(entry, Meta { state, slot: 0, next: None });
    }
}
