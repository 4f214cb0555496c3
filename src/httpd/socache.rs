//! httpd's small object caches, which modules like mod_socache_shmcb provide.
//!
//! An instance is made from an argument in any pass of the configuration; that is also how the argument
//! is checked. It is initialized once, before children are made. httpd's own users give it the life of a
//! configuration and destroy it at each restart, and what was cached with it. Here it has the life of the
//! parent and is never destroyed: what a provider has to clean up it registers with the pool it got, and
//! the cache of mod_socache_dbm is a file that stays.

use std::ffi::{CStr, c_char, c_uint, c_void};
use std::ptr::{NonNull, null, null_mut};

use super::guard::guarded;
use super::pool::{Pool, Scratch};
use super::provider;
use super::status::NOT_FOUND;
use super::sys;
use super::table::bytes_of;

const GROUP: &CStr = c"socache";
const VERSION: &CStr = c"0";

/// What a provider may plan with.
#[derive(Debug, Clone, Copy)]
pub struct Hints {
    /// Bytes of an id, on average.
    pub id: usize,
    /// Bytes of an object, on average.
    pub object: usize,
}

/// A provider of caches.
#[derive(Clone, Copy)]
pub struct Provider(NonNull<sys::ap_socache_provider_t>);

/// What a walk over a cache shows: the ids of its objects.
type SeeId<'a> = &'a mut dyn FnMut(&[u8]);

impl Provider {
    /// The provider of this name.
    pub fn find(name: &str) -> Option<Provider> {
        provider::find(GROUP, name, VERSION).map(|found| Provider(found.cast()))
    }

    /// The names there are.
    ///
    /// # Safety
    /// `pool` lives during the call.
    pub unsafe fn names(pool: Pool) -> Vec<String> {
        // SAFETY: as the caller says.
        unsafe { provider::names(GROUP, VERSION, pool) }
    }

    /// Where it is in memory: tells the library it belongs to.
    pub fn address(self) -> *const c_void {
        self.0.as_ptr().cast()
    }

    fn functions(&self) -> &sys::ap_socache_provider_t {
        // SAFETY: registered by a module that is loaded; the record is a constant of its library.
        unsafe { self.0.as_ref() }
    }

    /// Its own name, which may be registered under others.
    pub fn name(&self) -> String {
        // SAFETY: a literal of the provider's library.
        let name = unsafe { bytes_of(self.functions().name) }.unwrap_or_default();
        String::from_utf8_lossy(name).into_owned()
    }

    /// No two calls may run at a time, in any processes.
    pub fn is_serial(&self) -> bool {
        self.functions().flags & sys::AP_SOCACHE_FLAG_NOTMPSAFE != 0
    }

    /// Whether it takes this argument.
    ///
    /// # Errors
    /// What the provider says.
    ///
    /// # Safety
    /// `pool` is the configuration's, which is being read.
    pub unsafe fn check(&self, argument: Option<&str>, pool: Pool) -> Result<(), String> {
        // SAFETY: as the caller says.
        unsafe { self.instance(argument, pool) }.map(drop)
    }

    unsafe fn instance(
        &self,
        argument: Option<&str>,
        pool: Pool,
    ) -> Result<*mut sys::ap_socache_instance_t, String> {
        let create = self.functions().create.ok_or("the provider has no function create")?;
        let mut instance = null_mut();
        let argument = argument.map_or(null(), |text| pool.bytes(text.as_bytes()));
        // SAFETY: the argument is a C string in the pool, which lives as long as the instance.
        let problem = unsafe { create(&mut instance, argument, pool.as_ptr(), pool.as_ptr()) };
        // SAFETY: null, or a text in one of the pools.
        match unsafe { bytes_of(problem) } {
            Some(text) => Err(String::from_utf8_lossy(text).into_owned()),
            None if instance.is_null() => Err("the provider made no instance".to_owned()),
            None => Ok(instance),
        }
    }

    /// Makes a cache. `name`, of at most 16 bytes of `[a-z0-9_-]`, tells it from those of other modules.
    ///
    /// # Errors
    /// What the provider says, or the status that it has logged the reason of.
    ///
    /// # Safety
    /// In the parent, before it has children; `pool` lives as long as the parent, and so does the
    /// provider's library.
    pub unsafe fn make(
        &self,
        argument: Option<&str>,
        name: &CStr,
        hints: Hints,
        server: *mut sys::server_rec,
        pool: Pool,
    ) -> Result<Cache, String> {
        // SAFETY: as the caller says.
        let instance = unsafe { self.instance(argument, pool)? };
        let init = self.functions().init.ok_or("the provider has no function init")?;
        let hints = sys::ap_socache_hints {
            avg_id_len: hints.id,
            avg_obj_size: hints.object,
            expiry_interval: 60_000_000,
        };
        let name: *const c_char = name.as_ptr();
        // SAFETY: an instance that was just made; the caller vouches for server and pool.
        match unsafe { init(instance, name, &hints, server, pool.as_ptr()) } {
            0 => Ok(Cache { provider: *self, instance }),
            status => Err(format!("the provider failed: {}", super::status::text(status))),
        }
    }
}

