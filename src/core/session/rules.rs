//! The settings of a place, resolved for one request.

use std::sync::Arc;
use std::time::Duration;

use super::error::SessionError;
use crate::core::clock::Time;
use crate::core::config::{Locking, MaxAge, Place, Secure, StoreFailure};
use crate::core::cookie::SetCookie;
use crate::core::lock::Wait;

/// What a place cannot know: the request, the server, the tree around it.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// `SessionScope`, with its default resolved.
    pub scope: Arc<str>,
    /// The request came by TLS.
    pub https: bool,
    /// How many requests the server works on at a time.
    pub workers: u32,
    /// A place of the server writes without a lease, so that even the holder of one has to read
    /// again before it writes.
    pub shared_writes: bool,
    /// No other session of the request tree holds a lease.
    pub may_lease: bool,
    /// How long cleanup leaves a record after its deadline (`SessionCleanupGrace`).
    pub grace: Duration,
}

/// What the rules of a session need to know of the place where it is opened.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The place.
    pub place: Arc<Place>,
    /// How requests of the session are kept apart.
    pub locking: Locking,
    /// How to wait for its lease.
    pub wait: Wait,
    /// See [`Surroundings::shared_writes`].
    pub shared_writes: bool,
    /// The scope.
    pub scope: Arc<str>,
    secure: bool,
    late_write: Duration,
}

impl Rules {
    /// The rules of a place in its surroundings.
    pub fn resolve(place: Arc<Place>, around: Surroundings) -> Rules {
        let locking = match place.locking() {
            Locking::Request if !around.may_lease => Locking::Commit,
            locking => locking,
        };
        Rules {
            locking,
            wait: place.wait(around.workers),
            shared_writes: around.shared_writes,
            scope: around.scope,
            late_write: around.grace / 2,
            secure: match place.id_secure() {
                Secure::Auto => around.https,
                Secure::On => true,
                Secure::Off => false,
            },
            place,
        }
    }

    /// The idle timeout of a session here: one set for the session itself wins.
    pub fn timeout_of(&self, own: Option<u32>) -> Duration {
        own.map_or_else(|| self.place.timeout(), |seconds| Duration::from_secs(seconds.into()))
    }

    /// Whether a session is over for a visitor at `now`.
    pub fn expired(&self, created: Time, accessed: Time, own: Option<u32>, now: Time) -> bool {
        let idle = now > accessed.after(self.timeout_of(own));
        idle || self.place.max_lifetime().is_some_and(|most| now > created.after(most))
    }

    /// Whether a session with this deadline, held by a request since before, may still be written:
    /// for half of the time that cleanup leaves it.
    pub fn writable(&self, deadline: Time, now: Time) -> bool {
        now <= deadline.after(self.late_write)
    }

    /// Whether a visit at `now` is to be recorded, the last recorded one being `accessed`.
    pub fn touch_due(&self, accessed: Time, own: Option<u32>, now: Time) -> bool {
        now >= accessed.after(self.place.touch_interval(self.timeout_of(own)))
    }

    /// The cookie of a session with this timeout; none where ids travel otherwise.
    pub fn cookie(&self, timeout: Duration) -> Option<SetCookie<'_>> {
        self.place.id_sources().cookie.then(|| SetCookie {
            name: self.place.id_name(),
            path: self.place.id_path(),
            domain: self.place.id_domain(),
            max_age: match self.place.id_max_age() {
                MaxAge::Session => None,
                MaxAge::Timeout => Some(timeout),
                MaxAge::For(age) => Some(age),
            },
            same_site: self.place.id_same_site(),
            secure: self.secure,
            http_only: self.place.id_http_only(),
            partitioned: self.place.id_partitioned(),
        })
    }

    /// Whether an answer goes out although its session could not be committed: the store is out of
    /// reach and the place does not insist on it.
    pub fn goes_on_without(&self, cause: &SessionError) -> bool {
        cause.is_outage() && self.place.store_failure() != StoreFailure::Fail
    }
}
