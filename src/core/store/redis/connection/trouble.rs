//! What goes wrong between us and Redis, sorted by what has to be done about it.

use std::{fmt, io};

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::core::store::StoreError;

/// Longest text of a server's that is repeated, in characters.
const SAID_MAX: usize = 200;

/// A command that failed.
#[derive(Debug)]
pub enum Trouble {
    /// The connection broke, or was never made. What was asked may have been done.
    Broken(io::Error),
    /// No answer came in time; the connection is of no use any more.
    Late,
    /// The server does not know the script.
    NoScript,
    /// In a cluster: the key is at that address now.
    Moved(String),
    /// In a cluster: the key is on its way; this once, ask that address.
    Ask(String),
    /// The server is no master any more.
    ReadOnly,
    /// The server cannot do anything at the moment: it loads its data, or its cluster is not complete.
    Busy(String),
    /// The server refused.
    Refused(StoreError),
}

impl Trouble {
    /// Sorts an error of the client.
    pub fn of(error: &RedisError) -> Trouble {
        if error.is_timeout() {
            return Trouble::Late;
        }
        let said = said(error);
        match error.kind() {
            ErrorKind::Server(kind) => match kind {
                ServerErrorKind::NoScript => Trouble::NoScript,
                ServerErrorKind::Moved => Trouble::Moved(target(error)),
                ServerErrorKind::Ask => Trouble::Ask(target(error)),
                ServerErrorKind::ReadOnly => Trouble::ReadOnly,
                ServerErrorKind::BusyLoading
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::TryAgain => Trouble::Busy(said),
                _ => Trouble::Refused(refusal(&said)),
            },
            ErrorKind::Extension => Trouble::Refused(refusal(&said)),
            ErrorKind::AuthenticationFailed => Trouble::Broken(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "Redis refused the user or the password",
            )),
            ErrorKind::Io => match std::error::Error::source(error) {
                Some(cause) => match cause.downcast_ref::<io::Error>() {
                    Some(cause) => Trouble::Broken(plain(cause)),
                    None => Trouble::Broken(io::Error::other(cause.to_string())),
                },
                None => Trouble::Broken(io::Error::other(said)),
            },
            _ => Trouble::Broken(io::Error::other(said)),
        }
    }

    /// Whether the server was not reached, or is of no use: it is better to wait than to go on asking.
    pub fn is_outage(&self) -> bool {
        matches!(self, Trouble::Broken(_) | Trouble::Late | Trouble::Busy(_) | Trouble::ReadOnly)
    }

    /// What the store tells of it, `doing` being what was asked of which server.
    pub fn told(self, doing: &'static str, server: &dyn fmt::Display) -> StoreError {
        let io = |kind, text: String| StoreError::Io { doing, cause: io::Error::new(kind, text) };
        match self {
            Trouble::Broken(cause) => io(cause.kind(), format!("Redis at {server}: {cause}")),
            Trouble::Late => {
                io(io::ErrorKind::TimedOut, format!("Redis at {server} did not answer in time"))
            }
            Trouble::NoScript => {
                io(io::ErrorKind::Other, format!("Redis at {server} forgets scripts at once"))
            }
            Trouble::Moved(_) | Trouble::Ask(_) => io(
                io::ErrorKind::Other,
                format!("Redis at {server} is a cluster's and moved a key again and again"),
            ),
            Trouble::ReadOnly => io(
                io::ErrorKind::Other,
                format!("Redis at {server} is a replica: it takes no writes"),
            ),
            Trouble::Busy(said) => io(io::ErrorKind::Other, format!("Redis at {server}: {said}")),
            Trouble::Refused(StoreError::Io { cause, .. }) => {
                io(cause.kind(), format!("Redis at {server}: {cause}"))
            }
            Trouble::Refused(cause) => cause,
        }
    }
}

/// What a system's error says in words of ours where its own say little.
fn plain(cause: &io::Error) -> io::Error {
    match cause.kind() {
        io::ErrorKind::UnexpectedEof => {
            io::Error::new(cause.kind(), "the connection was closed before the answer came")
        }
        kind => io::Error::new(kind, cause.to_string()),
    }
}

fn target(error: &RedisError) -> String {
    error.redirect_node().map(|(address, _)| address.to_owned()).unwrap_or_default()
}

/// What a server said, as far as it can be repeated: it may end with the arguments of the command, and
/// a key is among them.
fn said(error: &RedisError) -> String {
    let code = error.code().unwrap_or_default();
    let text = match error.detail() {
        Some(detail) => format!("{code} {detail}"),
        None if code.is_empty() => error.to_string(),
        None => code.to_owned(),
    };
    let end = text.find(", with args").unwrap_or(text.len());
    text[..end].trim().chars().filter(|c| !c.is_control()).take(SAID_MAX).collect()
}

/// The code stands in front, or inside where an old server wraps the errors of scripts.
fn refusal(said: &str) -> StoreError {
    if said.contains("OOM command not allowed") {
        return StoreError::Full("maxmemory of Redis");
    }
    if said.contains("WRONGTYPE") {
        return StoreError::Corrupt;
    }
    let text = if said.contains("non deterministic") {
        "Redis 5 or later is needed".to_owned()
    } else if said.contains("Authentication required") {
        format!("it wants a password, and SessionStore names none ({said})")
    } else {
        said.to_owned()
    };
    StoreError::Io { doing: "", cause: io::Error::other(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Trouble {
        let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        Trouble::of(&value.extract_error().unwrap_err())
    }

    fn told(line: &str) -> String {
        of(line).told("reading a record", &"host:1").to_string()
    }

    #[test]
    fn what_has_to_be_done_follows_from_the_code() {
        assert!(matches!(of("NOSCRIPT No matching script"), Trouble::NoScript));
        assert!(
            matches!(of("MOVED 3999 127.0.0.1:6381"), Trouble::Moved(at) if at == "127.0.0.1:6381")
        );
        assert!(matches!(of("ASK 3999 h:1"), Trouble::Ask(at) if at == "h:1"));
        assert!(matches!(of("READONLY You can't write"), Trouble::ReadOnly));
        assert!(of("LOADING Redis is loading the dataset in memory").is_outage());
        assert!(!of("ERR unknown").is_outage());
    }

    #[test]
    fn a_full_server_and_a_foreign_key_are_known_in_new_and_old_words() {
        let oom = "OOM command not allowed when used memory > 'maxmemory'.";
        let old = "ERR Error running script (call to f_1): @user_script:1: @user_script: 1: -";
        for line in [oom.to_owned(), format!("{old}{oom}")] {
            assert!(matches!(of(&line), Trouble::Refused(StoreError::Full(_))), "{line}");
        }
        let wrong = "WRONGTYPE Operation against a key holding the wrong kind of value";
        for line in [wrong.to_owned(), format!("{old}{wrong}")] {
            assert!(matches!(of(&line), Trouble::Refused(StoreError::Corrupt)), "{line}");
        }
    }

    #[test]
    fn the_arguments_of_a_command_are_not_repeated() {
        let line = "ERR unknown command 'EVALSHA', with args beginning with: 'sha' '1' 'hidden'";
        let text = told(line);
        assert!(text.contains("unknown command") && !text.contains("hidden"), "{text}");
    }

    #[test]
    fn an_old_server_and_a_missing_password_are_explained() {
        let old =
            "ERR Error running script: Write commands not allowed after non deterministic commands";
        assert!(told(old).contains("Redis 5"), "{}", told(old));
        let text = told("NOAUTH Authentication required.");
        assert!(text.contains("wants a password"), "{text}");
    }
}
