use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::sim::{Waiter, World, key, seconds, wait};
use crate::core::clock::Clock;
use crate::core::lock::table::layout::{Key, State};
use crate::core::lock::table::{CONFIRMED, Layout, LayoutError, MAX_OVERFLOW, MAX_SLOTS, Table};
use crate::core::lock::{LeaseError, Leases, MutexError, Wait};

const NOT_AT_ALL: Duration = Duration::ZERO;

#[test]
fn an_idle_session_is_leased_and_released_with_one_mutex_each_and_confirmed_without() {
    let world = World::new(4, 4);
    let table = world.process(2);
    let lease = table.acquire(&key(1), &wait(seconds(30))).unwrap();
    assert!(table.confirm(&lease).unwrap());
    assert_eq!(world.holder(&key(1)), Some((2, lease.token)));
    table.release(lease);
    assert_eq!(world.locks.load(Relaxed), 2);
    assert_eq!(table.statistics().leases, 1);
    world.assert_empty();
}

#[test]
fn a_held_session_is_refused_after_the_timeout_and_at_once_without_one() {
    let world = World::new(1, 4);
    let (first, second) = (world.process(2), world.process(3));
    let lease = first.acquire(&key(1), &wait(seconds(30))).unwrap();
    let start = world.clock.monotonic();
    assert_eq!(second.acquire(&key(1), &wait(NOT_AT_ALL)), Err(LeaseError::TimedOut));
    assert_eq!(world.clock.monotonic(), start);
    assert_eq!(second.acquire(&key(1), &wait(seconds(2))), Err(LeaseError::TimedOut));
    assert_eq!(world.clock.monotonic().since(start), seconds(2));
    assert_eq!(second.statistics().timeouts, 2);
    assert!(first.confirm(&lease).unwrap());
    first.release(lease);
    world.assert_empty();
}

#[test]
fn sessions_of_one_slot_do_not_wait_for_each_other() {
    let world = World::new(1, 4);
    let table = world.process(2);
    let leases: Vec<_> =
        (0..5).map(|number| table.acquire(&key(number), &wait(NOT_AT_ALL)).unwrap()).collect();
    assert_eq!(table.statistics().held, 5);
    world.assert_whole();
    leases.into_iter().for_each(|lease| table.release(lease));
    world.assert_empty();
}

#[test]
fn waiters_get_the_session_in_the_order_they_came() {
    let world = World::new(1, 8);
    let holder = world.process(2);
    let mut lease = holder.acquire(&key(1), &wait(seconds(30))).unwrap();
    let tables: Vec<_> = (3..7).map(|pid| world.process(pid)).collect();
    let mut waiters: Vec<_> =
        tables.iter().map(|table| Waiter::new(table, &key(1), &wait(seconds(30)))).collect();
    assert_eq!(holder.statistics().waiting, 4);
    world.advance(Duration::from_millis(3));
    for (table, waiter) in tables.iter().zip(&mut waiters) {
        assert_eq!(waiter.look(table), None);
        holder.release(lease);
        lease = waiter.look(table).unwrap().unwrap();
    }
    holder.release(lease);
    // 3 ms are more than 2^11 µs and not more than 2^12.
    let statistics = holder.statistics();
    assert_eq!((statistics.waits[12], statistics.waits.iter().sum()), (4, 4));
    world.assert_empty();
}

#[test]
fn a_handed_over_lease_is_seen_without_a_mutex() {
    let world = World::new(1, 8);
    let (first, second) = (world.process(2), world.process(3));
    let lease = first.acquire(&key(1), &wait(seconds(30))).unwrap();
    let mut waiter = Waiter::new(&second, &key(1), &wait(seconds(30)));
    first.release(lease);
    let before = world.locks.load(Relaxed);
    let lease = waiter.look(&second).unwrap().unwrap();
    assert_eq!(world.locks.load(Relaxed), before);
    second.release(lease);
    world.assert_empty();
}

#[test]
fn a_waiter_whose_time_is_up_takes_what_was_handed_to_it() {
    let world = World::new(1, 8);
    let (first, second) = (world.process(2), world.process(3));
    let lease = first.acquire(&key(1), &wait(seconds(30))).unwrap();
    let mut waiter = Waiter::new(&second, &key(1), &wait(seconds(1)));
    world.advance(seconds(2));
    first.release(lease);
    second.release(waiter.look(&second).unwrap().unwrap());
    world.assert_empty();
}

