//! Taking a lease: arrive, wait in slices, look who is before us.

use std::time::Duration;

use super::Table;
use super::layout::{Cells, Count, Key, NO_END, Part, State};
use super::slot::Slot;
use crate::core::clock::{Clock, Monotonic};
use crate::core::lock::host::{Owner, Owners, Parking, Words};
use crate::core::lock::{Lease, LeaseError, SlotMutexes, Wait, slot_of};
use crate::core::store::StoreKey;

/// Longest sleep before a waiter looks whether those before it still live: death wakes nobody.
pub(super) const SLICE: Duration = Duration::from_millis(250);

/// What a request wants.
pub(super) struct Want {
    key: Key,
    slot: u32,
    /// Another machine has what is wanted: only a place among those that wait is taken.
    afar: bool,
    wait: Wait,
    arrived: Monotonic,
    deadline: Monotonic,
}

/// An entry in the list of a key, waiting.
#[derive(Debug)]
pub(super) struct Place {
    entry: u32,
    token: u64,
    signal: u32,
    nap: Duration,
}

impl Place {
    pub(super) fn lease(&self, want: &Want) -> Lease {
        Lease { entry: self.entry, token: self.token, slot: want.slot }
    }
}

/// How far a request got.
#[derive(Debug)]
pub(super) enum Step {
    Held(Lease),
    Waiting(Place),
}

/// What an arrival met.
enum Arrival {
    Step(Step),
    /// The slot's own entry is taken and no spare was brought.
    NeedsEntry,
    /// The key is held and there is no time to wait; by whom, and who waits.
    Contested(Vec<Owner>),
    /// Enough are waiting.
    Crowded,
}

impl<M: Words, C: Clock> Slot<'_, M, C> {
    fn arrive(&mut self, want: &Want, crowded: bool, spare: &mut Option<u32>) -> Arrival {
        let survey = if want.afar { self.survey(want.key) } else { self.settle(want.key) };
        if want.afar || survey.holder.is_some() {
            if self.now() >= want.deadline {
                return Arrival::Contested(self.owners_of(want.key, u64::MAX));
            }
            let crowded = crowded
                || survey.waiting >= want.wait.waiters
                || waiting_in_all(self.cells) >= u64::from(want.wait.waiters_in_all);
            if crowded {
                return Arrival::Crowded;
            }
        }
        let Some(entry) = self.place(spare) else { return Arrival::NeedsEntry };
        if survey.holder.is_none() && !want.afar {
            let token = self.put(entry, State::Held, want.key, want.wait.hold);
            return Arrival::Step(Step::Held(Lease { entry, token, slot: want.slot }));
        }
        let token = self.put(entry, State::Waiting, want.key, want.wait.hold);
        Arrival::Step(Step::Waiting(self.place_of(entry, token, survey.holder, want)))
    }

    fn place_of(&self, entry: u32, token: u64, holder: Option<u32>, want: &Want) -> Place {
        let now = self.now();
        let mut nap = SLICE.min(want.deadline.since(now));
        if let Some(until) = holder.map(|h| self.cells.until(h)).filter(|&u| u != NO_END) {
            nap = nap.min(until.since(now));
        }
        Place { entry, token, signal: self.cells.signal(entry), nap }
    }

    /// The owners of the key's lease and of its waiters older than `token`.
    fn owners_of(&self, key: Key, token: u64) -> Vec<Owner> {
        let cells = self.cells;
        let before =
            |&entry: &u32| cells.meta(entry).state == State::Held || cells.token(entry) < token;
        self.entries_of(key).into_iter().filter(before).map(|e| cells.owner(e)).collect()
    }

    /// Removes the entries of the key whose owners are dead, and hands the lease on.
    fn bury(&mut self, key: Key, dead: &[Owner]) {
        for entry in self.entries_of(key) {
            if dead.contains(&self.cells.owner(entry)) {
                self.remove_dead(entry);
            }
        }
        self.settle(key);
    }

    /// The same, then what became of a waiter; it leaves if it still waits and is late.
    fn bury_and_ask(
        &mut self,
        key: Key,
        dead: &[Owner],
        place: &Place,
        late: bool,
    ) -> Option<State> {
        self.bury(key, dead);
        let standing = self.standing(place.entry, place.token);
        if late && standing == Some(State::Waiting) {
            self.remove(place.entry);
        }
        standing
    }

    /// Removes one entry, if it is still in this slot and its owner dead, and hands the lease on.
    pub fn bury_entry(&mut self, entry: u32, dead: &[Owner]) {
        let listed = self.standing(entry, self.cells.token(entry)).is_some();
        if listed && dead.contains(&self.cells.owner(entry)) {
            let key = self.cells.key(entry);
            self.remove_dead(entry);
            self.settle(key);
        }
    }

    fn remove_dead(&mut self, entry: u32) {
        if self.cells.meta(entry).state == State::Held {
            self.cells.count(Count::FromDead);
        }
        self.remove(entry);
    }
}

