//! New records: a session that is made, and one that gets a new id.

use std::time::Duration;

use super::candidates::{Reason, Source};
use super::commit::Cookie;
use super::error::SessionError;
use super::id::SessionId;
use super::leave::{Left, Move};
use super::record::{Record, scope_mark};
use super::state::{Base, Holding, Notice, Services, Session};
use crate::core::config::Locking;
use crate::core::lock::Wait;
use crate::core::store::{Held, StoreError, StoreKey};

impl Session {
    /// Makes the record of a session that has something to keep for the first time.
    pub(super) fn create(
        &mut self,
        services: &Services<'_>,
        more: bool,
    ) -> Result<Cookie, SessionError> {
        let login = self.view.user.is_some();
        if self.head_sent && (login || !self.is_told()) {
            self.drop_changes();
            return Err(SessionError::HeadSent);
        }
        if login && self.name.known {
            // Deleted and logged in: who knew the id before must not know the user's.
            self.forget_id();
        }
        let told = self.is_told();
        let id = self.reserve_id(services)?;
        let key = StoreKey::new(&self.rules.scope, id.as_bytes());
        self.prepare(services)?;
        let mut ahead = self.lease_ahead(services, key, more);
        let mut holding = ahead.as_mut();
        if holding.is_none() {
            holding = self.lease.as_mut().filter(|held| more && held.key == key);
        }
        match create_held(services, (&key, &self.view), holding, &self.rules.wait) {
            Ok(()) => {
                self.stands_under(services, key, self.view.clone(), ahead);
                Ok(if told { None } else { self.set_cookie(services) })
            }
            Err(cause) => {
                give_back(services, ahead);
                self.not_created(key, cause).map(|()| None)
            }
        }
    }

    /// Deleted by this request and made again by another one: that stands.
    fn not_created(&mut self, key: StoreKey, cause: StoreError) -> Result<(), SessionError> {
        if !self.name.known || !matches!(cause, StoreError::Exists) {
            return Err(cause.into());
        }
        self.notices.push(Notice::ChangesDropped(key));
        self.ended = false;
        self.start_anew(Reason::Unknown);
        Ok(())
    }

    fn prepare(&mut self, services: &Services<'_>) -> Result<(), SessionError> {
        let now = services.clock.now();
        self.view.incarnation = random_u64(services)?;
        self.view.scope = scope_mark(&self.rules.scope);
        self.view.client = self.client;
        self.view.created = now;
        self.rules.visit(&mut self.view, now, now);
        Ok(())
    }

    /// Gives the session a new id. The new record is made first, then the old one becomes an alias
    /// (same user) or goes (another user: whoever planted the old id gets nothing). A crash in
    /// between leaves the old session as it was, beside a record that nobody knows of.
    pub(super) fn renew(
        &mut self,
        services: &Services<'_>,
        new_user: bool,
        more: bool,
    ) -> Result<Cookie, SessionError> {
        let alone = self.is_exclusive(services)? && self.is_writable(services.clock.now());
        let id = SessionId::generate(services.random).map_err(SessionError::Random)?;
        let to = StoreKey::new(&self.rules.scope, id.as_bytes());
        let random = random_u64(services)?;
        let Some(mut base) = self.base.take() else { return Ok(None) };
        let incarnation = if new_user { random } else { base.record.incarnation };
        // Before others can find the way to the new record, so that none of them comes in between.
        let mut ahead = self.lease_ahead(services, to, more);
        let wanted = Move { to, incarnation, new_user, alone };
        let left = self.move_base_to(services, &mut base, &wanted, ahead.as_mut());
        self.base = Some(base);
        if let Ok(Left::Behind(record)) = left {
            self.name.id = Some(id);
            self.stands_under(services, to, *record, ahead);
            let by_cookie = self.name.source.is_none_or(|source| source == Source::Cookie);
            return Ok(if by_cookie { self.set_cookie(services) } else { None });
        }
        give_back(services, ahead);
        match left? {
            Left::Elsewhere(target) => self.second_to_renew(services, target, new_user, more),
            Left::Behind(_) | Left::Gone => {
                self.gone();
                Ok(None)
            }
        }
    }

    /// Another request was faster: one new id is enough, and through an old one the user does not
    /// change.
    fn second_to_renew(
        &mut self,
        services: &Services<'_>,
        target: StoreKey,
        new_user: bool,
        more: bool,
    ) -> Result<Cookie, SessionError> {
        self.move_base(target);
        self.regenerate = false;
        if new_user {
            self.drop_changes();
            return Err(SessionError::ThroughAlias);
        }
        self.keep(services, more)
    }

    /// The session is now what was stored under `key`, and its lease the one taken for that.
    fn stands_under(
        &mut self,
        services: &Services<'_>,
        key: StoreKey,
        record: Record,
        ahead: Option<Holding>,
    ) {
        self.view = record.clone();
        let held = Held::default();
        self.base = Some(Base { key, record, held, alias: false, stale: false });
        self.regenerate = false;
        (self.ended, self.lost) = (false, false);
        self.touched.clear();
        if self.lease.as_ref().is_none_or(|holding| holding.key != key) {
            self.end_lease(services);
            self.lease = ahead;
        }
    }

    /// The lease of a key that nobody knows yet, if the handler goes on and wants one: there is
    /// nothing to wait for. Should it fail all the same, the next commit merges.
    fn lease_ahead(&self, services: &Services<'_>, key: StoreKey, more: bool) -> Option<Holding> {
        let has_it = self.lease.as_ref().is_some_and(|holding| holding.key == key);
        let wanted = self.rules.locking == Locking::Request || self.lease.is_some();
        if has_it || !more || !wanted {
            return None;
        }
        let at_once = Wait { timeout: Duration::ZERO, ..self.rules.wait };
        let lease = services.leases.acquire(&key, &at_once).ok()?;
        Some(Holding { key, lease, claim: None })
    }
}

fn give_back(services: &Services<'_>, ahead: Option<Holding>) {
    if let Some(holding) = ahead {
        holding.end(services);
    }
}

/// Makes a record; for who holds its key already, held against other machines too.
pub(super) fn create_held(
    services: &Services<'_>,
    (key, record): (&StoreKey, &Record),
    holding: Option<&mut Holding>,
    wait: &Wait,
) -> Result<(), StoreError> {
    match (holding, services.store.claims()) {
        (Some(holding), Some(claims)) => {
            holding.claim = Some(claims.create(key, record, wait)?);
            Ok(())
        }
        _ => services.store.create(key, record),
    }
}

fn random_u64(services: &Services<'_>) -> Result<u64, SessionError> {
    let mut bytes = [0; 8];
    services.random.fill(&mut bytes).map_err(SessionError::Random)?;
    Ok(u64::from_le_bytes(bytes))
}
