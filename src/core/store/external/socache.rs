//! httpd's own object caches: what is known of each of them and cannot be asked.
//!
//! A cache may forget. It has neither an "only if new" nor a "only if unchanged", so both are made here by
//! reading first; and it tells "too large" from "out of reach" badly, so its limits are kept here.

use std::time::Duration;

use crate::core::session::codec::RECORD_MAX;

/// Bytes of what the caches call the id: a store key as it is.
pub const ID_BYTES: usize = 32;
/// What records are expected to take, told to caches that plan by it.
pub const RECORD_BYTES: usize = 512;
/// Least time for which a record is kept, whatever its deadline: caches refuse what has ended, and a
/// session may be written for some time after its end.
pub const KEPT_AT_LEAST: Duration = Duration::from_secs(60);

/// `mod_socache_shmcb`'s size if none is given.
const SHMCB_SIZE: usize = 512 * 1024;
/// `mod_socache_dbm` refuses an id and a value that are this much together.
const DBM_PAIR: usize = 950;
/// memcached's default for an item with its key and head, less these.
const MEMCACHED_ITEM: usize = (1 << 20) - 1024;
/// memcached takes a longer time for a date in 1970.
const MEMCACHED_LIFE: Duration = Duration::from_secs(30 * 24 * 3600 - 60);

/// What is known of a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of an object: of a record with its checksum.
    pub record_max: usize,
    /// Longest time for which it keeps anything.
    pub life: Option<Duration>,
    /// It can be walked over. Of one that nobody knows that is not believed.
    pub lists: bool,
    /// What an administrator has to know, as the rest of a sentence.
    pub forgets: &'static str,
}

/// What is known of the provider of this name, configured with this argument.
pub fn limits(name: &str, argument: Option<&str>) -> Limits {
    let known =
        |record_max: usize, forgets| Limits { record_max, life: None, lists: true, forgets };
    match name {
        "shmcb" | "default" => known(
            shmcb_record_max(shmcb_size(argument)),
            "drops the oldest sessions before their end when a part of its memory is used up, and a \
             rewritten session uses up memory again; all go with a full restart",
        ),
        "dbm" => known(
            DBM_PAIR - 1 - ID_BYTES,
            "can lose all sessions when a process is killed while it writes",
        ),
        "memcache" => Limits {
            life: Some(MEMCACHED_LIFE),
            lists: false,
            ..known(MEMCACHED_ITEM, "drops sessions before their end when its memory is used up")
        },
        _ => Limits {
            lists: false,
            ..known(RECORD_MAX, "may drop sessions before their end, as caches do")
        },
    }
}

/// SIZE in `PATH(SIZE)`.
fn shmcb_size(argument: Option<&str>) -> usize {
    let size = argument.and_then(|text| text.strip_suffix(')')?.rsplit_once('(')?.1.parse().ok());
    size.unwrap_or(SHMCB_SIZE)
}

/// The largest record that fits a part of shmcb's memory.
///
/// It divides its memory into 256 parts, or by halves into fewer until each has twice as many places as
/// there are parts, and a part into a head, an index of 24 bytes for each place, and data.
fn shmcb_record_max(size: usize) -> usize {
    const HEAD: usize = 88;
    const PART_HEAD: usize = 16;
    const INDEX: usize = 24;
    let size = size.saturating_sub(HEAD);
    let places = size / (RECORD_BYTES + ID_BYTES);
    let mut parts = 256;
    while parts > 1 && places / parts < 2 * parts {
        parts /= 2;
    }
    let part = size / parts / 8 * 8;
    let index = PART_HEAD + places / parts * INDEX;
    part.saturating_sub(index + ID_BYTES).min(RECORD_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_larger_memory_takes_larger_records() {
        let most = |argument| limits("shmcb", argument).record_max;
        assert!((28_000..32_768).contains(&most(None)), "{}", most(None));
        assert_eq!(most(Some("run/sessions(524288)")), most(None));
        assert_eq!(most(Some("run/sessions")), most(None));
        assert!(most(Some("run/a(b)(67108864)")) > 400_000);
        assert!(most(Some("(8192)")) < 8192);
        assert_eq!(most(Some("(1)")), 0);
    }

    #[test]
    fn what_is_not_known_is_bounded_by_the_codec_alone() {
        assert_eq!(limits("other", None).record_max, RECORD_MAX);
        assert_eq!(limits("dbm", Some("/a")).record_max, 917);
        assert!(limits("shmcb", None).lists && limits("dbm", None).lists);
        assert!(!limits("memcache", None).lists && !limits("other", None).lists);
        assert!(limits("memcache", None).life < Some(Duration::from_secs(30 * 24 * 3600)));
    }
}
