//! What every store has to do that several processes open: [`conformance_of_processes!`].
//!
//! A test starts its own binary again, once for each process, and asks it for the one test that does
//! what the environment says. Progress comes back through a pipe, a byte for each step, so that a kill
//! hits a process that is at work.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use super::churn::{self, Dice};
use super::{key, record_with, stored, values};
use crate::core::clock::Time;
use crate::core::lock::{MutexError, SlotMutexes};
use crate::core::session::record::Record;
use crate::core::session::values::Key;
use crate::core::store::{Held, Merge, Store, StoreError, Visit};

/// Makes a test of each part of this suite for a store, in a module of its own:
///
/// ```ignore
/// mod processes {
///     use crate::core::store::conformance::conformance_of_processes;
///     conformance_of_processes!(setup(), open);
/// }
/// ```
///
/// The first argument is an expression, evaluated in each test: a pair of what has to live as long as
/// the store, and a `String` that says where it is. The second is a `fn(&str) -> Box<dyn Store>` that
/// opens the store of this text, in any process, several times. Slot mutexes of several processes:
/// [`processes::FileMutexes`](FileMutexes). A store that says that a kill may damage it is not killed;
/// one that does not compare is not asked for merges, one that does not list not for lists.
macro_rules! conformance_of_processes {
    ($make:expr, $open:expr) => {
        $crate::core::store::conformance::conformance_of_processes!($make, $open;
            what_one_process_stores_another_finds,
            a_store_opened_anew_finds_everything,
            merges_of_many_processes_lose_nothing,
            processes_killed_anywhere_leave_whole_records_and_hinder_nobody,
        );

        #[test]
        #[ignore = "started by another test"]
        fn in_a_process() {
            $crate::core::store::conformance::processes::work($open);
        }
    };
    ($make:expr, $open:expr; $($part:ident,)*) => {
        $(
            #[test]
            fn $part() {
                use $crate::core::store::conformance::processes::{self, Party};
                let (_keep, spec) = $make;
                processes::$part(&Party::new(module_path!(), &spec, $open));
            }
        )*
    };
}
pub(crate) use conformance_of_processes;

const JOB: &str = "SESSION_STORE_TEST_JOB";
const SPEC: &str = "SESSION_STORE_TEST_SPEC";
/// What no process needs longer for, on a slow machine too.
const DEADLINE: Duration = Duration::from_secs(60);
/// Written for each step. Nothing else that the harness prints has it.
const STEP: u8 = b'\x01';

/// The mutexes of several processes, by locks on files. Each lock has a descriptor of its own, so that
/// threads exclude each other too, and a killed holder's is free at once.
pub struct FileMutexes {
    home: PathBuf,
    count: u32,
    held: Mutex<HashMap<u32, File>>,
}

impl FileMutexes {
    /// `count` mutexes, the same for all who name the directory `home`.
    pub fn new(home: &Path, count: u32) -> FileMutexes {
        FileMutexes { home: home.to_owned(), count, held: Mutex::default() }
    }
}

impl SlotMutexes for FileMutexes {
    fn count(&self) -> u32 {
        self.count
    }

    fn lock(&self, index: u32) -> Result<(), MutexError> {
        let file = File::create(self.home.join(format!("mutex-{index}"))).unwrap();
        flock(&file, FlockOperation::LockExclusive).unwrap();
        self.held.lock().unwrap().insert(index, file);
        Ok(())
    }

    fn unlock(&self, index: u32) {
        // Closing gives the lock back: out of the table first.
        let file = self.held.lock().unwrap().remove(&index);
        drop(file);
    }
}

/// A store and how other processes come to it.
pub struct Party<'a> {
    module: &'static str,
    spec: &'a str,
    open: fn(&str) -> Box<dyn Store>,
}