/// A cache, in the parent and its children.
pub struct Cache {
    provider: Provider,
    instance: *mut sys::ap_socache_instance_t,
}

// SAFETY: a provider's functions may be called by any thread. Whether by several at once is said by
// `Provider::is_serial`, which the owner of the cache has to honour; pools are made for each call.
unsafe impl Send for Cache {}
// SAFETY: as above.
unsafe impl Sync for Cache {}

/// The server that a provider's own log lines are about.
fn server() -> *mut sys::server_rec {
    // SAFETY: httpd's pointer to the main server of the configuration in force, set before any call.
    unsafe { sys::ap_server_conf }
}

impl Cache {
    /// The provider.
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// Stores an object until `expiry`, in microseconds since 1970.
    ///
    /// # Errors
    /// The provider's status.
    pub fn store(&self, id: &[u8], expiry: i64, data: &[u8]) -> Result<(), i32> {
        let Some(store) = self.provider.functions().store else { return Err(libc::ENOSYS) };
        let pool = Scratch::new()?;
        // The interface takes the data as writable, and nobody writes it.
        let bytes = data.as_ptr().cast_mut();
        // SAFETY: a live instance; id and data are valid for their lengths during the call.
        let status = unsafe {
            store(
                self.instance,
                server(),
                id.as_ptr(),
                length(id)?,
                expiry,
                bytes,
                length(data)?,
                pool.as_ptr(),
            )
        };
        if status == 0 { Ok(()) } else { Err(status) }
    }

    /// Reads an object of at most `most` bytes. Most providers take a larger one for none.
    ///
    /// # Errors
    /// The provider's status.
    pub fn retrieve(&self, id: &[u8], most: usize) -> Result<Option<Vec<u8>>, i32> {
        let Some(retrieve) = self.provider.functions().retrieve else { return Err(libc::ENOSYS) };
        let pool = Scratch::new()?;
        let mut data: Vec<u8> = Vec::with_capacity(most.max(1));
        let mut len = c_uint::try_from(most).map_err(|_| libc::EINVAL)?;
        let (at, id_len) = (data.as_mut_ptr(), length(id)?);
        // SAFETY: a live instance; there is room for `len` bytes behind `at`.
        let status = unsafe {
            retrieve(self.instance, server(), id.as_ptr(), id_len, at, &mut len, pool.as_ptr())
        };
        match status {
            0 => {
                // SAFETY: the provider wrote `len` bytes, which were asked to be at most `most`.
                unsafe { data.set_len((len as usize).min(most)) };
                Ok(Some(data))
            }
            NOT_FOUND => Ok(None),
            status => Err(status),
        }
    }

    /// Removes an object. False if there was none, as far as the provider tells.
    ///
    /// # Errors
    /// The provider's status.
    pub fn remove(&self, id: &[u8]) -> Result<bool, i32> {
        let Some(remove) = self.provider.functions().remove else { return Err(libc::ENOSYS) };
        let pool = Scratch::new()?;
        let id_len = length(id)?;
        // SAFETY: a live instance and a valid id.
        let status = unsafe { remove(self.instance, server(), id.as_ptr(), id_len, pool.as_ptr()) };
        match status {
            0 => Ok(true),
            NOT_FOUND => Ok(false),
            status => Err(status),
        }
    }

    /// Shows all ids. There is no stopping in between: mod_socache_dbm would keep its file locked.
    ///
    /// # Errors
    /// The provider's status; `APR_ENOTIMPL` where it has no walk.
    pub fn ids(&self, mut see: SeeId<'_>) -> Result<(), i32> {
        let Some(iterate) = self.provider.functions().iterate else {
            return Err(super::status::NOT_IMPLEMENTED);
        };
        let pool = Scratch::new()?;
        let baton = (&raw mut see).cast();
        // SAFETY: a live instance; `see_id` gets the baton that it expects, which outlives the call.
        let status =
            unsafe { iterate(self.instance, server(), baton, Some(see_id), pool.as_ptr()) };
        // An empty cache is none that is missing.
        if status == 0 || status == NOT_FOUND { Ok(()) } else { Err(status) }
    }
}

fn length(bytes: &[u8]) -> Result<c_uint, i32> {
    c_uint::try_from(bytes.len()).map_err(|_| libc::EINVAL)
}

unsafe extern "C" fn see_id(
    _: *mut sys::ap_socache_instance_t,
    _: *mut sys::server_rec,
    baton: *mut c_void,
    id: *const u8,
    id_len: c_uint,
    _: *const u8,
    _: c_uint,
    _: *mut sys::apr_pool_t,
) -> sys::apr_status_t {
    if id.is_null() || baton.is_null() {
        return 0;
    }
    // SAFETY: `Cache::ids` made the baton from this type, and waits for the walk's end.
    let see = unsafe { &mut *baton.cast::<SeeId<'_>>() };
    // SAFETY: the provider shows that many bytes during the call.
    let id = unsafe { std::slice::from_raw_parts(id, id_len as usize) };
    guarded(|| see(id), || ());
    0
}
