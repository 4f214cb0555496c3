//! What drifts apart without anybody noticing: the directives and their two references, the rings,
//! the C header and the functions behind it. A missing file is a failure.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use mod_session_store::core::config::{DIRECTIVES, Directive, Origin, Place, Server, Target, find};

const LINES_MAX: usize = 500;

#[test]
fn the_reference_configuration_shows_each_directive_as_it_is() {
    assert_none(reference_problems(&read("httpd-conf/session_store.conf")));
}

#[test]
fn the_readme_lists_each_directive_with_its_default() {
    assert_none(readme_problems(&read("README.md")));
}

#[test]
fn calls_go_inward_only() {
    let mut problems = Vec::new();
    let rings = [
        ("src/core", CORE_FORBIDS),
        ("src/httpd", HOST_FORBIDS),
        ("src/system", HOST_FORBIDS),
        ("src/system", &["crate::httpd"]),
        ("src/bin", TOOL_FORBIDS),
    ];
    for (ring, forbidden) in rings {
        for path in rust_files(ring) {
            problems.extend(named(&read_path(&path), forbidden, &path.display().to_string()));
        }
    }
    assert_none(problems);
}

#[test]
fn no_source_file_is_too_long_to_be_read_at_once() {
    let mut problems = Vec::new();
    for path in ["src", "tests"].into_iter().flat_map(rust_files) {
        let lines = read_path(&path).lines().count();
        if lines > LINES_MAX {
            problems.push(format!("{} has {lines} lines, more than {LINES_MAX}", path.display()));
        }
    }
    assert_none(problems);
}

#[test]
fn the_c_header_declares_what_the_module_exports() {
    let header = prototypes(&read("c_shim/mod_session_store.h"));
    let sources = rust_files("src/module");
    let exported = sources.iter().flat_map(|path| exports(&read_path(path))).collect();
    assert!(!header.is_empty(), "the header declares no function");
    assert_none(differences(&header, &exported));
}

// --- The reference configuration ---

/// What the reference configuration says of one directive.
#[derive(Default)]
struct Entry {
    syntax: String,
    default: String,
    context: String,
    sample: String,
}

/// Every problem of the reference: entries that differ from the table, are missing, out of order or
/// about no directive at all.
fn reference_problems(text: &str) -> Vec<String> {
    let entries = reference_entries(text);
    let mut problems = foreign_names(text);
    for (at, row) in DIRECTIVES.iter().enumerate() {
        match entries.get(at) {
            Some(entry) => problems.extend(entry_problems(row, entry)),
            None => problems.push(format!("{} has no entry", row.name)),
        }
    }
    let spare = entries.iter().skip(DIRECTIVES.len());
    problems.extend(spare.map(|entry| format!("there is an entry too many: {}", entry.syntax)));
    problems
}

fn reference_entries(text: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(syntax) = line.strip_prefix("# Syntax:") {
            entries.push(Entry { syntax: syntax.trim().to_owned(), ..Entry::default() });
            continue;
        }
        let Some(entry) = entries.last_mut() else { continue };
        if let Some(default) = line.strip_prefix("# Default:") {
            entry.default = default.trim().to_owned();
        } else if let Some(context) = line.strip_prefix("# Context:") {
            entry.context = context.trim().to_owned();
        } else if line.starts_with("#Session") {
            entry.sample.push_str(&line[1..]);
        }
    }
    entries
}

fn entry_problems(row: &Directive, entry: &Entry) -> Vec<String> {
    let syntax = format!("{} {}", row.name, row.syntax);
    let context = row.context();
    let mut problems = Vec::new();
    for (what, shown, expected) in [
        ("Syntax", &entry.syntax, syntax.as_str()),
        ("Default", &entry.default, row.default),
        ("Context", &entry.context, context.as_str()),
    ] {
        if shown != expected {
            problems.push(format!("{}: {what} is `{shown}`, not `{expected}`", row.name));
        }
    }
    if let Err(problem) = sample_works(row, &entry.sample) {
        problems.push(format!("{}: the line `{}` {problem}", row.name, entry.sample));
    }
    problems
}

