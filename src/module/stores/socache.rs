//! Stores in httpd's object caches: `SessionStore socache:NAME[:ARGUMENT]`.
//!
//! The cache is made once and kept over graceful restarts, as every store is; its library is kept loaded
//! for that. It is asked under mutexes of this store: one for everything where the provider is not safe
//! for several processes, some for changes where it is, since caches cannot compare.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::{Child, News, Parent, Prepared, Verdict};
use crate::core::clock::{Clock, SystemClock, Time};
use crate::core::config::{Server, StoreChoice};
use crate::core::store::external::socache::{
    ID_BYTES, KEPT_AT_LEAST, Limits, RECORD_BYTES, limits,
};
use crate::core::store::external::{
    Backend, Expected, ExternalStore, Facts, Found, Refused, See, Stored, most_of_record,
};
use crate::core::store::{Position, Store, StoreError, StoreKey};
use crate::httpd::log::Level;
use crate::httpd::pool::Pool;
use crate::httpd::socache::{Cache, Hints, Provider};
use crate::httpd::status;
use crate::system::library;

/// Mutexes for changes where the provider itself is safe for several processes.
const MUTEXES: u32 = 32;
/// Tells our objects from those of other modules; most providers take no longer name than 16 bytes.
const NAME: &std::ffi::CStr = c"session-store";
/// An object that says that the cache is there at all.
const SIGN: &[u8; 16] = b"session-store-on";
/// Longest time for which anything is asked to be kept: more than a session lives, and few enough seconds
/// for any cache's counter.
const LIFE_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// Keys kept of one walk over a cache.
const BATCH: usize = 1024;

/// Which cache.
#[derive(Clone, PartialEq, Eq)]
pub struct Plan {
    name: Arc<str>,
    argument: Option<Arc<str>>,
    serial: bool,
}

/// The cache, kept by the parent.
struct Ready {
    cache: Arc<Cache>,
    lists: bool,
    limits: Limits,
}

fn named(settings: &Server) -> Option<(Arc<str>, Option<Arc<str>>)> {
    match settings.store() {
        StoreChoice::Socache { name, argument } => Some((name, argument)),
        _ => None,
    }
}

/// Judges the provider and its argument.
///
/// # Safety
/// `pool` is the configuration's, which is being read.
pub unsafe fn check(settings: &Server, pool: Pool) -> Result<Verdict, String> {
    let Some((name, argument)) = named(settings) else { return Ok(Verdict::default()) };
    let Some(provider) = Provider::find(&name) else {
        // SAFETY: as the caller says.
        let names = unsafe { Provider::names(pool) };
        return Err(format!(
            "SessionStore socache:{name}: no module provides an object cache of this name; {}",
            super::known(&names, &format!("mod_socache_{name}"))
        ));
    };
    // SAFETY: as the caller says.
    unsafe { provider.check(argument.as_deref(), pool) }
        .map_err(|problem| format!("SessionStore socache:{name}: {problem}"))?;
    let Limits { record_max, life, lists, forgets } = limits(&provider.name(), argument.as_deref());
    super::can_be_counted(settings, &format!("socache:{name}"), lists)?;
    let mut warnings = vec![format!("SessionStore socache:{name}: this cache {forgets}")];
    if !provider.is_serial() {
        warnings.push(format!(
            "SessionStore socache:{name}: requests of one session exclude each other on this machine \
             only; let a visitor's requests come to one machine, or use redis"
        ));
    }
    if let Some(life) = life {
        let days = life.as_secs().div_ceil(24 * 3600);
        warnings
            .push(format!("SessionStore socache:{name}: nothing is kept longer than {days} days"));
    }
    warnings.extend(super::not_synced(settings, &format!("socache:{name}")));
    Ok(Verdict { warnings, record_max: Some(most_of_record(record_max)) })
}

impl Plan {
    pub fn new(settings: &Server) -> Result<Plan, String> {
        let (name, argument) = named(settings).ok_or("SessionStore names no object cache")?;
        let provider = Provider::find(&name).ok_or("no module provides this object cache")?;
        Ok(Plan { name, argument, serial: provider.is_serial() })
    }

    pub fn mutexes(&self) -> u32 {
        if self.serial { 1 } else { MUTEXES }
    }

    pub fn prepare(&self, parent: Parent) -> Result<(Box<dyn Prepared>, News), String> {
        let fault = |problem: String| format!("SessionStore socache:{}: {problem}", self.name);
        let provider = Provider::find(&self.name);
        let provider = provider.ok_or_else(|| fault("its module is not loaded".to_owned()))?;
        library::keep_loaded(provider.address())
            .map_err(|cause| fault(format!("keeping its module loaded: {cause}")))?;
        let hints = Hints { id: ID_BYTES, object: RECORD_BYTES };
        let argument = self.argument.as_deref();
        // SAFETY: in the parent, before there are children; the pool is the process's and the library
        // stays, as was just seen to.
        let cache = unsafe { provider.make(argument, NAME, hints, parent.server, parent.pool) };
        let cache = Arc::new(cache.map_err(fault)?);
        let lists = cache.ids(&mut |_| ()).is_ok();
        let limits = limits(&provider.name(), argument);
        let text = format!(
            "sessions are kept in the object cache {}, records of up to {} bytes",
            provider.name(),
            most_of_record(limits.record_max)
        );
        Ok((Box::new(Ready { cache, lists, limits }), vec![(Level::Notice, text)]))
    }

