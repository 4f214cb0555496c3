//! The man page and `--help` name the same commands, options and exit codes.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{code, tool};

fn manual() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin/htsession/htsession.8");
    fs::read_to_string(path).expect("reading the man page")
}

/// The word behind `start` at the beginnings of lines, and what follows it.
fn words<'t>(text: &'t str, start: &str) -> BTreeSet<(&'t str, String)> {
    let items = text.lines().filter_map(|line| line.strip_prefix(start));
    let parted = items.map(|item| item.split_once(' ').unwrap_or((item, "")));
    parted.map(|(word, rest)| (word, plain(rest))).collect()
}

/// Arguments without macros and blanks.
fn plain(text: &str) -> String {
    let macros = ["Ar", "Oo", "Oc", "Op", "Ns"];
    let words = text.split(' ').filter(|word| !macros.contains(word));
    words.collect::<String>().replace(['[', ']'], "")
}

/// What the lines of a part of `--help` begin with.
fn listed(help: &str, head: &str) -> BTreeSet<(String, String)> {
    let part = help.split(&format!("{head}:\n")).nth(1).expect("the part");
    let lines = part.lines().take_while(|line| line.starts_with("  "));
    let given = lines.map(|line| line.trim_start().split("  ").next().unwrap_or_default());
    let parted = given.map(|given| given.split_once(' ').unwrap_or((given, "")));
    let bare = |text: &str| text.replace(['[', ']', ' '], "");
    parted.map(|(name, rest)| (name.to_owned(), bare(rest))).collect()
}

#[test]
fn commands_and_options_are_those_of_the_help() {
    let (manual, help) = (manual(), tool(["--help"]).succeed());
    let owned = |(word, rest): (&str, String)| (word.to_owned(), rest);
    let commands: BTreeSet<_> = words(&manual, ".It Cm ").into_iter().map(owned).collect();
    let told = listed(&help, "Commands");
    assert!(told.len() > 5, "{help}");
    assert_eq!(commands, told);

    let options: BTreeSet<(String, String)> = words(&manual, ".It Fl ")
        .into_iter()
        .map(|(word, rest)| (format!("-{word}"), rest))
        .collect();
    let told = listed(&help, "Options");
    assert!(told.len() > 10, "{help}");
    assert_eq!(options, told);
}

#[test]
fn exit_codes_are_those_of_the_program() {
    let manual = manual();
    let part = manual.split(".Sh EXIT STATUS").nth(1).and_then(|rest| rest.split(".Sh").next());
    let told: Vec<i32> = words(part.expect("the part"), ".It ")
        .into_iter()
        .map(|(word, _)| word.parse().expect("a number"))
        .collect();
    let known = [0, code::PROBLEM, code::USAGE, code::STORE, code::NOT_FOUND, code::IN_USE];
    assert_eq!(told, known);
}
