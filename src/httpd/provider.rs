//! Providers: structs of functions that modules register under a group, a name and a version.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::NonNull;

use super::pool::{Pool, c_string};
use super::sys;
use super::table::bytes_of;

/// What is registered under a name.
pub fn find(group: &CStr, name: &str, version: &CStr) -> Option<NonNull<c_void>> {
    let name = c_string(name);
    // SAFETY: httpd looks the three C strings up in its own table.
    let found = unsafe { sys::ap_lookup_provider(group.as_ptr(), name.as_ptr(), version.as_ptr()) };
    NonNull::new(found)
}

/// The names that are registered in a group, in order.
///
/// # Safety
/// `pool` lives during the call.
pub unsafe fn names(group: &CStr, version: &CStr, pool: Pool) -> Vec<String> {
    // SAFETY: the caller vouches for the pool; the strings are literals.
    let list =
        unsafe { sys::ap_list_provider_names(pool.as_ptr(), group.as_ptr(), version.as_ptr()) };
    // SAFETY: null, or an array that was just made.
    let Some(list) = (unsafe { list.as_ref() }) else { return Vec::new() };
    let count = usize::try_from(list.nelts).unwrap_or_default();
    let first = list.elts.cast::<sys::ap_list_provider_names_t>();
    let mut names: Vec<String> = (0..count)
        .filter_map(|index| {
            // SAFETY: one of the array's elements.
            let row = unsafe { first.add(index) };
            // SAFETY: as above.
            let name: *const c_char = unsafe { (*row).provider_name };
            // SAFETY: a name that a module registered.
            let name = unsafe { bytes_of(name) }?;
            Some(String::from_utf8_lossy(name).into_owned())
        })
        .collect();
    names.sort_unstable();
    names
}
