//! Libraries that other parts of the process load and unload.

use std::ffi::{CStr, OsStr, c_void};
use std::mem::zeroed;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;

/// Keeps the library that holds `address` loaded to the end of the process, however often it is closed.
/// What is part of the program is there anyway.
///
/// httpd closes its modules at each restart and opens them again, maybe elsewhere: whoever keeps a
/// pointer into one over a restart has to keep it loaded.
///
/// # Errors
/// What `dlopen` says; the address is in no library.
pub fn keep_loaded(address: *const c_void) -> Result<(), String> {
    let info = library_of(address).ok_or("it is in no library")?;
    // SAFETY: asks for a number of this process.
    let entry = unsafe { libc::getauxval(libc::AT_ENTRY) };
    let program = library_of(std::ptr::with_exposed_provenance(entry as usize));
    if program.is_some_and(|program| program.dli_fbase == info.dli_fbase) {
        return Ok(());
    }
    let flags = libc::RTLD_NOW | libc::RTLD_NOLOAD | libc::RTLD_NODELETE;
    // SAFETY: the library is loaded, so nothing of it runs; the name is the loader's own.
    let kept = unsafe { libc::dlopen(info.dli_fname, flags) };
    if !kept.is_null() {
        return Ok(());
    }
    // SAFETY: the text of the failure just now, in this thread.
    let problem = unsafe { libc::dlerror() };
    if problem.is_null() {
        return Err("the loader does not know its library".to_owned());
    }
    // SAFETY: as above.
    Err(unsafe { CStr::from_ptr(problem) }.to_string_lossy().into_owned())
}

/// Which file a library was loaded from, and whether another one has its place now.
#[derive(Debug, PartialEq, Eq)]
pub struct Origin {
    path: PathBuf,
    /// Device, number and change of the file.
    file: Option<(u64, u64, i64, i64)>,
}

impl Origin {
    /// Of the library that holds `address`; none if it is in none.
    pub fn of(address: *const c_void) -> Option<Origin> {
        let info = library_of(address)?;
        if info.dli_fname.is_null() {
            return None;
        }
        // SAFETY: the loader's own name, which stays while the library is loaded.
        let name = unsafe { CStr::from_ptr(info.dli_fname) };
        let path = PathBuf::from(OsStr::from_bytes(name.to_bytes()));
        Some(Origin { file: file_at(&path), path })
    }

    /// Whether what is at the path now is another file, or none.
    pub fn is_replaced(&self) -> bool {
        file_at(&self.path) != self.file
    }
}

fn file_at(path: &Path) -> Option<(u64, u64, i64, i64)> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino(), found.mtime(), found.mtime_nsec()))
}

/// The function `name` of the program or of any library that shows its names to all; none if there is
/// none now. It may go with its library.
pub fn function(name: &CStr) -> Option<NonNull<c_void>> {
    // SAFETY: looks the name up and runs nothing.
    NonNull::new(unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) })
}

fn library_of(address: *const c_void) -> Option<libc::Dl_info> {
    // SAFETY: a struct of pointers, which the call fills.
    let mut info: libc::Dl_info = unsafe { zeroed() };
    // SAFETY: looks the address up and reads nothing there.
    (unsafe { libc::dladdr(address, &mut info) } != 0).then_some(info)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_found_by_its_name() {
        assert_eq!(function(c"malloc").map(NonNull::as_ptr), Some(libc::malloc as *mut c_void));
        assert_eq!(function(c"no such function"), None);
    }

    #[test]
    fn libraries_and_the_program_are_kept_and_nothing_else() {
        assert_eq!(keep_loaded(libc::malloc as *const c_void), Ok(()));
        assert_eq!(keep_loaded(keep_loaded as *const c_void), Ok(()));
        assert!(keep_loaded(std::ptr::null()).is_err());
        let local = 0;
        assert!(keep_loaded((&raw const local).cast()).is_err());
    }
}
