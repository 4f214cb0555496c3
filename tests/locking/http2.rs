//! HTTP/2: the requests of one session are streams of one connection, and a stream may stall alone.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::steps::{Signals, answer, ask, count, run, sessions, visitor};
use crate::support::http2::{Answers, Stalled, counted_streams, streams, try_streams};
use crate::support::{Builder, Mpm, parallel, wait_value};

const PROMPT: Duration = Duration::from_millis(1500);
/// A place where the session is taken by the C interface alone: a handler says first that it begins.
const PLAIN: &str = "<Location \"/plain\">\nSetHandler probe\nSessionNotes off\n</Location>";
/// Streams of a new connection that mod_http2 works on at once.
const AT_ONCE: usize = 6;
/// Requests that may wait for one session if nothing is said.
const WAITERS: usize = 16;

/// Prefork runs one stream of a process at a time, and mod_http2 warns of it.
macro_rules! threaded_tests {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            use crate::support::Mpm;

            #[test]
            fn worker() {
                super::$name(Mpm::Worker);
            }

            #[test]
            fn event() {
                super::$name(Mpm::Event);
            }
        }
    )+};
}

threaded_tests!(
    thirty_streams_that_increment_lose_none,
    streams_that_wait_for_their_session_do_not_stall_a_stranger,
    a_stalled_stream_holds_no_session_once_it_unlocked,
    a_stalled_stream_holds_no_session_once_its_handler_ended,
    streams_beyond_the_waiters_get_503_at_once_and_the_others_are_served,
    streams_of_sixteen_sessions_share_one_mutex_and_are_held_side_by_side,
    a_session_of_a_killed_child_is_the_next_streams_within_two_seconds,
    a_session_held_too_long_by_a_stream_is_taken_over_and_the_late_one_merges,
    streams_lose_no_update_across_graceful_restarts,
);

fn builder(mpm: Mpm) -> Builder {
    let builder = sessions().mpm(mpm).threads(64).ready_for(64).module("http2");
    builder.conf("Protocols h2c http/1.1\nH2Direct on").conf(PLAIN)
}

pub fn thirty_streams_that_increment_lose_none(mpm: Mpm) {
    let server = builder(mpm).conf("SessionLockWaiters 64 100%").start();
    let mut client = visitor(&server);
    let answers = streams(&client, &server, &vec!["/probe?incr:n".to_owned(); 30]);
    assert_eq!(answers.sums, (2..=31).collect::<Vec<u32>>());
    assert_eq!(count(&mut client), 31);
}

pub fn streams_that_wait_for_their_session_do_not_stall_a_stranger(mpm: Mpm) {
    let server = builder(mpm).conf("SessionLockWaiters 64 100%").start();
    let signals = Signals::of(&server);
    let mut client = visitor(&server);
    let holder = signals.hold(&mut client, "incr:n", "held", "end");
    let begins: Vec<String> = (0..20).map(|index| format!("begins{index}")).collect();
    let begun = || begins.iter().filter(|name| signals.file(name).exists()).count();
    let paths: Vec<String> =
        begins.iter().map(|name| format!("/plain?{};incr:n", signals.give(name))).collect();

    let tab = client.clone();
    let answers = thread::scope(|scope| {
        let waiting = scope.spawn(|| streams(&tab, &server, &paths));
        let patience = Duration::from_secs(20);
        wait_value("streams under way", patience, begun, |count| *count >= AT_ONCE);
        let response = server.client().send(&ask("incr:n")).expect(200);
        let stranger = visitor(&server);
        let start = Instant::now();
        let by_stream = streams(&stranger, &server, &["/probe?incr:n".to_owned()]);
        let took = start.elapsed();
        let early = waiting.is_finished();
        signals.raise("end");
        assert!(response.took < PROMPT, "{:?}", response.took);
        assert!(took < PROMPT, "{took:?}");
        assert_eq!(by_stream.sums, [2]);
        assert!(!early, "nobody waited");
        waiting.join().expect("the streams")
    });
    answer(holder).expect(200);
    assert_eq!(answers.sums, (3..=22).collect::<Vec<u32>>(), "{answers:?}");
    assert_eq!(count(&mut client), 22);
}

#[track_caller]
fn is_free_while_stalled(mpm: Mpm, ops: &str) {
    let server = builder(mpm).conf("SessionLockTimeout 5s").start();
    let mut client = visitor(&server);
    let mut stalled = Stalled::new(&client, &server, &format!("/probe?{ops}"));
    let response = client.send(&ask("incr:n"));
    assert!(response.took < PROMPT, "waited {:?}", response.took);
    assert_eq!(response.expect(200).text(), "incr=SUCCESS 3\n");
    let by_stream = streams(&client, &server, &["/probe?incr:n".to_owned()]);
    assert_eq!(by_stream.sums, [4]);
    stalled.expect_nothing();
}

pub fn a_stalled_stream_holds_no_session_once_it_unlocked(mpm: Mpm) {
    is_free_while_stalled(mpm, "incr:n;setnote:session-store.do=unlock;flush;write:2000000");
}

pub fn a_stalled_stream_holds_no_session_once_its_handler_ended(mpm: Mpm) {
    is_free_while_stalled(mpm, "incr:n;write:8000");
}

