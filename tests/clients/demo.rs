//! The demo as `make demo` starts it, walked through.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::steps::COOKIE;
use crate::support::{Client, Port, module, wait_for};

const PATIENCE: Duration = Duration::from_secs(30);

/// The demo's script, in a folder for temporary files of its own.
struct Demo {
    script: Child,
    port: Port,
    folder: TempDir,
}

impl Demo {
    fn start() -> Demo {
        let port = Port::reserve();
        let folder = tempfile::tempdir().expect("making a folder");
        // The server's user has to get to the pages in it.
        open(folder.path());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("httpd-conf/demo/run");
        let script = Command::new(script)
            .env("PORT", port.number().to_string())
            .env("MODULE", module::path())
            .env("TMPDIR", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("starting the demo");
        let mut demo = Demo { script, port, folder };
        wait_for("the demo", PATIENCE, || {
            let ended = demo.script.try_wait().expect("asking for the demo");
            assert!(ended.is_none(), "the demo ended: {ended:?}");
            TcpStream::connect(demo.address()).ok()
        });
        demo
    }

    fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port.number()).into()
    }

    /// What it wrote to its error logs that is no news of a start.
    fn complaints(&self) -> Vec<String> {
        let roots = std::fs::read_dir(self.folder.path()).expect("the folder").flatten();
        let logs =
            roots.flat_map(|root| ["error.log", "club.log"].map(|log| root.path().join(log)));
        let texts: Vec<_> = logs.map(|log| std::fs::read_to_string(log).expect("a log")).collect();
        assert_eq!(texts.len(), 2);
        let lines = texts.iter().flat_map(|text| text.lines());
        lines.filter(|line| !line.contains("notice]")).map(str::to_owned).collect()
    }

    fn end(&mut self) {
        let pid = i32::try_from(self.script.id()).ok().and_then(Pid::from_raw);
        if let (Some(pid), Ok(None)) = (pid, self.script.try_wait()) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.script.wait();
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.end();
    }
}

fn open(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let all = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder, all).expect("opening a folder");
}

/// What stands behind `before` up to a double quote.
#[track_caller]
fn quoted<'t>(text: &'t str, before: &str) -> &'t str {
    let rest = text.split_once(before).unwrap_or_else(|| panic!("no {before} in {text}")).1;
    rest.split('"').next().unwrap_or_default()
}

#[track_caller]
fn post(visitor: &mut Client, path: &str, form: &str) {
    let token = visitor.get("/").expect(200).text();
    let token = quoted(&token, "name=\"token\" value=\"").to_owned();
    assert_eq!(token.len(), 32);
    visitor.post(path, &format!("{form}&token={token}")).expect(303);
}

#[track_caller]
fn shows(visitor: &mut Client, path: &str, parts: &[&str]) {
    let text = visitor.get(path).expect(200).text();
    for part in parts {
        assert!(text.contains(part), "{path} does not show {part}:\n{text}");
    }
}

#[test]
fn the_demo_has_one_login_and_one_cart_in_four_languages() {
    let mut demo = Demo::start();
    let mut visitor = Client::new(demo.address());
    // In Lua.
    post(&mut visitor, "/cart/add", "good=tea");
    post(&mut visitor, "/cart/add", "good=mug");
    let before = visitor.jar.get(COOKIE).map(str::to_owned);
    // In PHP, which takes one away and notes an array.
    shows(&mut visitor, "/checkout", &["Nobody is logged in", "Green tea</td><td>1", "18.90 €"]);
    post(&mut visitor, "/checkout", "good=mug");
    post(&mut visitor, "/checkout", "day=Friday&wrapped=on");
    // In Python, which logs in and reads the array.
    shows(&mut visitor, "/club", &["Members get honey"]);
    post(&mut visitor, "/club", "do=in&name=Ann+%3Cb%3E");
    assert_ne!(visitor.jar.get(COOKIE).map(str::to_owned), before);
    shows(&mut visitor, "/club", &["Ann &lt;b&gt;", "It comes on Friday, wrapped"]);
    post(&mut visitor, "/club", "do=gift");
    for path in ["/", "/checkout", "/club", "/receipt"] {
        shows(&mut visitor, path, &["Ann &lt;b&gt;"]);
    }
    shows(&mut visitor, "/", &["Heather honey</td><td>1"]);
    // By CGI, which empties the cart.
    shows(&mut visitor, "/receipt", &["Green tea</td><td>1", "Heather honey</td><td>1", "14.30 €"]);
    post(&mut visitor, "/receipt", "pay=1");
    for path in ["/", "/checkout", "/receipt"] {
        shows(&mut visitor, path, &["Your cart is empty"]);
    }
    // Logged out in one, logged out in all; ended in one, ended in all.
    post(&mut visitor, "/club", "do=out");
    shows(&mut visitor, "/checkout", &["Nobody is logged in", "On <strong>Friday"]);
    shows(&mut visitor, "/receipt", &["Nobody is logged in"]);
    post(&mut visitor, "/session/invalidate", "");
    shows(&mut visitor, "/checkout", &["On <strong>any day"]);
    // A form of another site.
    for path in ["/cart/add", "/checkout", "/club", "/receipt"] {
        visitor.post(path, "good=tea&day=Friday&do=gift&token=0").expect(403);
    }
    assert!(demo.complaints().is_empty(), "{:?}", demo.complaints());
    demo.end();
    assert!(TcpStream::connect(demo.address()).is_err(), "something still listens");
    let left: Vec<_> =
        std::fs::read_dir(demo.folder.path()).expect("the folder").flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}
