//! Without a server: everything is done, and no server can start meanwhile.

use std::path::Path;
use std::time::Duration;

use super::{Tool, code, hashes, id, on, reached, reached_alone, store_of, tool};
use crate::steps::{run, sessions, visitor};
use crate::support::{SERVER_USER, Server, Store, is_root, stored, wait_for};

/// Arguments that give a new store to the server's user, where that takes root.
pub fn owner() -> Vec<&'static str> {
    if is_root() { vec!["--owner", SERVER_USER] } else { Vec::new() }
}

/// The program, which is to copy the store of a server.
pub fn copying(server: &Server, to: &str, more: &[&str]) -> Tool {
    let (from, how) = store_of(server);
    let how: Vec<&str> = how.iter().map(String::as_str).collect();
    tool([&["copy", &from, to], how.as_slice(), owner().as_slice(), more].concat())
}

#[test]
fn expired_sessions_are_removed_past_the_grace_and_unvisited_ones_when_asked() {
    let _reached = reached_alone();
    let server = sessions().conf("SessionTimeout 1s\n<Location \"/long\">\nSessionTimeout 1h\nSetHandler probe\n</Location>").start();
    visitor(&server);
    let mut long = server.client();
    long.get("/long?set:n=1").expect(200);
    server.stop();
    wait_for("the short session to end", Duration::from_secs(20), || {
        (hashes(&server).len() == 1).then_some(())
    });
    let purged = on(&server, &["purge", "--json"]).json();
    assert_eq!((&purged["removed"], &purged["left"]), (&0.into(), &2.into()), "within the grace");
    let purged = on(&server, &["purge", "--older-than", "1h", "--json"]).json();
    assert_eq!((&purged["removed"], &purged["left"]), (&0.into(), &2.into()));
    let visited =
        || on(&server, &["list", "--json"]).json()[0]["accessed"].as_u64().expect("a time");
    let now = || std::time::SystemTime::UNIX_EPOCH.elapsed().expect("a time").as_secs();
    let visited = visited();
    wait_for("two seconds to pass", Duration::from_secs(20), || {
        (now() > visited + 2).then_some(())
    });
    let purged = on(&server, &["purge", "--older-than", "1s", "--json"]).json();
    assert_eq!((&purged["removed"], &purged["left"]), (&2.into(), &0.into()));
}

#[test]
fn a_copy_has_everything_and_visitors_go_on_in_it() {
    let _reached = reached_alone();
    let mut server = sessions().start();
    let mut client = visitor(&server);
    run(&mut client, "set:cart=apples;set_user:ann;set_timeout:600000000");
    let mut other = visitor(&server);
    let before = run(&mut client, "get:cart;user;created;timeout");
    server.stop();

    let copy = server.root().join("copied").display().to_string();
    let to = format!("file:{copy}");
    // Two sessions, and maybe the way from the id before the login.
    let copied = copying(&server, &to, &["--json"]).json()["copied"].as_u64().expect("a count");
    assert!((2..=3).contains(&copied));
    let again = copying(&server, &to, &["--json"]).json();
    assert!(again["copied"] == 0 && again["there"].as_u64() >= Some(2), "{again}");
    let replaced = copying(&server, &to, &["--json", "--replace"]).json();
    assert!(replaced["copied"].as_u64() >= Some(2) && replaced["there"] == 0, "{replaced}");

    let facts = |listed: Tool| {
        let listed = listed.json();
        let mut rows = listed.as_array().expect("a list").clone();
        if Store::current() != Store::File {
            // Another store takes another room for them.
            rows.iter_mut().for_each(|row| drop(row["stored_bytes"].take()));
        }
        rows.sort_by_key(|row| row["hash"].to_string());
        rows
    };
    let listed = tool(["--store", &to, "list", "--json"]);
    assert_eq!(facts(listed), facts(on(&server, &["list", "--json"])));

    server.reconfigure(|builder| {
        let places = "<Location \"/probe\">\nSetHandler probe\n</Location>\nSessionEngine on\n";
        builder.clear_conf().conf(&format!("{places}SessionDataDir \"{copy}\""))
    });
    server.restart();
    assert_eq!(run(&mut client, "get:cart;user;created;timeout"), before);
    assert_eq!(run(&mut client, "is_new"), ["is_new=SUCCESS 0"]);
    assert_eq!(run(&mut other, "incr:n"), ["incr=SUCCESS 2"]);
}

