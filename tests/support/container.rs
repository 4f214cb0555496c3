//! A httpd in a container, driven by the `docker` command line. Files go in and out by `docker cp`,
//! so that the engine may be anywhere.

use std::net::SocketAddr;
use std::process::{Command, Output};
use std::sync::OnceLock;

use super::layout::Layout;
use super::orphans::{self, Leftover};
use super::target::{Httpd, Signal};

/// See [`super::Target::Container`].
pub struct Container {
    name: String,
    port: u16,
    made: OnceLock<()>,
}

impl Container {
    /// The server root in the container.
    pub const ROOT: &str = "/srv/httpd";
    /// The module under test: what the image was built with.
    pub const SESSION_STORE: &str = "/usr/lib/apache2/modules/mod_session_store.so";

    /// One that is not started yet. Names carry pid and port: no two of this machine are equal.
    pub fn new(port: u16) -> Container {
        let name = format!("session_store-{}-{port}", std::process::id());
        Container { name, port, made: OnceLock::new() }
    }

    /// Makes the container: the server root goes in as it is, owners included.
    fn make(&self, layout: &Layout) {
        let image = std::env::var("SESSION_STORE_DOCKER_IMAGE");
        let image = image.unwrap_or_else(|_| "session_store-test:latest".to_owned());
        orphans::remember(&Leftover::Container(self.name.clone()));
        docker(&[
            "create",
            "--name",
            &self.name,
            "--publish",
            &format!("127.0.0.1::{}", self.port),
            &image,
        ]);
        self.copy_in(layout, ".");
    }

    fn copy_in(&self, layout: &Layout, file: &str) {
        let from = format!("{}/{file}", layout.root().display());
        docker(&["cp", "--archive", &from, &format!("{}:{}/{file}", self.name, Self::ROOT)]);
    }

    fn ask(&self, template: &str) -> String {
        docker(&["inspect", "--format", template, &self.name]).trim().to_owned()
    }

    fn exists(&self) -> bool {
        self.made.get().is_some()
    }
}

impl Httpd for Container {
    fn start(&self, layout: &Layout) {
        self.made.get_or_init(|| self.make(layout));
        docker(&["start", &self.name]);
    }

    fn refresh(&self, layout: &Layout) {
        if self.exists() {
            self.copy_in(layout, "conf/httpd.conf");
        }
    }

    fn runs(&self) -> bool {
        self.exists() && self.ask("{{.State.Running}}") == "true"
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        let bridge = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}";
        let bridge = self.ask(bridge).split(' ').map(|ip| format!("{ip}:{}", self.port)).collect();
        let published = run(&["port", &self.name, &format!("{}/tcp", self.port)]);
        let published =
            String::from_utf8_lossy(&published.stdout).lines().map(str::to_owned).collect();
        let all: [Vec<String>; 2] = [bridge, published];
        all.concat().iter().filter_map(|address| address.parse().ok()).collect()
    }

    fn pid(&self) -> Option<u32> {
        if !self.exists() {
            return None;
        }
        self.ask("{{.State.Pid}}").parse().ok().filter(|pid| *pid != 0)
    }

    fn signal(&self, signal: Signal) {
        let name = match signal {
            Signal::Graceful => "USR1",
            Signal::Restart => "HUP",
            Signal::Stop => "TERM",
        };
        if self.runs() {
            docker(&["kill", "--signal", name, &self.name]);
        }
    }

    fn read(&self, file: &str) -> Vec<u8> {
        let archive = run(&["cp", &format!("{}:{}/{file}", self.name, Self::ROOT), "-"]).stdout;
        only_member(&archive).unwrap_or_default().to_vec()
    }

    fn output(&self) -> String {
        let output = run(&["logs", &self.name]);
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    fn kill(&self) {
        if self.runs() {
            docker(&["kill", &self.name]);
        }
    }

    fn is_gone(&self) -> bool {
        !self.runs()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if self.exists() {
            let removed = run(&["rm", "--force", "--volumes", &self.name]);
            if removed.status.success() {
                orphans::forget(&Leftover::Container(self.name.clone()));
            }
        }
    }
}

/// The content of a tar archive of one file: a header of 512 bytes that has the size, in octal
/// digits.
fn only_member(archive: &[u8]) -> Option<&[u8]> {
    let digits = std::str::from_utf8(archive.get(124..135)?).ok()?;
    let size = usize::from_str_radix(digits.trim(), 8).ok()?;
    archive.get(512..512 + size)
}

fn docker(arguments: &[&str]) -> String {
    let output = run(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker {arguments:?} failed: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn run(arguments: &[&str]) -> Output {
    let output = Command::new("docker").args(arguments).output();
    output.expect("running docker (make docker-test prepares what it needs)")
}
