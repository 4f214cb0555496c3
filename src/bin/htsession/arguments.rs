//! A command line taken apart.

use std::ffi::OsString;
use std::time::Duration;

use lexopt::Arg;
use mod_session_store::core::config::read_duration;

use crate::failure::Failure;
use crate::options::{COMMANDS, OPTIONS, OptionRow};

/// Longest `--older-than`.
const OLDEST: Duration = Duration::from_secs(10 * 366 * 86_400);

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Print the help.
    Help,
    /// Print the release.
    Version,
    /// Print sessions; `every`: records of other kinds and ended ones too.
    List { filter: Filter, every: bool },
    /// Print one session.
    Show { session: String, scope: Option<String>, values: bool },
    /// Delete some sessions.
    Delete(Which),
    /// Remove expired ones, and those not visited for so long.
    Purge { unvisited_for: Option<Duration> },
    /// Count.
    Stats,
    /// Read every record.
    Check,
    /// Copy live sessions; from the store that options name if it is not said.
    Copy { from: Option<String>, to: String, replace: bool },
    /// Make an empty store.
    Init,
}

/// Which sessions of a walk count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Those of this user.
    pub user: Option<String>,
    /// Those of this scope.
    pub scope: Option<String>,
}

/// Which sessions are to be deleted.
#[derive(Debug, PartialEq, Eq)]
pub enum Which {
    /// These, in this scope if ids are given.
    Named(Vec<String>, Option<String>),
    /// Those that a filter lets through; with none, all.
    Fitting(Filter),
}

/// Where the store is, as far as it was said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// `--store`.
    pub store: Option<String>,
    /// `--data-dir`.
    pub data_dir: Option<String>,
    /// `--dbm-type`; of a copy that of FROM, then that of TO.
    pub dbm_types: Vec<String>,
    /// `-f`, `-d`, `-D`, `--httpd`, for asking httpd.
    pub httpd: AskHttpd,
    /// `--owner`.
    pub owner: Option<String>,
}

/// How httpd is to be asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AskHttpd {
    /// `-f`.
    pub conf: Option<String>,
    /// `-d`.
    pub root: Option<String>,
    /// Each `-D`.
    pub defines: Vec<String>,
    /// `--httpd`.
    pub program: Option<String>,
}

/// A whole command line.
#[derive(Debug, PartialEq, Eq)]
pub struct Invocation {
    /// What.
    pub command: Command,
    /// Where.
    pub place: Place,
    /// Whether the output is JSON.
    pub json: bool,
}

/// Takes the words behind the program's name apart.
///
/// # Errors
/// They make no sense; arguments are not repeated, since one may be an id.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Invocation, Failure> {
    let mut given = Given::read(words)?;
    if given.flag("--help") || given.free.is_empty() && given.options.is_empty() {
        return Ok(given.invocation(Command::Help));
    }
    if given.flag("--version") {
        return Ok(given.invocation(Command::Version));
    }
    if given.free.is_empty() {
        return Err(Failure::usage("no command is given; htsession --help lists them"));
    }
    let name = given.free.remove(0);
    let Some(row) = COMMANDS.iter().find(|row| row.name == name) else {
        return Err(Failure::usage("there is no such command; htsession --help lists them"));
    };
    given.fit(row.name)?;
    let command = given.command(row.name)?;
    Ok(given.invocation(command))
}

/// Options and other words, in order.
struct Given {
    options: Vec<(&'static OptionRow, String)>,
    free: Vec<String>,
}

impl Given {
    fn read(words: impl IntoIterator<Item = OsString>) -> Result<Given, Failure> {
        let mut given = Given { options: Vec::new(), free: Vec::new() };
        let mut parser = lexopt::Parser::from_args(words);
        let unclear = |cause: lexopt::Error| Failure::usage(cause.to_string());
        while let Some(arg) = parser.next().map_err(unclear)? {
            let name = match arg {
                Arg::Value(word) => {
                    given.free.push(text(word)?);
                    continue;
                }
                Arg::Long(name) => format!("--{name}"),
                Arg::Short('h') => "--help".to_owned(),
                Arg::Short('V') => "--version".to_owned(),
                Arg::Short(name) => format!("-{name}"),
            };
            let Some(row) = OPTIONS.iter().find(|row| row.name == name) else {
                let name = crate::output::plain(&name);
                return Err(Failure::usage(format!("there is no option {name}")));
            };
            let value = match row.value {
                Some(_) => text(parser.value().map_err(unclear)?)?,
                None => String::new(),
            };
            given.options.push((row, value));
        }
        Ok(given)
    }

