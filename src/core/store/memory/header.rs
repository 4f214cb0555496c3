//! What the memory says about itself: whether the sessions in it are still good.

use std::fmt;

use super::layout::{Layout, Part, UNSURE};
use super::shard::Shard;
use crate::core::lock::host::Words;
use crate::core::store::checksum::xxh64;

/// A tag and, in the low half, the version of the layout. Any change of the picture raises it.
const VERSION: u64 = 0x7353_6d65_0000_0002;
const TAG: u64 = VERSION >> 32;

/// The word that holds the process id of the server that uses the memory.
pub const PID_WORD: usize = 6;

const VERSION_WORD: usize = 0;
const BOOT_WORDS: [usize; 2] = [1, 2];
const BYTES_WORD: usize = 3;
const SHARDS_WORD: usize = 4;
const CHECK_WORD: usize = 5;

/// A start of the machine, as the system tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Boot([u64; 2]);

impl Boot {
    /// The latest start of this machine; none if the system does not tell.
    pub fn latest() -> Option<Boot> {
        Boot::parse(&std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?)
    }

    /// From the text of `/proc/sys/kernel/random/boot_id`: 32 hexadecimal digits among hyphens. None
    /// if it is something else.
    pub fn parse(text: &str) -> Option<Boot> {
        let digits: String = text.trim().chars().filter(|c| *c != '-').collect();
        let number = u128::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 32)?;
        Some(Boot([number as u64, (number >> 64) as u64]))
    }
}

/// Why memory that was found is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfit {
    /// Nothing was ever written to it.
    New,
    /// Another layout; this is its version.
    Layout(u32),
    /// Its header is damaged, or no header.
    Damaged,
    /// It was made with this many bytes.
    Bytes(u64),
    /// It has this many shards.
    Shards(u32),
    /// The machine was started again since: what was not on the disk by then is lost.
    Boot,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Misfit::New => f.write_str("it is new"),
            Misfit::Layout(version) => {
                write!(f, "its layout {version} is not {}", VERSION as u32)
            }
            Misfit::Damaged => f.write_str("its header is damaged"),
            Misfit::Bytes(bytes) => write!(f, "it was made with {bytes} bytes"),
            Misfit::Shards(shards) => write!(f, "it has {shards} shards"),
            Misfit::Boot => f.write_str("the machine was started again since"),
        }
    }
}

/// Whether memory of `layout`'s size holds a store of this layout, written since `boot`.
///
/// # Errors
/// It does not, and why.
pub fn check(words: &impl Words, layout: &Layout, boot: Option<Boot>) -> Result<(), Misfit> {
    let (found, then) = read(words, layout.bytes())?;
    if found.shards() != layout.shards() {
        return Err(Misfit::Shards(found.shards()));
    }
    if boot.is_none_or(|boot| boot != then) { Err(Misfit::Boot) } else { Ok(()) }
}

/// What the header of `bytes` bytes says: the layout, and when it was written.
///
/// # Errors
/// There is no header, or none of these many bytes.
pub fn read(words: &impl Words, bytes: u64) -> Result<(Layout, Boot), Misfit> {
    let version = words.load(VERSION_WORD);
    let tagged = version >> 32 == TAG;
    match version {
        VERSION => {}
        0 => return Err(Misfit::New),
        _ if tagged => return Err(Misfit::Layout(version as u32)),
        _ => return Err(Misfit::Damaged),
    }
    if words.load(CHECK_WORD) != sum(words) {
        return Err(Misfit::Damaged);
    }
    let written = words.load(BYTES_WORD);
    if written != bytes {
        return Err(Misfit::Bytes(written));
    }
    let shards = u32::try_from(words.load(SHARDS_WORD)).map_err(|_| Misfit::Damaged)?;
    let layout = Layout::new(bytes, shards).ok_or(Misfit::Damaged)?;
    Ok((layout, Boot(BOOT_WORDS.map(|word| words.load(word)))))
}

/// Makes an empty store in words that are all zero. What is linked is linked at the first use of each
/// shard, as after a kill.
pub fn create(words: &impl Words, layout: &Layout, boot: Option<Boot>) {
    let Boot(boot) = boot.unwrap_or(Boot([0; 2]));
    BOOT_WORDS.into_iter().zip(boot).for_each(|(word, value)| words.store(word, value));
    words.store(BYTES_WORD, layout.bytes());
    words.store(SHARDS_WORD, layout.shards().into());
    distrust(words, layout);
    words.store(CHECK_WORD, sum(words));
    words.store(VERSION_WORD, VERSION);
}

/// Has every shard made sure of at its next use.
pub fn distrust(words: &impl Words, layout: &Layout) {
    for index in 0..layout.shards() {
        Shard::new(words, layout, index).set_part(Part::Busy, UNSURE);
    }
}

/// Notes which server uses the memory.
pub fn claim(words: &impl Words, pid: u32) {
    words.store(PID_WORD, pid.into());
}

fn sum(words: &impl Words) -> u64 {
    let [low, high] = BOOT_WORDS;
    let bytes: Vec<u8> = [low, high, BYTES_WORD, SHARDS_WORD]
        .into_iter()
        .flat_map(|word| words.load(word).to_le_bytes())
        .collect();
    xxh64(&bytes, VERSION)
}
