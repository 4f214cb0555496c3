//! Counters that no parallel request can spoil.

use super::change::size_of;
use super::error::SessionError;
use super::record::Record;
use super::state::{Base, Services, Session};
use super::values::Key;

impl Session {
    /// Adds `delta` to the whole number under `key` (none counts as 0) and gives the sum.
    ///
    /// Under a lease it is a change like any other, but that it is added to what is there by then if
    /// somebody else wrote all the same. It is one too to a value that this request has set itself and not
    /// saved. Else it is stored at once, in one step with reading what is there, and neither revert nor a
    /// failed answer undoes it.
    pub fn add(
        &mut self,
        services: &Services<'_>,
        key: &Key,
        delta: i64,
    ) -> Result<i64, SessionError> {
        self.may_write()?;
        let stored = |base: &Base| base.record.values.get(key) == self.view.values.get(key);
        if self.base.as_ref().is_some_and(stored) && !self.is_exclusive(services)? {
            return self.add_stored(services, key, delta);
        }
        let sum = sum(self.get(key), delta)?;
        self.put(key, sum.to_string().as_bytes())?;
        self.touched.add(key, delta);
        Ok(sum)
    }

    fn add_stored(
        &mut self,
        services: &Services<'_>,
        key: &Key,
        delta: i64,
    ) -> Result<i64, SessionError> {
        let now = services.clock.now();
        let (sum, record) = self.at_once(services, |session, mut found| {
            let (before, accessed) = (size_of(&found), found.accessed);
            let sum = sum(found.values.get(key), delta)?;
            found.values.set(key, sum.to_string().as_bytes());
            session.fits(before, size_of(&found))?;
            session.rules.visit(&mut found, accessed, now);
            Ok((sum, Some(found)))
        })?;
        if let Some(record) = record {
            self.added_is_stored(key, sum, &record);
        }
        Ok(sum)
    }

    /// The sum is stored and no change of this request's any more.
    fn added_is_stored(&mut self, key: &Key, sum: i64, record: &Record) {
        let text = sum.to_string();
        self.view.values.set(key, text.as_bytes());
        if let Some(base) = &mut self.base {
            base.record.values.set(key, text.as_bytes());
            base.record.accessed = record.accessed;
            base.record.deadline = record.deadline;
            base.held = Default::default();
        }
    }
}

/// `delta` more than the whole number that `value` is; none counts as 0.
pub(super) fn sum(value: Option<&[u8]>, delta: i64) -> Result<i64, SessionError> {
    let number = match value {
        None => 0,
        Some(text) => std::str::from_utf8(text)
            .ok()
            .and_then(|text| text.parse::<i64>().ok())
            .ok_or(SessionError::NotANumber)?,
    };
    number.checked_add(delta).ok_or(SessionError::Overflow)
}
