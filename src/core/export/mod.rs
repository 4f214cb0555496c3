//! A session as handlers outside of this process know it: environment and request headers on their way
//! out, response headers on the way back.
//!
//! Both ways are text that other software folds, joins, cuts and logs. So every name is one of ours and
//! nobody else's, every value is printable ASCII, and everything has a limit.

pub mod client;
pub mod head;
pub mod names;
pub mod orders;
pub mod out;
pub mod text;
