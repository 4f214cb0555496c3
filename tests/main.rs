//! Tests against a real httpd. One binary, so that the harness is built once.

mod config;
mod ends;
mod guards;
mod harness;
mod identity;
mod locking;
mod restart;
mod steps;
mod support;
