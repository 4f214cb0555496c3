//! Stores that are out of reach, and changes that cannot be kept.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::support::probed::{COOKIE, Gate, ask, probed, records};
use crate::support::{Builder, Request, Server, Store, parallel};

/// Takes a right away until it is dropped.
struct Without {
    path: PathBuf,
    mode: u32,
}

impl Without {
    fn rights(path: &Path, mode: u32) -> Without {
        let before = fs::metadata(path).expect("looking at a mode").permissions().mode();
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("taking rights away");
        Without { path: path.to_owned(), mode: before }
    }
}

impl Drop for Without {
    fn drop(&mut self) {
        let _ = fs::set_permissions(&self.path, Permissions::from_mode(self.mode));
    }
}

/// Lets no record be made until it is dropped, in the folders of earlier ones neither: which folder an id falls into is
/// chance.
fn without_new_records(server: &Server) -> Vec<Without> {
    let folders = fs::read_dir(server.data_dir()).expect("reading the data folder").flatten();
    let folders = folders.map(|entry| entry.path()).filter(|path| path.is_dir());
    folders.chain([server.data_dir()]).map(|folder| Without::rights(&folder, 0o500)).collect()
}

/// Why tests that take rights away keep to one store: none but files can be told to read and not to write, or
/// to make nothing new. Outages of a Redis and of a database are told of in `stores`; memory has none.
const WHY: &str = "rights to its files are taken away";

/// Folder and file of the only record.
fn only_record(server: &Server) -> (PathBuf, PathBuf) {
    let folders = fs::read_dir(server.data_dir()).expect("reading the data folder").flatten();
    let folders = folders.filter(|folder| folder.file_name().len() == 2);
    let mut files = folders.flat_map(|folder| {
        let files = fs::read_dir(folder.path()).expect("reading a folder").flatten();
        files.map(move |file| (folder.path(), file.path()))
    });
    let only = files.next().expect("a record");
    assert!(files.next().is_none(), "more than one record");
    only
}

/// A value that the file of a small session has no room for.
fn long() -> String {
    "long-story".repeat(600)
}

/// A child that starts while a directory is closed says so once; it opens the store when it is needed.
const LATE: &str = "opening the store in a child";

fn failing(how: &str) -> Builder {
    probed().log_level("debug").conf(&format!("SessionStoreFailure {how}"))
}

#[test]
fn a_session_that_cannot_be_made_is_a_503_without_a_cookie() {
    let _files = Store::File.only(WHY);
    let server = failing("fail").start();
    server.expect_log("committing a session");
    server.allow_log(LATE);
    for place in ["/p", "/c"] {
        let mut visitor = server.client();
        let refused = without_new_records(&server);
        let answer = visitor.get(&format!("{place}?set:a=secret-plan;write:200")).expect(503);
        assert_eq!(answer.set_cookies().len(), 0);
        assert!(!answer.text().contains("set="), "{}", answer.text());
        drop(refused);
        assert_eq!(records(&server), 0);
        ask(&mut visitor, &format!("{place}?set:a=1;delete"));
    }
    server.assert_no_secret(&["secret-plan"]);
}

#[test]
fn a_change_that_cannot_be_stored_before_the_head_is_a_503_and_leaves_the_old_value() {
    let _files = Store::File.only(WHY);
    let server = failing("fail").start();
    server.expect_log("a session function: ");
    server.expect_log("committing a session");
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:a=1");
    let (folder, _) = only_record(&server);
    for place in ["/p", "/c"] {
        let refused = Without::rights(&folder, 0o500);
        let answer = visitor.get(&format!("{place}?set:a={};write:200", long())).expect(503);
        assert!(!answer.text().contains("set="), "{}", answer.text());
        let lines = ask(&mut visitor, &format!("{place}?set:a={};save;revert", long()));
        assert_eq!(lines, "set=SUCCESS\nsave=EGENERAL\nrevert=SUCCESS");
        drop(refused);
        assert_eq!(ask(&mut visitor, &format!("{place}?get:a")), "get=SUCCESS 1");
    }
    server.assert_no_secret(&["long-story", visitor.jar.get(COOKIE).expect("a cookie")]);
}

#[test]
fn a_change_that_cannot_be_stored_after_the_head_is_one_line_in_the_log() {
    let _files = Store::File.only(WHY);
    let server = failing("fail").start();
    server.expect_log("committing a session");
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:a=1");
    let (folder, _) = only_record(&server);
    for (count, place) in (1..).zip(["/p", "/c"]) {
        let refused = Without::rights(&folder, 0o500);
        let lines = ask(&mut visitor, &format!("{place}?get:a;flush;set:a={};get:is", long()));
        assert!(lines.ends_with("flush=SUCCESS\nset=SUCCESS\nget=NOTFOUND"), "{lines}");
        drop(refused);
        assert_eq!(ask(&mut visitor, &format!("{place}?get:a")), "get=SUCCESS 1");
        assert_eq!(server.log_count(":error]"), count);
    }
    server.assert_no_secret(&["long-story"]);
}

