//! A request as handlers see it.

use std::ffi::{CStr, c_char, c_void};
use std::marker::PhantomData;

use super::pool::Pool;
use super::sys;
use super::table::{Table, bytes_of};

/// A request record of httpd's. Copies are views of the same record.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Request<'r> {
    raw: *mut sys::request_rec,
    life: PhantomData<&'r ()>,
}

impl<'r> Request<'r> {
    /// Wraps a record; none for null.
    ///
    /// # Safety
    /// `raw` is null or a record of httpd's that lives for `'r`, used by one thread at a time.
    pub unsafe fn from_raw(raw: *mut sys::request_rec) -> Option<Request<'r>> {
        (!raw.is_null()).then_some(Request { raw, life: PhantomData })
    }

    /// The record for a C function.
    pub fn as_ptr(self) -> *mut sys::request_rec {
        self.raw
    }

    fn record(self) -> &'r sys::request_rec {
        // SAFETY: the record lives (constructor). The reference is used for reading single fields only
        // and not kept over calls into httpd, which may write to the record.
        unsafe { &*self.raw }
    }

    /// The request that this one is a subrequest of.
    pub fn main(self) -> Option<Request<'r>> {
        let raw = self.record().main;
        (!raw.is_null()).then_some(Request { raw, life: PhantomData })
    }

    /// The request that was redirected to this one.
    pub fn prev(self) -> Option<Request<'r>> {
        let raw = self.record().prev;
        (!raw.is_null()).then_some(Request { raw, life: PhantomData })
    }

    /// The first request of the tree: through subrequests and redirects in any order.
    pub fn anchor(self) -> Request<'r> {
        let mut at = self;
        while let Some(outer) = at.main().or_else(|| at.prev()) {
            at = outer;
        }
        at
    }

    /// The request whose answer this one is part of: not a subrequest.
    pub fn answering(self) -> Request<'r> {
        let mut at = self;
        while let Some(main) = at.main() {
            at = main;
        }
        at
    }

    /// Its pool; cleared after the log phase, or with the subrequest.
    pub fn pool(self) -> Pool {
        // SAFETY: a record lives in its pool.
        unsafe { Pool::from_raw(self.record().pool) }
    }

    /// Request headers.
    pub fn headers_in(self) -> Table<'r> {
        // SAFETY: the tables of a live record live.
        unsafe { Table::from_raw(self.record().headers_in) }
    }

    /// Headers of a good answer.
    pub fn headers_out(self) -> Table<'r> {
        // SAFETY: as above.
        unsafe { Table::from_raw(self.record().headers_out) }
    }

    /// Headers of every answer; shared by all records of a chain of internal redirects.
    pub fn err_headers_out(self) -> Table<'r> {
        // SAFETY: as above.
        unsafe { Table::from_raw(self.record().err_headers_out) }
    }

    /// What came behind the body of the request.
    pub fn trailers_in(self) -> Table<'r> {
        // SAFETY: as above.
        unsafe { Table::from_raw(self.record().trailers_in) }
    }

    /// What goes behind the body of the answer.
    pub fn trailers_out(self) -> Table<'r> {
        // SAFETY: as above.
        unsafe { Table::from_raw(self.record().trailers_out) }
    }

    /// What scripts get as their environment, beside what httpd says itself.
    pub fn environment(self) -> Table<'r> {
        // SAFETY: as above.
        unsafe { Table::from_raw(self.record().subprocess_env) }
    }

    /// Notes of this record.
    pub fn notes(self) -> Table<'r> {
        // SAFETY: as above.
        unsafe { Table::from_raw(self.record().notes) }
    }

    /// The status of the answer so far.
    pub fn status(self) -> u16 {
        u16::try_from(self.record().status).unwrap_or(500)
    }

    /// The handler's name, if one was named or decided upon.
    pub fn handler(self) -> Option<&'r [u8]> {
        // SAFETY: a string of a live record.
        unsafe { bytes_of(self.record().handler) }
    }

    /// The file that the request was mapped to.
    pub fn filename(self) -> Option<&'r [u8]> {
        // SAFETY: a string of a live record.
        unsafe { bytes_of(self.record().filename) }
    }

    /// The method, as it was sent.
    pub fn method(self) -> &'r [u8] {
        // SAFETY: a string of a live record.
        unsafe { bytes_of(self.record().method) }.unwrap_or_default()
    }

    /// The query string.
    pub fn query(self) -> Option<&'r [u8]> {
        // SAFETY: a string of a live record.
        unsafe { bytes_of(self.record().args) }
    }

    /// The client's address as mod_remoteip left it.
    pub fn client_address(self) -> &'r str {
        // SAFETY: a string of a live record.
        let text = unsafe { bytes_of(self.record().useragent_ip) };
        std::str::from_utf8(text.unwrap_or_default()).unwrap_or_default()
    }

    /// Whether the scheme is `https`, as far as httpd knows (`ap_http_scheme`).
    pub fn is_https(self) -> bool {
        // SAFETY: a live record; the answer is a literal or lives in its pool.
        let scheme = unsafe { sys::shim_scheme(self.raw) };
        // SAFETY: as above.
        unsafe { bytes_of(scheme) == Some(b"https") }
    }

    /// `AuthType` of its place.
    pub fn auth_type(self) -> Option<&'r [u8]> {
        // SAFETY: a live record; the answer lives with the configuration.
        let name = unsafe { sys::ap_auth_type(self.raw) };
        // SAFETY: as above.
        unsafe { bytes_of(name) }
    }

    /// Who was let in, here or in a record of the same settings around this one.
    pub fn user(self) -> Option<&'r [u8]> {
        // SAFETY: a string of a live record.
        unsafe { bytes_of(self.record().user) }
    }

    /// What let that user in, as modules say it; httpd copies both to subrequests and redirects of the same
    /// settings instead of asking anew.
    pub fn authenticated_by(self) -> Option<&'r [u8]> {
        // SAFETY: a string of a live record.
        unsafe { bytes_of(self.record().ap_auth_type) }
    }

    /// Takes back that somebody was let in.
    pub fn forget_user(self) {
        // SAFETY: a live record in the thread that works on it.
        unsafe { (*self.raw).user = std::ptr::null_mut() };
        // SAFETY: as above.
        unsafe { (*self.raw).ap_auth_type = std::ptr::null_mut() };
    }

    /// Says who was let in, and by what; `user` lives in the record's pool.
    pub fn set_user(self, user: *const c_char, by: &'static CStr) {
        // SAFETY: a live record in the thread that works on it.
        unsafe { (*self.raw).user = user.cast_mut() };
        // SAFETY: as above; the name lives for ever.
        unsafe { (*self.raw).ap_auth_type = by.as_ptr().cast_mut() };
    }

    /// The server or virtual host.
    pub fn server(self) -> *mut sys::server_rec {
        self.record().server
    }

    /// The merged settings of its place.
    pub fn place_config(self) -> *mut sys::ap_conf_vector_t {
        self.record().per_dir_config
    }

    /// What a module keeps with this record.
    ///
    /// # Safety
    /// `module` is a module of httpd's that was loaded.
    pub unsafe fn state(self, module: *const sys::module) -> *mut c_void {
        // SAFETY: a live record's vector has room for every loaded module.
        unsafe { module_config(self.record().request_config, module) }
    }

    /// Keeps something with this record.
    ///
    /// # Safety
    /// As [`Request::state`].
    pub unsafe fn set_state(self, module: *const sys::module, state: *mut c_void) {
        // SAFETY: as above.
        unsafe { sys::ap_set_module_config(self.record().request_config, module, state) }
    }

    /// Whether an output filter of this name (lower case) is in the record's chain.
    pub fn has_output_filter(self, name: &CStr) -> bool {
        // SAFETY: filters of a live record live.
        unsafe { find_filter(self.record().output_filters, name) }.is_some()
    }

    /// Whether our filter for answers is in the record's chain.
    pub fn has_answer_filter(self) -> bool {
        // SAFETY: it has no conditions.
        let ours = unsafe { sys::shim_answer_filter() };
        // SAFETY: filters of a live record live.
        unsafe { chain(self.record().output_filters) }
            .any(|filter| filter.frec.cast_const() == ours)
    }

    /// Adds our filter for answers to the record's chain.
    pub fn add_answer_filter(self) {
        // SAFETY: it has no conditions.
        let ours = unsafe { sys::shim_answer_filter() }.cast_mut();
        let (context, connection) = (std::ptr::null_mut(), self.record().connection);
        // SAFETY: a live record and its connection; a filter that was registered for as long as the
        // configuration lives.
        unsafe { sys::ap_add_output_filter_handle(ours, context, self.raw, connection) };
    }

    /// Adds an output filter to the record's chain.
    pub fn add_output_filter(self, name: &CStr) {
        // SAFETY: a live record and its connection; httpd looks the name up among registered filters.
        unsafe {
            sys::ap_add_output_filter(
                name.as_ptr(),
                std::ptr::null_mut(),
                self.raw,
                self.record().connection,
            );
        }
    }

    /// Adds an input filter to the record's chain.
    pub fn add_input_filter(self, name: &CStr) {
        // SAFETY: a live record and its connection; httpd looks the name up among registered filters.
        unsafe {
            sys::ap_add_input_filter(
                name.as_ptr(),
                std::ptr::null_mut(),
                self.raw,
                self.record().connection,
            );
        }
    }

    /// The version of the protocol it came by, as httpd counts: 1001 is HTTP/1.1.
    pub fn protocol(self) -> i32 {
        self.record().proto_num
    }

    /// The pool of its connection.
    pub fn connection_pool(self) -> Pool {
        // SAFETY: the connection of a live record lives.
        let connection = unsafe { &*self.record().connection };
        // SAFETY: a connection lives in its pool.
        unsafe { Pool::from_raw(connection.pool) }
    }

    /// What a filter of its connection was added with; none if no filter of this name is there.
    pub fn connection_filter(self, name: &CStr) -> Option<*mut c_void> {
        // SAFETY: the connection of a live record lives.
        let connection = unsafe { &*self.record().connection };
        // SAFETY: filters of a live connection live.
        unsafe { find_filter(connection.output_filters, name) }.map(|filter| filter.ctx)
    }

    /// Adds an output filter to its connection, which stays there as long as that does.
    ///
    /// # Safety
    /// `context` is what the filter of this name expects.
    pub unsafe fn add_connection_filter(self, name: &CStr, context: *mut c_void) {
        // SAFETY: as in `add_output_filter`; the caller vouches for `context`.
        unsafe {
            sys::ap_add_output_filter(name.as_ptr(), context, self.raw, self.record().connection);
        }
    }

    /// Runs the other handlers.
    pub fn run_handlers(self) -> i32 {
        // SAFETY: called from a handler hook for its own record.
        unsafe { sys::ap_run_handler(self.raw) }
    }
}

