//! From the ids of a request to a session: lease, load, follow, judge.

use super::candidates::{Candidate, Reason};
use super::error::SessionError;
use super::record::Kind;
use super::state::{Access, Base, Notice, Phase, Services, Session, blank};
use crate::core::config::{Locking, StoreFailure};
use crate::core::lock::Lease;
use crate::core::store::{Loaded, StoreError, StoreKey};

/// Most aliases followed for one id: a session may get a new id twice while an old one still counts.
const ALIAS_HOPS: usize = 2;

/// A session that was found under a key, or under the key its alias names.
struct Found {
    key: StoreKey,
    loaded: Loaded,
    alias: bool,
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
            Err(SessionError::Store(cause))
                if self.rules.place.store_failure() == StoreFailure::Ignore =>
            {
                self.notices.push(Notice::StoreAbsent(cause.to_string()));
                self.phase = Phase::Absent;
            }
            Err(cause) => return Err(cause),
        }
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

    /// Reads the session again; changes that were not saved are dropped.
    pub fn reload(&mut self, services: &Services<'_>) -> Result<(), SessionError> {
        if self.phase == Phase::Absent {
            return Err(SessionError::Absent);
        }
        if self.base.is_none() {
            self.drop_changes();
            return Ok(());
        }
        let lease = self.lease.take();
        let again = self.reenter(services, false);
        self.lease = lease;
        again
    }

    /// Ends the lease and forgets what was not committed. The session can be opened again; it is then
    /// read anew.
    pub fn release(&mut self, services: &Services<'_>) {
        self.end_lease(services);
        if let Some(doomed) = self.doomed.take() {
            self.base = Some(doomed.base);
        }
        if let Some(base) = &mut self.base {
            base.held = Default::default();
        }
        self.regenerate = false;
        self.locks = 0;
        self.kept_view = false;
        self.drop_changes();
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
        match self.follow(services, base.key, lease) {
            Ok(Ok(found))
                if found.loaded.record.incarnation == base.record.incarnation
                    && found.loaded.record.user == base.record.user =>
            {
                base.key = found.key;
                base.alias |= found.alias;
                base.record = found.loaded.record;
                base.held = found.loaded.held;
                self.adopt(base, None);
                Ok(())
            }
            Ok(_) => {
                self.end_lease(services);
                self.forget_id();
                self.fresh = true;
                self.reason = Reason::Unknown;
                self.view = blank();
                self.touched.clear();
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
        let candidates: Vec<Candidate> = self.candidates.ids().to_vec();
        // Among several ids each is looked at first, so that no lease is taken on an unknown one.
        let look_first = lease && candidates.len() > 1;
        for candidate in candidates {
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
                Err(reason) => self.reason = reason,
            }
        }
        Ok(())
    }

    /// Goes from a key to a session, through aliases, never with two leases at once.
    fn follow(
        &mut self,
        services: &Services<'_>,
        mut key: StoreKey,
        lease: bool,
    ) -> Result<Result<Found, Reason>, SessionError> {
        for hop in 0..=ALIAS_HOPS {
            if lease {
                self.end_lease(services);
                let taken = self.acquire(services, &key)?;
                self.lease = Some((key, taken));
            }
            let reason = match self.look(services, &key) {
                Ok(Ok(loaded)) => match loaded.record.kind {
                    Kind::Session => {
                        return Ok(Ok(Found { key, loaded, alias: hop > 0 }));
                    }
                    Kind::Alias { target, .. } => {
                        key = StoreKey::from_bytes(target);
                        continue;
                    }
                },
                Ok(Err(reason)) => reason,
                Err(cause) => {
                    self.end_lease(services);
                    return Err(cause);
                }
            };
            self.end_lease(services);
            return Ok(Err(reason));
        }
        self.end_lease(services);
        Ok(Err(Reason::Unknown))
    }

    fn acquire(&mut self, services: &Services<'_>, key: &StoreKey) -> Result<Lease, SessionError> {
        services.leases.acquire(key, &self.rules.wait).map_err(|cause| {
            if services.leases.may_log_refusal(key) {
                self.notices.push(Notice::Refused(cause));
            }
            cause.into()
        })
    }

    /// Loads what is under one key and judges whether it still counts.
    fn look(
        &mut self,
        services: &Services<'_>,
        key: &StoreKey,
    ) -> Result<Result<Loaded, Reason>, SessionError> {
        match services.store.load(key) {
            Ok(None) => Ok(Err(Reason::Unknown)),
            Ok(Some(loaded)) => {
                let (record, now) = (&loaded.record, services.clock.now());
                let over = match record.kind {
                    Kind::Session => {
                        self.rules.expired(record.created, record.accessed, record.timeout, now)
                            || (record.is_empty() && now > record.deadline)
                    }
                    Kind::Alias { until, .. } => now > until,
                };
                Ok(if over { Err(Reason::Expired) } else { Ok(loaded) })
            }
            Err(StoreError::Newer(format)) => {
                self.notices.push(Notice::Newer(format));
                Ok(Err(Reason::Unknown))
            }
            Err(StoreError::Corrupt) if self.rules.place.invalidate_corrupt() => {
                if services.store.quarantine(key)? {
                    self.notices.push(Notice::Corrupt(*key));
                }
                Ok(Err(Reason::Corrupt))
            }
            Err(cause) => Err(cause.into()),
        }
    }

    pub(super) fn end_lease(&mut self, services: &Services<'_>) {
        if let Some((_, lease)) = self.lease.take() {
            services.leases.release(lease);
        }
    }
}
