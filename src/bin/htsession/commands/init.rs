//! `init`: an empty store for the server's user, so that the server need not make it.

use crate::arguments::Place;
use crate::failure::Failure;
use crate::located::Located;
use crate::output::{Output, plain};
use crate::stores;

pub fn run(out: &mut Output, place: &Place) -> Result<(), Failure> {
    let located = Located::find(place)?;
    let made = stores::make(&located, located.owner)?;
    out.line(&plain(&made.unwrap_or_else(|| "this store needs nothing made".to_owned())))
}
