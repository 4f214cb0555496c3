//! New records: a session that is made, and one that gets a new id.

use sha2::{Digest, Sha256};

use super::candidates::Source;
use super::commit::Cookie;
use super::error::SessionError;
use super::id::SessionId;
use super::record::{Kind, Record};
use super::state::{Base, Services, Session, blank};
use crate::core::config::Locking;
use crate::core::lock::Wait;
use crate::core::store::{Held, Merge, StoreError, StoreKey};

impl Session {
    /// Makes the record of a session that has something to keep for the first time.
    pub(super) fn create(
        &mut self,
        services: &Services<'_>,
        more: bool,
    ) -> Result<Cookie, SessionError> {
        let known = self.id_known;
        if self.head_sent && !known {
            self.drop_changes();
            return Err(SessionError::HeadSent);
        }
        let now = services.clock.now();
        let id = self.reserve_id(services)?;
        let scope = Sha256::digest(self.rules.scope.as_bytes());
        self.view.incarnation = random_u64(services)?;
        self.view.scope.copy_from_slice(&scope[..8]);
        self.view.client = self.client.to_string();
        self.view.created = now;
        self.view.accessed = now;
        self.view.deadline = now.after(self.rules.timeout_of(self.view.timeout));
        let key = StoreKey::new(&self.rules.scope, id.as_bytes());
        services.store.create(&key, &self.view)?;
        self.base = Some(Base {
            key,
            record: self.view.clone(),
            held: Held::default(),
            alias: false,
            stale: false,
        });
        self.touched.clear();
        self.follow_lease(services, key, more);
        Ok(if known { None } else { self.set_cookie(services) })
    }

    /// Gives the session a new id. The new record is made first, then the old one becomes an alias (same
    /// user) or goes (another user: whoever planted the old id gets nothing). A crash in between leaves
    /// the old session as it was.
    pub(super) fn renew(
        &mut self,
        services: &Services<'_>,
        same_user: bool,
        more: bool,
    ) -> Result<Cookie, SessionError> {
        let Some(old) = &self.base else { return Ok(None) };
        if self.head_sent || old.alias {
            let refused =
                if old.alias { SessionError::ThroughAlias } else { SessionError::HeadSent };
            self.drop_changes();
            return Err(refused);
        }
        let now = services.clock.now();
        let id = SessionId::generate(services.random).map_err(SessionError::Random)?;
        let key = StoreKey::new(&self.rules.scope, id.as_bytes());
        let mut record = self.view.clone();
        if !same_user {
            record.incarnation = random_u64(services)?;
        }
        record.accessed = now;
        record.deadline = now.after(self.rules.timeout_of(record.timeout));
        services.store.create(&key, &record)?;
        let grace = same_user && !self.rules.place.regenerate_grace().is_zero();
        let left = if grace { self.leave_alias(services, key) } else { self.remove_old(services) };
        if let Err(cause) = left {
            // The old record stands; the new one must not stay beside it.
            services.store.delete(&key, Some(record.incarnation))?;
            if matches!(cause, SessionError::Gone) {
                self.gone();
                return Ok(None);
            }
            return Err(cause);
        }
        self.view = record.clone();
        self.base = Some(Base { key, record, held: Held::default(), alias: false, stale: false });
        self.id = Some(id);
        self.regenerate = false;
        self.touched.clear();
        self.follow_lease(services, key, more);
        let by_cookie = self.source.is_none_or(|source| source == Source::Cookie);
        Ok(if by_cookie { self.set_cookie(services) } else { None })
    }

    /// Replaces the old record by the way to the new one.
    fn leave_alias(&mut self, services: &Services<'_>, to: StoreKey) -> Result<(), SessionError> {
        let exclusive = self.is_exclusive(services)? && !self.rules.shared_writes;
        let Some(old) = &mut self.base else { return Ok(()) };
        let until = services.clock.now().after(self.rules.place.regenerate_grace());
        let alias = Record {
            kind: Kind::Alias { target: *to.as_bytes(), until },
            incarnation: old.record.incarnation,
            scope: old.record.scope,
            created: old.record.created,
            accessed: old.record.accessed,
            deadline: until,
            ..blank()
        };
        let written = if exclusive {
            services.store.update(&old.key, std::mem::take(&mut old.held), &alias).map(drop)
        } else {
            let mut alias = Some(alias);
            services.store.merge(&old.key, old.record.incarnation, &mut |_| match alias.take() {
                Some(alias) => Merge::Write(Box::new(alias)),
                None => Merge::Keep,
            })
        };
        match written {
            Ok(()) => Ok(()),
            Err(StoreError::Gone) => Err(SessionError::Gone),
            Err(cause) => Err(cause.into()),
        }
    }

    fn remove_old(&mut self, services: &Services<'_>) -> Result<(), SessionError> {
        let Some(old) = &self.base else { return Ok(()) };
        match services.store.delete(&old.key, Some(old.record.incarnation)) {
            Ok(true) => Ok(()),
            Ok(false) | Err(StoreError::Gone) => Err(SessionError::Gone),
            Err(cause) => Err(cause.into()),
        }
    }

    /// Moves the lease to a key that this request made, if its handler goes on: nobody else knows the id
    /// yet, so there is nothing to wait for. Should it fail all the same, the next commit merges.
    fn follow_lease(&mut self, services: &Services<'_>, key: StoreKey, more: bool) {
        if self.lease.as_ref().is_some_and(|(held, _)| *held == key) {
            return;
        }
        self.end_lease(services);
        if more && self.rules.locking == Locking::Request {
            let at_once = Wait { timeout: std::time::Duration::ZERO, ..self.rules.wait };
            self.lease = services.leases.acquire(&key, &at_once).ok().map(|lease| (key, lease));
        }
    }
}

fn random_u64(services: &Services<'_>) -> Result<u64, SessionError> {
    let mut bytes = [0; 8];
    services.random.fill(&mut bytes).map_err(SessionError::Random)?;
    Ok(u64::from_le_bytes(bytes))
}
