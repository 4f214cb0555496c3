//! The bytes under a key: a head, and behind it the record as the codec writes it.
//!
//! Numbers are little-endian.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 2 | format, u16: 1 |
//! | 2 | 8 | XXH64 of all that follows; the seed is the key's first 8 bytes XOR the format, so that a value under another key is found |
//! | 10 | 8 | incarnation, u64 |
//! | 18 | 8 | mark: XXH64 of the user's name, its seed is the scope; 0 without a user |
//! | 26 | 8 | latest visit, microseconds since 1970 |
//! | 34 | 8 | deadline, likewise |
//! | 42 | | the record |
//!
//! Visit and deadline in the head count; those in the record are of its last update. So a visit is
//! recorded, and a purge decides, without taking the record apart. A newer format keeps the first ten
//! bytes as they are here.

use super::super::checksum::xxh64;
use crate::core::clock::Time;
use crate::core::database::Key;
use crate::core::session::codec::{self, DecodeError};
use crate::core::session::record::Record;
use crate::core::store::{StoreError, Visit};

/// Bytes of the head.
pub const HEAD: usize = 42;

const FORMAT: u16 = 1;
const SUMMED: usize = 10;
const INCARNATION: usize = 10;
const MARK: usize = 18;
const ACCESSED: usize = 26;
const DEADLINE: usize = 34;

/// A value that is whole.
pub struct Value<'a> {
    /// Its record's.
    pub incarnation: u64,
    /// Under what number its key is to be found; 0: under none.
    pub mark: u64,
    /// The latest visit.
    pub visit: Visit,
    bytes: &'a [u8],
}

/// The mark of a user's sessions; never 0.
pub fn mark_of(scope: [u8; 8], user: &str) -> u64 {
    xxh64(user.as_bytes(), u64::from_le_bytes(scope)).max(1)
}

/// The value of `record` under `key`.
pub fn build(key: &Key, record: &Record) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::with_capacity(HEAD + 128 + record.bytes() + 16 * record.values.len());
    let mark = record.user.as_deref().map_or(0, |user| mark_of(record.scope, user));
    bytes.extend_from_slice(&FORMAT.to_le_bytes());
    for number in [0, record.incarnation, mark, record.accessed.0, record.deadline.0] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    codec::encode_into(record, &mut bytes)?;
    seal(key, &mut bytes);
    Ok(bytes)
}

/// The same value with another visit.
pub fn with_visit(key: &Key, value: &Value<'_>, visit: Visit) -> Vec<u8> {
    let mut bytes = value.bytes.to_vec();
    put(&mut bytes, ACCESSED, visit.accessed.0);
    put(&mut bytes, DEADLINE, visit.deadline.0);
    seal(key, &mut bytes);
    bytes
}

/// Takes the bytes under `key` apart.
///
/// # Errors
/// [`StoreError::Corrupt`] or [`StoreError::Newer`].
pub fn parse<'a>(key: &Key, bytes: &'a [u8]) -> Result<Value<'a>, StoreError> {
    let format = bytes.first_chunk::<2>().ok_or(StoreError::Corrupt)?;
    match u16::from_le_bytes(*format) {
        FORMAT => {}
        0 => return Err(StoreError::Corrupt),
        newer if sum_of(key, bytes) == number(bytes, 2) => return Err(StoreError::Newer(newer)),
        _ => return Err(StoreError::Corrupt),
    }
    if bytes.len() < HEAD || sum_of(key, bytes) != number(bytes, 2) {
        return Err(StoreError::Corrupt);
    }
    Ok(Value {
        incarnation: number(bytes, INCARNATION),
        mark: number(bytes, MARK),
        visit: Visit {
            accessed: Time(number(bytes, ACCESSED)),
            deadline: Time(number(bytes, DEADLINE)),
        },
        bytes,
    })
}

/// Which version of a record a value is: another one after each update, the same after a visit.
pub fn version_of(bytes: &[u8]) -> u64 {
    xxh64(bytes.get(HEAD..).unwrap_or_default(), 0)
}

