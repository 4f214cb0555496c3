//! The kinds of values that settings have.

use std::sync::Arc;
use std::time::Duration;

/// Who waits for whom (`SessionLocking`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locking {
    /// One request at a time has the session, from its first use to the handler's end.
    Request,
    /// No lease: at commit the changed keys are merged into what is stored then.
    Commit,
    /// A snapshot that nobody waits for; writes are refused.
    Read,
    /// No lease, and the last whole record wins.
    Off,
}

impl Locking {
    pub(super) const WORDS: &[(&str, Locking)] = &[
        ("request", Locking::Request),
        ("commit", Locking::Commit),
        ("read", Locking::Read),
        ("off", Locking::Off),
    ];
}

/// How many requests may wait (`SessionLockWaiters`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockWaiters {
    /// Most that wait for one session.
    pub session: u32,
    /// Most that wait in all, in percent of the server's workers.
    pub percent: u32,
}

impl LockWaiters {
    /// Most that wait in all on a server with `workers`; at least one.
    pub fn in_all(self, workers: u32) -> u32 {
        let share = u64::from(workers) * u64::from(self.percent) / 100;
        u32::try_from(share).unwrap_or(u32::MAX).max(1)
    }
}

/// Where an id may come from (`SessionIdSource`); tried in the order of the fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// The cookie; without it none is ever set.
    pub cookie: bool,
    /// The request header of this name.
    pub header: Option<Arc<str>>,
    /// The parameter of this name in the query.
    pub query: Option<Arc<str>>,
}

impl Sources {
    /// The cookie alone: what holds where nothing is set.
    pub const COOKIE: Sources = Sources { cookie: true, header: None, query: None };

    /// Whether an id may come some other way than by the cookie: a handler has to hand it out then.
    pub fn beside_cookie(&self) -> bool {
        self.header.is_some() || self.query.is_some()
    }
}

/// The attribute `SameSite` (`SessionIdSameSite`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// Sent with requests of the same site only.
    Strict,
    /// Sent with requests of the same site and when a link leads here.
    Lax,
    /// Sent from every site.
    None,
}

impl SameSite {
    pub(super) const WORDS: &[(&str, SameSite)] =
        &[("Strict", SameSite::Strict), ("Lax", SameSite::Lax), ("None", SameSite::None)];
}

/// When the cookie has the attribute `Secure` (`SessionIdSecure`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secure {
    /// When the request came by https.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

impl Secure {
    pub(super) const WORDS: &[(&str, Secure)] =
        &[("auto", Secure::Auto), ("on", Secure::On), ("off", Secure::Off)];
}

/// How long browsers keep the cookie (`SessionIdMaxAge`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxAge {
    /// Until the browser ends.
    Session,
    /// As long as the session lives idle; sent again whenever the visit is recorded.
    Timeout,
    /// This long.
    For(Duration),
}

/// What is done while the store is out of reach (`SessionStoreFailure`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreFailure {
    /// 503.
    Fail,
    /// What was loaded is served, writes are refused.
    Readonly,
    /// The request is served without a session.
    Ignore,
}

impl StoreFailure {
    pub(super) const WORDS: &[(&str, StoreFailure)] = &[
        ("fail", StoreFailure::Fail),
        ("readonly", StoreFailure::Readonly),
        ("ignore", StoreFailure::Ignore),
    ];
}

/// Which keys are exported (`SessionExport`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    /// None, and no facts either.
    None,
    /// These.
    Listed(Arc<[Arc<str>]>),
    /// Every one.
    All,
}

impl Keys {
    /// Whether nothing is exported.
    pub fn is_none(&self) -> bool {
        *self == Keys::None
    }

    /// Whether this key is exported; case makes no difference.
    pub fn has(&self, key: &str) -> bool {
        match self {
            Keys::None => false,
            Keys::Listed(keys) => keys.iter().any(|listed| listed.eq_ignore_ascii_case(key)),
            Keys::All => true,
        }
    }
}

/// Which response headers of a backend change its session (`SessionBackendHeaders`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackendHeaders {
    /// None.
    Off,
    /// Those about values.
    Values,
    /// Also those about the user and the session as a whole.
    All,
}

impl BackendHeaders {
    pub(super) const WORDS: &[(&str, BackendHeaders)] = &[
        ("off", BackendHeaders::Off),
        ("values", BackendHeaders::Values),
        ("all", BackendHeaders::All),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_waiters_in_all_are_a_share_of_the_workers_and_never_none() {
        let waiters = LockWaiters { session: 16, percent: 25 };
        assert_eq!((waiters.in_all(400), waiters.in_all(2), waiters.in_all(0)), (100, 1, 1));
        assert_eq!(LockWaiters { session: 1, percent: 100 }.in_all(u32::MAX), u32::MAX);
    }
}
