//! Memory that all processes of a server share, and sleeping on it.

use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// Words of 64 bits in an anonymous mapping that children inherit. Never unmapped: it is made once per
/// process tree and kept over graceful restarts.
#[derive(Clone, Copy)]
pub struct SharedWords {
    words: &'static [AtomicU64],
}

impl SharedWords {
    /// Maps `count` words, all zero.
    pub fn map(count: usize) -> io::Result<SharedWords> {
        let bytes = count.max(1).saturating_mul(size_of::<AtomicU64>());
        // SAFETY: a fresh anonymous mapping at an address the kernel chooses.
        let at = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the mapping is page-aligned, `count` words long, zeroed, and never unmapped.
        Ok(unsafe { SharedWords::at(at.cast(), count) })
    }

    /// The words of a mapping made before, by [`SharedWords::map`] in this process or its parent.
    ///
    /// # Safety
    /// `start` and `count` are those of such a mapping.
    pub unsafe fn at(start: *const AtomicU64, count: usize) -> SharedWords {
        // SAFETY: the caller vouches for the mapping. Atomics may be shared between processes: each
        // sees the same memory, and `AtomicU64` has no state elsewhere.
        SharedWords { words: unsafe { std::slice::from_raw_parts(start, count) } }
    }

    /// All words.
    pub fn words(self) -> &'static [AtomicU64] {
        self.words
    }

    /// Sleeps until [`SharedWords::wake`], at most `timeout`, and not at all if the low half of the word
    /// is not `expected`.
    pub fn sleep(self, word: usize, expected: u32, timeout: Duration) {
        let Some(low) = self.low_half(word) else { return };
        let limit = libc::timespec {
            tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        // SAFETY: the address is that of a live word in shared memory; the call reads it and `limit`.
        // Not FUTEX_PRIVATE: sleeper and waker may be different processes. An error (changed value,
        // signal, timeout) means that the caller looks again, as it does in any case.
        unsafe {
            libc::syscall(libc::SYS_futex, low.as_ptr(), libc::FUTEX_WAIT, expected, &limit);
        }
    }

    /// Wakes who sleeps on the word.
    pub fn wake(self, word: usize) {
        if let Some(low) = self.low_half(word) {
            // SAFETY: as above; the call only looks up who sleeps on the address.
            unsafe {
                libc::syscall(libc::SYS_futex, low.as_ptr(), libc::FUTEX_WAKE, i32::MAX);
            }
        }
    }

    /// Keeps the mapping out of processes this one forks (CGI scripts): they exec at once and copying
    /// page tables for them costs time.
    pub fn dont_fork(self) {
        let bytes = std::mem::size_of_val(self.words);
        // SAFETY: advice about a mapping of ours; it changes nothing in this process.
        unsafe {
            libc::madvise(self.words.as_ptr().cast_mut().cast(), bytes, libc::MADV_DONTFORK);
        }
    }

    fn low_half(self, word: usize) -> Option<&'static AtomicU32> {
        let at = std::ptr::from_ref(self.words.get(word)?).cast::<AtomicU32>();
        let at = if cfg!(target_endian = "big") { at.wrapping_add(1) } else { at };
        // SAFETY: half of a live atomic word, aligned for 4 bytes; both sizes are accessed atomically.
        Some(unsafe { &*at })
    }
}

/// Reads a word; none past the end.
pub fn load(words: &[AtomicU64], index: usize) -> u64 {
    words.get(index).map_or(0, |word| word.load(Ordering::Acquire))
}

/// Writes a word.
pub fn store(words: &[AtomicU64], index: usize, value: u64) {
    if let Some(word) = words.get(index) {
        word.store(value, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_sleeper_is_woken_and_a_changed_word_does_not_sleep() {
        let shared = SharedWords::map(4).unwrap();
        let start = Instant::now();
        shared.sleep(2, 7, Duration::from_secs(60));
        assert!(start.elapsed() < Duration::from_secs(30), "the word is 0, not 7");
        let sleeper = std::thread::spawn(move || {
            while load(shared.words(), 2) == 0 {
                shared.sleep(2, 0, Duration::from_secs(60));
            }
        });
        store(shared.words(), 2, 1);
        shared.wake(2);
        sleeper.join().unwrap();
        assert!(start.elapsed() < Duration::from_secs(30));
    }
}
