//! Tests of the memory store.

mod beside;
mod damage;
mod full;
mod headers;
mod kills;
mod model;
mod processes;
mod sim;
mod suite;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::core::store::fake::TestMutexes;

/// Words on the heap.
#[derive(Clone)]
struct Heap(Arc<Vec<AtomicU64>>);

impl Heap {
    fn new(bytes: u64) -> Heap {
        Heap(Arc::new((0..bytes / 8).map(|_| AtomicU64::new(0)).collect()))
    }
}

impl Words for Heap {
    fn load(&self, index: usize) -> u64 {
        self.0[index].load(Ordering::Acquire)
    }

    fn store(&self, index: usize, value: u64) {
        self.0[index].store(value, Ordering::Release);
    }

    fn add(&self, index: usize, value: u64) {
        self.0[index].fetch_add(value, Ordering::Relaxed);
    }
}

/// A store of its own.
fn local(bytes: u64) -> MemoryStore<Heap> {
    let (words, layout) = (Heap::new(bytes), Layout::new(bytes, SHARDS).unwrap());
    create(&words, &layout, None);
    MemoryStore::open(words, layout, Arc::new(TestMutexes::new(SHARDS as usize)), SystemClock)
}
