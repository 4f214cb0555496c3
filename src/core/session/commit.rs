//! Writing back what a request made of its session.

use std::time::Duration;

use super::candidates::Source;
use super::error::SessionError;
use super::record::{Kind, Record};
use super::state::{Base, Notice, Phase, Services, Session};
use crate::core::clock::Time;
use crate::core::config::{Locking, MaxAge};
use crate::core::store::{Merge, StoreError, StoreKey, Visit};

/// Longest life of a session that was emptied where no lease says that nobody fills it again.
const EMPTY_LIFE: Duration = Duration::from_secs(300);

/// Most times a merge follows a session to its new id.
const MERGE_HOPS: usize = 3;

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
    /// point of the way of a request where the answer allows it; [`Session::release`] follows the last.
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
        let ended = self.delete_doomed(services)?;
        let Some(base) = &self.base else {
            return if self.view.is_empty() {
                Ok(ended.then(|| self.clear_cookie()).flatten())
            } else {
                self.create(services, at.more)
            };
        };
        let new_user = self.view.user != base.record.user;
        if new_user || self.regenerate {
            return self.renew(services, !new_user, at.more);
        }
        if self.view.is_empty() && !base.record.is_empty() {
            return self.emptied(services);
        }
        if self.is_changed() {
            self.write(services)?;
            return Ok(if self.base.is_some() { self.sent_again(services, true) } else { None });
        }
        self.record_visit(services)
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

    fn is_changed(&self) -> bool {
        self.base.as_ref().is_some_and(|base| {
            let stored = &base.record;
            (!self.touched.is_empty() && self.view.values != stored.values)
                || self.view.user != stored.user
                || self.view.timeout != stored.timeout
                || self.view.tokens != stored.tokens
        })
    }

    /// True if a record was to go.
    fn delete_doomed(&mut self, services: &Services<'_>) -> Result<bool, SessionError> {
        let Some(doomed) = self.doomed.take() else { return Ok(false) };
        let (key, incarnation) = (doomed.base.key, doomed.base.record.incarnation);
        match services.store.delete(&key, Some(incarnation)) {
            Ok(_) | Err(StoreError::Gone) => {}
            Err(cause) => {
                self.doomed = Some(doomed);
                return Err(cause.into());
            }
        }
        // A cookie that is not set again names nothing any more.
        if !doomed.keep_id || self.view.is_empty() {
            self.forget_id();
        }
        Ok(true)
    }

    /// The last key, the user and all tokens went. Under a lease nobody else can be filling the session.
    fn emptied(&mut self, services: &Services<'_>) -> Result<Cookie, SessionError> {
        let exclusive = self.is_exclusive(services)?;
        let Some(base) = &self.base else { return Ok(None) };
        if !exclusive {
            self.write(services)?;
            return Ok(None);
        }
        services.store.delete(&base.key, Some(base.record.incarnation))?;
        self.base = None;
        self.forget_id();
        self.fresh = true;
        Ok(self.clear_cookie())
    }

    /// Replaces the record: at once under a lease that is still ours, else merged into what is stored.
    fn write(&mut self, services: &Services<'_>) -> Result<(), SessionError> {
        let now = services.clock.now();
        let exclusive = self.is_exclusive(services)?;
        let Some(base) = &mut self.base else { return Ok(()) };
        if !self.rules.writable(base.record.deadline, now) {
            self.gone();
            return Ok(());
        }
        self.view.accessed = now.max(base.record.accessed);
        self.view.deadline = self.view.accessed.after(self.rules.timeout_of(self.view.timeout));
        if !exclusive || self.rules.shared_writes {
            return self.merge(services);
        }
        match services.store.update(&base.key, std::mem::take(&mut base.held), &self.view) {
            Ok(held) => {
                base.held = held;
                base.record = self.view.clone();
                self.touched.clear();
                Ok(())
            }
            Err(StoreError::Gone) => {
                self.gone();
                Ok(())
            }
            Err(cause) => Err(cause.into()),
        }
    }

    /// Applies the keys this request changed to the record as it is now, under the new id if it got one.
    fn merge(&mut self, services: &Services<'_>) -> Result<(), SessionError> {
        for _ in 0..MERGE_HOPS {
            let Some(base) = &self.base else { return Ok(()) };
            let (mut outcome, mut target, mut met) = (Ok(None), None, false);
            let merged = services.store.merge(&base.key, base.record.incarnation, &mut |found| {
                if let Kind::Alias { target: to, .. } = found.kind {
                    target = Some(StoreKey::from_bytes(to));
                    return Merge::Keep;
                }
                met = found.values != base.record.values;
                let record = self.merged(found, base);
                match self.fits(record.bytes(), record.values.len()) {
                    Ok(()) => {
                        outcome = Ok(Some(record.clone()));
                        Merge::Write(Box::new(record))
                    }
                    Err(limit) => {
                        outcome = Err(limit);
                        Merge::Keep
                    }
                }
            });
            match (merged, target) {
                (Err(StoreError::Gone), _) => {
                    self.gone();
                    return Ok(());
                }
                (Err(cause), _) => return Err(cause.into()),
                (Ok(()), Some(target)) => self.move_base(target),
                (Ok(()), None) => {
                    if met {
                        services.leases.count_merged();
                    }
                    return outcome.map(|record| self.merged_is_stored(record));
                }
            }
        }
        self.gone();
        Ok(())
    }

    pub(super) fn move_base(&mut self, target: StoreKey) {
        if let Some(base) = &mut self.base {
            base.key = target;
            base.alias = true;
        }
    }

    fn merged_is_stored(&mut self, record: Option<Record>) {
        if let (Some(base), Some(record)) = (&mut self.base, record) {
            base.held = Default::default();
            self.view = record.clone();
            base.record = record;
            self.touched.clear();
        }
    }

    /// `found` with this request's changes: those keys only, or everything where the last record wins.
    fn merged(&self, mut found: Record, base: &Base) -> Record {
        let visit = self.view.accessed.max(found.accessed);
        if self.rules.locking == Locking::Off {
            found = Record { created: found.created, ..self.view.clone() };
        } else {
            for key in &self.touched {
                match self.view.values.get(key) {
                    Some(value) => found.values.set(key, value.to_vec()),
                    None => {
                        found.values.remove(key);
                    }
                }
            }
            if self.view.timeout != base.record.timeout {
                found.timeout = self.view.timeout;
            }
        }
        found.accessed = visit;
        let timeout = self.rules.timeout_of(found.timeout);
        let life = if found.is_empty() { timeout.min(EMPTY_LIFE) } else { timeout };
        found.deadline = visit.after(life);
        found
    }

    /// The record vanished or was replaced: what this request changed is dropped, nothing is revived.
    pub(super) fn gone(&mut self) {
        if let Some(base) = self.base.take() {
            self.notices.push(Notice::ChangesDropped(base.key));
        }
        self.forget_id();
        self.fresh = true;
        self.drop_changes();
    }

    /// Whether a lease of ours keeps every other writer away until the commit is done.
    pub(super) fn is_exclusive(&mut self, services: &Services<'_>) -> Result<bool, SessionError> {
        let (Some((key, lease)), Some(base)) = (&self.lease, &self.base) else { return Ok(false) };
        if *key != base.key {
            return Ok(false);
        }
        if services.leases.confirm(lease).map_err(StoreError::Mutex)? {
            return Ok(true);
        }
        self.notices.push(Notice::LeaseLost(base.key));
        self.lease = None;
        Ok(false)
    }

    /// Records a visit that changed nothing, if it is time to.
    fn record_visit(&mut self, services: &Services<'_>) -> Result<Cookie, SessionError> {
        let now = services.clock.now();
        let Some(base) = &mut self.base else { return Ok(None) };
        let stored = &base.record;
        if stored.is_empty() || !self.rules.touch_due(stored.accessed, stored.timeout, now) {
            return Ok(self.sent_again(services, false));
        }
        let visit = Visit { accessed: now, deadline: self.deadline(now) };
        let Some(base) = &mut self.base else { return Ok(None) };
        match services.store.touch(&base.key, &base.held, base.record.incarnation, visit) {
            Ok(()) => {
                base.record.accessed = visit.accessed;
                base.record.deadline = visit.deadline;
                self.view.accessed = visit.accessed;
                self.view.deadline = visit.deadline;
                Ok(self.sent_again(services, true))
            }
            // A visit never revives what is gone.
            Err(StoreError::Gone) => Ok(None),
            Err(cause) => Err(cause.into()),
        }
    }

    fn deadline(&self, visit: Time) -> Time {
        visit.after(self.rules.timeout_of(self.view.timeout))
    }

    /// The cookie of a session that was found, where it is to be sent again: never for what came through
    /// an alias or by header or query, so that a slow answer cannot put an old id over a newer one.
    fn sent_again(&mut self, services: &Services<'_>, recorded: bool) -> Cookie {
        let (base, place) = (self.base.as_ref()?, &self.rules.place);
        let wanted =
            place.id_refresh() || base.stale || (recorded && place.id_max_age() == MaxAge::Timeout);
        if base.alias || self.source != Some(Source::Cookie) || !wanted {
            return None;
        }
        self.set_cookie(services)
    }

    pub(super) fn set_cookie(&mut self, services: &Services<'_>) -> Cookie {
        let (cookie, id) = (self.rules.cookie(self.timeout())?, self.id?);
        if self.head_sent {
            return None;
        }
        let line = cookie.set(&services.secrets.wire(&id));
        self.has_cookie = true;
        self.id_known = true;
        Some(line)
    }

    /// Clears the cookie if the client has it, by its request or by an earlier commit of this answer.
    fn clear_cookie(&mut self) -> Cookie {
        let line = self.rules.cookie(self.timeout())?.clear();
        if self.head_sent || !self.has_cookie {
            return None;
        }
        self.has_cookie = false;
        Some(line)
    }
}
