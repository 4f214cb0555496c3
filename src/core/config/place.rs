//! The settings of a place: a server, a virtual host, a directory, a location.

use std::sync::Arc;
use std::time::Duration;

use super::kinds::{
    BackendHeaders, Keys, LockWaiters, Locking, MaxAge, SameSite, Secure, Sources, StoreFailure,
};
use crate::core::lock::Wait;

/// What was set in a place. Nothing set is not the same as the default: an outer place may have set it.
/// The methods give what holds after all merging; the defaults are written there and nowhere else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    pub(super) engine: Option<bool>,
    pub(super) locking: Option<Locking>,
    pub(super) lock_timeout: Option<Duration>,
    pub(super) lock_waiters: Option<LockWaiters>,
    pub(super) lock_hold: Option<Duration>,
    pub(super) timeout: Option<Duration>,
    /// `SessionTimeout` of `.htaccess` files: lowers and never raises what the server's files say.
    pub(super) timeout_cap: Option<Duration>,
    pub(super) max_lifetime: Option<Duration>,
    pub(super) touch_interval: Option<Duration>,
    pub(super) id_name: Option<Arc<str>>,
    pub(super) id_sources: Option<Sources>,
    pub(super) id_path: Option<Arc<str>>,
    pub(super) id_domain: Option<Option<Arc<str>>>,
    pub(super) id_same_site: Option<SameSite>,
    pub(super) id_secure: Option<Secure>,
    pub(super) id_http_only: Option<bool>,
    pub(super) id_partitioned: Option<bool>,
    pub(super) id_max_age: Option<MaxAge>,
    pub(super) id_refresh: Option<bool>,
    pub(super) id_hide: Option<bool>,
    pub(super) scope: Option<Arc<str>>,
    pub(super) regenerate_grace: Option<Duration>,
    pub(super) invalidate_corrupt: Option<bool>,
    pub(super) save_on_error: Option<bool>,
    pub(super) max_size: Option<usize>,
    pub(super) max_keys: Option<usize>,
    pub(super) store_failure: Option<StoreFailure>,
    pub(super) notes: Option<bool>,
    pub(super) export_env: Option<Keys>,
    pub(super) export_headers: Option<Keys>,
    pub(super) backend_headers: Option<BackendHeaders>,
    pub(super) cache_control: Option<bool>,
}

impl Place {
    /// The settings of `over` within `base`: what `over` sets wins, except that a timeout from a
    /// `.htaccess` file is kept beside the others, the lowest of several.
    pub fn merge(base: &Place, over: &Place) -> Place {
        Place {
            engine: over.engine.or(base.engine),
            locking: over.locking.or(base.locking),
            lock_timeout: over.lock_timeout.or(base.lock_timeout),
            lock_waiters: over.lock_waiters.or(base.lock_waiters),
            lock_hold: over.lock_hold.or(base.lock_hold),
            timeout: over.timeout.or(base.timeout),
            timeout_cap: [over.timeout_cap, base.timeout_cap].into_iter().flatten().min(),
            max_lifetime: over.max_lifetime.or(base.max_lifetime),
            touch_interval: over.touch_interval.or(base.touch_interval),
            id_name: either(&over.id_name, &base.id_name),
            id_sources: either(&over.id_sources, &base.id_sources),
            id_path: either(&over.id_path, &base.id_path),
            id_domain: either(&over.id_domain, &base.id_domain),
            id_same_site: over.id_same_site.or(base.id_same_site),
            id_secure: over.id_secure.or(base.id_secure),
            id_http_only: over.id_http_only.or(base.id_http_only),
            id_partitioned: over.id_partitioned.or(base.id_partitioned),
            id_max_age: over.id_max_age.or(base.id_max_age),
            id_refresh: over.id_refresh.or(base.id_refresh),
            id_hide: over.id_hide.or(base.id_hide),
            scope: either(&over.scope, &base.scope),
            regenerate_grace: over.regenerate_grace.or(base.regenerate_grace),
            invalidate_corrupt: over.invalidate_corrupt.or(base.invalidate_corrupt),
            save_on_error: over.save_on_error.or(base.save_on_error),
            max_size: over.max_size.or(base.max_size),
            max_keys: over.max_keys.or(base.max_keys),
            store_failure: over.store_failure.or(base.store_failure),
            notes: over.notes.or(base.notes),
            export_env: either(&over.export_env, &base.export_env),
            export_headers: either(&over.export_headers, &base.export_headers),
            backend_headers: over.backend_headers.or(base.backend_headers),
            cache_control: over.cache_control.or(base.cache_control),
        }
    }

    /// Whether sessions exist here.
    pub fn engine(&self) -> bool {
        self.engine.unwrap_or(false)
    }

    /// Who waits for whom.
    pub fn locking(&self) -> Locking {
        self.locking.unwrap_or(Locking::Request)
    }

