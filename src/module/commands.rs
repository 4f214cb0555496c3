//! httpd's table of commands, made of the table of directives.

use std::ffi::{c_char, c_int, c_void};
use std::ptr::null;
use std::sync::Arc;

use super::config::{Section, position, server_config_mut};
use crate::core::config::{DIRECTIVES, Directive, Origin, Place, Target};
use crate::httpd::guard::guarded;
use crate::httpd::pool::Pool;
use crate::httpd::sys;
use crate::httpd::table::bytes_of;

const COUNT: usize = DIRECTIVES.len();
/// Longest argument list of a directive, in words.
const WORDS_MAX: usize = 64;

/// Names and help as C strings.
static NAMES: [[u8; 48]; COUNT] = texts(Column::Name);
static HELP: [[u8; 160]; COUNT] = texts(Column::Help);
static COMMANDS: Commands = Commands { _rows: rows() };

#[derive(Clone, Copy)]
enum Column {
    Name,
    Help,
}

/// One row for each directive and an empty one that ends the table.
#[repr(transparent)]
struct Commands {
    /// Read by httpd through the pointer of [`table`].
    _rows: [sys::command_rec; COUNT + 1],
}

// SAFETY: the table is constant; its pointers lead to other constants.
unsafe impl Sync for Commands {}

/// The table for the module's record.
pub const fn table() -> *const sys::command_rec {
    (&raw const COMMANDS).cast()
}

const fn texts<const SIZE: usize>(column: Column) -> [[u8; SIZE]; COUNT] {
    let mut all = [[0; SIZE]; COUNT];
    let mut row = 0;
    while row < COUNT {
        let text = match column {
            Column::Name => DIRECTIVES[row].name.as_bytes(),
            Column::Help => DIRECTIVES[row].help.as_bytes(),
        };
        assert!(text.len() < SIZE, "the text needs room for a NUL");
        let mut at = 0;
        while at < text.len() {
            all[row][at] = text[at];
            at += 1;
        }
        row += 1;
    }
    all
}

const fn rows() -> [sys::command_rec; COUNT + 1] {
    let end = sys::command_rec {
        name: null(),
        func: sys::cmd_func { raw_args: None },
        cmd_data: std::ptr::null_mut(),
        req_override: 0,
        args_how: sys::cmd_how_RAW_ARGS,
        errmsg: null(),
    };
    let mut all = [end; COUNT + 1];
    let mut row = 0;
    while row < COUNT {
        all[row].name = NAMES[row].as_ptr().cast();
        all[row].errmsg = HELP[row].as_ptr().cast();
        all[row].func = sys::cmd_func { raw_args: Some(directive) };
        all[row].cmd_data = row as *mut c_void;
        all[row].req_override = contexts(&DIRECTIVES[row]);
        row += 1;
    }
    all
}

const fn contexts(row: &Directive) -> c_int {
    let places = if row.is_for_server() { 0 } else { sys::ACCESS_CONF };
    let htaccess = if row.htaccess.is_some() { sys::OR_AUTHCFG } else { 0 };
    (sys::RSRC_CONF | places | htaccess) as c_int
}

/// Every directive comes here; its row says what it is.
unsafe extern "C" fn directive(
    command: *mut sys::cmd_parms,
    place: *mut c_void,
    arguments: *const c_char,
) -> *const c_char {
    // SAFETY: httpd hands over its own record, which lives during the call.
    let command = unsafe { &mut *command };
    // SAFETY: the pool of the configuration that is being read.
    let pool = unsafe { Pool::from_raw(command.pool) };
    let refuse = |text: String| pool.bytes(text.as_bytes());
    guarded(
        || match run(command, place.cast(), arguments) {
            Ok(()) => null(),
            Err(text) => refuse(text),
        },
        || refuse("a directive of mod_session_store failed inside the module".to_owned()),
    )
}

fn run(
    command: &mut sys::cmd_parms,
    place: *mut Arc<Place>,
    arguments: *const c_char,
) -> Result<(), String> {
    // SAFETY: the row that httpd found the directive by.
    let row = unsafe { (*command.cmd).cmd_data } as usize;
    let Some(row) = DIRECTIVES.get(row) else { return Err("unknown directive".to_owned()) };
    let words = words(command, arguments)?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let server_files = (sys::RSRC_CONF | sys::ACCESS_CONF) as c_int;
    let origin = Origin { htaccess: command.override_ & server_files == 0 };
    let outcome = if row.is_for_server() {
        global_only(command)?;
        // SAFETY: the configuration is being read, by this thread alone.
        let config = unsafe { server_config_mut(command.server) };
        row.apply(Target::Server(&mut config.settings), &words, origin)
    } else {
        // A server and a virtual host are judged by themselves; they have no path.
        if !origin.htaccess && !command.path.is_null() {
            note_section(command, place);
        }
        // SAFETY: the settings of this section, made by `create_place`; nobody else uses them now.
        let place = Arc::make_mut(unsafe { &mut *place });
        row.apply(Target::Place(place), &words, origin)
    };
    outcome.map_err(|problem| format!("{} {problem}", row.name))?;
    if let Some(shown) = row.without_secrets(&words) {
        hide(command, &shown);
    }
    Ok(())
}

/// Has `mod_info` and others that list the configuration show something else than was read.
fn hide(command: &sys::cmd_parms, shown: &str) {
    // SAFETY: the pool of the configuration that is being read.
    let shown = unsafe { Pool::from_raw(command.pool) }.bytes(shown.as_bytes());
    let directive = command.directive;
    if !directive.is_null() {
        // SAFETY: httpd made the record of this directive in memory of its own for this reading of the
        // configuration; nobody else uses it meanwhile, and nothing reads its text again to act by it.
        unsafe { (*directive).args = shown };
    }
}

fn words(command: &sys::cmd_parms, arguments: *const c_char) -> Result<Vec<String>, String> {
    let mut rest = arguments;
    let mut words = Vec::new();
    loop {
        // SAFETY: `rest` points into the C string httpd handed over; the word is copied to the pool.
        let word = unsafe { sys::ap_getword_conf(command.temp_pool, &mut rest) };
        // SAFETY: as above.
        let word = unsafe { bytes_of(word) };
        let Some(word) = word.filter(|word| !word.is_empty()) else { return Ok(words) };
        if words.len() == WORDS_MAX {
            return Err(format!("more than {WORDS_MAX} arguments"));
        }
        let word = std::str::from_utf8(word).map_err(|_| "an argument is not UTF-8".to_owned())?;
        words.push(word.to_owned());
    }
}

fn global_only(command: &mut sys::cmd_parms) -> Result<(), String> {
    // SAFETY: httpd's own record.
    let problem = unsafe { sys::ap_check_cmd_context(command, sys::GLOBAL_ONLY) };
    // SAFETY: null or a text of httpd's.
    match unsafe { bytes_of(problem) } {
        None => Ok(()),
        Some(text) => Err(String::from_utf8_lossy(text).into_owned()),
    }
}

/// Remembers the section for the configuration test.
fn note_section(command: &sys::cmd_parms, place: *const Arc<Place>) {
    // SAFETY: the configuration is being read, by this thread alone.
    let config = unsafe { server_config_mut(command.server) };
    if config.sections.iter().all(|section| section.place != place) {
        // SAFETY: the directive that is being executed.
        let at = unsafe { position(command.directive) };
        config.sections.push(Section { place, at });
    }
}
