//! Who waits for whom.

mod commits;
mod deaths;
mod http2;
mod http2_clients;
mod increments;
mod limits;
mod mechanisms;
mod modes;
mod nested;
mod others;
mod table;
mod tunnels;