    /// The longest wait for a session; zero: none.
    pub fn lock_timeout(&self) -> Duration {
        self.lock_timeout.unwrap_or(Duration::from_secs(30))
    }

    /// How many requests may wait.
    pub fn lock_waiters(&self) -> LockWaiters {
        self.lock_waiters.unwrap_or(LockWaiters { session: 16, percent: 25 })
    }

    /// How long a live request keeps a session for itself; none: as long as it runs.
    pub fn lock_hold(&self) -> Option<Duration> {
        limit(self.lock_hold.unwrap_or(Duration::from_secs(5 * 60)))
    }

    /// How to wait for a lease on a server with `workers` that take requests.
    pub fn wait(&self, workers: u32) -> Wait {
        let waiters = self.lock_waiters();
        Wait {
            timeout: self.lock_timeout(),
            hold: self.lock_hold(),
            waiters: waiters.session,
            waiters_in_all: waiters.in_all(workers),
        }
    }

    /// The idle time after which a session is gone, unless it has one of its own.
    pub fn timeout(&self) -> Duration {
        let timeout = self.timeout.unwrap_or(Duration::from_secs(30 * 60));
        self.timeout_cap.map_or(timeout, |cap| timeout.min(cap))
    }

    /// The age after which a session is gone; none: any.
    pub fn max_lifetime(&self) -> Option<Duration> {
        limit(self.max_lifetime.unwrap_or(Duration::from_secs(24 * 60 * 60)))
    }

    /// How old the recorded visit of a session that ends after `timeout` has to be before a reading
    /// request records its own; at most a tenth of `timeout`, so that the deadline is never far off.
    pub fn touch_interval(&self, timeout: Duration) -> Duration {
        self.touch_interval.unwrap_or(Duration::from_secs(60)).min(timeout / 10)
    }

    /// The name of the cookie.
    pub fn id_name(&self) -> &str {
        self.id_name.as_deref().unwrap_or("session_store")
    }

    /// Where an id may come from.
    pub fn id_sources(&self) -> &Sources {
        self.id_sources.as_ref().unwrap_or(&Sources::COOKIE)
    }

    /// The cookie's attribute `Path`.
    pub fn id_path(&self) -> &str {
        self.id_path.as_deref().unwrap_or("/")
    }

    /// The cookie's attribute `Domain`, in lower case.
    pub fn id_domain(&self) -> Option<&str> {
        self.id_domain.as_ref()?.as_deref()
    }

    /// The cookie's attribute `SameSite`.
    pub fn id_same_site(&self) -> SameSite {
        self.id_same_site.unwrap_or(SameSite::Lax)
    }

    /// When the cookie has the attribute `Secure`.
    pub fn id_secure(&self) -> Secure {
        self.id_secure.unwrap_or(Secure::Auto)
    }

    /// Whether the cookie has the attribute `HttpOnly`.
    pub fn id_http_only(&self) -> bool {
        self.id_http_only.unwrap_or(true)
    }

    /// Whether the cookie has the attribute `Partitioned`.
    pub fn id_partitioned(&self) -> bool {
        self.id_partitioned.unwrap_or(false)
    }

    /// How long browsers keep the cookie.
    pub fn id_max_age(&self) -> MaxAge {
        self.id_max_age.unwrap_or(MaxAge::Session)
    }

    /// Whether the cookie is sent again with every answer.
    pub fn id_refresh(&self) -> bool {
        self.id_refresh.unwrap_or(false)
    }

    /// Whether CGI scripts and proxied applications are not shown the cookie.
    pub fn id_hide(&self) -> bool {
        self.id_hide.unwrap_or(true)
    }

    /// The scope: as set, else the cookie's domain, else the server's name as it was configured (not
    /// as it was found out), which is given in lower case; none: the empty one.
    pub fn scope<'a>(&'a self, server_name: Option<&'a Arc<str>>) -> Option<&'a Arc<str>> {
        let domain = || self.id_domain.as_ref().and_then(Option::as_ref);
        self.scope.as_ref().or_else(domain).or(server_name)
    }

    /// How long the old id finds the session after it got a new one.
    pub fn regenerate_grace(&self) -> Duration {
        self.regenerate_grace.unwrap_or(Duration::from_secs(10))
    }

    /// Whether an unreadable record makes a new session instead of an error.
    pub fn invalidate_corrupt(&self) -> bool {
        self.invalidate_corrupt.unwrap_or(true)
    }

    /// Whether changes of a request that ends with a status of 500 or more are kept.
    pub fn save_on_error(&self) -> bool {
        self.save_on_error.unwrap_or(false)
    }

    /// Most bytes of keys, values and user of one session.
    pub fn max_size(&self) -> usize {
        self.max_size.unwrap_or(64 << 10)
    }

    /// Most keys of one session.
    pub fn max_keys(&self) -> usize {
        self.max_keys.unwrap_or(256)
    }

    /// What is done while the store is out of reach.
    pub fn store_failure(&self) -> StoreFailure {
        self.store_failure.unwrap_or(StoreFailure::Fail)
    }

