//! Server-side sessions for Apache httpd 2.4.
//!
//! Three rings; calls go inward only.
//!
//! - [`core`]: what a session is, how it is found, locked, kept and ended. Knows no httpd and has no
//!   `unsafe`; `cargo test --no-default-features` builds and tests it without httpd or clang.
//! - `httpd`: wrappers around httpd's and APR's C interface; `system`: those around the operating system
//!   and other C libraries. Neither knows a session.
//! - `module`: the entry points that httpd and other modules call. Owns no logic.
//!
//! `c_shim` holds what only C can say: variadic logging, hook macros, inline functions of headers.

pub mod core;
#[cfg(feature = "httpd")]
pub mod httpd;
#[cfg(feature = "httpd")]
pub mod module;
#[cfg(feature = "system")]
pub mod system;
