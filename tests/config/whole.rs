//! What one directive alone cannot know: the configuration judged as a whole.

use crate::support::{ConfigTest, Server};

fn said_of(lines: &str) -> ConfigTest {
    let file = format!("\n\n{lines}\n");
    Server::builder().document("part.conf", file).conf("Include \"${DOCS}/part.conf\"").configtest()
}

#[track_caller]
fn refused(lines: &str, parts: &[&str]) {
    let test = said_of(lines);
    assert!(!test.passed, "{lines}: {}", test.output);
    for part in parts {
        let count = test.output.matches(part).count();
        assert_eq!(count, 1, "{part:?}, said {count} times: {}", test.output);
    }
}

#[track_caller]
fn warned(lines: &str, parts: &[&str]) {
    let test = said_of(&format!("SessionDataDir \"${{DATA}}\"\n{lines}"));
    assert!(test.passed, "{lines}: {}", test.output);
    for part in parts {
        let count = test.output.matches(part).count();
        assert_eq!(count, 1, "{part:?}, said {count} times: {}", test.output);
    }
}

#[test]
fn an_engine_without_a_directory_is_refused_wherever_it_is_turned_on() {
    let what = "write SessionDataDir DIR";
    refused("SessionEngine on", &["the server: SessionEngine is on", what]);
    let host = "<VirtualHost *:1>\nServerName a.test\nSessionEngine on\n</VirtualHost>";
    refused(host, &["virtual host at", "docs/part.conf:3", what]);
    refused("<Location /a>\nSessionEngine on\n</Location>", &["docs/part.conf:4", what]);
    refused("<Directory /a>\n<If true>\nSessionEngine on\n</If>\n</Directory>", &[what]);
    let inner = "<VirtualHost *:1>\nServerName a.test\n<Files x>\nSessionEngine on\n</Files>\n\
                 </VirtualHost>";
    refused(inner, &["docs/part.conf:6", what]);
    assert!(said_of("SessionTimeout 5m").passed, "nothing is needed where the engine is off");
}

#[test]
fn a_server_without_a_directory_does_not_start_either() {
    let refusal = Server::builder().conf("SessionEngine on").try_start().err().expect("a refusal");
    let said = refusal.output + &refusal.log;
    assert!(said.contains("write SessionDataDir DIR"), "{said}");
}

#[test]
fn two_directories_are_refused_and_the_same_one_twice_is_not() {
    let two = "SessionStore file:/a\nSessionDataDir /b\nSessionEngine on";
    refused(two, &["SessionDataDir and the directory of SessionStore differ"]);
    assert!(said_of("SessionStore file:/a\nSessionDataDir /a/\nSessionEngine on").passed);
}

#[test]
fn cookies_that_browsers_refuse_are_refused_with_the_place() {
    let on = "SessionDataDir \"${DATA}\"\nSessionEngine on\n";
    let place = |lines: &str| format!("{on}<Location /a>\n{lines}\n</Location>");
    for lines in [
        "SessionIdSameSite None",
        "SessionIdPartitioned on",
        "SessionIdName __Host-sid",
        "SessionIdName __Secure-sid",
    ] {
        refused(&place(lines), &["needs SessionIdSecure on", "docs/part.conf:6"]);
        assert!(said_of(&place(&format!("{lines}\nSessionIdSecure on"))).passed, "{lines}");
        assert!(said_of(&place(&format!("{lines}\nSessionEngine off"))).passed, "{lines}");
    }
    let host = "SessionIdName __Host-sid\nSessionIdSecure on\n";
    refused(&place(&format!("{host}SessionIdPath /a")), &["needs SessionIdPath /"]);
    refused(&place(&format!("{host}SessionIdDomain a.test")), &["needs SessionIdDomain none"]);
    // What holds counts, not where it is written.
    let outer = format!("SessionIdSecure on\n{}", place("SessionIdSameSite None"));
    assert!(said_of(&outer).passed);
    let server = format!("{on}SessionIdSameSite None");
    refused(&server, &["the server: SessionIdSameSite None needs SessionIdSecure on"]);
}

#[test]
fn doubtful_settings_are_warned_of_once_and_the_server_may_start() {
    let foreign = "a name that other software uses";
    warned("SessionEngine on\nSessionIdName PHPSESSID", &["the server: SessionIdName", foreign]);
    let host = "<VirtualHost *:1>\nServerName a.test\nSessionEngine on\n\
                SessionIdName PHPSESSID\n</VirtualHost>";
    warned(host, &["virtual host at", foreign]);
    let place = "SessionEngine on\n<Location /a>\nSessionIdMaxAge 10m\n</Location>";
    warned(place, &["docs/part.conf:6", "ends the cookie before"]);
    warned("SessionEngine on\nSessionTimeout 2d", &["is never reached"]);
    let unused = "SessionEngine on\nSessionIdSource header:X-Id\nSessionIdRefresh on";
    warned(unused, &["SessionIdRefresh has no effect"]);
    let inline = "SessionEngine on\nSessionSecret hidden-hidden-hidden";
    warned(inline, &["SessionSecret has a secret in the configuration itself"]);
    assert!(!said_of(&format!("SessionDataDir /a\n{inline}")).output.contains("hidden-hidden"));
}

#[test]
fn a_host_that_inherits_does_not_repeat_what_was_said_of_the_server() {
    let host = |name: &str| format!("<VirtualHost *:1>\nServerName {name}\n</VirtualHost>\n");
    let lines =
        format!("SessionEngine on\nSessionTimeout 2d\n{}{}", host("a.test"), host("b.test"));
    warned(&lines, &["is never reached"]);
}
