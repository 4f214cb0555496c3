//! From the ids of a request to a session: lease, load, follow, judge.

use std::time::Duration;

use super::candidates::Reason;
use super::error::SessionError;
use super::record::{Kind, Record};
use super::state::{Access, Base, Holding, Notice, Phase, Services, Session};
use crate::core::clock::{Monotonic, Time};
use crate::core::config::{Locking, StoreFailure};
use crate::core::lock::{Event, Lease, LeaseError, Leases, Queued, Wait};
use crate::core::store::{Claimed, Claims, Loaded, StoreError, StoreKey};

/// Most aliases followed for one id: a session may get a new id twice while an old one still
/// counts.
const ALIAS_HOPS: usize = 2;

/// A session that was found under a key, or under the key its alias names.
struct Found {
    key: StoreKey,
    loaded: Loaded,
    alias: bool,
}

/// Why there is none under a key.
struct Miss {
    reason: Reason,
    /// The key is that of an id that was replaced, and too long ago.
    replaced: bool,
}

impl From<Reason> for Miss {
    fn from(reason: Reason) -> Miss {
        Miss { reason, replaced: false }
    }
}

impl Session {
    /// Opens the session; does nothing if it is open that way already.
    ///
    /// Opening for writing what was read before reads it again under the lease; a session that
    /// vanished or changed its user meanwhile is not handed over: it is a new one then.
    pub fn open(&mut self, services: &Services<'_>, access: Access) -> Result<(), SessionError> {
        let write = access == Access::Write && self.rules.locking != Locking::Read;
        match self.phase {
            Phase::Absent | Phase::Writing => return Ok(()),
            Phase::Reading if !write => return Ok(()),
            Phase::Reading | Phase::Closed => {}
        }
        let lease = write && self.rules.locking == Locking::Request;
        match self.enter(services, lease) {
            Ok(()) => {
                self.kept_view = false;
                self.phase = if write { Phase::Writing } else { Phase::Reading };
            }
            Err(cause) => self.do_without(cause)?,
        }
        Ok(())
    }

    /// Goes on without the store where the place says so: with what was loaded, or with nothing.
    fn do_without(&mut self, cause: SessionError) -> Result<(), SessionError> {
        match self.rules.place.store_failure() {
            StoreFailure::Ignore if cause.is_outage() => {
                self.start_anew(self.reason);
                self.kept_view = false;
                self.phase = Phase::Absent;
            }
            // Opened for writing after a look: what that found is served, and writes are refused.
            StoreFailure::Readonly if cause.is_outage() && self.phase == Phase::Reading => {}
            _ => return Err(cause),
        }
        self.notices.push(Notice::StoreAbsent(cause.to_string()));
        Ok(())
    }

    /// Opens the session for writing under a lease, whatever the place's locking is.
    pub(super) fn open_leased(&mut self, services: &Services<'_>) -> Result<(), SessionError> {
        if self.phase == Phase::Absent {
            return Err(SessionError::Absent);
        }
        self.enter(services, true)?;
        self.kept_view = false;
        self.phase = Phase::Writing;
        Ok(())
    }

    /// Reads the session again; what was done and not saved is taken back first.
    pub fn reload(&mut self, services: &Services<'_>) -> Result<(), SessionError> {
        if self.phase == Phase::Absent {
            return Err(SessionError::Absent);
        }
        self.undo();
        let lease = self.lease.take();
        let again = self.reenter(services, false);
        self.lease = lease;
        // Who asks for it sees what there is.
        self.lost = false;
        again
    }

    /// Ends the lease and forgets what was not committed. The session can be opened again; it is
    /// then read anew.
    pub fn release(&mut self, services: &Services<'_>) {
        self.end_lease(services);
        if self.doomed.is_some() || self.regenerate || self.base.is_none() || self.is_changed() {
            self.undo();
        }
        self.touched.clear();
        self.locks = 0;
        (self.kept_view, self.lost) = (false, false);
        if let Some(base) = &mut self.base {
            base.held = Default::default();
        }
        if self.phase != Phase::Absent {
            self.phase = Phase::Closed;
        }
    }

    fn enter(&mut self, services: &Services<'_>, lease: bool) -> Result<(), SessionError> {
        if self.base.is_some() {
            let read_already = self.phase == Phase::Reading;
            return if lease || !read_already { self.reenter(services, lease) } else { Ok(()) };
        }
        if !self.searched {
            self.search(services, lease)?;
            self.searched = true;
        }
        Ok(())
    }

