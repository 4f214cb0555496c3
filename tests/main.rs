//! Tests against a real httpd. One binary, so that the harness is built once.

mod bad_input;
mod bridge;
mod c_api;
mod caches;
mod chosen;
mod cleanup;
mod clients;
mod config;
mod ends;
mod examples;
mod guards;
mod handlers;
mod harness;
mod htsession;
mod identity;
mod language;
mod locking;
mod notes;
mod readme;
mod restart;
mod restart_soak;
mod seeds;
mod steps;
mod stores;
mod support;
