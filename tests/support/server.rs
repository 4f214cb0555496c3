//! A real httpd of a test's own: its processes, port, folders and error log end with it.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::builder::Builder;
use super::client::{Client, Response};
use super::inspect;
use super::layout::Layout;
use super::log::{self, Audit};
use super::ports::Port;
use super::process;
use super::stores::Store;
use super::target::{Httpd, Signal, Target};
use super::wait::{wait, wait_for, wait_value};

/// Longest wait for a start, a stop or a new generation. None takes a second on an idle machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// What httpd logs when a generation is in service, whatever the level.
const IN_SERVICE: &str = "resuming normal operations";

/// What httpd prints if another process listens on its port.
const PORT_TAKEN: &str = "could not bind to address";

/// A running httpd. Dropping it ends all its processes and fails the test if the error log holds
/// trouble that was not announced.
pub struct Server {
    builder: Builder,
    // Ends before the folders go.
    httpd: Box<dyn Httpd>,
    layout: Layout,
    port: Port,
    address: SocketAddr,
    audit: Audit,
    audited: bool,
    /// Counts configurations; names the access log.
    generation: AtomicU32,
}

/// A server that did not start.
#[derive(Debug)]
pub struct Refusal {
    /// What it wrote to stdout and stderr.
    pub output: String,
    /// Its error log.
    pub log: String,
}

/// What `httpd -t` said.
#[derive(Debug)]
pub struct ConfigTest {
    /// Whether it found the configuration good.
    pub passed: bool,
    /// What it printed.
    pub output: String,
}

impl Builder {
    /// Starts it and waits until it serves; panics with its output and log if it does not.
    #[track_caller]
    pub fn start(self) -> Server {
        match self.try_start() {
            Ok(server) => server,
            Err(refusal) => panic!("httpd did not start:\n{}\n{}", refusal.output, refusal.log),
        }
    }

    /// Starts it and waits until it serves or ends. If somebody else was quicker to listen on its port
    /// it is tried again on another one.
    pub fn try_start(self) -> Result<Server, Refusal> {
        for _ in 0..3 {
            match self.clone().start_on(Port::reserve()) {
                Err(refusal) if refusal.output.contains(PORT_TAKEN) => {}
                result => return result,
            }
        }
        self.start_on(Port::reserve())
    }

    /// Starts it on `port`, with no second try.
    pub fn start_on(self, port: Port) -> Result<Server, Refusal> {
        let layout = self.lay_out();
        let httpd = self.target.httpd(&layout, port.number(), self.preload.as_deref());
        let address = ([127, 0, 0, 1], port.number()).into();
        let mut server = Server {
            builder: self,
            httpd,
            layout,
            port,
            address,
            audit: Audit::default(),
            audited: false,
            generation: AtomicU32::new(0),
        };
        Store::current().warnings().iter().for_each(|warning| server.audit.allow(warning));
        server.launch()?;
        Ok(server)
    }

    /// Lets httpd check the configuration without starting; on the host.
    pub fn configtest(mut self) -> ConfigTest {
        self.target = Target::Host;
        let layout = self.lay_out();
        let port = Port::reserve();
        let conf = layout.root().join("conf/httpd.conf");
        fs::write(conf, self.render(&layout, port.number(), "logs/access.log"))
            .expect("writing httpd.conf");
        let output = process::command(layout.root()).arg("-t").output().expect("running httpd -t");
        let text = [output.stdout, output.stderr].concat();
        ConfigTest {
            passed: output.status.success(),
            output: String::from_utf8_lossy(&text).into_owned(),
        }
    }

    fn lay_out(&self) -> Layout {
        let layout = Layout::new();
        for (name, content, mode) in &self.documents {
            layout.document(name, content, *mode);
        }
        layout
    }
}

impl Server {
    /// A server to be.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Its port, in the configuration.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Where it is reached.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of `path`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A new visitor: no cookies, no connection.
    pub fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// What a new visitor gets.
    #[track_caller]
    pub fn get(&self, path: &str) -> Response {
        self.client().get(path)
    }

