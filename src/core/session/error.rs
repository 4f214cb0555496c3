//! Why a session could not be opened, changed or committed.

use std::{fmt, io};

use crate::core::lock::LeaseError;
use crate::core::store::StoreError;

/// Why a session could not be opened, changed or committed.
#[derive(Debug)]
pub enum SessionError {
    /// The session is held by another request, or the pool is in trouble.
    Lease(LeaseError),
    /// The store refused.
    Store(StoreError),
    /// The operating system has no randomness to give.
    Random(io::Error),
    /// A limit of the place, or of the store: the text names the directive, or says so.
    Limit(&'static str),
    /// The store is full; the text names the directive that bounds it.
    Full(&'static str),
    /// The session is larger than the store can hold; the number is the most bytes of its record.
    StoreLimit(usize),
    /// Writes are refused here (`SessionLocking read`, or opened for reading).
    ReadOnly,
    /// What was asked for would need a cookie, and the head of the answer has been sent.
    HeadSent,
    /// Not to be done through the old id of a session that has a new one.
    ThroughAlias,
    /// An argument that makes no sense: an empty user, a timeout below a second.
    BadArgument,
    /// What is to be added to is no whole number.
    NotANumber,
    /// The sum does not fit into 64 bits.
    Overflow,
    /// There is no session to be ended or renewed.
    NoSession,
    /// The session was deleted by another request meanwhile.
    Gone,
    /// The store is out of reach and `SessionStoreFailure` says to go on without.
    Absent,
}

impl SessionError {
    /// Whether the store is out of reach, which `SessionStoreFailure` is about. A record that is
    /// damaged or too large is not: the store works.
    pub fn is_outage(&self) -> bool {
        matches!(self, SessionError::Store(StoreError::Io { .. } | StoreError::Mutex(_)))
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SessionError::Lease(cause) => cause.fmt(f),
            SessionError::Store(cause) => cause.fmt(f),
            SessionError::Random(cause) => write!(f, "asking for randomness: {cause}"),
            SessionError::Limit(directive) => write!(f, "the session would exceed {directive}"),
            SessionError::Full(directive) => write!(f, "the store is full: {directive}"),
            SessionError::StoreLimit(most) => {
                write!(
                    f,
                    "the session is larger than its store can hold: {most} bytes as it is stored"
                )
            }
            SessionError::ReadOnly => f.write_str("the session was opened for reading only"),
            SessionError::HeadSent => {
                f.write_str("the head of the answer was sent before the session asked for a cookie")
            }
            SessionError::ThroughAlias => {
                f.write_str("neither id nor user can change through the old id of a session")
            }
            SessionError::BadArgument => f.write_str("an argument makes no sense"),
            SessionError::NotANumber => f.write_str("the value is no whole number"),
            SessionError::Overflow => f.write_str("the sum does not fit into 64 bits"),
            SessionError::NoSession => f.write_str("there is no session"),
            SessionError::Gone => f.write_str("the session was deleted by another request"),
            SessionError::Absent => f.write_str("the store of the session is out of reach"),
        }
    }
}

impl std::error::Error for SessionError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            SessionError::Lease(cause) => Some(cause),
            SessionError::Store(cause) => Some(cause),
            SessionError::Random(cause) => Some(cause),
            _ => None,
        }
    }
}

impl From<LeaseError> for SessionError {
    fn from(cause: LeaseError) -> SessionError {
        SessionError::Lease(cause)
    }
}

impl From<StoreError> for SessionError {
    fn from(cause: StoreError) -> SessionError {
        match cause {
            StoreError::TooLarge(most) => SessionError::StoreLimit(most),
            StoreError::Full(what) => SessionError::Full(what),
            StoreError::Lease(cause) => SessionError::Lease(cause),
            cause => SessionError::Store(cause),
        }
    }
}
