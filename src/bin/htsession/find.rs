//! Finding the session that a word of the command line means.

use std::io::Read;

use mod_session_store::core::session::id::{ID_CHARS, SessionId};
use mod_session_store::core::session::record::Kind;
use mod_session_store::core::store::{Store, StoreError, StoreKey};

use crate::failure::{Code, Failure};
use crate::sessions::walk;

/// Fewest digits of a hash that are taken for one.
const DIGITS_MIN: usize = 6;
/// Digits of a whole hash.
const DIGITS: usize = 64;
/// Most bytes that are read from standard input.
const INPUT_MAX: u64 = 1 << 20;

/// Most new ids of a session that are followed from an old one.
const WAY_MAX: usize = 64;

/// What a word means.
#[derive(Debug, PartialEq, Eq)]
pub enum Meant {
    /// The session whose hash begins like this.
    Hash(String),
    /// The session under one of these keys: those of an id in each scope.
    Id(Vec<StoreKey>),
}

/// The words for `arguments`: in the place of `-` those of standard input, one on a line. Says that ids
/// on a command line are seen by others.
pub fn words(arguments: &[String]) -> Result<Vec<String>, Failure> {
    let mut words = Vec::new();
    for argument in arguments {
        if argument != "-" {
            if id_of(argument).is_some() {
                eprintln!(
                    "htsession: an id on a command line is seen by other users of this machine: \
                     write - and give it on standard input"
                );
            }
            words.push(argument.clone());
            continue;
        }
        let mut text = String::new();
        let read = std::io::stdin().lock().take(INPUT_MAX).read_to_string(&mut text);
        read.map_err(|cause| Failure::usage(format!("reading standard input: {cause}")))?;
        words.extend(text.split_whitespace().map(str::to_owned));
    }
    if words.is_empty() {
        return Err(Failure::usage("standard input names no session"));
    }
    Ok(words)
}

/// What a word means, `scopes` being those that an id may be of.
///
/// # Errors
/// It is neither; it is not repeated, since it may be an id with a slip in it.
pub fn meant(word: &str, scopes: &[String]) -> Result<Meant, Failure> {
    let is_hex = word.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase());
    if is_hex && (DIGITS_MIN..=DIGITS).contains(&word.len()) {
        return Ok(Meant::Hash(word.to_owned()));
    }
    let id = id_of(word).ok_or_else(|| {
        Failure::usage(format!(
            "a session is named by {DIGITS_MIN} or more digits of its hash, as list prints it, or by \
             its whole id"
        ))
    })?;
    Ok(Meant::Id(scopes.iter().map(|scope| StoreKey::new(scope, id.as_bytes())).collect()))
}

/// The id in the form that travels; its signature says nothing to who can read the store.
fn id_of(word: &str) -> Option<SessionId> {
    let (id, signature) = word.as_bytes().split_at_checked(ID_CHARS)?;
    if !signature.is_empty() && (signature.len() != 23 || signature[0] != b'.') {
        return None;
    }
    let is_hash = word.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if is_hash { None } else { SessionId::parse(id) }
}

/// The key that is meant, with something under it.
pub fn find(store: &dyn Store, meant: &Meant) -> Result<StoreKey, Failure> {
    let missing = || Failure::not_found("there is no such session");
    match meant {
        Meant::Id(keys) if keys.is_empty() => Err(Failure::usage(
            "an id means something in its scope alone: --scope NAME says which, or ask httpd by -f CONF",
        )),
        Meant::Id(keys) => {
            for key in keys {
                if is_there(store, key)? {
                    return Ok(*key);
                }
            }
            Err(missing())
        }
        Meant::Hash(digits) => match whole(digits) {
            Some(key) if is_there(store, &key)? => Ok(key),
            Some(_) => Err(missing()),
            None => by_prefix(store, digits)?.ok_or_else(missing),
        },
    }
}

/// The session that `key` leads to, and the ways to it: a session that got a new id lives on under that one,
/// and only the way there is left under the old one. The session comes first, so that the way to it is not
/// lost before it is gone.
pub fn way(store: &dyn Store, key: StoreKey) -> Result<Vec<StoreKey>, Failure> {
    let mut keys = vec![key];
    let mut last = key;
    while keys.len() <= WAY_MAX {
        let target = match store.load(&last) {
            Ok(Some(loaded)) => match loaded.record.kind {
                Kind::Alias { target, .. } => StoreKey::from_bytes(target),
                Kind::Session => break,
            },
            // There is no more to follow; what is there is deleted all the same.
            Ok(None) | Err(StoreError::Corrupt | StoreError::Newer(_)) => break,
            Err(cause) => return Err(cause.into()),
        };
        if keys.contains(&target) {
            break;
        }
        keys.push(target);
        last = target;
    }
    keys.reverse();
    Ok(keys)
}

fn is_there(store: &dyn Store, key: &StoreKey) -> Result<bool, Failure> {
    match store.load(key) {
        Ok(found) => Ok(found.is_some()),
        // Something is there, and show and delete have something to say of it.
        Err(StoreError::Corrupt | StoreError::Newer(_)) => Ok(true),
        Err(cause) => Err(cause.into()),
    }
}

fn whole(digits: &str) -> Option<StoreKey> {
    let mut bytes = [0; 32];
    if digits.len() != DIGITS {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(StoreKey::from_bytes(bytes))
}

fn by_prefix(store: &dyn Store, digits: &str) -> Result<Option<StoreKey>, Failure> {
    let mut found = None;
    walk(store, |entry| {
        if !entry.key.digits().starts_with(digits.as_bytes()) || found == Some(entry.key) {
            return Ok(());
        }
        match found.replace(entry.key) {
            None => Ok(()),
            Some(_) => Err(Failure {
                code: Code::Usage,
                text: "several sessions begin with these digits: give more of them".to_owned(),
            }),
        }
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYmE";

    #[test]
    fn a_hash_is_told_from_an_id() {
        let scopes = ["a".to_owned(), String::new()];
        let key =
            |scope: &str| StoreKey::new(scope, SessionId::parse(ID.as_bytes()).unwrap().as_bytes());
        let id = Meant::Id(vec![key("a"), key("")]);
        assert_eq!(meant(ID, &scopes).as_ref(), Ok(&id));
        assert_eq!(meant(&format!("{ID}.{}", "A".repeat(22)), &scopes).as_ref(), Ok(&id));
        for hash in ["abcdef", &"0".repeat(64), &"1".repeat(43)] {
            assert_eq!(meant(hash, &scopes), Ok(Meant::Hash(hash.to_string())));
        }
        for neither in [
            "",
            "abcde",
            &"0".repeat(65),
            &ID[1..],
            &format!("{ID}."),
            &format!("{ID}-{}", "A".repeat(22)),
            "ABCDEF",
            "größe",
        ] {
            let refused = meant(neither, &scopes).unwrap_err();
            assert!(
                refused.code == Code::Usage
                    && (neither.is_empty() || !refused.text.contains(neither))
            );
        }
    }

    #[test]
    fn a_whole_hash_is_a_key() {
        let key = StoreKey::from_bytes([0x5a; 32]);
        assert_eq!(whole(&key.hex()), Some(key));
        assert_eq!(whole(&key.hex()[1..]), None);
    }
}
