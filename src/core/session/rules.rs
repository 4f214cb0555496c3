//! The settings of a place, resolved for one request.

use std::sync::Arc;
use std::time::Duration;

use crate::core::clock::Time;
use crate::core::cookie::{SameSite, SetCookie};
use crate::core::lock::Wait;

/// How requests of one session are kept apart (`SessionLocking`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Locking {
    /// A lease from first use to the handler's end.
    #[default]
    Request,
    /// No lease; at commit the changed keys are merged into what is stored then.
    Commit,
    /// A snapshot; writes are refused.
    Read,
    /// No lease; the last whole record wins.
    Off,
}

/// How long the cookie lives in the browser (`SessionIdMaxAge`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CookieLife {
    /// Until the browser is closed.
    #[default]
    Browser,
    /// As long as the session's idle timeout; sent again whenever the visit is recorded.
    Timeout,
    /// This long.
    Fixed(Duration),
}

/// The cookie of a place; none where ids travel by header or query alone.
#[derive(Debug, Clone)]
pub struct CookieRules {
    /// Its name.
    pub name: Arc<str>,
    /// `Path`.
    pub path: Arc<str>,
    /// `Domain`.
    pub domain: Option<Arc<str>>,
    /// `SameSite`.
    pub same_site: SameSite,
    /// `Secure`, with `auto` decided by the request's scheme.
    pub secure: bool,
    /// `HttpOnly`.
    pub http_only: bool,
    /// `Partitioned`.
    pub partitioned: bool,
    /// How long it lives.
    pub life: CookieLife,
    /// Send it with every answer.
    pub refresh: bool,
}

impl CookieRules {
    /// The cookie to be set or cleared; `timeout` is that of the session.
    pub fn cookie(&self, timeout: Duration) -> SetCookie<'_> {
        SetCookie {
            name: &self.name,
            path: &self.path,
            domain: self.domain.as_deref(),
            max_age: match self.life {
                CookieLife::Browser => None,
                CookieLife::Timeout => Some(timeout),
                CookieLife::Fixed(age) => Some(age),
            },
            same_site: self.same_site,
            secure: self.secure,
            http_only: self.http_only,
            partitioned: self.partitioned,
        }
    }
}

/// What the rules of a session need to know of the place where it is opened.
#[derive(Debug, Clone)]
pub struct Rules {
    /// `SessionLocking`.
    pub locking: Locking,
    /// `SessionLockTimeout`, `SessionLockHold`, `SessionLockWaiters`.
    pub wait: Wait,
    /// Whether a place of the server writes without a lease, so that even the holder of one has to read
    /// again before it writes.
    pub shared_writes: bool,
    /// `SessionScope`, with its default resolved.
    pub scope: Arc<str>,
    /// `SessionTimeout`.
    pub timeout: Duration,
    /// `SessionMaxLifetime`; none: no limit.
    pub max_lifetime: Option<Duration>,
    /// `SessionTouchInterval`.
    pub touch_interval: Duration,
    /// `SessionRegenerateGrace`.
    pub regenerate_grace: Duration,
    /// How long after its deadline a session may still be written: half of the cleanup's grace.
    pub late_write: Duration,
    /// `SessionInvalidateCorrupt`.
    pub invalidate_corrupt: bool,
    /// `SessionSaveOnError`.
    pub save_on_error: bool,
    /// `SessionMaxSize`, in bytes of keys, values and user.
    pub max_size: usize,
    /// `SessionMaxKeys`.
    pub max_keys: usize,
    /// `SessionStoreFailure ignore`: without the store, serve without a session.
    pub ignore_store_failure: bool,
    /// The cookie; none where ids travel otherwise.
    pub cookie: Option<CookieRules>,
}

impl Rules {
    /// The idle timeout of a session here: one set for the session itself wins.
    pub fn timeout_of(&self, own: Option<u32>) -> Duration {
        own.map_or(self.timeout, |seconds| Duration::from_secs(u64::from(seconds)))
    }

    /// Whether a session is over for a visitor at `now`.
    pub fn expired(&self, created: Time, accessed: Time, own: Option<u32>, now: Time) -> bool {
        let idle = now > accessed.after(self.timeout_of(own));
        idle || self.max_lifetime.is_some_and(|most| now > created.after(most))
    }

    /// Whether a visit at `now` is to be recorded, the last recorded one being `accessed`.
    pub fn touch_due(&self, accessed: Time, own: Option<u32>, now: Time) -> bool {
        let interval = self.touch_interval.min(self.timeout_of(own) / 10);
        now >= accessed.after(interval)
    }
}
