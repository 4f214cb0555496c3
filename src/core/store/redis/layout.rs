//! What lies in Redis, and how it is read.
//!
//! | key | type | what |
//! |---|---|---|
//! | PREFIX HEX | hash | a session or an alias; HEX are the 64 digits of its store key |
//! | PREFIX `user:` HEX | sorted set | the sessions of a user, by the digits of their keys; the score of each is when it was made, in seconds; HEX is a hash of scope and user |
//! | PREFIX `corrupt:{` KEY `}` | any | what was found under KEY and is no session, for a week |
//!
//! | field of a session | what |
//! |---|---|
//! | `r` | the record, as `session/codec.rs` writes it |
//! | `i` | its incarnation, 16 hexadecimal digits |
//! | `v` | a word that tells each write from every other one |
//! | `a`, `d` | accessed and deadline, 20 digits, microseconds since 1970; they count, not those of the record |
//! | `n` | the index it is in, the 64 digits of its key; only with a user |
//! | `k` | `1` for an alias, else missing |
//! | `t`, `u` | who holds it, and until when by the server's clock, in milliseconds since 1970 |
//!
//! Redis removes a session by itself once it is over for the grace. An index is a hint: what is in it is
//! asked whether it is still so.

use redis::Value;
use sha2::{Digest, Sha256};

use super::bad;
use crate::core::clock::Time;
use crate::core::session::codec::{self, DecodeError};
use crate::core::session::record::{Kind, Record};
use crate::core::store::{StoreError, StoreKey};

/// Digits of a key or an index.
pub const DIGITS: usize = 64;

/// Names of keys, which all begin alike.
pub struct Names {
    prefix: Vec<u8>,
}

impl Names {
    /// Names that begin with `prefix`.
    pub fn new(prefix: &str) -> Names {
        Names { prefix: prefix.as_bytes().to_vec() }
    }

    /// The name of a session.
    pub fn session(&self, key: &StoreKey) -> Vec<u8> {
        [&self.prefix, key.digits().as_slice()].concat()
    }

    /// The name of an index.
    pub fn index(&self, digits: &[u8]) -> Vec<u8> {
        [&self.prefix, b"user:".as_slice(), digits].concat()
    }

    /// Where what lies under a session's name is moved when it is no session. In a cluster that is where
    /// it was: the braces say what decides.
    pub fn corrupt(&self, name: &[u8]) -> Vec<u8> {
        [&self.prefix, b"corrupt:{".as_slice(), name, b"}"].concat()
    }

    /// A pattern of all names; the prefix has no characters that mean something in one.
    pub fn all(&self) -> Vec<u8> {
        [&self.prefix, b"*".as_slice()].concat()
    }

    /// Takes a name apart.
    pub fn read(&self, name: &[u8]) -> Option<Name> {
        let rest = name.strip_prefix(self.prefix.as_slice())?;
        match rest.strip_prefix(b"user:") {
            Some(digits) => Some(Name::Index(digits.try_into().ok()?)),
            None => key_of(rest).map(Name::Session),
        }
    }
}

/// What a name names.
pub enum Name {
    /// A session.
    Session(StoreKey),
    /// An index, by its digits.
    Index([u8; DIGITS]),
}

/// The key whose digits these are.
pub fn key_of(digits: &[u8]) -> Option<StoreKey> {
    let (pairs, rest) = digits.as_chunks::<2>();
    if pairs.len() != 32 || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        // Capitals were not written by us.
        let digit = |d: u8| if d.is_ascii_uppercase() { None } else { char::from(d).to_digit(16) };
        *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
    }
    Some(StoreKey::from_bytes(bytes))
}

/// The digits of the index of a user; none without one.
pub fn index_of(record: &Record) -> Option<[u8; DIGITS]> {
    record.user.as_deref().map(|user| index(record.scope, user))
}

/// The digits of the index of a user in a scope.
pub fn index(scope: [u8; 8], user: &str) -> [u8; DIGITS] {
    let mut hash = Sha256::new();
    hash.update(b"mod_session_store user 1");
    hash.update(scope);
    hash.update(user.as_bytes());
    StoreKey::from_bytes(hash.finalize().into()).digits()
}

/// An incarnation as it is stored.
pub fn incarnation(number: u64) -> String {
    format!("{number:016x}")
}

/// A time as it is stored.
pub fn time(time: Time) -> String {
    format!("{:020}", time.0)
}

/// `1` for an alias, nothing for a session.
pub fn alias_mark(record: &Record) -> &'static [u8] {
    match record.kind {
        Kind::Session => b"",
        Kind::Alias { .. } => b"1",
    }
}

/// A session as it was read.
pub struct Found {
    /// The record with the times that count.
    pub record: Record,
    /// The word of its latest write.
    pub version: Vec<u8>,
    /// Its times as they are stored, to be compared.
    pub times: [Vec<u8>; 2],
}

/// Reads `r`, `i`, `v`, `a`, `d`; none if there is nothing at all.
pub fn read(values: &[Value]) -> Result<Option<Found>, StoreError> {
    let [record, incarnation, version, accessed, deadline, ..] = values else {
        return Err(bad("a session of fewer fields than asked for"));
    };
    let fields = [record, incarnation, version, accessed, deadline].map(bytes);
    if fields.iter().all(Option::is_none) {
        return Ok(None);
    }
    let [Some(encoded), Some(number), Some(version), Some(accessed), Some(deadline)] = fields
    else {
        return Err(StoreError::Corrupt);
    };
    let mut record = codec::decode(encoded).map_err(|cause| match cause {
        DecodeError::Malformed => StoreError::Corrupt,
        DecodeError::Newer(format) => StoreError::Newer(format),
    })?;
    if number != self::incarnation(record.incarnation).as_bytes() {
        return Err(StoreError::Corrupt);
    }
    record.accessed = parse(accessed)?;
    record.deadline = parse(deadline)?;
    Ok(Some(Found {
        record,
        version: version.to_vec(),
        times: [accessed.to_vec(), deadline.to_vec()],
    }))
}

fn parse(digits: &[u8]) -> Result<Time, StoreError> {
    let text = std::str::from_utf8(digits).ok().filter(|text| text.len() == 20);
    text.and_then(|text| text.parse().ok()).map(Time).ok_or(StoreError::Corrupt)
}

/// The bytes of a value that has some.
pub fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.as_bytes()),
        _ => None,
    }
}
