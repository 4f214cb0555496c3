//! Stores other than files: what each of them keeps, and what it says it cannot do.

mod behaviour;
mod provider;
mod redis;
mod refusals;
mod socache;
