//! The server as a whole: what it was configured to be, what it keeps.

use std::ffi::CStr;

use super::sys;
use super::table::bytes_of;

/// Whether this is the first of the two passes at a start: it runs in another process, and what it
/// makes is thrown away.
pub fn is_first_pass() -> bool {
    state(sys::AP_SQ_MAIN_STATE) == sys::AP_SQ_MS_CREATE_PRE_CONFIG as i32
}

/// Whether the configuration is only tested.
pub fn is_test() -> bool {
    state(sys::AP_SQ_RUN_MODE) == sys::AP_SQ_RM_CONFIG_TEST as i32
}

/// Whether `-D name` was given.
pub fn is_defined(name: &CStr) -> bool {
    // SAFETY: a C string; httpd compares it with those of its command line.
    unsafe { sys::ap_exists_config_define(name.as_ptr()) != 0 }
}

/// Whether a warning is to be given in this pass, so that it is given once.
pub fn is_worth_telling() -> bool {
    is_test() || !is_first_pass()
}

fn state(query: u32) -> i32 {
    // SAFETY: asks for a number.
    unsafe { sys::ap_state_query(query as i32) }
}

/// How many requests the server can work on at a time.
pub fn workers() -> u32 {
    processes().saturating_mul(threads())
}

/// How many children the server may have at a time.
pub fn processes() -> u32 {
    ask_mpm(sys::AP_MPMQ_MAX_DAEMONS)
}

/// How many requests one child can work on at a time.
pub fn threads() -> u32 {
    ask_mpm(sys::AP_MPMQ_MAX_THREADS)
}

fn ask_mpm(query: u32) -> u32 {
    let mut answer = 0;
    // SAFETY: the MPM writes a number.
    let status = unsafe { sys::ap_mpm_query(query as i32, &mut answer) };
    if status == 0 { u32::try_from(answer).unwrap_or(1).max(1) } else { 1 }
}

/// Whether this process is about to end.
pub fn is_stopping() -> bool {
    let mut state = 0;
    // SAFETY: the MPM writes a number.
    let status = unsafe { sys::ap_mpm_query(sys::AP_MPMQ_MPM_STATE as i32, &mut state) };
    status == 0 && state == sys::AP_MPMQ_STOPPING as i32
}

/// httpd's main server, for the lines of threads that have no request.
#[derive(Clone, Copy)]
pub struct MainServer(*const sys::server_rec);

// SAFETY: a pointer; `MainServer::new` says how long it is good, and what it leads to is only read.
unsafe impl Send for MainServer {}
// SAFETY: as above.
unsafe impl Sync for MainServer {}

impl MainServer {
    /// The main server of a child, which lives as long as the child does.
    ///
    /// # Safety
    /// `main` is that.
    pub unsafe fn new(main: *const sys::server_rec) -> MainServer {
        MainServer(main)
    }

    /// For the log.
    pub fn as_ptr(self) -> *const sys::server_rec {
        self.0
    }
}

/// User and group that children run as.
pub fn child_owner() -> (u32, u32) {
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    if !uid.is_root() {
        return (uid.as_raw(), gid.as_raw());
    }
    // SAFETY: httpd's record, filled when the configuration was read and not written afterwards.
    let unixd = unsafe { sys::ap_unixd_config };
    (unixd.user_id, unixd.group_id)
}

/// A path made absolute: below `ServerRoot` if it is relative.
pub fn below_root(path: &str) -> Result<String, String> {
    if path.starts_with('/') {
        return Ok(path.to_owned());
    }
    // SAFETY: httpd's own string, set before a configuration is read.
    let root = unsafe { sys::ap_server_root };
    // SAFETY: as above; it stays for the life of the process.
    let root = unsafe { bytes_of(root) };
    let root = std::str::from_utf8(root.unwrap_or_default())
        .map_err(|_| "ServerRoot is not UTF-8".to_owned())?;
    Ok(format!("{}/{path}", root.trim_end_matches('/')))
}

/// The path of a file in the directory of `DefaultRuntimeDir`.
pub fn in_runtime_dir(name: &CStr) -> Result<String, String> {
    let mut pool = std::ptr::null_mut();
    // SAFETY: a pool of its own, of the default allocator, that no other knows of.
    let made = unsafe {
        sys::apr_pool_create_ex(&mut pool, std::ptr::null_mut(), None, std::ptr::null_mut())
    };
    if made != 0 || pool.is_null() {
        return Err(format!("making a pool: status {made}"));
    }
    // SAFETY: a live pool and a string; the result lives as long as the pool.
    let path = unsafe { sys::ap_runtime_dir_relative(pool, name.as_ptr()) };
    // SAFETY: as above.
    let path = unsafe { bytes_of(path) }.map(<[u8]>::to_vec);
    // SAFETY: nothing refers to the pool any more.
    unsafe { sys::apr_pool_destroy(pool) };
    let path = path.and_then(|path| String::from_utf8(path).ok());
    path.ok_or_else(|| "DefaultRuntimeDir is no path in UTF-8".to_owned())
}

