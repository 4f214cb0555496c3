//! What the module tells a tool about the store: `httpd -t -D DUMP_SESSION_STORE`.
//!
//! Lines on standard output, each behind `session-store: `. Of the others there, which are other
//! modules', none counts.
//!
//! ```text
//! session-store: dump 1                             format; a reader of 1 refuses any other
//! session-store: set SessionStore file:/srv/shop    a directive of the whole server as it counts
//! session-store: owner 33 33                        user and group of the server's children
//! session-store: workers 150                        requests served at once
//! session-store: scope shop.example.org             a scope in which there are sessions; many
//! session-store: problem no store is configured     instead of what cannot be told, a sentence
//! session-store: end                                the dump is whole
//! ```
//!
//! Paths are absolute, what is not set has its default, and nothing in a dump is a secret: where an
//! address holds a password there is a problem instead. A line of a word that a reader does not know
//! is left out by it.

use std::fmt;

use super::directives::{Origin, Target, find};
use super::server::Server;

/// The name that `-D` has to define.
pub const DUMP_DEFINE: &str = "DUMP_SESSION_STORE";

const PREFIX: &str = "session-store: ";
const FORMAT: &str = "1";
/// Most scopes that are told: a server may have a virtual host for each of its customers.
const SCOPES_MAX: usize = 4096;

/// What there is to know of a server's store without the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dump {
    /// Directives of the whole server, each with its only argument.
    pub settings: Vec<(String, String)>,
    /// User and group that the server's children run as.
    pub owner: (u32, u32),
    /// Requests that the server works on at once.
    pub workers: u32,
    /// The scopes of places with sessions.
    pub scopes: Vec<String>,
    /// Why there are no settings, in words.
    pub problem: Option<String>,
}

/// Why a text is no dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DumpError {
    /// No line of ours: the module is not loaded.
    Absent,
    /// Of another release.
    Format,
    /// It ends too early, or a number is none.
    Malformed,
    /// A directive that this release does not take like this; what it says.
    Setting(String),
}

impl fmt::Display for DumpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DumpError::Absent => f.write_str("it tells nothing of sessions: is the module loaded?"),
            DumpError::Format => f.write_str("the module is of another release"),
            DumpError::Malformed => f.write_str("what the module tells is cut short"),
            DumpError::Setting(what) => write!(f, "the module is of another release: {what}"),
        }
    }
}

impl std::error::Error for DumpError {}

impl Dump {
    /// The lines.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |word: &str, rest: &str| {
            // A line is a line: what would end it is no part of any setting.
            let rest: String = rest.chars().filter(|c| !c.is_control()).collect();
            text.push_str(format!("{PREFIX}{word} {rest}").trim_end());
            text.push('\n');
        };
        line("dump", FORMAT);
        for (name, argument) in &self.settings {
            line("set", &format!("{name} {argument}"));
        }
        line("owner", &format!("{} {}", self.owner.0, self.owner.1));
        line("workers", &self.workers.to_string());
        for scope in self.scopes.iter().take(SCOPES_MAX) {
            line("scope", scope);
        }
        if let Some(problem) = &self.problem {
            line("problem", problem);
        }
        line("end", "");
        text
    }

    /// Reads them back from what a httpd printed.
    ///
    /// # Errors
    /// It is no whole dump of a release that is understood.
    pub fn parse(text: &str) -> Result<Dump, DumpError> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(PREFIX));
        let mut lines = lines.map(|line| line.split_once(' ').unwrap_or((line, "")));
        match lines.next() {
            None => return Err(DumpError::Absent),
            Some(("dump", FORMAT)) => {}
            Some(("dump", _)) => return Err(DumpError::Format),
            Some(_) => return Err(DumpError::Malformed),
        }
        let mut dump = Dump::default();
        for (word, rest) in lines {
            match word {
                "set" => {
                    let (name, argument) = rest.split_once(' ').ok_or(DumpError::Malformed)?;
                    dump.settings.push((name.to_owned(), argument.to_owned()));
                }
                "owner" => {
                    let (uid, gid) = rest.split_once(' ').ok_or(DumpError::Malformed)?;
                    dump.owner = (number(uid)?, number(gid)?);
                }
                "workers" => dump.workers = number(rest)?,
                "scope" => dump.scopes.push(rest.to_owned()),
                "problem" => dump.problem = Some(rest.to_owned()),
                "end" => return Ok(dump),
                // Of a later release that still writes this format.
                _ => {}
            }
        }
        Err(DumpError::Malformed)
    }

    /// The settings as the server has them.
    ///
    /// # Errors
    /// A directive that this release does not know or does not take so.
    pub fn server(&self) -> Result<Server, DumpError> {
        let mut server = Server::default();
        for (name, argument) in &self.settings {
            set(&mut server, name, argument).map_err(DumpError::Setting)?;
        }
        Ok(server)
    }
}

fn number(text: &str) -> Result<u32, DumpError> {
    text.parse().map_err(|_| DumpError::Malformed)
}

fn set(server: &mut Server, name: &str, argument: &str) -> Result<(), String> {
    let row = find(name).ok_or_else(|| format!("{name} is no directive"))?;
    row.apply(Target::Server(server), &[argument], Origin { htaccess: false })
        .map_err(|problem| format!("{name} {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::config::StoreChoice;

    fn dump() -> Dump {
        let settings = [("SessionStore", "file:/srv/two words"), ("SessionSync", "on")];
        Dump {
            settings: settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            owner: (33, 34),
            workers: 150,
            scopes: vec!["shop.example.org".to_owned(), String::new()],
            problem: None,
        }
    }

    #[test]
    fn a_dump_is_read_back_among_the_lines_of_others() {
        let text = format!("VirtualHost configuration:\n{}Syntax OK\n", dump().text());
        let read = Dump::parse(&text).unwrap();
        assert_eq!(read, dump());
        let server = read.server().unwrap();
        assert_eq!(server.store(), StoreChoice::File { dir: Some("/srv/two words".into()) });
        assert!(server.sync());
    }

    #[test]
    fn a_problem_is_told_in_one_line() {
        let problem = Some("no store\nsession-store: end".to_owned());
        let text = Dump { problem, ..Dump::default() }.text();
        let read = Dump::parse(&text).unwrap();
        assert_eq!(read.problem.as_deref(), Some("no storesession-store: end"));
    }

    #[test]
    fn what_is_no_whole_dump_is_refused() {
        let text = dump().text();
        assert_eq!(Dump::parse("Syntax OK\n"), Err(DumpError::Absent));
        assert_eq!(Dump::parse(&text.replace("dump 1", "dump 2")), Err(DumpError::Format));
        for cut in ["session-store: end\n", "session-store: dump 1\n"] {
            assert_eq!(Dump::parse(&text.replace(cut, "")), Err(DumpError::Malformed), "{cut}");
        }
        let odd = text.replace("owner 33 34", "owner root");
        assert_eq!(Dump::parse(&odd), Err(DumpError::Malformed));
    }

    #[test]
    fn what_a_later_release_adds_is_left_out_and_what_it_changes_is_refused() {
        let text = dump().text();
        let more =
            text.replace("session-store: end", "session-store: moon full\nsession-store: end");
        assert_eq!(Dump::parse(&more), Ok(dump()));
        let other = Dump::parse(&text.replace("SessionSync on", "SessionSync maybe")).unwrap();
        assert!(matches!(other.server(), Err(DumpError::Setting(_))));
        let foreign = Dump::parse(&text.replace("SessionSync", "SessionMoon")).unwrap();
        assert!(matches!(foreign.server(), Err(DumpError::Setting(_))));
    }
}