    /// The server root on this machine.
    pub fn root(&self) -> PathBuf {
        self.layout.root().to_owned()
    }

    /// Where sessions are kept, on this machine. A container has its own.
    pub fn data_dir(&self) -> PathBuf {
        self.layout.data_dir()
    }

    /// The parent process.
    #[track_caller]
    pub fn pid(&self) -> u32 {
        self.httpd.pid().expect("the server was stopped")
    }

    /// The parent process; none if it was stopped.
    pub fn running(&self) -> Option<u32> {
        self.httpd.pid()
    }

    /// Its child processes, of all generations; with mod_cgid its daemon too.
    pub fn children(&self) -> Vec<u32> {
        self.httpd.pid().map(inspect::children).unwrap_or_default()
    }

    /// The children that accept connections. In a container this needs root, and an engine on this
    /// machine.
    pub fn accepting(&self) -> Vec<u32> {
        let children = self.children().into_iter();
        children.filter(|pid| inspect::listens(*pid, self.port())).collect()
    }

    /// CPU time of its processes so far, ended children included.
    pub fn cpu(&self) -> Duration {
        let processes = self.children().into_iter().chain(self.httpd.pid());
        processes.filter_map(inspect::cpu).sum()
    }

    /// The error log so far.
    pub fn error_log(&self) -> String {
        String::from_utf8_lossy(&self.httpd.read("logs/error.log")).into_owned()
    }

    /// How many lines of the error log have `part` in them.
    pub fn log_count(&self, part: &str) -> usize {
        self.error_log().lines().filter(|line| line.contains(part)).count()
    }

    /// Waits for a line of the error log that has `part` in it.
    #[track_caller]
    pub fn wait_for_log(&self, part: &str) -> String {
        wait_for(&format!("a log line with {part:?}"), PATIENCE, || {
            self.error_log().lines().find(|line| line.contains(part)).map(str::to_owned)
        })
    }

    /// Lines of trouble with `part` in them have to come, one at least.
    pub fn expect_log(&self, part: &str) {
        self.audit.expect(part);
    }

    /// Lines of trouble with `part` in them may come.
    pub fn allow_log(&self, part: &str) {
        self.audit.allow(part);
    }

    /// Fails if an id, key or value of `secrets` is in the error log.
    #[track_caller]
    pub fn assert_no_secret(&self, secrets: &[&str]) {
        log::assert_no_secret(&self.error_log(), secrets);
    }

    /// Restarts it gracefully and waits until the new generation serves and no child of the old one
    /// accepts connections. Old children may still finish their requests.
    #[track_caller]
    pub fn reload_graceful(&self) {
        self.reload(Signal::Graceful);
    }

    /// Restarts it by SIGHUP (requests under way are ended) and waits as
    /// [`reload_graceful`](Server::reload_graceful) does.
    #[track_caller]
    pub fn reload_hard(&self) {
        self.reload(Signal::Restart);
    }

    /// Changes what it is configured to be; in force after a reload or restart.
    pub fn reconfigure(&mut self, change: impl FnOnce(Builder) -> Builder) {
        self.builder = change(self.builder.clone());
    }

    /// Stops it and starts it again, with the same folders and port.
    #[track_caller]
    pub fn restart(&mut self) {
        self.stop();
        if let Err(refusal) = self.launch() {
            panic!("httpd did not start again:\n{}\n{}", refusal.output, refusal.log);
        }
    }

    /// Stops it and waits until none of its processes is left. The log can still be read.
    #[track_caller]
    pub fn stop(&self) {
        if let Err(left) = self.end() {
            panic!("{left}");
        }
    }

    /// Ends all its processes at once, as a machine does that loses its power.
    pub fn kill(&self) {
        self.httpd.kill();
    }

    /// Stops it and audits its log: what dropping does, where the test can see it.
    #[track_caller]
    pub fn finish(mut self) {
        if let Err(complaint) = self.close() {
            panic!("{complaint}");
        }
    }

