//! The whole server: its store, mutexes and secrets.

use std::sync::Arc;
use std::time::Duration;

use super::{Args, Directive, Set, once};
use crate::core::config::dbm::DbmType;
use crate::core::config::server::SecretSource;
use crate::core::config::stores::{MEMORY_MAX, MEMORY_MIN, StoreChoice};
use crate::core::config::values::{choice, duration, number, on_off, path, plain, size};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const SECRETS_MAX: usize = 8;
/// Shortest inline secret, in bytes.
const SECRET_MIN: usize = 16;
/// Longest inline secret or command, in bytes.
const SECRET_MAX: usize = 1024;

pub const STORE: Directive = Directive {
    name: "SessionStore",
    syntax: "TYPE[:ARG]",
    args: Args::One,
    default: "file",
    allowed: "file[:DIR], dbm[:FILE[?map=SIZE]], memory[:SIZE], redis://HOST, socache:NAME[:ARG] or a provider's name",
    htaccess: None,
    help: "where sessions are kept",
    set: Set::Server(|server, words| once(&mut server.store, StoreChoice::parse(words[0])?)),
};

pub const DATA_DIR: Directive = Directive {
    name: "SessionDataDir",
    syntax: "DIR",
    args: Args::One,
    default: "none",
    allowed: "the path of a directory, of at most 1024 bytes",
    htaccess: None,
    help: "the directory in which the store keeps its data",
    set: Set::Server(|server, words| once(&mut server.data_dir, path(words[0])?)),
};

pub const DBM_TYPE: Directive = Directive {
    name: "SessionDBMType",
    syntax: "TYPE",
    args: Args::One,
    default: "lmdb",
    allowed: "lmdb, or a type of APR's DBM: default, GDBM, DB or SDBM",
    htaccess: None,
    help: "the kind of database of SessionStore dbm",
    set: Set::Server(|server, words| once(&mut server.dbm_type, choice(words[0], DbmType::WORDS)?)),
};

pub const MEMORY_SIZE: Directive = Directive {
    name: "SessionMemorySize",
    syntax: "SIZE",
    args: Args::One,
    default: "64M",
    allowed: "a size from 1M to 1024G",
    htaccess: None,
    help: "how much memory SessionStore memory takes",
    set: Set::Server(|server, words| {
        once(&mut server.memory_size, size(words[0], MEMORY_MIN, MEMORY_MAX)?)
    }),
};

pub const MAX_SESSIONS: Directive = Directive {
    name: "SessionMaxSessions",
    syntax: "N",
    args: Args::One,
    default: "0",
    allowed: "a number; 0 for no limit",
    htaccess: None,
    help: "most sessions kept; a new one past it is refused; 0: no limit",
    set: Set::Server(|server, words| {
        once(&mut server.max_sessions, number(words[0], 0, 2_000_000_000)?)
    }),
};

pub const LOCKS: Directive = Directive {
    name: "SessionLocks",
    syntax: "N",
    args: Args::One,
    default: "256",
    allowed: "a number from 1 to 65536",
    htaccess: None,
    help: "how many mutexes the server makes at its start",
    set: Set::Server(|server, words| once(&mut server.locks, number(words[0], 1, 65_536)?)),
};

pub const SECRET: Directive = Directive {
    name: "SessionSecret",
    syntax: "file:PATH|exec:COMMAND|SECRET …",
    args: Args::Words,
    default: "none",
    allowed: "1 to 8 of file:PATH, exec:COMMAND or a secret of 16 to 1024 bytes",
    htaccess: None,
    help: "signs session ids; the first signs, all verify",
    set: Set::Server(|server, words| once(&mut server.secrets, secrets(words)?)),
};

pub const SYNC: Directive = Directive {
    name: "SessionSync",
    syntax: "on|off",
    args: Args::Flag,
    default: "off",
    allowed: "on or off",
    htaccess: None,
    help: "whether data is on the disk before the answer leaves",
    set: Set::Server(|server, words| once(&mut server.sync, on_off(words[0])?)),
};

pub const CLEANUP_INTERVAL: Directive = Directive {
    name: "SessionCleanupInterval",
    syntax: "TIME",
    args: Args::One,
    default: "60s",
    allowed: "a time from 1s to 1d, or 0 for no cleanup",
    htaccess: None,
    help: "how often expired sessions are removed in the background",
    set: Set::Server(|server, words| {
        let interval = duration(words[0], Duration::ZERO, DAY)?;
        once(&mut server.cleanup_interval, interval)
    }),
};

pub const CLEANUP_TIME_LIMIT: Directive = Directive {
    name: "SessionCleanupTimeLimit",
    syntax: "TIME",
    args: Args::One,
    default: "2s",
    allowed: "a time from 1s to 1h",
    htaccess: None,
    help: "how long the cleanup is at work at a time",
    set: Set::Server(|server, words| {
        let limit = duration(words[0], SECOND, Duration::from_secs(60 * 60))?;
        once(&mut server.cleanup_limit, limit)
    }),
};

pub const CLEANUP_GRACE: Directive = Directive {
    name: "SessionCleanupGrace",
    syntax: "TIME",
    args: Args::One,
    default: "240s",
    allowed: "a time from 2s to 1d",
    htaccess: None,
    help: "how long after its end the record of a session stays",
    set: Set::Server(|server, words| {
        let grace = duration(words[0], 2 * SECOND, DAY)?;
        once(&mut server.cleanup_grace, grace)
    }),
};

fn secrets(words: &[&str]) -> Result<Arc<[SecretSource]>, String> {
    if words.len() > SECRETS_MAX {
        return Err(format!("is more than {SECRETS_MAX} of them"));
    }
    words.iter().map(|word| secret(word)).collect()
}

fn secret(word: &str) -> Result<SecretSource, String> {
    match word.split_once(':') {
        Some(("file", file)) => path(file).map(SecretSource::File),
        Some(("exec", command)) if command.trim().is_empty() => Err("names no command".to_owned()),
        Some(("exec", command)) => plain(command, SECRET_MAX).map(SecretSource::Exec),
        // A misspelled `file:` would sign with a text that everybody knows.
        Some((kind, _)) if is_word(kind) => {
            Err("begins with letters and a colon other than file: and exec:".to_owned())
        }
        _ if word.len() < SECRET_MIN => Err(format!("is shorter than {SECRET_MIN} bytes")),
        _ => plain(word, SECRET_MAX).map(SecretSource::Inline),
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphabetic())
}
