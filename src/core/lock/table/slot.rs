//! One slot while its mutex is held: its list of leases and waiters, and the repair of that list.

use std::time::Duration;

use super::layout::{Cells, Count, Field, Key, Meta, NO_END, Part, State};
use crate::core::clock::{Clock, Monotonic};
use crate::core::lock::Lease;
use crate::core::lock::host::{Owner, Words};

/// What is to be done once the mutex is given back.
#[derive(Default)]
pub(super) struct After {
    /// A waiter that was handed a lease.
    pub wake: Option<u32>,
    /// Entries on their way to the free list.
    pub spares: Vec<u32>,
}

/// What a slot knows about one key.
#[derive(Default)]
pub(super) struct Survey {
    /// Who has the lease.
    pub holder: Option<u32>,
    /// The waiter with the lowest token.
    pub oldest: Option<u32>,
    /// How many wait.
    pub waiting: u32,
}

/// A slot whose mutex this thread holds.
///
/// A change of one word needs no care: a kill leaves the old word or the new one. What takes more
/// is done between [`Slot::mark`] and [`Slot::leave`], and in an order in which one key never has
/// two holders; a kill in between leaves the mark, and whoever comes next rebuilds the list.
pub(super) struct Slot<'a, M, C> {
    pub(super) cells: &'a Cells<M>,
    clock: &'a C,
    pub(super) index: u32,
    me: Owner,
    marked: bool,
    after: After,
}

impl<'a, M: Words, C: Clock> Slot<'a, M, C> {
    /// Opens the slot, repaired if its last visitor was killed in the middle of a change.
    pub fn enter(cells: &'a Cells<M>, clock: &'a C, index: u32, me: Owner) -> Self {
        let mut slot = Slot { cells, clock, index, me, marked: false, after: After::default() };
        if cells.part(index, Part::Busy) != 0 {
            slot.rebuild();
        }
        slot
    }

    /// Ends the change; the mutex may go back.
    pub fn leave(self) -> After {
        if self.marked {
            self.cells.set_part(self.index, Part::Busy, 0);
        }
        self.after
    }

    pub fn now(&self) -> Monotonic {
        self.clock.monotonic()
    }

    /// Begins a change of more than one word; [`Slot::leave`] ends it.
    pub(super) fn mark(&mut self) {
        if !self.marked {
            self.marked = true;
            self.cells.set_part(self.index, Part::Busy, 1);
        }
    }

    /// Whether the entry is in this slot's list under this token, and as what.
    pub fn standing(&self, entry: u32, token: u64) -> Option<State> {
        if entry >= self.cells.layout.entries() {
            return None;
        }
        let meta = self.cells.meta(entry);
        let here = meta.is_listed() && meta.slot == self.index;
        (here && self.cells.token(entry) == token).then_some(meta.state)
    }

    /// Whether the lease is its taker's still.
    pub fn holds(&self, lease: &Lease) -> bool {
        self.standing(lease.entry, lease.token) == Some(State::Held)
    }

    /// Brings the key in order, then says who has it: a holder past its end loses the lease, and a
    /// lease that nobody has goes to the oldest waiter.
    pub fn settle(&mut self, key: Key) -> Survey {
        let mut survey = self.survey(key);
        if let Some(holder) = survey.holder.filter(|&holder| self.is_overdue(holder)) {
            self.remove(holder);
            self.cells.count(Count::FromOverdue);
            survey.holder = None;
        }
        match (survey.holder, survey.oldest) {
            (None, Some(oldest)) => {
                self.promote(oldest);
                self.survey(key)
            }
            _ => survey,
        }
    }

    fn is_overdue(&self, holder: u32) -> bool {
        let until = self.cells.until(holder);
        until != NO_END && self.now() >= until
    }

    pub fn survey(&mut self, key: Key) -> Survey {
        if let Some(survey) = self.try_survey(key) {
            return survey;
        }
        self.rebuild();
        self.try_survey(key).unwrap_or_default()
    }

    fn try_survey(&self, key: Key) -> Option<Survey> {
        let mut survey = Survey::default();
        let mut lowest = u64::MAX;
        let whole = self.walk(|entry, meta| {
            if self.cells.key(entry) != key {
                return;
            }
            if meta.state == State::Held {
                survey.holder = Some(entry);
                return;
            }
            survey.waiting += 1;
            let token = self.cells.token(entry);
            if token < lowest {
                (lowest, survey.oldest) = (token, Some(entry));
            }
        });
        whole.then_some(survey)
    }

    /// The entries of the key.
    pub fn entries_of(&self, key: Key) -> Vec<u32> {
        let mut entries = Vec::new();
        self.walk(|entry, _| {
            if self.cells.key(entry) == key {
                entries.push(entry);
            }
        });
        entries
    }

    /// Calls `visit` for each entry of the slot; false if the list is not one.
    fn walk(&self, mut visit: impl FnMut(u32, Meta)) -> bool {
        let inline = self.cells.meta(self.index);
        if inline.is_listed() {
            visit(self.index, inline);
        }
        let all = self.cells.layout.overflow();
        let mut next = self.cells.chain(self.index);
        let mut seen = 0;
        while let Some(entry) = next {
            if seen == all.len() || !all.contains(&entry) {
                return false;
            }
            let meta = self.cells.meta(entry);
            if !meta.is_listed() || meta.slot != self.index {
                return false;
            }
            visit(entry, meta);
            next = meta.next;
            seen += 1;
        }
        true
    }

