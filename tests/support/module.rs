//! Where the module under test is.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

const FILE: &str = "libmod_session_store.so";

/// The library to load: `SESSION_STORE_MODULE`, or what cargo built with this test. Cargo leaves it
/// in one of two folders; the other may hold one of an earlier build, so the newer one is it.
pub fn path() -> PathBuf {
    if let Some(named) = std::env::var_os("SESSION_STORE_MODULE") {
        return PathBuf::from(named);
    }
    let test = std::env::current_exe().expect("finding the test's own file");
    let deps = test.parent().expect("the folder of the test");
    let profile = deps.parent().expect("the folder of the profile");
    [profile.join(FILE), deps.join(FILE)]
        .into_iter()
        .filter(|file| file.exists())
        .max_by_key(|file| modified(file))
        .unwrap_or_else(|| panic!("{FILE} is neither in {} nor beside it", deps.display()))
}

fn modified(file: &Path) -> Option<SystemTime> {
    file.metadata().and_then(|facts| facts.modified()).ok()
}
