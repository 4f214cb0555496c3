//! The harness itself: what it notices, and what it leaves behind.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{
    Builder, Mpm, Port, Request, Server, Target, inspect, parallel, wait_for, wait_value,
};
use crate::{mpm_tests, target_tests};

const PROBE: &str = "<Location \"/probe\">\nSetHandler harness\n</Location>";

fn plain() -> Builder {
    Server::builder().without_session_store()
}

fn probed() -> Builder {
    plain().probe("harness").conf(PROBE)
}

/// What dropping `server` panics with; what it keeps for a person is removed.
fn complaint_about(server: Server) -> String {
    let root = server.root();
    let complaint = complaint_of(|| drop(server));
    fs::remove_dir_all(root).expect("removing a kept server root");
    complaint
}

/// What `work` panicked with.
fn complaint_of(work: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(work)).expect_err("nothing was noticed");
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

mpm_tests!(
    a_server_answers_and_leaves_nothing,
    a_graceful_reload_waits_for_the_new_generation,
    a_hard_reload_and_a_restart_bring_it_back,
    as_many_requests_as_asked_are_served_at_once,
);

fn a_server_answers_and_leaves_nothing(mpm: Mpm) {
    let server = plain().mpm(mpm).start();
    assert_eq!(server.get("/").expect(200).text(), "It works\n");
    assert_eq!(server.accepting().len(), 2);
    let (leader, root) = (server.pid(), server.root());
    assert!(inspect::group(leader).len() >= 3);

    drop(server);

    assert!(inspect::group(leader).is_empty());
    assert!(!root.exists());
}

fn a_graceful_reload_waits_for_the_new_generation(mpm: Mpm) {
    let mut server = probed().mpm(mpm).start();
    let old = server.accepting();
    let mut slow = server.client().open(&Request::get("/probe?hold=1500"));
    assert!(!slow.stirs(Duration::from_millis(100)));
    for generation in 1..=3 {
        let alias = format!("Alias /generation{generation} \"${{DOCS}}\"");
        server.reconfigure(|builder| builder.conf(&alias));
        server.reload_graceful();
        let pid: u32 = server.get("/probe?pid").text().parse().expect("a pid");
        assert!(!old.contains(&pid));
        server.get(&format!("/generation{generation}/")).expect(200);
    }
    let answer = slow.response("GET").expect("an answer of the old generation").expect(200);
    assert!(old.contains(&answer.text().parse().expect("a pid")));
}

fn a_hard_reload_and_a_restart_bring_it_back(mpm: Mpm) {
    let mut server = plain().mpm(mpm).document("kept.txt", "kept").start();
    let (leader, old) = (server.pid(), server.children());
    server.reload_hard();
    assert_eq!(server.pid(), leader);
    assert!(server.children().iter().all(|pid| !old.contains(pid)));
    assert_eq!(server.get("/kept.txt").expect(200).text(), "kept");
    server.restart();
    assert_ne!(server.pid(), leader);
    assert!(inspect::group(leader).is_empty());
    assert_eq!(server.get("/kept.txt").expect(200).text(), "kept");
}

fn as_many_requests_as_asked_are_served_at_once(mpm: Mpm) {
    let server = probed().mpm(mpm).ready_for(20).start();
    let start = Instant::now();
    parallel(20, |_| server.get("/probe?hold=1000").expect(200));
    assert!(start.elapsed() < Duration::from_millis(1900), "{:?}", start.elapsed());
}

target_tests!(a_target_answers_reloads_and_is_audited);

fn a_target_answers_reloads_and_is_audited(target: Target) {
    let mut server = probed().target(target).document("page.html", "<p>page").start();
    assert_eq!(server.get("/page.html").expect(200).text(), "<p>page");
    let before = server.get("/probe?pid").text();
    server.reload_graceful();
    assert_ne!(server.get("/probe?pid").text(), before);
    server.restart();
    server.get("/page.html").expect(200);

    server.get("/probe?log").expect(200);
    server.wait_for_log("harness: as asked");
    assert!(complaint_of(|| server.assert_no_secret(&["as asked"])).contains("secret 0"));
    assert!(complaint_about(server).contains("undeclared: "));
}

#[test]
fn undeclared_trouble_fails_a_test_when_the_server_is_dropped() {
    let server = probed().start();
    server.get("/probe?log").expect(200);
    let complaint = complaint_about(server);
    assert!(complaint.contains("harness: as asked"), "{complaint}");

    let server = probed().start();
    server.expect_log("harness: as asked");
    server.get("/probe?log").expect(200);
    drop(server);
}

#[test]
fn declared_trouble_that_does_not_come_fails_a_test() {
    let server = plain().start();
    server.expect_log("never written");
    assert!(complaint_about(server).contains("missing: never written"));
}