    /// An entry for one more: the slot's own if it is free, else the spare.
    pub fn place(&self, spare: &mut Option<u32>) -> Option<u32> {
        if self.cells.meta(self.index).state == State::Free {
            return Some(self.index);
        }
        spare.take()
    }

    /// Fills an entry that [`Slot::place`] gave and puts it into the list; its token.
    pub fn put(&mut self, entry: u32, state: State, key: Key, hold: Option<Duration>) -> u64 {
        let inline = entry == self.index;
        if !inline || state == State::Waiting {
            self.mark();
        }
        // Tokens of a slot only rise, and no two slots share one.
        let turn = self.cells.part(self.index, Part::Tokens) + 1;
        self.cells.set_part(self.index, Part::Tokens, turn);
        let token = turn * u64::from(self.cells.layout.slots()) + u64::from(self.index);
        // The token goes first: who reads without the mutex sees by it that the rest is new.
        self.cells.set_field(entry, Field::Token, token);
        self.cells.set_field(entry, Field::KeyLow, key.0[0]);
        self.cells.set_field(entry, Field::KeyHigh, key.0[1]);
        self.cells.set_owner(entry, self.me);
        let now = self.now();
        self.cells.set_field(entry, Field::Since, now.0);
        if state == State::Waiting {
            let signal = u64::from(self.cells.signal(entry)) | (hold_in_signal(hold) << 32);
            self.cells.set_field(entry, Field::Signal, signal);
            self.add_to(Part::Waiting, 1);
        } else {
            self.cells.set_field(entry, Field::Until, end_of(now, hold).0);
            self.add_to(Part::Taken, 1);
        }
        let next = if inline { None } else { self.cells.chain(self.index) };
        self.cells.set_meta(entry, Meta { state, slot: self.index, next });
        if !inline {
            self.cells.set_chain(self.index, Some(entry));
        }
        token
    }

    /// Makes a waiter the holder; the key has none.
    fn promote(&mut self, entry: u32) {
        self.mark();
        let now = self.now();
        let signal = self.cells.field(entry, Field::Signal);
        self.cells.set_field(entry, Field::Since, now.0);
        self.cells.set_field(entry, Field::Until, end_of(now, hold_of_signal(signal)).0);
        let meta = self.cells.meta(entry);
        self.cells.set_meta(entry, Meta { state: State::Held, ..meta });
        let turned = (signal & !u64::from(u32::MAX)) | u64::from((signal as u32).wrapping_add(1));
        self.cells.set_field(entry, Field::Signal, turned);
        self.add_to(Part::Waiting, u64::MAX);
        self.add_to(Part::Taken, 1);
        self.after.wake = Some(entry);
    }

    /// Takes an entry out of the list.
    pub fn remove(&mut self, entry: u32) {
        let meta = self.cells.meta(entry);
        if entry == self.index {
            if meta.state == State::Waiting {
                self.mark();
                self.add_to(Part::Waiting, u64::MAX);
            }
            self.cells.set_meta(entry, Meta { state: State::Free, slot: 0, next: None });
            return;
        }
        self.mark();
        let whole = self.unlink(entry, meta.next);
        // The owner first: should this process be killed now, the entry is found by its dead owner,
        // whoever's lease it was.
        self.cells.set_owner(entry, self.me);
        // Its holder may be about to disown it, without the mutex.
        self.cells.set_field(entry, Field::Token, 0);
        self.cells.set_meta(entry, Meta { state: State::Detached, slot: 0, next: None });
        if meta.state == State::Waiting {
            self.add_to(Part::Waiting, u64::MAX);
        }
        self.after.spares.push(entry);
        if !whole {
            self.rebuild();
        }
    }

    /// Leads the list around an entry; false if the entry is not reached.
    fn unlink(&self, entry: u32, next: Option<u32>) -> bool {
        let all = self.cells.layout.overflow();
        let mut before = None;
        let mut at = self.cells.chain(self.index);
        for _ in all.clone() {
            match at.filter(|at| all.contains(at)) {
                None => return false,
                Some(found) if found == entry => {
                    self.lead(before, next);
                    return true;
                }
                Some(other) => {
                    before = Some(other);
                    at = self.cells.meta(other).next;
                }
            }
        }
        false
    }

    fn lead(&self, before: Option<u32>, next: Option<u32>) {
        match before {
            None => self.cells.set_chain(self.index, next),
            Some(before) => {
                let meta = self.cells.meta(before);
                self.cells.set_meta(before, Meta { next, ..meta });
            }
        }
    }

    fn add_to(&self, part: Part, value: u64) {
        let sum = self.cells.part(self.index, part).wrapping_add(value);
        self.cells.set_part(self.index, part, sum);
    }
}

pub(super) fn end_of(now: Monotonic, hold: Option<Duration>) -> Monotonic {
    hold.map_or(NO_END, |hold| now.after(hold))
}

/// A waiter's hold waits with it, in the upper half of its signal word: milliseconds, at most 49
/// days, zero for none.
fn hold_in_signal(hold: Option<Duration>) -> u64 {
    hold.map_or(0, |hold| hold.as_millis().clamp(1, u128::from(u32::MAX)) as u64)
}

fn hold_of_signal(signal: u64) -> Option<Duration> {
    Some(signal >> 32).filter(|&hold| hold != 0).map(Duration::from_millis)
}
