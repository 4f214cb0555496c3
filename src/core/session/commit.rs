//! Writing back what a request made of its session.

use super::error::SessionError;
use super::state::{Notice, Phase, Services, Session};
use super::tokens;
use crate::core::clock::Time;
use crate::core::store::{Held, StoreError, StoreKey, Visit};

/// Where a request stands when its session is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// The status of the answer, as far as it is known. From 500 on changes are dropped.
    pub status: u16,
    /// The handler still runs, or another one follows: the session is used again.
    pub more: bool,
}

/// What a commit asks of the answer: the value of a `Set-Cookie` header, or nothing.
pub type Cookie = Option<String>;

impl Session {
    /// Writes back what was changed, ends what was ended, records the visit. To be called at each
    /// point of the way of a request where the answer allows it; [`Session::release`] follows the
    /// last.
    pub fn commit(&mut self, services: &Services<'_>, at: Point) -> Result<Cookie, SessionError> {
        match self.phase {
            Phase::Closed | Phase::Absent => return Ok(None),
            Phase::Reading => return self.record_visit(services),
            Phase::Writing => {}
        }
        if at.status >= 500 && !self.rules.place.save_on_error() {
            self.regenerate = false;
            self.drop_changes();
        }
        self.delete_doomed(services)?;
        match &self.base {
            Some(_) => self.commit_found(services, at.more),
            None if self.view.is_empty() => Ok(self.end_of_cookie()),
            None => self.create(services, at.more),
        }
    }

    /// Commits now, whatever becomes of the answer.
    pub fn save(&mut self, services: &Services<'_>) -> Result<Cookie, SessionError> {
        self.may_write()?;
        let before = self.notices.len();
        let cookie = self.commit(services, Point { status: 0, more: true })?;
        let dropped = |notice: &Notice| matches!(notice, Notice::ChangesDropped(_));
        if self.notices[before..].iter().any(dropped) {
            return Err(SessionError::Gone);
        }
        Ok(cookie)
    }

    fn commit_found(
        &mut self,
        services: &Services<'_>,
        more: bool,
    ) -> Result<Cookie, SessionError> {
        let Some(base) = &self.base else { return Ok(None) };
        let new_user = self.view.user != base.record.user;
        // Under a lease nobody else can be filling the session.
        if self.view.is_empty()
            && !base.record.is_empty()
            && self.is_exclusive(services)?
            && self.delete_emptied(services)?
        {
            return Ok(self.end_of_cookie());
        }
        if !new_user && !self.regenerate {
            return self.keep(services, more);
        }
        if !self.head_sent {
            return self.renew(services, new_user, more);
        }
        // No cookie can say the new id. Without one the user must not change, and what was set for
        // that user is dropped with the change; other values stand on their own.
        self.regenerate = false;
        if new_user {
            self.drop_changes();
        }
        self.keep(services, more)?;
        Err(SessionError::HeadSent)
    }

    /// Stores the session under the id it has. Without `more` nothing follows but that it is let go.
    pub(super) fn keep(
        &mut self,
        services: &Services<'_>,
        more: bool,
    ) -> Result<Cookie, SessionError> {
        if !self.is_changed() {
            return self.record_visit(services);
        }
        let alone = self.write(services, more)?;
        Ok(self.sent_again(services, true, alone))
    }

    pub(super) fn is_changed(&self) -> bool {
        self.base.as_ref().is_some_and(|base| {
            let stored = &base.record;
            (!self.touched.is_empty() && self.view.values != stored.values)
                || self.view.user != stored.user
                || self.view.timeout != stored.timeout
                || !tokens::are_same(&self.view.tokens, &stored.tokens)
        })
    }

