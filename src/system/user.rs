//! Users and groups: who they are, and becoming one of them for good.

use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;

/// Room for the texts of an entry; names and paths are short.
const ROOM: usize = 16 * 1024;

/// User and group id of the user of this name; none if there is none.
pub fn ids_of(name: &str) -> Option<(u32, u32)> {
    let name = CString::new(name).ok()?;
    let mut entry = MaybeUninit::<libc::passwd>::uninit();
    let mut texts = vec![0; ROOM];
    let mut found = std::ptr::null_mut();
    // SAFETY: the name ends with NUL; entry, texts and found are ours and outlive the call.
    let status = unsafe {
        libc::getpwnam_r(
            name.as_ptr(),
            entry.as_mut_ptr(),
            texts.as_mut_ptr(),
            texts.len(),
            &raw mut found,
        )
    };
    if status != 0 || found.is_null() {
        return None;
    }
    // SAFETY: the call succeeded and found points to `entry`, which it has filled.
    let entry = unsafe { entry.assume_init_ref() };
    Some((entry.pw_uid, entry.pw_gid))
}

/// The id of the group of this name; none if there is none.
pub fn group_of(name: &str) -> Option<u32> {
    let name = CString::new(name).ok()?;
    let mut entry = MaybeUninit::<libc::group>::uninit();
    let mut texts = vec![0; ROOM];
    let mut found = std::ptr::null_mut();
    // SAFETY: as in `ids_of`.
    let status = unsafe {
        libc::getgrnam_r(
            name.as_ptr(),
            entry.as_mut_ptr(),
            texts.as_mut_ptr(),
            texts.len(),
            &raw mut found,
        )
    };
    if status != 0 || found.is_null() {
        return None;
    }
    // SAFETY: as in `ids_of`.
    Some(unsafe { entry.assume_init_ref() }.gr_gid)
}

/// The name of a user; none if it has none.
pub fn name_of(uid: u32) -> Option<String> {
    let mut entry = MaybeUninit::<libc::passwd>::uninit();
    let mut texts = vec![0; ROOM];
    let mut found = std::ptr::null_mut();
    // SAFETY: as in `ids_of`.
    let status = unsafe {
        libc::getpwuid_r(uid, entry.as_mut_ptr(), texts.as_mut_ptr(), texts.len(), &raw mut found)
    };
    if status != 0 || found.is_null() {
        return None;
    }
    // SAFETY: as in `ids_of`.
    let name = unsafe { entry.assume_init_ref() }.pw_name;
    // SAFETY: a C string in `texts`, which lives.
    Some(unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned())
}

/// Makes this process, which runs as root, the user `uid` with the group `gid` and no other, for good.
///
/// # Errors
/// The system refuses, or root would still be within reach. The process must not go on then.
pub fn become_user(uid: u32, gid: u32) -> io::Result<()> {
    // SAFETY: no groups at all: nothing is read.
    succeeded(unsafe { libc::setgroups(0, std::ptr::null()) })?;
    // SAFETY: numbers. Real, effective and saved id are set, in all threads.
    succeeded(unsafe { libc::setresgid(gid, gid, gid) })?;
    // SAFETY: as above.
    succeeded(unsafe { libc::setresuid(uid, uid, uid) })?;
    // SAFETY: as above; it has to fail.
    if uid != 0 && unsafe { libc::setuid(0) } == 0 {
        return Err(io::Error::other("root could be had back"));
    }
    Ok(())
}

fn succeeded(status: libc::c_int) -> io::Result<()> {
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_has_the_number_0_and_a_group_of_that_number() {
        assert_eq!(ids_of("root"), Some((0, 0)));
        assert_eq!(group_of("root"), Some(0));
        assert_eq!(name_of(0).as_deref(), Some("root"));
    }

    #[test]
    fn who_is_not_there_has_no_number() {
        for name in ["no-such-user-here", "", "a\0b"] {
            assert_eq!((ids_of(name), group_of(name)), (None, None), "{name}");
        }
        assert_eq!(name_of(u32::MAX - 7), None);
    }
}
