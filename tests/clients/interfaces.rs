//! Every interface to a session on one server.

use std::fs;
use std::path::Path;

use crate::bridge::ENTRIES;
use crate::handlers::faces::{Backend, PYTHON, quoted};
use crate::support::probed::{COOKIE, ask, one_cookie_at_most, probed};
use crate::support::{Builder, Client, Mpm, Server, apxs};

/// A way to read and change a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interface {
    /// Functions called by a module in C.
    C,
    /// Notes, from Lua.
    Lua,
    /// Notes, from PHP within httpd.
    PhpNotes,
    /// `$_SESSION` of PHP within httpd.
    PhpSession,
    /// `$_SESSION` of PHP-FPM behind mod_proxy_fcgi.
    Fpm,
    /// The class for mod_python.
    Python,
    /// Notes, from mod_perl.
    Perl,
    /// Environment and headers of a script.
    Cgi,
    /// The same of an application in mod_wsgi, which refuses to run beside mod_python: see [`Pythons`].
    Wsgi,
    /// Headers of a server behind mod_proxy_http.
    Proxied,
    /// Entries of mod_session. It knows no orders: a session ends when its last entry goes, and gets a
    /// new id when somebody logs in.
    ModSession,
}

/// Which of two modules has Python within httpd: mod_wsgi does not start where mod_python is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pythons {
    ModPython,
    ModWsgi,
}

impl Interface {
    /// All that run beside mod_python.
    pub const ALL: [Interface; 10] = [
        Interface::C,
        Interface::Lua,
        Interface::PhpNotes,
        Interface::PhpSession,
        Interface::Fpm,
        Interface::Python,
        Interface::Perl,
        Interface::Cgi,
        Interface::Proxied,
        Interface::ModSession,
    ];

    fn path(self) -> &'static str {
        match self {
            Interface::C => "/c",
            Interface::Lua => "/lua",
            Interface::PhpNotes => "/php-notes",
            Interface::PhpSession => "/php-session",
            Interface::Fpm => "/fpm",
            Interface::Python => "/python",
            Interface::Perl => "/perl",
            Interface::Cgi => "/app",
            Interface::Wsgi => "/wsgi",
            Interface::Proxied => "/proxied",
            Interface::ModSession => "/mod-session",
        }
    }

    /// What it answers to operations of `page.lua`.
    #[track_caller]
    pub fn page(self, visitor: &mut Client, ops: &str) -> String {
        let response = visitor.get(&format!("{}?{ops}", self.path())).expect(200);
        one_cookie_at_most(&response);
        response.text()
    }

    #[track_caller]
    fn order(self, visitor: &mut Client, name: &str, text: &str) {
        let head = quoted(&format!("X-Session-{name}:{text}"));
        self.page(visitor, &format!("head={head}"));
    }

    /// The value of a key.
    #[track_caller]
    pub fn get(self, visitor: &mut Client, key: &str) -> Option<String> {
        match self {
            Interface::C => {
                let text = ask(visitor, &format!("/c?get:{key}"));
                text.strip_prefix("get=SUCCESS ").map(str::to_owned)
            }
            Interface::Cgi | Interface::Wsgi | Interface::Proxied => {
                let text = self.page(visitor, "");
                let names = [
                    format!("SESSION_VALUE_{}=", key.to_uppercase()),
                    format!("X-Session-Value-{key}="),
                ];
                let value = |line: &str| {
                    names
                        .iter()
                        .find_map(|name| line.strip_prefix(name.as_str()).map(str::to_owned))
                };
                text.lines().find_map(value)
            }
            Interface::ModSession => {
                let text = self.page(visitor, "");
                let value = |entry: &str| Some(entry.split_once('=')?.1.to_owned());
                text.split('&').find(|entry| name_of(entry) == key).and_then(value)
            }
            _ => self
                .page(visitor, &format!("get={key}"))
                .trim_end()
                .strip_prefix("is ")
                .map(str::to_owned),
        }
    }

    /// Sets a key.
    #[track_caller]
    pub fn set(self, visitor: &mut Client, key: &str, value: &str) {
        match self {
            Interface::C => drop(ask(visitor, &format!("/c?set:{key}={value}"))),
            Interface::Cgi | Interface::Wsgi | Interface::Proxied => {
                self.order(visitor, "Set", &format!("{key}={value}"))
            }
            Interface::ModSession => drop(self.page(visitor, &format!("{key}={value}"))),
            _ => drop(self.page(visitor, &format!("set={key}:{value}"))),
        }
    }

    /// Removes a key.
    #[track_caller]
    pub fn unset(self, visitor: &mut Client, key: &str) {
        match self {
            Interface::C => drop(ask(visitor, &format!("/c?unset:{key}"))),
            Interface::Cgi | Interface::Wsgi | Interface::Proxied => {
                self.order(visitor, "Unset", key)
            }
            Interface::ModSession => self.set(visitor, key, ""),
            _ => drop(self.page(visitor, &format!("unset={key}"))),
        }
    }

    /// Adds one to a key. mod_session cannot: it reads without holding the session.
    #[track_caller]
    pub fn increment(self, visitor: &mut Client, key: &str) {
        match self {
            Interface::C => drop(ask(visitor, &format!("/c?incr:{key}"))),
            Interface::ModSession => panic!("what it reads may have changed when it writes"),
            _ => drop(self.page(visitor, &format!("incr={key}"))),
        }
    }

    /// Has `delete`, `invalidate` or `regenerate` done.
    #[track_caller]
    pub fn order_to(self, visitor: &mut Client, word: &str) {
        match self {
            Interface::C => drop(ask(visitor, &format!("/c?{word}"))),
            Interface::Cgi | Interface::Wsgi | Interface::Proxied => {
                self.order(visitor, "Do", word)
            }
            Interface::ModSession if word == "regenerate" => self.set(visitor, "realm-user", "ann"),
            Interface::ModSession => {
                let known = self.page(visitor, "");
                let gone: Vec<String> =
                    known.split('&').map(|entry| format!("{}=", name_of(entry))).collect();
                self.page(visitor, &gone.join("&"));
            }
            _ => drop(self.page(visitor, &format!("do={word}"))),
        }
    }
}

