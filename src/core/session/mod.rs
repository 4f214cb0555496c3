//! Sessions: what they hold, how they are found, changed, committed and ended.

mod add;
mod at_once;
pub mod bridge;
pub mod candidates;
mod change;
pub mod codec;
mod commit;
mod cookies;
mod ending;
mod error;
mod hold;
pub mod id;
mod leave;
mod left;
mod merge;
pub mod notes;
mod open;
mod peek;
pub mod record;
mod renew;
pub mod rules;
pub mod secrets;
mod state;
#[cfg(test)]
mod tests;
mod tokens;
pub mod values;
pub mod wire;

pub use self::commit::{Cookie, Point};
pub use self::error::SessionError;
pub use self::state::{Access, Notice, Services, Session};