impl<'a> Party<'a> {
    /// For the tests of `module`, which has `in_a_process`.
    pub fn new(module: &'static str, spec: &'a str, open: fn(&str) -> Box<dyn Store>) -> Party<'a> {
        Party { module, spec, open }
    }

    fn open(&self) -> Box<dyn Store> {
        (self.open)(self.spec)
    }

    fn start(&self, job: impl Into<String>) -> Worker {
        let (_, module) = self.module.split_once("::").unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", &format!("{module}::in_a_process")])
            .env(JOB, job.into())
            .env(SPEC, self.spec)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let steps = Arc::new(AtomicU64::new(0));
        let mut output = child.stdout.take().unwrap();
        let count = Arc::clone(&steps);
        let said = std::thread::spawn(move || {
            let (mut said, mut buffer) = (Vec::new(), [0; 4096]);
            while let Ok(length @ 1..) = output.read(&mut buffer) {
                let bytes = &buffer[..length];
                said.extend(bytes.iter().filter(|byte| **byte != STEP));
                let made = bytes.iter().filter(|byte| **byte == STEP).count();
                count.fetch_add(made as u64, Ordering::Relaxed);
            }
            String::from_utf8_lossy(&said).into_owned()
        });
        Worker { child, steps, said: Some(said) }
    }
}

/// Another process at work.
struct Worker {
    child: Child,
    steps: Arc<AtomicU64>,
    said: Option<JoinHandle<String>>,
}

impl Worker {
    /// Waits until it has made so many steps.
    fn reach(&self, steps: u64) {
        let deadline = Instant::now() + DEADLINE;
        while self.steps.load(Ordering::Relaxed) < steps {
            assert!(Instant::now() < deadline, "a process does not get on");
            std::thread::yield_now();
        }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop, unless its job ends by itself, and waits for its end.
    fn finish(mut self) {
        drop(self.child.stdin.take());
        let said = self.said.take().unwrap().join().unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success() && said.contains("1 passed"), "{status}: {said}");
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // A test that failed leaves nobody behind; one that ended is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The other process: does what the environment asks for.
pub fn work(open: fn(&str) -> Box<dyn Store>) {
    let Ok(job) = std::env::var(JOB) else { return };
    let store = open(&std::env::var(SPEC).unwrap());
    let (verb, argument) = job.split_once(' ').unwrap();
    let argument: u64 = argument.parse().unwrap();
    match verb {
        "meet" => meet(&*store),
        "merge" => merge(&*store, argument),
        "churn" => {
            let stop = stop_flag();
            let mut dice = Dice(argument);
            while !stop.load(Ordering::Relaxed) {
                churn::step(&*store, &mut dice, argument);
                step_made();
            }
        }
        other => panic!("no job is called {other}"),
    }
}

fn step_made() {
    let mut out = std::io::stdout();
    out.write_all(&[STEP]).and_then(|()| out.flush()).unwrap();
}

/// True once who started this process wants it to stop, or is gone.
fn stop_flag() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        flag.store(true, Ordering::Relaxed);
    });
    stop
}

fn visit() -> Visit {
    Visit { accessed: Time(250), deadline: Time(400) }
}

/// The second part of [`what_one_process_stores_another_finds`].
fn meet(store: &dyn Store) {
    for number in 0..8 {
        assert_eq!(stored(store, &key(number)), Some(record_with(7, &[number])));
    }
    assert!(matches!(store.create(&key(0), &record_with(8, b"x")), Err(StoreError::Exists)));
    let held = store.load(&key(0)).unwrap().unwrap().held;
    store.update(&key(0), held, &record_with(7, &[b'u'; 3000])).unwrap();
    store.touch(&key(1), &Held::default(), 7, visit()).unwrap();
    assert!(store.delete(&key(2), Some(7)).unwrap());
    store.create(&key(9), &record_with(9, b"new")).unwrap();
}

