//! What a handler is to a session: what it can see of it, and by what it can change it.

use crate::httpd::request::Request;

/// The filter of server-side includes; httpd keeps names in lower case.
const INCLUDES: &std::ffi::CStr = c"includes";

/// A kind of handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// httpd's own for files, which serves whatever no handler was named for: it sees nothing.
    File,
    /// The same, with server-side includes in the file: they see an environment.
    Page,
    /// Another program behind CGI, FastCGI or WSGI: an environment in, headers out.
    Script,
    /// A script that writes its own head.
    Nph,
    /// A proxied server: headers in, headers out.
    Proxy,
    /// A connection through us to somebody else: no header passes.
    Tunnel,
    /// Any other. It runs in this process and can reach notes and the C interface.
    Inside,
}

impl Kind {
    /// The kind of the record's handler, once it is decided upon. `named`: for its place, by
    /// `SetHandler` or the like.
    pub fn of(request: Request<'_>, named: bool) -> Kind {
        match request.handler() {
            // mod_cgi takes a file by its media type as well.
            Some(b"cgi-script" | b"application/x-httpd-cgi") if is_nph(request) => Kind::Nph,
            Some(b"cgi-script" | b"application/x-httpd-cgi") => Kind::Script,
            Some(b"fcgid-script" | b"wsgi-script") => Kind::Script,
            Some(name) if name.starts_with(b"proxy") => match request.method() {
                b"CONNECT" => Kind::Tunnel,
                _ => Kind::Proxy,
            },
            Some(name) if named && name != b"default-handler" => Kind::Inside,
            _ if request.has_output_filter(INCLUDES) => Kind::Page,
            _ => Kind::File,
        }
    }

    /// Whether it works in a process of its own, or for somebody else: what it is shown is out of our
    /// hands.
    pub fn is_outside(self) -> bool {
        matches!(self, Kind::Page | Kind::Script | Kind::Nph | Kind::Proxy)
    }

    /// Whether it looks at the environment of its request.
    pub fn has_environment(self) -> bool {
        self == Kind::Inside || self.is_outside()
    }

    /// Whether the head of its answer comes from a backend and passes us.
    pub fn is_backend(self) -> bool {
        matches!(self, Kind::Script | Kind::Proxy)
    }
}

/// mod_cgi knows them by the beginning of their file's name.
fn is_nph(request: Request<'_>) -> bool {
    let file = request.filename().unwrap_or_default();
    let base = file.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    base.starts_with(b"nph-")
}
