//! Many graceful restarts under load: as many as `SESSION_STORE_RESTARTS` says, 15 if it is not set.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::steps::{count, sessions, visitor};
use crate::support::inspect::{self, Holdings};
use crate::support::{Builder, Server, wait_value};

/// Restarts before the first look: httpd's own tables have grown by then.
const WARM: u32 = 3;

fn restarts() -> u32 {
    let set = std::env::var("SESSION_STORE_RESTARTS");
    let number = set.map_or(15, |text| text.parse().expect("SESSION_STORE_RESTARTS is no number"));
    assert!(number > WARM, "SESSION_STORE_RESTARTS is at least {}", WARM + 1);
    number
}

/// What the parent holds, its kilobytes of data, and System V semaphores and shared memory.
#[derive(Debug)]
struct Look {
    holdings: Holdings,
    data: u64,
    semaphores: usize,
    segments: usize,
}

impl Look {
    fn at(server: &Server) -> Look {
        let status = fs::read_to_string(format!("/proc/{}/status", server.pid()));
        let status = status.expect("its status");
        let size = status.lines().find_map(|line| line.strip_prefix("VmData:"));
        let size = size.and_then(|text| text.trim().strip_suffix(" kB")?.parse().ok());
        Look {
            holdings: inspect::holdings(server.pid()).expect("the parent"),
            data: size.expect("its size"),
            semaphores: inspect::semaphore_sets(),
            segments: segments(),
        }
    }
}

/// Segments of System V shared memory on this machine.
fn segments() -> usize {
    fs::read_to_string("/proc/sysvipc/shm").unwrap_or_default().lines().skip(1).count()
}

/// Restarts while three visitors add to one session; how often they did, and the two looks.
fn soak(server: &Server, client: &crate::support::Client) -> (u32, Look, Look) {
    let (stop, added) = (AtomicBool::new(false), AtomicU32::new(0));
    let add = || {
        let mut client = client.clone();
        while !stop.load(Ordering::Relaxed) {
            client.get("/probe?incr:n").expect(200);
            added.fetch_add(1, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(1));
        }
    };
    let restart = |times: u32| {
        for _ in 0..times {
            server.reload_graceful();
        }
        Look::at(server)
    };
    let looks = thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(add);
        }
        let looks = (restart(WARM), restart(restarts() - WARM));
        stop.store(true, Ordering::Relaxed);
        looks
    });
    (added.into_inner(), looks.0, looks.1)
}

/// The first look is returned.
fn leaves_nothing_behind(builder: Builder) -> (Server, Look) {
    let server = builder.threads(8).max_workers(16).start();
    let mut client = visitor(&server);
    let start = Instant::now();
    let (added, before, after) = soak(&server, &client);
    println!(
        "{} restarts in {:?}, {added} increments\n{before:?}\n{after:?}",
        restarts(),
        start.elapsed()
    );
    assert!(added > restarts(), "{added} is no load");
    assert_eq!(count(&mut client), 1 + added);
    assert_eq!(server.log_count("exit signal"), 0);
    assert_eq!(server.log_count("session locks by"), 1);
    assert_eq!(before.holdings, after.holdings);
    assert!(after.data < before.data + 1024, "{before:?} became {after:?}");
    (server, before)
}

#[test]
fn many_graceful_restarts_under_load_leave_nothing_behind() {
    leaves_nothing_behind(sessions());
}

#[test]
fn many_graceful_restarts_with_semaphores_of_system_v_leave_nothing_behind() {
    let conf = "Mutex sysvsem session-store\nSessionLocks 8";
    let (_server, before) = leaves_nothing_behind(sessions().conf(conf));
    // Other servers of the machine have some too: theirs come and go.
    wait_value(
        "no more semaphores and segments than before",
        Duration::from_secs(60),
        || (inspect::semaphore_sets(), segments()),
        |(sets, segments)| *sets <= before.semaphores && *segments <= before.segments,
    );
}