#[test]
fn too_many_waiters_are_refused_for_one_session_and_in_all() {
    let world = World::new(2, 8);
    let table = world.process(2);
    let held = [0, 1].map(|number| table.acquire(&key(number), &wait(NOT_AT_ALL)).unwrap());
    let two_of_three = Wait { waiters: 2, waiters_in_all: 3, ..wait(seconds(30)) };
    let waiting = [0, 0, 1].map(|number| Waiter::new(&table, &key(number), &two_of_three));
    assert_eq!(table.acquire(&key(0), &two_of_three), Err(LeaseError::TooManyWaiters));
    assert_eq!(table.acquire(&key(1), &two_of_three), Err(LeaseError::TooManyWaiters));
    let one_more = Wait { waiters_in_all: 4, ..two_of_three };
    let waiting = waiting.into_iter().chain([Waiter::new(&table, &key(1), &one_more)]);
    assert_eq!(table.statistics().too_many_waiters, 2);
    held.into_iter().for_each(|lease| table.release(lease));
    for mut waiter in waiting {
        table.release(waiter.look(&table).unwrap().unwrap());
    }
    world.assert_empty();
}

#[test]
fn dead_waiters_do_not_keep_others_from_waiting() {
    let world = World::new(1, 8);
    let (holder, doomed, late) = (world.process(2), world.process(3), world.process(4));
    let lease = holder.acquire(&key(1), &wait(seconds(30))).unwrap();
    let only_two = Wait { waiters: 2, ..wait(seconds(30)) };
    let _lost = [(); 2].map(|()| Waiter::new(&doomed, &key(1), &only_two));
    world.kill(3);
    let mut waiter = Waiter::new(&late, &key(1), &only_two);
    assert_eq!(late.statistics().waiting, 1);
    holder.release(lease);
    late.release(waiter.look(&late).unwrap().unwrap());
    world.assert_empty();
}

#[test]
fn the_lease_of_a_dead_process_is_had_within_a_slice() {
    let world = World::new(1, 8);
    let (doomed, heir) = (world.process(2), world.process(3));
    doomed.acquire(&key(1), &Wait { hold: None, ..wait(seconds(30)) }).unwrap();
    world.kill(2);
    let start = world.clock.monotonic();
    let lease = heir.acquire(&key(1), &wait(seconds(30))).unwrap();
    assert!(world.clock.monotonic().since(start) <= Duration::from_millis(250));
    assert_eq!(heir.statistics().from_dead, 1);
    heir.release(lease);
    world.assert_empty();
}

#[test]
fn who_does_not_wait_takes_the_lease_of_a_dead_process_at_once() {
    let world = World::new(1, 8);
    let (doomed, heir) = (world.process(2), world.process(3));
    doomed.acquire(&key(1), &wait(seconds(30))).unwrap();
    let _lost = Waiter::new(&doomed, &key(1), &wait(seconds(30)));
    world.kill(2);
    heir.release(heir.acquire(&key(1), &wait(NOT_AT_ALL)).unwrap());
    world.assert_empty();
}

#[test]
fn a_lease_handed_to_a_waiter_that_died_goes_on_to_the_next() {
    let world = World::new(1, 8);
    let (holder, doomed, next) = (world.process(2), world.process(3), world.process(4));
    let lease = holder.acquire(&key(1), &wait(seconds(30))).unwrap();
    let _lost = Waiter::new(&doomed, &key(1), &wait(seconds(30)));
    let mut waiter = Waiter::new(&next, &key(1), &wait(seconds(30)));
    world.kill(3);
    holder.release(lease);
    assert_eq!(world.holder(&key(1)).unwrap().0, 3);
    next.release(waiter.look(&next).unwrap().unwrap());
    world.assert_empty();
}

#[test]
fn of_two_waiters_that_see_the_death_the_older_gets_the_lease() {
    let world = World::new(1, 8);
    let (doomed, older, younger) = (world.process(2), world.process(3), world.process(4));
    doomed.acquire(&key(1), &wait(seconds(30))).unwrap();
    let mut first = Waiter::new(&older, &key(1), &wait(seconds(30)));
    let mut second = Waiter::new(&younger, &key(1), &wait(seconds(30)));
    world.kill(2);
    assert_eq!(second.look(&younger), None);
    older.release(first.look(&older).unwrap().unwrap());
    younger.release(second.look(&younger).unwrap().unwrap());
    world.assert_empty();
}

