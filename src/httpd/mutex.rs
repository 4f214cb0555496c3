//! A pool of APR global mutexes, made and owned as httpd's `Mutex` directive says.

use std::ffi::{CStr, CString};
use std::time::Duration;

use super::sys;

/// Most mutexes of a mechanism that needs a file, and descriptors in every child, for each.
pub const FILE_MECHANISM_MAX: u32 = 64;

/// Most tries before a wait, and pauses of the processor behind each: about 10 microseconds in all. What is
/// done under a mutex takes less, and a wait takes more: APR's mutexes hand themselves over to who waits,
/// and nobody can have them until that one has been woken. Where all writers want one mutex, as with LMDB,
/// that cost an eighth of a request's time (measured by perf).
const TRIES: u32 = 40;
const PAUSES: u32 = 8;

/// Mutexes that every process of the server shares. Made in the parent; each child attaches itself.
pub struct MutexPool {
    mutexes: Vec<*mut sys::apr_global_mutex_t>,
    mechanism: sys::apr_lockmech_e,
}

// SAFETY: APR's global mutexes are made to be used by all threads and processes; the vector does not
// change after the pool was attached, which happens before a child has threads.
unsafe impl Send for MutexPool {}
// SAFETY: as above.
unsafe impl Sync for MutexPool {}

/// Why there is no pool.
#[derive(Debug)]
pub enum PoolError {
    /// httpd or APR failed, with this status; httpd has logged why.
    Failed(i32),
    /// The configured mechanism keeps a mutex locked for ever when its holder dies.
    PosixSem,
}

impl MutexPool {
    /// Makes up to `count` mutexes of a registered type, at most [`FILE_MECHANISM_MAX`] where each
    /// needs a file.
    ///
    /// # Safety
    /// `server` is httpd's main server, `pool` lives as long as the result is used, and the type was
    /// registered in `pre_config`.
    pub unsafe fn create(
        kind: &CStr,
        count: u32,
        server: *mut sys::server_rec,
        pool: *mut sys::apr_pool_t,
    ) -> Result<MutexPool, PoolError> {
        // SAFETY: as the caller says.
        unsafe { MutexPool::create_named(kind, "", count, server, pool) }
    }

    /// The same, with instances that are named `prefix` and a number.
    ///
    /// # Safety
    /// As [`MutexPool::create`].
    pub unsafe fn create_named(
        kind: &CStr,
        prefix: &str,
        count: u32,
        server: *mut sys::server_rec,
        pool: *mut sys::apr_pool_t,
    ) -> Result<MutexPool, PoolError> {
        let mut made = MutexPool { mutexes: Vec::new(), mechanism: 0 };
        for index in 0..count {
            if index >= FILE_MECHANISM_MAX && made.needs_files() {
                break;
            }
            // SAFETY: as the caller says.
            let mutex = unsafe { create(kind, &format!("{prefix}{index}"), server, pool)? };
            made.mutexes.push(mutex);
            if index == 0 {
                // SAFETY: a mutex that was just made.
                made.mechanism = unsafe { sys::apr_global_mutex_mech(mutex) };
                if made.mechanism == sys::apr_lockmech_e_APR_LOCK_POSIXSEM {
                    return Err(PoolError::PosixSem);
                }
            }
        }
        Ok(made)
    }

