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
use mod_session_store::core::session::record::{Client, Kind, Record};
use mod_session_store::core::session::values::Values;
use mod_session_store::core::store::dir::{DataDir, Owner};
use mod_session_store::core::store::file::{FileStore, Options};
use mod_session_store::core::store::{Store as _, StoreKey};

use crate::support::probed::{self, probed, records};
use crate::support::{Builder, Jar, SERVER_USER, Server, Store, ids_of, is_root, wait_value};

/// Longest wait for what takes seconds, and longer where ended records stay for a while.
fn patience() -> Duration {
    let many = Duration::from_millis(6 * u64::from(expired_count()));
    many.max(Duration::from_secs(60)) + Store::current().keeps_ended()
}

/// A server that cleans up as often as it can.
fn eager() -> Builder {
    every("1s")
}

/// The same with rounds that come as rarely as this, and may take as long.
fn every(time: &str) -> Builder {
    probed().conf(&format!(
        "SessionCleanupInterval {time}\nSessionCleanupTimeLimit {time}\nSessionCleanupGrace 2s\n\
         <Location \"/c\">\nSessionLockTimeout 30s\n</Location>",
    ))
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
        client: Client::from("192.0.2.1").unwrap(),
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

/// Puts `count` records of sessions into the store that have ended or do so at once, others in each `batch`.
fn plant(server: &Server, batch: u8, count: u32) {
    match Store::current() {
        Store::File => plant_files(server, batch, count),
        _ => plant_by_requests(server, count),
    }
}

/// Many records: `count` where they are planted without a request for each.
fn many(count: u32) -> u32 {
    if Store::current() == Store::File { count } else { count / 10 }
}

/// How many records a cleanup beside requests has to remove: as many as `SESSION_STORE_EXPIRED` says, 5,000 files
/// or 500 others if it is not set.
fn expired_count() -> u32 {
    let set = std::env::var("SESSION_STORE_EXPIRED");
    set.map_or(many(5000), |text| text.parse().expect("SESSION_STORE_EXPIRED is no number"))
}

/// Sessions of a second, of visitors who come once.
fn plant_by_requests(server: &Server, count: u32) {
    let mut client = server.client();
    for _ in 0..count {
        client.jar = Jar::default();
        let said = probed::ask(&mut client, "/c?set:k=v;set_timeout:1000000");
        assert_eq!(said, "set=SUCCESS\nset_timeout=SUCCESS");
    }
}

/// Names of one file in the data folder. What the server can see is complete and its own.
fn plant_files(server: &Server, batch: u8, count: u32) {
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
    wait_value(&what, patience(), || records(server), |found| *found == count);
}

/// What the lines of the cleanup say in all: records removed, and who said so.
fn removed(server: &Server) -> (u64, Vec<u32>) {
    let log = server.error_log();
    let lines = log.lines().filter(|line| line.contains("cleanup removed "));
    let (mut sum, mut pids) = (0, Vec::new());
    for line in lines {
        let word = |before: &str, ends: &[char]| {
            let (_, rest) = line.split_once(before).expect(before);
            rest.split(ends).next().expect("a word").parse::<u64>().expect("a number")
        };
        let removed = word("cleanup removed ", &[' ']);
        // A round that found nothing to do is told of to those alone who ask for every step.
        let level = if removed == 0 { "debug" } else { "info" };
        assert!(line.contains(&format!("[session_store:{level}]")), "{line}");
        if removed == 0 {
            continue;
        }
        sum += removed;
        pids.push(word("[pid ", &[':', ']']) as u32);
    }
    (sum, pids)
}

/// Waits until the lines of the cleanup name so many records; the processes that removed them. None did
/// where they go by themselves.
#[track_caller]
fn wait_for_removed(server: &Server, count: u32) -> Vec<u32> {
    if Store::current().forgets_by_itself() {
        assert_eq!(removed(server), (0, Vec::new()));
        return Vec::new();
    }
    let what = format!("lines that tell of {count} records");
    wait_value(&what, patience(), || removed(server), |(sum, _)| *sum == u64::from(count)).1
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