/// The pool that lives as long as the parent.
///
/// # Safety
/// `main` is httpd's main server.
pub unsafe fn process_pool(main: *const sys::server_rec) -> *mut sys::apr_pool_t {
    // SAFETY: the caller vouches for the server.
    let process = unsafe { (*main).process };
    // SAFETY: the process record lives as long as the process.
    unsafe { (*process).pool }
}

/// A pointer that survives restarts, null at first.
///
/// # Safety
/// `name` is used for one type only.
pub unsafe fn retained<T>(name: &CStr) -> *mut *mut T {
    // SAFETY: httpd's own store of the process; a literal name.
    let found = unsafe { sys::ap_retained_data_get(name.as_ptr()) };
    if !found.is_null() {
        return found.cast();
    }
    // SAFETY: as above; the memory is zeroed and lives as long as the process.
    unsafe { sys::ap_retained_data_create(name.as_ptr(), size_of::<*mut T>() as sys::apr_size_t) }
        .cast()
}

/// A server that has a `ServerName` in the configuration.
pub struct Named {
    /// Where its virtual host begins; none: the main server.
    at: Option<(Vec<u8>, u32)>,
    name: String,
}

/// The names of servers as they are written. httpd itself fills in what is missing by asking the
/// resolver, which no identity should hang on.
///
/// # Safety
/// The configuration has been read and its tree lives.
pub unsafe fn configured_names() -> Vec<Named> {
    let mut names = Vec::new();
    // SAFETY: httpd's tree.
    let mut at = unsafe { sys::ap_conftree }.cast_const();
    // SAFETY: nodes of the tree live as the caller says.
    while let Some(node) = unsafe { at.as_ref() } {
        if is(node, b"ServerName") {
            names.extend(named(node, None));
        } else if is(node, b"<VirtualHost") {
            // SAFETY: strings of a live node.
            let file = unsafe { bytes_of(node.filename) };
            let place = (file.unwrap_or_default().to_vec(), node.line_num as u32);
            let mut inner = node.first_child.cast_const();
            // SAFETY: as above.
            while let Some(child) = unsafe { inner.as_ref() } {
                if is(child, b"ServerName") {
                    names.extend(named(child, Some(place.clone())));
                }
                inner = child.next;
            }
        }
        at = node.next;
    }
    names
}

fn is(node: &sys::ap_directive_t, name: &[u8]) -> bool {
    // SAFETY: strings of a live node.
    unsafe { bytes_of(node.directive) }.is_some_and(|found| found.eq_ignore_ascii_case(name))
}

/// The host in `ServerName [scheme://]host[:port]`.
fn named(node: &sys::ap_directive_t, at: Option<(Vec<u8>, u32)>) -> Option<Named> {
    // SAFETY: strings of a live node.
    let text = std::str::from_utf8(unsafe { bytes_of(node.args) }?).ok()?;
    let text = text.trim().trim_matches('"');
    let host = text.rsplit_once("://").map_or(text, |(_, host)| host);
    let end = match host.rfind(']') {
        Some(bracket) => bracket + 1,
        None => host.find(':').unwrap_or(host.len()),
    };
    let name = host[..end].to_owned();
    (!name.is_empty()).then_some(Named { at, name })
}

/// Where a virtual host begins: file and line. None for the main server.
///
/// # Safety
/// `server` is one of httpd's that lives for `'s`.
unsafe fn place_of<'s>(server: *const sys::server_rec) -> Option<(&'s [u8], u32)> {
    // SAFETY: the caller vouches for the server.
    let server = unsafe { &*server };
    // SAFETY: a string of a live server.
    let file = unsafe { bytes_of(server.defn_name) };
    (server.is_virtual != 0).then_some((file.unwrap_or_default(), server.defn_line_number))
}

/// The configured name of a server.
///
/// # Safety
/// `server` is one of httpd's that lives.
pub unsafe fn name_in(names: &[Named], server: *const sys::server_rec) -> Option<&str> {
    // SAFETY: as the caller says.
    let place = unsafe { place_of(server) };
    let at =
        |named: &&Named| named.at.as_ref().map(|(file, line)| (file.as_slice(), *line)) == place;
    names.iter().find(at).map(|named| named.name.as_str())
}

/// "virtual host at FILE:LINE", or "the server".
///
/// # Safety
/// As [`name_in`].
pub unsafe fn describe(server: *const sys::server_rec) -> String {
    // SAFETY: as the caller says.
    match unsafe { place_of(server) } {
        Some((file, line)) => format!("virtual host at {}:{line}", String::from_utf8_lossy(file)),
        None => "the server".to_owned(),
    }
}