#[test]
fn a_child_that_ends_by_a_signal_is_noticed() {
    let server = probed().start();
    let answer = server.client().try_send(&Request::get("/probe?crash"));
    assert!(answer.is_err());
    server.wait_for_log("exit signal");
    assert!(complaint_about(server).contains("Segmentation fault"));
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let refusal = plain().conf("NoSuchDirective on").try_start().err().expect("a refusal");
    assert!(refusal.output.contains("NoSuchDirective"), "{refusal:?}");
    let test = plain().conf("NoSuchDirective on").configtest();
    assert!(!test.passed && test.output.contains("NoSuchDirective"), "{test:?}");
    assert!(plain().configtest().passed);
}

/// What makes a start try again is httpd's own wording.
#[test]
fn a_port_that_was_taken_is_recognized() {
    let port = Port::reserve();
    let _other = TcpListener::bind(("127.0.0.1", port.number())).expect("listening");
    let refusal = plain().start_on(port).err().expect("a refusal");
    assert!(refusal.output.contains("could not bind to address"), "{refusal:?}");
}

#[test]
fn a_visitor_speaks_enough_http() {
    let body = "x".repeat(100_000);
    let server = probed()
        .module("headers")
        .document("long.txt", &body)
        .conf(
            "<Location \"/\">\nHeader add Set-Cookie \"a=1; Path=/\"\n\
             Header add Set-Cookie \"b=2; Max-Age=0\"\n\
             Header set X-Seen \"%{Cookie}i\" env=!none\n</Location>\n\
             <Location \"/seen\">\nErrorDocument 404 \"%{HTTP_COOKIE}\"\n</Location>",
        )
        .start();
    let mut client = server.client();
    let first = client.get("/long.txt").expect(200);
    assert_eq!(first.text(), body);
    assert_eq!(first.set_cookies(), ["a=1; Path=/", "b=2; Max-Age=0"]);
    assert_eq!((client.jar.get("a"), client.jar.get("b")), (Some("1"), None));
    assert_eq!(client.get("/seen").expect(404).text(), "a=1");

    let head = client.send(&Request::new("HEAD", "/long.txt")).expect(200);
    assert!(head.body.is_empty());
    let tag = head.header("etag").expect("an ETag").to_owned();
    client.send(&Request::get("/long.txt").header("If-None-Match", &tag)).expect(304);
    let streamed = client.get("/probe?stream=50000").expect(200);
    assert_eq!(streamed.header("Transfer-Encoding"), Some("chunked"));
    assert_eq!(streamed.body.len(), 50_000);
    let closed = client.send(&Request::get("/probe?stream=50000").close()).expect(200);
    assert_eq!(closed.body.len(), 50_000);
}

#[test]
fn slow_and_leaving_visitors_can_be_played() {
    let server = probed().start();
    let mut client = server.client();
    let mut slow = client.open_narrow(&Request::get("/probe?stream=50000000"));
    assert_eq!(slow.head().expect("a head").status, 200);
    assert_eq!(slow.read(1000).len(), 1000);
    slow.abort();

    let mut upload = client.open(&Request::new("POST", "/probe?stream=1000000").body_follows(4));
    let head = upload.head().expect("a head, before the body is there");
    upload.send(b"body");
    assert_eq!(upload.body(&head).expect("a body").len(), 1_000_000);

    let mut held = client.open(&Request::get("/probe?hold=500"));
    assert!(!held.stirs(Duration::from_millis(100)));
    held.response("GET").expect("an answer").expect(200);
}

#[test]
fn holdings_of_a_child_can_be_counted() {
    let server = plain().mpm(Mpm::Worker).threads(7).start();
    let child = server.children()[0];
    let held = wait_value(
        "all threads of a child",
        Duration::from_secs(10),
        || inspect::holdings(child).expect("a child"),
        |held| held.threads >= 8,
    );
    assert!(held.descriptors > 3 && held.mappings > 10 && held.shared >= 1, "{held:?}");
    assert!(server.cpu() < Duration::from_secs(60));
}

#[test]
fn a_killed_test_run_leaves_no_server() {
    let mut run = Command::new(std::env::current_exe().expect("the test's own file"))
        .args(["--exact", "harness::stand_still", "--ignored", "--nocapture"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .env("SESSION_STORE_STAND_STILL", "1")
        .process_group(0)
        .spawn()
        .expect("starting a test run");
    let leader = wait_for("the server of the other run", Duration::from_secs(20), || {
        inspect::children(run.id()).into_iter().find(|pid| inspect::group(*pid).len() >= 3)
    });
    run.kill().expect("killing the test run");
    run.wait().expect("waiting for the test run");
    wait_value(
        "the end of its server",
        Duration::from_secs(20),
        || inspect::group(leader),
        Vec::is_empty,
    );
}

#[test]
#[ignore = "part of a_killed_test_run_leaves_no_server"]
fn stand_still() {
    if std::env::var_os("SESSION_STORE_STAND_STILL").is_some() {
        let _server = plain().start();
        std::thread::park();
    }
}

#[test]
fn a_kept_connection_that_was_closed_is_replaced() {
    let server = plain().start();
    let mut client = server.client();
    client.get("/").expect(200);
    server.reload_hard();
    client.get("/").expect(200);
}