    fn launch(&mut self) -> Result<(), Refusal> {
        self.write_conf();
        let before = self.log_count(IN_SERVICE);
        self.httpd.start(&self.layout);
        let ready = wait(PATIENCE, || self.readiness(before));
        if let Ok(Some(address)) = ready {
            self.address = address;
            return Ok(());
        }
        self.audited = true;
        let refusal = Refusal { output: self.httpd.output(), log: self.error_log() };
        self.httpd.kill();
        Err(refusal)
    }

    /// The address it answers at; none if it ended; an error if it may still come up.
    fn readiness(&self, before: usize) -> Result<Option<SocketAddr>, ()> {
        if !self.httpd.runs() {
            return Ok(None);
        }
        if self.log_count(IN_SERVICE) == before {
            return Err(());
        }
        self.httpd.addresses().into_iter().find(answers).map(Some).ok_or(())
    }

    /// Writes the configuration of a next generation; its access log is returned. Every child of
    /// the generation has that file open and no other child has: so generations are told apart.
    /// Their pids and times do not tell, for httpd may start another old child until it sees the
    /// signal.
    fn write_conf(&self) -> String {
        let generation = self.generation.fetch_add(1, Ordering::Relaxed);
        let access_log = format!("logs/access-{generation}.log");
        let text = self.builder.render(&self.layout, self.port(), &access_log);
        fs::write(self.layout.root().join("conf/httpd.conf"), text).expect("writing httpd.conf");
        self.httpd.refresh(&self.layout);
        access_log
    }

    #[track_caller]
    fn reload(&self, signal: Signal) {
        let before = self.log_count(IN_SERVICE);
        let access_log = self.write_conf();
        self.settle();
        self.httpd.signal(signal);
        wait_value(
            "a new generation in service and the old one not accepting",
            PATIENCE,
            || (self.log_count(IN_SERVICE), self.accepting(), self.httpd.runs()),
            |(count, accepting, runs)| {
                let fresh = accepting.iter().all(|pid| inspect::has_open(*pid, &access_log));
                !runs || (*count > before && !accepting.is_empty() && fresh)
            },
        );
        assert!(self.httpd.runs(), "httpd ended:\n{}", log::tail(&self.error_log(), 60));
    }

    /// Lets children come up before they are told to go: httpd's threaded children may crash if
    /// they are ended while they start their threads.
    fn settle(&self) {
        let threads = self.builder.threads_of_child();
        let has_them =
            |pid: &u32| inspect::holdings(*pid).is_none_or(|held| held.threads >= threads);
        let settled = || if self.accepting().iter().all(has_them) { Ok(()) } else { Err(()) };
        // One that cannot start is told to go as well.
        let _ = wait(Duration::from_secs(2), settled);
    }

    fn end(&self) -> Result<(), String> {
        self.settle();
        self.httpd.signal(Signal::Stop);
        let gone = wait(PATIENCE, || if self.httpd.is_gone() { Ok(()) } else { Err(()) });
        self.httpd.kill();
        gone.map_err(|()| format!("httpd did not stop within {PATIENCE:?} and was killed"))
    }

    fn close(&mut self) -> Result<(), String> {
        let ended = self.end();
        self.audited = true;
        ended?;
        let complaints = self.audit.complaints(&(self.httpd.output() + &self.error_log()));
        if complaints.is_empty() {
            return Ok(());
        }
        Err(format!("trouble in the error log:\n{}", complaints.join("\n")))
    }

    /// Leaves what a person needs to find out why the test failed.
    fn keep(&mut self) {
        let log = self.error_log();
        let kept = self.layout.keep();
        eprintln!("server root kept: {}\nend of its log:\n{}", kept.display(), log::tail(&log, 60));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The test fails already; what is left is ended either way.
            let _ = self.end();
            self.keep();
        } else if !self.audited
            && let Err(complaint) = self.close()
        {
            self.keep();
            panic!("{complaint}");
        }
    }
}

/// Whether a httpd answers there. `OPTIONS *` reaches no handler and no proxied place.
fn answers(address: &SocketAddr) -> bool {
    let ask = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = vec![0; 5];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer == b"HTTP/")
}