#[test]
fn ended_sessions_stay_behind_in_a_copy() {
    let _reached = reached_alone();
    let server = sessions().conf("SessionTimeout 1s").start();
    visitor(&server);
    server.stop();
    wait_for("the session to end", Duration::from_secs(20), || {
        hashes(&server).is_empty().then_some(())
    });
    let to = format!("file:{}", server.root().join("copied").display());
    let said = copying(&server, &to, &[]).succeed();
    assert!(said.starts_with("0 copied, 0 there already, 1 ended"), "{said}");
}

#[test]
fn a_store_that_init_made_is_taken_by_a_server() {
    let _reached = reached_alone();
    let mut server = sessions().start();
    server.stop();
    let path = server.root().join("made");
    let arguments = ["--store", &format!("file:{}", path.display()), "init"].map(str::to_owned);
    let arguments = arguments.into_iter().chain(owner().into_iter().map(str::to_owned));
    let arguments: Vec<String> = arguments.collect();
    assert!(tool(&arguments).succeed().contains("is made"));
    assert!(tool(&arguments).succeed().contains("was there already"));
    assert_private(&path);
    server.reconfigure(|builder| {
        let places = "<Location \"/probe\">\nSetHandler probe\n</Location>\nSessionEngine on\n";
        builder.clear_conf().conf(&format!("{places}SessionDataDir \"{}\"", path.display()))
    });
    server.restart();
    let client = visitor(&server);
    let listed = tool(["--store", &format!("file:{}", path.display()), "list"]).succeed();
    assert!(listed.lines().count() == 2 && !listed.contains(&id(&client)), "{listed}");
}

#[test]
fn init_tells_a_program_whether_it_made_the_store() {
    let server = sessions().start();
    let store = format!("file:{}", server.root().join("made").display());
    for made in [true, false] {
        let words = ["--store", &store, "init", "--json"].into_iter().chain(owner());
        let told = tool(words).json();
        assert_eq!(told["made"], made, "{told}");
        assert!(told["text"].as_str().is_some_and(|text| text.contains("/made ")), "{told}");
    }
}

#[track_caller]
fn assert_private(path: &Path) {
    use std::os::unix::fs::MetadataExt;
    let facts = path.metadata().expect("looking at it");
    assert_eq!(facts.mode() & 0o777, 0o700);
    if is_root() {
        assert_eq!((facts.uid(), facts.gid()), crate::support::ids_of(SERVER_USER));
    }
}

#[test]
fn damaged_records_are_told_with_their_hashes() {
    let _reached = reached();
    let server = sessions().start();
    visitor(&server);
    let sound = hashes(&server).remove(0);
    run(&mut server.client(), "set:a=quite-a-rare-value");
    server.stop();
    let hash = hashes(&server).into_iter().find(|hash| *hash != sound).expect("another one");
    stored::damage(&server, "quite-a-rare");

    let ran = on(&server, &["check"]).fail(code::PROBLEM, &[]);
    let said = format!(
        "{hash}: the record is damaged or foreign\n1 sound, 0 of a newer release, 1 damaged\n"
    );
    assert_eq!(ran.out, said);
    let ran = on(&server, &["check", "--json"]).run();
    assert_eq!(ran.code, Some(code::PROBLEM));
    let json: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!((&json["sound"], &json["damaged"][0]["hash"]), (&1.into(), &hash.clone().into()));
    on(&server, &["show", &hash]).fail(code::PROBLEM, &["damaged"]);
    assert_eq!(on(&server, &["stats", "--json"]).json()["damaged"], 1);

    on(&server, &["delete", &hash]).succeed();
    on(&server, &["check"]).succeed();
}