fn name_of(entry: &str) -> &str {
    entry.split('=').next().unwrap_or_default()
}

/// What a visitor's cookie says.
pub fn id(visitor: &Client) -> Option<String> {
    visitor.jar.get(COOKIE).map(str::to_owned)
}

/// Adds the files of `httpd-conf/clients` as documents below `clients`.
pub fn with_clients(mut builder: Builder) -> Builder {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("httpd-conf/clients");
    let folders = fs::read_dir(&root).expect("the clients").flatten().map(|entry| entry.path());
    for folder in folders.filter(|path| path.is_dir()) {
        for file in fs::read_dir(&folder).expect("a client").flatten().map(|entry| entry.path()) {
            let Some(name) = file.strip_prefix(&root).ok().and_then(Path::to_str) else { continue };
            if file.is_file() {
                builder = builder.document(
                    &format!("clients/{name}"),
                    fs::read(&file).expect("reading a client"),
                );
            }
        }
    }
    builder
}

/// The file of configuration `php/NAME` for an application in `folder` of the documents.
fn php_conf(name: &str, folder: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("httpd-conf/clients/php").join(name);
    let text = fs::read_to_string(file).expect("reading a configuration");
    let text = text.replace("/var/www/html", &format!("${{DOCS}}/{folder}"));
    format!("Define CLIENTS \"${{DOCS}}/clients\"\n{text}")
}

/// mod_php at `/php-session`, with `$_SESSION`, and `/php-notes`.
pub fn with_php(builder: Builder) -> Builder {
    with_clients(builder)
        .mpm(Mpm::Prefork)
        .load("php_module", apxs::php())
        .document("php/session.php", include_str!("session.php"))
        .document("notes.php", include_str!("notes.php"))
        .conf(&php_conf("mod_php.conf", "php"))
        .conf(
            "Alias \"/php-notes\" \"${DOCS}/notes.php\"\n\
             Alias \"/php-session\" \"${DOCS}/php/session.php\"\n\
             <LocationMatch \"^/php-\">\nSetHandler application/x-httpd-php\n</LocationMatch>",
        )
}

