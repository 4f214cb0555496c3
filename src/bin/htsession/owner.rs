//! Whose the data is, and becoming that user before any of it is touched.
//!
//! Root would make files that the server's children cannot open, and would follow what they have
//! planted. So root becomes the owner of the data first, for good.

use mod_session_store::core::store::dir::Owner;
use mod_session_store::system::user;

use crate::failure::Failure;

/// Whether this process can become anybody.
pub fn is_root() -> bool {
    Owner::current().uid == 0
}

/// The one owner of everything that is going to be opened; none if nobody is known.
///
/// # Errors
/// There are two.
pub fn only(owners: &[Option<Owner>]) -> Result<Option<Owner>, Failure> {
    let mut known = owners.iter().flatten();
    let Some(first) = known.next() else { return Ok(None) };
    match known.find(|owner| owner.uid != first.uid) {
        None => Ok(Some(*first)),
        Some(other) => Err(Failure::store(format!(
            "the stores belong to the users {} and {}: one of them cannot read both",
            first.uid, other.uid
        ))),
    }
}

/// Root becomes `owner`; anybody else stays who it is, and sees what it may see.
pub fn become_owner(owner: Option<Owner>) -> Result<(), Failure> {
    let Some(Owner { uid, gid }) = owner.filter(|_| is_root()) else { return Ok(()) };
    user::become_user(uid, gid)
        .map_err(|cause| Failure::store(format!("becoming user {uid}, group {gid}: {cause}")))
}
