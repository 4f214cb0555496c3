//! The settings of the whole server.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::dbm::DbmType;
use super::stores::{MEMORY_DEFAULT, StoreChoice};

/// `SessionCleanupGrace` by default.
pub const CLEANUP_GRACE: Duration = Duration::from_secs(240);

/// Where a secret comes from (`SessionSecret`). Reading a file or running a command is not done here.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// What is in the file of this path.
    File(Arc<str>),
    /// What this command writes: a program and its arguments, parted by blanks.
    Exec(Arc<str>),
    /// The text itself.
    Inline(Arc<str>),
}

/// Shows the kind, and the path of a file: a command may have a secret among its arguments.
impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretSource::File(path) => write!(f, "File({path:?})"),
            SecretSource::Exec(_) => f.write_str("Exec(…)"),
            SecretSource::Inline(_) => f.write_str("Inline(…)"),
        }
    }
}

/// What was set for the whole server, each at most once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Server {
    pub(super) store: Option<StoreChoice>,
    pub(super) data_dir: Option<Arc<str>>,
    pub(super) dbm_type: Option<DbmType>,
    pub(super) memory_size: Option<u64>,
    pub(super) locks: Option<u32>,
    pub(super) secrets: Option<Arc<[SecretSource]>>,
    pub(super) sync: Option<bool>,
    pub(super) max_sessions: Option<u32>,
    pub(super) cleanup_interval: Option<Duration>,
    pub(super) cleanup_limit: Option<Duration>,
    pub(super) cleanup_grace: Option<Duration>,
}

impl Server {
    /// Where sessions are kept.
    pub fn store(&self) -> StoreChoice {
        self.store.clone().unwrap_or(StoreChoice::File { dir: None })
    }

    /// The directory of a store that needs one: `SessionDataDir` or the one named with the store. Both
    /// may be given if they are the same. A relative path is meant below ServerRoot.
    ///
    /// # Errors
    /// Both are given and differ; a whole sentence.
    pub fn directory(&self) -> Result<Option<Arc<str>>, String> {
        let named = match self.store() {
            StoreChoice::File { dir } => dir,
            StoreChoice::Dbm(file) => file.directory(),
            _ => None,
        };
        match (named, self.data_dir.clone()) {
            (Some(dir), Some(data)) if Path::new(&*dir) != Path::new(&*data) => Err(
                "SessionDataDir and the directory of SessionStore differ: give one of them, or \
                     the same path in both"
                    .to_owned(),
            ),
            (dir, data) => Ok(dir.or(data)),
        }
    }

    /// Whether the store cannot do without a directory.
    pub fn needs_directory(&self) -> bool {
        matches!(self.store(), StoreChoice::File { .. } | StoreChoice::Dbm(_))
    }

    /// What kind of database the store in one has.
    pub fn dbm_type(&self) -> DbmType {
        self.dbm_type.unwrap_or(DbmType::Lmdb)
    }

    /// The name of the database in its directory; none if the store is no database.
    pub fn dbm_name(&self) -> Option<String> {
        let StoreChoice::Dbm(file) = self.store() else { return None };
        Some(file.name().unwrap_or(self.dbm_type().file_name()).to_owned())
    }

    /// Bytes of the store in memory: `SessionMemorySize` or the size named with the store. Both may be
    /// given if they are the same.
    ///
    /// # Errors
    /// Both are given and differ; a whole sentence.
    pub fn memory_size(&self) -> Result<u64, String> {
        let StoreChoice::Memory { size } = self.store() else {
            return Ok(self.memory_size.unwrap_or(MEMORY_DEFAULT));
        };
        match (size, self.memory_size) {
            (Some(named), Some(set)) if named != set => Err(
                "SessionMemorySize and the size of SessionStore memory differ: give one of them, or \
                 the same in both"
                    .to_owned(),
            ),
            (named, set) => Ok(named.or(set).unwrap_or(MEMORY_DEFAULT)),
        }
    }

    /// How many mutexes the pool has.
    pub fn locks(&self) -> u32 {
        self.locks.unwrap_or(256)
    }

    /// The secrets that sign ids, the one that signs new ones first; none: ids are not signed.
    pub fn secrets(&self) -> &[SecretSource] {
        self.secrets.as_deref().unwrap_or_default()
    }

    /// Whether data and directory are synced before the answer.
    pub fn sync(&self) -> bool {
        self.sync.unwrap_or(false)
    }

    /// Most sessions; none: there is no limit.
    pub fn max_sessions(&self) -> Option<u32> {
        self.max_sessions.filter(|most| *most > 0)
    }

    /// From one round of the cleanup to the next; none: there are no rounds.
    pub fn cleanup_interval(&self) -> Option<Duration> {
        let interval = self.cleanup_interval.unwrap_or(Duration::from_secs(60));
        (!interval.is_zero()).then_some(interval)
    }

    /// Longest time of a round of the cleanup.
    pub fn cleanup_limit(&self) -> Duration {
        self.cleanup_limit.unwrap_or(Duration::from_secs(2))
    }

    /// How long after its end a session's record stays.
    pub fn cleanup_grace(&self) -> Duration {
        self.cleanup_grace.unwrap_or(CLEANUP_GRACE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(store: Option<&str>, data_dir: Option<&str>) -> Server {
        let store = store.map(|dir| StoreChoice::File { dir: Some(Arc::from(dir)) });
        Server { store, data_dir: data_dir.map(Arc::from), ..Server::default() }
    }

    #[test]
    fn the_directory_is_named_in_one_of_two_places_or_alike_in_both() {
        let directory = |store, data_dir| {
            let found = server(store, data_dir).directory();
            found.map(|dir| dir.map(|dir| dir.to_string()))
        };
        assert_eq!(directory(None, None), Ok(None));
        assert_eq!(directory(Some("/a"), None), Ok(Some("/a".to_owned())));
        assert_eq!(directory(None, Some("/b")), Ok(Some("/b".to_owned())));
        assert_eq!(directory(Some("/a"), Some("/a/")), Ok(Some("/a".to_owned())));
        assert!(directory(Some("/a"), Some("/b")).is_err());
    }

    #[test]
    fn the_size_of_memory_is_named_in_one_of_two_places_or_alike_in_both() {
        let size = |named, set| {
            let store = Some(StoreChoice::Memory { size: named });
            Server { store, memory_size: set, ..Server::default() }.memory_size()
        };
        assert_eq!(size(None, None), Ok(64 << 20));
        assert_eq!(size(Some(1 << 21), None), Ok(1 << 21));
        assert_eq!(size(None, Some(1 << 22)), Ok(1 << 22));
        assert_eq!(size(Some(1 << 22), Some(1 << 22)), Ok(1 << 22));
        assert!(size(Some(1 << 21), Some(1 << 22)).is_err());
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let secrets = [
            SecretSource::Inline(Arc::from("hidden-inline-text")),
            SecretSource::Exec(Arc::from("/bin/show hidden-argument")),
            SecretSource::File(Arc::from("/etc/secret")),
        ];
        let server = Server { secrets: Some(Arc::from(secrets)), ..Server::default() };
        let shown = format!("{server:?}");
        assert!(shown.contains("/etc/secret") && !shown.contains("hidden"), "{shown}");
    }
}