#[test]
fn a_change_by_notes_past_a_limit_is_a_500_and_leaves_the_old_value() {
    let server = failing("fail").conf("SessionMaxSize 1K").start();
    server.expect_log("the session would exceed SessionMaxSize");
    let mut visitor = server.client();
    let list = format!("setnote:session:a={};setnote:session:b=1", long());
    assert_eq!(visitor.get(&format!("/p?{list}")).expect(500).set_cookies().len(), 0);
    assert_eq!(records(&server), 0);
    ask(&mut visitor, "/p?setnote:session:a=1");
    let answer = visitor.get(&format!("/p?{list};write:200")).expect(500);
    assert!(!answer.text().contains("setnote="), "{}", answer.text());
    assert_eq!(server.log_count(":error]"), 2);
    assert_eq!(ask(&mut visitor, "/p?keys;get:a"), "keys=SUCCESS a\nget=SUCCESS 1");

    // After the head the answer stands, and so does the session.
    ask(&mut visitor, &format!("/p?flush;setnote:session:a={}", long()));
    assert_eq!(server.log_count(":error]"), 3);
    assert_eq!(ask(&mut visitor, "/p?keys;get:a"), "keys=SUCCESS a\nget=SUCCESS 1");
    server.assert_no_secret(&["long-story"]);
}

#[test]
fn a_session_that_cannot_be_read_is_a_503_before_the_handler() {
    let _files = Store::File.only(WHY);
    for how in ["fail", "readonly"] {
        let server = failing(how).start();
        server.expect_log("before the handler: ");
        server.expect_log("a session function: ");
        let mut visitor = server.client();
        ask(&mut visitor, "/p?set:a=1");
        let (_, file) = only_record(&server);
        let refused = Without::rights(&file, 0);
        let answer = visitor.get("/p?set:a=2").expect(503);
        assert_eq!((answer.text().contains("set="), answer.set_cookies().len()), (false, 0));
        let wanted = "exists=SUCCESS 1\nget=EGENERAL\nset=EGENERAL\nis_new=EGENERAL\nkeys=EGENERAL";
        assert_eq!(ask(&mut visitor, "/c?exists;get:a;set:a=2;is_new;keys"), wanted);
        // Who brings no id is served.
        assert_eq!(server.get("/p?get:a").expect(200).text(), "get=NOTFOUND\n");
        drop(refused);
        assert_eq!(ask(&mut visitor, "/p?get:a"), "get=SUCCESS 1");
        assert_eq!(records(&server), 1);
    }
}

#[test]
fn a_session_that_cannot_be_read_is_done_without_where_that_is_to_be_ignored() {
    let _files = Store::File.only(WHY);
    let server = failing("ignore").start();
    server.expect_log("serving without a session (SessionStoreFailure ignore)");
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:a=1");
    let id = visitor.jar.get(COOKIE).map(str::to_owned);
    let (_, file) = only_record(&server);
    let refused = Without::rights(&file, 0);
    let list = "get:a;keys;is_new;set:a=2;delete;regenerate;set_user:ann";
    let wanted = "get=NOTFOUND\nkeys=SUCCESS \nis_new=SUCCESS 1\nset=EGENERAL\ndelete=EGENERAL\n\
                  regenerate=EGENERAL\nset_user=EGENERAL";
    for place in ["/p", "/c"] {
        assert_eq!(ask(&mut visitor, &format!("{place}?{list}")), wanted);
    }
    // What notes ask for is dropped.
    let lines =
        ask(&mut visitor, "/p?note:session:a;setnote:session:a=2;setnote:session-store.do=delete");
    assert_eq!(lines, "note=NOTFOUND\nsetnote=SUCCESS\nsetnote=SUCCESS");
    drop(refused);
    assert_eq!(visitor.jar.get(COOKIE).map(str::to_owned), id);
    assert_eq!(ask(&mut visitor, "/p?get:a"), "get=SUCCESS 1");
    assert_eq!(records(&server), 1);
    server.allow_log("committing a session");
}

#[test]
fn an_answer_goes_out_with_its_session_unchanged_where_the_store_may_fail() {
    let _files = Store::File.only(WHY);
    for how in ["readonly", "ignore"] {
        let server = failing(how).start();
        server.expect_log("committing a session");
        server.allow_log(LATE);
        for place in ["/p", "/c"] {
            let mut visitor = server.client();
            let refused = without_new_records(&server);
            let answer = visitor.get(&format!("{place}?set:a=1")).expect(200);
            assert_eq!((answer.text().as_str(), answer.set_cookies().len()), ("set=SUCCESS\n", 0));
            drop(refused);
            ask(&mut visitor, &format!("{place}?set:a=1"));
            let (folder, _) = only_record(&server);
            let refused = Without::rights(&folder, 0o500);
            ask(&mut visitor, &format!("{place}?set:a={}", long()));
            drop(refused);
            assert_eq!(
                ask(&mut visitor, &format!("{place}?get:a;delete")),
                "get=SUCCESS 1\ndelete=SUCCESS"
            );
        }
    }
}

