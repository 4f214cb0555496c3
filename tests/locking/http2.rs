//! HTTP/2: the requests of one session are streams of one connection, and a stream may stall alone.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{commits, deaths, modes, nested};
use crate::steps::{Kept, Signals, answer, ask, count, run, sessions, visitor};
use crate::support::http2::{Answer, Answers, Connection, counted_streams, streams, try_streams};
use crate::support::{Builder, Mpm, parallel, wait_value};

const PROMPT: Duration = Duration::from_millis(1500);
/// A place where the session is taken by the C interface alone: a handler says first that it begins.
const PLAIN: &str = "<Location \"/plain\">\nSetHandler probe\nSessionNotes off\n</Location>";
/// More than what a connection of HTTP/2 buffers.
const LARGE: usize = 1 << 20;
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
pub(super) use threaded_tests;

threaded_tests!(
    thirty_streams_that_increment_lose_none,
    streams_that_wait_for_their_session_do_not_stall_a_stranger,
    a_stalled_stream_holds_no_session_once_it_unlocked,
    a_stalled_stream_holds_no_session_once_its_handler_ended,
    a_stalled_download_holds_no_session,
    streams_beyond_the_waiters_get_503_at_once_and_the_others_are_served,
    streams_of_sixteen_sessions_share_one_mutex_and_are_held_side_by_side,
    nested_streams_share_what_their_request_holds,
    a_session_of_a_killed_child_is_the_next_streams_within_two_seconds,
    a_waiting_stream_gets_the_session_of_a_killed_child_within_two_seconds,
    a_killed_stream_that_waits_is_passed_over,
    a_child_killed_in_a_commit_of_a_stream_holds_up_nobody_and_leaves_a_whole_version,
    a_waiting_stream_gets_503_after_the_timeout_and_a_time_to_come_again,
    a_stream_does_not_wait_with_a_timeout_of_zero,
    merging_streams_keep_each_others_keys,
    a_stream_can_let_its_session_go_and_take_it_again,
    a_session_held_too_long_by_a_stream_is_taken_over_and_the_late_one_merges,
    streams_lose_no_update_across_graceful_restarts,
);

pub fn builder(mpm: Mpm) -> Builder {
    let builder = sessions().mpm(mpm).threads(64).ready_for(64).module("http2");
    builder.conf("Protocols h2c http/1.1\nH2Direct on").conf(PLAIN)
}

