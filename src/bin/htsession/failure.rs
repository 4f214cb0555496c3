//! Why a command did not do what it was asked, and the exit code that says so.

use std::fmt;

use mod_session_store::core::store::StoreError;

/// An exit code. The man page explains each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// Nothing more is to be done.
    Done = 0,
    /// Something is wrong with the sessions: `check` found damage, `show` a damaged record, `delete` and
    /// `purge` could not remove some, `copy` left some behind.
    Problem = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// The store, or httpd which has to name it, is out of reach or stopped working.
    Store = 3,
    /// There is no such session, or nothing that fits.
    NotFound = 4,
    /// A server uses the store, and this has to wait until it does not.
    InUse = 5,
}

/// What is printed, and the code.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub code: Code,
    /// A sentence without its end; none: all was said already.
    pub text: String,
}

impl Failure {
    /// The command line makes no sense.
    pub fn usage(text: impl Into<String>) -> Failure {
        Failure { code: Code::Usage, text: text.into() }
    }

    /// The store is out of reach.
    pub fn store(text: impl Into<String>) -> Failure {
        Failure { code: Code::Store, text: text.into() }
    }

    /// There is none.
    pub fn not_found(text: impl Into<String>) -> Failure {
        Failure { code: Code::NotFound, text: text.into() }
    }

    /// A server uses the store.
    pub fn in_use(text: impl Into<String>) -> Failure {
        Failure { code: Code::InUse, text: text.into() }
    }

    /// What is wrong has been printed.
    pub fn problem() -> Failure {
        Failure { code: Code::Problem, text: String::new() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<StoreError> for Failure {
    fn from(cause: StoreError) -> Failure {
        match cause {
            StoreError::Unsupported => Failure::store("this store cannot be listed"),
            cause => Failure::store(cause.to_string()),
        }
    }
}
