//! Servers of every kind: by TLS, with passwords, behind a socket, in a cluster; keys of others.

use std::fs;

use super::support::redis::{Certificates, RedisCluster};
use super::*;
use crate::core::clock::Time;
use crate::core::session::codec::FORMAT;
use crate::core::store::conformance::{key, record, record_with, stored};
use crate::core::store::redis::connection::slot_of;
use crate::core::store::{Position, Stale, Store, StoreError, StoreKey};

fn works(store: &RedisStore) {
    store.create(&key(1), &record(7)).unwrap();
    assert_eq!(stored(store, &key(1)), Some(record(7)));
    assert!(store.delete(&key(1), Some(7)).unwrap());
}

/// Why greeting fails.
fn refusal(store: &RedisStore) -> String {
    store.greet().expect_err("it was let in").to_string()
}

/// A server that speaks TLS alone, and its address.
fn by_tls(certificates: &Certificates) -> (Redis, String) {
    let redis = Redis::start_by_tls(certificates);
    let address = redis.address().replace("redis:", "rediss:");
    (redis, address)
}

fn with_files(address: &str) -> Site {
    let site = Site::new(address);
    let owner = (65534, 65534);
    let material = Material::read(&site.address, owner, &|path| Ok(path.to_owned())).unwrap();
    Site { material, ..site }
}

#[test]
fn tls_is_spoken_to_a_server_whose_authority_is_trusted() {
    let certificates = Certificates::make();
    let (_redis, address) = by_tls(&certificates);
    let (ca, cert, key) = (certificates.ca(), certificates.cert(), certificates.key());
    works(&with_files(&format!("{address}?ca={}", ca.display())).open());
    let identity = format!("&cert={}&key={}", cert.display(), key.display());
    works(&with_files(&format!("{address}?ca={}{identity}", ca.display())).open());
}

#[test]
fn a_certificate_of_another_authority_is_refused_and_so_is_one_for_another_host() {
    let (ours, others) = (Certificates::make(), Certificates::make());
    let (_redis, address) = by_tls(&ours);
    let text = refusal(&with_files(&format!("{address}?ca={}", others.ca().display())).open());
    assert!(text.contains("certificate"), "{text}");
    let elsewhere = address.replace("127.0.0.1", "127.0.0.2");
    let redis = Redis::start();
    let plain = format!("rediss://127.0.0.1:{}?ca={}", redis.port(), ours.ca().display());
    let text = refusal(&with_files(&plain).open());
    assert!(text.contains("Redis at 127.0.0.1"), "{text}");
    let text = refusal(&with_files(&format!("{elsewhere}?ca={}", ours.ca().display())).open());
    assert!(text.contains("127.0.0.2"), "{text}");
}

#[test]
fn users_and_passwords_are_told_and_never_shown() {
    let redis = Redis::start_with(&["--requirepass", "hidden-word"]);
    let port = redis.port();
    let at = |who: &str| with_files(&format!("redis://{who}127.0.0.1:{port}/2")).open();
    works(&at(":hidden-word@"));
    let text = refusal(&at(":hidden-wrong@"));
    assert!(
        text.contains("refused the user or the password") && !text.contains("hidden"),
        "{text}"
    );
    let text = refusal(&at(""));
    assert!(text.contains("wants a password"), "{text}");

    let open =
        redis.cli(&["-a", "hidden-word", "ACL", "SETUSER", "app", "on", ">other", "~*", "+@all"]);
    assert!(open.contains("OK"), "{open}");
    works(&at("app:other@"));
    redis.cli(&["-a", "hidden-word", "ACL", "SETUSER", "app", "-evalsha"]);
    let text = at("app:other@").create(&key(1), &record(7)).unwrap_err().to_string();
    assert!(text.contains("NOPERM"), "{text}");
}

#[test]
fn a_socket_of_this_machine_does_too() {
    let redis = Redis::start_with(&["--unixsocket", "redis.sock"]);
    works(&store(&format!("redis+unix://{}/redis.sock?database=1", redis.folder().display())));
}

#[test]
fn a_server_that_forgot_the_scripts_gets_them_again() {
    let (redis, store) = fresh();
    works(&store);
    redis.cli(&["SCRIPT", "FLUSH"]);
    works(&store);
}

