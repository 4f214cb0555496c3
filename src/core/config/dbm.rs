//! Settings of the store in one database file: its kind, its place, its bound.

use std::path::Path;
use std::sync::Arc;

use super::values::{path, size};

/// Least bytes of the map of a database.
const MAP_MIN: u64 = 1 << 20;
/// Most bytes of the map of a database: what a process can address on any 64-bit machine, and half of it.
const MAP_MAX: u64 = 1 << 46;
/// Longest name of the file, in bytes: the library's own endings have room behind it.
const NAME_MAX: usize = 200;

/// The kind of database (`SessionDBMType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DbmType {
    /// LMDB.
    Lmdb,
    /// APR's DBM, of the type with which it was built.
    Default,
    /// GNU dbm by APR's DBM.
    Gdbm,
    /// Berkeley DB by APR's DBM.
    Db,
    /// SDBM by APR's DBM.
    Sdbm,
}

impl DbmType {
    pub(super) const WORDS: &[(&str, DbmType)] = &[
        ("lmdb", DbmType::Lmdb),
        ("default", DbmType::Default),
        ("GDBM", DbmType::Gdbm),
        ("DB", DbmType::Db),
        ("SDBM", DbmType::Sdbm),
    ];

    /// Those of APR's DBM.
    pub const OF_APR: [DbmType; 4] = [DbmType::Default, DbmType::Gdbm, DbmType::Db, DbmType::Sdbm];

    /// How it is written.
    pub fn word(self) -> &'static str {
        let found = DbmType::WORDS.iter().find(|(_, kind)| *kind == self);
        found.map_or("", |(word, _)| word)
    }

    /// The file where none is named.
    pub fn file_name(self) -> &'static str {
        match self {
            DbmType::Lmdb => "sessions.mdb",
            DbmType::Default => "sessions.dbm",
            DbmType::Gdbm => "sessions.gdbm",
            DbmType::Db => "sessions.db",
            DbmType::Sdbm => "sessions.sdbm",
        }
    }
}

/// What stands behind `dbm:`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DbmFile {
    /// The file, if it is named with the store.
    pub file: Option<Arc<str>>,
    /// Most bytes of it, if they are named with the store.
    pub map: Option<u64>,
}

impl DbmFile {
    /// Takes `[FILE][?map=SIZE]` apart.
    ///
    /// # Errors
    /// What is wrong with it, as the rest of a sentence.
    pub fn parse(text: &str) -> Result<DbmFile, String> {
        let (file, map) = match text.split_once('?') {
            None => (text, None),
            Some((file, option)) => {
                let bytes = option.strip_prefix("map=").ok_or("has an option other than ?map=")?;
                (file, Some(size(bytes, MAP_MIN, MAP_MAX)?))
            }
        };
        let file = match (file.is_empty(), map) {
            (true, Some(_)) => None,
            _ => Some(checked(path(file)?)?),
        };
        Ok(DbmFile { file, map })
    }

    /// The directory that the file is in, if it is named.
    pub fn directory(&self) -> Option<Arc<str>> {
        let directory = Path::new(self.file.as_deref()?).parent()?.to_str()?;
        Some(Arc::from(if directory.is_empty() { "." } else { directory }))
    }

    /// The name of the file in its directory, if it is named.
    pub fn name(&self) -> Option<&str> {
        Path::new(self.file.as_deref()?).file_name()?.to_str()
    }
}

fn checked(file: Arc<str>) -> Result<Arc<str>, String> {
    let name = file.rsplit('/').next().unwrap_or_default();
    if name.is_empty() || name.starts_with('.') || name == "corrupt" {
        return Err("names no file, or one with a name that has another use".to_owned());
    }
    if name.len() > NAME_MAX {
        return Err(format!("has a file name longer than {NAME_MAX} bytes"));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_and_a_bound_are_told_apart() {
        let parse = |text| DbmFile::parse(text).unwrap();
        let file = parse("/a/b.mdb?map=8G");
        assert_eq!((file.directory().as_deref(), file.name()), (Some("/a"), Some("b.mdb")));
        assert_eq!(file.map, Some(8 << 30));
        assert_eq!(parse("?map=1M"), DbmFile { file: None, map: Some(1 << 20) });
        assert_eq!(parse("b").directory().as_deref(), Some("."));
        assert_eq!(parse("/b").directory().as_deref(), Some("/"));
    }

    #[test]
    fn what_names_no_file_or_no_bound_is_refused() {
        for text in
            ["", "?", "/a/", "/a/..", "/a/.lock", "corrupt", "/a?map=1", "/a?map=", "/a?b=1"]
        {
            assert!(DbmFile::parse(text).is_err(), "{text}");
        }
        assert!(DbmFile::parse(&format!("/a/{}", "b".repeat(201))).is_err());
    }

    #[test]
    fn each_kind_has_a_file_of_its_own() {
        let names: Vec<&str> = DbmType::WORDS.iter().map(|(_, kind)| kind.file_name()).collect();
        assert!(names.iter().all(|name| names.iter().filter(|other| name == *other).count() == 1));
        assert_eq!(DbmType::Sdbm.word(), "SDBM");
    }
}