    /// As logs call it; without the argument, which is the provider's business.
    pub fn name(&self) -> String {
        format!("socache:{}", self.name)
    }
}

impl Prepared for Ready {
    fn open(&self, child: &Child) -> Result<Box<dyn Store>, StoreError> {
        let backend = Objects {
            cache: Arc::clone(&self.cache),
            lists: self.lists,
            limits: self.limits,
            // mod_socache_dbm fails like this where APR's DBM finds nothing, and says so in no other case.
            missing: (self.cache.provider().name() == "dbm").then_some(status::GENERAL),
            grace: child.grace,
        };
        Ok(Box::new(ExternalStore::new(backend, child.own.clone())?))
    }
}

/// The cache in a child.
struct Objects {
    cache: Arc<Cache>,
    lists: bool,
    limits: Limits,
    missing: Option<i32>,
    grace: Duration,
}

fn failed(doing: &'static str) -> impl FnOnce(i32) -> StoreError {
    move |status| match status {
        status::NO_SPACE => StoreError::Full("what the object cache of SessionStore can hold"),
        status::NOT_IMPLEMENTED => StoreError::Unsupported,
        status => StoreError::Io { doing, cause: io::Error::other(status::text(status)) },
    }
}

impl Objects {
    /// Until when a record is to be kept: as long as it may be written, and never so short that the
    /// cache would refuse it.
    fn expiry(&self, deadline: Time) -> i64 {
        let now = SystemClock.now();
        let life = self.limits.life.unwrap_or(LIFE_MAX);
        let until = deadline.after(self.grace).clamp(now.after(KEPT_AT_LEAST), now.after(life));
        i64::try_from(until.0).unwrap_or(i64::MAX)
    }

    fn put(&self, key: &StoreKey, stored: &Stored<'_>) -> Result<(), StoreError> {
        let expiry = self.expiry(stored.deadline);
        let stored = self.cache.store(key.as_bytes(), expiry, stored.bytes);
        stored.map_err(failed("storing a record in the object cache"))
    }

    /// A cache on a network that is down finds nothing, and says so: without this a visitor would seem
    /// to be logged out.
    fn is_there(&self) -> Result<(), StoreError> {
        let expiry = self.expiry(Time(0));
        let told = self.cache.store(SIGN, expiry, &[1]);
        told.map_err(|status| StoreError::Io {
            doing: "asking the object cache",
            cause: io::Error::other(status::text(status)),
        })
    }
}

impl Backend for Objects {
    fn facts(&self) -> Facts {
        Facts {
            name: "socache",
            record_max: self.limits.record_max,
            compares: false,
            serial: self.cache.provider().is_serial(),
            touches: false,
            lists: self.lists,
            finds_users: false,
            expires: true,
            survives_kill: false,
        }
    }

    fn load(&self, key: &StoreKey) -> Result<Option<Found>, StoreError> {
        let found = match self.cache.retrieve(key.as_bytes(), self.limits.record_max) {
            Err(status) if Some(status) == self.missing => None,
            found => found.map_err(failed("reading a record from the object cache"))?,
        };
        if found.is_none() && !self.cache.provider().is_serial() {
            self.is_there()?;
        }
        Ok(found.map(|bytes| Found { bytes, visit: None, version: 0 }))
    }

    fn create(&self, key: &StoreKey, stored: &Stored<'_>) -> Result<(), StoreError> {
        self.put(key, stored)
    }

    fn replace(
        &self,
        key: &StoreKey,
        stored: &Stored<'_>,
        _version: Option<u64>,
    ) -> Result<(), Refused> {
        Ok(self.put(key, stored)?)
    }

    fn remove(&self, key: &StoreKey, _expected: Option<Expected>) -> Result<bool, Refused> {
        let removed = self.cache.remove(key.as_bytes());
        let removed = removed.map_err(failed("removing a record from the object cache"))?;
        if !removed && !self.cache.provider().is_serial() {
            self.is_there()?;
        }
        Ok(removed)
    }

    /// A cache walks in an order of its own and cannot stop: the least keys behind the position are
    /// picked out of the whole walk.
    fn keys(&self, from: &Position, see: See<'_>) -> Result<bool, StoreError> {
        let after = from.key();
        let mut least = BTreeSet::new();
        let mut pick = |id: &[u8]| {
            let Ok(id) = <[u8; ID_BYTES]>::try_from(id) else { return };
            let key = StoreKey::from_bytes(id);
            if after.is_none_or(|after| key > after) {
                least.insert(key);
            }
            if least.len() > BATCH {
                least.pop_last();
            }
        };
        self.cache.ids(&mut pick).map_err(failed("walking over the object cache"))?;
        let whole = least.len() < BATCH;
        for key in least {
            if !see(key, key.into()) {
                return Ok(false);
            }
        }
        Ok(whole)
    }
}