pub fn thirty_streams_that_increment_lose_none(mpm: Mpm) {
    let server = builder(mpm).conf("SessionLockWaiters 64 100%").start();
    let mut client = visitor(&server);
    let answers = streams(&client, &vec!["/probe?incr:n".to_owned(); 30]);
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
        let waiting = scope.spawn(|| streams(&tab, &paths));
        let patience = Duration::from_secs(20);
        wait_value("streams under way", patience, begun, |count| *count >= AT_ONCE);
        let response = server.client().send(&ask("incr:n")).expect(200);
        let stranger = visitor(&server);
        let start = Instant::now();
        let by_stream = streams(&stranger, &["/probe?incr:n".to_owned()]);
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
fn is_free_while_stalled(mpm: Mpm, path: &str, sum: u32) {
    let server = builder(mpm).conf("SessionLockTimeout 5s");
    let server = server.document("large.bin", [b'x'; LARGE]).start();
    let mut client = visitor(&server);
    let mut stalled = Connection::narrow(&client).expect("connecting");
    let page = stalled.get(path).expect("asking");
    stalled.fill(page);
    let response = client.send(&ask("incr:n"));
    assert!(response.took < PROMPT, "waited {:?}", response.took);
    assert_eq!(response.expect(200).text(), format!("incr=SUCCESS {sum}\n"));
    let by_stream = streams(&client, &["/probe?incr:n".to_owned()]);
    assert_eq!(by_stream.sums, [sum + 1]);
    assert!(!stalled.stirs(page, Duration::from_millis(100)), "the stream went on");
}

pub fn a_stalled_stream_holds_no_session_once_it_unlocked(mpm: Mpm) {
    let ops = "incr:n;setnote:session-store.do=unlock;flush;write:2000000";
    is_free_while_stalled(mpm, &format!("/probe?{ops}"), 3);
}

pub fn a_stalled_stream_holds_no_session_once_its_handler_ended(mpm: Mpm) {
    is_free_while_stalled(mpm, "/probe?incr:n;write:8000", 3);
}

pub fn a_stalled_download_holds_no_session(mpm: Mpm) {
    is_free_while_stalled(mpm, "/large.bin", 2);
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
        let tabs = scope.spawn(|| parallel(12, |_| counted_streams(&tab, &paths, &answered)));
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
                streams(&clients[index], &[format!("/probe?{ops}")])
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
    let (killed, end) = try_streams(&client, &["/probe?incr:n;kill".to_owned()]);
    assert!(killed.heads.is_empty() && end.is_err(), "the child lives: {killed:?}");
    let start = Instant::now();
    let next = streams(&client, &["/probe?incr:n".to_owned()]);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    // What the dead one had not committed is not there.
    assert_eq!(next.sums, [2]);
    assert_eq!(run(&mut client, "trylock;unlock"), ["trylock=SUCCESS", "unlock=SUCCESS"]);
}

/// Four processes, so that one may be killed.
fn processes(mpm: Mpm) -> Builder {
    builder(mpm).threads(8).start_servers(4)
}

pub fn a_waiting_stream_gets_the_session_of_a_killed_child_within_two_seconds(mpm: Mpm) {
    deaths::killed_before_a_waiter(&processes(mpm).start(), Kept::streams);
}

pub fn a_killed_stream_that_waits_is_passed_over(mpm: Mpm) {
    deaths::killed_while_it_waits(&processes(mpm).start(), Kept::streams);
}

pub fn a_child_killed_in_a_commit_of_a_stream_holds_up_nobody_and_leaves_a_whole_version(mpm: Mpm) {
    commits::killed_in_commits(|| processes(mpm), Kept::streams);
}

pub fn nested_streams_share_what_their_request_holds(mpm: Mpm) {
    nested::share_what_their_request_holds(builder(mpm), |client, path, times| {
        let mut tab = Connection::new(client).expect("connecting");
        let begun: Vec<u32> = (0..times).map(|_| tab.get(path).expect("asking")).collect();
        let answers = begun.into_iter().map(|stream| tab.answer(stream).expect("an answer"));
        answers.map(|answer| (answer.status, answer.lines())).collect()
    });
}

pub fn a_waiting_stream_gets_503_after_the_timeout_and_a_time_to_come_again(mpm: Mpm) {
    let (second, three) = (Duration::from_millis(900), Duration::from_secs(3));
    refused_while_held(mpm, "SessionLockTimeout 1s", second, three);
}

pub fn a_stream_does_not_wait_with_a_timeout_of_zero(mpm: Mpm) {
    refused_while_held(mpm, "SessionLockTimeout 0", Duration::ZERO, PROMPT);
}

/// Another stream of the connection holds the session: one that needs it is refused after a time
/// between the two, and one that does not is served.
fn refused_while_held(mpm: Mpm, conf: &str, at_least: Duration, at_most: Duration) {
    let server = builder(mpm).conf(conf).start();
    server.expect_log("a request was refused its session");
    let signals = Signals::of(&server);
    let mut client = visitor(&server);
    let mut tab = Connection::new(&client).expect("connecting");
    let ops = format!("incr:n;{};{}", signals.give("held"), signals.await_("end"));
    let holder = tab.get(&format!("/probe?{ops}")).expect("asking");
    signals.wait("held");

    let timely = |answer: Answer| {
        assert!(answer.took >= at_least && answer.took < at_most, "{answer:?}");
        answer
    };
    for path in ["/probe?incr:n", "/plain?open:write;return:503"] {
        let refused = timely(tab.ask(path)).expect(503);
        assert!(refused.retry_after, "{path}");
    }
    assert_eq!(timely(tab.ask("/plain?incr:n")).expect(200).text, "incr=TIMEUP\n");
    let look = tab.ask("/plain?open:read;get:n").expect(200);
    assert_eq!(look.text, "open=SUCCESS\nget=SUCCESS 1\n");
    assert!(look.took < PROMPT, "{look:?}");

    signals.raise("end");
    tab.answer(holder).expect("an answer").expect(200);
    assert_eq!(tab.ask("/probe?incr:n").expect(200).text, "incr=SUCCESS 3\n");
    assert_eq!(count(&mut client), 3);
}

pub fn merging_streams_keep_each_others_keys(mpm: Mpm) {
    let server = builder(mpm).conf(modes::PLACES).start();
    let signals = Signals::of(&server);
    let mut client = visitor(&server);
    let mut tab = Connection::new(&client).expect("connecting");
    let ops = ["get:n;set:a=1", &signals.give("held"), &signals.await_("go"), "unset:n;set:c=late"];
    let late = tab.get(&format!("/commit?{}", ops.join(";"))).expect("asking");
    signals.wait("held");
    let early = tab.ask("/commit?set:b=2;set:c=early").expect(200);
    assert!(early.took < PROMPT, "{early:?}");
    signals.raise("go");
    tab.answer(late).expect("an answer").expect(200);
    let seen = run(&mut client, "get:n;get:a;get:b;get:c");
    assert_eq!(seen, ["get=NOTFOUND", "get=SUCCESS 1", "get=SUCCESS 2", "get=SUCCESS late"]);
}

pub fn a_stream_can_let_its_session_go_and_take_it_again(mpm: Mpm) {
    let server = builder(mpm).start();
    let signals = Signals::of(&server);
    let mut client = visitor(&server);
    let mut tab = Connection::new(&client).expect("connecting");
    let ops = ["incr:n;unlock", &signals.give("held"), &signals.await_("go"), "lock;incr:n"];
    let first = tab.get(&format!("/probe?{}", ops.join(";"))).expect("asking");
    signals.wait("held");
    let between = tab.ask("/probe?incr:n").expect(200);
    assert!(between.took < PROMPT, "{between:?}");
    assert_eq!(between.text, "incr=SUCCESS 3\n");
    signals.raise("go");
    let lines = tab.answer(first).expect("an answer").expect(200).lines();
    assert_eq!(lines.last().map(String::as_str), Some("incr=SUCCESS 4"), "{lines:?}");
    assert_eq!(run(&mut client, "trylock;get:n"), ["trylock=SUCCESS", "get=SUCCESS 4"]);
}

pub fn a_session_held_too_long_by_a_stream_is_taken_over_and_the_late_one_merges(mpm: Mpm) {
    let server = builder(mpm).conf("SessionLockHold 1s").start();
    server.expect_log("longer than SessionLockHold");
    let signals = Signals::of(&server);
    let mut client = visitor(&server);
    let ops = format!("open:write;set:late=1;{};{}", signals.give("held"), signals.await_("end"));
    let tab = client.clone();
    thread::scope(|scope| {
        let late = scope.spawn(|| streams(&tab, &[format!("/probe?{ops}")]));
        signals.wait("held");
        let start = Instant::now();
        let next = streams(&tab, &["/probe?incr:n".to_owned()]);
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
                sums.extend(try_streams(&client, &paths).0.sums);
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
