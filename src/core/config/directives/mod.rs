//! The table of directives.
//!
//! A row is all there is to know of a directive: how it is written, where, what it takes, what holds
//! without it, and what it sets. The rows stand beside each other by theme in the files here; the one
//! array that orders them is [`DIRECTIVES`].

mod content;
mod handlers;
mod identity;
mod life;
mod locking;
mod server;
#[cfg(test)]
mod tests;

use super::place::Place;
use super::server::Server;
use super::values::on_off;
use crate::core::config::redis::without_password;

/// How many arguments a directive takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Args {
    /// One.
    One,
    /// One, or two.
    OneOrTwo,
    /// One or more; all of them are handed over at once.
    Words,
    /// `on` or `off`.
    Flag,
}

impl Args {
    /// How many there have to be, if `count` is another number.
    fn other_than(self, count: usize) -> Option<&'static str> {
        let (fits, words) = match self {
            Args::One | Args::Flag => (count == 1, "one argument"),
            Args::OneOrTwo => (count == 1 || count == 2, "one or two arguments"),
            Args::Words => (count > 0, "one argument or more"),
        };
        (!fits).then_some(words)
    }
}

/// Where a directive was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// In a `.htaccess` file, whose author may not be the server's administrator.
    pub htaccess: bool,
}

/// What a directive fills.
pub enum Target<'a> {
    /// The settings of the whole server.
    Server(&'a mut Server),
    /// The settings of a place.
    Place(&'a mut Place),
}

/// How a directive fills its target. It is called with as many words as its row takes; an error is
/// what is wrong with them, as "is no time".
enum Set {
    /// Once for the whole server.
    Server(fn(&mut Server, &[&str]) -> Result<(), String>),
    /// For a place.
    Place(fn(&mut Place, &[&str], Origin) -> Result<(), String>),
    /// On or off, for a place.
    Flag(fn(&mut Place, bool)),
}

/// A row of the table.
pub struct Directive {
    /// Its name.
    pub name: &'static str,
    /// Its arguments, as documentation shows them.
    pub syntax: &'static str,
    /// How many arguments it takes.
    pub args: Args,
    /// What holds where it is not given.
    pub default: &'static str,
    /// What it takes, in words that follow "takes".
    pub allowed: &'static str,
    /// What it takes in `.htaccess` files; none: it is refused there.
    pub htaccess: Option<&'static str>,
    /// What it is for, in one line.
    pub help: &'static str,
    set: Set,
}

/// Every directive, in the order of the documentation.
pub const DIRECTIVES: &[Directive] = &[
    life::ENGINE,
    server::STORE,
    server::DATA_DIR,
    server::DBM_TYPE,
    server::MEMORY_SIZE,
    server::MAX_SESSIONS,
    server::LOCKS,
    locking::LOCKING,
    locking::LOCK_TIMEOUT,
    locking::LOCK_WAITERS,
    locking::LOCK_HOLD,
    life::TIMEOUT,
    life::MAX_LIFETIME,
    life::TOUCH_INTERVAL,
    identity::ID_NAME,
    identity::ID_SOURCE,
    identity::ID_PATH,
    identity::ID_DOMAIN,
    identity::ID_SAME_SITE,
    identity::ID_SECURE,
    identity::ID_HTTP_ONLY,
    identity::ID_PARTITIONED,
    identity::ID_MAX_AGE,
    identity::ID_REFRESH,
    identity::ID_HIDE,
    identity::SCOPE,
    server::SECRET,
    life::REGENERATE_GRACE,
    content::INVALIDATE_CORRUPT,
    content::SAVE_ON_ERROR,
    content::MAX_SIZE,
    content::MAX_KEYS,
    content::STORE_FAILURE,
    content::NOTES,
    handlers::EXPORT,
    handlers::BACKEND_HEADERS,
    content::CACHE_CONTROL,
    server::CLEANUP_INTERVAL,
    server::CLEANUP_TIME_LIMIT,
    server::CLEANUP_GRACE,
    server::SYNC,
];

/// The directive of this name, in any case.
pub fn find(name: &str) -> Option<&'static Directive> {
    DIRECTIVES.iter().find(|row| row.name.eq_ignore_ascii_case(name))
}

impl Directive {
    /// Whether it is for the whole server and not for places.
    pub const fn is_for_server(&self) -> bool {
        matches!(self.set, Set::Server(_))
    }

    /// Where it may be written, as documentation shows it.
    pub fn context(&self) -> String {
        if self.is_for_server() {
            return "server config".to_owned();
        }
        let htaccess = if self.htaccess.is_some() { ", .htaccess" } else { "" };
        format!("server config, virtual host, directory{htaccess}")
    }

    /// Sets what `words`, the arguments, say.
    ///
    /// # Errors
    /// What the directive takes and what is wrong with these; reads on behind its name and a blank.
    /// Never repeats the arguments.
    pub fn apply(&self, target: Target<'_>, words: &[&str], origin: Origin) -> Result<(), String> {
        let (takes, allowed) = match (origin.htaccess, self.htaccess) {
            (false, _) => ("takes", self.allowed),
            (true, Some(allowed)) => ("in .htaccess takes", allowed),
            (true, None) => return Err("is not allowed in .htaccess".to_owned()),
        };
        if let Some(count) = self.args.other_than(words.len()) {
            return Err(format!("{takes} {count}: {allowed}"));
        }
        let set = match (&self.set, target) {
            (Set::Server(set), Target::Server(server)) => set(server, words),
            (Set::Place(set), Target::Place(place)) => set(place, words, origin),
            (Set::Flag(set), Target::Place(place)) => on_off(words[0]).map(|on| set(place, on)),
            (Set::Server(_), Target::Place(_)) => {
                return Err("is for the whole server: it has to be outside of all sections".into());
            }
            (_, Target::Server(_)) => return Err("is for places, not the whole server".into()),
        };
        set.map_err(|problem| format!("{takes} {allowed}; this {problem}"))
    }

    /// What may be shown instead of arguments that were taken, where these hold a password or a secret.
    pub fn without_secrets(&self, words: &[&str]) -> Option<String> {
        let shown: Vec<String> = match self.name {
            "SessionStore" => words.iter().map(|word| without_password(word)).collect(),
            "SessionSecret" => words.iter().map(|word| without_secret(word)).collect(),
            _ => return None,
        };
        let shown = shown.join(" ");
        (shown != words.join(" ")).then_some(shown)
    }
}

fn without_secret(word: &str) -> String {
    let named = word.starts_with("file:") || word.starts_with("exec:");
    if named { word.to_owned() } else { "...".to_owned() }
}

/// Sets what may be set once.
fn once<T>(field: &mut Option<T>, value: T) -> Result<(), String> {
    if field.is_some() {
        return Err("is the second one, and only one is allowed".to_owned());
    }
    *field = Some(value);
    Ok(())
}
