//! Ending sessions in the store.

use std::io;

use super::candidates::Reason;
use super::commit::Cookie;
use super::error::SessionError;
use super::merge::MERGE_HOPS;
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

    /// The last key, the user and all tokens went, under a lease.
    pub(super) fn delete_emptied(
        &mut self,
        services: &Services<'_>,
    ) -> Result<Cookie, SessionError> {
        let Some(base) = &self.base else { return Ok(None) };
        services.store.delete(&base.key, Some(base.record.incarnation))?;
        let name = if base.alias { Naming::default() } else { self.name };
        self.start_anew(Reason::None);
        self.name = name;
        self.ended = true;
        Ok(self.end_of_cookie())
    }

    /// Deletes a session wherever it is: without a lease another request may have given it a new id
    /// meanwhile, and deleting its old record would delete the way to it only.
    fn delete_everywhere(
        &mut self,
        services: &Services<'_>,
        base: &Base,
    ) -> Result<(), SessionError> {
        let (mut key, incarnation) = (base.key, base.record.incarnation);
        let alone = self.holds(services, key)?;
        for _ in 0..MERGE_HOPS {
            let mut target = None;
            if !alone {
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
            }
            let Some(target) = target else {
                services.store.delete(&key, Some(incarnation))?;
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
