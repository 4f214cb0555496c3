//! Asking httpd which store its configuration names. httpd reads its configuration itself: there is no
//! second parser of it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mod_session_store::core::config::{DUMP_DEFINE, Dump};

use crate::arguments::AskHttpd;
use crate::failure::Failure;
use crate::output::plain;

/// What httpd is called, the usual name first.
const NAMES: [&str; 2] = ["httpd", "apache2"];
/// Where it may be without being in the path of an ordinary user.
const FOLDERS: [&str; 4] =
    ["/usr/sbin", "/usr/local/sbin", "/usr/local/apache2/bin", "/opt/httpd/bin"];
/// What Debian's httpd needs in its environment, and the variable that names another file.
const ENVVARS: (&str, &str) = ("APACHE_ENVVARS", "/etc/apache2/envvars");
/// Most lines of httpd's complaint that are repeated.
const LINES: usize = 5;

/// Asks.
///
/// # Errors
/// There is no httpd, it finds its configuration wrong, or the module is not loaded.
pub fn ask(how: &AskHttpd) -> Result<Dump, Failure> {
    let program = program(how.program.as_deref())?;
    let mut command = command(&program);
    let flags = [("-f", how.conf.as_ref()), ("-d", how.root.as_ref())];
    for (flag, value) in flags.iter().filter_map(|(flag, value)| Some((flag, (*value)?))) {
        command.arg(flag).arg(absolute(value)?);
    }
    for define in how.defines.iter().map(String::as_str).chain([DUMP_DEFINE]) {
        command.arg("-D").arg(define);
    }
    let shown = program.display();
    let output = command.arg("-t").stdin(Stdio::null()).output();
    let output = output.map_err(|cause| Failure::store(format!("asking {shown}: {cause}")))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(Failure::store(format!(
            "{shown} finds its configuration wrong ({}):\n{}",
            output.status,
            last_lines(&said)
        )));
    }
    let dump = Dump::parse(&String::from_utf8_lossy(&output.stdout));
    dump.map_err(|cause| Failure::store(format!("asking {shown}: {cause}")))
}

/// httpd changes its folder before it reads its configuration.
fn absolute(path: &str) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|cause| Failure::usage(format!("a path: {cause}")))
}

fn program(named: Option<&str>) -> Result<PathBuf, Failure> {
    if let Some(named) = named {
        return Ok(PathBuf::from(named));
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = || env::split_paths(&path).chain(FOLDERS.map(PathBuf::from));
    NAMES.iter().flat_map(|name| folders().map(move |folder| folder.join(name))).find(|p| p.is_file()).ok_or_else(
        || Failure::store("there is no httpd to ask for the store: --httpd PROGRAM names it, --store STORE makes it needless"),
    )
}

/// Debian's `apache2` reads names of folders and users from its environment, which `apache2ctl` takes
/// from a file of shell assignments: so does this, unless they are there already.
fn command(program: &Path) -> Command {
    let file = env::var_os(ENVVARS.0).map_or_else(|| PathBuf::from(ENVVARS.1), PathBuf::from);
    let debian = program.file_name().is_some_and(|name| name == "apache2");
    if !debian || env::var_os("APACHE_RUN_USER").is_some() || !file.is_file() {
        return Command::new(program);
    }
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", ". \"$0\" && exec \"$@\""]).arg(file).arg(program);
    shell
}

fn last_lines(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(plain).collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
