//! What follows the `?` of an address.

use std::sync::Arc;
use std::time::Duration;

use super::{Password, RedisAddress, Servers, Tls};
use crate::core::config::values::{number, path, plain};

/// The options of an address.
pub const OPTIONS: &str = "user, password_file, database, prefix, connect_timeout, timeout, lease, ca, cert, key, \
                           sentinel_password_file";

/// Longest prefix of keys, in bytes.
const PREFIX_MAX: usize = 64;
/// Longest name of a user, in bytes.
const USER_MAX: usize = 255;
/// Highest number of a database.
const DATABASE_MAX: u32 = 65_535;

/// Sets what the options say, each once.
pub(super) fn apply(address: &mut RedisAddress, query: &str) -> Result<(), String> {
    let mut seen: Vec<&str> = Vec::new();
    let (mut cert, mut key) = (None, None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
        if seen.contains(&name) {
            return Err("has an option twice".to_owned());
        }
        seen.push(name);
        let text = decoded(text)?;
        match name {
            "cert" => cert = Some(path(&text).map_err(in_option("cert"))?),
            "key" => key = Some(path(&text).map_err(in_option("key"))?),
            _ => set(address, name, &text)?,
        }
    }
    match (cert, key) {
        (None, None) => Ok(()),
        (Some(cert), Some(key)) => {
            tls(address, "cert and key")?.identity = Some((cert, key));
            Ok(())
        }
        _ => Err("has one of the options cert and key without the other".to_owned()),
    }
}

fn set(address: &mut RedisAddress, name: &str, text: &str) -> Result<(), String> {
    match name {
        "user" if address.user.is_some() => Err("names two users".to_owned()),
        "user" => put(&mut address.user, plain(text, USER_MAX).map(Some), "user"),
        "password_file" if address.password.is_some() => Err("has two passwords".to_owned()),
        "password_file" => {
            let file = path(text).map(|path| Some(Password::File(path)));
            put(&mut address.password, file, "password_file")
        }
        "sentinel_password_file" if !matches!(address.servers, Servers::Sentinels(..)) => {
            Err("has the option sentinel_password_file and no sentinels".to_owned())
        }
        "sentinel_password_file" => {
            put(&mut address.sentinel_password, path(text).map(Some), "sentinel_password_file")
        }
        "database" if matches!(address.servers, Servers::Cluster(_)) => {
            Err("names a database, and a cluster has none".to_owned())
        }
        "database" => put(&mut address.database, database(text), "database"),
        "prefix" => put(&mut address.prefix, prefix(text), "prefix"),
        "connect_timeout" => put(&mut address.connect_timeout, patience(text), "connect_timeout"),
        "timeout" => put(&mut address.timeout, patience(text), "timeout"),
        "lease" => put(&mut address.lease, lease(text), "lease"),
        "ca" => {
            let ca = path(text).map(Some);
            put(&mut tls(address, "ca")?.ca, ca, "ca")
        }
        _ => Err(format!("has an unknown option; known are {OPTIONS}")),
    }
}

fn put<T>(field: &mut T, value: Result<T, String>, name: &'static str) -> Result<(), String> {
    *field = value.map_err(in_option(name))?;
    Ok(())
}

fn in_option(name: &'static str) -> impl FnOnce(String) -> String {
    move |problem| format!("has an option {name} that {problem}")
}

fn tls<'a>(address: &'a mut RedisAddress, option: &str) -> Result<&'a mut Tls, String> {
    let needs = format!("has the option {option}, which needs rediss instead of redis");
    address.tls.as_mut().ok_or(needs)
}

pub(super) fn database(text: &str) -> Result<u32, String> {
    number(text, 0, DATABASE_MAX).map_err(|_| "names no database: a number is one".to_owned())
}

/// Without braces, which would say where in a cluster a key lies, and without what a pattern is made of.
fn prefix(text: &str) -> Result<Arc<str>, String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':' | b'/');
    if text.bytes().all(fits) {
        plain(text, PREFIX_MAX)
    } else {
        Err("has other characters than letters, digits and _-.:/".to_owned())
    }
}

fn patience(text: &str) -> Result<Duration, String> {
    time(text, Duration::from_millis(10), Duration::from_secs(60))
}

fn lease(text: &str) -> Result<Duration, String> {
    time(text, Duration::from_secs(1), Duration::from_secs(600))
}

/// Digits with `ms` or `s` behind them, or nothing for seconds.
fn time(text: &str, least: Duration, most: Duration) -> Result<Duration, String> {
    let (digits, unit) = match text.strip_suffix("ms") {
        Some(digits) => (digits, 1),
        None => (text.strip_suffix('s').unwrap_or(text), 1000),
    };
    let count = number(digits, 0, u32::MAX).map_err(|_| "is no time")?;
    let time = Duration::from_millis(u64::from(count) * unit);
    if time < least || time > most {
        return Err(format!("is not between {least:?} and {most:?}"));
    }
    Ok(time)
}

/// A text whose `%XX` became bytes; these are UTF-8 and no control characters.
pub(super) fn decoded(text: &str) -> Result<Arc<str>, String> {
    let bad = || "has a % that no two hexadecimal digits follow".to_owned();
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        if first != b'%' {
            bytes.push(first);
            rest = behind;
            continue;
        }
        let (pair, behind) = behind.split_first_chunk::<2>().ok_or_else(bad)?;
        let digit = |byte: u8| char::from(byte).to_digit(16).ok_or_else(bad);
        bytes.push((digit(pair[0])? * 16 + digit(pair[1])?) as u8);
        rest = behind;
    }
    let text = String::from_utf8(bytes).map_err(|_| "is not UTF-8 once its % are decoded")?;
    if text.chars().any(char::is_control) {
        return Err("has a control character in it".to_owned());
    }
    Ok(Arc::from(text))
}