/// How many wait in all slots; others come and go meanwhile, so it may be off by those.
pub(super) fn waiting_in_all<M: Words>(cells: &Cells<M>) -> u64 {
    (0..cells.layout.slots()).map(|slot| cells.part(slot, Part::Waiting)).sum()
}

impl<M, O, C, S> Table<M, O, C, S>
where
    M: Words + Parking,
    O: Owners,
    C: Clock,
    S: SlotMutexes,
{
    pub(super) fn want(&self, key: &StoreKey, wait: &Wait) -> Want {
        let arrived = self.clock.monotonic();
        let slot = slot_of(key, self.cells.layout.slots());
        let deadline = arrived.after(wait.timeout);
        Want { key: Key::of(key), slot, afar: false, wait: *wait, arrived, deadline }
    }

    /// The same for who has the lease and waits for another machine.
    pub(super) fn want_afar(&self, key: &StoreKey, wait: &Wait) -> Want {
        Want { key: Key::of(key).afar(), afar: true, ..self.want(key, wait) }
    }

    /// Takes the lease if it is free, else queues up for it.
    pub(super) fn begin(&self, want: &Want) -> Result<Step, LeaseError> {
        let mut spare = None;
        let step = self.begin_with(want, &mut spare);
        self.push_free(spare.as_slice());
        step
    }

    fn begin_with(&self, want: &Want, spare: &mut Option<u32>) -> Result<Step, LeaseError> {
        loop {
            let crowded = self.is_crowded_here();
            match self.within(want.slot, |slot| slot.arrive(want, crowded, spare))? {
                Arrival::Step(step) => return Ok(step),
                Arrival::NeedsEntry => *spare = Some(self.spare()?),
                Arrival::Contested(owners) => {
                    let dead = self.dead_among(owners);
                    if dead.is_empty() {
                        self.cells.count(Count::Timeouts);
                        return Err(LeaseError::TimedOut);
                    }
                    self.within(want.slot, |slot| slot.bury(want.key, &dead))?;
                }
                Arrival::Crowded if self.sweep_if_due() => {}
                Arrival::Crowded => {
                    self.cells.count(Count::TooManyWaiters);
                    return Err(LeaseError::TooManyWaiters);
                }
            }
        }
    }

    fn spare(&self) -> Result<u32, LeaseError> {
        if let Some(entry) = self.pop_free()? {
            return Ok(entry);
        }
        if self.sweep_if_due()
            && let Some(entry) = self.pop_free()?
        {
            return Ok(entry);
        }
        self.cells.count(Count::TableFull);
        Err(LeaseError::TableFull)
    }

    /// Sleeps until the next look is due or the lease is handed over.
    pub(super) fn nap(&self, place: &Place) {
        let word = self.cells.signal_word(place.entry);
        self.cells.words.park(word, place.signal, place.nap);
    }

    /// What became of a waiter: woken, or to look after those before it.
    pub(super) fn look(&self, want: &Want, place: Place) -> Result<Step, LeaseError> {
        if let Some(lease) = self.handed_over(want, &place) {
            return Ok(self.waited(want, lease));
        }
        let step = self.look_around(want, &place);
        if matches!(step, Err(LeaseError::Mutex(_))) {
            self.disown(place.entry, place.token);
        }
        step
    }

    /// Whether the lease came, seen without the mutex: the entry has our token until its lease
    /// ends.
    fn handed_over(&self, want: &Want, place: &Place) -> Option<Lease> {
        let meta = self.cells.meta(place.entry);
        let held = meta.state == State::Held && meta.slot == want.slot;
        (held && self.cells.token(place.entry) == place.token).then(|| place.lease(want))
    }

    fn look_around(&self, want: &Want, place: &Place) -> Result<Step, LeaseError> {
        let (standing, owners, next) = self.within(want.slot, |slot| {
            let holder = slot.settle(want.key).holder;
            let standing = slot.standing(place.entry, place.token);
            let next = slot.place_of(place.entry, place.token, holder, want);
            (standing, slot.owners_of(want.key, place.token), next)
        })?;
        match standing {
            Some(State::Waiting) => {}
            Some(_) => return Ok(self.waited(want, place.lease(want))),
            // Handed over and taken over again while we slept: to the end of the queue.
            None => return self.begin(want),
        }
        let dead = self.dead_among(owners);
        let late = self.clock.monotonic() >= want.deadline;
        if dead.is_empty() && !late {
            return Ok(Step::Waiting(next));
        }
        let standing =
            self.within(want.slot, |slot| slot.bury_and_ask(want.key, &dead, place, late))?;
        match standing {
            Some(State::Waiting) if late => {
                self.cells.count(Count::Timeouts);
                Err(LeaseError::TimedOut)
            }
            Some(State::Waiting) => Ok(Step::Waiting(next)),
            Some(_) => Ok(self.waited(want, place.lease(want))),
            None => self.begin(want),
        }
    }

    fn waited(&self, want: &Want, lease: Lease) -> Step {
        let micros = self.clock.monotonic().since(want.arrived).as_micros() as u64;
        self.cells.count_wait((u64::BITS - micros.leading_zeros()) as usize);
        Step::Held(lease)
    }
}
