//! Sessions: what they hold, how they are found, changed, committed and ended.

mod add;
pub mod candidates;
pub mod codec;
mod commit;
mod error;
mod hold;
pub mod id;
pub mod notes;
mod open;
pub mod record;
mod renew;
pub mod rules;
pub mod secrets;
mod state;
pub mod values;
pub mod wire;

pub use self::commit::{Cookie, Point};
pub use self::error::SessionError;
pub use self::state::{Access, Notice, Services, Session};
