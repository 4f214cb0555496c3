//! Ring 3: what httpd and other modules call. Entry points: guard, wrap, one call inward, map the
//! outcome.

mod answer;
pub mod api;
mod backend;
mod bridge;
mod cleanup;
mod clients;
mod commands;
mod config;
mod entry;
mod filter;
mod handler;
mod kind;
mod language;
mod lifecycle;
mod notes;
mod process;
mod raw;
mod report;
mod stores;
#[cfg(debug_assertions)]
mod suite;
mod tree;
mod veil;

use std::ffi::c_int;
use std::ptr::null_mut;

use crate::core::export::names;
use crate::httpd::sys;
use crate::httpd::table::Names;

/// Headers of ours, in what clients send and backends answer.
const OUR_HEADERS: Names = Names::beginning_with(b'x', names::is_ours);

/// The record that `LoadModule session_store_module` looks for. It is a Rust static because the linker
/// keeps symbols of C objects out of a Rust library's export list. httpd fills in index and links.
#[unsafe(no_mangle)]
pub static mut session_store_module: sys::module = sys::module {
    version: sys::MODULE_MAGIC_NUMBER_MAJOR as c_int,
    minor_version: sys::MODULE_MAGIC_NUMBER_MINOR as c_int,
    module_index: -1,
    name: c"mod_session_store.c".as_ptr(),
    dynamic_load_handle: null_mut(),
    next: null_mut(),
    magic: sys::MODULE_MAGIC_COOKIE as _,
    rewrite_args: None,
    create_dir_config: Some(config::create_place),
    merge_dir_config: Some(config::merge_places),
    create_server_config: Some(config::create_server),
    merge_server_config: None,
    cmds: commands::table(),
    register_hooks: Some(lifecycle::register_hooks),
    flags: 0,
};

/// The module's record for calls into httpd.
fn module_record() -> *const sys::module {
    &raw const session_store_module
}
