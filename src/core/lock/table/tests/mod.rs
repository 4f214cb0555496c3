//! The table, tried by one thread that plays several processes ([`sim`]), by real threads, and by
//! all orders of steps a scheduler can think of.

mod behaviour;
mod interleavings;
mod kills;
mod model;
mod sim;
mod threads;
