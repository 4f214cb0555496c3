//! APR pools: memory that is freed as a whole.

use std::ffi::{CString, c_char, c_void};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::null_mut;

use super::sys;

/// A pool that outlives every use of this value; see the constructor.
#[derive(Clone, Copy)]
pub struct Pool(*mut sys::apr_pool_t);

impl Pool {
    /// Wraps a pool.
    ///
    /// # Safety
    /// `pool` is a live pool, and is used as long as it lives and by one thread at a time only.
    pub unsafe fn from_raw(pool: *mut sys::apr_pool_t) -> Pool {
        Pool(pool)
    }

    /// The pool for a C function.
    pub fn as_ptr(self) -> *mut sys::apr_pool_t {
        self.0
    }

    /// Copies bytes into the pool with a NUL behind them.
    pub fn bytes(self, bytes: &[u8]) -> *const c_char {
        // SAFETY: the pool lives (constructor); APR copies `len` bytes from a valid slice and ends the
        // process itself when there is no memory.
        unsafe { sys::apr_pstrmemdup(self.0, bytes.as_ptr().cast(), bytes.len()) }
    }

    /// Moves a value into memory of the pool. It is not dropped when that is freed.
    pub fn place<T>(self, value: T) -> *mut T {
        // What `apr_palloc` gives is aligned for everything up to this.
        const { assert!(align_of::<T>() <= 8) };
        // SAFETY: the pool lives; APR ends the process itself when there is no memory.
        let place = unsafe { sys::apr_palloc(self.0, size_of::<T>().max(1)) }.cast::<T>();
        // SAFETY: new memory of that size and alignment.
        unsafe { place.write(value) };
        place
    }

    /// Moves a value into memory of the pool, to be dropped by its owner.
    ///
    /// # Safety
    /// The owner is dropped before the pool's memory is freed: at the latest by a cleanup of the pool.
    pub unsafe fn own<T>(self, value: T) -> Placed<T> {
        Placed(self.place(value), PhantomData)
    }

    /// Moves a value into the pool's keeping: it is dropped when the pool is cleared.
    pub fn keep<T>(self, value: T) -> *mut T {
        let kept = self.place(value);
        // SAFETY: the pool lives; `drop_kept::<T>` is handed exactly this pointer once, and the library
        // that holds it is never unmapped.
        unsafe {
            sys::apr_pool_cleanup_register(
                self.0,
                kept.cast(),
                Some(drop_kept::<T>),
                Some(sys::apr_pool_cleanup_null),
            );
        }
        kept
    }

    /// Has `cleanup` called with `data` before anything that hangs on the pool is cleared.
    ///
    /// # Safety
    /// As [`Pool::on_clear`].
    pub unsafe fn before_clear(
        self,
        data: *const c_void,
        cleanup: unsafe extern "C" fn(*mut c_void) -> sys::apr_status_t,
    ) {
        // SAFETY: the pool lives; the caller vouches for the pair.
        unsafe { sys::apr_pool_pre_cleanup_register(self.0, data, Some(cleanup)) };
    }

    /// Has `cleanup` called with `data` when the pool is cleared.
    ///
    /// # Safety
    /// `data` is what `cleanup` expects, and lives until then.
    pub unsafe fn on_clear(
        self,
        data: *mut c_void,
        cleanup: unsafe extern "C" fn(*mut c_void) -> sys::apr_status_t,
    ) {
        // SAFETY: the pool lives; the caller vouches for the pair.
        unsafe {
            sys::apr_pool_cleanup_register(
                self.0,
                data,
                Some(cleanup),
                Some(sys::apr_pool_cleanup_null),
            );
        }
    }
}

/// A value in memory of a pool, where asking for memory costs next to nothing: what `Box` is elsewhere.
pub struct Placed<T>(*mut T, PhantomData<T>);

impl<T> Placed<T> {
    /// Takes over a value that [`Pool::place`] placed.
    ///
    /// # Safety
    /// As [`Pool::own`]; nobody else has the address.
    pub unsafe fn from_raw(placed: *mut T) -> Placed<T> {
        Placed(placed, PhantomData)
    }
}

impl<T> Deref for Placed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: placed by `Pool::place`; who made this vouches for the pool, and that nobody else has the
        // address.
        unsafe { &*self.0 }
    }
}

impl<T> DerefMut for Placed<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above.
        unsafe { &mut *self.0 }
    }
}

impl<T> Drop for Placed<T> {
    fn drop(&mut self) {
        // SAFETY: as above; nobody drops it twice.
        unsafe { self.0.drop_in_place() }
    }
}

/// A pool for one call, of this thread alone.
pub struct Scratch(*mut sys::apr_pool_t);

impl Scratch {
    /// A new one.
    ///
    /// # Errors
    /// APR's status.
    pub fn new() -> Result<Scratch, i32> {
        let mut pool = null_mut();
        // SAFETY: a child of APR's global pool, whose lists and memory have a mutex.
        match unsafe { sys::apr_pool_create_ex(&mut pool, null_mut(), None, null_mut()) } {
            0 => Ok(Scratch(pool)),
            status => Err(status),
        }
    }

    /// The pool for a C function.
    pub fn as_ptr(&self) -> *mut sys::apr_pool_t {
        self.0
    }

    /// A pool that is never cleared, for what lives as long as a child: children end without cleanups of
    /// ours, since other threads may still be at work then.
    pub fn for_ever(self) -> Pool {
        Pool(std::mem::ManuallyDrop::new(self).0)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // SAFETY: made by `new`, and nobody else destroys it.
        unsafe { sys::apr_pool_destroy(self.0) }
    }
}

unsafe extern "C" fn drop_kept<T>(kept: *mut c_void) -> sys::apr_status_t {
    // SAFETY: `Pool::keep` placed a value of this type there, and nobody else drops it; cleanups run
    // before the memory goes.
    unsafe { kept.cast::<T>().drop_in_place() };
    0
}

/// An APR array of C strings in the pool.
pub fn array(pool: Pool, items: Vec<*const c_char>) -> *const sys::apr_array_header_t {
    let count = i32::try_from(items.len()).unwrap_or(i32::MAX);
    // SAFETY: the pool lives; an array of pointers.
    let array = unsafe {
        sys::apr_array_make(pool.as_ptr(), count.max(1), size_of::<*const c_char>() as i32)
    };
    for item in items {
        // SAFETY: the array was just made.
        let room = unsafe { sys::apr_array_push(array) };
        // SAFETY: APR returned room for one more element, and elements are pointers.
        unsafe { room.cast::<*const c_char>().write(item) };
    }
    array
}

/// A C string for a call, without what comes behind a NUL.
pub fn c_string(text: &str) -> CString {
    CString::new(text.split('\0').next().unwrap_or_default()).unwrap_or_default()
}
