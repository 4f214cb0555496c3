//! The examples of `docs/examples.md`, put into a server and visited.

use std::fs;
use std::path::Path;

use crate::steps::COOKIE;
use crate::support::{Client, Request, Server, parallel};

/// The blocks of the page that say which file they are: its name and text.
fn files() -> Vec<(String, String)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples.md");
    let text = fs::read_to_string(page).expect("the page");
    let blocks = text.split("\n```").skip(1).step_by(2);
    let file = |block: &str| {
        let (_, block) = block.split_once('\n')?;
        let (first, _) = block.split_once('\n')?;
        let name = first.trim_start_matches(['#', '-', ' ']).strip_prefix("file: ")?;
        Some((name.to_owned(), block.to_owned() + "\n"))
    };
    blocks.filter_map(file).collect()
}

/// A server with every file of the page.
fn server() -> Server {
    let files = files();
    let mut conf = String::new();
    let mut builder = Server::builder().module("lua");
    for (name, text) in &files {
        if name.ends_with(".conf") {
            conf.push_str(&text.replace("/var/lib/session_store", "${DATA}"));
        } else {
            builder = builder.document(name, text);
        }
    }
    assert_eq!(files.len(), 6, "{:?}", files.iter().map(|(name, _)| name).collect::<Vec<_>>());
    builder.conf(&conf).start()
}

#[track_caller]
fn post(client: &mut Client, path: &str, form: &str) -> String {
    let request = Request::new("POST", path)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(form);
    client.send(&request).text()
}

#[test]
fn a_login_has_a_new_id_and_a_logout_ends_the_session() {
    let server = server();
    let mut visitor = server.client();
    visitor.get("/cart.lua?add=tea").expect(200);
    let before = visitor.jar.get(COOKIE).expect("a cookie").to_owned();
    assert_eq!(post(&mut visitor, "/login.lua", "name=ada&password=wrong"), "you are a stranger\n");
    assert_eq!(visitor.jar.get(COOKIE), Some(before.as_str()));
    let welcome = post(&mut visitor, "/login.lua", "name=ada&password=correct+horse");
    assert_eq!(welcome, "welcome ada\n");
    assert_ne!(visitor.jar.get(COOKIE), Some(before.as_str()));
    assert_eq!(visitor.get("/login.lua").expect(403).text(), "you are ada\n");
    assert_eq!(visitor.get("/cart.lua").expect(200).text(), "tea 1\nmug 0\n");
    let mut planted = server.client();
    planted.jar.set(COOKIE, &before);
    assert_eq!(planted.get("/login.lua").expect(403).text(), "you are a stranger\n");
    assert_eq!(visitor.get("/login.lua?out").expect(200).text(), "good bye\n");
    assert!(visitor.jar.is_empty());
}

#[test]
fn tabs_that_add_to_the_cart_at_once_lose_nothing() {
    let server = server();
    let mut visitor = server.client();
    visitor.get("/cart.lua?add=mug").expect(200);
    parallel(12, |tab| {
        let good = if tab % 2 == 0 { "tea" } else { "mug" };
        visitor.clone().get(&format!("/cart.lua?add={good}")).expect(200);
    });
    assert_eq!(visitor.get("/cart.lua").expect(200).text(), "tea 6\nmug 7\n");
}

#[test]
fn a_wizard_survives_the_back_button_and_a_second_click() {
    let server = server();
    let mut visitor = server.client();
    let mut say = |form: &str| post(&mut visitor, "/wizard.lua", form);
    assert_eq!(say(""), "please give your name\n");
    assert_eq!(say("name=Ada"), "please give your street\n");
    assert_eq!(say("street=Mill+Lane"), "send it? Ada, Mill Lane\n");
    // Back twice, another name, and on.
    assert_eq!(say("name=Grace"), "send it? Grace, Mill Lane\n");
    assert_eq!(say("send=1"), "sent: Grace, Mill Lane\n");
    assert_eq!(say("send=1"), "please give your name\n");
}

#[test]
fn a_client_without_cookies_keeps_its_session_by_a_header() {
    let server = server();
    let first = server.get("/api.lua").expect(200);
    assert!(first.set_cookies().is_empty());
    let text = first.text();
    let id = text.split('"').nth(5).expect("an id").to_owned();
    for calls in 2..4 {
        let request = Request::get("/api.lua").header("X-Api-Session", &id);
        let answer = server.client().send(&request).expect(200);
        assert_eq!(answer.text(), format!("{{\"calls\": {calls}}}\n"));
        assert!(answer.set_cookies().is_empty());
    }
}