/// The line that is to be uncommented is taken, and shows the default where arguments can say it.
fn sample_works(row: &Directive, sample: &str) -> Result<(), String> {
    let mut words = sample.split(' ');
    if words.next() != Some(row.name) {
        return Err("is about another directive".to_owned());
    }
    let words: Vec<&str> = words.collect();
    let default: Vec<&str> = row.default.split(' ').collect();
    if taken(row, &default) && row.default != "none" && words != default {
        return Err(format!("does not show the default {}", row.default));
    }
    if !taken(row, &words) {
        return Err("is refused".to_owned());
    }
    Ok(())
}

fn taken(row: &Directive, words: &[&str]) -> bool {
    let (mut server, mut place) = (Server::default(), Place::default());
    let target = match row.is_for_server() {
        true => Target::Server(&mut server),
        false => Target::Place(&mut place),
    };
    row.apply(target, words, Origin { htaccess: false }).is_ok()
}

/// Words that look like directives of this module and are none.
fn foreign_names(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let names: BTreeSet<&str> = words.filter(|word| looks_like_directive(word)).collect();
    let foreign = names.into_iter().filter(|name| find(name).is_none());
    foreign.map(|name| format!("{name} is no directive")).collect()
}

fn looks_like_directive(word: &str) -> bool {
    word.strip_prefix("Session").is_some_and(|rest| rest.starts_with(|c: char| c.is_uppercase()))
}

// --- The README ---

/// Every problem of the table of directives: rows that differ, are missing or about no directive.
fn readme_problems(text: &str) -> Vec<String> {
    let mut rows = readme_rows(text);
    let mut problems = Vec::new();
    for row in DIRECTIVES {
        let expected = (format!("{} {}", row.name, row.syntax), row.default.to_owned());
        match rows.remove(row.name) {
            Some(found) if found == expected => {}
            found => problems.push(format!(
                "expected | `{}` | {} |, found {found:?}",
                expected.0.replace('|', "\\|"),
                expected.1
            )),
        }
    }
    problems.extend(rows.into_keys().map(|name| format!("{name} is no directive")));
    problems
}

/// First and second cell of each row that begins with a directive, by its name.
fn readme_rows(text: &str) -> BTreeMap<String, (String, String)> {
    let mut rows = BTreeMap::new();
    for line in text.lines() {
        // A bar within a cell is written with a backslash; no cell has a control character.
        let line = line.trim().replace("\\|", "\u{1}");
        let mut cells =
            line.split('|').skip(1).map(|cell| cell.trim().replace('`', "").replace('\u{1}', "|"));
        let (Some(syntax), Some(default)) = (cells.next(), cells.next()) else { continue };
        let name = syntax.split(' ').next().unwrap_or_default();
        if looks_like_directive(name) {
            rows.insert(name.to_owned(), (syntax, default));
        }
    }
    rows
}

// --- The rings ---

/// What core may not name.
const CORE_FORBIDS: &[&str] = &["crate::httpd", "crate::module", "crate::system", "libc", "unsafe"];
/// What the wrappers around httpd and the system may not name: clocks, locks and databases of bytes are
/// all they share with core.
const HOST_FORBIDS: &[&str] = &[
    "crate::module",
    "core::session",
    "core::cookie",
    "core::store",
    "core::config",
    // Imports that do not say what they take.
    "crate::core;",
    "crate::core::{",
    "crate::core::*",
    "crate::{",
];

/// What the tool may not name: it starts where no httpd is. APR's DBM is all that it has of httpd's.
const TOOL_FORBIDS: &[&str] = &[
    "mod_session_store::module",
    "mod_session_store::*",
    "mod_session_store::{",
    "mod_session_store::httpd;",
    "mod_session_store::httpd::{",
    "mod_session_store::httpd::*",
    "httpd::server",
    "httpd::request",
    "httpd::sys",
];

/// The forbidden names in a source text, comments left out.
fn named(text: &str, forbidden: &[&str], path: &str) -> Vec<String> {
    let code: String = text.lines().map(|line| without_comment(line).to_owned() + "\n").collect();
    let found = forbidden.iter().filter(|name| has_word(&code, name));
    found.map(|name| format!("{path} names {name}")).collect()
}

fn without_comment(line: &str) -> &str {
    line.split_once("//").map_or(line, |(code, _)| code)
}

