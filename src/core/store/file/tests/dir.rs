//! The data directory: made, checked, locked.

use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Instant;

use super::*;
use crate::core::store::conformance::{key, record, stored};
use crate::core::store::dir::DirLock;

const NOBODY: Owner = Owner { uid: 65534, gid: 65534 };

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// What is said about `data` in `home`, which has to be refused.
fn refusal(home: &TempDir, owner: Owner) -> String {
    let path = home.path().join("data");
    let said = DataDir::prepare(&path, owner).map(drop).unwrap_err().to_string();
    assert!(said.contains(path.to_str().unwrap()), "{said}");
    said
}

#[test]
fn a_missing_directory_is_made_for_the_owner_alone() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("data");
    assert!(DataDir::check(&path, Owner::current()).is_err(), "a check makes nothing");
    let dir = DataDir::prepare(&path, Owner::current()).unwrap();
    assert_eq!(dir.warning(), None);
    for made in [path.clone(), path.join("corrupt")] {
        assert_eq!(fs::metadata(made).unwrap().mode() & 0o7777, 0o700);
    }
    DataDir::prepare(&path, Owner::current()).unwrap();
    DataDir::check(&path, Owner::current()).unwrap();
}

#[test]
fn directories_above_it_are_not_made() {
    let home = TempDir::new().unwrap();
    let said = DataDir::prepare(&home.path().join("no/data"), Owner::current()).map(drop);
    assert!(said.unwrap_err().to_string().contains("No such file"));
    assert!(!home.path().join("no").exists());
    assert!(DataDir::prepare(Path::new("/"), Owner::current()).is_err());
}

#[test]
fn what_cannot_hold_sessions_is_refused_with_what_to_do() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("data");
    fs::write(&path, b"").unwrap();
    assert!(refusal(&home, Owner::current()).contains("is not a directory"));
    fs::remove_file(&path).unwrap();
    symlink(home.path(), &path).unwrap();
    assert!(refusal(&home, Owner::current()).contains("symbolic link"));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    set_mode(&path, 0o750);
    let said = refusal(&home, Owner::current());
    assert!(said.contains("0750") && said.contains("chmod 0700"), "{said}");
    set_mode(&path, 0o500);
    let said = refusal(&home, Owner::current());
    assert!(said.contains("0500") && said.contains("chmod 0700"), "{said}");
    set_mode(&path, 0o700);
    let other = Owner { uid: Owner::current().uid + 7, gid: 9 };
    let said = refusal(&home, other);
    assert!(said.contains(&format!("belongs to user {}", Owner::current().uid)), "{said}");
    assert!(said.contains(&format!("chown -R {}:9", other.uid)), "{said}");
    fs::write(path.join("corrupt"), b"").unwrap();
    assert!(refusal(&home, Owner::current()).contains("corrupt is not a directory"));
}

#[test]
fn one_server_holds_a_directory() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("data");
    let dir = DataDir::prepare(&path, Owner::current()).unwrap();
    let lock = dir.lock().unwrap();
    let second = DataDir::check(&path, Owner::current()).unwrap();
    let refused = second.lock().map(drop).unwrap_err();
    assert!(refused.is_locked());
    assert_eq!(refused.locked_by(), Some(std::process::id()));
    let said = refused.to_string();
    assert!(said.contains(path.to_str().unwrap()), "{said}");
    assert!(said.contains(&format!("process {}", std::process::id())), "{said}");
    drop(lock);
    let kept: OwnedFd = lock_once_free(&second).into();
    assert!(dir.lock().is_err(), "the descriptor alone keeps the lock");
    drop(kept);
    lock_once_free(&dir);
}

/// Another test may start a program just now: until that runs it has copies of our descriptors.
fn lock_once_free(dir: &DataDir) -> DirLock {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match dir.lock() {
            Err(error) if error.is_locked() && Instant::now() < deadline => {
                std::thread::yield_now();
            }
            other => return other.unwrap(),
        }
    }
}

#[test]
fn a_lock_file_that_is_something_else_is_not_written() {
    let home = TempDir::new().unwrap();
    let dir = DataDir::prepare(&home.path().join("data"), Owner::current()).unwrap();
    let lock = home.path().join("data/.lock");
    let target = home.path().join("precious");
    fs::write(&target, b"precious").unwrap();
    let plant: [&dyn Fn(); 3] =
        [&|| symlink(&target, &lock).unwrap(), &|| fs::hard_link(&target, &lock).unwrap(), &|| {
            drop(std::os::unix::net::UnixListener::bind(&lock).unwrap())
        }];
    for plant in plant {
        plant();
        let said = dir.lock().map(drop).unwrap_err().to_string();
        assert!(said.contains("is not the lock file"), "{said}");
        assert_eq!(fs::read(&target).unwrap(), b"precious");
        fs::remove_file(&lock).unwrap();
    }
}

#[test]
fn a_store_is_not_opened_in_a_directory_of_another_or_open_to_others() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("data");
    DataDir::prepare(&path, Owner::current()).unwrap();
    set_mode(&path, 0o770);
    let mutexes = Arc::new(TestMutexes::new(1));
    assert!(FileStore::open(&path, mutexes, Options::default()).is_err());
}

#[test]
fn root_hands_over_what_it_makes_and_nothing_else() {
    if Owner::current().uid != 0 {
        return;
    }
    let home = TempDir::new().unwrap();
    let path = home.path().join("data");
    let dir = DataDir::prepare(&path, NOBODY).unwrap();
    let _lock = dir.lock().unwrap();
    for made in ["", "corrupt", ".lock"] {
        let stat = fs::metadata(path.join(made)).unwrap();
        assert_eq!((stat.uid(), stat.gid()), (65534, 65534), "{made}");
    }
    chown(&path, Some(0), Some(0)).unwrap();
    assert!(DataDir::prepare(&path, NOBODY).is_err());
    assert_eq!(fs::metadata(&path).unwrap().uid(), 0);
}

const UNPRIVILEGED: &str = "SESSION_STORE_TEST_UNPRIVILEGED";

#[test]
fn a_child_without_privileges_uses_what_root_made() {
    if Owner::current().uid != 0 {
        return;
    }
    let home = TempDir::new().unwrap();
    set_mode(home.path(), 0o755);
    let path = home.path().join("data");
    DataDir::prepare(&path, NOBODY).unwrap();
    // Where that user can reach it, as the build directory may not be.
    let program = home.path().join("tests");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    set_mode(&program, 0o755);
    let output = Command::new(&program)
        .args(["--ignored", "--exact", "core::store::file::tests::dir::without_privileges"])
        .env(UNPRIVILEGED, &path)
        .current_dir("/")
        .uid(NOBODY.uid)
        .gid(NOBODY.gid)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    // And root, which does not own them, refuses them.
    assert!(FileStore::open(&path, Arc::new(TestMutexes::new(1)), Options::default()).is_err());
}

#[test]
#[ignore = "started by another test, as a user without privileges"]
fn without_privileges() {
    let Some(path) = std::env::var_os(UNPRIVILEGED).map(PathBuf::from) else { return };
    let store = open_store(&path, Options::default());
    store.create(&key(1), &record(7)).unwrap();
    let held = store.load(&key(1)).unwrap().unwrap().held;
    store.update(&key(1), held, &record(7)).unwrap();
    assert_eq!(stored(&store, &key(1)), Some(record(7)));
    let _lock = DataDir::check(&path, Owner::current()).unwrap().lock().unwrap();
    assert!(store.delete(&key(1), Some(7)).unwrap());
}
