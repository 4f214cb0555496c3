//! The bytes of a server's sessions as they lie in its store, whichever that is: for tests that look for a
//! text there, or damage it.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use mod_session_store::core::session::codec;
use mod_session_store::core::store::memory::Snapshot;
use mod_session_store::core::store::{Position, Store as _};
use mod_session_store::system::mapping::View;

use super::server::Server;
use super::stores::{self, Store};

/// Every field of every key of ours, each on a line of its own; in one order, whatever that of Redis is.
const DUMP: &str = "local keys = redis.call('KEYS', ARGV[1] .. '*')
table.sort(keys)
local all = {}
for _, key in ipairs(keys) do
  if redis.call('TYPE', key).ok == 'hash' then
    local fields = redis.call('HKEYS', key)
    table.sort(fields)
    for _, field in ipairs(fields) do
      all[#all + 1] = key .. ' ' .. field .. ' ' .. redis.call('HGET', key, field)
    end
  end
end
return all";

/// Cuts off the last byte of every record of ours that has a text in it; answers how many there are.
const DAMAGE: &str = "local found = 0
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. '*')) do
  if redis.call('TYPE', key).ok == 'hash' then
    if string.find(redis.call('HGET', key, 'r') or '', ARGV[2], 1, true) then
      redis.call('HSET', key, 'r', string.sub(redis.call('HGET', key, 'r'), 1, -2))
      found = found + 1
    end
  end
end
return found";

/// All that lies there. Bytes that are no text may be spelled out.
#[track_caller]
pub fn contents(server: &Server) -> Vec<u8> {
    match Store::current() {
        Store::Redis => redis(server, DUMP, &[]).into_bytes(),
        Store::Example => slots(server).concat(),
        Store::Socache => cache(server).map_or(Vec::new(), |(_, _, bytes)| bytes),
        _ => files(server).iter().flat_map(|path| fs::read(path).expect("reading")).collect(),
    }
}

/// The same where nothing was written, and something else where it was. In memory the records alone: who
/// looks at a part of it for the first time puts that in order.
#[track_caller]
pub fn state(server: &Server) -> Vec<u8> {
    if Store::current() == Store::Socache {
        // Its head counts what is read; before that stands how long it is.
        return contents(server).split_off(8 + 88);
    }
    if Store::current() != Store::Memory {
        return contents(server);
    }
    let view = View::open(&files(server)[0]).expect("looking at the memory");
    let bytes = view.bytes();
    let snapshot = Snapshot::open(view, bytes).expect("a store");
    let mut all = Vec::new();
    let end = snapshot.scan(&Position::default(), &mut |entry| {
        let record = entry.record.expect("a record that is whole");
        all.push((entry.key.hex(), codec::encode(&record).expect("its bytes")));
        true
    });
    assert_eq!(end.expect("a scan"), None);
    all.sort();
    all.into_iter().flat_map(|(key, bytes)| [key.into_bytes(), bytes].concat()).collect()
}

/// Whether `text` lies there.
#[track_caller]
pub fn holds(server: &Server, text: &str) -> bool {
    String::from_utf8_lossy(&contents(server)).contains(text)
}

/// Damages the records that `text` lies in, which are to be there: where they lie in files it becomes another
/// text wherever it is, in Redis, which sees to its bytes itself, they are cut.
#[track_caller]
pub fn damage(server: &Server, text: &str) {
    let found = match Store::current() {
        Store::Redis => redis(server, DAMAGE, &[text]).parse().expect("a number"),
        Store::Socache => {
            let (file, at, bytes) = cache(server).expect("the cache of a running server");
            overwrite(&file, at, &bytes, text)
        }
        _ => files(server).iter().map(|path| overwrite_file(path, text)).sum::<usize>(),
    };
    assert!(found > 0, "it is nowhere in the store");
}

fn overwrite_file(path: &Path, text: &str) -> usize {
    let bytes = fs::read(path).expect("reading");
    let file = fs::OpenOptions::new().write(true).open(path).expect("a file of ours");
    overwrite(&file, 0, &bytes, text)
}

/// Writes over `text` wherever it is in `bytes`, which lie in the file from `start` on.
fn overwrite(file: &File, start: u64, bytes: &[u8], text: &str) -> usize {
    let places = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(text.as_bytes()));
    let other = vec![b'?'; text.len()];
    places.map(|at| file.write_all_at(&other, start + at as u64).expect("writing over it")).count()
}

/// The object cache in the memory of a running server: all of that, where the cache begins, its bytes.
fn cache(server: &Server) -> Option<(File, u64, Vec<u8>)> {
    let process = Path::new("/proc").join(server.running()?.to_string());
    let maps = fs::read_to_string(process.join("maps")).expect("the server's memory");
    let start = maps.lines().find_map(|line| {
        let (from, to) = line.split(' ').next()?.split_once('-')?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        let (from, to) = (number(from)?, number(to)?);
        let size = (stores::CACHE as u64).next_multiple_of(4096);
        (to - from == size).then_some(from)
    })?;
    let memory = fs::OpenOptions::new().read(true).write(true).open(process.join("mem"));
    let memory = memory.expect("opening the server's memory");
    let mut bytes = vec![0; stores::CACHE];
    memory.read_exact_at(&mut bytes, start).expect("reading the server's memory");
    Some((memory, start, bytes))
}

#[track_caller]
fn redis(server: &Server, script: &str, words: &[&str]) -> String {
    let prefix = stores::prefix(server);
    stores::redis().cli(&[&["EVAL", script, "0", &prefix], words].concat())
}

/// The slots of the example's table that are in use, each with its key and the copy that counts: what lies in
/// the others is nobody's.
#[track_caller]
pub(super) fn slots(server: &Server) -> Vec<Vec<u8>> {
    const SLOT: usize = 8192;
    const HEAD: usize = 64;
    const COPY: usize = (SLOT - HEAD) / 2;
    let table = match fs::read(stores::table(server)) {
        Ok(table) => table,
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Vec::new(),
        Err(cause) => panic!("reading the table: {cause}"),
    };
    let used = table.chunks(SLOT).skip(1).filter_map(|slot| {
        let number = |at: usize| usize::from_ne_bytes(slot[at..at + 8].try_into().expect("8"));
        let copy = match number(0) {
            0 => return None,
            which => HEAD + (which - 1) * COPY,
        };
        // Incarnation, version, visit, deadline and length come before the bytes.
        let end = copy + 40 + number(copy + 32);
        Some([&slot[8..40], &slot[copy..end]].concat())
    });
    used.collect()
}

/// The files that hold sessions and are there, in order.
fn files(server: &Server) -> Vec<PathBuf> {
    let store = Store::current();
    let mut found = match store {
        Store::File => super::probed::record_files(server),
        Store::Dbm => vec![server.data_dir().join("sessions.mdb")],
        Store::Memory => vec![server.root().join("run/session_store.memory")],
        Store::Redis => Vec::new(),
        Store::Example => vec![stores::table(server)],
        Store::Gdbm | Store::Db | Store::Sdbm => {
            store.apr_type().1.iter().map(|file| server.data_dir().join(file)).collect()
        }
        Store::Socache => Vec::new(),
    };
    found.retain(|path| path.exists());
    found.sort();
    found
}