/// Whether `word` occurs in `code` and is no part of a longer name.
fn has_word(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let goes_on = word.ends_with(in_name) && code[at + word.len()..].starts_with(in_name);
        !goes_on && !code[..at].ends_with(in_name)
    })
}

fn in_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

// --- The C header ---

/// Functions by name, with the number of their arguments.
type Functions = BTreeMap<String, usize>;

/// The functions `session_store_*` that a C header declares.
fn prototypes(header: &str) -> Functions {
    let code = without_c_comments(header);
    let declarations = code.split(';').filter(|declaration| !has_word(declaration, "typedef"));
    declarations.flat_map(functions).collect()
}

/// The functions `session_store_*` that a Rust source exports under their own names.
fn exports(source: &str) -> Functions {
    let code: String = source.lines().map(|line| without_comment(line).to_owned() + "\n").collect();
    let items = code.split("#[unsafe(no_mangle)]").skip(1);
    items.flat_map(|item| functions(item.split('{').next().unwrap_or(item))).collect()
}

/// Names `session_store_*` with arguments behind them.
fn functions(code: &str) -> Functions {
    let mut found = Functions::new();
    for (at, _) in code.match_indices("session_store_") {
        let rest = &code[at..];
        let end = rest.find(|c: char| !in_name(c)).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let whole = !code[..at].ends_with(in_name);
        if let (true, Some(arguments)) = (whole, rest.trim_start().strip_prefix('(')) {
            found.insert(name.to_owned(), count_arguments(arguments));
        }
    }
    found
}

/// How many arguments stand in front of the closing parenthesis; those of a function pointer among
/// them are not counted.
fn count_arguments(text: &str) -> usize {
    let mut depth = 1;
    let outer: String = text
        .chars()
        .take_while(|c| {
            depth += i32::from(*c == '(') - i32::from(*c == ')');
            depth > 0
        })
        .scan(0, |inner, c| {
            *inner += i32::from(c == '(') - i32::from(c == ')');
            Some(if *inner > 0 && c == ',' { ' ' } else { c })
        })
        .collect();
    outer.split(',').filter(|argument| !["", "void"].contains(&argument.trim())).count()
}

/// The code of a C header; directives of its preprocessor are left out.
fn without_c_comments(text: &str) -> String {
    let text = text.replace("\\\n", " ");
    let mut parts = text.split("/*");
    let mut code = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        code.push_str(part.split_once("*/").map_or("", |(_, rest)| rest));
    }
    let lines =
        code.lines().map(without_comment).filter(|line| !line.trim_start().starts_with('#'));
    lines.collect::<Vec<_>>().join("\n")
}

fn differences(header: &Functions, exported: &Functions) -> Vec<String> {
    let names: BTreeSet<&String> = header.keys().chain(exported.keys()).collect();
    let different = names.into_iter().filter(|name| header.get(*name) != exported.get(*name));
    different
        .map(|name| {
            let (declared, there) = (header.get(name), exported.get(name));
            format!("{name}: arguments in the header {declared:?}, exported {there:?}")
        })
        .collect()
}

// --- Files ---

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    read_path(&root().join(path))
}

fn read_path(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|cause| panic!("reading {}: {cause}", path.display()))
}

/// The Rust files below a folder of the project; there is at least one.
fn rust_files(folder: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder)
            .unwrap_or_else(|cause| panic!("reading {}: {cause}", folder.display()));
        for path in entries.map(|entry| entry.expect("reading a folder").path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                files.push(path);
            }
        }
    }
    assert!(!files.is_empty(), "{folder} has no Rust files");
    files
}

