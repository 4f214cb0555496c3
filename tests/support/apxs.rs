//! What the installed httpd says of itself, and C modules built for it.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::fs::{FlockOperation, flock};

/// A variable of `apxs -q`, as "LIBEXECDIR". `APXS` in the environment names another apxs.
pub fn query(name: &str) -> String {
    static KNOWN: OnceLock<Mutex<HashMap<String, String>>> = OnceLock::new();
    let mut known = locked(&KNOWN);
    known.entry(name.to_owned()).or_insert_with(|| ask(name)).clone()
}

/// The server's binary.
pub fn httpd() -> PathBuf {
    Path::new(&query("SBINDIR")).join(query("PROGNAME"))
}

/// The file of one of httpd's own modules, as `module("lua")`; none if it is built in.
pub fn module(name: &str) -> Option<PathBuf> {
    let file = Path::new(&query("LIBEXECDIR")).join(format!("mod_{name}.so"));
    if file.exists() {
        return Some(file);
    }
    let built_in = Command::new(httpd()).arg("-l").output().expect("asking httpd what is built in");
    let found = String::from_utf8_lossy(&built_in.stdout).contains(&format!("mod_{name}.c"));
    assert!(found, "httpd has no module {name}: {} is missing", file.display());
    None
}

/// The module of PHP, whose file has its version in its name.
pub fn php() -> PathBuf {
    let files = fs::read_dir(query("LIBEXECDIR")).expect("httpd's modules").flatten();
    let mut found = files.map(|file| file.path()).filter(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("libphp") && name.ends_with(".so")
    });
    found.next().expect("mod_php: make deps installs libapache2-mod-php")
}

/// The module built from `tests/support/probe/NAME.c`, once per run; `c_shim` is on its include
/// path.
pub fn probe(name: &str) -> PathBuf {
    static BUILT: OnceLock<Mutex<HashMap<String, PathBuf>>> = OnceLock::new();
    let mut built = locked(&BUILT);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/support/probe/{name}.c"));
    built.entry(name.to_owned()).or_insert_with(|| source(name, &text_of(&file))).clone()
}

/// The store of `httpd-conf/example_store`, built as its README says, once per run.
pub fn example_store() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let name = "mod_session_example_store";
    let file = format!("httpd-conf/example_store/{name}.c");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    BUILT.get_or_init(|| source(name, &text_of(&file))).clone()
}

fn text_of(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|why| panic!("{}: {why}", file.display()))
}

/// The module built from `text`, now or by an earlier run: another one may have it loaded. apxs compiles
/// beside the source; the lock keeps a second run out.
pub fn source(name: &str, text: &str) -> PathBuf {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("probe").join(name);
    fs::create_dir_all(&folder).expect("making the folder of a probe");
    let lock = File::create(folder.join("lock")).expect("opening the lock of a probe");
    flock(&lock, FlockOperation::LockExclusive).expect("locking the folder of a probe");

    let headers = ["mod_session_store.h", "session_store_provider.h"];
    let headers = headers.map(|file| text_of(&project.join("c_shim").join(file))).concat();
    let ingredients = [apxs(), headers, text.to_owned()].concat();
    let (module, made_of) =
        (folder.join(".libs").join(format!("{name}.so")), folder.join("made_of"));
    if module.exists() && fs::read_to_string(&made_of).is_ok_and(|known| known == ingredients) {
        return module;
    }
    fs::write(folder.join(format!("{name}.c")), text).expect("writing the source of a probe");
    let output = Command::new(apxs())
        .args(["-c", "-Wc,-Wall", "-Wc,-Werror", "-I"])
        .arg(project.join("c_shim"))
        .arg(format!("{name}.c"))
        .current_dir(&folder)
        .output()
        .expect("running apxs");
    assert!(
        output.status.success(),
        "apxs did not build {name}:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    fs::write(made_of, ingredients).expect("noting what a probe was made of");
    module
}

fn ask(name: &str) -> String {
    let output = Command::new(apxs()).args(["-q", name]).output();
    let output = output.expect("running apxs (package apache2-dev; make deps installs it)");
    let value = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert!(output.status.success() && !value.is_empty(), "apxs does not know {name}");
    value
}

fn apxs() -> String {
    std::env::var("APXS").unwrap_or_else(|_| "apxs".to_owned())
}

type Cache<V> = OnceLock<Mutex<HashMap<String, V>>>;

fn locked<V>(cache: &'static Cache<V>) -> MutexGuard<'static, HashMap<String, V>> {
    cache.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}
