//! APR tables: headers, notes. Names compare without regard to ASCII case; values are C strings.

use std::ffi::{CStr, c_char};
use std::marker::PhantomData;

use super::pool::{Pool, c_string};
use super::sys;

/// A table of a request. Values are copied into the table's own pool.
#[derive(Clone, Copy)]
pub struct Table<'r> {
    raw: *mut sys::apr_table_t,
    request: PhantomData<&'r ()>,
}

/// Names that are looked for in a table.
#[derive(Clone, Copy)]
pub struct Names {
    initial: u8,
    is_one: fn(&[u8]) -> bool,
}

impl Names {
    /// Those among the names beginning with this letter, given in lower case, of which `is_one` says so.
    /// Others are passed over without being measured, which is most of the work where no name is one.
    pub const fn beginning_with(initial: u8, is_one: fn(&[u8]) -> bool) -> Names {
        Names { initial, is_one }
    }

    fn have(self, entry: &sys::apr_table_entry_t) -> bool {
        // SAFETY: a name is null or a C string, which has at least its NUL.
        let first = unsafe { entry.key.as_ref() };
        first.is_some_and(|first| first.to_ne_bytes()[0].eq_ignore_ascii_case(&self.initial))
            // SAFETY: as above; it lives as long as the table does unchanged.
            && unsafe { bytes_of(entry.key) }.is_some_and(self.is_one)
    }
}

