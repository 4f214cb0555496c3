//! Records in a mapped file. Beside a running server they are read; for all else the server's lock on
//! the file is wanted, since its mutexes are out of reach.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mod_session_store::core::clock::SystemClock;
use mod_session_store::core::store::dir::Owner;
use mod_session_store::core::store::memory::{
    self, Boot, FILE, Layout, MemoryStore, Misfit, PID_WORD, SHARDS, Snapshot,
};
use mod_session_store::system::mapping::{FileError, Mapping, SharedFile, View};

use super::{Access, Alone, Kind, Made, Opened, made, real, taken, whose};
use crate::failure::Failure;
use crate::located::Located;

/// The file, and how large it is to be.
pub struct Memory {
    path: PathBuf,
    bytes: u64,
    /// Whose the server says it is.
    told: Option<Owner>,
}

impl Memory {
    pub fn new(located: &Located) -> Result<Memory, Failure> {
        let path = located.directory()?.join(FILE.to_string_lossy().as_ref());
        let bytes = located.settings.memory_size().map_err(Failure::usage)?;
        Ok(Memory { path, bytes, told: located.owner })
    }

    fn file(&self, owner: Owner) -> Result<SharedFile, FileError> {
        SharedFile::open(&self.path, (owner.uid, owner.gid), PID_WORD)
    }
}

fn refused(cause: FileError) -> Failure {
    match cause.used_by() {
        Some(pid) => taken(Some(pid)),
        None => Failure::store(cause.to_string()),
    }
}

fn misfit(path: &Path, cause: Misfit) -> Failure {
    Failure::store(format!("{} holds no sessions: {cause}", path.display()))
}

impl Kind for Memory {
    fn owner(&self) -> Result<Option<Owner>, Failure> {
        match fs::symlink_metadata(&self.path) {
            Ok(facts) => Ok(self.told.or(Some(Owner { uid: facts.uid(), gid: facts.gid() }))),
            Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(Failure::store(format!("looking at the file: {cause}"))),
        }
    }

    fn place(&self) -> String {
        format!("memory:{}", real(&self.path).display())
    }

    fn make(&self, owner: Option<Owner>) -> Result<Made, Failure> {
        let there = self.path.exists();
        // Not mapped: who maps it has it until the process ends.
        self.file(whose(owner)?).map_err(refused)?;
        Ok(made(&self.path, there))
    }

    fn open(&self, access: Access) -> Result<Opened, Failure> {
        let path = &self.path;
        if access == Access::Read {
            let view = View::open(path).map_err(refused)?;
            let bytes = view.bytes();
            let store = Snapshot::open(view, bytes).map_err(|cause| misfit(path, cause))?;
            return Ok(Opened { store: Box::new(store), _lock: None });
        }
        if access != Access::Make && !path.exists() {
            return Err(Failure::store(format!("{} is not there", path.display())));
        }
        let file = self.file(Owner::current()).map_err(refused)?;
        let there = file.bytes().map_err(refused)?;
        let (words, layout) = match access {
            Access::Make if there == 0 => fresh(&file, self.bytes)?,
            Access::Make if there != self.bytes => return Err(other_size(path, there, self.bytes)),
            _ => kept(&file, path)?,
        };
        memory::claim(&words, std::process::id());
        let store = MemoryStore::open(words, layout, Arc::new(Alone), SystemClock);
        Ok(Opened { store: Box::new(store), _lock: Some(Box::new(file)) })
    }

    fn in_use(&self) -> Option<String> {
        if !self.path.exists() {
            return None;
        }
        let pid = self.file(Owner::current()).err()?.used_by()?;
        (pid != u64::from(std::process::id())).then(|| format!("the server {pid}"))
    }
}

/// What is in the file.
fn kept(file: &SharedFile, path: &Path) -> Result<(Mapping, Layout), Failure> {
    let bytes = file.bytes().map_err(refused)?;
    file.reserve(bytes).map_err(refused)?;
    let words = file.map(bytes).map_err(refused)?;
    let (layout, written) = memory::read(&words, bytes).map_err(|cause| misfit(path, cause))?;
    if Boot::latest() != Some(written) {
        return Err(misfit(path, Misfit::Boot));
    }
    // Whoever used it last may have been killed in the middle of a change.
    memory::distrust(&words, &layout);
    Ok((words, layout))
}

/// Writes an empty store into an empty file.
fn fresh(file: &SharedFile, bytes: u64) -> Result<(Mapping, Layout), Failure> {
    let layout = Layout::new(bytes, SHARDS)
        .ok_or_else(|| Failure::usage("SessionMemorySize is out of range"))?;
    file.reserve(bytes).map_err(refused)?;
    let words = file.map(bytes).map_err(refused)?;
    memory::create(&words, &layout, Boot::latest());
    Ok((words, layout))
}

fn other_size(path: &Path, there: u64, asked: u64) -> Failure {
    Failure::store(format!(
        "{} has {there} bytes, and the store is named with {asked}, with which a server would drop its \
         sessions: name the same size, or remove the file",
        path.display()
    ))
}
