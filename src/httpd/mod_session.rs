//! httpd's mod_session: a module that may be there or not, and that another one keeps the data of.
//!
//! Its hooks are functions of its own library. Naming them would make this library one that cannot be
//! loaded without it, or before it: they are looked up.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::{transmute, zeroed};
use std::ptr::{NonNull, null};

use super::pool::Pool;
use super::request::Request;
use super::sys;
use super::table::{Table, bytes_of};
use crate::system::library;

/// Hands out the session of a request.
pub type Load =
    unsafe extern "C" fn(*mut sys::request_rec, *mut *mut sys::session_rec) -> sys::apr_status_t;
/// Keeps it.
pub type Save =
    unsafe extern "C" fn(*mut sys::request_rec, *mut sys::session_rec) -> sys::apr_status_t;

type HookLoad = unsafe extern "C" fn(
    sys::ap_HOOK_session_load_t,
    *const *const c_char,
    *const *const i8,
    c_int,
);
type HookSave = unsafe extern "C" fn(
    sys::ap_HOOK_session_save_t,
    *const *const c_char,
    *const *const i8,
    c_int,
);
type Hooks = unsafe extern "C" fn() -> *mut sys::apr_array_header_t;

/// A function of mod_session's, if it is loaded.
fn function(name: &CStr) -> Option<NonNull<c_void>> {
    // SAFETY: httpd looks the name up among the modules of the configuration.
    let module = unsafe { sys::ap_find_linked_module(c"mod_session.c".as_ptr()) };
    if module.is_null() { None } else { library::function(name) }
}

/// Registers where sessions are kept: in front of those who say so for a place in their own words. Does
/// nothing without mod_session.
///
/// # Safety
/// Once for each configuration, between its last `LoadModule` and the start of the server; `name` is the
/// calling module's.
pub unsafe fn register(name: &'static CStr, load: Load, save: Save) {
    let (Some(hook_load), Some(hook_save)) =
        (function(c"ap_hook_session_load"), function(c"ap_hook_session_save"))
    else {
        return;
    };
    // SAFETY: mod_session's header declares this type for the name.
    let hook_load = unsafe { transmute::<NonNull<c_void>, HookLoad>(hook_load) };
    // SAFETY: as above.
    let hook_save = unsafe { transmute::<NonNull<c_void>, HookSave>(hook_save) };
    let order = sys::APR_HOOK_FIRST as c_int;
    // SAFETY: APR's word for who registers now; one thread reads the configuration.
    let before = unsafe { sys::apr_hook_debug_current };
    // SAFETY: as above; the name lives for ever.
    unsafe { sys::apr_hook_debug_current = name.as_ptr() };
    // SAFETY: the caller vouches for the time; the functions stay loaded.
    unsafe { hook_load(Some(load), null(), null(), order) };
    // SAFETY: as above.
    unsafe { hook_save(Some(save), null(), null(), order) };
    // SAFETY: as above.
    unsafe { sys::apr_hook_debug_current = before };
}

/// Whether another module has a part in the text that is kept: else it is mod_session's own.
pub fn others_encode() -> bool {
    let Some(hooks) = function(c"ap_hook_get_session_encode") else { return false };
    // SAFETY: mod_session's header declares this type for the name.
    let hooks = unsafe { transmute::<NonNull<c_void>, Hooks>(hooks) };
    // SAFETY: gives the list of functions that are registered, or null.
    let hooks = unsafe { hooks() };
    // SAFETY: as above.
    unsafe { hooks.as_ref() }.is_some_and(|hooks| hooks.nelts > 1)
}

/// A session as mod_session has it in a request tree.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Entries(*mut sys::session_rec);

