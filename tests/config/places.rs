//! What holds where: servers, virtual hosts, directories, locations, conditions.

use crate::steps::probed;
use crate::support::{Builder, Server};

const MINUTE: u64 = 60_000_000;

const CONF: &str = "
    SessionDataDir \"${DATA}\"
    SessionTimeout 10m
    <LocationMatch \"^/[a-z]\">
        SetHandler probe
    </LocationMatch>
    <Directory \"${DOCS}/dir\">
        SessionEngine on
        SessionTimeout 11m
        <Files \"special\">
            SessionTimeout 12m
        </Files>
    </Directory>
    <Directory \"${DOCS}/dir/inner\">
        SessionMaxKeys 1
    </Directory>
    <Location \"/dir/place\">
        SessionTimeout 13m
    </Location>
    <LocationMatch \"^/dir/place/in+er\">
        SessionTimeout 14m
    </LocationMatch>
    <If \"%{QUERY_STRING} =~ /unset:if/\">
        SessionTimeout 15m
    </If>
    <Location \"/dir/off\">
        SessionEngine off
    </Location>
    <Location \"/dir/off/on\">
        SessionEngine on
    </Location>
    <VirtualHost *:${PORT}>
        ServerName localhost
    </VirtualHost>
    <VirtualHost *:${PORT}>
        ServerName on.test
        SessionEngine on
        SessionTimeout 20m
        <Location \"/dir/off\">
            SessionTimeout 21m
        </Location>
    </VirtualHost>
    <VirtualHost *:${PORT}>
        ServerName off.test
        SessionEngine off
    </VirtualHost>";

/// The idle timeout in minutes; none where there are no sessions.
#[track_caller]
fn minutes(server: &Server, host: &str, path: &str) -> Option<u64> {
    let mark = if path.contains('?') { ";" } else { "?" };
    let text = server.client().host(host).get(&format!("{path}{mark}timeout")).expect(200).text();
    let last = text.lines().last().expect("a line");
    if last == "timeout=ENOTIMPL" {
        return None;
    }
    let time: u64 = last.strip_prefix("timeout=SUCCESS ").expect("a timeout").parse().expect("one");
    Some(time / MINUTE)
}

#[test]
fn the_innermost_setting_holds_and_what_it_leaves_unset_is_inherited() {
    let files = ["page", "special", "inner/page", "place/special", "place/inner"];
    let builder = probed().clear_conf().conf(CONF);
    let with = |builder: Builder, file| builder.document(&format!("dir/{file}"), "");
    let server = files.iter().fold(builder, with).start();
    for (host, path, expected) in [
        ("localhost", "/other", None),
        ("localhost", "/dir/page", Some(11)),
        ("localhost", "/dir/special", Some(12)),
        ("localhost", "/dir/inner/page", Some(11)),
        ("localhost", "/dir/place/", Some(13)),
        ("localhost", "/dir/place/special", Some(13)),
        ("localhost", "/dir/place/inner", Some(14)),
        ("localhost", "/dir/place/inner?unset:if", Some(15)),
        ("localhost", "/dir/off", None),
        ("localhost", "/dir/off/on", Some(11)),
        ("on.test", "/other", Some(20)),
        ("on.test", "/dir/page", Some(11)),
        ("on.test", "/other?unset:if", Some(15)),
        ("on.test", "/dir/off", None),
        ("on.test", "/dir/off/on", Some(21)),
        ("off.test", "/other", None),
        ("off.test", "/dir/page", Some(11)),
        ("off.test", "/dir/off", None),
    ] {
        assert_eq!(minutes(&server, host, path), expected, "{host}{path}");
    }
    let limited = server.get("/dir/inner/page?set:a=1;set:b=2").expect(200).text();
    assert_eq!(limited, "set=SUCCESS\nset=ENOSPC\n");
}

#[test]
fn where_the_engine_is_off_a_session_is_neither_offered_nor_touched() {
    let server = probed()
        .sessions()
        .conf("<Location \"/off\">\nSetHandler probe\nSessionEngine off\n</Location>")
        .start();
    let mut client = server.client();
    client.get("/probe?set:a=1").expect(200);
    let answer =
        client.get("/off?notes;get:a;set:a=2;exists;id;delete;open:read;setnote:session:a=3");
    let off = "notes=SUCCESS \nget=ENOTIMPL\nset=ENOTIMPL\nexists=ENOTIMPL\nid=ENOTIMPL\n\
               delete=ENOTIMPL\nopen=ENOTIMPL\nsetnote=SUCCESS\n";
    assert_eq!(answer.expect(200).text(), off);
    assert_eq!(client.get("/probe?get:a").text(), "get=SUCCESS 1\n");
    let answer = client.get("/off?get:a");
    assert_eq!((answer.set_cookies().len(), answer.header("Vary")), (0, None));
}
