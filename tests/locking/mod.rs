//! Who waits for whom.

mod deaths;
mod increments;
mod limits;
mod mechanisms;
mod modes;
mod others;
