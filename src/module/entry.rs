//! The functions that `c_shim/hooks.c` registers: guard, wrap, one call inward.

use std::ffi::c_int;

use super::filter::Verdict;
use super::{backend, cleanup, clients, filter, handler, language, lifecycle, raw, report, tree};
use crate::httpd::brigade::Brigade;
use crate::httpd::guard::guarded;
use crate::httpd::language::Lookup;
use crate::httpd::log::Level;
use crate::httpd::request::Request;
use crate::httpd::sys;

const OK: c_int = sys::OK as c_int;
const FAILED: c_int = sys::HTTP_INTERNAL_SERVER_ERROR as c_int;

/// Before the configuration is read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mss_pre_config(
    pool: *mut sys::apr_pool_t,
    _: *mut sys::apr_pool_t,
    _: *mut sys::apr_pool_t,
) -> c_int {
    // SAFETY: httpd's configuration pool.
    guarded(|| unsafe { lifecycle::pre_config(pool) }, || FAILED)
}

/// After it was read; also for `httpd -t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mss_check_config(
    pool: *mut sys::apr_pool_t,
    _: *mut sys::apr_pool_t,
    _: *mut sys::apr_pool_t,
    server: *mut sys::server_rec,
) -> c_int {
    // SAFETY: httpd's main server and its pool, while nobody else uses the configuration.
    guarded(|| unsafe { lifecycle::check_config(pool, server) }, || FAILED)
}

/// For `httpd -t`, after the configuration was found good.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mss_test_config(_: *mut sys::apr_pool_t, server: *mut sys::server_rec) {
    // SAFETY: as above.
    guarded(|| unsafe { lifecycle::dump(server) }, || ());
}

/// In the parent, before it makes children.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mss_post_config(
    pool: *mut sys::apr_pool_t,
    _: *mut sys::apr_pool_t,
    _: *mut sys::apr_pool_t,
    server: *mut sys::server_rec,
) -> c_int {
    // SAFETY: as above.
    guarded(|| unsafe { lifecycle::post_config(pool, server) }, || FAILED)
}

/// In a new child, before it has threads.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mss_child_init(pool: *mut sys::apr_pool_t, server: *mut sys::server_rec) {
    // SAFETY: the child's pool and httpd's main server.
    guarded(|| unsafe { lifecycle::child_init(pool, server) }, || ());
}

/// When a record has been made.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mss_create_request(record: *mut sys::request_rec) -> c_int {
    // SAFETY: httpd's record, in the thread that works on it.
    let Some(request) = (unsafe { Request::from_raw(record) }) else { return OK };
    guarded(|| clients::created(request), || panicked(request));
    OK
}

/// When a request has been read, and when a redirect has taken one over.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mss_post_read_request(record: *mut sys::request_rec) -> c_int {
    // SAFETY: as above.
    let Some(request) = (unsafe { Request::from_raw(record) }) else { return sys::DECLINED };
    guarded(
        || {
            clients::arrived(request);
            sys::DECLINED
        },
        || {
            panicked(request);
            FAILED
        },
    )
}

/// Before a record's handler is chosen, and before an error page is sent.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mss_insert_filter(record: *mut sys::request_rec) {
    // SAFETY: httpd's record, in the thread that works on it.
    let Some(request) = (unsafe { Request::from_raw(record) }) else { return };
    guarded(
        || {
            clients::expect_trailers(request);
            filter::insert(request);
        },
        || panicked(request),
    );
}

/// The first of all handlers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mss_handler(record: *mut sys::request_rec) -> c_int {
    // SAFETY: as above.
    let Some(request) = (unsafe { Request::from_raw(record) }) else { return sys::DECLINED };
    #[cfg(debug_assertions)]
    if let Some(status) = guarded(|| super::suite::answer(request), || Some(FAILED)) {
        return status;
    }
    guarded(
        || handler::handle(request),
        || {
            panicked(request);
            FAILED
        },
    )
}

/// Output on its way to the client.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mss_filter(
    this: *mut sys::ap_filter_t,
    brigade: *mut sys::apr_bucket_brigade,
) -> sys::apr_status_t {
    // SAFETY: httpd's filter and brigade, in the thread that works on the request.
    unsafe { run_filter(this, brigade) }
}

/// The filter's context once it has replaced the answer: what the handler still writes is dropped.
static REPLACED: u8 = 0;

