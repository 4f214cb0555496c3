//! Threads of our own in processes of others.

use std::io;
use std::mem::MaybeUninit;
use std::thread;

/// Starts a thread on which no signal is handled: those of a process are meant for the threads of its
/// program, whose handlers may end it.
///
/// # Errors
/// The system has no thread to give.
pub fn spawn(name: &str, body: Box<dyn FnOnce() + Send>) -> io::Result<()> {
    let before = block_all()?;
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(body);
    // SAFETY: the mask that the call below filled; a thread inherits its maker's, so that the new one
    // keeps all blocked.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut()) };
    spawned.map(drop)
}

/// Blocks every signal on this thread and returns what was blocked before.
fn block_all() -> io::Result<libc::sigset_t> {
    let mut all = MaybeUninit::uninit();
    // SAFETY: fills the set it is given.
    unsafe { libc::sigfillset(all.as_mut_ptr()) };
    let mut before = MaybeUninit::uninit();
    // SAFETY: the first set was filled above, the second one is written.
    let status =
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) };
    if status != 0 {
        return Err(io::Error::from_raw_os_error(status));
    }
    // SAFETY: the call succeeded and wrote it.
    Ok(unsafe { before.assume_init() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks_sigterm() -> bool {
        let mut now = MaybeUninit::uninit();
        // SAFETY: without a new set only the present one is written.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, std::ptr::null(), now.as_mut_ptr()) };
        // SAFETY: the call above wrote it.
        let now = unsafe { now.assume_init() };
        // SAFETY: a set that was written.
        unsafe { libc::sigismember(&now, libc::SIGTERM) == 1 }
    }

    #[test]
    fn the_new_thread_blocks_signals_and_its_maker_does_not() {
        let (tell, told) = std::sync::mpsc::channel();
        spawn("test", Box::new(move || tell.send(blocks_sigterm()).unwrap())).unwrap();
        assert!(told.recv().unwrap());
        assert!(!blocks_sigterm());
    }
}
