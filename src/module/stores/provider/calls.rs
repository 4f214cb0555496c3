//! The functions of a provider, called.

use std::ffi::{c_int, c_void};
use std::io;
use std::ptr::{NonNull, null};
use std::sync::{Mutex, PoisonError};

use crate::core::clock::Time;
use crate::core::session::codec::RECORD_MAX;
use crate::core::store::external::{
    Backend, Expected, Facts, Found, Refused, See, Stored, USER_HASH_BYTES, UserHash,
};
use crate::core::store::{Position, Stats, StoreError, StoreKey, Visit};
use crate::httpd::guard::guarded;
use crate::httpd::pool::{Pool, Scratch};
use crate::httpd::table::bytes_of;
use crate::httpd::{status, sys};

type Struct = sys::session_store_provider;

/// The flags of the header.
pub struct Flags {
    pub processes: u32,
    pub threads: u32,
    pub compares: u32,
    pub survives_kill: u32,
    pub remote: u32,
    pub syncs: u32,
    pub expires: u32,
}

pub const FLAGS: Flags = Flags {
    processes: sys::SESSION_STORE_PROCESSES,
    threads: sys::SESSION_STORE_THREADS,
    compares: sys::SESSION_STORE_COMPARES,
    survives_kill: sys::SESSION_STORE_SURVIVES_KILL,
    remote: sys::SESSION_STORE_REMOTE,
    syncs: sys::SESSION_STORE_SYNCS,
    expires: sys::SESSION_STORE_EXPIRES,
};

/// Functions that every provider has.
#[derive(Clone, Copy)]
pub struct Required {
    pub prepare: unsafe extern "C" fn(
        *mut *mut c_void,
        *const std::ffi::c_char,
        *const sys::session_store_host,
        *mut sys::apr_pool_t,
    ) -> *const std::ffi::c_char,
    load: unsafe extern "C" fn(
        *mut c_void,
        *const u8,
        sys::session_store_take,
        *mut c_void,
        *mut sys::apr_pool_t,
    ) -> sys::apr_status_t,
    create: Write,
    replace: Write,
    remove: Write,
}

type Write = unsafe extern "C" fn(
    *mut c_void,
    *const u8,
    *const sys::session_store_record,
    *mut sys::apr_pool_t,
) -> sys::apr_status_t;

/// A provider that is whole.
#[derive(Clone, Copy)]
pub struct Functions {
    at: NonNull<Struct>,
    required: Required,
}

impl Functions {
    /// Takes a look at what was registered.
    ///
    /// # Errors
    /// What is missing.
    ///
    /// # Safety
    /// `at` is a provider as the header describes it, and stays as it is for as long as its library.
    pub unsafe fn new(at: NonNull<Struct>) -> Result<Functions, &'static str> {
        // SAFETY: each version of the struct begins with its size.
        let size = unsafe { at.cast::<sys::apr_size_t>().read() };
        if size < size_of::<Struct>() {
            return Err("the size of its struct is not that of any version");
        }
        // SAFETY: as the caller says; it is as long as this version's.
        let all = unsafe { at.as_ref() };
        let required = Required {
            prepare: all.prepare.ok_or("it has no prepare")?,
            load: all.load.ok_or("it has no load")?,
            create: all.create.ok_or("it has no create")?,
            replace: all.replace.ok_or("it has no replace")?,
            remove: all.remove.ok_or("it has no remove")?,
        };
        Ok(Functions { at, required })
    }

    /// What may be missing.
    pub fn optional(&self) -> &Struct {
        // SAFETY: the library stays as long as this is used: to the end of the configuration test, and
        // from `prepare` on for ever.
        unsafe { self.at.as_ref() }
    }

    pub fn required(&self) -> &Required {
        &self.required
    }

    pub fn address(&self) -> *const c_void {
        self.at.as_ptr().cast()
    }

    pub fn has(&self, flag: u32) -> bool {
        self.optional().flags & flag != 0
    }

    pub fn lists(&self) -> bool {
        self.optional().scan.is_some()
    }

    pub fn record_max(&self) -> usize {
        match self.optional().record_max {
            0 => RECORD_MAX,
            most => most.min(RECORD_MAX),
        }
    }

    /// What the provider says against an argument.
    pub fn check(&self, argument: Option<&str>, pool: Pool) -> Option<String> {
        let check = self.optional().check?;
        let argument = argument.map_or(null(), |text| pool.bytes(text.as_bytes()));
        // SAFETY: the argument is a C string in the pool.
        let problem = unsafe { check(argument, pool.as_ptr()) };
        // SAFETY: null, or a text in the pool or of the library's own.
        let problem = unsafe { bytes_of(problem) }?;
        Some(String::from_utf8_lossy(problem).into_owned())
    }
}

/// A store that was opened in this child.
pub struct Calls {
    functions: Functions,
    opened: *mut c_void,
    /// For a store that is not safe for threads: the one that cleans up is another than those that serve.
    turn: Option<Mutex<()>>,
}

