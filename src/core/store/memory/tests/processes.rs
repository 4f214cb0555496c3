//! Several processes, some of them killed. Words of a file stand in for mapped ones: a write of eight
//! bytes is whole too, and whoever was killed did those before it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::core::store::conformance::conformance_of_processes;
use crate::core::store::conformance::processes::FileMutexes;

const BYTES: u64 = 2 << 20;

struct FileWords(File);

impl FileWords {
    fn open(home: &Path) -> FileWords {
        let path = home.join("words");
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path);
        FileWords(file.unwrap())
    }
}

impl Words for FileWords {
    fn load(&self, index: usize) -> u64 {
        let mut bytes = [0; 8];
        self.0.read_exact_at(&mut bytes, index as u64 * 8).unwrap();
        u64::from_le_bytes(bytes)
    }

    fn store(&self, index: usize, value: u64) {
        self.0.write_all_at(&value.to_le_bytes(), index as u64 * 8).unwrap();
    }

    fn add(&self, index: usize, value: u64) {
        self.store(index, self.load(index).wrapping_add(value));
    }
}

fn layout() -> Layout {
    Layout::new(BYTES, SHARDS).unwrap()
}

fn setup() -> (TempDir, String) {
    let home = TempDir::new().unwrap();
    let words = FileWords::open(home.path());
    words.0.set_len(BYTES).unwrap();
    create(&words, &layout(), None);
    let spec = home.path().to_str().unwrap().to_owned();
    (home, spec)
}

fn open(spec: &str) -> Box<dyn Store> {
    let home = Path::new(spec);
    let mutexes = Arc::new(FileMutexes::new(home, SHARDS));
    Box::new(MemoryStore::open(FileWords::open(home), layout(), mutexes, SystemClock))
}

conformance_of_processes!(setup(), open);