pub fn streams_beyond_the_waiters_get_503_at_once_and_the_others_are_served(mpm: Mpm) {
    let server = builder(mpm).start();
    server.expect_log("a request was refused its session");
    let signals = Signals::of(&server);
    let mut client = visitor(&server);
    let holder = signals.hold(&mut client, "incr:n", "held", "end");
    // Not the lines of the access log: mod_http2 may let one come 20 seconds after its answer.
    let answered = AtomicUsize::new(0);
    let refused = || answered.load(Ordering::Relaxed);
    let paths = vec!["/probe?incr:n".to_owned(); 5];
    let tab = client.clone();
    let answers: Vec<Answers> = thread::scope(|scope| {
        let tabs =
            scope.spawn(|| parallel(12, |_| counted_streams(&tab, &server, &paths, &answered)));
        wait_value("refusals", Duration::from_secs(10), refused, |count| *count == 60 - WAITERS);
        assert!(!tabs.is_finished(), "nobody waited");
        signals.raise("end");
        tabs.join().expect("the streams")
    });
    answer(holder).expect(200);
    let heads = answers.into_iter().flat_map(|tab| tab.heads);
    let (served, surplus): (Vec<_>, Vec<_>) = heads.partition(|(status, _)| *status == 200);
    assert_eq!((served.len(), surplus.len()), (WAITERS, 60 - WAITERS), "{surplus:?}");
    assert!(surplus.iter().all(|head| *head == (503, true)), "{surplus:?}");
    assert_eq!(run(&mut client, "get:n"), [format!("get=SUCCESS {}", 2 + WAITERS)]);
}

pub fn streams_of_sixteen_sessions_share_one_mutex_and_are_held_side_by_side(mpm: Mpm) {
    let server = builder(mpm).locks(1).start();
    let signals = Signals::of(&server);
    let clients = parallel(16, |_| visitor(&server));
    let held: Vec<String> = (0..16).map(|index| format!("held{index}")).collect();
    let answers = thread::scope(|scope| {
        let holders = scope.spawn(|| {
            parallel(16, |index| {
                let ops =
                    format!("incr:n;{};{}", signals.give(&held[index]), signals.await_("end"));
                streams(&clients[index], &server, &[format!("/probe?{ops}")])
            })
        });
        held.iter().for_each(|name| signals.wait(name));
        assert!(!holders.is_finished(), "nobody held a session");
        signals.raise("end");
        holders.join().expect("the streams")
    });
    assert!(answers.iter().all(|one| one.sums == [2]), "{answers:?}");
}

pub fn a_session_of_a_killed_child_is_the_next_streams_within_two_seconds(mpm: Mpm) {
    let server = builder(mpm).start_servers(2).start();
    let mut client = visitor(&server);
    let (killed, end) = try_streams(&client, &server, &["/probe?incr:n;kill".to_owned()]);
    assert!(killed.heads.is_empty() && end.is_err(), "the child lives: {killed:?}");
    let start = Instant::now();
    let next = streams(&client, &server, &["/probe?incr:n".to_owned()]);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    // What the dead one had not committed is not there.
    assert_eq!(next.sums, [2]);
    assert_eq!(run(&mut client, "trylock;unlock"), ["trylock=SUCCESS", "unlock=SUCCESS"]);
}

pub fn a_session_held_too_long_by_a_stream_is_taken_over_and_the_late_one_merges(mpm: Mpm) {
    let server = builder(mpm).conf("SessionLockHold 1s").start();
    server.expect_log("longer than SessionLockHold");
    let signals = Signals::of(&server);
    let mut client = visitor(&server);
    let ops = format!("open:write;set:late=1;{};{}", signals.give("held"), signals.await_("end"));
    let tab = client.clone();
    thread::scope(|scope| {
        let late = scope.spawn(|| streams(&tab, &server, &[format!("/probe?{ops}")]));
        signals.wait("held");
        let start = Instant::now();
        let next = streams(&tab, &server, &["/probe?incr:n".to_owned()]);
        let took = start.elapsed();
        signals.raise("end");
        assert!(took < Duration::from_secs(3), "{took:?}");
        assert_eq!(next.sums, [2]);
        assert_eq!(late.join().expect("the stream").heads[0].0, 200);
    });
    assert_eq!(run(&mut client, "get:late;get:n"), ["get=SUCCESS 1", "get=SUCCESS 2"]);
}

pub fn streams_lose_no_update_across_graceful_restarts(mpm: Mpm) {
    let server = builder(mpm).conf("SessionLockWaiters 64 100%").start();
    let mut client = visitor(&server);
    let (stop, asked) = (AtomicBool::new(false), AtomicU32::new(0));
    let paths = vec!["/probe?incr:n".to_owned(); 5];
    let mut sums: Vec<u32> = thread::scope(|scope| {
        let tab = || {
            let mut sums = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                asked.fetch_add(5, Ordering::Relaxed);
                // A connection that is ended by a restart leaves late streams without an answer.
                sums.extend(try_streams(&client, &server, &paths).0.sums);
            }
            sums
        };
        let tabs = [scope.spawn(tab), scope.spawn(tab)];
        server.reload_graceful();
        server.reload_graceful();
        stop.store(true, Ordering::Relaxed);
        tabs.into_iter().flat_map(|tab| tab.join().expect("the streams")).collect()
    });
    let answered = sums.len();
    sums.sort_unstable();
    sums.dedup();
    assert_eq!(sums.len(), answered, "two got the same sum");
    let added = count(&mut client) - 1;
    let (least, most) = (u32::try_from(answered).expect("a few"), asked.into_inner());
    assert!(least > 20 && least <= added && added <= most, "{least} <= {added} <= {most}");
}