// SAFETY: the provider says by its flags whether several threads may call it; if not, they take turns.
unsafe impl Send for Calls {}
// SAFETY: as above.
unsafe impl Sync for Calls {}

fn failed(doing: &'static str) -> impl FnOnce(i32) -> StoreError {
    move |code| match code {
        status::NOT_FOUND => StoreError::Gone,
        status::EXISTS => StoreError::Exists,
        status::NO_SPACE => StoreError::Full("what the store of SessionStore can hold"),
        status::NOT_IMPLEMENTED => StoreError::Unsupported,
        code => StoreError::Io { doing, cause: io::Error::other(status::text(code)) },
    }
}

fn refused(doing: &'static str) -> impl FnOnce(i32) -> Refused {
    move |code| match code {
        status::AGAIN => Refused::Changed,
        code => Refused::Failed(failed(doing)(code)),
    }
}

fn micros(time: Time) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

fn time(micros: i64) -> Time {
    Time(u64::try_from(micros).unwrap_or_default())
}

fn record(stored: &Stored<'_>, version: Option<u64>) -> sys::session_store_record {
    sys::session_store_record {
        data: stored.bytes.as_ptr().cast(),
        len: stored.bytes.len(),
        incarnation: stored.incarnation,
        version: version.unwrap_or_default(),
        accessed: micros(stored.accessed),
        deadline: micros(stored.deadline),
        user: stored.user,
    }
}

impl Calls {
    /// `opened` is what the provider's functions are called with.
    pub fn new(functions: Functions, opened: *mut c_void) -> Calls {
        let turn = (!functions.has(FLAGS.threads)).then(Mutex::default);
        Calls { functions, opened, turn }
    }

    fn call(&self, work: impl FnOnce(*mut sys::apr_pool_t) -> i32) -> Result<(), i32> {
        let pool = Scratch::new()?;
        let turn = self.turn.as_ref();
        let _turn = turn.map(|turn| turn.lock().unwrap_or_else(PoisonError::into_inner));
        match work(pool.as_ptr()) {
            0 => Ok(()),
            status => Err(status),
        }
    }

    fn write(
        &self,
        function: Write,
        key: &StoreKey,
        record: *const sys::session_store_record,
    ) -> Result<(), i32> {
        let key = key.as_bytes().as_ptr();
        // SAFETY: an opened store; key and record live during the call.
        self.call(|pool| unsafe { function(self.opened, key, record, pool) })
    }
}

impl Backend for Calls {
    fn facts(&self) -> Facts {
        let (functions, optional) = (&self.functions, self.functions.optional());
        Facts {
            name: "provider",
            record_max: functions.record_max(),
            compares: functions.has(FLAGS.compares),
            serial: false,
            touches: optional.touch.is_some(),
            lists: optional.scan.is_some(),
            finds_users: optional.find_user.is_some(),
            expires: functions.has(FLAGS.expires),
            survives_kill: functions.has(FLAGS.survives_kill),
        }
    }

    fn load(&self, key: &StoreKey) -> Result<Option<Found>, StoreError> {
        let mut taken = Taken { found: None, times: self.functions.optional().touch.is_some() };
        let baton = (&raw mut taken).cast();
        let (load, key) = (self.functions.required.load, key.as_bytes().as_ptr());
        // SAFETY: an opened store; `take` gets the baton that it expects, which outlives the call.
        let outcome = self.call(|pool| unsafe { load(self.opened, key, Some(take), baton, pool) });
        match outcome {
            Ok(()) => Ok(taken.found),
            Err(status::NOT_FOUND) => Ok(None),
            Err(status) => Err(failed("reading a record from the store")(status)),
        }
    }

    fn create(&self, key: &StoreKey, stored: &Stored<'_>) -> Result<(), StoreError> {
        let record = record(stored, None);
        let created = self.write(self.functions.required.create, key, &record);
        created.map_err(failed("creating a record in the store"))
    }

    fn replace(
        &self,
        key: &StoreKey,
        stored: &Stored<'_>,
        version: Option<u64>,
    ) -> Result<(), Refused> {
        let record = record(stored, version);
        let replaced = self.write(self.functions.required.replace, key, &record);
        replaced.map_err(refused("writing a record to the store"))
    }

    fn touch(&self, key: &StoreKey, incarnation: u64, visit: Visit) -> Result<(), StoreError> {
        let touch = self.functions.optional().touch.ok_or(StoreError::Unsupported)?;
        let key = key.as_bytes().as_ptr();
        let (accessed, deadline) = (micros(visit.accessed), micros(visit.deadline));
        let touched = self.call(|pool| {
            // SAFETY: an opened store and a key.
            unsafe { touch(self.opened, key, incarnation, accessed, deadline, pool) }
        });
        touched.map_err(failed("recording a visit in the store"))
    }

