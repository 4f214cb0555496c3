//! Stores: what each of them keeps, and what it says it cannot do. Files are what all other tests use.

mod behaviour;
mod dbm;
mod disk;
mod file;
mod memory;
mod provider;
mod redis;
mod refusals;
mod socache;
