//! Stores other than files: what each of them keeps, and what it says it cannot do.

mod behaviour;
mod dbm;
mod memory;
mod provider;
mod redis;
mod refusals;
mod socache;
