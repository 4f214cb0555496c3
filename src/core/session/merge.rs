//! Changes of a request that did not have the session for itself, and what they are applied to.

use std::time::Duration;

use super::add::sum;
use super::candidates::Reason;
use super::change::size_of;
use super::error::SessionError;
use super::record::{Kind, Record};
use super::rules::Rules;
use super::state::{Base, Notice, Services, Session};
use super::tokens;
use crate::core::clock::Time;
use crate::core::config::Locking;
use crate::core::lock::Event;
use crate::core::store::{Merge, StoreError, StoreKey};

/// Longest life of a session that was emptied where no lease says that nobody fills it again.
const EMPTY_LIFE: Duration = Duration::from_secs(300);

/// Most times a session is followed to its new id.
pub(super) const MERGE_HOPS: usize = 32;

impl Rules {
    /// Writes a visit at `now` into a record whose latest one was at `before`.
    pub(super) fn visit(&self, record: &mut Record, before: Time, now: Time) {
        let timeout = self.timeout_of(record.timeout);
        let life = if record.is_empty() { timeout.min(EMPTY_LIFE) } else { timeout };
        record.accessed = now.max(before);
        record.deadline = record.accessed.after(life);
    }
}

/// Whether something of a record is not as it was that a request can change.
pub(super) fn differ(now: &Record, before: &Record) -> bool {
    now.values != before.values
        || now.user != before.user
        || now.timeout != before.timeout
        || !tokens::are_same(&now.tokens, &before.tokens)
}

impl Session {
    /// Applies the keys this request changed to the record as it is now, under the new id if it
    /// got one.
    pub(super) fn merge(&mut self, services: &Services<'_>) -> Result<(), SessionError> {
        let now = services.clock.now();
        for _ in 0..MERGE_HOPS {
            let Some(base) = &self.base else { return Ok(()) };
            let (mut outcome, mut target, mut met) = (Ok(None), None, false);
            let merged = services.store.merge(&base.key, base.record.incarnation, &mut |found| {
                if let Kind::Alias { target: to, .. } = found.kind {
                    target = Some(StoreKey::from_bytes(to));
                    return Merge::Keep;
                }
                met = differ(&found, &base.record);
                outcome = self.merged(found, base, now);
                match &outcome {
                    Ok(Some(record)) => Merge::Write(Box::new(record.clone())),
                    Ok(None) | Err(_) => Merge::Keep,
                }
            });
            match (merged, target, outcome?) {
                (Err(StoreError::Gone), ..) | (Ok(()), None, None) => {
                    self.gone();
                    return Ok(());
                }
                (Err(cause), ..) => return Err(cause.into()),
                (Ok(()), Some(target), _) => self.move_base(target),
                (Ok(()), None, Some(record)) => {
                    if met {
                        services.leases.count(Event::Merged);
                    }
                    self.merged_is_stored(record);
                    return Ok(());
                }
            }
        }
        self.gone();
        Ok(())
    }

    /// The session got a new id from another request.
    pub(super) fn move_base(&mut self, target: StoreKey) {
        if let Some(base) = &mut self.base {
            base.key = target;
            base.held = Default::default();
            base.alias = true;
        }
    }

    fn merged_is_stored(&mut self, record: Record) {
        if let Some(base) = &mut self.base {
            base.held = Default::default();
            self.view.clone_from(&record);
            base.record = record;
            self.touched.clear();
        }
    }

    /// [`Session::changed`]; none if it is too late to write the session.
    pub(super) fn merged(
        &self,
        found: Record,
        base: &Base,
        now: Time,
    ) -> Result<Option<Record>, SessionError> {
        if !self.rules.writable(found.deadline, now) {
            return Ok(None);
        }
        self.changed(found, base, now).map(Some)
    }

    /// `found` with what this request changed since `base` was read: that only, or everything where
    /// the last record wins.
    pub(super) fn changed(
        &self,
        mut found: Record,
        base: &Base,
        now: Time,
    ) -> Result<Record, SessionError> {
        let (before, accessed) = (size_of(&found), found.accessed);
        if self.rules.locking == Locking::Off {
            found = Record { created: found.created, ..self.view.clone() };
        } else {
            self.apply_changes(&mut found, &base.record);
        }
        self.fits(before, size_of(&found))?;
        self.rules.visit(&mut found, accessed, now);
        Ok(found)
    }

    pub(super) fn apply_changes(&self, found: &mut Record, base: &Record) {
        for (key, added) in self.touched.iter() {
            let value = self.view.values.get(key);
            if value == base.values.get(key) {
                continue;
            }
            // What others have added counts as well.
            let sum = added.and_then(|delta| sum(found.values.get(key), delta).ok());
            match (sum, value) {
                (Some(sum), _) => found.values.set(key, sum.to_string().as_bytes()),
                (None, Some(value)) => found.values.set(key, value),
                (None, None) => drop(found.values.remove(key)),
            }
        }
        if self.view.user != base.user {
            found.user.clone_from(&self.view.user);
        }
        if self.view.timeout != base.timeout {
            found.timeout = self.view.timeout;
        }
        if !tokens::are_same(&self.view.tokens, &base.tokens) {
            tokens::merge(&mut found.tokens, &base.tokens, &self.view.tokens);
        }
    }

    /// The record vanished or was replaced: what this request changed is dropped, nothing is
    /// revived.
    pub(super) fn gone(&mut self) {
        if let Some(base) = &self.base {
            self.notices.push(Notice::ChangesDropped(base.key));
        }
        self.start_anew(Reason::Unknown);
    }
}