    /// Replaces the record: at once under a lease that is still ours, else merged into what is
    /// stored. True if it was the former.
    fn write(&mut self, services: &Services<'_>, more: bool) -> Result<bool, SessionError> {
        let now = services.clock.now();
        let alone = self.is_exclusive(services)? && self.is_writable(now);
        if !alone {
            return self.merge(services).map(|()| false);
        }
        let claim = self.lease.as_ref().and_then(|holding| holding.claim.as_ref());
        let Some(base) = &mut self.base else { return Ok(false) };
        if claim.is_none() && base.held.version.is_none() {
            // An update could not name the version it replaces.
            return self.merge(services).map(|()| true);
        }
        self.rules.visit(&mut self.view, base.record.accessed, now);
        let written = match claim {
            Some(claim) => claim.update(&self.view, !more).map(|()| Held::default()),
            None => services.store.update(&base.key, std::mem::take(&mut base.held), &self.view),
        };
        match written {
            Ok(held) => {
                base.held = held;
                base.record.clone_from(&self.view);
                self.touched.clear();
                if let Some(holding) = self.lease.as_mut().filter(|_| !more) {
                    holding.claim = None;
                }
                Ok(true)
            }
            Err(StoreError::Gone) => {
                self.gone();
                Ok(false)
            }
            Err(StoreError::Overtaken) => self.overtaken(services).map(|()| false),
            Err(cause) => Err(cause.into()),
        }
    }

    /// Somebody else wrote the record although the lease was ours a moment ago.
    fn overtaken(&mut self, services: &Services<'_>) -> Result<(), SessionError> {
        if self.lease.as_ref().is_some_and(|holding| holding.claim.is_some()) {
            self.claim_is_lost(services);
        } else if let Some(key) = self.base.as_ref().map(|base| base.key) {
            // Tells of the lease if it was taken over meanwhile.
            self.is_held(services, key)?;
        }
        self.merge(services)
    }

    /// Whether the session, as far as this request knows, may still be written.
    pub(super) fn is_writable(&self, now: Time) -> bool {
        self.base.as_ref().is_some_and(|base| self.rules.writable(base.record.deadline, now))
    }

    /// Whether a lease of ours keeps every other writer away until the commit is done.
    pub(super) fn is_exclusive(&mut self, services: &Services<'_>) -> Result<bool, SessionError> {
        let Some(key) = self.base.as_ref().map(|base| base.key) else { return Ok(false) };
        self.holds(services, key)
    }

    /// The same for any key. Where some places write without a lease, a lease keeps nobody away.
    pub(super) fn holds(
        &mut self,
        services: &Services<'_>,
        key: StoreKey,
    ) -> Result<bool, SessionError> {
        Ok(self.is_held(services, key)? && !self.rules.shared_writes)
    }

    /// Whether the lease of a key is ours and was not taken over.
    pub(super) fn is_held(
        &mut self,
        services: &Services<'_>,
        key: StoreKey,
    ) -> Result<bool, SessionError> {
        let Some(holding) = self.lease.as_ref().filter(|holding| holding.key == key) else {
            return Ok(false);
        };
        if !services.leases.confirm(&holding.lease).map_err(StoreError::Mutex)? {
            self.notices.push(Notice::LeaseLost(key));
            self.end_lease(services);
            return Ok(false);
        }
        match &holding.claim {
            Some(claim) if claim.is_ours() => Ok(true),
            Some(_) => {
                self.claim_is_lost(services);
                Ok(false)
            }
            None => Ok(services.store.claims().is_none()),
        }
    }

    /// Other machines may have the session: from here on this request merges.
    pub(super) fn claim_is_lost(&mut self, services: &Services<'_>) {
        if let Some(holding) = &self.lease {
            self.notices.push(Notice::ClaimLost(holding.key));
        }
        self.end_lease(services);
    }

    /// Records a visit that changed nothing, if it is time to. A session that ended while the
    /// request ran is not brought back by that.
    fn record_visit(&mut self, services: &Services<'_>) -> Result<Cookie, SessionError> {
        let now = services.clock.now();
        let Some(base) = &self.base else { return Ok(None) };
        let stored = &base.record;
        let late = !self.rules.writable(stored.deadline, now);
        if late || stored.is_empty() || !self.rules.touch_due(stored.accessed, stored.timeout, now)
        {
            return Ok(self.sent_again(services, false, false));
        }
        let deadline = now.after(self.rules.timeout_of(stored.timeout));
        let visit = Visit { accessed: now, deadline };
        let Some(base) = &mut self.base else { return Ok(None) };
        match services.store.touch(&base.key, &base.held, base.record.incarnation, visit) {
            Ok(()) => {
                base.record.accessed = visit.accessed;
                base.record.deadline = base.record.deadline.max(visit.deadline);
                self.view.accessed = base.record.accessed;
                self.view.deadline = base.record.deadline;
                Ok(self.sent_again(services, true, false))
            }
            Err(StoreError::Gone) => Ok(None),
            Err(cause) => Err(cause.into()),
        }
    }
}