impl Entries {
    /// An empty one that lives as long as the pool.
    pub fn new(pool: Pool) -> Entries {
        // SAFETY: the pool lives; APR ends the process when there is no memory.
        let room = unsafe { sys::apr_palloc(pool.as_ptr(), size_of::<sys::session_rec>()) };
        let raw = room.cast::<sys::session_rec>();
        // SAFETY: numbers and pointers, for which zero is a value.
        let mut record: sys::session_rec = unsafe { zeroed() };
        record.pool = pool.as_ptr();
        // SAFETY: the pool lives.
        record.entries = unsafe { sys::apr_table_make(pool.as_ptr(), 10) };
        // SAFETY: APR's memory is aligned for anything and as large as asked for.
        unsafe { raw.write(record) };
        Entries(raw)
    }

    /// Wraps a record; none for null.
    ///
    /// # Safety
    /// `raw` is null or a record that lives as long as this value is used, by one thread at a time.
    pub unsafe fn from_raw(raw: *mut sys::session_rec) -> Option<Entries> {
        (!raw.is_null()).then_some(Entries(raw))
    }

    /// The record for a C function.
    pub fn as_ptr(self) -> *mut sys::session_rec {
        self.0
    }

    /// Names and values.
    pub fn table<'r>(self) -> Table<'r> {
        // SAFETY: a live record.
        let table = unsafe { (*self.0).entries };
        // SAFETY: a live record's table lives.
        unsafe { Table::from_raw(table) }
    }

    /// The text that was made of them to be kept.
    pub fn text<'r>(self) -> &'r [u8] {
        // SAFETY: a live record.
        let text = unsafe { (*self.0).encoded };
        // SAFETY: null or a C string of the request's.
        unsafe { bytes_of(text) }.unwrap_or_default()
    }

    /// Whether somebody changed it.
    pub fn is_dirty(self) -> bool {
        // SAFETY: a live record.
        unsafe { (*self.0).dirty != 0 }
    }

    /// Has mod_session not ask again to keep it.
    pub fn forbid_saving(self) {
        // SAFETY: a live record, in the thread that works on the request.
        unsafe { (*self.0).written = 1 };
    }

    /// Seconds without a visit after which it is to be gone, where the configuration says so.
    pub fn max_age(self) -> Option<u32> {
        // SAFETY: a live record.
        let seconds = unsafe { (*self.0).maxage };
        (seconds > 0).then(|| u32::try_from(seconds).unwrap_or(u32::MAX))
    }

    /// Says when it ends, in microseconds since 1970; 0: not said.
    pub fn set_end(self, end: i64) {
        // SAFETY: a live record, in the thread that works on the request.
        unsafe { (*self.0).expiry = end };
    }

    /// Forgets when it ends if that is past: a request under way may end it later.
    pub fn forget_end_before(self, now: i64) {
        // SAFETY: a live record.
        if unsafe { (*self.0).expiry } < now {
            self.set_end(0);
        }
    }

    /// Has the text taken apart by those who made it. What it holds is added to the table; false if they
    /// cannot.
    pub fn decode(self, request: Request<'_>, text: &[u8]) -> bool {
        let Some(run) = function(c"ap_run_session_decode") else { return false };
        // SAFETY: mod_session's header declares this type for the name.
        let run = unsafe { transmute::<NonNull<c_void>, Save>(run) };
        let text = request.anchor().pool().bytes(text);
        // SAFETY: a live record; the text lives as long.
        unsafe { (*self.0).encoded = text };
        // SAFETY: a live request and its session.
        let done = unsafe { run(request.as_ptr(), self.0) } == 0;
        // SAFETY: as above. Nobody is to take it apart again.
        unsafe { (*self.0).encoded = null() };
        done
    }

    /// Has the text made of the table. None if that fails.
    pub fn encode<'r>(self, request: Request<'r>) -> Option<&'r [u8]> {
        let run = function(c"ap_run_session_encode")?;
        // SAFETY: mod_session's header declares this type for the name.
        let run = unsafe { transmute::<NonNull<c_void>, Save>(run) };
        // SAFETY: a live request and a session.
        let done = unsafe { run(request.as_ptr(), self.0) } == 0;
        done.then(|| self.text())
    }
}
