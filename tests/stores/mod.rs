//! What is particular to a store.

mod memory;
