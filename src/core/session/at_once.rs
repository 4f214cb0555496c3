//! Changes that are stored in one step with reading what is there: they must not wait for the commit.

use super::error::SessionError;
use super::merge::MERGE_HOPS;
use super::record::{Kind, Record};
use super::state::{Services, Session};
use crate::core::store::{Merge, StoreError, StoreKey};

/// What becomes of the record as it is now: an outcome, and the record to be stored if it changed.
pub(super) type Done<T> = Result<(T, Option<Record>), SessionError>;

impl Session {
    /// Has `change` look at the record as it is stored and stores what it makes of it, with no other
    /// writer in between, under the new id if the session got one. Neither revert nor a failed answer
    /// undoes it. Only for a session that was found or stored before.
    pub(super) fn at_once<T>(
        &mut self,
        services: &Services<'_>,
        change: impl Fn(&Session, Record) -> Done<T>,
    ) -> Done<T> {
        for _ in 0..MERGE_HOPS {
            let Some(base) = &self.base else { break };
            let (mut outcome, mut target) = (Err(SessionError::Gone), None);
            let merged = services.store.merge(&base.key, base.record.incarnation, &mut |found| {
                if let Kind::Alias { target: to, .. } = found.kind {
                    target = Some(StoreKey::from_bytes(to));
                    return Merge::Keep;
                }
                outcome = if self.rules.writable(found.deadline, services.clock.now()) {
                    change(self, found)
                } else {
                    Err(SessionError::Gone)
                };
                match &outcome {
                    Ok((_, Some(record))) => Merge::Write(Box::new(record.clone())),
                    Ok((_, None)) | Err(_) => Merge::Keep,
                }
            });
            match (merged, target) {
                (Err(StoreError::Gone), _) => break,
                (Ok(()), None) if matches!(outcome, Err(SessionError::Gone)) => break,
                (Err(cause), _) => return Err(cause.into()),
                (Ok(()), Some(target)) => self.move_base(target),
                (Ok(()), None) => return outcome,
            }
        }
        self.gone();
        Err(SessionError::Gone)
    }
}
