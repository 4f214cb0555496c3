//! Settings in httpd's keeping: one [`Place`] for each section, one [`ServerConfig`] for each server.
//! Places are shared, so that a session takes one along without a copy.

use std::ffi::{CStr, c_char, c_void};
use std::sync::{Arc, LazyLock};

use super::module_record;
use crate::core::config::{Place, Server};
use crate::httpd::guard::guarded;
use crate::httpd::pool::Pool;
use crate::httpd::request::{Request, module_config};
use crate::httpd::sys;

/// A section in which a directive of ours was read: for the configuration test.
pub struct Section {
    /// Its settings, in the configuration's pool.
    pub place: *const Arc<Place>,
    /// Where the first directive in it was read.
    pub at: String,
}

/// What belongs to a server or virtual host.
#[derive(Default)]
pub struct ServerConfig {
    /// The settings of the whole server; those of the main server count.
    pub settings: Server,
    /// Sections with directives of ours.
    pub sections: Vec<Section>,
    /// `ServerName` as it was configured, not as httpd found it out; in lower case.
    pub name: Option<Arc<str>>,
    /// What children need to know, in the main server's: set when the server starts.
    pub plan: Option<super::lifecycle::Plan>,
}

/// Settings with nothing set, shared by all sections in which no directive of ours was read.
static NOTHING: LazyLock<Arc<Place>> = LazyLock::new(Arc::default);

/// Makes the settings of a section, with nothing set.
pub unsafe extern "C" fn create_place(pool: *mut sys::apr_pool_t, _: *mut c_char) -> *mut c_void {
    // SAFETY: httpd hands over a pool that lives as long as the settings are used.
    let pool = unsafe { Pool::from_raw(pool) };
    pool.keep(Arc::clone(&NOTHING)).cast()
}

/// Settings of a section within another. httpd merges anew for each request: where one of them has
/// nothing set the other is taken as it is.
pub unsafe extern "C" fn merge_places(
    pool: *mut sys::apr_pool_t,
    base: *mut c_void,
    over: *mut c_void,
) -> *mut c_void {
    let kept = (base, over);
    // SAFETY: both were made by `create_place` or here and live in pools that httpd has not cleared, at
    // least as long as what they are merged to.
    let base = unsafe { &*base.cast::<Arc<Place>>() };
    // SAFETY: as above.
    let over = unsafe { &*over.cast::<Arc<Place>>() };
    if Arc::ptr_eq(over, &NOTHING) {
        return kept.0;
    }
    if Arc::ptr_eq(base, &NOTHING) {
        return kept.1;
    }
    // SAFETY: as in `create_place`.
    let pool = unsafe { Pool::from_raw(pool) };
    let merged = guarded(|| Place::merge(base, over), Place::default);
    pool.keep(Arc::new(merged)).cast()
}

/// Makes the settings of a server.
pub unsafe extern "C" fn create_server(
    pool: *mut sys::apr_pool_t,
    _: *mut sys::server_rec,
) -> *mut c_void {
    // SAFETY: as in `create_place`.
    let pool = unsafe { Pool::from_raw(pool) };
    pool.keep(ServerConfig::default()).cast()
}

/// The settings of the place a request is in.
pub fn place_of(request: Request<'_>) -> &Arc<Place> {
    // SAFETY: a request's vector was made after our module was loaded.
    let place = unsafe { place_in(request.place_config()) };
    // SAFETY: made by `create_place` or `merge_places` in a pool that lives at least as long as the
    // request.
    unsafe { &*place }
}

/// Our settings in a vector of httpd's.
///
/// # Safety
/// `vector` is one of httpd's, made after our module was loaded.
pub unsafe fn place_in(vector: *mut sys::ap_conf_vector_t) -> *const Arc<Place> {
    // SAFETY: the caller vouches for the vector.
    unsafe { module_config(vector, module_record()) }.cast_const().cast()
}

/// Our settings of a server.
///
/// # Safety
/// `server` is one of httpd's that lives, and nobody has its settings from [`server_config_mut`].
pub unsafe fn server_config<'s>(server: *const sys::server_rec) -> &'s ServerConfig {
    // SAFETY: as the caller says; made by `create_server`, lives as long as the configuration.
    let config = unsafe { config_in(server) };
    // SAFETY: as above.
    unsafe { &*config }
}

/// Our settings of a server, to be changed.
///
/// # Safety
/// `server` is one of httpd's that lives, the configuration is being read or started, and nobody else
/// uses the settings meanwhile.
pub unsafe fn server_config_mut<'s>(server: *const sys::server_rec) -> &'s mut ServerConfig {
    // SAFETY: as above.
    let config = unsafe { config_in(server) };
    // SAFETY: as above.
    unsafe { &mut *config }
}

/// Gives every virtual host settings of its own. httpd makes them where a directive of ours is written,
/// and else shows a host those of the main server: its name would be taken for the host's.
///
/// # Safety
/// `main` is httpd's main server, whose virtual hosts are complete; nobody uses the settings of virtual
/// hosts meanwhile. `pool` is the configuration's.
pub unsafe fn separate(main: *mut sys::server_rec, pool: *mut sys::apr_pool_t) {
    // SAFETY: as the caller says.
    let shared = unsafe { config_in(main) };
    // SAFETY: as the caller says.
    for server in unsafe { servers(main) }.skip(1) {
        // SAFETY: a live server.
        if unsafe { config_in(server) } != shared {
            continue;
        }
        // SAFETY: the configuration's pool lives as long as its servers.
        let own = unsafe { create_server(pool, server) };
        // SAFETY: a live server.
        let vector = unsafe { (*server).module_config };
        // SAFETY: a server's vector was made after our module was loaded.
        unsafe { sys::ap_set_module_config(vector, module_record(), own) };
    }
}

/// # Safety
/// `server` is one of httpd's that lives.
unsafe fn config_in(server: *const sys::server_rec) -> *mut ServerConfig {
    // SAFETY: the caller vouches for the server.
    let vector = unsafe { (*server).module_config };
    // SAFETY: a server's vector was made after our module was loaded.
    unsafe { module_config(vector, module_record()) }.cast()
}

/// Every server of a configuration, the main one first.
///
/// # Safety
/// `main` is the head of httpd's list, which lives and does not change meanwhile.
pub unsafe fn servers(main: *mut sys::server_rec) -> impl Iterator<Item = *mut sys::server_rec> {
    std::iter::successors((!main.is_null()).then_some(main), |server| {
        // SAFETY: the caller vouches for the list.
        let next = unsafe { (**server).next };
        (!next.is_null()).then_some(next)
    })
}

/// "FILE:LINE" of a directive.
///
/// # Safety
/// `directive` is null or one of httpd's that lives.
pub unsafe fn position(directive: *const sys::ap_directive_t) -> String {
    if directive.is_null() {
        return "the command line".to_owned();
    }
    // SAFETY: the caller vouches for the directive.
    let directive = unsafe { &*directive };
    // SAFETY: a directive's file name is a C string of its pool.
    let file = unsafe { CStr::from_ptr(directive.filename) }.to_string_lossy();
    format!("{file}:{}", directive.line_num)
}
