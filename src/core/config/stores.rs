//! Which store: `SessionStore TYPE[:ARG]` taken apart.

use std::fmt;
use std::sync::Arc;

use super::dbm::DbmFile;
use super::redis::RedisAddress;
use super::values::{path, plain, size};

/// Least bytes of the memory store: one page for each of its shards, several times.
pub const MEMORY_MIN: u64 = 1 << 20;
/// Most bytes of the memory store.
pub const MEMORY_MAX: u64 = 1 << 40;
/// Bytes of the memory store if nothing else is said.
pub const MEMORY_DEFAULT: u64 = 64 << 20;
/// Longest argument of a store that is not ours to understand, in bytes.
const ARGUMENT_MAX: usize = 1024;
/// Longest name of a provider, in bytes.
const NAME_MAX: usize = 64;

/// Where sessions are kept (`SessionStore`).
#[derive(Clone, PartialEq, Eq)]
pub enum StoreChoice {
    /// Files.
    File {
        /// The directory, if it is named with the store.
        dir: Option<Arc<str>>,
    },
    /// One database file.
    Dbm(DbmFile),
    /// Memory that the server's processes share.
    Memory {
        /// Its bytes, if they are named with the store.
        size: Option<u64>,
    },
    /// Redis.
    Redis(Arc<RedisAddress>),
    /// A shared object cache of httpd.
    Socache {
        /// Name of the provider, as `shmcb`.
        name: Arc<str>,
        /// What the provider gets, if anything.
        argument: Option<Arc<str>>,
    },
    /// A store that another module provides.
    Provider {
        /// Its name in the provider group.
        name: Arc<str>,
        /// What it gets, if anything.
        argument: Option<Arc<str>>,
    },
}

impl StoreChoice {
    /// Takes the word of the directive apart.
    ///
    /// # Errors
    /// What is wrong with it, as the rest of a sentence.
    pub fn parse(text: &str) -> Result<StoreChoice, String> {
        let (kind, argument) = match text.split_once(':') {
            Some((kind, argument)) => (kind, Some(argument)),
            None => (text, None),
        };
        match kind.to_ascii_lowercase().as_str() {
            "file" => Ok(StoreChoice::File { dir: argument.map(path).transpose()? }),
            "dbm" => argument.map_or(Ok(DbmFile::default()), DbmFile::parse).map(StoreChoice::Dbm),
            "memory" => {
                let bytes = argument.map(|text| size(text, MEMORY_MIN, MEMORY_MAX)).transpose()?;
                Ok(StoreChoice::Memory { size: bytes })
            }
            scheme if RedisAddress::is_scheme(scheme) => {
                RedisAddress::parse(text).map(|address| StoreChoice::Redis(Arc::new(address)))
            }
            "socache" => {
                let argument = argument.ok_or("names no provider: socache:shmcb is one")?;
                let (name, argument) = name_and_argument(argument)?;
                Ok(StoreChoice::Socache { name, argument })
            }
            _ => {
                let (name, argument) = name_and_argument(text)?;
                Ok(StoreChoice::Provider { name, argument })
            }
        }
    }
}

fn name_and_argument(text: &str) -> Result<(Arc<str>, Option<Arc<str>>), String> {
    let (name, argument) = match text.split_once(':') {
        Some((name, argument)) => (name, Some(argument)),
        None => (text, None),
    };
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    if name.is_empty() || name.len() > NAME_MAX || !name.bytes().all(fits) {
        return Err("names no store".to_owned());
    }
    Ok((Arc::from(name), argument.map(|text| plain(text, ARGUMENT_MAX)).transpose()?))
}

/// Shows no argument that may hold a password.
impl fmt::Debug for StoreChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreChoice::File { dir } => write!(f, "File({dir:?})"),
            StoreChoice::Dbm(file) => write!(f, "Dbm({file:?})"),
            StoreChoice::Memory { size } => write!(f, "Memory({size:?})"),
            StoreChoice::Redis(address) => write!(f, "Redis({address:?})"),
            StoreChoice::Socache { name, .. } => write!(f, "Socache({name}, …)"),
            StoreChoice::Provider { name, .. } => write!(f, "Provider({name}, …)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_a_type_and_an_argument() {
        let parse = |text| StoreChoice::parse(text).unwrap();
        assert_eq!(parse("file"), StoreChoice::File { dir: None });
        assert_eq!(parse("FILE:/a"), StoreChoice::File { dir: Some("/a".into()) });
        assert_eq!(parse("dbm"), StoreChoice::Dbm(DbmFile::default()));
        let file = DbmFile { file: Some("/a/b.mdb".into()), map: None };
        assert_eq!(parse("dbm:/a/b.mdb"), StoreChoice::Dbm(file));
        assert_eq!(parse("memory:32M"), StoreChoice::Memory { size: Some(32 << 20) });
        let argument = Some(Arc::from("one:11211,two:11211"));
        let socache = StoreChoice::Socache { name: "memcache".into(), argument };
        assert_eq!(parse("socache:memcache:one:11211,two:11211"), socache);
        let provider = StoreChoice::Provider { name: "example".into(), argument: None };
        assert_eq!(parse("example"), provider);
    }

    #[test]
    fn a_redis_has_an_address() {
        let parsed = StoreChoice::parse("rediss://user@host:6380/1?timeout=3s");
        let Ok(StoreChoice::Redis(redis)) = parsed else { panic!("it is no Redis") };
        assert_eq!((redis.database, redis.user.as_deref()), (1, Some("user")));
    }

    #[test]
    fn what_names_no_store_is_refused() {
        for text in [
            "", ":", "file:", "dbm:", "memory:1", "memory:x", "socache", "socache:", "a/b", "a b:c",
        ] {
            assert!(StoreChoice::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn debug_output_shows_no_password() {
        for text in ["redis://:hidden@host", "socache:x:hidden", "own:hidden"] {
            let shown = format!("{:?}", StoreChoice::parse(text));
            assert!(!shown.contains("hidden"), "{shown}");
        }
    }
}