    fn remove(&self, key: &StoreKey, expected: Option<Expected>) -> Result<bool, Refused> {
        let expected = expected.map(|Expected { incarnation, version }| {
            let (accessed, deadline, user) = (Time(0), Time(0), [0; USER_HASH_BYTES]);
            record(&Stored { bytes: &[], incarnation, accessed, deadline, user }, version)
        });
        let expected = expected.as_ref().map_or(null(), std::ptr::from_ref);
        match self.write(self.functions.required.remove, key, expected) {
            Ok(()) => Ok(true),
            Err(status::NOT_FOUND) => Ok(false),
            Err(status) => Err(refused("removing a record from the store")(status)),
        }
    }

    fn keys(&self, from: &Position, see: See<'_>) -> Result<bool, StoreError> {
        let scan = self.functions.optional().scan.ok_or(StoreError::Unsupported)?;
        let from = from.bytes();
        let at = if from.is_empty() { null() } else { from.as_ptr().cast() };
        let mut see = see;
        let baton = (&raw mut see).cast();
        let len = from.len();
        // SAFETY: an opened store; `seen` gets the baton that it expects, which outlives the call.
        let outcome =
            self.call(|pool| unsafe { scan(self.opened, at, len, Some(seen), baton, pool) });
        match outcome {
            Ok(()) => Ok(false),
            Err(status::EOF) => Ok(true),
            Err(status) => Err(failed("listing the store")(status)),
        }
    }

    fn keys_of(&self, user: &UserHash, see: See<'_>) -> Result<(), StoreError> {
        let find = self.functions.optional().find_user.ok_or(StoreError::Unsupported)?;
        let mut see = see;
        let baton = (&raw mut see).cast();
        let user = user.as_ptr();
        // SAFETY: as above.
        let outcome = self.call(|pool| unsafe { find(self.opened, user, Some(seen), baton, pool) });
        match outcome {
            Ok(()) | Err(status::EOF | status::NOT_FOUND) => Ok(()),
            Err(status) => Err(failed("looking for a user's sessions in the store")(status)),
        }
    }

    fn stats(&self) -> Result<Stats, StoreError> {
        let Some(stats) = self.functions.optional().stats else { return Ok(Stats::default()) };
        let mut known = sys::session_store_stats {
            size: size_of::<sys::session_store_stats>(),
            records: -1,
            bytes: -1,
            capacity: -1,
        };
        // SAFETY: an opened store; the struct is as long as it says.
        let outcome = self.call(|_| unsafe { stats(self.opened, &mut known) });
        outcome.map_err(failed("asking the store for its figures"))?;
        let figure = |number: i64| u64::try_from(number).ok();
        Ok(Stats {
            records: figure(known.records),
            bytes: figure(known.bytes),
            capacity: figure(known.capacity),
            counters: Vec::new(),
        })
    }
}

/// What [`take`] writes to.
struct Taken {
    found: Option<Found>,
    times: bool,
}

unsafe extern "C" fn take(baton: *mut c_void, record: *const sys::session_store_record) {
    // SAFETY: `Calls::load` made the baton from this type and waits for the end of the call.
    let Some(taken) = (unsafe { baton.cast::<Taken>().as_mut() }) else { return };
    // SAFETY: null, or a record that lives during the call.
    let Some(record) = (unsafe { record.as_ref() }) else { return };
    let len = record.len;
    if record.data.is_null() || len > RECORD_MAX {
        // No record of ours: shown as one that is damaged.
        taken.found = Some(Found { bytes: Vec::new(), visit: None, version: record.version });
        return;
    }
    // SAFETY: the provider shows that many bytes during the call.
    let bytes = unsafe { std::slice::from_raw_parts(record.data.cast::<u8>(), len) };
    let visit = Visit { accessed: time(record.accessed), deadline: time(record.deadline) };
    let visit = taken.times.then_some(visit);
    let copy = || Some(Found { bytes: bytes.to_vec(), visit, version: record.version });
    taken.found = guarded(copy, || None);
}

unsafe extern "C" fn seen(
    baton: *mut c_void,
    key: *const u8,
    position: *const c_void,
    len: sys::apr_size_t,
) -> c_int {
    // SAFETY: `Calls::keys` and `Calls::keys_of` made the baton from this type.
    let Some(see) = (unsafe { baton.cast::<See<'_>>().as_mut() }) else { return 0 };
    // SAFETY: null, or as many bytes as a key has.
    let Some(key) = (unsafe { key.cast::<[u8; 32]>().as_ref() }) else { return 0 };
    let position = if position.is_null() {
        Position::default()
    } else {
        // SAFETY: the provider shows that many bytes during the call.
        Position::new(unsafe { std::slice::from_raw_parts(position.cast(), len) })
    };
    guarded(|| c_int::from(see(StoreKey::from_bytes(*key), position)), || 0)
}
