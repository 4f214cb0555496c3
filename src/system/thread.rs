//! Threads of our own, beside those of the server.

use std::io;
use std::thread::{Builder, JoinHandle};

/// Starts a thread that no signal is delivered to: their handlers belong to the server's own threads.
pub fn start(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let before = block_all();
    let started = Builder::new().name(name.to_owned()).spawn(body);
    // SAFETY: the mask this thread had; the new one keeps the one it was started with.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut()) };
    started
}

/// Blocks every signal in this thread, and returns what was blocked before.
fn block_all() -> libc::sigset_t {
    // SAFETY: a set of signals is plain data.
    let mut all: libc::sigset_t = unsafe { std::mem::zeroed() };
    let mut before = all;
    // SAFETY: fills the set.
    unsafe { libc::sigfillset(&raw mut all) };
    // SAFETY: reads one set and writes the other.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before) };
    before
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_blocked(signal: i32) -> bool {
        // SAFETY: as in `block_all`.
        let mut now: libc::sigset_t = unsafe { std::mem::zeroed() };
        // SAFETY: reads the mask of this thread.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &raw mut now) };
        // SAFETY: a set that was filled.
        unsafe { libc::sigismember(&raw const now, signal) == 1 }
    }

    #[test]
    fn signals_stay_with_the_thread_that_starts_another() {
        let (told, hear) = std::sync::mpsc::channel();
        let thread = start("test", move || told.send(is_blocked(libc::SIGTERM)).unwrap()).unwrap();
        assert!(hear.recv().unwrap());
        thread.join().unwrap();
        assert!(!is_blocked(libc::SIGTERM));
    }
}
