//! Settings in httpd's keeping: one [`Place`] for each section, one [`ServerConfig`] for each server.

use std::ffi::{CStr, c_char, c_void};
use std::sync::Arc;

use super::module_record;
use crate::core::config::{Place, Server};
use crate::httpd::guard::guarded;
use crate::httpd::pool::Pool;
use crate::httpd::request::Request;
use crate::httpd::sys;

/// A section in which a directive of ours was read: for the configuration test.
pub struct Section {
    /// Its settings, in the configuration's pool.
    pub place: *const Place,
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
    /// `ServerName` as it was configured, not as httpd found it out.
    pub name: Option<Arc<str>>,
    /// What children need to know, in the main server's: set when the server starts.
    pub plan: Option<super::lifecycle::Plan>,
}

/// Makes the settings of a section, with nothing set.
pub unsafe extern "C" fn create_place(pool: *mut sys::apr_pool_t, _: *mut c_char) -> *mut c_void {
    // SAFETY: httpd hands over a pool that lives as long as the settings are used.
    let pool = unsafe { Pool::from_raw(pool) };
    pool.keep(Place::default()).cast()
}

/// Settings of a section within another.
pub unsafe extern "C" fn merge_places(
    pool: *mut sys::apr_pool_t,
    base: *mut c_void,
    over: *mut c_void,
) -> *mut c_void {
    // SAFETY: both were made by `create_place` or here and live in pools that httpd has not cleared.
    let (base, over) = unsafe { (&*base.cast::<Place>(), &*over.cast::<Place>()) };
    // SAFETY: as in `create_place`.
    let pool = unsafe { Pool::from_raw(pool) };
    let merged = guarded(|| Place::merge(base, over), Place::default);
    pool.keep(merged).cast()
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
pub fn place_of(request: Request<'_>) -> &Place {
    // SAFETY: the vector has our settings, made by `create_place` or `merge_places` in a pool that lives
    // at least as long as the request.
    unsafe { &*place_in(request.place_config()) }
}

/// Our settings in a vector of httpd's.
///
/// # Safety
/// `vector` is one of httpd's, made after our module was loaded.
pub unsafe fn place_in(vector: *mut sys::ap_conf_vector_t) -> *const Place {
    // SAFETY: the caller vouches for the vector.
    unsafe { sys::ap_get_module_config(vector, module_record()) }.cast_const().cast()
}

/// Our settings of a server.
///
/// # Safety
/// `server` is one of httpd's that lives. While the configuration is read or started nobody else may
/// use the result; afterwards nobody changes it.
pub unsafe fn server_config<'s>(server: *const sys::server_rec) -> &'s mut ServerConfig {
    // SAFETY: the caller vouches for the server.
    let vector = unsafe { (*server).module_config };
    // SAFETY: made by `create_server`, lives as long as the configuration.
    unsafe { &mut *sys::ap_get_module_config(vector, module_record()).cast() }
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
    let (file, line) = unsafe { ((*directive).filename, (*directive).line_num) };
    // SAFETY: a directive's file name is a C string of its pool.
    let file = unsafe { CStr::from_ptr(file) }.to_string_lossy();
    format!("{file}:{line}")
}