pub fn what_one_process_stores_another_finds(party: &Party<'_>) {
    let store = party.open();
    for number in 0..8 {
        store.create(&key(number), &record_with(7, &[number])).unwrap();
    }
    let kept = store.load(&key(0)).unwrap().unwrap().held;
    party.start("meet 0").finish();
    assert_eq!(stored(&*store, &key(0)), Some(record_with(7, &[b'u'; 3000])));
    let touched = stored(&*store, &key(1)).unwrap();
    assert_eq!((touched.accessed, touched.deadline), (Time(250), Time(400)));
    assert!(stored(&*store, &key(2)).is_none());
    assert_eq!(stored(&*store, &key(9)), Some(record_with(9, b"new")));
    // What was kept from a load before the other one's write does not write over it, unless that is for
    // a token in the record to prevent.
    let late = store.update(&key(0), kept, &record_with(7, b"late")).map(drop);
    match store.claims() {
        None => assert!(matches!(late, Err(StoreError::Overtaken)), "{late:?}"),
        Some(_) => late.unwrap(),
    }
    store.update(&key(0), Held::default(), &record_with(7, b"late")).unwrap();
    assert_eq!(stored(&*store, &key(0)), Some(record_with(7, b"late")));
}

pub fn a_store_opened_anew_finds_everything(party: &Party<'_>) {
    let store = party.open();
    for number in 0..60 {
        store.create(&key(number), &record_with(7, &[number])).unwrap();
    }
    for number in 0..10 {
        assert!(store.delete(&key(number), None).unwrap());
    }
    for number in 10..20 {
        let long = record_with(7, &vec![number; 2500]);
        store.update(&key(number), Held::default(), &long).unwrap();
    }
    store.touch(&key(20), &Held::default(), 7, visit()).unwrap();
    let all = || (0..60).map(key);
    let before: Vec<_> = all().map(|key| stored(&*store, &key)).collect();
    drop(store);
    let store = party.open();
    let after: Vec<_> = all().map(|key| stored(&*store, &key)).collect();
    assert!(before == after && after.iter().flatten().count() == 50);
    assert_eq!(after[20].as_ref().unwrap().deadline, Time(400));
}

const MERGES: u64 = 200;

fn counted(record: &Record) -> u64 {
    let value = record.values.get(&Key::new("value").unwrap()).unwrap();
    u64::from_le_bytes(value.try_into().unwrap())
}

fn merge(store: &dyn Store, count: u64) {
    for _ in 0..count {
        let mut add = |record: Record| {
            let sum = counted(&record) + 1;
            Merge::Write(Box::new(Record { values: values(&sum.to_le_bytes()), ..record }))
        };
        store.merge(&key(1), 7, &mut add).unwrap();
    }
}

pub fn merges_of_many_processes_lose_nothing(party: &Party<'_>) {
    let store = party.open();
    if !store.abilities().compares {
        return;
    }
    store.create(&key(1), &record_with(7, &0u64.to_le_bytes())).unwrap();
    let workers = [(); 3].map(|()| party.start(format!("merge {MERGES}")));
    merge(&*store, MERGES);
    workers.into_iter().for_each(Worker::finish);
    assert_eq!(counted(&stored(&*store, &key(1)).unwrap()), 4 * MERGES);
}

pub fn processes_killed_anywhere_leave_whole_records_and_hinder_nobody(party: &Party<'_>) {
    const ROUNDS: u64 = 30;
    let survives = party.open().abilities().survives_kill;
    let mut dice = Dice(20);
    for round in 0..ROUNDS {
        let workers = [0, 1, 2].map(|number| party.start(format!("churn {}", 3 * round + number)));
        let since = Instant::now();
        for worker in workers {
            worker.reach(1 + dice.below(40));
            if !survives {
                worker.finish();
                continue;
            }
            // Into the middle of a step: they take a few to some hundred microseconds.
            let moment = Instant::now() + Duration::from_micros(dice.below(400));
            while Instant::now() < moment {
                std::hint::spin_loop();
            }
            worker.kill();
        }
        // Nobody mends by chance what these left: all of them are gone.
        churn::inspect(&*party.open());
        assert!(since.elapsed() < DEADLINE, "a kill left something that takes long");
    }
    let workers = [0, 1, 2].map(|seed| party.start(format!("churn {seed}")));
    workers.iter().for_each(|worker| worker.reach(500));
    workers.into_iter().for_each(Worker::finish);
    let store = party.open();
    churn::inspect(&*store);
    churn::renew(&*store);
}