#[test]
fn a_lease_past_its_hold_goes_to_others_and_the_late_one_is_told() {
    let world = World::new(1, 8);
    let (late, heir) = (world.process(2), world.process(3));
    let lease =
        late.acquire(&key(1), &Wait { hold: Some(seconds(2)), ..wait(seconds(0)) }).unwrap();
    let start = world.clock.monotonic();
    let taken = heir.acquire(&key(1), &wait(seconds(30))).unwrap();
    assert_eq!(world.clock.monotonic().since(start), seconds(2));
    assert!(!late.confirm(&lease).unwrap());
    late.release(lease);
    assert!(heir.confirm(&taken).unwrap());
    assert_eq!(heir.statistics().from_overdue, 1);
    heir.release(taken);
    world.assert_empty();
}

#[test]
fn a_lease_without_a_hold_is_kept_for_ever() {
    let world = World::new(1, 8);
    let (first, second) = (world.process(2), world.process(3));
    let lease = first.acquire(&key(1), &Wait { hold: None, ..wait(seconds(0)) }).unwrap();
    world.advance(seconds(1_000_000));
    assert!(first.confirm(&lease).unwrap());
    assert_eq!(second.acquire(&key(1), &wait(seconds(30))), Err(LeaseError::TimedOut));
    first.release(lease);
    world.assert_empty();
}

#[test]
fn a_waiters_own_hold_begins_when_it_gets_the_lease() {
    let world = World::new(1, 8);
    let (first, second) = (world.process(2), world.process(3));
    let lease = first.acquire(&key(1), &wait(seconds(30))).unwrap();
    let short = Wait { hold: Some(seconds(2)), ..wait(seconds(30)) };
    let mut waiter = Waiter::new(&second, &key(1), &short);
    world.advance(seconds(20));
    first.release(lease);
    let lease = waiter.look(&second).unwrap().unwrap();
    world.advance(Duration::from_millis(1999));
    assert_eq!(first.acquire(&key(1), &wait(NOT_AT_ALL)), Err(LeaseError::TimedOut));
    world.advance(Duration::from_millis(1));
    let taken = first.acquire(&key(1), &wait(NOT_AT_ALL)).unwrap();
    assert!(!second.confirm(&lease).unwrap());
    first.release(taken);
    world.assert_empty();
}

#[test]
fn a_confirmed_lease_is_safe_while_its_commit_is_under_way() {
    let world = World::new(1, 8);
    let (first, second) = (world.process(2), world.process(3));
    let lease =
        first.acquire(&key(1), &Wait { hold: Some(seconds(2)), ..wait(seconds(0)) }).unwrap();
    // Overdue, but nobody wanted it: still good.
    world.advance(seconds(3));
    let locks = world.locks.load(Relaxed);
    assert!(first.confirm(&lease).unwrap());
    assert_eq!(world.locks.load(Relaxed), locks + 1);
    let start = world.clock.monotonic();
    let taken = second.acquire(&key(1), &wait(seconds(30))).unwrap();
    assert_eq!(world.clock.monotonic().since(start), CONFIRMED);
    second.release(taken);
    first.release(lease);
    world.assert_empty();
}

#[test]
fn a_full_table_is_swept_of_the_dead_and_then_refuses() {
    let world = World::new(1, 2);
    let (doomed, table) = (world.process(2), world.process(3));
    for number in 0..3 {
        doomed.acquire(&key(number), &wait(NOT_AT_ALL)).unwrap();
    }
    assert_eq!(table.acquire(&key(9), &wait(seconds(30))), Err(LeaseError::TableFull));
    world.kill(2);
    assert_eq!(table.acquire(&key(9), &wait(seconds(30))), Err(LeaseError::TableFull));
    world.advance(seconds(1));
    let lease = table.acquire(&key(9), &wait(seconds(30))).unwrap();
    assert_eq!(table.statistics().held, 1);
    assert_eq!(table.statistics().table_full, 2);
    table.release(lease);
    world.assert_empty();
}

#[test]
fn broken_lists_are_rebuilt_with_all_that_live_processes_hold() {
    let world = World::new(1, 6);
    let table = world.process(2);
    let leases: Vec<_> =
        (0..3).map(|number| table.acquire(&key(number), &wait(NOT_AT_ALL)).unwrap()).collect();
    let mut waiter = Waiter::new(&table, &key(2), &wait(seconds(30)));
    world.break_list(0);
    world.mark_all();
    assert!(leases.iter().all(|lease| table.confirm(lease).unwrap()));
    world.break_list(0);
    assert_eq!(table.acquire(&key(1), &wait(NOT_AT_ALL)), Err(LeaseError::TimedOut));
    leases.into_iter().for_each(|lease| table.release(lease));
    table.release(waiter.look(&table).unwrap().unwrap());
    assert_eq!(table.statistics().rebuilt, 3);
    world.assert_empty();
}

