//! A database of bytes in a file, as the wrappers around its library bring it.
//!
//! It knows keys of 32 bytes, values, and marks: numbers under which keys can be found again. What the
//! bytes mean is nothing to it.

use std::borrow::Cow;
use std::{fmt, io};

/// A key.
pub type Key = [u8; 32];

/// Why a database did not do what it was asked.
#[derive(Debug)]
pub enum DatabaseError {
    /// The value is larger than its file format can hold beside such a key; the number is the most bytes
    /// that it can.
    TooLarge(usize),
    /// It is full; the text says of what.
    Full(&'static str),
    /// The system or the library refused; nothing that was stored is damaged by it.
    Failed {
        /// What was being done, as "opening the database".
        doing: &'static str,
        /// Why it failed.
        cause: io::Error,
    },
}

impl DatabaseError {
    /// For `map_err`: the error of an operation of the system.
    pub fn failed<E: Into<io::Error>>(doing: &'static str) -> impl FnOnce(E) -> DatabaseError {
        move |cause| DatabaseError::Failed { doing, cause: cause.into() }
    }
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DatabaseError::TooLarge(most) => write!(f, "a value has more than {most} bytes"),
            DatabaseError::Full(what) => write!(f, "the database is full: {what}"),
            DatabaseError::Failed { doing, cause } => write!(f, "{doing}: {cause}"),
        }
    }
}

impl std::error::Error for DatabaseError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            DatabaseError::Failed { cause, .. } => Some(cause),
            _ => None,
        }
    }
}

/// What a kind of database can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traits {
    /// A process killed in a change leaves everything as it was before or as it is after.
    pub survives_kill: bool,
    /// It can be looked at while somebody changes it. Otherwise who looks excludes others as well.
    pub reads_beside_writes: bool,
}

/// How much is in a database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Keys.
    pub keys: Option<u64>,
    /// Bytes of its files.
    pub bytes: Option<u64>,
    /// Most bytes they may have.
    pub capacity: Option<u64>,
}

/// A database. Who changes it excludes others; that is the caller's to see to.
pub trait Database: Send + Sync {
    /// What is seen of it at one moment.
    type View<'a>: View
    where
        Self: 'a;
    /// A change that is being made.
    type Change<'a>: Change
    where
        Self: 'a;

    /// What it can do.
    fn traits(&self) -> Traits;

    /// Shows it to `work` as it is now.
    fn view<T, E: From<DatabaseError>>(
        &self,
        work: impl FnOnce(&Self::View<'_>) -> Result<T, E>,
    ) -> Result<T, E>;

    /// Lets `work` change it. What it did counts if it succeeds, and is undone if it fails, as far as
    /// [`Traits::survives_kill`] goes: a database without that keeps what was done.
    fn change<T, E: From<DatabaseError>>(
        &self,
        work: impl FnOnce(&mut Self::Change<'_>) -> Result<T, E>,
    ) -> Result<T, E>;

    /// Brings what was changed to the disk, if that is wanted and [`Database::change`] has not done it. Who
    /// changed it excludes nobody any more.
    fn sync(&self) -> Result<(), DatabaseError> {
        Ok(())
    }

    /// How much is in it.
    fn size(&self) -> Result<Size, DatabaseError>;

    /// Frees what processes left behind that died while they looked at it.
    fn tidy(&self) -> Result<(), DatabaseError>;
}

/// Looking at a database.
pub trait View {
    /// The value of a key.
    fn get(&self, key: &Key) -> Result<Option<Cow<'_, [u8]>>, DatabaseError>;

    /// Up to `most` of the keys behind `after` in their order; from the first one if it is none.
    fn keys_after(&self, after: Option<&Key>, most: usize) -> Result<Vec<Key>, DatabaseError>;

    /// The keys with this mark; none if the database keeps no marks.
    fn marked(&self, mark: u64) -> Result<Option<Vec<Key>>, DatabaseError>;
}

/// Changing a database. Marks do nothing in one that keeps none.
pub trait Change: View {
    /// Gives a key this value.
    fn put(&mut self, key: &Key, value: &[u8]) -> Result<(), DatabaseError>;

    /// Removes a key with its value, if there is one.
    fn remove(&mut self, key: &Key) -> Result<(), DatabaseError>;

    /// Gives a key this mark.
    fn mark(&mut self, mark: u64, key: &Key) -> Result<(), DatabaseError>;

    /// Takes this mark from a key, if it has it.
    fn unmark(&mut self, mark: u64, key: &Key) -> Result<(), DatabaseError>;
}
