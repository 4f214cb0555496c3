//! Things done at the same time.

use std::panic::resume_unwind;
use std::sync::Barrier;
use std::thread;

/// Runs `work` for 0..`count`, each on a thread of its own and all let go at once; the results in
/// order. Panics as the first one did.
pub fn parallel<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let gate = Barrier::new(count);
    let one = |index| {
        gate.wait();
        work(index)
    };
    thread::scope(|scope| {
        let one = &one;
        let threads: Vec<_> = (0..count).map(|index| scope.spawn(move || one(index))).collect();
        let joined = threads.into_iter().map(thread::ScopedJoinHandle::join);
        joined.map(|result| result.unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}
