//! Sessions: what they hold, how they are found, changed, committed and ended.

pub mod codec;
pub mod record;
pub mod values;