unsafe fn run_filter(
    this: *mut sys::ap_filter_t,
    brigade: *mut sys::apr_bucket_brigade,
) -> sys::apr_status_t {
    // SAFETY: the caller vouches for the filter; it lives as long as its request.
    let filter = unsafe { &*this };
    let (context, record, next) = (filter.ctx, filter.r, filter.next);
    let replaced = (&raw const REPLACED).cast_mut().cast();
    if context == replaced {
        // SAFETY: the brigade is ours to empty.
        return unsafe { sys::apr_brigade_cleanup(brigade.cast()) };
    }
    // SAFETY: a resource filter's request.
    let request = unsafe { Request::from_raw(record) };
    // SAFETY: a live brigade.
    let leaves = unsafe { sys::shim_is_first_data(brigade) } != 0;
    let verdict = match request {
        Some(request) if leaves => guarded(
            || filter::output(request),
            || {
                panicked(request);
                Verdict::Replace(FAILED as u16)
            },
        ),
        _ => Verdict::Pass,
    };
    match verdict {
        Verdict::Pass => {}
        // SAFETY: a filter may take itself out of the chain.
        Verdict::PassAndLeave => unsafe { sys::ap_remove_output_filter(this) },
        Verdict::Replace(status) => {
            // SAFETY: the context is the filter's own field.
            unsafe { (*this).ctx = replaced };
            // SAFETY: filter and brigade live; the brigade becomes the error.
            unsafe { sys::shim_pass_error(this, brigade, c_int::from(status)) };
        }
    }
    // SAFETY: the next filter of the chain.
    unsafe { sys::ap_pass_brigade(next, brigade) }
}

/// Output of a subrequest on its way to the request around it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mss_part_filter(
    this: *mut sys::ap_filter_t,
    brigade: *mut sys::apr_bucket_brigade,
) -> sys::apr_status_t {
    // SAFETY: httpd's filter, which lives as long as its request.
    let filter = unsafe { &*this };
    let (record, next) = (filter.r, filter.next);
    // SAFETY: a live brigade.
    if unsafe { sys::shim_is_first_data(brigade) } != 0 {
        // SAFETY: a resource filter's request, in the thread that works on it.
        if let Some(request) = unsafe { Request::from_raw(record) } {
            guarded(|| backend::obey_part(request), || panicked(request));
        }
        // SAFETY: a filter may take itself out of the chain.
        unsafe { sys::ap_remove_output_filter(this) };
    }
    // SAFETY: the next filter of the chain.
    unsafe { sys::ap_pass_brigade(next, brigade) }
}

/// Output on its way to the client, all of its connection.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mss_raw_filter(
    this: *mut sys::ap_filter_t,
    brigade: *mut sys::apr_bucket_brigade,
) -> sys::apr_status_t {
    // SAFETY: httpd's filter, which lives as long as its connection.
    let filter = unsafe { &*this };
    // SAFETY: what `raw::watch` added the filter with; it lives as long as the connection.
    let watch = unsafe { &*filter.ctx.cast::<raw::Watch>() };
    // SAFETY: a live brigade.
    let looked_at = unsafe { Brigade::from_raw(brigade) };
    match guarded(|| raw::pass(watch, looked_at), || Ok(true)) {
        // SAFETY: the next filter of the chain.
        Ok(true) => unsafe { sys::ap_pass_brigade(filter.next, brigade) },
        Ok(false) => 0,
        Err(status) => status,
    }
}

/// The body of a request on its way in.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mss_trailers_filter(
    this: *mut sys::ap_filter_t,
    brigade: *mut sys::apr_bucket_brigade,
    mode: sys::ap_input_mode_t,
    block: sys::apr_read_type_e,
    bytes: sys::apr_off_t,
) -> sys::apr_status_t {
    // SAFETY: httpd's filter, which lives as long as its request.
    let filter = unsafe { &*this };
    // SAFETY: the next filter of the chain, with what this one was called with.
    let status = unsafe { sys::ap_get_brigade(filter.next, brigade, mode, block, bytes) };
    // SAFETY: a resource filter's request, in the thread that works on it.
    if let Some(request) = unsafe { Request::from_raw(filter.r) } {
        guarded(|| clients::clean_trailers(request), || ());
    }
    status
}

/// When a request is logged, maybe on another thread: from here on it has no session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mss_log_transaction(record: *mut sys::request_rec) -> c_int {
    // SAFETY: httpd's record; its handlers have ended.
    if let Some(request) = unsafe { Request::from_raw(record) } {
        guarded(|| tree::close(request), || ());
        guarded(|| cleanup::after_request(request), || ());
    }
    OK
}

/// Who a request's user is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mss_check_authn(record: *mut sys::request_rec) -> c_int {
    // SAFETY: httpd's record, in the thread that works on it.
    let Some(request) = (unsafe { Request::from_raw(record) }) else { return sys::DECLINED };
    guarded(
        || language::check_authn(request),
        || {
            panicked(request);
            FAILED
        },
    )
}

/// What a word in an expression means.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mss_expr_lookup(parms: *mut sys::ap_expr_lookup_parms) -> c_int {
    // SAFETY: the parser's question, during the call.
    let Some(question) = (unsafe { Lookup::from_raw(parms) }) else { return sys::DECLINED };
    guarded(|| language::look_up_expression(question), || sys::DECLINED)
}

/// Logs that a panic was caught and ends the request's sessions: nobody can tell what state they are in,
/// and the error page of the request must not come here to panic again.
pub fn panicked(request: Request<'_>) {
    let text = "an error inside mod_session_store was caught; the request gets a 500";
    report::line(request, Level::Error, text);
    guarded(|| tree::close(request), || ());
}
