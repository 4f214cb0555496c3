//! What a server is to be like, and the configuration file that says so to httpd.

use std::path::PathBuf;

use super::apxs;
use super::layout::{Layout, SERVER_USER, is_root};
use super::mechanism;
use super::mpm::{Mpm, Size};
use super::stores::Store;
use super::target::Target;

/// A server to be. Configuration text may use `${ROOT}`, its last part `${NAME}`, `${DATA}`, `${DOCS}`,
/// `${PORT}`.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing before start"]
pub struct Builder {
    pub(super) target: Target,
    pub(super) documents: Vec<(String, Vec<u8>, u32)>,
    mpm: Mpm,
    size: Size,
    session_store: bool,
    log_level: Option<String>,
    locks: Option<u32>,
    modules: Vec<String>,
    loads: Vec<(String, PathBuf)>,
    pub(super) preload: Option<PathBuf>,
    main: String,
    conf: String,
}

impl Default for Builder {
    fn default() -> Builder {
        Builder {
            target: Target::Host,
            documents: Vec::new(),
            mpm: Mpm::Event,
            size: Size { start: 2, workers: 64, threads: 25 },
            session_store: true,
            log_level: None,
            locks: None,
            modules: ["authz_core", "dir", "mime", "alias"].map(str::to_owned).to_vec(),
            loads: Vec::new(),
            preload: None,
            main: String::new(),
            conf: String::new(),
        }
    }
}

impl Builder {
    /// Event if not said.
    pub fn mpm(mut self, mpm: Mpm) -> Builder {
        self.mpm = mpm;
        self
    }

    /// On the host if not said.
    pub fn target(mut self, target: Target) -> Builder {
        self.target = target;
        self
    }

    /// Processes at start: 2 if not said.
    pub fn start_servers(mut self, count: u32) -> Builder {
        self.size.start = count;
        self
    }

    /// Requests served at once, at most: 64 if not said, with threads rounded up to whole
    /// processes.
    pub fn max_workers(mut self, count: u32) -> Builder {
        self.size.workers = count;
        self
    }

    /// Threads of a process, for MPMs that have them: 25 if not said.
    pub fn threads(mut self, count: u32) -> Builder {
        self.size.threads = count;
        self
    }

    /// Serves `count` requests at once from the start. Prefork would begin with two processes and
    /// need seconds to start the others.
    pub fn ready_for(mut self, count: u32) -> Builder {
        let processes = match self.mpm {
            Mpm::Prefork => count,
            Mpm::Worker | Mpm::Event => count.div_ceil(self.size.threads),
        };
        self.size.start = self.size.start.max(processes);
        self.size.workers = self.size.workers.max(count);
        self
    }

    /// Leaves the module under test out.
    pub fn without_session_store(mut self) -> Builder {
        self.session_store = false;
        self
    }

    /// Sessions everywhere, kept in the test's store.
    pub fn sessions(self) -> Builder {
        let builder = self.conf(&format!("{}SessionEngine on\n", Store::current().line()));
        match mechanism::directive() {
            None => builder,
            // Few locks: System V semaphores are scarce, and each that needs a file takes descriptors.
            Some(line) => Builder { locks: builder.locks.or(Some(20)), ..builder }.conf(&line),
        }
    }

    /// How many mutexes sessions have: what the module makes by itself if not said.
    pub fn locks(mut self, count: u32) -> Builder {
        self.locks = Some(count);
        self
    }

    /// `warn session_store:debug` if not said.
    pub fn log_level(mut self, levels: &str) -> Builder {
        self.log_level = Some(levels.to_owned());
        self
    }

    /// Loads a module of httpd's own, as "lua". authz_core, dir, mime and alias are loaded always.
    pub fn module(mut self, name: &str) -> Builder {
        self.modules.push(name.to_owned());
        self
    }

    /// Loads another module: its symbol and its file on this machine.
    pub fn load(mut self, symbol: &str, file: impl Into<PathBuf>) -> Builder {
        self.loads.push((symbol.to_owned(), file.into()));
        self
    }

    /// Loads a module from another file than said before.
    pub fn load_from(mut self, symbol: &str, file: impl Into<PathBuf>) -> Builder {
        self.loads.retain(|(known, _)| known != symbol);
        self.load(symbol, file)
    }

