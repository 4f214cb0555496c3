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

use super::{Access, Alone, Opened, taken};
use crate::failure::Failure;
use crate::located::Located;

fn path(located: &Located) -> Result<PathBuf, Failure> {
    Ok(located.directory()?.join(FILE.to_string_lossy().as_ref()))
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

pub fn owner(located: &Located) -> Result<Option<Owner>, Failure> {
    match fs::symlink_metadata(path(located)?) {
        Ok(facts) => Ok(located.owner.or(Some(Owner { uid: facts.uid(), gid: facts.gid() }))),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(Failure::store(format!("looking at the file: {cause}"))),
    }
}

pub fn make(located: &Located, owner: Owner) -> Result<String, Failure> {
    let path = path(located)?;
    // Not mapped: who maps it has it until the process ends.
    SharedFile::open(&path, (owner.uid, owner.gid), PID_WORD).map_err(refused)?;
    Ok(path.display().to_string())
}

pub fn open(located: &Located, access: Access) -> Result<Opened, Failure> {
    let (path, grace) = (path(located)?, located.settings.cleanup_grace());
    if access == Access::Read {
        let view = View::open(&path).map_err(refused)?;
        let bytes = view.bytes();
        let store = Snapshot::open(view, bytes).map_err(|cause| misfit(&path, cause))?;
        return Ok(Opened { store: Box::new(store), grace, _lock: None });
    }
    if access != Access::Make && !path.exists() {
        return Err(Failure::store(format!("{} is not there", path.display())));
    }
    let Owner { uid, gid } = Owner::current();
    let file = SharedFile::open(&path, (uid, gid), PID_WORD).map_err(refused)?;
    let there = file.bytes().map_err(refused)?;
    let asked = located.settings.memory_size().map_err(Failure::usage)?;
    let (words, layout) = match access {
        Access::Make if there == 0 => fresh(&file, asked)?,
        Access::Make if there != asked => return Err(other_size(&path, there, asked)),
        _ => kept(&file, &path)?,
    };
    memory::claim(&words, std::process::id());
    let store = MemoryStore::open(words, layout, Arc::new(Alone), SystemClock);
    Ok(Opened { store: Box::new(store), grace, _lock: Some(Box::new(file)) })
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

pub fn in_use(located: &Located) -> Option<String> {
    let Owner { uid, gid } = Owner::current();
    let path = path(located).ok().filter(|path| path.exists())?;
    let pid = SharedFile::open(&path, (uid, gid), PID_WORD).err()?.used_by()?;
    Some(format!("the server {pid}"))
}
