//! Counters that no parallel request can spoil.

use super::change::size_of;
use super::error::SessionError;
use super::merge::MERGE_HOPS;
use super::record::{Kind, Record};
use super::state::{Base, Services, Session};
use super::values::Key;
use crate::core::clock::Time;
use crate::core::store::{Merge, StoreError, StoreKey};

impl Session {
    /// Adds `delta` to the whole number under `key` (none counts as 0) and gives the sum.
    ///
    /// Under a lease it is a change like any other, and so it is to a value that this request has
    /// set itself and not saved. Else it is stored at once, in one step with reading what is there,
    /// and neither revert nor a failed answer undoes it.
    pub fn add(
        &mut self,
        services: &Services<'_>,
        key: &Key,
        delta: i64,
    ) -> Result<i64, SessionError> {
        self.may_write()?;
        let changed = |base: &Base| base.record.values.get(key) != self.view.values.get(key);
        if self.base.as_ref().is_none_or(changed) || self.is_exclusive(services)? {
            let sum = sum(self.get(key), delta)?;
            self.set(key, sum.to_string().as_bytes())?;
            return Ok(sum);
        }
        self.add_stored(services, key, delta)
    }

    fn add_stored(
        &mut self,
        services: &Services<'_>,
        key: &Key,
        delta: i64,
    ) -> Result<i64, SessionError> {
        let now = services.clock.now();
        for _ in 0..MERGE_HOPS {
            let Some(base) = &self.base else { break };
            let (mut outcome, mut target) = (Err(SessionError::Gone), None);
            let merged = services.store.merge(&base.key, base.record.incarnation, &mut |found| {
                if let Kind::Alias { target: to, .. } = found.kind {
                    target = Some(StoreKey::from_bytes(to));
                    return Merge::Keep;
                }
                outcome = self.added(found, key, delta, now);
                match &outcome {
                    Ok((_, record)) => Merge::Write(Box::new(record.clone())),
                    Err(_) => Merge::Keep,
                }
            });
            match (merged, target) {
                (Err(StoreError::Gone), _) => break,
                (Ok(()), None) if matches!(outcome, Err(SessionError::Gone)) => break,
                (Err(cause), _) => return Err(cause.into()),
                (Ok(()), Some(target)) => self.move_base(target),
                (Ok(()), None) => {
                    let (sum, record) = outcome?;
                    self.added_is_stored(key, sum, &record);
                    return Ok(sum);
                }
            }
        }
        self.gone();
        Err(SessionError::Gone)
    }

    fn added(
        &self,
        mut found: Record,
        key: &Key,
        delta: i64,
        now: Time,
    ) -> Result<(i64, Record), SessionError> {
        if !self.rules.writable(found.deadline, now) {
            return Err(SessionError::Gone);
        }
        let (before, accessed) = (size_of(&found), found.accessed);
        let sum = sum(found.values.get(key), delta)?;
        found.values.set(key, sum.to_string().into_bytes());
        self.fits(before, size_of(&found))?;
        self.rules.visit(&mut found, accessed, now);
        Ok((sum, found))
    }

    /// The sum is stored and no change of this request's any more.
    fn added_is_stored(&mut self, key: &Key, sum: i64, record: &Record) {
        let text = sum.to_string().into_bytes();
        self.view.values.set(key, text.clone());
        if let Some(base) = &mut self.base {
            base.record.values.set(key, text);
            base.record.accessed = record.accessed;
            base.record.deadline = record.deadline;
            base.held = Default::default();
        }
    }
}

fn sum(value: Option<&[u8]>, delta: i64) -> Result<i64, SessionError> {
    let number = match value {
        None => 0,
        Some(text) => std::str::from_utf8(text)
            .ok()
            .and_then(|text| text.parse::<i64>().ok())
            .ok_or(SessionError::NotANumber)?,
    };
    number.checked_add(delta).ok_or(SessionError::Overflow)
}
