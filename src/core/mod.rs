//! Ring 1: sessions without a web server.
//!
//! It takes bytes, times and settings and returns decisions: a `Set-Cookie` value, an outcome, an
//! error. Time, randomness, locks and shared memory come in through traits, so that every rule here
//! is tested without httpd.
#![forbid(unsafe_code)]

pub mod cache;
pub mod cleanup;
pub mod clock;
pub mod config;
pub mod cookie;
pub mod database;
pub mod export;
pub mod lock;
pub mod session;
pub mod store;
