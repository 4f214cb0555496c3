//! One application behind every way by which httpd runs one outside of itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::support::probed::probed;
use crate::support::{
    Builder, Client, Mpm, Program, Request, Response, SERVER_USER, Server, is_root,
};

/// The application for CGI, WSGI and as a server.
pub const PYTHON: &str = include_str!("app.py");
const PHP: &str = include_str!("app.php");

/// A way to run the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// mod_cgi, or mod_cgid where the MPM has threads.
    Cgi(Mpm),
    /// mod_wsgi in httpd's own processes.
    WsgiEmbedded,
    /// mod_wsgi in a process of its own.
    WsgiDaemon,
    /// PHP-FPM behind mod_proxy_fcgi.
    Fpm,
    /// A server behind mod_proxy_http.
    Http,
    /// The same, by a rule of mod_rewrite.
    Rewritten,
}

/// Makes of each function of a [`Face`] one test for each.
#[macro_export]
macro_rules! face_tests {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            use $crate::handlers::faces::Face;
            use $crate::support::Mpm;

            #[test]
            fn cgi() {
                super::$name(Face::Cgi(Mpm::Prefork));
            }

            #[test]
            fn cgid() {
                super::$name(Face::Cgi(Mpm::Event));
            }

            #[test]
            fn wsgi_embedded() {
                super::$name(Face::WsgiEmbedded);
            }

            #[test]
            fn wsgi_daemon() {
                super::$name(Face::WsgiDaemon);
            }

            #[test]
            fn fpm() {
                super::$name(Face::Fpm);
            }

            #[test]
            fn http() {
                super::$name(Face::Http);
            }

            #[test]
            fn rewritten() {
                super::$name(Face::Rewritten);
            }
        }
    )+};
}

impl Face {
    /// Whether it is shown headers and no environment.
    pub fn sees_headers(self) -> bool {
        matches!(self, Face::Http | Face::Rewritten)
    }

    /// What the application calls a header: as variables are called, where it sees an environment.
    pub fn header(self, name: &str) -> String {
        if self.sees_headers() {
            return name.to_owned();
        }
        format!("HTTP_{}", name.to_ascii_uppercase().replace('-', "_"))
    }

    /// What gives it these keys.
    pub fn export(self, keys: &str) -> String {
        let form = if self.sees_headers() { "headers" } else { "env" };
        format!("SessionExport {form} {keys}")
    }

    /// What it calls a value.
    pub fn value(self, key: &str) -> String {
        match self.sees_headers() {
            true => format!("X-Session-Value-{key}"),
            false => format!("SESSION_VALUE_{}", key.to_ascii_uppercase()),
        }
    }

    /// What it calls a fact, as `User` or `Idle-Left`.
    pub fn fact(self, name: &str) -> String {
        match self.sees_headers() {
            true => format!("X-Session-{name}"),
            false => format!("SESSION_{}", name.to_ascii_uppercase().replace('-', "_")),
        }
    }
}

/// What has to run as long as the server does: nothing, or a server of its own.
#[derive(Default)]
pub struct Backend {
    program: Option<Program>,
    _folder: Option<TempDir>,
}

impl Backend {
    /// The application as a server of its own.
    #[track_caller]
    pub fn http() -> Backend {
        let folder = tempfile::tempdir().expect("making a folder");
        let file = folder.path().join("app.py");
        fs::write(&file, PYTHON).expect("writing the application");
        let program = Program::start("the application", |port| {
            let mut command = Command::new("python3");
            command.arg(&file).arg(port.to_string());
            command
        });
        Backend { program: Some(program), _folder: Some(folder) }
    }

    /// PHP-FPM with two workers.
    #[track_caller]
    pub fn fpm() -> Backend {
        let folder = tempfile::tempdir().expect("making a folder");
        let conf = folder.path().join("fpm.conf");
        let program = Program::start("PHP-FPM", |port| {
            let user = if is_root() {
                format!("user = {SERVER_USER}\ngroup = {SERVER_USER}\n")
            } else {
                String::new()
            };
            let text = format!(
                "[global]\nerror_log = {0}/fpm.log\ndaemonize = no\n[www]\n{user}\
                 listen = 127.0.0.1:{port}\npm = static\npm.max_children = 4\n",
                folder.path().display()
            );
            fs::write(&conf, text).expect("writing the configuration of PHP-FPM");
            let mut command = Command::new(php_fpm());
            command.arg("--nodaemonize").arg("--fpm-config").arg(&conf);
            command
        });
        Backend { program: Some(program), _folder: Some(folder) }
    }

    /// Where it listens.
    #[track_caller]
    pub fn port(&self) -> u16 {
        self.program.as_ref().expect("httpd runs this application itself").port()
    }
}

