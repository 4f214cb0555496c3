//! Real threads, real time, real sleeping.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use super::sim::{key, wait};
use crate::core::clock::SystemClock;
use crate::core::lock::local::LocalTable;
use crate::core::lock::{LeaseError, Leases};

const LONG: Duration = Duration::from_secs(20);

#[test]
fn no_increment_is_lost_between_threads() {
    const THREADS: u64 = 8;
    const ROUNDS: u64 = 500;
    let table = Arc::new(LocalTable::local(2, SystemClock));
    let sums = Arc::new([0; 3].map(AtomicU64::new));
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let (table, sums) = (table.clone(), sums.clone());
            thread::spawn(move || {
                for round in 0..ROUNDS {
                    let number = (thread + round) % 3;
                    let lease = table.acquire(&key(number as u8), &wait(LONG)).unwrap();
                    // Not atomic on purpose: only the lease keeps it right.
                    let sum = sums[number as usize].load(Relaxed);
                    thread::yield_now();
                    sums[number as usize].store(sum + 1, Relaxed);
                    assert!(table.confirm(&lease).unwrap());
                    table.release(lease);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(sums.iter().map(|sum| sum.load(Relaxed)).sum::<u64>(), THREADS * ROUNDS);
    let statistics = table.statistics();
    assert_eq!((statistics.held, statistics.waiting), (0, 0));
    assert_eq!(statistics.leases, THREADS * ROUNDS);
    assert!(statistics.waits.iter().sum::<u64>() > 0, "nobody ever waited");
}

#[test]
fn another_thread_may_end_the_lease_and_wakes_the_waiter_at_once() {
    let table = Arc::new(LocalTable::local(1, SystemClock));
    let lease = table.acquire(&key(1), &wait(Duration::ZERO)).unwrap();
    let waiter = thread::spawn({
        let table = table.clone();
        move || table.acquire(&key(1), &wait(LONG))
    });
    while table.statistics().waiting == 0 {
        thread::yield_now();
    }
    let ender = table.clone();
    thread::spawn(move || ender.release(lease)).join().unwrap();
    table.release(waiter.join().unwrap().unwrap());
}

#[test]
fn a_wait_lasts_as_long_as_it_was_told() {
    let table = LocalTable::local(1, SystemClock);
    let lease = table.acquire(&key(1), &wait(Duration::ZERO)).unwrap();
    let start = std::time::Instant::now();
    let outcome = table.acquire(&key(1), &wait(Duration::from_millis(30)));
    assert_eq!(outcome, Err(LeaseError::TimedOut));
    assert!(start.elapsed() >= Duration::from_millis(30));
    table.release(lease);
}
