//! The commands and options there are: one table for reading a command line and for `--help`.

/// A command.
pub struct CommandRow {
    /// Its name.
    pub name: &'static str,
    /// What follows it.
    pub arguments: &'static str,
    /// What it does.
    pub help: &'static str,
}

/// An option.
#[derive(Debug, PartialEq, Eq)]
pub struct OptionRow {
    /// How it is written, with its dashes.
    pub name: &'static str,
    /// What it needs behind it.
    pub value: Option<&'static str>,
    /// Commands that take it; empty: all.
    pub commands: &'static [&'static str],
    /// What it does.
    pub help: &'static str,
}

/// Every command, in the order of `--help`.
pub const COMMANDS: &[CommandRow] = &[
    CommandRow { name: "list", arguments: "", help: "live sessions, one on each line" },
    CommandRow { name: "show", arguments: "SESSION", help: "one session: its facts and its keys" },
    CommandRow {
        name: "delete",
        arguments: "SESSION...",
        help: "delete sessions; or those of --user, or --all",
    },
    CommandRow { name: "purge", arguments: "", help: "remove the records of expired sessions" },
    CommandRow { name: "stats", arguments: "", help: "count sessions, users and bytes" },
    CommandRow { name: "check", arguments: "", help: "read every record and tell damaged ones" },
    CommandRow {
        name: "copy",
        arguments: "[FROM] TO",
        help: "copy live sessions to another store",
    },
    CommandRow { name: "init", arguments: "", help: "make an empty store, if none is there" },
];

const STORE: &str = "--store";
const NONE: &[&str] = &[];

/// Every option, in the order of `--help`.
pub const OPTIONS: &[OptionRow] = &[
    row(STORE, Some("STORE"), NONE, "the store, written as for SessionStore"),
    row("--data-dir", Some("DIR"), NONE, "its directory, as for SessionDataDir"),
    row("--dbm-type", Some("TYPE"), NONE, "its kind of database, as for SessionDBMType"),
    row("-f", Some("CONF"), NONE, "ask httpd for the store, with this configuration file"),
    row("-d", Some("ROOT"), NONE, "and this ServerRoot"),
    row("-D", Some("NAME"), NONE, "and this defined; may be repeated"),
    row("--httpd", Some("PROGRAM"), NONE, "and this httpd instead of httpd or apache2"),
    row("--user", Some("NAME"), &["list", "delete"], "sessions of this user only"),
    row("--scope", Some("NAME"), &["list", "show", "delete"], "sessions of this SessionScope only"),
    row(
        "--all",
        None,
        &["list", "delete"],
        "list: records that are no live session too; delete: all",
    ),
    row("--yes", None, &["delete"], "with --all: really"),
    row("--values", None, &["show"], "print the values as well"),
    row("--older-than", Some("TIME"), &["purge"], "also sessions not visited for so long"),
    row("--replace", None, &["copy"], "replace sessions that TO has already"),
    row("--owner", Some("USER[:GROUP]"), &["init", "copy"], "whose a new store is to be; for root"),
    row("--json", None, NONE, "print JSON"),
    row("--help", None, NONE, "print this"),
    row("--version", None, NONE, "print the release"),
];

const fn row(
    name: &'static str,
    value: Option<&'static str>,
    commands: &'static [&'static str],
    help: &'static str,
) -> OptionRow {
    OptionRow { name, value, commands, help }
}

/// The text of `--help`.
pub fn help() -> String {
    let mut text = "Usage: htsession [OPTION...] COMMAND [ARGUMENT...]\n\
                    Looks after the sessions that mod_session_store keeps.\n\nCommands:\n"
        .to_owned();
    for row in COMMANDS {
        text += &line(&format!("{} {}", row.name, row.arguments), row.help);
    }
    text += "\nSESSION is a hash as list prints it, an id, or - for lines of standard input.\n\
             Without --store httpd is asked.\n\nOptions:\n";
    for row in OPTIONS {
        let given = format!("{} {}", row.name, row.value.unwrap_or_default());
        text += &match row.commands {
            [] => line(&given, row.help),
            commands => line(&given, &format!("{} ({})", row.help, commands.join(", "))),
        };
    }
    text + "\nhtsession(8) has the rest, the exit codes too.\n"
}

fn line(left: &str, right: &str) -> String {
    format!("  {:<21} {right}\n", left.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_name_commands_that_there_are() {
        for row in OPTIONS {
            for name in row.commands {
                assert!(COMMANDS.iter().any(|row| row.name == *name), "{}: {name}", row.name);
            }
        }
    }

    #[test]
    fn the_help_has_a_line_for_each_and_fits_a_terminal() {
        let help = help();
        for line in help.lines() {
            assert!(line.len() <= 100, "{line}");
        }
        for name in COMMANDS.iter().map(|row| row.name).chain(OPTIONS.iter().map(|row| row.name)) {
            let start = format!("  {name} ");
            assert_eq!(help.lines().filter(|line| line.starts_with(&start)).count(), 1, "{name}");
        }
    }
}
