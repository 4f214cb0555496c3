//! What a backend is given to keep: a checksum, and the record as the codec writes it.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 8 | XXH64 of all that follows, little-endian; the seed is the key's first 8 bytes XOR 1, so that a record under another key is found |
//! | 8 | | the record |
//!
//! Nothing is known of what a backend does to its bytes: a cache whose process was killed while it wrote may
//! give back half of them, or somebody else's. A newer format keeps the checksum as it is here.

use crate::core::session::codec::{self, DecodeError};
use crate::core::session::record::Record;
use crate::core::store::checksum::xxh64;
use crate::core::store::{StoreError, StoreKey};

/// Bytes of the checksum.
const SUM: usize = 8;

/// Most bytes of a record where a backend keeps this many.
pub fn most_of_record(room: usize) -> usize {
    room.saturating_sub(SUM)
}

/// The bytes of a record under a key.
pub fn seal(key: &StoreKey, record: &Record) -> Result<Vec<u8>, StoreError> {
    let mut bytes = vec![0; SUM];
    codec::encode_into(record, &mut bytes)?;
    let sum = sum_of(key, &bytes[SUM..]);
    bytes[..SUM].copy_from_slice(&sum.to_le_bytes());
    Ok(bytes)
}

/// The record in bytes under a key.
///
/// # Errors
/// [`StoreError::Corrupt`] or [`StoreError::Newer`].
pub fn open(key: &StoreKey, bytes: &[u8]) -> Result<Record, StoreError> {
    let (sum, record) = bytes.split_first_chunk::<SUM>().ok_or(StoreError::Corrupt)?;
    if u64::from_le_bytes(*sum) != sum_of(key, record) {
        return Err(StoreError::Corrupt);
    }
    codec::decode(record).map_err(|cause| match cause {
        DecodeError::Malformed => StoreError::Corrupt,
        DecodeError::Newer(format) => StoreError::Newer(format),
    })
}

/// The sum that the bytes of a record begin with; 0 if there is none.
pub(super) fn sum_in(bytes: &[u8]) -> u64 {
    bytes.first_chunk::<SUM>().map_or(0, |sum| u64::from_le_bytes(*sum))
}

pub(super) fn sum_of(key: &StoreKey, record: &[u8]) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&key.as_bytes()[..8]);
    xxh64(record, u64::from_le_bytes(first) ^ 1)
}
