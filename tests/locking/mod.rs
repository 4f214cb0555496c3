//! Who waits for whom.

mod deaths;
mod http2;
mod increments;
mod limits;
mod mechanisms;
mod modes;
mod others;
mod table;
mod tunnels;
