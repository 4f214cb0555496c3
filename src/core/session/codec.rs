//! Records as bytes: the only file that names the serialization crate.
//!
//! Format 1. Numbers are little-endian and of fixed size; a *text* or *bytes* is its length as u64
//! and then its bytes; an *optional* is one byte, 0 or 1, and with 1 the thing itself. Offsets hold
//! for a session without a user and without a timeout of its own.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 2 | format, u16: 1 |
//! | 2 | 4 | kind, u32: 0 session, 1 alias |
//! | | 32 | alias only: store key of the target |
//! | | 8 | alias only: until, microseconds since 1970 |
//! | 6 | 8 | incarnation, u64 |
//! | 14 | 8 | scope |
//! | 22 | 1 | user: optional text, at most 8,192 bytes |
//! | 23 | 8 | created, microseconds since 1970 |
//! | 31 | 8 | accessed, likewise |
//! | 39 | 8 | deadline, likewise |
//! | 47 | 1 | timeout: optional u32, seconds |
//! | 48 | 8 + n | client: text, at most 128 bytes |
//! | 56 + n | 4 | flags, u32 |
//! | 60 + n | 8 | form tokens: how many, at most 64 |
//! | 68 + n | 16 each | a form token |
//! | | 8 | keys: how many, at most 4,096 |
//! | | | for each a key: text, and its value: bytes |
//!
//! Nothing follows. There is one encoding for a record: what decodes encodes to the same bytes
//! again. A field that is added, and any other change, takes a new format number; a reader of
//! format 1 leaves newer ones alone.

use std::fmt;
use std::marker::PhantomData;

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use bincode::enc::write::Writer;
use bincode::error::EncodeError as Refused;
use bincode::serde::{borrow_decode_from_slice, encode_into_writer};
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde::ser::{SerializeSeq, Serializer};
use serde::{Deserialize, Serialize};

use super::record::{Kind, Record, TOKEN_BYTES};
use super::values::{Key, Values};
use crate::core::clock::Time;

/// The format that is written. Older ones would be read here too, once there are any.
pub const FORMAT: u16 = 1;
/// Most bytes of an encoded record; `SessionMaxSize` has to stay below.
pub const RECORD_MAX: usize = 16 << 20;
/// Longest user name, in bytes: more than a header line of httpd can hold.
pub const USER_MAX: usize = 8192;
/// Longest client address, in bytes: an IPv6 address with a zone has room.
pub const CLIENT_MAX: usize = 128;
/// Most form tokens of a record.
pub const TOKENS_MAX: usize = 64;
/// Most keys of a record; `SessionMaxKeys` has to stay below. Bounds the search for duplicates.
pub const KEYS_MAX: usize = 4096;

/// Why bytes are no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeError {
    /// They were never written by [`encode`].
    Malformed,
    /// A newer release wrote them; this is their format.
    Newer(u16),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::Malformed => f.write_str("the bytes are no record"),
            DecodeError::Newer(format) => {
                write!(f, "record format {format} is newer than {FORMAT}")
            }
        }
    }
}

impl std::error::Error for DecodeError {}

/// Why a record has no bytes: a part of it, named here, is past the limit beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodeError {
    /// What is too large.
    pub what: &'static str,
    /// How much of it is allowed.
    pub most: usize,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of a record: at most {} allowed", self.what, self.most)
    }
}

impl std::error::Error for EncodeError {}

const CONFIG: Configuration<LittleEndian, Fixint, Limit<RECORD_MAX>> = bincode::config::standard()
    .with_little_endian()
    .with_fixed_int_encoding()
    .with_limit::<RECORD_MAX>();

/// The fields in their order on disk; borrowed, so that a length that lies allocates nothing.
#[derive(Serialize, Deserialize)]
struct Wire<'a, T, V> {
    kind: Kind,
    incarnation: u64,
    scope: [u8; 8],
    #[serde(borrow)]
    user: Option<&'a str>,
    created: Time,
    accessed: Time,
    deadline: Time,
    timeout: Option<u32>,
    client: &'a str,
    flags: u32,
    tokens: T,
    values: V,
}

/// The bytes of `record`.
pub fn encode(record: &Record) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = Vec::with_capacity(128 + record.bytes() + 16 * record.values.len());
    encode_into(record, &mut bytes)?;
    Ok(bytes)
}

/// Appends the bytes of `record` to `out`, which is left as it was on an error.
pub fn encode_into(record: &Record, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    check_limits(record)?;
    let start = out.len();
    out.extend_from_slice(&FORMAT.to_le_bytes());
    let wire = Wire {
        kind: record.kind.clone(),
        incarnation: record.incarnation,
        scope: record.scope,
        user: record.user.as_deref(),
        created: record.created,
        accessed: record.accessed,
        deadline: record.deadline,
        timeout: record.timeout,
        client: &record.client,
        flags: record.flags,
        tokens: record.tokens.as_slice(),
        values: WriteValues(&record.values),
    };
    // Writing into memory and through these types cannot be refused: what is left is the size.
    let written = encode_into_writer(wire, Append(out), CONFIG);
    if written.is_err() || out.len() - start > RECORD_MAX {
        out.truncate(start);
        return Err(EncodeError { what: "the bytes", most: RECORD_MAX });
    }
    Ok(())
}

