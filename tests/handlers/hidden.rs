//! The cookie is the visitor: who need not know it is not shown it.

use super::faces::{Face, faced, send, shown};
use crate::face_tests;
use crate::support::Mpm;
use crate::support::probed::{COOKIE, ask};

face_tests!(the_cookie_is_hidden_and_others_stay_byte_for_byte);

fn the_cookie_is_hidden_and_others_stay_byte_for_byte(face: Face) {
    let (builder, _backend) = faced(face, &face.export("*"));
    let server = builder
        .conf("<Location \"/app/plain\">\nSessionIdHide off\n</Location>")
        .conf("<Location \"/app/other\">\nSessionIdName other\n</Location>")
        .start();
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:a=1");
    let id = visitor.jar.get(COOKIE).expect("a cookie").to_owned();
    let name = face.header("Cookie");
    let sent = format!("first=\"q ;  x=1;y=2 ; {COOKIE}={id};  last=a,b");
    let mut cookies = |target: &str, sent: &str| {
        shown(&send(&mut visitor, target, &[("Cookie", sent)]).expect(200)).remove(&name)
    };
    assert_eq!(cookies("/app", &sent).as_deref(), Some("first=\"q ;  x=1;y=2 ;  last=a,b"));
    assert_eq!(cookies("/app", &format!("{COOKIE}={id}")), None);
    assert_eq!(cookies("/app", &format!("{COOKIE}=x; {COOKIE}={id}; a=1")).as_deref(), Some("a=1"));
    assert_eq!(cookies("/app/plain", &sent).as_deref(), Some(sent.as_str()));
    // Another place, another cookie.
    assert_eq!(cookies("/app/other", &sent).as_deref(), Some(sent.as_str()));
    // The session is found all the same.
    let seen = shown(&visitor.get("/app").expect(200));
    assert_eq!(seen.get(&face.value("a")).map(String::as_str), Some("1"));
    assert!(!seen.values().any(|value| value.contains(&id)));
}

const PAGE: &str = "cookie=<!--#echo encoding=\"none\" var=\"HTTP_COOKIE\" -->\n\
                    value=<!--#echo encoding=\"none\" var=\"SESSION_VALUE_A\" -->\n\
                    <!--#include virtual=\"/app\" -->\n\
                    <!--#include virtual=\"/app/plain\" -->\n\
                    <!--#include virtual=\"/c?get:a\" -->\n";

#[test]
fn each_request_of_a_tree_is_decided_by_its_own_place() {
    let (builder, _backend) = faced(Face::Cgi(Mpm::Event), "");
    let server = builder
        .module("include")
        .conf("<Location \"/app/plain\">\nSessionIdHide off\n</Location>")
        .conf("<Location \"/open.shtml\">\nSessionIdHide off\n</Location>")
        .conf("<Location \"/page.shtml\">\nSessionExport env *\n</Location>")
        .conf("<Directory \"${DOCS}\">\nOptions +Includes +ExecCGI\nAddOutputFilter INCLUDES .shtml\n</Directory>")
        .document("page.shtml", PAGE)
        .document("open.shtml", PAGE)
        .start();
    let mut visitor = server.client();
    ask(&mut visitor, "/p?set:a=1");
    let id = visitor.jar.get(COOKIE).expect("a cookie").to_owned();
    let sent = format!("{COOKIE}={id}");
    let lines = |target: &str, visitor: &mut crate::support::Client| -> Vec<String> {
        let text = send(visitor, target, &[("Cookie", &sent)]).expect(200).text();
        text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    };
    let plain = format!("HTTP_COOKIE={sent}");
    assert_eq!(
        lines("/page.shtml", &mut visitor),
        ["cookie=(none)", "value=1", "end", &plain, "end", "get=SUCCESS 1"]
    );
    let open = format!("cookie={sent}");
    assert_eq!(
        lines("/open.shtml", &mut visitor),
        [&open, "value=(none)", "end", &plain, "end", "get=SUCCESS 1"]
    );
}