/// PHP-FPM, whose file has its version in its name.
fn php_fpm() -> PathBuf {
    let files = fs::read_dir("/usr/sbin").expect("reading /usr/sbin").flatten();
    let mut found = files.map(|file| file.path()).filter(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("php-fpm")
    });
    found.next().expect("PHP-FPM: make deps installs php-fpm")
}

/// A server with the application at `/app`, where `more` holds, and the lists of operations of
/// [`probed`]; the rest of the configuration is `conf`.
pub fn faced(face: Face, more: &str) -> (Builder, Backend) {
    let base = probed().conf(&format!("<Location \"/app\">\n{more}\n</Location>"));
    let wsgi = |conf: &str| {
        let alias = "WSGIScriptAlias \"/app\" \"${DOCS}/app.py\"";
        base.clone().module("wsgi").script("app.py", PYTHON).conf(&format!("{conf}\n{alias}"))
    };
    match face {
        Face::Cgi(mpm) => {
            let (module, socket) = match mpm {
                Mpm::Prefork => ("cgi", ""),
                Mpm::Worker | Mpm::Event => ("cgid", "ScriptSock cgisock"),
            };
            let alias = "ScriptAlias \"/app\" \"${DOCS}/app.py\"";
            let builder = base.mpm(mpm).module(module).script("app.py", PYTHON);
            (builder.conf(socket).conf(alias), Backend::default())
        }
        // Its children would not end: mod_wsgi waits for its interpreter there.
        Face::WsgiEmbedded => (wsgi("WSGIDestroyInterpreter Off"), Backend::default()),
        Face::WsgiDaemon => (
            wsgi(
                "WSGISocketPrefix run/wsgi\nWSGIDaemonProcess app threads=4\nWSGIProcessGroup app",
            ),
            Backend::default(),
        ),
        Face::Fpm => {
            let backend = Backend::fpm();
            let conf = format!(
                "Alias \"/app\" \"${{DOCS}}/app.php\"\n<Files \"app.php\">\n\
                 SetHandler \"proxy:fcgi://127.0.0.1:{0}\"\n</Files>\n\
                 <Proxy \"fcgi://127.0.0.1:{0}/\" flushpackets=on>\n</Proxy>",
                backend.port()
            );
            let builder = base.module("proxy").module("proxy_fcgi").document("app.php", PHP);
            (builder.conf(&conf), backend)
        }
        Face::Http | Face::Rewritten => {
            let backend = Backend::http();
            let url = format!("http://127.0.0.1:{}/app", backend.port());
            let builder = base.module("proxy").module("proxy_http");
            let builder = match face {
                Face::Http => builder.conf(&format!("ProxyPass \"/app\" \"{url}\"")),
                _ => builder
                    .module("rewrite")
                    .conf(&format!("RewriteEngine on\nRewriteRule \"^/app(.*)$\" \"{url}$1\" [P]")),
            };
            (builder, backend)
        }
    }
}

/// A server that runs the application.
pub fn start(face: Face, more: &str) -> (Server, Backend) {
    let (builder, backend) = faced(face, more);
    (builder.start(), backend)
}

/// What the application was shown, by name.
pub fn shown(response: &Response) -> BTreeMap<String, String> {
    let text = response.text();
    let lines = text.lines().take_while(|line| *line != "end");
    lines
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// What the application is shown of `target`.
#[track_caller]
pub fn sees(visitor: &mut Client, target: &str) -> BTreeMap<String, String> {
    shown(&visitor.get(target).expect(200))
}

/// A text as an argument of the query.
pub fn quoted(text: &str) -> String {
    let escaped = |byte: u8| match byte.is_ascii_alphanumeric() {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(escaped).collect()
}

/// The target at which the application answers with these headers.
pub fn with_heads(heads: &[(&str, &str)]) -> String {
    let wish =
        |(name, value): &(&str, &str)| format!("head={}", quoted(&format!("{name}:{value}")));
    format!("/app?{}", heads.iter().map(wish).collect::<Vec<_>>().join("&"))
}

/// Fails if a header of ours, however it is spelled, is in the answer.
#[track_caller]
pub fn assert_stripped(response: &Response) {
    let ours =
        |name: &str| name.to_ascii_lowercase().replace(['_', '.'], "-").starts_with("x-session-");
    let leaked: Vec<_> = response.headers.iter().filter(|(name, _)| ours(name)).collect();
    assert!(leaked.is_empty(), "{leaked:?}");
}

/// Asks for `target` and sends these headers.
#[track_caller]
pub fn send(visitor: &mut Client, target: &str, headers: &[(&str, &str)]) -> Response {
    let request = headers
        .iter()
        .fold(Request::get(target), |request, (name, value)| request.header(name, value));
    visitor.send(&request)
}
