//! Handlers outside of httpd's own processes: what they see of a session and how they change it.

mod clients;
pub mod faces;
mod hidden;
mod holding;
mod inner;
mod orders;
mod raw;
mod shown;