/// The filters of a chain.
///
/// # Safety
/// `first` is null or the head of a chain of httpd's whose filters live for `'f`, and which does not
/// change while it is gone through.
unsafe fn chain<'f>(first: *mut sys::ap_filter_t) -> impl Iterator<Item = &'f sys::ap_filter_t> {
    // SAFETY: the caller vouches for the chain.
    std::iter::successors(unsafe { first.as_ref() }, |filter| unsafe { filter.next.as_ref() })
}

/// The filter of this name (lower case) in a chain.
///
/// # Safety
/// As [`chain`].
unsafe fn find_filter<'f>(
    first: *mut sys::ap_filter_t,
    name: &CStr,
) -> Option<&'f sys::ap_filter_t> {
    // SAFETY: the caller vouches for the chain.
    unsafe { chain(first) }.find(|filter| {
        // SAFETY: each filter has a registration record.
        let registration = unsafe { &*filter.frec };
        // SAFETY: names are C strings.
        unsafe { CStr::from_ptr(registration.name) == name }
    })
}

/// What a vector of httpd's holds for a module. In C this is a macro; the function of its name costs a call,
/// some thirty times a request.
///
/// # Safety
/// `vector` is one of httpd's, made after the module was loaded.
pub unsafe fn module_config(
    vector: *const sys::ap_conf_vector_t,
    module: *const sys::module,
) -> *mut c_void {
    // SAFETY: httpd gave the loaded module its index, which is not negative.
    let index = unsafe { (*module).module_index } as usize;
    // SAFETY: a vector is an array of pointers with one for each loaded module.
    let place = unsafe { vector.cast::<*mut c_void>().add(index) };
    // SAFETY: as above.
    unsafe { place.read() }
}
