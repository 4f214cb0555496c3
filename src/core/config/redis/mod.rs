//! Where a Redis is and how it is spoken to: the address in `SessionStore redis://…` taken apart.
//!
//! ```text
//! redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]     one server; rediss:// by TLS
//! redis+unix:///PATH                                 one server, by a socket of this machine
//! redis+sentinel://HOST[:PORT][,HOST…]/NAME[/DATABASE]   the master NAME, by its sentinels
//! redis+cluster://HOST[:PORT][,HOST…]                a cluster, by some of its nodes
//! ```
//!
//! With `rediss+sentinel` and `rediss+cluster` all of them are reached by TLS. User and password are
//! percent-encoded. Options follow a `?` and are parted by `&`; [`OPTIONS`] lists them. A mistake is told
//! without a word of the address: it may hold a password.

mod options;
#[cfg(test)]
mod tests;
mod written;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use self::options::OPTIONS;
use self::options::decoded;
use super::values::path;

/// Most bytes of an address.
const ADDRESS_MAX: usize = 4096;
/// Most hosts of an address.
const HOSTS_MAX: usize = 64;
/// Longest name of a host, or of a master, in bytes.
const NAME_MAX: usize = 255;
/// The port of a Redis if none is given.
const PORT: u16 = 6379;
/// That of a sentinel.
const SENTINEL_PORT: u16 = 26_379;

/// A server by name or number, and its port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Host {
    /// Its name or address; an IPv6 address without brackets.
    pub name: Arc<str>,
    /// Its port.
    pub port: u16,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(':') {
            write!(f, "[{}]:{}", self.name, self.port)
        } else {
            write!(f, "{}:{}", self.name, self.port)
        }
    }
}

/// How servers are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Servers {
    /// One server.
    One(Host),
    /// One server, by the path of its socket.
    Socket(Arc<str>),
    /// The master of this name, whose address these sentinels know.
    Sentinels(Vec<Host>, Arc<str>),
    /// A cluster; some of its nodes.
    Cluster(Vec<Host>),
}

/// Where a password comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// The address itself.
    Inline(Arc<str>),
    /// The first line of the file of this path.
    File(Arc<str>),
}

/// Shows no password.
impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Password::Inline(_) => f.write_str("Inline(…)"),
            Password::File(path) => write!(f, "File({path:?})"),
        }
    }
}

/// Files for TLS; a relative path is meant below ServerRoot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Certificates of the authorities that are trusted; without it those of the system.
    pub ca: Option<Arc<str>>,
    /// Our certificate and its key, for a server that asks for one.
    pub identity: Option<(Arc<str>, Arc<str>)>,
}

/// An address, complete with its defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisAddress {
    /// How servers are found.
    pub servers: Servers,
    /// How TLS is spoken; none: it is not.
    pub tls: Option<Tls>,
    /// Who we are; none: the server's default user.
    pub user: Option<Arc<str>>,
    /// How that is proved.
    pub password: Option<Password>,
    /// The sentinels' password, if they have one: a path.
    pub sentinel_password: Option<Arc<str>>,
    /// Which database of the server.
    pub database: u32,
    /// What every key of ours begins with.
    pub prefix: Arc<str>,
    /// Longest time for a connection to be made.
    pub connect_timeout: Duration,
    /// Longest time for an answer.
    pub timeout: Duration,
    /// How long a session stays held after the server that holds it was cut off or died.
    pub lease: Duration,
}

impl RedisAddress {
    /// The servers, with our defaults for the rest.
    fn new(servers: Servers, tls: bool) -> RedisAddress {
        RedisAddress {
            servers,
            tls: tls.then(Tls::default),
            user: None,
            password: None,
            sentinel_password: None,
            database: 0,
            prefix: Arc::from("session_store:"),
            connect_timeout: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            lease: Duration::from_secs(30),
        }
    }

    /// Whether `scheme` is that of an address of ours.
    pub fn is_scheme(scheme: &str) -> bool {
        let scheme = scheme.to_ascii_lowercase();
        let kind = scheme.strip_prefix("rediss").or_else(|| scheme.strip_prefix("redis"));
        kind.is_some_and(|kind| matches!(kind, "" | "+unix" | "+sentinel" | "+cluster"))
    }

