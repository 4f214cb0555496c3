//! What lies in a record's file, byte by byte.
//!
//! ```text
//!      0 +--------------------------------------+
//!        | head, 64 bytes, written once         |
//!     64 +--------------------------------------+
//!        | cell 0, 32 bytes: a visit            |
//!     96 +--------------------------------------+
//!        | cell 1, 32 bytes: likewise           |
//!    128 +--------------------------------------+
//!        | slot 0, S bytes: a version           |
//!  128+S +--------------------------------------+
//!        | slot 1, S bytes: the one before,     |
//!        |                  or the one after    |
//! 128+2S +--------------------------------------+
//!
//! head   0  8  magic "sessfile"
//!        8  2  layout, u16: 1
//!       10  2  0
//!       12  4  S, u32: bytes of a slot; the whole is a power of two, at least 2048
//!       16 40  0
//!       56  8  XXH64 of the 56 bytes before
//!
//! cell   0  8  XXH64 of the 24 bytes behind, seeded with the incarnation
//!        8  8  sequence of the version that was visited
//!       16  8  accessed, microseconds since 1970
//!       24  8  deadline, likewise
//!
//! slot   0  8  XXH64 of the rest of this head and the payload
//!        8  8  sequence, never 0
//!       16  8  incarnation
//!       24  4  length of the payload, u32, never 0
//!       28  4  0
//!       32  .  payload: what the codec makes of a record; what lies behind it means nothing
//! ```
//!
//! Numbers are little-endian. The version with the higher sequence counts. A write replaces the
//! other slot, so a write cut short anywhere leaves the version before. A visit replaces the cell
//! that says less, for the same reason; the later of those that name the version counts. A new
//! version starts with no visit but its own, because an update may shorten the life of a session.

use crate::core::clock::Time;
use crate::core::session::codec::RECORD_MAX;
use crate::core::store::Visit;
use crate::core::store::checksum::xxh64;

/// Bytes of the head.
pub const HEAD: usize = 64;
/// Bytes of a cell.
pub const CELL: usize = 32;
/// Where slot 0 starts.
pub const SLOTS: usize = HEAD + 2 * CELL;
/// Bytes of a slot before its payload.
pub const SLOT_HEAD: usize = 32;
/// Bytes of the smallest file: most sessions never need more.
pub const SMALLEST: usize = 2048;
/// Bytes of the largest file.
pub const LARGEST: usize = (4 * RECORD_MAX).next_power_of_two();

const MAGIC: &[u8; 8] = b"sessfile";
const LAYOUT: u16 = 1;

const _: () = assert!((SMALLEST - SLOTS).is_multiple_of(16) && SMALLEST.is_power_of_two());
const _: () = assert!(payload_room(LARGEST) >= RECORD_MAX && LARGEST < u32::MAX as usize);

/// Most bytes of payload in a file of `total` bytes.
const fn payload_room(total: usize) -> usize {
    (total - SLOTS) / 2 - SLOT_HEAD
}

/// What a writer has to know of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Bytes of each slot.
    pub slot_bytes: usize,
    /// The slot of the version that counts: 0 or 1.
    pub newest: usize,
    /// Its sequence.
    pub sequence: u64,
    /// Its incarnation. The same for the whole life of the file.
    pub incarnation: u64,
}

impl Facts {
    /// Whether a payload of `length` bytes fits into a slot.
    pub fn has_room(&self, length: usize) -> bool {
        length <= self.slot_bytes - SLOT_HEAD
    }

    /// Bytes of the file.
    pub fn bytes(&self) -> u64 {
        (SLOTS + 2 * self.slot_bytes) as u64
    }

    /// The facts once the version `sequence` is written, and where in the file it goes.
    pub fn next(&self, sequence: u64) -> (Facts, usize) {
        let newest = 1 - self.newest;
        (Facts { newest, sequence, ..*self }, SLOTS + newest * self.slot_bytes)
    }
}

/// What bytes from the start of a file are.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// A record: facts, payload, and the latest visit beyond those in the payload.
    Version(Facts, &'a [u8], Option<Visit>),
    /// The file has this many bytes, or will have once it is made; these are fewer.
    Short(usize),
    /// The head is whole and of a newer layout.
    Newer(u16),
    /// No head, or no whole version.
    Damaged,
}

/// Makes sense of the first bytes of a file.
pub fn parse(bytes: &[u8]) -> Parsed<'_> {
    let Some(head) = bytes.first_chunk::<HEAD>() else { return Parsed::Short(SMALLEST) };
    if !head.starts_with(MAGIC) || u64_at(head, 56) != xxh64(&head[..56], 0) {
        return Parsed::Damaged;
    }
    let layout = u16::from_le_bytes([head[8], head[9]]);
    if layout > LAYOUT {
        return Parsed::Newer(layout);
    }
    let slot_bytes = u32_at(head, 12);
    let total = slot_bytes.saturating_mul(2).saturating_add(SLOTS);
    if layout != LAYOUT || !total.is_power_of_two() || !(SMALLEST..=LARGEST).contains(&total) {
        return Parsed::Damaged;
    }
    match bytes.get(..total) {
        None => Parsed::Short(total),
        Some(whole) => newest_version(whole, slot_bytes),
    }
}