    /// Refuses what the command does not take, and what is there twice.
    fn fit(&self, command: &str) -> Result<(), Failure> {
        for (place, (row, _)) in self.options.iter().enumerate() {
            if !row.commands.is_empty() && !row.commands.contains(&command) {
                return Err(Failure::usage(format!("{command} takes no {}", row.name)));
            }
            let before = self.options.iter().take(place).any(|(other, _)| other.name == row.name);
            if before && row.name != "-D" && (row.name, command) != ("--dbm-type", "copy") {
                return Err(Failure::usage(format!("{} is given twice", row.name)));
            }
        }
        Ok(())
    }

    fn flag(&self, name: &str) -> bool {
        self.options.iter().any(|(row, _)| row.name == name)
    }

    fn value(&self, name: &str) -> Option<String> {
        let found = self.options.iter().find(|(row, _)| row.name == name);
        found.map(|(_, value)| value.clone())
    }

    fn values(&self, name: &str) -> Vec<String> {
        let found = self.options.iter().filter(|(row, _)| row.name == name);
        found.map(|(_, value)| value.clone()).collect()
    }

    fn filter(&self) -> Filter {
        Filter { user: self.value("--user"), scope: self.value("--scope") }
    }

    /// The words that are left, as many as the command takes.
    fn arguments(&mut self, command: &str, counts: &[usize]) -> Result<Vec<String>, Failure> {
        if counts.contains(&self.free.len()) {
            return Ok(std::mem::take(&mut self.free));
        }
        let row = COMMANDS.iter().find(|row| row.name == command);
        let takes = match row.map(|row| row.arguments) {
            None | Some("") => "no argument",
            Some(arguments) => arguments,
        };
        Err(Failure::usage(format!("{command} takes {takes}")))
    }

    fn command(&mut self, name: &str) -> Result<Command, Failure> {
        if !matches!(name, "show" | "delete" | "copy") {
            self.arguments(name, &[0])?;
        }
        Ok(match name {
            "list" => Command::List { filter: self.filter(), every: self.flag("--all") },
            "show" => Command::Show {
                session: self.arguments(name, &[1])?.remove(0),
                scope: self.value("--scope"),
                values: self.flag("--values"),
            },
            "delete" => Command::Delete(self.which()?),
            "purge" => Command::Purge { unvisited_for: self.older_than()? },
            "stats" => Command::Stats,
            "check" => Command::Check,
            "copy" => {
                let mut stores = self.arguments(name, &[1, 2])?;
                let to = stores.remove(stores.len() - 1);
                Command::Copy { from: stores.pop(), to, replace: self.flag("--replace") }
            }
            _ => Command::Init,
        })
    }

    fn which(&mut self) -> Result<Which, Failure> {
        let names = std::mem::take(&mut self.free);
        let (user, all) = (self.value("--user"), self.flag("--all"));
        let ways = usize::from(!names.is_empty()) + usize::from(user.is_some()) + usize::from(all);
        if ways != 1 {
            return Err(Failure::usage("delete takes SESSION..., or --user NAME, or --all"));
        }
        if all && !self.flag("--yes") {
            return Err(Failure::usage("delete --all ends every session: it takes --yes as well"));
        }
        if names.is_empty() {
            return Ok(Which::Fitting(self.filter()));
        }
        Ok(Which::Named(names, self.value("--scope")))
    }

    fn older_than(&self) -> Result<Option<Duration>, Failure> {
        let Some(text) = self.value("--older-than") else { return Ok(None) };
        let time = read_duration(&text, Duration::from_secs(1), OLDEST);
        let unclear =
            |problem| Failure::usage(format!("--older-than takes a time as 30m; this {problem}"));
        time.map(Some).map_err(unclear)
    }

