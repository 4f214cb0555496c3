//! A record's file once it is open: reading it, and writing a version into it.

use std::os::fd::OwnedFd;

use rustix::io::{Errno, Result as SysResult, pread, pwrite, retry_on_intr};

use super::layout::{self, CELL, Facts, Parsed, SLOT_HEAD};
use crate::core::clock::{Clock, SystemClock, Time};
use crate::core::session::codec::{self, DecodeError};
use crate::core::session::record::Record;
use crate::core::store::{StoreError, Visit};

/// How much is read at once: a page, and twice the smallest file.
const FIRST_READ: usize = layout::SMALLEST;

/// An open file with what is known of it; what a load leaves for the update that follows.
pub struct OpenFile {
    /// Open for reading and writing.
    pub fd: OwnedFd,
    /// As of the latest read or write through `fd`.
    pub facts: Facts,
    /// Of the user of that version, see [`super::users::mark_of`].
    pub mark: u64,
    /// When it was read, or written, last: not later than that.
    pub known_at: Time,
}

/// What lies in a file.
#[expect(clippy::large_enum_variant, reason = "one at a time, on the stack, for one call")]
pub enum Seen {
    /// A record, with the times of its latest visit.
    Record(Facts, Record),
    /// Too short: being made, or left by a killed process.
    Unfinished,
    /// Not ours, or without a whole version.
    Damaged,
    /// Written by a newer release; its format.
    Newer(u16),
}

/// For `map_err`: the error of a system call.
pub fn failed(doing: &'static str) -> impl FnOnce(Errno) -> StoreError {
    move |errno| StoreError::Io { doing, cause: errno.into() }
}

/// Room for the bytes of a file.
pub struct Buffer {
    first: [u8; FIRST_READ],
    large: Vec<u8>,
}

impl Buffer {
    /// An empty one.
    pub fn new() -> Buffer {
        Buffer { first: [0; FIRST_READ], large: Vec::new() }
    }

    /// The bytes of a file, as many as its head announces, by one system call for most files.
    /// Nothing for what is no file of ours by its nature.
    pub fn read(&mut self, fd: &OwnedFd) -> Result<&[u8], StoreError> {
        let length = match fill(fd, &mut self.first) {
            Err(Errno::ISDIR | Errno::INVAL | Errno::SPIPE | Errno::NXIO) => 0,
            other => other.map_err(failed("reading a record"))?,
        };
        let first = &self.first[..length];
        match layout::parse(first) {
            Parsed::Short(total) if total > FIRST_READ && length == FIRST_READ => {
                self.large.resize(total, 0);
                let length = fill(fd, &mut self.large).map_err(failed("reading a record"))?;
                Ok(&self.large[..length])
            }
            _ => Ok(first),
        }
    }
}

/// Reads from the start until `buffer` is full or the file ends.
fn fill(fd: &OwnedFd, buffer: &mut [u8]) -> SysResult<usize> {
    let mut length = retry_on_intr(|| pread(fd, &mut *buffer, 0))?;
    // A file that ends early ends there: asking again would cost a call for each of the small ones.
    while length < buffer.len() && length >= FIRST_READ {
        match retry_on_intr(|| pread(fd, &mut buffer[length..], length as u64))? {
            0 => break,
            more => length += more,
        }
    }
    Ok(length)
}

/// What the bytes of a file say.
pub fn understand(bytes: &[u8]) -> Seen {
    let (facts, payload, visit) = match layout::parse(bytes) {
        Parsed::Version(facts, payload, visit) => (facts, payload, visit),
        Parsed::Short(_) => return Seen::Unfinished,
        Parsed::Newer(format) => return Seen::Newer(format),
        Parsed::Damaged => return Seen::Damaged,
    };
    match codec::decode(payload) {
        Ok(record) if record.incarnation == facts.incarnation => {
            Seen::Record(facts, visited(record, visit))
        }
        Err(DecodeError::Newer(format)) => Seen::Newer(format),
        Ok(_) | Err(DecodeError::Malformed) => Seen::Damaged,
    }
}

fn visited(mut record: Record, visit: Option<Visit>) -> Record {
    if let Some(visit) = visit {
        record.accessed = record.accessed.max(visit.accessed);
        record.deadline = record.deadline.max(visit.deadline);
    }
    record
}

/// A version that is not sealed yet: room for its head, then the bytes of `record`.
pub fn version_of(record: &Record) -> Result<Vec<u8>, StoreError> {
    let mut slot = Vec::with_capacity(layout::SMALLEST / 2);
    slot.resize(SLOT_HEAD, 0);
    codec::encode_into(record, &mut slot)?;
    Ok(slot)
}

/// The sequence of the version after `before`: the time, so that a writer whose facts are out of
/// date still writes the version that counts; later than `before` even if the clock was set back.
pub fn sequence_after(before: u64) -> u64 {
    SystemClock.now().0.max(before.saturating_add(1))
}

/// Writes `bytes` at `offset`: one system call unless the system cuts it short.
pub fn write_at(fd: &OwnedFd, bytes: &[u8], offset: usize) -> SysResult<()> {
    let mut done = 0;
    while done < bytes.len() {
        match retry_on_intr(|| pwrite(fd, &bytes[done..], (offset + done) as u64))? {
            // Nothing written and no reason given: a full file system is the usual one.
            0 => return Err(Errno::NOSPC),
            more => done += more,
        }
    }
    Ok(())
}

/// Writes a visit into the file whose bytes are `bytes`.
pub fn write_visit(fd: &OwnedFd, bytes: &[u8], facts: &Facts, visit: Visit) -> SysResult<()> {
    let (cell, offset): ([u8; CELL], usize) = layout::build_cell(bytes, facts, visit);
    write_at(fd, &cell, offset)
}
