//! Several processes, some of them killed.

use super::*;
use crate::core::store::conformance::conformance_of_processes;

fn setup() -> (TempDir, String) {
    let home = TempDir::new().unwrap();
    DataDir::prepare(&home.path().join("data"), Owner::current()).unwrap();
    let spec = home.path().to_str().unwrap().to_owned();
    (home, spec)
}

fn open(spec: &str) -> Box<dyn Store> {
    Box::new(shared_store(Path::new(spec)))
}

conformance_of_processes!(setup(), open);