#[test]
fn keys_lie_below_a_prefix_and_those_of_others_are_left_alone() {
    let redis = Redis::start();
    redis.cli(&["SET", "foreign", "x"]);
    redis.cli(&["SET", &format!("other:{}", key(1).hex()), "x"]);
    let (one, two) = (
        store(&format!("{}?prefix=one:", redis.address())),
        store(&format!("{}?prefix=two:", redis.address())),
    );
    one.create(&key(1), &record(7)).unwrap();
    assert!(stored(&two, &key(1)).is_none());
    two.create(&key(1), &record_with(8, b"two")).unwrap();
    let mut seen = Vec::new();
    let from = crate::core::store::Position::default();
    one.scan(&from, &mut |entry| {
        seen.push(entry.record.unwrap());
        true
    })
    .unwrap();
    assert_eq!(seen, [record(7)]);
    assert_eq!(redis.keys("*").len(), 4);
}

#[test]
fn what_is_no_session_is_corrupt_and_moved_aside_for_a_week() {
    let (redis, store) = fresh();
    let name = |number| format!("session_store:{}", key(number).hex());
    redis.cli(&["SET", &name(1), "a text"]);
    redis.cli(&["HSET", &name(2), "r", "x", "i", "x", "v", "x", "a", "x", "d", "x"]);
    redis.cli(&["HSET", &name(3), "r", "nonsense"]);
    store.create(&key(4), &record(7)).unwrap();
    redis.cli(&["HSET", &name(4), "i", "0000000000000009"]);
    for number in 1..5 {
        assert!(matches!(store.load(&key(number)), Err(StoreError::Corrupt)), "{number}");
        assert!(store.quarantine(&key(number)).unwrap());
        assert!(!store.quarantine(&key(number)).unwrap());
        assert!(stored(&store, &key(number)).is_none());
        let aside = format!("session_store:corrupt:{{{}}}", name(number));
        let left: u64 = redis.cli(&["TTL", &aside]).parse().unwrap();
        assert!(left > 600_000 && left <= 604_800);
        store.create(&key(number), &record(7)).unwrap();
    }
}

#[test]
fn a_record_of_a_newer_release_is_left_alone() {
    let (redis, store) = fresh();
    let name = format!("session_store:{}", key(1).hex());
    let newer = (FORMAT + 1).to_le_bytes().map(char::from);
    let text: String = newer.iter().filter(|c| **c != '\0').collect();
    // A NUL cannot be an argument: the second byte is appended by a command of its own.
    redis.cli(&["HSET", &name, "i", "0000000000000007", "v", "v", "a", "0", "d", "0"]);
    redis.cli(&[
        "EVAL",
        "return redis.call('HSET', KEYS[1], 'r', ARGV[1] .. '\\0' .. 'x')",
        "1",
        &name,
        &text,
    ]);
    assert!(matches!(store.load(&key(1)), Err(StoreError::Newer(2))));
    assert!(matches!(store.quarantine(&key(1)), Err(StoreError::Newer(2))));
}

#[test]
fn redis_itself_removes_what_is_over_for_the_grace() {
    let redis = Redis::start();
    let site = Site { grace: Duration::from_secs(240), ..Site::new(&redis.address()) };
    let store = site.open();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let ends = crate::core::clock::Time((now + Duration::from_secs(1000)).as_micros() as u64);
    let session = crate::core::session::record::Record { deadline: ends, ..record(7) };
    let life = || -> i64 {
        let name = redis.keys("session_store:*").pop().unwrap();
        redis.cli(&["TTL", &name]).parse().unwrap()
    };
    store.create(&key(1), &session).unwrap();
    assert!((1235..=1240).contains(&life()), "{}", life());
    let later = ends.after(Duration::from_secs(500));
    let visit = crate::core::store::Visit { accessed: ends, deadline: later };
    store.touch(&key(1), &crate::core::store::Held::default(), 7, visit).unwrap();
    assert!((1735..=1740).contains(&life()), "{}", life());
    // What is over already stays for the grace: who has it in hand may write it.
    store.update(&key(1), crate::core::store::Held::default(), &record(7)).unwrap();
    assert!((235..=240).contains(&life()), "{}", life());
}

