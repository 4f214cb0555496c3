//! The sessions of a user: a chain through the entries for each bucket of users.

use super::layout::{Block, Field, Halves, pair, unlink, unpair};
use super::shard::{Broken, Shard};
use crate::core::lock::host::Words;

impl<M: Words> Shard<'_, M> {
    /// Entries that may be those of a user: all with this hash.
    pub(super) fn of_user(&self, hash: u32) -> impl Iterator<Item = Result<Block, Broken>> {
        let bucket = self.layout.user_bucket(hash);
        let mut next = self.block(self.half(Halves::Users, bucket));
        let mut left = self.layout.blocks();
        let all = std::iter::from_fn(move || {
            let found = next.transpose()?;
            next = match found {
                Ok(entry) if left > 0 => self.next_of_user(entry),
                _ => Ok(None),
            };
            left = left.saturating_sub(1);
            Some(if left == 0 { Err(Broken) } else { found })
        });
        all.filter(move |entry| entry.is_err() || entry.is_ok_and(|entry| self.user(entry) == hash))
    }

    /// The hash of an entry's user, if it has one.
    pub(super) fn user(&self, entry: Block) -> u32 {
        unpair(self.field(entry, Field::Facts)).0
    }

    fn next_of_user(&self, entry: Block) -> Result<Option<Block>, Broken> {
        self.block(unpair(self.field(entry, Field::Links)).1)
    }

    fn set_next_of_user(&self, entry: Block, next: u32) {
        let (in_bucket, _) = unpair(self.field(entry, Field::Links));
        self.set_field(entry, Field::Links, pair(in_bucket, next));
    }

    /// Adds an entry to its user's chain.
    pub(super) fn remember_user(&self, entry: Block, hash: u32) {
        let bucket = self.layout.user_bucket(hash);
        self.set_next_of_user(entry, self.half(Halves::Users, bucket));
        self.set_half(Halves::Users, bucket, unlink(Some(entry)));
    }

    /// Takes an entry out of its user's chain.
    pub(super) fn forget_user(&self, entry: Block, hash: u32) -> Result<(), Broken> {
        let bucket = self.layout.user_bucket(hash);
        let behind = unlink(self.next_of_user(entry)?);
        let mut at = self.block(self.half(Halves::Users, bucket))?.ok_or(Broken)?;
        if at == entry {
            self.set_half(Halves::Users, bucket, behind);
            return Ok(());
        }
        for _ in 0..self.layout.blocks() {
            let next = self.next_of_user(at)?.ok_or(Broken)?;
            if next == entry {
                self.set_next_of_user(at, behind);
                return Ok(());
            }
            at = next;
        }
        Err(Broken)
    }
}
