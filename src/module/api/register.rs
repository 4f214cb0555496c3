//! The interface as APR optional functions.

use std::ffi::{c_char, c_int, c_void};
use std::mem::transmute;

use super::*;
use crate::httpd::sys::{
    self, apr_array_header_t, apr_int64_t, apr_interval_time_t, apr_size_t, apr_status_t,
    apr_time_t, request_rec,
};

/// Compiles only if both have the same type: the one the header promises and the one that is exported.
macro_rules! same_type {
    ($type:ty: $($name:ident),+) => {
        $(const _: [$type; 2] = [sys::$name, super::$name];)+
        /// Registers the functions of this type.
        #[allow(clippy::missing_transmute_annotations)]
        fn register_all() {
            $(
                let name = concat!(stringify!($name), "\0");
                // SAFETY: every function pointer has the same size; APR hands it back as it is, and the
                // caller's macro gives it the type that the header declares for this name.
                let function = unsafe { transmute(super::$name as $type) };
                // SAFETY: a C string that lives for ever.
                unsafe { sys::apr_dynamic_fn_register(name.as_ptr().cast(), Some(function)) };
            )+
        }
    };
}

macro_rules! groups {
    ($($module:ident { $type:ty: $($name:ident),+ })+) => {
        $(mod $module {
            use super::*;
            same_type!($type: $($name),+);
            pub(super) fn register() {
                register_all();
            }
        })+
        /// Registers every function of the interface; called at each start and restart.
        pub fn register() {
            $($module::register();)+
        }
    };
}

type Request = *mut request_rec;
type Text = *const c_char;

groups! {
    versions { unsafe extern "C" fn() -> c_int: session_store_version }
    plain { unsafe extern "C" fn(Request) -> apr_status_t:
        session_store_save, session_store_reload, session_store_revert, session_store_delete,
        session_store_invalidate, session_store_regenerate, session_store_lock,
        session_store_trylock, session_store_unlock }
    modes { unsafe extern "C" fn(Request, c_int) -> apr_status_t: session_store_open }
    numbers { unsafe extern "C" fn(Request, *mut c_int) -> apr_status_t:
        session_store_is_new, session_store_exists }
    texts { unsafe extern "C" fn(Request, *mut Text) -> apr_status_t:
        session_store_id, session_store_reason, session_store_user, session_store_form_token_new }
    times { unsafe extern "C" fn(Request, *mut apr_time_t) -> apr_status_t:
        session_store_created, session_store_accessed, session_store_timeout }
    spans { unsafe extern "C" fn(Request, apr_interval_time_t) -> apr_status_t:
        session_store_set_timeout }
    users { unsafe extern "C" fn(Request, Text) -> apr_status_t: session_store_set_user }
    gets { unsafe extern "C" fn(Request, Text, *mut Text) -> apr_status_t: session_store_get }
    sets { unsafe extern "C" fn(Request, Text, Text) -> apr_status_t: session_store_set }
    get_bytes { unsafe extern "C" fn(
        Request, Text, *mut *const c_void, *mut apr_size_t) -> apr_status_t: session_store_get_bytes }
    set_bytes { unsafe extern "C" fn(
        Request, Text, *const c_void, apr_size_t) -> apr_status_t: session_store_set_bytes }
    adds { unsafe extern "C" fn(
        Request, Text, apr_int64_t, *mut apr_int64_t) -> apr_status_t: session_store_add }
    looks { unsafe extern "C" fn(Request, Text, Text, *mut Text) -> apr_status_t: session_store_peek }
    checks { unsafe extern "C" fn(Request, Text, *mut c_int) -> apr_status_t:
        session_store_form_token_check }
    lists { unsafe extern "C" fn(
        Request, *mut *const apr_array_header_t) -> apr_status_t: session_store_keys }
}
