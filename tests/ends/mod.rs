//! How a request ends: what becomes of its session, its cookie and its lease, row by row.
//!
//! No server here lets a request wait for a session, so every following request of a test also shows
//! that the one before it has let go.

mod answers;
mod backends;
mod errors;
mod failures;
mod inner;
mod panics;
pub mod streams;