impl<'r> Table<'r> {
    /// Wraps a table.
    ///
    /// # Safety
    /// `raw` is a live table for as long as `'r`, used by one thread at a time.
    pub unsafe fn from_raw(raw: *mut sys::apr_table_t) -> Table<'r> {
        Table { raw, request: PhantomData }
    }

    /// The first value of `name`.
    pub fn get(self, name: &CStr) -> Option<&'r [u8]> {
        // SAFETY: the table lives (constructor).
        let value = unsafe { sys::apr_table_get(self.raw, name.as_ptr()) };
        // SAFETY: a table's strings live as long as it does unchanged.
        unsafe { bytes_of(value) }
    }

    /// Replaces every value of `name`.
    pub fn set(self, name: &str, value: &[u8]) {
        let pool = self.pool();
        let (name, value) = (pool.bytes(name.as_bytes()), pool.bytes(value));
        // SAFETY: the table lives, and both strings were copied into its pool.
        unsafe { sys::apr_table_setn(self.raw, name, value) }
    }

    /// Adds a value of a name that is not there yet: names that begin alike are compared one by one
    /// when one is replaced.
    pub fn add_new(self, name: &str, value: &[u8]) {
        self.add_bytes(name.as_bytes(), value);
    }

    /// Adds values of names that are not there yet. `text` holds all of them, each with a NUL behind it, and
    /// `places` says where in it each name and its value begin. What lies outside is not added.
    pub fn add_all(self, text: &[u8], places: impl Iterator<Item = (usize, usize)>) {
        let end = text.iter().rposition(|&byte| byte == 0).unwrap_or(0);
        let copy = self.pool().bytes(text);
        for (name, value) in places.filter(|&(name, value)| name < end && value <= end) {
            // SAFETY: within the copy, which lives as long as the table's pool; a NUL follows.
            let name = unsafe { copy.add(name) };
            // SAFETY: as above.
            let value = unsafe { copy.add(value) };
            // SAFETY: the table lives.
            unsafe { sys::apr_table_addn(self.raw, name, value) }
        }
    }

    /// Adds a value of a name that is not there yet, without a copy.
    pub fn add_static(self, name: &'static CStr, value: &'static CStr) {
        // SAFETY: the table lives, and both strings for ever.
        unsafe { sys::apr_table_addn(self.raw, name.as_ptr(), value.as_ptr()) }
    }

    /// Adds a value of a name that is not there yet, with a copy of the value alone.
    pub fn add_named(self, name: &'static CStr, value: &[u8]) {
        let value = self.pool().bytes(value);
        // SAFETY: the table lives, the name for ever, and the value was copied into the table's pool.
        unsafe { sys::apr_table_addn(self.raw, name.as_ptr(), value) }
    }

    /// Adds a value beside those that are there.
    pub fn add(self, name: &str, value: &str) {
        let (name, value) = (c_string(name), c_string(value));
        // SAFETY: the table lives; APR copies both strings into its pool.
        unsafe { sys::apr_table_add(self.raw, name.as_ptr(), value.as_ptr()) }
    }

    /// Adds a value beside those that are there.
    pub fn add_bytes(self, name: &[u8], value: &[u8]) {
        let pool = self.pool();
        let (name, value) = (pool.bytes(name), pool.bytes(value));
        // SAFETY: the table lives, and both strings were copied into its pool.
        unsafe { sys::apr_table_addn(self.raw, name, value) }
    }

    /// Removes everything.
    pub fn clear(self) {
        // SAFETY: the table lives.
        unsafe { sys::apr_table_clear(self.raw) };
    }

    /// Removes every value of `name`.
    pub fn unset(self, name: &str) {
        let name = c_string(name);
        // SAFETY: the table lives.
        unsafe { sys::apr_table_unset(self.raw, name.as_ptr()) }
    }

    /// Removes the entries with these names and gives them, in order. Their strings live as long as the
    /// table's pool.
    pub fn take(self, names: Names) -> Vec<(&'r [u8], &'r [u8])> {
        self.take_entries(|entry| names.have(entry))
    }

    /// The same with the names that are picked.
    pub fn take_where(self, picked: impl Fn(&[u8]) -> bool) -> Vec<(&'r [u8], &'r [u8])> {
        // SAFETY: a table's strings live as long as it does unchanged.
        self.take_entries(|entry| unsafe { bytes_of(entry.key) }.is_some_and(&picked))
    }

    fn take_entries(
        self,
        picked: impl Fn(&sys::apr_table_entry_t) -> bool,
    ) -> Vec<(&'r [u8], &'r [u8])> {
        let (mut taken, mut left) = (Vec::new(), Vec::new());
        if !self.entries().iter().any(&picked) {
            return taken;
        }
        for entry in self.entries() {
            if !picked(entry) {
                left.push((entry.key, entry.val));
                continue;
            }
            // SAFETY: a table's strings live as long as its pool.
            let name = unsafe { bytes_of(entry.key) };
            // SAFETY: as above.
            taken.extend(name.zip(unsafe { bytes_of(entry.val) }));
        }
        // SAFETY: the table lives. Names are many at times: removing one by one would take long.
        unsafe { sys::apr_table_clear(self.raw) };
        for (name, value) in left {
            // SAFETY: as above; both strings are the table's own.
            unsafe { sys::apr_table_addn(self.raw, name, value) }
        }
        taken
    }

    /// Whether there is an entry with one of these names.
    pub fn has(self, names: Names) -> bool {
        self.entries().iter().any(|entry| names.have(entry))
    }

    /// Whether there is no entry.
    pub fn is_empty(self) -> bool {
        self.entries().is_empty()
    }

    /// Names and values in order. The table must not change while they are gone through.
    pub fn iter(self) -> impl Iterator<Item = (&'r [u8], &'r [u8])> {
        self.entries().iter().filter_map(|entry| {
            // SAFETY: a table's strings live as long as it does unchanged.
            let name = unsafe { bytes_of(entry.key) }?;
            // SAFETY: as above.
            let value = unsafe { bytes_of(entry.val) }?;
            Some((name, value))
        })
    }

    /// All values of `name`.
    pub fn all(self, name: &'r str) -> impl Iterator<Item = &'r [u8]> {
        let wanted = move |(key, value): (&'r [u8], &'r [u8])| {
            key.eq_ignore_ascii_case(name.as_bytes()).then_some(value)
        };
        self.iter().filter_map(wanted)
    }

    /// What the table holds by address: it differs as soon as something was added, removed or replaced.
    /// A pool gives no address out twice while it lives. What was added without a copy has one address
    /// always: taken out and added again it is no difference, and it says the same.
    pub fn mark(self) -> Mark {
        let mix = |sum: usize, entry: &sys::apr_table_entry_t| {
            sum.rotate_left(9) ^ entry.key as usize ^ (entry.val as usize).rotate_left(4)
        };
        let entries = self.entries();
        Mark { count: entries.len(), sum: entries.iter().fold(0, mix) }
    }

    fn entries(self) -> &'r [sys::apr_table_entry_t] {
        let array = self.array();
        if array.nelts <= 0 || array.elts.is_null() {
            return &[];
        }
        // SAFETY: `elts` points to `nelts` entries, which live as long as the table does unchanged.
        unsafe { std::slice::from_raw_parts(array.elts.cast(), array.nelts as usize) }
    }

    /// A table begins with the array of its entries.
    fn array(self) -> &'r sys::apr_array_header_t {
        // SAFETY: the table lives.
        let array = unsafe { sys::apr_table_elts(self.raw) };
        // SAFETY: as above; the array is part of it.
        unsafe { &*array }
    }

    fn pool(self) -> Pool {
        // SAFETY: the pool of a live table lives.
        unsafe { Pool::from_raw(self.array().pool) }
    }
}

/// See [`Table::mark`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    count: usize,
    sum: usize,
}

/// The bytes of a C string, none for null.
///
/// # Safety
/// `text` is null or a string that ends in NUL and lives, unchanged, for `'r`.
pub unsafe fn bytes_of<'r>(text: *const c_char) -> Option<&'r [u8]> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not null; the caller vouches for the rest.
    Some(unsafe { CStr::from_ptr(text) }.to_bytes())
}