    /// Reads a session again that this request found or made before.
    fn reenter(&mut self, services: &Services<'_>, lease: bool) -> Result<(), SessionError> {
        let Some(mut base) = self.base.take() else { return Ok(()) };
        let (incarnation, user) = (base.record.incarnation, &base.record.user);
        match self.follow(services, base.key, lease) {
            Ok(Ok(found))
                if found.loaded.record.incarnation == incarnation
                    && found.loaded.record.user == *user =>
            {
                base.key = found.key;
                base.alias |= found.alias;
                base.record = found.loaded.record;
                base.held = found.loaded.held;
                self.adopt(base, None);
                Ok(())
            }
            Ok(other) => {
                self.end_lease(services);
                self.lost = self.kept_view || self.phase != Phase::Closed;
                self.start_anew(other.err().map_or(Reason::Unknown, |miss| miss.reason));
                Ok(())
            }
            Err(cause) => {
                self.base = Some(base);
                Err(cause)
            }
        }
    }

    /// Looks for the ids of the request in order; the first known one wins.
    fn search(&mut self, services: &Services<'_>, lease: bool) -> Result<(), SessionError> {
        // Among several ids each is looked at first, so that no lease is taken on an unknown one.
        let look_first = lease && self.candidates.ids().len() > 1;
        for number in 0.. {
            let Some(&candidate) = self.candidates.ids().get(number) else { break };
            let key = StoreKey::new(&self.rules.scope, candidate.id.as_bytes());
            let mut found = self.follow(services, key, lease && !look_first)?;
            if look_first && found.is_ok() {
                found = self.follow(services, key, true)?;
            }
            match found {
                Ok(Found { key, loaded, alias }) => {
                    let base = Base {
                        key,
                        record: loaded.record,
                        held: loaded.held,
                        alias,
                        stale: candidate.stale,
                    };
                    self.adopt(base, Some(candidate));
                    return Ok(());
                }
                Err(miss) => {
                    self.reason = miss.reason;
                    if miss.replaced {
                        self.tell_replaced(services, key);
                    }
                }
            }
        }
        Ok(())
    }

    /// The client has an id whose session got another one long ago. Once for each request: a search that
    /// failed is done again.
    fn tell_replaced(&mut self, services: &Services<'_>, key: StoreKey) {
        if !std::mem::replace(&mut self.told_replaced, true) {
            services.leases.count(Event::OldId);
            self.notices.push(Notice::OldId(key));
        }
    }

    /// Goes from a key to a session, through aliases, never with two leases at once.
    fn follow(
        &mut self,
        services: &Services<'_>,
        mut key: StoreKey,
        lease: bool,
    ) -> Result<Result<Found, Miss>, SessionError> {
        // An alias leads to the session it was made for, not to one that took its place.
        let mut expected = None;
        for hop in 0..=ALIAS_HOPS {
            let mut since = None;
            if lease {
                self.end_lease(services);
                since = services.store.claims().map(|_| services.clock.monotonic());
                let lease = self.acquire(services, &key)?;
                self.lease = Some(Holding { key, lease, claim: None });
            }
            let miss = match self.look(services, &key, since) {
                Ok(Ok(Loaded { record, .. }))
                    if expected.is_some_and(|expected| expected != record.incarnation) =>
                {
                    Reason::Unknown.into()
                }
                Ok(Ok(loaded)) => match loaded.record.kind {
                    Kind::Session => return Ok(Ok(Found { key, loaded, alias: hop > 0 })),
                    Kind::Alias { target, .. } => {
                        key = StoreKey::from_bytes(target);
                        expected = Some(loaded.record.incarnation);
                        continue;
                    }
                },
                Ok(Err(miss)) => miss,
                Err(cause) => {
                    self.end_lease(services);
                    return Err(cause);
                }
            };
            self.end_lease(services);
            return Ok(Err(miss));
        }
        self.end_lease(services);
        Ok(Err(Reason::Unknown.into()))
    }

    fn acquire(&mut self, services: &Services<'_>, key: &StoreKey) -> Result<Lease, SessionError> {
        match services.leases.acquire(key, &self.patience()) {
            Ok(lease) => {
                self.refused = false;
                Ok(lease)
            }
            Err(cause) => {
                self.note_refusal(services, key, cause);
                Err(cause.into())
            }
        }
    }

    /// How this request waits for a lease: `SessionLockTimeout` bounds the whole of it, its includes and the
    /// page of its error as well.
    fn patience(&self) -> Wait {
        let wait = self.rules.wait;
        Wait { timeout: if self.refused { Duration::ZERO } else { wait.timeout }, ..wait }
    }

    fn note_refusal(&mut self, services: &Services<'_>, key: &StoreKey, cause: LeaseError) {
        self.refused = true;
        if services.leases.may_log(key) {
            self.notices.push(Notice::Refused(cause));
        }
    }

