//! httpd's own language, where another module puts words into it: expressions, `Require`, log formats,
//! rewrite maps.

use std::ffi::{CStr, c_char, c_int};
use std::mem::transmute;

use super::pool::Pool;
use super::request::Request;
use super::sys;
use super::table::bytes_of;

/// Looks a word up for an expression: the key as written, and the request.
pub type StringFunction = unsafe extern "C" fn(
    *mut sys::ap_expr_eval_ctx_t,
    *const std::ffi::c_void,
    *const c_char,
) -> *const c_char;

/// A question of the expression parser: who has a function of this name?
pub struct Lookup<'p>(&'p mut sys::ap_expr_lookup_parms);

impl Lookup<'_> {
    /// Wraps the question.
    ///
    /// # Safety
    /// `parms` is what httpd hands to a lookup hook, for the time of the call.
    pub unsafe fn from_raw<'p>(parms: *mut sys::ap_expr_lookup_parms) -> Option<Lookup<'p>> {
        // SAFETY: as the caller says.
        unsafe { parms.as_mut() }.map(Lookup)
    }

    /// Whether a function of strings with this name is asked for.
    pub fn wants_string(&self, name: &str) -> bool {
        // SAFETY: a C string of the parser's.
        let asked = unsafe { bytes_of(self.0.name) }.unwrap_or_default();
        self.0.type_ == sys::AP_EXPR_FUNC_STRING as c_int
            && asked.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The argument, if it is a plain string.
    pub fn argument(&self) -> Option<&[u8]> {
        // SAFETY: null or a C string of the parser's.
        unsafe { bytes_of(self.0.arg) }
    }

    /// Answers with a function.
    pub fn answer(&mut self, function: StringFunction) {
        // SAFETY: the parser has a place for the answer.
        unsafe { *self.0.func = function as *const std::ffi::c_void };
        // SAFETY: as above.
        unsafe { *self.0.data = std::ptr::null() };
    }

    /// Refuses the expression; the text is shown with the line of the configuration.
    pub fn refuse(&mut self, text: &'static CStr) {
        // SAFETY: the parser has a place for the message, which lives for ever.
        unsafe { *self.0.err = text.as_ptr() };
    }
}

/// The request and the pool of an expression that is evaluated.
///
/// # Safety
/// `context` is what httpd hands to a function of an expression, for the time of the call.
pub unsafe fn evaluated<'r>(context: *mut sys::ap_expr_eval_ctx_t) -> Option<(Request<'r>, Pool)> {
    // SAFETY: as the caller says.
    let context = unsafe { context.as_ref() }?;
    // SAFETY: null, or the request that is worked on.
    let request = unsafe { Request::from_raw(context.r) }?;
    // SAFETY: the pool of the evaluation, which lives longer than the call.
    Some((request, unsafe { Pool::from_raw(context.p) }))
}

/// Registers a kind of `Require`.
///
/// # Safety
/// `pool` is the configuration's, while hooks are registered; `provider` lives for ever.
pub unsafe fn register_require(
    pool: *mut sys::apr_pool_t,
    name: &'static CStr,
    provider: &'static sys::authz_provider,
) {
    // SAFETY: as the caller says; the strings are literals.
    unsafe {
        sys::ap_register_auth_provider(
            pool,
            sys::AUTHZ_PROVIDER_GROUP.as_ptr().cast(),
            name.as_ptr(),
            sys::AUTHZ_PROVIDER_VERSION.as_ptr().cast(),
            std::ptr::from_ref(provider).cast(),
            sys::AP_AUTH_INTERNAL_PER_CONF as c_int,
        );
    }
}

/// The words of a line as httpd takes its directives apart: quotes keep blanks together.
///
/// # Safety
/// `line` is null or a C string that lives during the call.
pub unsafe fn words(pool: Pool, line: *const c_char) -> Vec<Vec<u8>> {
    let (mut words, mut rest) = (Vec::new(), line);
    // SAFETY: as the caller says.
    while !unsafe { bytes_of(rest) }.unwrap_or_default().is_empty() {
        // SAFETY: the pool lives; `rest` stays within the line.
        let word = unsafe { sys::ap_getword_conf(pool.as_ptr(), &mut rest) };
        // SAFETY: a C string in the pool.
        words.push(unsafe { bytes_of(word) }.unwrap_or_default().to_vec());
    }
    words
}

type RegisterLog = unsafe extern "C" fn(
    *mut sys::apr_pool_t,
    *mut c_char,
    Option<unsafe extern "C" fn(*mut sys::request_rec, *mut c_char) -> *const c_char>,
    c_int,
);
type RegisterMap = unsafe extern "C" fn(
    *mut c_char,
    Option<unsafe extern "C" fn(*mut sys::request_rec, *mut c_char) -> *mut c_char>,
);

/// Registers a letter of log formats, if mod_log_config is there. It is asked in the log phase.
///
/// # Safety
/// `pool` is the configuration's, before it is read.
pub unsafe fn register_log(
    pool: *mut sys::apr_pool_t,
    tag: &'static CStr,
    function: unsafe extern "C" fn(*mut sys::request_rec, *mut c_char) -> *const c_char,
) {
    // SAFETY: a literal.
    let found = unsafe { sys::apr_dynamic_fn_retrieve(c"ap_register_log_handler".as_ptr()) };
    let Some(found) = found else { return };
    // SAFETY: mod_log_config's header declares this type for the name.
    let register = unsafe { transmute::<unsafe extern "C" fn(), RegisterLog>(found) };
    // SAFETY: the tag is copied or lives for ever.
    unsafe { register(pool, tag.as_ptr().cast_mut(), Some(function), 0) };
}

/// Registers an internal rewrite map, if mod_rewrite is there.
///
/// # Safety
/// Before the configuration is read.
pub unsafe fn register_map(
    name: &'static CStr,
    function: unsafe extern "C" fn(*mut sys::request_rec, *mut c_char) -> *mut c_char,
) {
    // SAFETY: a literal.
    let found = unsafe { sys::apr_dynamic_fn_retrieve(c"ap_register_rewrite_mapfunc".as_ptr()) };
    let Some(found) = found else { return };
    // SAFETY: mod_rewrite's header declares this type for the name.
    let register = unsafe { transmute::<unsafe extern "C" fn(), RegisterMap>(found) };
    // SAFETY: the name lives for ever.
    unsafe { register(name.as_ptr().cast_mut(), Some(function)) };
}

/// A text as it may stand in a log: what could be taken for something else is escaped.
///
/// # Safety
/// `text` is a C string that lives as long as the pool.
pub unsafe fn log_item(pool: Pool, text: *const c_char) -> *const c_char {
    // SAFETY: the pool lives, and the text is a C string in it.
    unsafe { sys::ap_escape_logitem(pool.as_ptr(), text) }
}
