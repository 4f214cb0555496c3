//! What a store keeps of a session.

use std::mem::take;

use arrayvec::ArrayString;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::values::Values;
use crate::core::clock::Time;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A session.
    Session,
    /// What is left under the old key of a session that got a new id: the way to it, for a while.
    Alias {
        /// The store key of the session now.
        target: [u8; 32],
        /// Until when this alias is followed.
        until: Time,
    },
}

/// Longest client address, in bytes: the longest IPv6 address and its zone have room.
pub const CLIENT_MAX: usize = 60;

/// The address of a client, as a text.
pub type Client = ArrayString<CLIENT_MAX>;

/// Length of a form token, in bytes.
pub const TOKEN_BYTES: usize = 16;

/// A session as it is stored. The codec writes the fields in this order; it alone serializes them,
/// because what is read back has to be checked.
#[derive(Debug, PartialEq, Eq)]
pub struct Record {
    /// Session or alias.
    pub kind: Kind,
    /// Random; a new one for each life of a key. An update names it, so that it cannot bring back what
    /// is gone nor hit what took its place.
    pub incarnation: u64,
    /// First 8 bytes of the SHA-256 of the scope: which sessions belong together in a list.
    pub scope: [u8; 8],
    /// Who is logged in.
    pub user: Option<String>,
    /// When the session was made; kept when it gets a new id.
    pub created: Time,
    /// The latest recorded visit.
    pub accessed: Time,
    /// Until when it lives if nobody comes again, by the place of the latest visit.
    pub deadline: Time,
    /// Idle seconds set for this session itself; they win over the place's `SessionTimeout`.
    pub timeout: Option<u32>,
    /// Address of the client that made it.
    pub client: Client,
    /// Reserved; 0.
    pub flags: u32,
    /// Open one-time form tokens, oldest first.
    pub tokens: Vec<[u8; TOKEN_BYTES]>,
    /// Keys and values.
    pub values: Values,
}

impl Clone for Record {
    fn clone(&self) -> Record {
        let (user, tokens, values) = (self.user.clone(), self.tokens.clone(), self.values.clone());
        Record { user, tokens, values, ..*self }
    }

    /// Keeps the memory it has.
    fn clone_from(&mut self, other: &Record) {
        let Record { user, tokens, values, .. } = self;
        user.clone_from(&other.user);
        tokens.clone_from(&other.tokens);
        values.clone_from(&other.values);
        let (user, tokens, values) = (user.take(), take(tokens), take(values));
        *self = Record { user, tokens, values, ..*other };
    }
}

/// What [`Record::scope`] is for the scope of this name.
pub fn scope_mark(name: &str) -> [u8; 8] {
    let mut mark = [0; 8];
    mark.copy_from_slice(&Sha256::digest(name.as_bytes())[..8]);
    mark
}

impl Record {
    /// Nothing in it that is worth keeping: no key, no user, no form token.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty() && self.user.is_none() && self.tokens.is_empty()
    }

    /// Bytes that `SessionMaxSize` bounds: keys, values and the user's name.
    pub fn bytes(&self) -> usize {
        self.values.bytes() + self.user.as_deref().map_or(0, str::len)
    }
}
