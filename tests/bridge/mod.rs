//! httpd's mod_session, and mod_auth_form above it, with their data in our sessions.

mod crypto;
mod entries;
mod faults;
mod login;
mod place;
mod together;

use crate::steps::{COOKIE, sessions, with_lua};
use crate::support::{Builder, Client, Response};

/// The password of everybody.
const PASSWORD: &str = "open sesame";

/// ann, bob and eve.
const USERS: &str = "ann:$apr1$abcdefgh$T64oOxnD8c28.dQa.2Lty1\nbob:$apr1$abcdefgh$T64oOxnD8c28.dQa.2Lty1\neve:$apr1$abcdefgh$T64oOxnD8c28.dQa.2Lty1\n";

/// Answers the session as scripts see it (`SessionEnv`), and says in the header that mod_session reads
/// (`SessionHeader`) what the query says.
pub const ENTRIES: &str = r#"
function handle(r)
    r.content_type = "text/plain"
    r:puts(tostring(r.subprocess_env["HTTP_SESSION"]))
    if r.args then r.headers_out["X-Entries"] = r.args end
    return apache2.OK
end
"#;

const PLACES: &str = "Session On\nSessionEnv On\nSessionHeader X-Entries\n\
     <Location \"/\">\nAuthName \"My Realm\"\nAuthFormProvider file\nAuthUserFile ${DOCS}/users\n</Location>\n\
     <Location \"/symbols\">\nSessionNotes off\n</Location>\n\
     <Location \"/in\">\nAuthType Form\nRequire valid-user\n</Location>\n\
     <Location \"/login\">\nSetHandler form-login-handler\nAuthFormLoginSuccessLocation /in/page.html\n</Location>\n\
     <Location \"/logout\">\nSetHandler form-logout-handler\nAuthFormLogoutLocation /page.html\n</Location>";

/// mod_session and mod_auth_form everywhere, with sessions of ours.
fn forms() -> Builder {
    places(with_lua(sessions()))
}

/// The same with the modules and pages only; `builder` has the sessions.
fn places(builder: Builder) -> Builder {
    let names = ["session", "request", "authn_core", "authn_file", "auth_form", "authz_user"];
    let builder = names.into_iter().fold(builder, Builder::module);
    builder
        .document("users", USERS)
        .document("page.html", "page\n")
        .document("in/page.html", "inside\n")
        .document("in/other.html", "other\n")
        .script("entries.lua", ENTRIES)
        .conf(PLACES)
}

/// Sends the login form of `user`.
#[track_caller]
fn log_in(client: &mut Client, user: &str) -> Response {
    client.post("/login", &form(user, PASSWORD))
}

fn form(user: &str, password: &str) -> String {
    format!("httpd_username={user}&httpd_password={}", password.replace(' ', "+"))
}

/// Whether the visitor is let in.
#[track_caller]
fn is_in(client: &mut Client) -> bool {
    match client.get("/in/page.html").status {
        200 => true,
        401 => false,
        other => panic!("{other}"),
    }
}

/// The id that the visitor has.
#[track_caller]
fn id(client: &Client) -> String {
    client.jar.get(COOKIE).expect("a cookie").to_owned()
}

/// What mod_session has, as a text; "nil" without a session of its own.
#[track_caller]
fn entries(client: &mut Client) -> String {
    client.get("/entries.lua").expect(200).text()
}

/// Has mod_session set what `query` says.
#[track_caller]
fn set_entries(client: &mut Client, query: &str) -> Response {
    client.get(&format!("/entries.lua?{query}")).expect(200)
}
