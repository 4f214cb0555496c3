//! Brigades, as far as text at their front goes.

use std::marker::PhantomData;

use super::sys;

/// A brigade of a filter call.
pub struct Brigade<'b> {
    raw: *mut sys::apr_bucket_brigade,
    life: PhantomData<&'b ()>,
}

/// What a brigade begins with.
pub enum Front<'a> {
    /// Data.
    Data(&'a [u8]),
    /// An order to send what is there.
    Flush,
    /// An end, or something else without data.
    Mark,
    /// Nothing.
    Empty,
}

impl<'b> Brigade<'b> {
    /// Wraps a brigade.
    ///
    /// # Safety
    /// `raw` is a live brigade for as long as `'b`, used by one thread at a time.
    pub unsafe fn from_raw(raw: *mut sys::apr_bucket_brigade) -> Brigade<'b> {
        Brigade { raw, life: PhantomData }
    }

    /// What it begins with; data that is still to be made is waited for.
    pub fn front(&self) -> Result<Front<'_>, sys::apr_status_t> {
        let (mut data, mut len) = (std::ptr::null(), 0);
        let mut status = 0;
        // SAFETY: the brigade lives; the shim writes to the three variables.
        let kind = unsafe { sys::shim_front(self.raw, &mut data, &mut len, &mut status) };
        Ok(match kind {
            _ if status != 0 => return Err(status),
            sys::shim_front_kind_SHIM_FRONT_DATA if data.is_null() => Front::Data(&[]),
            sys::shim_front_kind_SHIM_FRONT_DATA => {
                // SAFETY: not null; the bytes of the first bucket, which lives as it is until the brigade
                // is changed through an exclusive reference.
                Front::Data(unsafe { std::slice::from_raw_parts(data.cast(), len) })
            }
            sys::shim_front_kind_SHIM_FRONT_FLUSH => Front::Flush,
            sys::shim_front_kind_SHIM_FRONT_MARK => Front::Mark,
            _ => Front::Empty,
        })
    }

    /// Removes the first bytes of the first data; at most as many as it has.
    pub fn drop_front(&mut self, count: usize) {
        // SAFETY: the brigade lives.
        unsafe { sys::shim_drop_front(self.raw, count) }
    }

    /// Puts a copy of bytes in front.
    pub fn push_front(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            // SAFETY: the brigade lives; the shim copies the bytes.
            unsafe { sys::shim_push_front(self.raw, bytes.as_ptr().cast(), bytes.len()) }
        }
    }
}