    /// The mechanism that the `Mutex` directive chooses for a registered type now; none if it cannot be
    /// had. Makes a mutex to see it, and destroys it.
    ///
    /// # Safety
    /// As [`MutexPool::create`].
    pub unsafe fn configured(
        kind: &CStr,
        server: *mut sys::server_rec,
        pool: *mut sys::apr_pool_t,
    ) -> Option<&'static str> {
        // Not the name of one in use: a file mechanism would find its file there.
        // SAFETY: as the caller says.
        let mutex = unsafe { create(kind, "configured", server, pool) }.ok()?;
        // SAFETY: a mutex that was just made.
        let mechanism = unsafe { sys::apr_global_mutex_mech(mutex) };
        // SAFETY: nobody else knows of it. If that fails it goes with the pool.
        unsafe { sys::apr_global_mutex_destroy(mutex) };
        Some(name_of(mechanism))
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.mutexes.len() as u32
    }

    /// The mechanism's name, as the `Mutex` directive spells it.
    pub fn mechanism(&self) -> &'static str {
        name_of(self.mechanism)
    }

    fn needs_files(&self) -> bool {
        matches!(
            self.mechanism,
            sys::apr_lockmech_e_APR_LOCK_FCNTL | sys::apr_lockmech_e_APR_LOCK_FLOCK
        )
    }

    /// The mutexes as a child that inherited them uses them.
    ///
    /// # Safety
    /// Called once in a new child, before it has threads; `pool` lives as long as the child.
    pub unsafe fn attached(&self, pool: *mut sys::apr_pool_t) -> Result<MutexPool, i32> {
        let mut mutexes = self.mutexes.clone();
        for mutex in &mut mutexes {
            // SAFETY: a mutex the parent made; its lock file is the one it was made with.
            let file = unsafe { sys::apr_global_mutex_lockfile(*mutex) };
            // SAFETY: the caller vouches for the moment and the pool.
            let status = unsafe { sys::apr_global_mutex_child_init(mutex, file, pool) };
            if status != 0 {
                return Err(status);
            }
        }
        Ok(MutexPool { mutexes, mechanism: self.mechanism })
    }

    /// Keeps the mutexes' mappings, one each, out of processes that a child forks: with 1,024 of them a
    /// fork takes six times as long, and a CGI script needs none.
    pub fn dont_fork(&self) {
        if self.mechanism != sys::apr_lockmech_e_APR_LOCK_PROC_PTHREAD {
            return;
        }
        for mutex in &self.mutexes {
            // SAFETY: a plain struct of pointers that the next call fills.
            let mut os: sys::apr_os_global_mutex_t = unsafe { std::mem::zeroed() };
            // SAFETY: a live mutex.
            let got = unsafe { sys::apr_os_global_mutex_get(&mut os, *mutex) };
            // SAFETY: as above.
            let mut inner: sys::apr_os_proc_mutex_t = unsafe { std::mem::zeroed() };
            // SAFETY: the process mutex of a live global mutex.
            if got == 0 && unsafe { sys::apr_os_proc_mutex_get(&mut inner, os.proc_mutex) } == 0 {
                keep_from_forks(inner.pthread_interproc.cast());
            }
        }
    }

    /// How often a mutex is tried before the kernel is asked to wait for it. Where trying is a call into
    /// the kernel itself, once.
    fn tries(&self) -> u32 {
        if self.mechanism == sys::apr_lockmech_e_APR_LOCK_PROC_PTHREAD { TRIES } else { 1 }
    }

    /// Takes a mutex, waiting at most `timeout`. `Ok(false)`: it was not free in time.
    pub fn lock(&self, index: u32, timeout: Duration) -> Result<bool, i32> {
        let Some(mutex) = self.mutexes.get(index as usize) else {
            return Err(sys::APR_EINVAL as i32);
        };
        for _ in 0..self.tries() {
            // SAFETY: a live mutex that this child is attached to.
            let status = unsafe { sys::apr_global_mutex_trylock(*mutex) };
            if status == 0 {
                return Ok(true);
            }
            (0..PAUSES).for_each(|_| std::hint::spin_loop());
        }
        let micros = i64::try_from(timeout.as_micros()).unwrap_or(i64::MAX);
        // SAFETY: as above.
        match unsafe { sys::apr_global_mutex_timedlock(*mutex, micros) } {
            0 => Ok(true),
            status if status == TIMEUP => Ok(false),
            status => Err(status),
        }
    }

    /// Gives a mutex back, in the thread that took it.
    pub fn unlock(&self, index: u32) {
        if let Some(mutex) = self.mutexes.get(index as usize) {
            // SAFETY: as above. It fails only for a mutex that this thread does not hold.
            unsafe { sys::apr_global_mutex_unlock(*mutex) };
        }
    }
}

/// # Safety
/// As [`MutexPool::create`].
unsafe fn create(
    kind: &CStr,
    instance: &str,
    server: *mut sys::server_rec,
    pool: *mut sys::apr_pool_t,
) -> Result<*mut sys::apr_global_mutex_t, PoolError> {
    let instance = CString::new(instance).unwrap_or_default();
    let mut mutex = std::ptr::null_mut();
    // SAFETY: the caller vouches for server, pool and type; the strings outlive the call, which copies
    // what it keeps.
    let status = unsafe {
        sys::ap_global_mutex_create(
            &mut mutex,
            std::ptr::null_mut(),
            kind.as_ptr(),
            instance.as_ptr(),
            server,
            pool,
            0,
        )
    };
    if status != 0 || mutex.is_null() { Err(PoolError::Failed(status)) } else { Ok(mutex) }
}

fn name_of(mechanism: sys::apr_lockmech_e) -> &'static str {
    match mechanism {
        sys::apr_lockmech_e_APR_LOCK_FCNTL => "fcntl",
        sys::apr_lockmech_e_APR_LOCK_FLOCK => "flock",
        sys::apr_lockmech_e_APR_LOCK_SYSVSEM => "sysvsem",
        sys::apr_lockmech_e_APR_LOCK_PROC_PTHREAD => "pthread",
        sys::apr_lockmech_e_APR_LOCK_POSIXSEM => "posixsem",
        _ => "default",
    }
}

/// `APR_TIMEUP`: bindgen cannot evaluate the macro.
pub const TIMEUP: i32 = 70007;

fn keep_from_forks(at: *mut libc::c_void) {
    // SAFETY: asks for a constant.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    if at.is_null() || page <= 0 || !(at as usize).is_multiple_of(page as usize) {
        return;
    }
    // SAFETY: APR maps each of these mutexes by itself, at the start of a page of its own; advice about
    // that mapping changes nothing in this process.
    unsafe {
        libc::madvise(at, page as usize, libc::MADV_DONTFORK);
    }
}
