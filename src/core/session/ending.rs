//! Ending sessions in the store.

use std::io;

use super::candidates::Reason;
use super::error::SessionError;
use super::merge::{MERGE_HOPS, differ};
use super::record::{Kind, Record};
use super::state::{Base, Naming, Services, Session, blank};
use crate::core::clock::Time;
use crate::core::store::{Merge, StoreError, StoreKey};

/// What stands in the place of a session's record once the session is elsewhere or over. It has the
/// session's incarnation: a late commit finds it, and the way to the new id in it.
pub(super) fn way_to(target: StoreKey, until: Time, old: &Record) -> Record {
    Record {
        kind: Kind::Alias { target: *target.as_bytes(), until },
        incarnation: old.incarnation,
        scope: old.scope,
        created: old.created,
        accessed: old.accessed,
        deadline: until,
        ..blank()
    }
}

/// A way that was never open and leads to no key that can be.
pub(super) fn way_nowhere(old: &Record) -> Record {
    way_to(StoreKey::from_bytes([0; 32]), Time::default(), old)
}

impl Session {
    /// Deletes what the request ended.
    pub(super) fn delete_doomed(&mut self, services: &Services<'_>) -> Result<(), SessionError> {
        let Some(doomed) = self.doomed.take() else { return Ok(()) };
        match self.delete_everywhere(services, &doomed.base) {
            Ok(()) => {
                self.ended = true;
                Ok(())
            }
            Err(cause) => {
                self.doomed = Some(doomed);
                Err(cause)
            }
        }
    }

    /// The last key, the user and all tokens went, under a lease. False: somebody wrote it all the same,
    /// and nothing was done.
    pub(super) fn delete_emptied(&mut self, services: &Services<'_>) -> Result<bool, SessionError> {
        let Some(base) = &self.base else { return Ok(false) };
        let mut as_read = false;
        let closed = services.store.merge(&base.key, base.record.incarnation, &mut |found| {
            as_read = found.kind == Kind::Session && !differ(&found, &base.record);
            match as_read {
                // From here on nobody can fill it.
                true => Merge::Write(Box::new(way_nowhere(&found))),
                false => Merge::Keep,
            }
        });
        match closed {
            Ok(()) if !as_read => return Ok(false),
            // As in `delete_everywhere`.
            Ok(()) => drop(services.store.delete(&base.key, Some(base.record.incarnation))),
            Err(StoreError::Gone) => {}
            Err(cause) => return Err(cause.into()),
        }
        let name = if base.alias { Naming::default() } else { self.name };
        self.start_anew(Reason::None);
        self.name = name;
        self.ended = true;
        Ok(true)
    }

    /// Deletes a session wherever it is: another request may have given it a new id meanwhile, and deleting
    /// its old record would delete the way to it only. No lease says that none has: where the last one was
    /// held too long, and where other places take none.
    fn delete_everywhere(&self, services: &Services<'_>, base: &Base) -> Result<(), SessionError> {
        let (mut key, incarnation) = (base.key, base.record.incarnation);
        for _ in 0..MERGE_HOPS {
            let mut target = None;
            let closed = services.store.merge(&key, incarnation, &mut |found| {
                if let Kind::Alias { target: to, .. } = found.kind {
                    target = Some(StoreKey::from_bytes(to));
                    return Merge::Keep;
                }
                // From here on nobody can move it away.
                Merge::Write(Box::new(way_nowhere(&found)))
            });
            match closed {
                Err(StoreError::Gone) => return Ok(()),
                other => other?,
            }
            let Some(target) = target else {
                // It is over already, and nothing of it is left there: cleanup takes what this may leave.
                let _ = services.store.delete(&key, Some(incarnation));
                return Ok(());
            };
            key = target;
        }
        // Whoever asks for it to be ended must not believe that it was.
        Err(SessionError::Store(StoreError::io("ending a session")(io::Error::other(
            "its id changes faster than it can be followed: try again",
        ))))
    }
}
