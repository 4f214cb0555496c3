//! `%{SESSION:key}` and `session('key')` in expressions.

use std::ffi::{c_char, c_int, c_void};

use super::value_in;
use crate::core::session::values::Key;
use crate::httpd::guard::guarded;
use crate::httpd::language::{Lookup, evaluated};
use crate::httpd::sys;
use crate::httpd::table::bytes_of;
use crate::module::process;

const NAME: &str = "session";
/// An error of a lookup, in the way of httpd's own.
const REFUSED: c_int = 1;

/// Answers the parser's question for our function.
///
/// Expressions that are read while a child serves are those of `.htaccess` files and of pages with
/// server-side includes: who may write those may not read other people's sessions by them.
pub fn lookup(mut question: Lookup<'_>) -> c_int {
    if !question.wants_string(NAME) {
        return sys::DECLINED;
    }
    if process::get().is_some() {
        question
            .refuse(c"session() is for the server's own configuration, not for .htaccess or pages");
        return REFUSED;
    }
    if question.argument().is_some_and(|key| Key::from_bytes(key).is_none()) {
        question.refuse(c"session() wants a key: 1 to 128 bytes of printable UTF-8");
        return REFUSED;
    }
    question.answer(value);
    sys::OK as c_int
}

/// The value of a key; empty if there is none.
unsafe extern "C" fn value(
    context: *mut sys::ap_expr_eval_ctx_t,
    _: *const c_void,
    key: *const c_char,
) -> *const c_char {
    let empty = c"".as_ptr();
    // SAFETY: httpd's evaluation, in the thread that works on the request.
    let Some((request, pool)) = (unsafe { evaluated(context) }) else { return empty };
    // SAFETY: a C string of the evaluation's.
    let key = unsafe { bytes_of(key) }.unwrap_or_default();
    guarded(|| value_in(request, pool, key).unwrap_or(empty), || empty)
}