    /// Takes an address apart.
    ///
    /// # Errors
    /// What is wrong with it, as the rest of a sentence that shows nothing of it.
    pub fn parse(text: &str) -> Result<RedisAddress, String> {
        if text.len() > ADDRESS_MAX {
            return Err(format!("is longer than {ADDRESS_MAX} bytes"));
        }
        if text.chars().any(char::is_control) {
            return Err("has a control character in it".to_owned());
        }
        let (scheme, rest) = text.split_once("://").ok_or("lacks :// behind the kind of Redis")?;
        let (place, query) = match rest.split_once('?') {
            Some((place, query)) => (place, Some(query)),
            None => (rest, None),
        };
        let (authority, tail) = match place.split_once('/') {
            Some((authority, tail)) => (authority, Some(tail)),
            None => (place, None),
        };
        let (who, hosts) = match authority.rsplit_once('@') {
            Some((who, hosts)) => (Some(who), hosts),
            None => (None, authority),
        };
        let scheme = scheme.to_ascii_lowercase();
        let (tls, kind) = match scheme.strip_prefix("rediss") {
            Some(kind) => (true, kind),
            None => (false, scheme.strip_prefix("redis").unwrap_or_default()),
        };
        let mut address = match kind {
            "" => one(hosts, tail, tls)?,
            "+unix" if !tls => socket(hosts, tail)?,
            "+sentinel" => sentinels(hosts, tail, tls)?,
            "+cluster" => cluster(hosts, tail, tls)?,
            _ => return Err("names a kind of Redis that does not exist".to_owned()),
        };
        if let Some(who) = who {
            address.set_who(who)?;
        }
        if let Some(query) = query {
            options::apply(&mut address, query)?;
        }
        Ok(address)
    }

    fn set_who(&mut self, who: &str) -> Result<(), String> {
        let (user, password) = match who.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (who, None),
        };
        self.user = Some(decoded(user)?).filter(|user| !user.is_empty());
        self.password = password.map(decoded).transpose()?.map(Password::Inline);
        if matches!(&self.password, Some(Password::Inline(word)) if word.is_empty()) {
            return Err("has an empty password".to_owned());
        }
        Ok(())
    }

    /// Whether the address itself holds a password.
    pub fn shows_password(&self) -> bool {
        matches!(self.password, Some(Password::Inline(_)))
    }
}

/// What `SessionStore` was told, without the password if it is an address.
pub fn without_password(text: &str) -> String {
    let Some(start) = text.find("://").map(|at| at + 3) else { return text.to_owned() };
    let (head, rest) = text.split_at(start);
    let authority = rest.find(['/', '?']).unwrap_or(rest.len());
    match rest[..authority].rfind('@') {
        Some(at) => format!("{head}...{}", &rest[at..]),
        None => text.to_owned(),
    }
}

fn one(hosts: &str, tail: Option<&str>, tls: bool) -> Result<RedisAddress, String> {
    let mut address = RedisAddress::new(Servers::One(host(hosts, PORT)?), tls);
    set_database(&mut address, tail)?;
    Ok(address)
}

fn socket(hosts: &str, tail: Option<&str>) -> Result<RedisAddress, String> {
    let tail = tail.filter(|tail| hosts.is_empty() && !tail.is_empty());
    let tail = tail.ok_or("has no path of a socket behind ://")?;
    Ok(RedisAddress::new(Servers::Socket(path(&format!("/{tail}"))?), false))
}

fn sentinels(hosts: &str, tail: Option<&str>, tls: bool) -> Result<RedisAddress, String> {
    let tail = tail.unwrap_or_default();
    let (name, database) = match tail.split_once('/') {
        Some((name, database)) => (name, Some(database)),
        None => (tail, None),
    };
    if name.is_empty() || name.len() > NAME_MAX {
        return Err("names no master behind the sentinels: HOST,HOST/NAME".to_owned());
    }
    let servers = Servers::Sentinels(list(hosts, SENTINEL_PORT)?, decoded(name)?);
    let mut address = RedisAddress::new(servers, tls);
    set_database(&mut address, database)?;
    Ok(address)
}

fn cluster(hosts: &str, tail: Option<&str>, tls: bool) -> Result<RedisAddress, String> {
    if tail.is_some_and(|tail| !tail.is_empty()) {
        return Err("names a database, and a cluster has none".to_owned());
    }
    Ok(RedisAddress::new(Servers::Cluster(list(hosts, PORT)?), tls))
}

fn set_database(address: &mut RedisAddress, text: Option<&str>) -> Result<(), String> {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        address.database = options::database(text)?;
    }
    Ok(())
}

fn list(hosts: &str, port: u16) -> Result<Vec<Host>, String> {
    let hosts: Vec<Host> =
        hosts.split(',').map(|text| host(text, port)).collect::<Result<_, _>>()?;
    if hosts.len() > HOSTS_MAX {
        return Err(format!("names more than {HOSTS_MAX} hosts"));
    }
    Ok(hosts)
}

fn host(text: &str, default: u16) -> Result<Host, String> {
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (name, port) = match bracketed {
        Some((name, "")) => (name, None),
        Some((name, rest)) => {
            (name, Some(rest.strip_prefix(':').ok_or("has a host that is none")?))
        }
        None => match text.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        },
    };
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let fits = |b: u8| fits(b) || (bracketed.is_some() && matches!(b, b':' | b'%'));
    if name.is_empty() || name.len() > NAME_MAX || !name.bytes().all(fits) {
        return Err("has a host that is none".to_owned());
    }
    let port = match port {
        None => default,
        Some(port) => match port.parse() {
            Ok(port) if port > 0 => port,
            _ => return Err("has a port that is none".to_owned()),
        },
    };
    Ok(Host { name: Arc::from(name), port })
}
