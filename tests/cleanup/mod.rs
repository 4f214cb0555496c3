//! Removal of expired sessions in the background, and the limit of sessions.

mod by_requests;
mod limit;
mod watchdog;

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, chown};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mod_session_store::core::clock::Time;
use mod_session_store::core::lock::{MutexError, SlotMutexes};
use mod_session_store::core::session::record::{Kind, Record};
use mod_session_store::core::session::values::Values;
use mod_session_store::core::store::dir::{DataDir, Owner};
use mod_session_store::core::store::file::{FileStore, Options};
use mod_session_store::core::store::{Store, StoreKey};

use crate::support::probed::{probed, records};
use crate::support::{Builder, SERVER_USER, Server, ids_of, is_root, wait_value};

/// Longest wait for what takes seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that cleans up as often as it can.
fn eager() -> Builder {
    probed().conf(
        "SessionCleanupInterval 1s\nSessionCleanupTimeLimit 1s\nSessionCleanupGrace 2s\n\
         <Location \"/c\">\nSessionLockTimeout 30s\n</Location>",
    )
}

/// Nobody else is there.
struct Alone;

impl SlotMutexes for Alone {
    fn count(&self) -> u32 {
        1
    }

    fn lock(&self, _index: u32) -> Result<(), MutexError> {
        Ok(())
    }

    fn unlock(&self, _index: u32) {}
}

/// The file of a session that ended long ago.
fn expired() -> Vec<u8> {
    let record = Record {
        kind: Kind::Session,
        incarnation: 1,
        scope: [0; 8],
        user: None,
        created: Time(1),
        accessed: Time(1),
        deadline: Time(2),
        timeout: None,
        client: "192.0.2.1".into(),
        flags: 0,
        tokens: Vec::new(),
        values: Values::default(),
    };
    let home = tempfile::tempdir().expect("making a folder");
    let path = home.path().join("data");
    DataDir::prepare(&path, Owner::current()).expect("making a data folder");
    let store = FileStore::open(&path, Arc::new(Alone), Options::default()).expect("opening it");
    let key = StoreKey::new("planted", &[0; 32]);
    store.create(&key, &record).expect("storing a record");
    fs::read(path.join(&key.hex()[..2]).join(key.hex())).expect("reading the record's file")
}

/// Puts `count` expired records into the data folder, others in each `batch`: names of one file. What the
/// server can see is complete and its own.
fn plant(server: &Server, batch: u8, count: u32) {
    let owner = is_root().then(|| ids_of(SERVER_USER));
    let give = |path: &Path| {
        if let Some((user, group)) = owner {
            chown(path, Some(user), Some(group)).expect("giving it away");
        }
    };
    let made = server.root().join("run/planted");
    let _ = fs::remove_file(&made);
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(&made);
    file.expect("making a file").write_all(&expired()).expect("writing a record");
    give(&made);
    for shard in 0..=u8::MAX {
        let folder = server.root().join("run/folder");
        fs::DirBuilder::new().mode(0o700).create(&folder).expect("making a folder");
        give(&folder);
        if fs::rename(&folder, server.data_dir().join(format!("{shard:02x}"))).is_err() {
            fs::remove_dir(&folder).expect("removing a folder too many");
        }
    }
    for number in 0..count {
        let mut id = [batch; 32];
        id[..4].copy_from_slice(&number.to_le_bytes());
        let name = StoreKey::new("planted", &id).hex();
        let place = server.data_dir().join(&name[..2]).join(name);
        fs::hard_link(&made, place).expect("putting a record in place");
    }
}

/// Waits until so many records are left.
#[track_caller]
fn wait_for_records(server: &Server, count: usize) {
    let what = format!("{count} records to be left");
    wait_value(&what, PATIENCE, || records(server), |found| *found == count);
}

/// What the lines of the cleanup say in all: records removed, and who said so.
fn removed(server: &Server) -> (u64, Vec<u32>) {
    let log = server.error_log();
    let lines = log.lines().filter(|line| line.contains("cleanup removed "));
    let (mut sum, mut pids) = (0, Vec::new());
    for line in lines {
        assert!(line.contains("[session_store:info]"), "{line}");
        let word = |before: &str, ends: &[char]| {
            let (_, rest) = line.split_once(before).expect(before);
            rest.split(ends).next().expect("a word").parse::<u64>().expect("a number")
        };
        sum += word("cleanup removed ", &[' ']);
        pids.push(word("[pid ", &[':', ']']) as u32);
    }
    (sum, pids)
}

/// Waits until the lines of the cleanup name so many records; the processes that removed them.
#[track_caller]
fn wait_for_removed(server: &Server, count: u64) -> Vec<u32> {
    let what = format!("lines that tell of {count} records");
    wait_value(&what, PATIENCE, || removed(server), |(sum, _)| *sum == count).1
}

/// Visitors who come again and again, until told to stop.
struct Visitors {
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<(u32, Duration)>>,
}

impl Visitors {
    fn of(server: &Server, count: usize) -> Visitors {
        let stop = Arc::new(AtomicBool::new(false));
        let visit = |_| {
            let (stop, mut client) = (Arc::clone(&stop), server.client());
            thread::spawn(move || {
                let (mut visits, mut longest) = (0, Duration::ZERO);
                while !stop.load(Ordering::Relaxed) {
                    let start = Instant::now();
                    let answer = client.get("/c?incr:n");
                    longest = longest.max(start.elapsed());
                    visits += 1;
                    let said = answer.expect(200).text().trim_end().to_owned();
                    assert_eq!(said, format!("incr=SUCCESS {visits}"));
                }
                (visits, longest)
            })
        };
        let threads = (0..count).map(visit).collect();
        Visitors { stop, threads }
    }

    /// Ends them: how often they came, and how long the slowest answer took.
    fn end(self) -> (u32, Duration) {
        self.stop.store(true, Ordering::Relaxed);
        let ends = self.threads.into_iter().map(|thread| thread.join().expect("a visitor failed"));
        ends.fold((0, Duration::ZERO), |all, one| (all.0 + one.0, all.1.max(one.1)))
    }
}

/// What no visitor should have to wait for, on a machine that does other things too.
const LONG: Duration = Duration::from_secs(5);
