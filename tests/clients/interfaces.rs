//! Every interface to a session on one server.

use std::fs;
use std::path::Path;

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
    /// Headers of a server behind mod_proxy_http.
    Proxied,
}

impl Interface {
    /// All of them.
    pub const ALL: [Interface; 9] = [
        Interface::C,
        Interface::Lua,
        Interface::PhpNotes,
        Interface::PhpSession,
        Interface::Fpm,
        Interface::Python,
        Interface::Perl,
        Interface::Cgi,
        Interface::Proxied,
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
            Interface::Proxied => "/proxied",
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
            Interface::Cgi | Interface::Proxied => {
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
            Interface::Cgi | Interface::Proxied => {
                self.order(visitor, "Set", &format!("{key}={value}"))
            }
            _ => drop(self.page(visitor, &format!("set={key}:{value}"))),
        }
    }

    /// Removes a key.
    #[track_caller]
    pub fn unset(self, visitor: &mut Client, key: &str) {
        match self {
            Interface::C => drop(ask(visitor, &format!("/c?unset:{key}"))),
            Interface::Cgi | Interface::Proxied => self.order(visitor, "Unset", key),
            _ => drop(self.page(visitor, &format!("unset={key}"))),
        }
    }

    /// Adds one to a key.
    #[track_caller]
    pub fn increment(self, visitor: &mut Client, key: &str) {
        match self {
            Interface::C => drop(ask(visitor, &format!("/c?incr:{key}"))),
            _ => drop(self.page(visitor, &format!("incr={key}"))),
        }
    }

    /// Has `delete`, `invalidate` or `regenerate` done.
    #[track_caller]
    pub fn order_to(self, visitor: &mut Client, word: &str) {
        match self {
            Interface::C => drop(ask(visitor, &format!("/c?{word}"))),
            Interface::Cgi | Interface::Proxied => self.order(visitor, "Do", word),
            _ => drop(self.page(visitor, &format!("do={word}"))),
        }
    }
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

/// A server with all interfaces, each at its path, and `%{SESSION:a}` in the header `X-Expression` of
/// `/expression`.
pub fn all(more: &str) -> (Server, Vec<Backend>) {
    let (builder, fpm) = with_fpm(with_php(with_python(probed().mpm(Mpm::Prefork))));
    let proxied = Backend::http();
    let conf = format!(
        "Alias \"/lua\" \"${{DOCS}}/page.lua\"\n<Location \"/lua\">\nSetHandler lua-script\n</Location>\n\
         PerlRequire \"${{DOCS}}/Page.pm\"\n\
         <Location \"/perl\">\nSetHandler modperl\nPerlResponseHandler Page\n</Location>\n\
         ScriptAlias \"/app\" \"${{DOCS}}/app.py\"\n\
         <Location \"/app\">\nSessionExport env *\nSessionBackendHeaders all\n</Location>\n\
         ProxyPass \"/proxied\" \"http://127.0.0.1:{}/app\"\n\
         <Location \"/proxied\">\nSessionExport headers *\nSessionBackendHeaders all\n</Location>\n\
         <Location \"/expression\">\nHeader set X-Expression \"expr=%{{SESSION:a}}\"\n</Location>\n{more}",
        proxied.port()
    );
    let server = builder
        .module("lua")
        .module("perl")
        .module("cgi")
        .module("headers")
        .module("proxy_http")
        .document("page.lua", include_str!("page.lua"))
        .document("Page.pm", include_str!("Page.pm"))
        .document("expression", "")
        .script("app.py", PYTHON)
        .conf(&conf)
        .ready_for(16)
        .start();
    (server, vec![fpm, proxied])
}
