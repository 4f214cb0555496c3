//! The files below a data directory.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::support::Server;

/// Everything below the data directory: names, kinds, modes, times, contents of files.
pub fn listing(server: &Server) -> Vec<String> {
    let mut all = Vec::new();
    list(&server.data_dir(), &mut all);
    all.sort_unstable();
    all
}

fn list(folder: &Path, all: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("reading a folder").flatten() {
        let path = entry.path();
        let facts = path.symlink_metadata().expect("looking at a file");
        let content = if facts.is_file() { fs::read(&path).expect("reading") } else { Vec::new() };
        let time = (facts.mtime(), facts.mtime_nsec());
        all.push(format!("{} {:o} {time:?} {content:?}", path.display(), facts.mode()));
        if facts.is_dir() {
            list(&path, all);
        }
    }
}