#[test]
fn requests_that_find_no_store_leave_nothing_held() {
    let _files = Store::File.only(WHY);
    let server = failing("fail").conf("SessionLockTimeout 5").start();
    server.expect_log("a session function: ");
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:n=0");
    let (_, file) = only_record(&server);
    let refused = Without::rights(&file, 0);
    let all = parallel(8, |_| ask(&mut visitor.clone(), "/c?incr:n"));
    assert!(all.iter().all(|line| line == "incr=EGENERAL"), "{all:?}");
    drop(refused);
    parallel(8, |_| ask(&mut visitor.clone(), "/c?incr:n"));
    assert_eq!(ask(&mut visitor, "/p?get:n"), "get=SUCCESS 8");
}

#[test]
fn whatever_the_answer_would_have_been_it_is_a_503_if_the_commit_fails_before_the_head() {
    let _files = Store::File.only(WHY);
    let server = failing("fail")
        .conf(
            "<Location \"/page.html\">\nProbeFixup set:a=1\n</Location>\n\
             <Location \"/no\">\nProbeAccess \"set:a=1;status:403\"\n</Location>\n\
             <Location \"/late\">\nSetHandler probe\nProbeFilter set:a=1\n</Location>",
        )
        .document("page.html", "page\n")
        .start();
    server.expect_log("committing a session");
    server.expect_log("before the handler");
    server.allow_log(LATE);
    let refused = without_new_records(&server);
    for place in ["/p", "/c"] {
        for end in [
            "return:404",
            "return:302",
            "status:302",
            "status:404",
            "flush;set:b=1",
            "sub:/absent",
            "redirect:/page.html",
        ] {
            let answer = server.get(&format!("{place}?header:Location=/;set:a=1;{end}"));
            let answer = answer.expect(503);
            assert_eq!((answer.set_cookies().len(), answer.header("Location")), (0, None), "{end}");
        }
        // An error of the server keeps nothing, so nothing fails.
        server.get(&format!("{place}?set:a=1;return:501")).expect(501);
    }
    for path in ["/page.html", "/no", "/late"] {
        assert_eq!(server.get(path).expect(503).set_cookies().len(), 0, "{path}");
    }
    drop(refused);
    assert_eq!(records(&server), 0);
}

#[test]
fn who_waited_in_vain_is_told_when_to_come_again_on_any_error_page() {
    let server = failing("fail")
        .conf("<Location \"/page\">\nSetHandler probe\nErrorDocument 503 /index.html\n</Location>")
        .start();
    server.expect_log("a request was refused its session");
    let gate = Gate::of(&server);
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:a=1");
    let mut held = visitor.clone().open(&Request::get(&format!("/p?flush;wait:{gate}")));
    held.head().expect("a head");
    for path in ["/p", "/page"] {
        assert_eq!(visitor.get(path).expect(503).header("Retry-After"), Some("1"), "{path}");
    }
    assert_eq!(visitor.get("/c?return:503").expect(503).header("Retry-After"), None);
    gate.open();
}

/// Each call, each included part and the page of the error once waited as long again: the request had a worker for
/// many times its limit, and the page was never shown.
#[test]
fn a_request_waits_in_vain_once_and_its_error_page_is_shown_what_is_stored() {
    const LIMIT: Duration = Duration::from_secs(3);
    let server = failing("fail")
        .conf("SessionLockTimeout 3s")
        .conf(
            "<Location \"/page\">\nSetHandler probe\n\
             ErrorDocument 503 /p?note:session:a;setnote:session:a=9\n</Location>",
        )
        .start();
    server.expect_log("a request was refused its session");
    let gate = Gate::of(&server);
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:a=1");
    let mut held = visitor.clone().open(&Request::get(&format!("/p?flush;wait:{gate}")));
    held.head().expect("a head");
    for (path, status, said) in [
        ("/page", 503, "note=SUCCESS 1"),
        ("/c?get:a;get:a;trylock;lock;get:a", 200, "get=TIMEUP\nget=TIMEUP\ntrylock=EBUSY\n"),
        ("/c?trylock;trylock;get:a;get:a", 200, "trylock=EBUSY\ntrylock=EBUSY\nget=TIMEUP\n"),
    ] {
        let start = Instant::now();
        let refused = visitor.get(path).expect(status);
        let waited = start.elapsed();
        assert!(refused.text().starts_with(said), "{path}: {}", refused.text());
        let retry = (status == 503).then_some("1");
        assert_eq!(refused.header("Retry-After"), retry, "{path}");
        assert!((LIMIT..2 * LIMIT).contains(&waited), "{path}: {waited:?}");
    }
    gate.open();
    // What the page made of the snapshot it was shown replaces nothing.
    server.expect_log("could not be had: what a handler wrote into notes was dropped");
    assert_eq!(ask(&mut visitor, "/p?get:a"), "get=SUCCESS 1");
}