#[test]
fn a_cleanup_leaves_records_to_redis_and_sweeps_old_names_out_of_the_index() {
    use crate::core::store::{Position, Stale};
    let redis = Redis::start();
    let site = Site { grace: Duration::from_secs(240), ..Site::new(&redis.address()) };
    let store = site.open();
    let user = Some("alice".to_owned());
    let of_alice = crate::core::session::record::Record { user, ..record(7) };
    for number in 1..4 {
        store.create(&key(number), &of_alice).unwrap();
    }
    let index = redis.keys("session_store:user:*").pop().unwrap();
    // As Redis removes them, and as if the first had been made long ago.
    redis.cli(&["DEL", &format!("session_store:{}", key(1).hex())]);
    redis.cli(&["DEL", &format!("session_store:{}", key(2).hex())]);
    redis.cli(&["ZADD", &index, "1000", &key(1).hex()]);
    let purge = || {
        store.purge(
            Stale::EndedBefore(crate::core::clock::Time(1)),
            &Position::default(),
            &mut || true,
        )
    };
    let purged = purge().unwrap();
    assert_eq!((purged.seen, purged.removed), (1, 0));
    assert_eq!(redis.cli(&["ZCARD", &index]), "2");
    assert_eq!(store.of_user([1; 8], "alice").unwrap(), [key(3)]);
    assert_eq!(redis.keys("session_store:????????*").len(), 2);
}

#[test]
fn a_cluster_moves_keys_while_it_is_used() {
    let cluster = RedisCluster::start();
    let store = store(&cluster.address());
    store.create(&key(1), &record(7)).unwrap();
    let name = format!("session_store:{}", key(1).hex());
    let slot = slot_of(name.as_bytes());
    let nodes = cluster.nodes();
    let from = nodes.iter().position(|node| !node.keys(&name).is_empty()).unwrap();
    let to = (from + 1) % 3;
    cluster.move_slot(slot, from, to);
    assert_eq!(stored(&store, &key(1)), Some(record(7)));
    store.update(&key(1), crate::core::store::Held::default(), &record_with(7, b"there")).unwrap();
    assert_eq!(nodes[to].keys(&name).len(), 1);
    // Half-way: the giver sends us on for what it has not any more.
    let id = |at: usize| nodes[at].cli(&["CLUSTER", "MYID"]);
    let (slot, giver, taker) = (slot.to_string(), id(to), id(from));
    nodes[from].cli(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &giver]);
    nodes[to].cli(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &taker]);
    let port = nodes[from].port().to_string();
    assert_eq!(nodes[to].cli(&["MIGRATE", "127.0.0.1", &port, &name, "0", "5000"]), "OK");
    assert_eq!(stored(&store, &key(1)), Some(record_with(7, b"there")));
    store
        .update(&key(1), crate::core::store::Held::default(), &record_with(7, b"on the way"))
        .unwrap();
    assert_eq!(stored(&store, &key(1)), Some(record_with(7, b"on the way")));
}

#[test]
fn a_missing_authority_is_a_clear_message() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    fs::write(&path, "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n").unwrap();
    let text = refusal(&with_files(&format!("rediss://127.0.0.1:1?ca={}", path.display())).open());
    assert!(text.contains("TLS trust anchors"), "{text}");
}

/// More records than one look at the keys finds: that one is finished, and no more of them.
#[test]
fn a_purge_of_many_batches_stops_behind_the_one_it_is_in() {
    const RECORDS: u16 = 2000;
    let redis = Redis::start();
    let store = store(&redis.address());
    for number in 0..RECORDS {
        let mut id = [0; 32];
        id[..2].copy_from_slice(&number.to_le_bytes());
        store.create(&StoreKey::new("tests", &id), &record(7)).unwrap();
    }
    let purge = |from: &Position, go_on: bool| {
        store.purge(Stale::EndedBefore(Time(301)), from, &mut || go_on).unwrap()
    };
    let first = purge(&Position::default(), false);
    assert!((1..=1000).contains(&first.removed), "{} removed", first.removed);
    let rest = purge(&first.next.expect("a position"), true);
    assert_eq!((first.removed + rest.removed, rest.next), (u64::from(RECORDS), None));
}