    /// Loads the module `tests/support/probe/NAME.c`, whose symbol is `NAME_module`.
    pub fn probe(self, name: &str) -> Builder {
        let file = apxs::probe(name);
        self.load(&format!("{name}_module"), file)
    }

    /// Starts httpd with the library `tests/support/probe/NAME.c` before all others; on the host.
    pub fn preload(mut self, name: &str) -> Builder {
        self.preload = Some(apxs::probe(name));
        self
    }

    /// Text that comes before any module is loaded.
    pub fn main(mut self, text: &str) -> Builder {
        self.main.push_str(text);
        self.main.push('\n');
        self
    }

    /// Text that comes last.
    pub fn conf(mut self, text: &str) -> Builder {
        self.conf.push_str(text);
        self.conf.push('\n');
        self
    }

    /// Forgets what [`Builder::conf`] and [`Builder::sessions`] gave.
    pub fn clear_conf(mut self) -> Builder {
        self.conf.clear();
        self
    }

    /// A file below the document root.
    pub fn document(mut self, name: &str, content: impl AsRef<[u8]>) -> Builder {
        self.documents.push((name.to_owned(), content.as_ref().to_vec(), 0o644));
        self
    }

    /// A file below the document root that can be run.
    pub fn script(mut self, name: &str, content: &str) -> Builder {
        self.documents.push((name.to_owned(), content.as_bytes().to_vec(), 0o755));
        self
    }

    /// The configuration file of a server in `layout` on `port` that logs requests to `access_log`.
    pub(super) fn render(&self, layout: &Layout, port: u16, access_log: &str) -> String {
        let root = self.target.root(layout).display().to_string();
        let name = layout.root().file_name().expect("a name").display();
        let listen = self.target.listen();
        let mut text = format!(
            "Define ROOT \"{root}\"\nDefine DATA \"{root}/sessions\"\nDefine DOCS \"{root}/docs\"\n\
             Define NAME \"{name}\"\nDefine PORT {port}\n\
             ServerRoot \"{root}\"\nServerName localhost\nListen {listen}:{port}\n\
             PidFile run/httpd.pid\nDefaultRuntimeDir run\nErrorLog logs/error.log\n\
             Timeout 20\nKeepAliveTimeout 5\n{}",
            self.main
        );
        text.push_str(&self.load_lines(layout));
        text.push_str(&self.mpm.directives(self.size));
        if is_root() || self.target == Target::Container {
            text.push_str(&format!("User {SERVER_USER}\nGroup {SERVER_USER}\n"));
        }
        if let Some(count) = self.locks {
            text.push_str(&format!("SessionLocks {count}\n"));
        }
        text.push_str(&format!(
            "LogLevel {}\nTypesConfig /dev/null\nAddType text/html .html\nDirectoryIndex index.html\n\
             DocumentRoot \"{root}/docs\"\n\
             CustomLog {access_log} \"%P %s %D %r\"\n{}",
            self.levels(),
            self.conf
        ));
        text
    }

    /// Threads of a child that has started completely.
    pub(super) fn threads_of_child(&self) -> usize {
        self.mpm.threads(self.size)
    }

    fn load_lines(&self, layout: &Layout) -> String {
        let mpm = format!("mpm_{}", self.mpm.name());
        let own = [mpm.as_str(), "unixd", "log_config"].into_iter();
        let own = own.chain(self.modules.iter().map(String::as_str));
        let own = own.filter_map(|name| Some((format!("{name}_module"), apxs::module(name)?)));
        let others = self
            .loads
            .iter()
            .map(|(symbol, file)| (symbol.clone(), self.target.module(layout, file)));
        let tested = self
            .session_store
            .then(|| ("session_store_module".to_owned(), self.target.session_store()));
        own.chain(tested)
            .chain(others)
            .map(|(symbol, file)| format!("LoadModule {symbol} \"{}\"\n", file.display()))
            .collect()
    }

    fn levels(&self) -> &str {
        match &self.log_level {
            Some(levels) => levels,
            None if self.session_store => "warn session_store:debug",
            None => "warn",
        }
    }
}
