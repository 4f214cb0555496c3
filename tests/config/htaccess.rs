//! `.htaccess` files: their authors may not be the server's administrator.

use mod_session_store::core::config::DIRECTIVES;

use crate::steps::probed;
use crate::support::{Builder, Server};

/// Folders with a `.htaccess` file each, below places where the probe answers.
fn folders(override_: &str, files: &[(&str, &str)]) -> Builder {
    let conf = format!(
        "<Directory \"${{DOCS}}\">\nAllowOverride {override_}\n</Directory>\n\
         <LocationMatch \"^/h-\">\nSetHandler probe\n</LocationMatch>"
    );
    let file = |builder: Builder, (name, text): &(&str, &str)| {
        builder.document(&format!("h-{name}/.htaccess"), text)
    };
    files.iter().fold(probed().sessions().conf(&conf), file)
}

#[track_caller]
fn get(server: &Server, target: &str) -> String {
    server.get(target).expect(200).text()
}

#[test]
fn what_does_no_harm_is_taken() {
    let server = folders(
        "AuthConfig",
        &[
            ("off", "SessionEngine off\n"),
            ("lower", "SessionTimeout 5m\n"),
            ("higher", "SessionTimeout 60m\n"),
            ("lower/higher", "SessionTimeout 10m\n"),
            ("read", "SessionLocking read\n"),
            ("touch", "SessionTouchInterval 10s\n"),
            ("guard", "SessionCacheControl on\n"),
            ("if", "<If \"true\">\nSessionEngine off\n</If>\n"),
        ],
    )
    .conf("<Location \"/h-guard\">\nSessionNotes off\n</Location>")
    .start();
    assert_eq!(get(&server, "/h-off/x?get:a"), "get=ENOTIMPL\n");
    assert_eq!(get(&server, "/h-if/x?get:a"), "get=ENOTIMPL\n");
    assert_eq!(get(&server, "/h-lower/x?timeout"), "timeout=SUCCESS 300000000\n");
    assert_eq!(get(&server, "/h-higher/x?timeout"), "timeout=SUCCESS 1800000000\n");
    assert_eq!(get(&server, "/h-lower/higher/x?timeout"), "timeout=SUCCESS 300000000\n");
    assert_eq!(get(&server, "/h-read/x?set:a=1"), "set=EACCES\n");
    assert_eq!(get(&server, "/h-touch/x?set:a=1"), "set=SUCCESS\n");
    let guarded = server.get("/h-guard/x?set:a=1").expect(200);
    assert!(guarded.header("Cache-Control").is_some_and(|value| value.contains("private")));
}

#[test]
fn all_else_is_answered_with_500_and_a_line_that_says_why() {
    let mut files = vec![
        ("on".to_owned(), "SessionEngine on".to_owned(), "SessionEngine in .htaccess takes off"),
        (
            "unguarded".to_owned(),
            "SessionCacheControl off".to_owned(),
            "SessionCacheControl in .htaccess takes on",
        ),
        (
            "bad".to_owned(),
            "SessionTimeout 0".to_owned(),
            "SessionTimeout in .htaccess takes a time",
        ),
        (
            "if".to_owned(),
            "<If \"true\">\nSessionEngine on\n</If>".to_owned(),
            "SessionEngine in .htaccess takes off",
        ),
        (
            "files".to_owned(),
            "<Files \"*\">\nSessionEngine on\n</Files>".to_owned(),
            "SessionEngine in .htaccess takes off",
        ),
    ];
    for row in DIRECTIVES.iter().filter(|row| row.htaccess.is_none()) {
        let line = match row.name {
            "SessionStore" => "SessionStore file".to_owned(),
            "SessionDataDir" => "SessionDataDir /tmp".to_owned(),
            "SessionScope" => "SessionScope other".to_owned(),
            "SessionSecret" => "SessionSecret 0123456789abcdef".to_owned(),
            name => format!("{name} {}", row.default),
        };
        files.push((row.name.to_lowercase(), line, "not allowed here"));
    }
    let texts: Vec<(&str, &str)> = files.iter().map(|(name, text, _)| (&**name, &**text)).collect();
    let server = folders("AuthConfig", &texts).start();
    for (name, _, why) in &files {
        let before = server.log_count(why);
        server.allow_log(&format!("h-{name}/.htaccess: "));
        server.get(&format!("/h-{name}/x?get:a")).expect(500);
        assert_eq!(server.log_count(why), before + 1, "{name}");
    }
    assert!(server.log_count("h-sessionscope/.htaccess: ") == 1);
}

#[test]
fn without_the_override_for_authentication_nothing_is_taken() {
    let files = [("off", "SessionEngine off\n"), ("lower", "SessionTimeout 5m\n")];
    let server = folders("FileInfo Limit Options Indexes", &files).start();
    for path in ["/h-off/x?get:a", "/h-lower/x?get:a"] {
        server.expect_log("not allowed here");
        server.get(path).expect(500);
    }
    let server = folders("None", &files).start();
    assert_eq!(get(&server, "/h-off/x?timeout"), "timeout=SUCCESS 1800000000\n");
}

#[test]
fn an_override_by_name_opens_no_more_than_the_module_does() {
    let files = [
        ("scope", "SessionScope other\n"),
        ("name", "SessionIdName other\n"),
        ("on", "SessionEngine on\n"),
        ("lower", "SessionTimeout 5m\n"),
    ];
    let list = "None\nAllowOverrideList SessionScope SessionIdName SessionEngine SessionTimeout";
    let server = folders(list, &files).start();
    for name in ["scope", "name", "on"] {
        server.expect_log(&format!("h-{name}/.htaccess: "));
        server.get(&format!("/h-{name}/x?get:a")).expect(500);
    }
    assert_eq!(get(&server, "/h-lower/x?timeout"), "timeout=SUCCESS 300000000\n");
    assert_eq!(server.log_count("is not allowed in .htaccess"), 2);
}