fn check_limits(record: &Record) -> Result<(), EncodeError> {
    let sizes = [
        ("the bytes of the user's name", record.user.as_deref().map_or(0, str::len), USER_MAX),
        ("the bytes of the client's address", record.client.len(), CLIENT_MAX),
        ("the form tokens", record.tokens.len(), TOKENS_MAX),
        ("the keys", record.values.len(), KEYS_MAX),
    ];
    match sizes.into_iter().find(|(_, size, most)| size > most) {
        Some((what, _, most)) => Err(EncodeError { what, most }),
        None => Ok(()),
    }
}

/// The record that `bytes` are, all of them.
pub fn decode(bytes: &[u8]) -> Result<Record, DecodeError> {
    let (format, body) = bytes.split_first_chunk::<2>().ok_or(DecodeError::Malformed)?;
    match u16::from_le_bytes(*format) {
        FORMAT => {}
        0 => return Err(DecodeError::Malformed),
        newer => return Err(DecodeError::Newer(newer)),
    }
    if bytes.len() > RECORD_MAX {
        return Err(DecodeError::Malformed);
    }
    let (wire, used): (Wire<'_, Tokens, ReadValues>, usize) =
        borrow_decode_from_slice(body, CONFIG).map_err(|_| DecodeError::Malformed)?;
    let record = Record {
        kind: wire.kind,
        incarnation: wire.incarnation,
        scope: wire.scope,
        user: wire.user.map(str::to_owned),
        created: wire.created,
        accessed: wire.accessed,
        deadline: wire.deadline,
        timeout: wire.timeout,
        client: wire.client.into(),
        flags: wire.flags,
        tokens: wire.tokens.0,
        values: wire.values.0,
    };
    let whole = used == body.len() && check_limits(&record).is_ok();
    whole.then_some(record).ok_or(DecodeError::Malformed)
}

/// Appends to a vector.
struct Append<'a>(&'a mut Vec<u8>);

impl Writer for Append<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// Bytes as one run instead of one element after the other.
struct Run<'a>(&'a [u8]);

impl Serialize for Run<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

struct WriteValues<'a>(&'a Values);

impl Serialize for WriteValues<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut pairs = serializer.serialize_seq(Some(self.0.len()))?;
        for (key, value) in self.0.iter() {
            pairs.serialize_element(&(key.as_str(), Run(value)))?;
        }
        pairs.end()
    }
}

/// A list that is read one element at a time: how many were announced reserves no memory.
trait List<'de>: Default {
    type Item: Deserialize<'de>;
    const MOST: usize;
    const WHAT: &'static str;
    /// False: this element cannot follow those before.
    fn add(&mut self, item: Self::Item) -> bool;
}

struct Reader<L>(PhantomData<L>);

impl<'de, L: List<'de>> Visitor<'de> for Reader<L> {
    type Value = L;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(L::WHAT)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<L, A::Error> {
        if items.size_hint().is_none_or(|count| count > L::MOST) {
            return Err(A::Error::custom("too many elements"));
        }
        let mut list = L::default();
        while let Some(item) = items.next_element()? {
            if !list.add(item) {
                return Err(A::Error::custom("an element that cannot be"));
            }
        }
        Ok(list)
    }
}

#[derive(Default)]
struct Tokens(Vec<[u8; TOKEN_BYTES]>);

impl<'de> List<'de> for Tokens {
    type Item = [u8; TOKEN_BYTES];
    const MOST: usize = TOKENS_MAX;
    const WHAT: &'static str = "form tokens";

    fn add(&mut self, token: Self::Item) -> bool {
        self.0.push(token);
        true
    }
}

#[derive(Default)]
struct ReadValues(Values);

impl<'de> List<'de> for ReadValues {
    type Item = (&'de str, &'de [u8]);
    const MOST: usize = KEYS_MAX;
    const WHAT: &'static str = "keys and values";

    fn add(&mut self, (key, value): Self::Item) -> bool {
        Key::stored(key).is_some_and(|key| self.0.insert_new(key, value.to_vec()))
    }
}

impl<'de> Deserialize<'de> for Tokens {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Tokens, D::Error> {
        deserializer.deserialize_seq(Reader(PhantomData))
    }
}

impl<'de> Deserialize<'de> for ReadValues {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ReadValues, D::Error> {
        deserializer.deserialize_seq(Reader(PhantomData))
    }
}

#[cfg(test)]
mod tests;
