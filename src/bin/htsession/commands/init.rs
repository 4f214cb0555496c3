//! `init`: an empty store for the server's user, so that the server need not make it.

use mod_session_store::core::store::dir::Owner;

use crate::arguments::Place;
use crate::failure::Failure;
use crate::located::Located;
use crate::output::{Output, plain};
use crate::owner::become_owner;
use crate::stores::{self, Access, Kind, Made, Opened};

pub fn run(out: &mut Output, place: &Place) -> Result<(), Failure> {
    let located = Located::find(place)?;
    let kind = stores::kind(&located)?;
    let there = kind.owner()?;
    let (said, _) = make(&*kind, located.owner.or(there))?;
    if out.json { out.value(&said) } else { out.line(&plain(&said.text)) }
}

/// Opens a store that may be missing; root makes it for `owner` and becomes that user. Says what there
/// is now.
pub fn make(kind: &dyn Kind, owner: Option<Owner>) -> Result<(Made, Opened), Failure> {
    let said = kind.make(owner)?;
    become_owner(owner)?;
    Ok((said, kind.open(Access::Make)?))
}
