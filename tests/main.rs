//! Tests against a real httpd. One binary, so that the harness is built once.

mod c_api;
mod caches;
mod ends;
mod guards;
mod harness;
mod locking;
mod notes;
mod restart;
mod steps;
mod support;