/// The mark in bytes that may be damaged: to clean up behind them. 0 if there is none.
pub fn mark_in(bytes: &[u8]) -> u64 {
    number(bytes, MARK)
}

impl Value<'_> {
    /// See [`version_of`].
    pub fn version(&self) -> u64 {
        version_of(self.bytes)
    }

    /// The record in it, with the times of the latest visit.
    ///
    /// # Errors
    /// As [`parse`].
    pub fn record(&self) -> Result<Record, StoreError> {
        let payload = self.bytes.get(HEAD..).unwrap_or_default();
        match codec::decode(payload) {
            Ok(record) if record.incarnation == self.incarnation => Ok(Record {
                accessed: self.visit.accessed,
                deadline: self.visit.deadline,
                ..record
            }),
            Err(DecodeError::Newer(format)) => Err(StoreError::Newer(format)),
            Ok(_) | Err(DecodeError::Malformed) => Err(StoreError::Corrupt),
        }
    }
}

fn seal(key: &Key, bytes: &mut [u8]) {
    let sum = sum_of(key, bytes);
    put(bytes, 2, sum);
}

fn sum_of(key: &Key, bytes: &[u8]) -> u64 {
    let format = bytes.first_chunk::<2>().map_or(0, |format| u16::from_le_bytes(*format));
    xxh64(bytes.get(SUMMED..).unwrap_or_default(), number(key, 0) ^ u64::from(format))
}

fn number(bytes: &[u8], at: usize) -> u64 {
    let found = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>());
    found.map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

fn put(bytes: &mut [u8], at: usize, value: u64) {
    if let Some(place) = bytes.get_mut(at..at + 8) {
        place.copy_from_slice(&value.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::store::conformance::{key, record};

    fn is_corrupt<T>(result: Result<T, StoreError>) -> bool {
        matches!(result, Err(StoreError::Corrupt))
    }

    #[test]
    fn a_record_comes_back_with_its_latest_visit() {
        let key = key(1);
        let user = Record { user: Some("alice".into()), ..record(7) };
        let bytes = build(key.as_bytes(), &user).unwrap();
        let value = parse(key.as_bytes(), &bytes).unwrap();
        assert_eq!((value.incarnation, value.mark), (7, mark_of([1; 8], "alice")));
        assert_eq!(value.record().unwrap(), user);
        let visit = Visit { accessed: Time(900), deadline: Time(901) };
        let bytes = with_visit(key.as_bytes(), &value, visit);
        let value = parse(key.as_bytes(), &bytes).unwrap();
        assert_eq!(value.visit, visit);
        let touched = Record { accessed: Time(900), deadline: Time(901), ..user };
        assert_eq!(value.record().unwrap(), touched);
    }

    #[test]
    fn a_changed_byte_a_missing_one_and_another_key_are_damage() {
        let (here, there) = (key(1), key(2));
        let bytes = build(here.as_bytes(), &record(7)).unwrap();
        assert!(is_corrupt(parse(there.as_bytes(), &bytes)));
        for at in 0..bytes.len() {
            assert!(is_corrupt(parse(here.as_bytes(), &bytes[..at])), "cut at {at}");
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(is_corrupt(parse(here.as_bytes(), &changed)), "bit at {at}");
        }
    }

    #[test]
    fn a_newer_format_is_told_from_damage() {
        let key = key(1);
        let mut bytes = build(key.as_bytes(), &record(7)).unwrap();
        bytes[0] = 2;
        seal(key.as_bytes(), &mut bytes);
        assert!(matches!(parse(key.as_bytes(), &bytes), Err(StoreError::Newer(2))));
        let mut bytes = build(key.as_bytes(), &record(7)).unwrap();
        bytes[HEAD] = 2;
        seal(key.as_bytes(), &mut bytes);
        let value = parse(key.as_bytes(), &bytes).unwrap();
        assert!(matches!(value.record(), Err(StoreError::Newer(2))));
    }
}