fn assert_none(problems: Vec<String>) {
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

// --- The guards themselves ---

/// A reference configuration and a table for the README without a problem.
fn sound() -> (String, String) {
    let (mut reference, mut readme) =
        (String::new(), String::from("| Directive | Default |\n|---|---|\n"));
    for row in DIRECTIVES {
        let syntax = format!("{} {}", row.name, row.syntax);
        let default: Vec<&str> = row.default.split(' ').collect();
        let sample = match row.name {
            "SessionSecret" => "file:/etc/secret",
            "SessionScope" => "shop",
            _ if taken(row, &default) => row.default,
            _ => panic!("{} has neither a default nor an example here", row.name),
        };
        reference += &format!("# Syntax:  {syntax}\n# Default: {}\n", row.default);
        reference += &format!("# Context: {}\n#{} {sample}\n", row.context(), row.name);
        readme += &format!("| `{}` | {} | x |\n", syntax.replace('|', "\\|"), row.default);
    }
    (reference, readme)
}

#[test]
fn each_drift_of_a_reference_is_one_problem() {
    let (reference, readme) = sound();
    assert_none(reference_problems(&reference));
    assert_none(readme_problems(&readme));
    for (from, to) in [
        ("# Default: 30m", "# Default: 20m"),
        ("#SessionTimeout 30m", "#SessionTimeout 20m"),
        ("#SessionMaxKeys 256", "#SessionMaxKeys 0"),
        ("#SessionScope shop", "# no line to uncomment"),
        ("# Syntax:  SessionLocks N", "# Syntax:  SessionLocks NUMBER"),
        ("# Context: server config\n#SessionSync", "# Context: directory\n#SessionSync"),
        ("# Syntax:  SessionEngine", "# SessionBogus\n# Syntax:  SessionEngine"),
        ("#SessionSync off", "#SessionSync off\n# Syntax:  Other"),
    ] {
        let drifted = reference.replacen(from, to, 1);
        assert_ne!(drifted, reference, "{from}");
        assert_eq!(reference_problems(&drifted).len(), 1, "{to}");
    }
    for (from, to) in [
        ("| 30m |", "| 20m |"),
        ("| `SessionMaxKeys N` | 256 | x |", ""),
        ("on\\|off", "on\\|off\\|auto"),
        ("|---|---|", "|---|---|\n| `SessionBogus N` | 1 | x |"),
    ] {
        let drifted = readme.replacen(from, to, 1);
        assert_ne!(drifted, readme, "{from}");
        assert_eq!(readme_problems(&drifted).len(), 1, "{to}");
    }
}

#[test]
fn forbidden_names_are_found_in_code_alone() {
    let problems = |text| named(text, CORE_FORBIDS, "x").len();
    assert_eq!(problems("#![forbid(unsafe_code)]\n// unsafe libc\nlet libcx = 1;"), 0);
    assert_eq!(problems("use libc::c_int;\nunsafe { crate::httpd::f() }"), 3);
    let problems = |text| named(text, HOST_FORBIDS, "x").len();
    assert_eq!(problems("use crate::core::lock::SlotMutexes;\nuse core::{mem, ptr};"), 0);
    assert_eq!(problems("use crate::core::store::Store;"), 1);
    assert_eq!(problems("use crate::core::{lock, session};"), 1);
}

#[test]
fn a_header_and_its_exports_are_compared_by_name_and_arguments() {
    let header = prototypes(
        "#define X(session_store_no) \\\n session_store_no(1)\n/* int session_store_old(void); */\n\
         extern \"C\" {\nint session_store_version(void); // session_store_x(1)\n\
         APR_DECLARE_OPTIONAL_FN(int, session_store_version, (void));\n\
         typedef int session_store_fn(void);\nDECLARE(apr_status_t) session_store_each (request_rec *r,\n\
         int (*f)(void *, int), void *data);\n}",
    );
    let exported = exports(
        "// #[unsafe(no_mangle)] fn session_store_gone()\nfn session_store_private(a: i32) {}\n\
         #[unsafe(no_mangle)]\npub static session_store_module: u8 = 0;\n\
         #[unsafe(no_mangle)]\npub extern \"C\" fn session_store_version() -> c_int { f() }\n\
         #[unsafe(no_mangle)]\npub unsafe extern \"C\" fn session_store_each(\n    r: *mut request_rec,\n\
         f: fn(*mut c_void, c_int),\n    data: *mut c_void,\n) -> apr_status_t { g() }",
    );
    let expected = [("session_store_each", 3), ("session_store_version", 0)];
    let expected: Functions = expected.map(|(name, count)| (name.to_owned(), count)).into();
    assert_eq!((&header, &exported), (&expected, &expected));
    assert_none(differences(&header, &exported));

    let other = Functions::from([("session_store_each".to_owned(), 2)]);
    assert_eq!(differences(&header, &other).len(), 2);
    assert_eq!(differences(&other, &header).len(), 2);
}