#[test]
fn an_entry_that_makes_no_sense_is_dropped_and_not_lost() {
    let world = World::new(2, 6);
    let table = world.process(2);
    let leases = [0, 2, 4].map(|number| table.acquire(&key(number), &wait(NOT_AT_ALL)).unwrap());
    leases.iter().for_each(|lease| world.set_key(lease.entry, &key(1)));
    world.mark_all();
    assert!(leases.iter().all(|lease| !table.confirm(lease).unwrap()));
    table.sweep();
    world.process(3).release(table.acquire(&key(1), &wait(NOT_AT_ALL)).unwrap());
    world.assert_empty();
}

#[test]
fn of_two_holders_of_one_key_the_first_stays() {
    let world = World::new(1, 6);
    let table = world.process(2);
    let leases = [0, 1, 2].map(|number| table.acquire(&key(number), &wait(NOT_AT_ALL)).unwrap());
    world.set_key(leases[2].entry, &key(1));
    world.mark_all();
    assert_eq!(leases.each_ref().map(|lease| table.confirm(lease).unwrap()), [true, true, false]);
    leases.into_iter().for_each(|lease| table.release(lease));
    table.sweep();
    world.assert_empty();
}

#[test]
fn a_process_keeps_threads_for_other_work() {
    let world = World::new(1, 6);
    let holder = world.process(2);
    let lease = holder.acquire(&key(1), &wait(NOT_AT_ALL)).unwrap();
    let none = world.process(3).with_waiters_here(0);
    assert_eq!(none.acquire(&key(1), &wait(seconds(30))), Err(LeaseError::TooManyWaiters));
    let one = world.process(3).with_waiters_here(1);
    for _ in 0..2 {
        assert_eq!(one.acquire(&key(1), &wait(seconds(30))), Err(LeaseError::TimedOut));
    }
    none.release(none.acquire(&key(2), &wait(seconds(30))).unwrap());
    holder.release(lease);
    world.assert_empty();
}

/// A machine died with many sessions. Here each of them has a request that holds the lease and waits for
/// Redis to let it have the session too: nobody counted these, and they took all workers.
#[test]
fn who_waits_for_another_machine_is_counted_with_those_who_wait_here() {
    let world = World::new(1, 8);
    let (first, second) = (world.process(2), world.process(3));
    let only_two = Wait { waiters_in_all: 2, ..wait(seconds(30)) };
    let leases = [0, 1].map(|number| first.acquire(&key(number), &only_two).unwrap());
    let afar = [0, 1].map(|number| first.queue(&key(number), &only_two).unwrap());
    assert_eq!(first.statistics().waiting, 2);
    let other = second.acquire(&key(2), &only_two).unwrap();
    assert_eq!(second.queue(&key(2), &only_two), Err(LeaseError::TooManyWaiters));
    assert_eq!(second.acquire(&key(0), &only_two), Err(LeaseError::TooManyWaiters));
    leases.into_iter().for_each(|lease| first.release(lease));
    assert_eq!(second.statistics().waiting, 2, "who lets a lease go hands it to none of them");
    afar.into_iter().for_each(|place| first.unqueue(place));
    second.unqueue(second.queue(&key(2), &only_two).unwrap());
    let sure = Wait { waiters: 0, ..only_two };
    assert_eq!(second.queue(&key(2), &sure), Err(LeaseError::TooManyWaiters));
    second.release(other);
    world.assert_empty();
}

#[test]
fn a_process_keeps_threads_for_other_work_while_it_waits_for_another_machine() {
    let world = World::new(2, 8);
    let table = world.process(2).with_waiters_here(1);
    let place = table.queue(&key(1), &wait(seconds(30))).unwrap();
    assert_eq!(table.queue(&key(2), &wait(seconds(30))), Err(LeaseError::TooManyWaiters));
    table.unqueue(place);
    table.unqueue(table.queue(&key(2), &wait(seconds(30))).unwrap());
    world.assert_empty();
}

#[test]
fn who_died_while_it_waited_for_another_machine_is_not_counted_for_ever() {
    let world = World::new(1, 8);
    let (doomed, heir) = (world.process(2), world.process(3));
    let only_one = Wait { waiters_in_all: 1, ..wait(seconds(30)) };
    doomed.acquire(&key(1), &only_one).unwrap();
    let _lost = doomed.queue(&key(1), &only_one).unwrap();
    world.kill(2);
    let lease = heir.acquire(&key(1), &only_one).unwrap();
    heir.unqueue(heir.queue(&key(1), &only_one).unwrap());
    heir.release(lease);
    world.assert_empty();
}

