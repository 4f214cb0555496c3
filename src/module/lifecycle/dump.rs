//! `httpd -t -D DUMP_SESSION_STORE`: the store and its facts, for a tool that has to open it.

use std::io::Write;

use super::{checks, host, sys};
use crate::core::config::Dump;
use crate::module::config::server_config;
use crate::module::stores::Plan;

/// [`crate::core::config::DUMP_DEFINE`], for httpd.
const DEFINE: &std::ffi::CStr = c"DUMP_SESSION_STORE";

/// Writes the dump to standard output if it is asked for. Opens no store and makes nothing.
///
/// # Safety
/// `main` is httpd's main server, whose configuration has been checked, while nobody else uses it.
pub unsafe fn dump(main: *mut sys::server_rec) {
    if !host::is_defined(DEFINE) {
        return;
    }
    // SAFETY: as the caller says.
    let text = unsafe { told(main) }.text();
    let mut out = std::io::stdout().lock();
    // Who asked and does not listen has no use for an error.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

unsafe fn told(main: *mut sys::server_rec) -> Dump {
    // SAFETY: as the caller says.
    let settings = &unsafe { server_config(main) }.settings;
    // SAFETY: as the caller says.
    let scopes = unsafe { checks::scopes(main) };
    let mut dump = Dump {
        owner: host::child_owner(),
        workers: host::workers(),
        scopes: scopes.iter().map(|scope| scope.to_string()).collect(),
        ..Dump::default()
    };
    match Plan::new(settings).and_then(|plan| plan.settings()) {
        Ok(store) => {
            let sync = ("SessionSync", if settings.sync() { "on" } else { "off" }.to_owned());
            let grace = ("SessionCleanupGrace", format!("{}s", settings.cleanup_grace().as_secs()));
            let all = store.into_iter().chain([sync, grace]);
            dump.settings = all.map(|(name, argument)| (name.to_owned(), argument)).collect();
        }
        Err(problem) => dump.problem = Some(problem),
    }
    dump
}
