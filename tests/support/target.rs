//! Where a tested httpd runs: started by the harness itself, or in a container. The same HTTP tests
//! run against both.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::container::Container;
use super::layout::Layout;
use super::process::Process;

/// Where the httpd of a test runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// On this machine, with all that the harness offers.
    Host,
    /// In a container of the image that `tests/docker/run.sh` makes, with the module in it.
    Container,
}

/// A signal httpd understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGUSR1: graceful restart.
    Graceful,
    /// SIGHUP: restart.
    Restart,
    /// SIGTERM: stop.
    Stop,
}

/// A httpd, running or stopped.
pub trait Httpd: Send + Sync {
    /// Starts it on the files of the layout; does not wait for it.
    fn start(&self, layout: &Layout);
    /// Brings the configuration file of the layout to where it is read, if it was started before.
    fn refresh(&self, layout: &Layout);
    /// Whether it runs.
    fn runs(&self) -> bool;
    /// Where it can be reached from here; the most direct way first.
    fn addresses(&self) -> Vec<SocketAddr>;
    /// The parent process, in the numbers of this machine; none while it is stopped.
    fn pid(&self) -> Option<u32>;
    /// Sends it a signal.
    fn signal(&self, signal: Signal);
    /// A file of its server root, by relative path; empty if there is none.
    fn read(&self, file: &str) -> Vec<u8>;
    /// What it wrote to stdout and stderr.
    fn output(&self) -> String;
    /// Ends what is left of it after it was told to stop: everything, at once.
    fn kill(&self);
    /// Whether anything of it is left.
    fn is_gone(&self) -> bool;
}

impl Target {
    /// A httpd there that listens on `port`, on the host with the library `preload` before all others.
    pub fn httpd(self, layout: &Layout, port: u16, preload: Option<&Path>) -> Box<dyn Httpd> {
        match self {
            Target::Host => Box::new(Process::new(layout.root(), port, preload)),
            Target::Container => Box::new(Container::new(port)),
        }
    }

    /// The server root as httpd there sees it.
    pub fn root(self, layout: &Layout) -> PathBuf {
        match self {
            Target::Host => layout.root().to_owned(),
            Target::Container => PathBuf::from(Container::ROOT),
        }
    }

    /// The address httpd there listens on.
    pub fn listen(self) -> &'static str {
        match self {
            Target::Host => "127.0.0.1",
            Target::Container => "0.0.0.0",
        }
    }

    /// The path under which httpd there finds the module `file` of this machine.
    pub fn module(self, layout: &Layout, file: &Path) -> PathBuf {
        if self == Target::Host {
            return file.to_owned();
        }
        let name = file.file_name().expect("a module is a file");
        std::fs::copy(file, layout.root().join("modules").join(name)).expect("copying a module");
        self.root(layout).join("modules").join(name)
    }

    /// The module under test.
    pub fn session_store(self) -> PathBuf {
        match self {
            Target::Host => super::module::path(),
            Target::Container => PathBuf::from(Container::SESSION_STORE),
        }
    }
}