    /// Whether there is the notes interface.
    pub fn notes(&self) -> bool {
        self.notes.unwrap_or(true)
    }

    /// What handlers find in their environment.
    pub fn export_env(&self) -> &Keys {
        self.export_env.as_ref().unwrap_or(&Keys::None)
    }

    /// What proxied applications find in their request's headers.
    pub fn export_headers(&self) -> &Keys {
        self.export_headers.as_ref().unwrap_or(&Keys::None)
    }

    /// Which response headers of a backend change its session.
    pub fn backend_headers(&self) -> BackendHeaders {
        self.backend_headers.unwrap_or(BackendHeaders::Off)
    }

    /// Whether caches are kept from answers that depend on a session.
    pub fn cache_control(&self) -> bool {
        self.cache_control.unwrap_or(true)
    }
}

/// Zero means that there is no limit.
fn limit(time: Duration) -> Option<Duration> {
    (!time.is_zero()).then_some(time)
}

fn either<T: Clone>(over: &Option<T>, base: &Option<T>) -> Option<T> {
    over.as_ref().or(base.as_ref()).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(n: u64) -> Option<Duration> {
        Some(Duration::from_secs(n * 60))
    }

    fn capped(timeout: Option<Duration>, cap: Option<Duration>) -> Place {
        Place { timeout, timeout_cap: cap, ..Place::default() }
    }

    #[test]
    fn the_inner_place_wins_and_what_it_leaves_unset_is_inherited() {
        let base = Place {
            engine: Some(true),
            id_name: Some(Arc::from("outer")),
            id_domain: Some(Some(Arc::from("example.org"))),
            ..Place::default()
        };
        let over =
            Place { id_name: Some(Arc::from("inner")), id_domain: Some(None), ..Place::default() };
        let merged = Place::merge(&base, &over);
        assert_eq!((merged.engine(), merged.id_name()), (true, "inner"));
        assert_eq!(merged.id_domain(), None);
        assert_eq!(Place::merge(&base, &Place::default()), base);
        assert_eq!(Place::merge(&Place::default(), &over), over);
    }

    #[test]
    fn what_is_set_to_its_default_still_wins_over_an_outer_place() {
        let base = Place { notes: Some(false), ..Place::default() };
        let over = Place { notes: Some(true), ..Place::default() };
        assert!(Place::merge(&base, &over).notes());
    }

    #[test]
    fn a_timeout_of_an_htaccess_file_only_lowers() {
        let server = capped(minutes(20), None);
        let timeout = |cap| Some(Place::merge(&server, &capped(None, minutes(cap))).timeout());
        assert_eq!(timeout(10), minutes(10));
        assert_eq!(timeout(60), minutes(20));
        assert_eq!(Some(capped(None, minutes(60)).timeout()), minutes(30));
    }

    #[test]
    fn an_inner_htaccess_file_does_not_raise_the_timeout_of_an_outer_one() {
        let outer = capped(minutes(20), minutes(10));
        assert_eq!(Some(Place::merge(&outer, &capped(None, minutes(15))).timeout()), minutes(10));
        assert_eq!(Some(Place::merge(&outer, &capped(None, minutes(5))).timeout()), minutes(5));
        assert_eq!(Some(Place::merge(&outer, &capped(minutes(60), None)).timeout()), minutes(10));
    }

    #[test]
    fn visits_are_recorded_ten_times_within_a_short_timeout() {
        let seconds = Duration::from_secs;
        let place = Place { touch_interval: Some(seconds(60)), ..Place::default() };
        assert_eq!(place.touch_interval(seconds(3600)), seconds(60));
        assert_eq!(place.touch_interval(seconds(100)), seconds(10));
    }

    #[test]
    fn zero_is_no_limit_where_a_limit_may_be_missing() {
        let zero = Some(Duration::ZERO);
        let place =
            Place { lock_hold: zero, max_lifetime: zero, lock_timeout: zero, ..Place::default() };
        assert_eq!((place.lock_hold(), place.max_lifetime()), (None, None));
        let wait = place.wait(400);
        assert_eq!((wait.timeout, wait.hold), (Duration::ZERO, None));
        assert_eq!((wait.waiters, wait.waiters_in_all), (16, 100));
    }

    #[test]
    fn the_scope_is_the_one_set_else_the_domain_else_the_configured_name() {
        let mut place = Place::default();
        let scope = |place: &Place, name: &str| {
            place.scope(Some(&Arc::from(name))).map(|scope| scope.to_string()).unwrap()
        };
        assert_eq!(place.scope(None), None);
        assert_eq!(scope(&place, "www.example.org"), "www.example.org");
        place.id_domain = Some(Some(Arc::from("example.org")));
        assert_eq!(scope(&place, "www.example.org"), "example.org");
        place.scope = Some(Arc::from("Shop"));
        assert_eq!(scope(&place, "www.example.org"), "Shop");
    }
}
