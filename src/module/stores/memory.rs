//! The memory store: a file that the parent makes, checks, locks and maps before it has children.

use std::path::PathBuf;

use super::{Child, News, Prepared, Verdict};
use crate::core::clock::SystemClock;
use crate::core::config::Server;
use crate::core::store::dir::{DataDir, Owner};
use crate::core::store::memory::{self, Boot, FILE, Layout, MemoryStore, Misfit, SHARDS, Snapshot};
use crate::core::store::{Store, StoreError};
use crate::httpd::log::Level;
use crate::httpd::server as host;
use crate::system::mapping::{FileError, Mapping, SharedFile};

/// One for each shard.
pub const MUTEXES: u32 = SHARDS;

/// Where the memory is to be, and how much.
#[derive(Clone, PartialEq, Eq)]
pub struct Plan {
    /// `SessionDataDir`.
    dir: Option<PathBuf>,
    path: PathBuf,
    bytes: u64,
}

/// The memory, locked for as long as the parent or a child runs.
struct Ready {
    words: Mapping,
    layout: Layout,
    _file: SharedFile,
}

/// A session has a part of the memory at most.
pub fn check(settings: &Server) -> Result<Verdict, String> {
    let record_max = layout(settings.memory_size()?)?.record_max();
    let warnings = super::not_synced(settings, "memory").into_iter().collect();
    Ok(Verdict { warnings, record_max: Some(record_max) })
}

fn layout(bytes: u64) -> Result<Layout, String> {
    Layout::new(bytes, SHARDS).ok_or_else(|| "SessionMemorySize is out of range".to_owned())
}

impl Plan {
    pub fn new(settings: &Server) -> Result<Plan, String> {
        let bytes = settings.memory_size()?;
        let dir = settings.directory()?.map(|dir| host::below_root(&dir)).transpose()?;
        let dir = dir.map(PathBuf::from);
        let path = match &dir {
            Some(dir) => dir.join(FILE.to_string_lossy().as_ref()),
            None => PathBuf::from(host::in_runtime_dir(FILE)?),
        };
        Ok(Plan { dir, path, bytes })
    }

    pub fn prepare(&self) -> Result<(Box<dyn Prepared>, News), String> {
        let (uid, gid) = host::child_owner();
        let mut news = News::new();
        if let Some(dir) = &self.dir {
            let data = DataDir::prepare(dir, Owner { uid, gid }).map_err(|it| it.to_string())?;
            news.extend(data.warning().map(|text| (Level::Warning, text)));
        }
        let layout = layout(self.bytes)?;
        let file =
            SharedFile::open(&self.path, (uid, gid), memory::PID_WORD).map_err(|it| advise(&it))?;
        let (words, found) = self.map(&file, &layout).map_err(|it| advise(&it))?;
        memory::claim(&words, std::process::id());
        news.push(self.tell(&words, found));
        Ok((Box::new(Ready { words, layout, _file: file }), news))
    }

    /// Maps the file: with the sessions in it, or empty.
    fn map(
        &self,
        file: &SharedFile,
        layout: &Layout,
    ) -> Result<(Mapping, Result<(), Misfit>), FileError> {
        let boot = Boot::latest();
        let bytes = file.bytes()?;
        if bytes == self.bytes {
            file.reserve(bytes)?;
            let words = file.map(bytes)?;
            let found = memory::check(&words, layout, boot);
            if found.is_ok() {
                // Whoever used it last may have been killed, and nobody may have noticed.
                memory::distrust(&words, layout);
                return Ok((words, found));
            }
            file.clear()?;
            file.reserve(bytes)?;
            memory::create(&words, layout, boot);
            return Ok((words, found));
        }
        file.clear()?;
        file.reserve(self.bytes)?;
        let words = file.map(self.bytes)?;
        memory::create(&words, layout, boot);
        let found = if bytes == 0 { Misfit::New } else { Misfit::Bytes(bytes) };
        Ok((words, Err(found)))
    }

    fn tell(&self, words: &Mapping, found: Result<(), Misfit>) -> (Level, String) {
        let path = self.path.display();
        match found {
            Ok(()) => {
                let stats = Snapshot::open(words, self.bytes).ok().map(|it| it.stats());
                let records = stats.and_then(Result::ok).and_then(|stats| stats.records);
                let text = format!(
                    "sessions are kept in memory, in {path}; records from before: {}",
                    records.unwrap_or(0)
                );
                (Level::Notice, text)
            }
            Err(misfit) => {
                let level = match misfit {
                    Misfit::New | Misfit::Boot => Level::Notice,
                    _ => Level::Warning,
                };
                let text =
                    format!("sessions are kept in memory, in {path}, which begins empty: {misfit}");
                (level, text)
            }
        }
    }

    /// The file has the same name in whichever directory it is.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let dir = self.path.parent().unwrap_or(&self.path);
        vec![
            ("SessionStore", format!("memory:{}", self.bytes)),
            ("SessionDataDir", dir.display().to_string()),
        ]
    }

    pub fn change_from(&self, used: &Plan) -> Option<String> {
        let (from, to) = (used.path.display(), self.path.display());
        if used.path == self.path {
            let (from, to) = (used.bytes, self.bytes);
            return Some(format!(
                "SessionMemorySize changes from {from} to {to} bytes, empty then,"
            ));
        }
        Some(format!("the file of the sessions in memory changes from {from} to {to}"))
    }
}

/// What is wrong, and which directive helps.
fn advise(cause: &FileError) -> String {
    if cause.is_in_use() {
        return format!(
            "{cause}: each server needs a directory of its own, by DefaultRuntimeDir or SessionDataDir"
        );
    }
    if cause.lacks_room() {
        return format!("{cause}: SessionMemorySize asks for them");
    }
    cause.to_string()
}

impl Prepared for Ready {
    fn open(&self, child: &Child) -> Result<Box<dyn Store>, StoreError> {
        let mutexes = child.own.clone().ok_or_else(|| StoreError::Io {
            doing: "opening the memory store",
            cause: std::io::Error::other("it has no mutexes"),
        })?;
        let (words, layout) = (self.words.clone(), self.layout);
        Ok(Box::new(MemoryStore::open(words, layout, mutexes, SystemClock)))
    }
}