/// The highest sequence in a file of which `facts` were true, be its version whole or not; none if the file is
/// shorter.
pub fn latest_sequence(bytes: &[u8], facts: &Facts) -> Option<u64> {
    let of = |slot: usize| {
        let head = bytes.get(SLOTS + slot * facts.slot_bytes..)?.get(..SLOT_HEAD)?;
        Some(u64_at(head, 8))
    };
    Some(of(0)?.max(of(1)?))
}

fn newest_version(bytes: &[u8], slot_bytes: usize) -> Parsed<'_> {
    let sequence = |slot: usize| u64_at(bytes, SLOTS + slot * slot_bytes + 8);
    // Only if the later one is torn is the other one's sum worth its time.
    let later = usize::from(sequence(1) > sequence(0));
    for newest in [later, 1 - later] {
        let slot = &bytes[SLOTS + newest * slot_bytes..][..slot_bytes];
        if let Some(payload) = whole_slot(slot) {
            let (sequence, incarnation) = (u64_at(slot, 8), u64_at(slot, 16));
            let facts = Facts { slot_bytes, newest, sequence, incarnation };
            return Parsed::Version(facts, payload, latest_visit(bytes, &facts));
        }
    }
    Parsed::Damaged
}

fn whole_slot(slot: &[u8]) -> Option<&[u8]> {
    let length = u32_at(slot, 24);
    let payload = slot.get(SLOT_HEAD..SLOT_HEAD.checked_add(length)?)?;
    let whole = u64_at(slot, 8) != 0
        && !payload.is_empty()
        && u64_at(slot, 0) == xxh64(&slot[8..SLOT_HEAD + length], 0);
    whole.then_some(payload)
}

fn cells(bytes: &[u8], facts: &Facts) -> [Option<Visit>; 2] {
    [0, 1].map(|index| {
        let cell = &bytes[HEAD + index * CELL..][..CELL];
        let ours = u64_at(cell, 8) == facts.sequence
            && u64_at(cell, 0) == xxh64(&cell[8..], facts.incarnation);
        let visit = Visit { accessed: Time(u64_at(cell, 16)), deadline: Time(u64_at(cell, 24)) };
        ours.then_some(visit)
    })
}

fn latest_visit(bytes: &[u8], facts: &Facts) -> Option<Visit> {
    match cells(bytes, facts) {
        [Some(a), Some(b)] => Some(later(a, b)),
        [one, other] => one.or(other),
    }
}

/// The later of both times of two visits.
pub fn later(a: Visit, b: Visit) -> Visit {
    Visit { accessed: a.accessed.max(b.accessed), deadline: a.deadline.max(b.deadline) }
}

/// The bytes of a cell that records `visit`, and where they go, in a file that starts with `bytes`.
pub fn build_cell(bytes: &[u8], facts: &Facts, visit: Visit) -> ([u8; CELL], usize) {
    let mut cell = [0; CELL];
    cell[8..16].copy_from_slice(&facts.sequence.to_le_bytes());
    cell[16..24].copy_from_slice(&visit.accessed.0.to_le_bytes());
    cell[24..32].copy_from_slice(&visit.deadline.0.to_le_bytes());
    let check = xxh64(&cell[8..], facts.incarnation);
    cell[..8].copy_from_slice(&check.to_le_bytes());
    let rank = |visit: Option<Visit>| visit.map(|visit| (visit.accessed, visit.deadline));
    let [first, second] = cells(bytes, facts).map(rank);
    let index = usize::from(second < first);
    (cell, HEAD + index * CELL)
}

/// Fills in the head of a slot whose payload follows it already.
pub fn seal_slot(slot: &mut [u8], sequence: u64, incarnation: u64) {
    let length = (slot.len() - SLOT_HEAD) as u32;
    slot[8..16].copy_from_slice(&sequence.to_le_bytes());
    slot[16..24].copy_from_slice(&incarnation.to_le_bytes());
    slot[24..28].copy_from_slice(&length.to_le_bytes());
    slot[28..32].fill(0);
    let check = xxh64(&slot[8..], 0);
    slot[..8].copy_from_slice(&check.to_le_bytes());
}

/// The bytes of a new file with `slot`, sealed, as its only version, and the facts about it.
pub fn build_file(slot: &[u8]) -> (Vec<u8>, Facts) {
    let mut total = SMALLEST;
    while payload_room(total) < slot.len() - SLOT_HEAD {
        total *= 2;
    }
    let slot_bytes = (total - SLOTS) / 2;
    let mut bytes = vec![0; total];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..10].copy_from_slice(&LAYOUT.to_le_bytes());
    bytes[12..16].copy_from_slice(&(slot_bytes as u32).to_le_bytes());
    let check = xxh64(&bytes[..56], 0);
    bytes[56..64].copy_from_slice(&check.to_le_bytes());
    bytes[SLOTS..SLOTS + slot.len()].copy_from_slice(slot);
    let (sequence, incarnation) = (u64_at(slot, 8), u64_at(slot, 16));
    (bytes, Facts { slot_bytes, newest: 0, sequence, incarnation })
}

/// The number at `at`; the callers have made sure that it is there.
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}

fn u32_at(bytes: &[u8], at: usize) -> usize {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number) as usize
}