    /// Reads a record; with `since`, when waiting for its lease began, it is held against other machines
    /// too, which takes no longer than is left of the wait.
    fn load(
        &mut self,
        services: &Services<'_>,
        key: &StoreKey,
        since: Option<Monotonic>,
    ) -> Result<Option<Loaded>, StoreError> {
        let (Some(since), Some(claims)) = (since, services.store.claims()) else {
            return services.store.load(key);
        };
        let waited = services.clock.monotonic().since(since);
        let timeout = self.patience().timeout.saturating_sub(waited);
        match load_held(services, claims, key, &Wait { timeout, ..self.rules.wait }) {
            Ok(Some((loaded, claim))) => {
                if let Some(holding) = &mut self.lease {
                    holding.claim = claim;
                }
                Ok(Some(loaded))
            }
            Ok(None) => Ok(None),
            Err(StoreError::Lease(cause)) => {
                self.note_refusal(services, key, cause);
                Err(StoreError::Lease(cause))
            }
            Err(cause) => Err(cause),
        }
    }

    /// Loads what is under one key and judges whether it still counts.
    fn look(
        &mut self,
        services: &Services<'_>,
        key: &StoreKey,
        since: Option<Monotonic>,
    ) -> Result<Result<Loaded, Miss>, SessionError> {
        let mut found = self.load(services, key, since);
        if matches!(found, Err(StoreError::Corrupt)) && self.rules.place.invalidate_corrupt() {
            if services.store.quarantine(key)? {
                self.notices.push(Notice::Corrupt(*key));
                return Ok(Err(Reason::Corrupt.into()));
            }
            // Somebody else moved it aside, or wrote it anew meanwhile.
            found = self.load(services, key, since);
            if matches!(found, Ok(None) | Err(StoreError::Corrupt)) {
                return Ok(Err(Reason::Corrupt.into()));
            }
        }
        match found {
            Ok(Some(loaded)) => Ok(match self.judge(services, &loaded.record) {
                None => Ok(loaded),
                Some(miss) => Err(miss),
            }),
            Ok(None) => Ok(Err(Reason::Unknown.into())),
            Err(StoreError::Newer(format)) => {
                if services.leases.may_log(key) {
                    self.notices.push(Notice::Newer(format));
                }
                Ok(Err(Reason::Unknown.into()))
            }
            Err(cause) => Err(cause.into()),
        }
    }

    /// Why a record counts no more, if it does not.
    fn judge(&self, services: &Services<'_>, record: &Record) -> Option<Miss> {
        let now = services.clock.now();
        let idle = |own| self.rules.expired(record.created, record.accessed, own, now);
        match record.kind {
            // The deadline, set by the place of the last visit, counts as well: cleanup goes by it.
            Kind::Session if now > record.deadline || idle(record.timeout) => {
                Some(Reason::Expired.into())
            }
            // An alias that was never to be followed only keeps others off a record that is to go.
            Kind::Alias { until, .. } if now > until => {
                Some(Miss { reason: Reason::Expired, replaced: until != Time::default() })
            }
            _ => None,
        }
    }

    pub(super) fn end_lease(&mut self, services: &Services<'_>) {
        if let Some(holding) = self.lease.take() {
            holding.end(services);
        }
    }
}

/// Reads a record and holds it against other machines. If one of these holds it, it is asked for again
/// and again, by no more requests than may wait: should that machine be dead, with many sessions, each of
/// them would else take a worker until it is free.
fn load_held(
    services: &Services<'_>,
    claims: &dyn Claims,
    key: &StoreKey,
    wait: &Wait,
) -> Result<Option<Claimed>, StoreError> {
    match claims.load(key, &Wait { timeout: Duration::ZERO, ..*wait }) {
        Err(StoreError::Lease(LeaseError::TimedOut)) if !wait.timeout.is_zero() => {}
        at_once => return at_once,
    }
    let place = services.leases.queue(key, wait).map_err(StoreError::Lease)?;
    let _queued = InQueue { leases: services.leases, place: Some(place) };
    claims.load(key, wait)
}

/// A place among those that wait, given back however the wait ends.
struct InQueue<'a> {
    leases: &'a dyn Leases,
    place: Option<Queued>,
}

impl Drop for InQueue<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            self.leases.unqueue(place);
        }
    }
}

impl Holding {
    /// Lets the session go: other machines first, so that who waits here finds it free there.
    pub(super) fn end(self, services: &Services<'_>) {
        drop(self.claim);
        services.leases.release(self.lease);
    }
}
