//! Real handlers in Lua, which know of notes alone.

use crate::support::probed::{COOKIE, Gate, one_cookie_at_most};
use crate::support::{Builder, Client, Mpm, Request, Server, Target};
use crate::{mpm_tests, target_tests};

const COUNTER: &str = r#"
function handle(r)
    local n = (tonumber(r.notes["session:n"]) or 0) + 1
    r.notes["session:n"] = string.format("%d", n)
    r.content_type = "text/plain"
    r:puts(string.format("%d", n))
    return apache2.OK
end
"#;

/// Streams: the head leaves before the second value is set.
const STREAM: &str = r#"
function handle(r)
    r.notes["session:early"] = "1"
    r.content_type = "text/plain"
    r:puts("first ")
    r:flush()
    r.notes["session:late"] = "2"
    r:puts("second")
    return apache2.OK
end
"#;

/// Says what it was offered; sets, removes and asks as the query says: `set=KEY:VALUE`, `unset=KEY`,
/// `note=NAME:VALUE`.
const DESK: &str = r#"
local function pairs_of(query)
    return (query or ""):gmatch("(%w+)=([^&]*)")
end
function handle(r)
    r.content_type = "text/plain"
    for _, key in ipairs { "a", "b", "c" } do
        r:puts(key, "=", tostring(r.notes["session:" .. key]), " ")
    end
    r:puts("user=", tostring(r.notes["session-store.user"]), " new=", r.notes["session-store.new"])
    for what, text in pairs_of(r.args) do
        local name, value = text:match("([^:]*):(.*)")
        if what == "set" then r.notes["session:" .. name] = value end
        if what == "unset" then r.notes["session:" .. text] = nil end
        if what == "note" then r.notes[name] = value end
        if what == "status" then return tonumber(text) end
    end
    return apache2.OK
end
"#;

const UNLOCKS: &str = r#"
function handle(r)
    r.notes["session:n"] = "stored"
    r.notes["session-store.do"] = "unlock"
    r.content_type = "text/plain"
    r:puts("free")
    r:flush()
    while not r:stat(r.args) do r.usleep(5000) end
    r.notes["session:after"] = "1"
    return apache2.OK
end
"#;

fn lua() -> Builder {
    Server::builder()
        .module("lua")
        .sessions()
        .document("counter.lua", COUNTER)
        .document("stream.lua", STREAM)
        .document("desk.lua", DESK)
        .document("unlocks.lua", UNLOCKS)
        .conf("AddHandler lua-script .lua\nSessionLockTimeout 0\nSessionRegenerateGrace 0")
}

#[track_caller]
fn said(visitor: &mut Client, target: &str) -> String {
    let response = visitor.get(target).expect(200);
    one_cookie_at_most(&response);
    response.text()
}

mpm_tests!(a_counter_in_lua_counts);
target_tests!(a_page_in_lua_keeps_what_it_writes);

fn a_counter_in_lua_counts(mpm: Mpm) {
    let server = lua().mpm(mpm).log_level("debug").start();
    let mut visitor = server.client();
    for count in 1..=5 {
        let answer = visitor.get("/counter.lua").expect(200);
        assert_eq!(answer.text(), count.to_string());
        assert_eq!(answer.set_cookies().len(), usize::from(count == 1));
    }
    assert_eq!(said(&mut visitor, "/stream.lua"), "first second");
    assert_eq!(said(&mut visitor, "/counter.lua"), "6");
    server.assert_no_secret(&[visitor.jar.get(COOKIE).expect("a cookie")]);
}

fn a_page_in_lua_keeps_what_it_writes(target: Target) {
    let server = lua().target(target).start();
    let mut visitor = server.client();
    let nobody = "a=nil b=nil c=nil user=nil new=1";
    assert_eq!(said(&mut visitor, "/desk.lua"), nobody);
    assert!(visitor.jar.is_empty());
    assert_eq!(said(&mut visitor, "/desk.lua?set=a:1&set=b:two"), nobody);
    assert_eq!(
        said(&mut visitor, "/desk.lua?unset=a&set=b:2&set=c:"),
        "a=1 b=two c=nil user=nil new=0"
    );
    assert_eq!(
        said(&mut visitor, "/desk.lua?note=session-store.user:ann"),
        "a=nil b=2 c= user=nil new=0"
    );
    assert_eq!(
        said(&mut visitor, "/desk.lua?note=session-store.user:"),
        "a=nil b=2 c= user=ann new=0"
    );
    assert_eq!(
        said(&mut visitor, "/desk.lua?set=a:9&status=500".replace("&status=500", "").as_str()),
        "a=nil b=2 c= user=nil new=0"
    );
    visitor.get("/desk.lua?set=a:10&status=500").expect(500);
    assert_eq!(
        said(&mut visitor, "/desk.lua?note=session-store.do:invalidate"),
        "a=9 b=2 c= user=nil new=0"
    );
    assert!(visitor.jar.is_empty());
    assert_eq!(said(&mut visitor, "/desk.lua"), nobody);
}

#[test]
fn a_page_in_lua_lets_the_session_go_while_it_streams() {
    let server = lua().start();
    let gate = Gate::of(&server);
    let mut visitor = server.client();
    said(&mut visitor, "/counter.lua");
    let mut stream = visitor.open(&Request::get(&format!("/unlocks.lua?{gate}")));
    let head = stream.head().expect("a head");
    let mut first = Vec::new();
    assert!(stream.chunk(&mut first).expect("a chunk"));
    assert_eq!(said(&mut visitor, "/desk.lua?set=a:1"), "a=nil b=nil c=nil user=nil new=0");
    gate.open();
    stream.body(&head).expect("the rest");
    assert_eq!(said(&mut visitor, "/desk.lua?set=b:1"), "a=1 b=nil c=nil user=nil new=0");
}