    fn invocation(self, command: Command) -> Invocation {
        let httpd = AskHttpd {
            conf: self.value("-f"),
            root: self.value("-d"),
            defines: self.values("-D"),
            program: self.value("--httpd"),
        };
        let place = Place {
            store: self.value("--store"),
            data_dir: self.value("--data-dir"),
            dbm_types: self.values("--dbm-type"),
            httpd,
            owner: self.value("--owner"),
        };
        Invocation { command, place, json: self.flag("--json") }
    }
}

fn text(word: OsString) -> Result<String, Failure> {
    word.into_string().map_err(|_| Failure::usage("an argument is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Invocation, Failure> {
        parse(line.split_whitespace().map(OsString::from))
    }

    fn command(line: &str) -> Command {
        read(line).unwrap_or_else(|failure| panic!("{line}: {failure}")).command
    }

    #[test]
    fn options_stand_before_the_command_or_behind_it() {
        let expected = read("--store file:/a --json list --user ann").unwrap();
        assert_eq!(read("list --user=ann --json --store=file:/a").unwrap(), expected);
        assert!(expected.json);
        assert_eq!(expected.place.store.as_deref(), Some("file:/a"));
        let filter = Filter { user: Some("ann".to_owned()), scope: None };
        assert_eq!(expected.command, Command::List { filter, every: false });
    }

    #[test]
    fn httpd_gets_its_options_in_its_spelling() {
        let place = read("-f /c -d/r -D A -DB --httpd /h stats").unwrap().place;
        let defines = vec!["A".to_owned(), "B".to_owned()];
        let text = |text: &str| Some(text.to_owned());
        let httpd = AskHttpd { conf: text("/c"), root: text("/r"), defines, program: text("/h") };
        assert_eq!(place.httpd, httpd);
    }

    #[test]
    fn an_id_with_a_hyphen_in_front_comes_behind_two() {
        let named = |names: &[&str]| {
            Command::Delete(Which::Named(names.iter().map(|s| (*s).to_owned()).collect(), None))
        };
        assert_eq!(command("delete -- -Zm9v --all"), named(&["-Zm9v", "--all"]));
        assert_eq!(command("delete - abcdef"), named(&["-", "abcdef"]));
        assert!(read("delete -Zm9v").is_err());
    }

    #[test]
    fn a_copy_has_one_store_or_two() {
        let copy = |from: Option<&str>, to: &str, replace| Command::Copy {
            from: from.map(str::to_owned),
            to: to.to_owned(),
            replace,
        };
        assert_eq!(command("copy file:/a"), copy(None, "file:/a", false));
        assert_eq!(command("copy file:/a memory --replace"), copy(Some("file:/a"), "memory", true));
        assert!(read("copy a b c").is_err());
    }

    #[test]
    fn sessions_are_deleted_by_name_by_user_or_all_and_all_is_said_twice() {
        let fitting = |user: Option<&str>, scope: Option<&str>| {
            let [user, scope] = [user, scope].map(|text| text.map(str::to_owned));
            Command::Delete(Which::Fitting(Filter { user, scope }))
        };
        assert_eq!(command("delete --user ann"), fitting(Some("ann"), None));
        assert_eq!(command("delete --all --yes --scope shop"), fitting(None, Some("shop")));
        for refused in ["", "--all", "--scope shop", "--user a --all --yes", "abcdef --user a"] {
            assert!(read(&format!("delete {refused}")).is_err(), "{refused}");
        }
    }

    #[test]
    fn an_age_is_a_time_within_bounds() {
        let half_an_hour = Some(Duration::from_secs(1800));
        assert_eq!(
            command("purge --older-than 30m"),
            Command::Purge { unvisited_for: half_an_hour }
        );
        for bad in ["0", "x", "99999d", "-1"] {
            assert!(read(&format!("purge --older-than={bad}")).is_err(), "{bad}");
        }
    }

    #[test]
    fn no_refusal_repeats_an_argument() {
        for line in ["secret-id", "list secret-id", "show secret-id secret-id", "purge secret-id"] {
            let refused = read(line).unwrap_err();
            assert!(refused.code == crate::failure::Code::Usage, "{line}");
            assert!(!refused.text.contains("secret"), "{refused}");
        }
    }
}
