//! Sessions held in the store itself, for stores that several machines share: the lease table is that
//! of one machine.
//!
//! A claim goes with a lease: it is taken behind it, in one step with reading the record, and ends with
//! it, in one step with the last write if there is one. Stores of one machine have none of this.

use super::{Loaded, StoreError, StoreKey};
use crate::core::lock::Wait;
use crate::core::session::record::Record;

/// A session that this request holds against other machines. Dropping it lets the session go; that
/// touches memory only and may happen on any thread.
pub trait Claim: Send {
    /// Whether it is still ours, as far as that is known without asking. False for good once it is not.
    fn is_ours(&self) -> bool;

    /// [`super::Store::update`] for as long as the session is ours, which is asked in the same step;
    /// `last` lets it go in that step too. [`StoreError::Overtaken`] if it is not ours any more, or
    /// somebody wrote the record who did not hold it.
    fn update(&self, record: &Record, last: bool) -> Result<(), StoreError>;
}

/// A record and the claim it was read under; none for what is not held: an alias, or a session of a store
/// that has no room to write a claim down. Its update has to merge.
pub type Claimed = (Loaded, Option<Box<dyn Claim>>);

/// What a store can do whose sessions can be held.
pub trait Claims {
    /// Reads a record and holds it; none if there is none. While another machine holds it, it is waited
    /// for as `wait` says; [`StoreError::Lease`] if in vain.
    fn load(&self, key: &StoreKey, wait: &Wait) -> Result<Option<Claimed>, StoreError>;

    /// [`super::Store::create`], held from the start.
    fn create(
        &self,
        key: &StoreKey,
        record: &Record,
        wait: &Wait,
    ) -> Result<Box<dyn Claim>, StoreError>;
}
