//! The suite over backends in memory, one of each kind, and what none of them should do.

mod backend;
mod failing;
mod kinds;