/// PHP-FPM at `/fpm`, with `$_SESSION`.
pub fn with_fpm(builder: Builder) -> (Builder, Backend) {
    let backend = Backend::fpm();
    let address = format!("fcgi://127.0.0.1:{}", backend.port());
    let conf = php_conf("php-fpm.conf", "fpm")
        .replace("unix:/run/php/php-fpm.sock|fcgi://localhost", &address);
    let builder = with_clients(builder)
        .module("proxy")
        .module("proxy_fcgi")
        .document("fpm/session.php", include_str!("session.php"))
        .conf("Alias \"/fpm\" \"${DOCS}/fpm/session.php\"")
        .conf(&format!("<Proxy \"{address}/\" flushpackets=on>\n</Proxy>"));
    (builder.conf(&conf), backend)
}

/// mod_python at `/python`.
pub fn with_python(builder: Builder) -> Builder {
    with_clients(builder)
        .mpm(Mpm::Prefork)
        .module("python")
        .document("handler.py", include_str!("handler.py"))
        .conf(
            "<Location \"/python\">\nSetHandler mod_python\nPythonHandler handler\n\
             PythonPath \"sys.path + ['${DOCS}/clients/python', '${DOCS}']\"\n</Location>",
        )
}

/// mod_wsgi at `/wsgi`, in a process of its own.
fn with_wsgi(builder: Builder) -> Builder {
    builder.module("wsgi").conf(
        "WSGISocketPrefix run/wsgi\nWSGIDaemonProcess app threads=4\nWSGIProcessGroup app\n\
         WSGIScriptAlias \"/wsgi\" \"${DOCS}/app.py\"\n\
         <Location \"/wsgi\">\nSessionExport env *\nSessionBackendHeaders all\n</Location>",
    )
}

/// A server with all interfaces, each at its path, and `%{SESSION:a}` in the header `X-Expression` of
/// `/expression`.
pub fn all(pythons: Pythons, more: &str) -> (Server, Vec<Backend>) {
    let base = probed().mpm(Mpm::Prefork);
    let (builder, fpm) = with_fpm(with_php(match pythons {
        Pythons::ModPython => with_python(base),
        Pythons::ModWsgi => with_wsgi(base),
    }));
    let proxied = Backend::http();
    let conf = format!(
        "Alias \"/lua\" \"${{DOCS}}/page.lua\"\n<Location \"/lua\">\nSetHandler lua-script\n</Location>\n\
         PerlRequire \"${{DOCS}}/Page.pm\"\n\
         <Location \"/perl\">\nSetHandler modperl\nPerlResponseHandler Page\n</Location>\n\
         ScriptAlias \"/app\" \"${{DOCS}}/app.py\"\n\
         <Location \"/app\">\nSessionExport env *\nSessionBackendHeaders all\n</Location>\n\
         ProxyPass \"/proxied\" \"http://127.0.0.1:{}/app\"\n\
         <Location \"/proxied\">\nSessionExport headers *\nSessionBackendHeaders all\n</Location>\n\
         Alias \"/mod-session\" \"${{DOCS}}/entries.lua\"\n\
         <Location \"/mod-session\">\nSetHandler lua-script\n\
         Session On\nSessionEnv On\nSessionHeader X-Entries\n</Location>\n\
         <Location \"/expression\">\nHeader set X-Expression \"expr=%{{SESSION:a}}\"\n</Location>\n{more}",
        proxied.port()
    );
    let server = builder
        .module("lua")
        .module("session")
        .module("perl")
        .module("cgi")
        .module("headers")
        .module("proxy_http")
        .document("page.lua", include_str!("page.lua"))
        .document("entries.lua", ENTRIES)
        .document("Page.pm", include_str!("Page.pm"))
        .document("expression", "")
        .script("app.py", PYTHON)
        .conf(&conf)
        .ready_for(16)
        .start();
    (server, vec![fpm, proxied])
}