#[test]
fn a_late_release_without_the_mutex_touches_nobody_elses_entry() {
    let world = World::new(1, 6);
    let (late, heir) = (world.process(2), world.process(3));
    let inline = heir.acquire(&key(0), &wait(NOT_AT_ALL)).unwrap();
    let lease = late.acquire(&key(1), &wait(NOT_AT_ALL)).unwrap();
    heir.release(inline);
    world.advance(seconds(300));
    heir.acquire(&key(1), &wait(NOT_AT_ALL)).unwrap();
    world.stuck.store(1, Relaxed);
    late.release(lease);
    assert_eq!(late.statistics().disowned, 0);
}

#[test]
fn a_lease_whose_mutex_cannot_be_had_is_given_up_like_that_of_the_dead() {
    let world = World::new(1, 6);
    let (first, second) = (world.process(2), world.process(3));
    let lease = first.acquire(&key(1), &Wait { hold: None, ..wait(seconds(0)) }).unwrap();
    let mut waiter = Waiter::new(&first, &key(1), &wait(seconds(30)));
    world.stuck.store(1, Relaxed);
    first.release(lease);
    let refused = LeaseError::Mutex(MutexError::TimedOut);
    assert_eq!(waiter.look(&first), Some(Err(refused)));
    assert_eq!(second.acquire(&key(1), &wait(NOT_AT_ALL)), Err(refused));
    world.stuck.store(0, Relaxed);
    second.release(second.acquire(&key(1), &wait(NOT_AT_ALL)).unwrap());
    assert_eq!(second.statistics().disowned, 2);
    world.assert_empty();
}

#[test]
fn an_entry_that_cannot_be_brought_back_is_found_by_a_sweep() {
    let world = World::new(1, 6);
    let table = world.process(2);
    let leases = [0, 1].map(|number| table.acquire(&key(number), &wait(NOT_AT_ALL)).unwrap());
    world.stuck.store(2, Relaxed);
    leases.into_iter().for_each(|lease| table.release(lease));
    assert_eq!((0..7).filter(|&entry| world.state(entry) == State::Detached).count(), 1);
    world.stuck.store(0, Relaxed);
    table.sweep();
    world.assert_empty();
}

#[test]
fn holders_are_listed_longest_first() {
    let world = World::new(2, 6);
    let mut expected = Vec::new();
    for number in [3, 1, 2] {
        world.process(u32::from(number) + 10).acquire(&key(number), &wait(NOT_AT_ALL)).unwrap();
        expected.push((Key::of(&key(number)).bytes(), u32::from(number) + 10));
        world.advance(seconds(1));
    }
    let found = world.process(2).holders(2);
    let found: Vec<_> = found.iter().map(|holder| (holder.key, holder.pid)).collect();
    assert_eq!(found, expected[..2]);
    assert_eq!(found[0].0, key(3).as_bytes()[..16]);
}

#[test]
fn a_table_of_another_shape_or_release_is_not_opened() {
    let world = World::new(2, 6);
    let process = || world.as_process(2);
    let open = |layout| Table::open(layout, process(), process(), process(), process());
    assert!(open(world.layout).is_ok());
    let other = Layout::new(2, 5).unwrap();
    assert_eq!(open(other).err(), Some(LayoutError::Size(2, 6)));
    crate::core::lock::host::Words::store(&process(), 0, 17);
    assert_eq!(open(world.layout).err(), Some(LayoutError::Version(17)));
}

#[test]
fn the_size_of_a_table_is_bounded() {
    assert_eq!(Layout::new(0, 1), None);
    assert_eq!(Layout::new(MAX_SLOTS + 1, 1), None);
    assert_eq!(Layout::new(1, MAX_OVERFLOW + 1), None);
    assert_eq!(Layout::new(256, 4096).unwrap().words(), 64 + 8 * 256 + 8 * (256 + 4096));
}

#[test]
fn a_session_is_logged_once_a_minute_and_hides_those_of_its_slot_for_a_second_only() {
    let world = World::new(1, 8);
    let (table, other) = (world.process(1), world.process(2));
    assert!(table.may_log(&key(1)));
    assert!(!table.may_log(&key(1)) && !other.may_log(&key(1)));
    assert!(!other.may_log(&key(2)), "at the same moment");
    world.advance(seconds(1));
    assert!(!table.may_log(&key(1)) && other.may_log(&key(2)));
    world.advance(seconds(59));
    assert!(!other.may_log(&key(2)));
    assert!(other.may_log(&key(1)) && !table.may_log(&key(1)));
    world.advance(seconds(60));
    assert!(table.may_log(&key(1)));
}
