//! What visitors, other programs and administrators get wrong: answered clearly, and nothing is lost.

mod directories;
mod ids;
mod limits;
mod logs;
mod records;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::support::Server;

/// Everything below the data directory: names, kinds, sizes, times, contents of files.
fn listing(server: &Server) -> Vec<String> {
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

/// The files of the records there are.
fn records(server: &Server) -> Vec<PathBuf> {
    let folders = fs::read_dir(server.data_dir()).expect("reading the data directory").flatten();
    let shards = folders.filter(|folder| folder.file_name().len() == 2);
    let files = shards.flat_map(|shard| fs::read_dir(shard.path()).expect("reading a folder"));
    files.map(|file| file.expect("a file").path()).collect()
}
