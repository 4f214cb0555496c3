//! `htsession`: looks after the sessions that mod_session_store keeps, without its server and beside it.
//!
//! It uses the rules and stores of the library's core and its wrappers of the system, and nothing of
//! httpd's but APR's DBM: it starts where no httpd is.
#![forbid(unsafe_code)]

mod arguments;
mod ask;
mod commands;
mod failure;
mod find;
mod located;
mod options;
mod output;
mod owner;
mod progress;
mod sessions;
mod stores;
mod time;

use std::process::ExitCode;

fn main() -> ExitCode {
    // What it makes is for nobody but the owner.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let words = std::env::args_os().skip(1);
    let done = arguments::parse(words).and_then(|invocation| commands::run(&invocation));
    let Err(failure) = done else { return ExitCode::SUCCESS };
    if !failure.text.is_empty() {
        eprintln!("htsession: {failure}");
    }
    ExitCode::from(failure.code as u8)
}
