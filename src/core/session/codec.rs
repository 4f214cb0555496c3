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
//! | 48 | 8 + n | client: text, at most 60 bytes |
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

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use bincode::enc::write::Writer;
use bincode::error::EncodeError as Refused;
use bincode::serde::{borrow_decode_from_slice, encode_into_writer};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::record::{Client, Kind, Record, TOKEN_BYTES};
use super::values::Values;
use crate::core::clock::Time;

/// The format that is written. Older ones would be read here too, once there are any.
pub const FORMAT: u16 = 1;
/// Most bytes of an encoded record; `SessionMaxSize` has to stay below.
pub const RECORD_MAX: usize = 16 << 20;
/// Longest user name, in bytes: more than a header line of httpd can hold.
pub const USER_MAX: usize = 8192;
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

/// The fields up to the form tokens in their order on disk; borrowed, so that a length that lies
/// allocates nothing. What comes often is read and written one by one, for speed.
#[derive(Serialize, Deserialize)]
struct Wire<'a> {
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
        kind: record.kind,
        incarnation: record.incarnation,
        scope: record.scope,
        user: record.user.as_deref(),
        created: record.created,
        accessed: record.accessed,
        deadline: record.deadline,
        timeout: record.timeout,
        client: &record.client,
        flags: record.flags,
    };
    // Writing into memory and through these types cannot be refused: what is left is the size.
    let written = write_all(wire, record, out);
    if written.is_err() || out.len() - start > RECORD_MAX {
        out.truncate(start);
        return Err(EncodeError { what: "the bytes", most: RECORD_MAX });
    }
    Ok(())
}

fn write_all(wire: Wire<'_>, record: &Record, out: &mut Vec<u8>) -> Result<(), Refused> {
    encode_into_writer(wire, Append(out), CONFIG)?;
    encode_into_writer(record.tokens.as_slice(), Append(out), CONFIG)?;
    encode_into_writer(record.values.len() as u64, Append(out), CONFIG)?;
    for (key, value) in record.values.iter() {
        encode_into_writer((key, Run(value)), Append(out), CONFIG)?;
    }
    Ok(())
}

fn check_limits(record: &Record) -> Result<(), EncodeError> {
    let sizes = [
        ("the bytes of the user's name", record.user.as_deref().map_or(0, str::len), USER_MAX),
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
    let mut body = Body(body);
    let wire: Wire<'_> = body.take()?;
    let tokens = body.tokens()?;
    let values = body.values()?;
    let record = Record {
        kind: wire.kind,
        incarnation: wire.incarnation,
        scope: wire.scope,
        user: wire.user.map(str::to_owned),
        created: wire.created,
        accessed: wire.accessed,
        deadline: wire.deadline,
        timeout: wire.timeout,
        client: Client::from(wire.client).map_err(|_| DecodeError::Malformed)?,
        flags: wire.flags,
        tokens,
        values,
    };
    let whole = body.0.is_empty() && check_limits(&record).is_ok();
    whole.then_some(record).ok_or(DecodeError::Malformed)
}

/// What is left to be read.
struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn take<T: Deserialize<'a>>(&mut self) -> Result<T, DecodeError> {
        let (taken, used) =
            borrow_decode_from_slice(self.0, CONFIG).map_err(|_| DecodeError::Malformed)?;
        self.0 = self.0.get(used..).unwrap_or_default();
        Ok(taken)
    }

    /// How many elements follow. That many reserve no memory: the number may be a lie.
    fn count(&mut self, most: usize) -> Result<usize, DecodeError> {
        let count = usize::try_from(self.take::<u64>()?).ok().filter(|count| *count <= most);
        count.ok_or(DecodeError::Malformed)
    }

    fn tokens(&mut self) -> Result<Vec<[u8; TOKEN_BYTES]>, DecodeError> {
        (0..self.count(TOKENS_MAX)?).map(|_| self.take()).collect()
    }

    fn values(&mut self) -> Result<Values, DecodeError> {
        let count = self.count(KEYS_MAX)?;
        // Here a key and a value take no less room than they will there.
        let mut values = Values::with_room(self.0.len());
        for _ in 0..count {
            let (key, value) = self.take::<(&str, &[u8])>()?;
            if !values.insert_stored(key, value) {
                return Err(DecodeError::Malformed);
            }
        }
        Ok(values)
    }
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

#[cfg(test)]
mod tests;
