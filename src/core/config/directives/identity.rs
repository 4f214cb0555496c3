//! The id: where it comes from, its cookie, its scope.

use std::time::Duration;

use super::life::LIFE_MAX;
use super::{Args, Directive, Set};
use crate::core::config::identity::{cookie_name, cookie_path, domain, scope, sources};
use crate::core::config::kinds::{MaxAge, SameSite, Secure};
use crate::core::config::values::{choice, duration};

pub const ID_NAME: Directive = Directive {
    name: "SessionIdName",
    syntax: "NAME",
    args: Args::One,
    default: "session_store",
    allowed: "a cookie name: 1 to 64 letters, digits and !#$%&'*+-.^_`|~",
    htaccess: None,
    help: "name of the cookie",
    set: Set::Place(|place, words, _| {
        place.id_name = Some(cookie_name(words[0])?);
        Ok(())
    }),
};

pub const ID_SOURCE: Directive = Directive {
    name: "SessionIdSource",
    syntax: "[cookie] [header:NAME] [query:NAME]",
    args: Args::Words,
    default: "cookie",
    allowed: "one or more of cookie, header:NAME, query:NAME, each once and in this order",
    htaccess: None,
    help: "where a session id may come from",
    set: Set::Place(|place, words, _| {
        place.id_sources = Some(sources(words)?);
        Ok(())
    }),
};

pub const ID_PATH: Directive = Directive {
    name: "SessionIdPath",
    syntax: "PATH",
    args: Args::One,
    default: "/",
    allowed: "a path of 1 to 1024 bytes that begins with / and has no blank or semicolon in it",
    htaccess: None,
    help: "the cookie's Path",
    set: Set::Place(|place, words, _| {
        place.id_path = Some(cookie_path(words[0])?);
        Ok(())
    }),
};

pub const ID_DOMAIN: Directive = Directive {
    name: "SessionIdDomain",
    syntax: "DOMAIN|none",
    args: Args::One,
    default: "none",
    allowed: "none or a domain name of two labels or more, at most 253 bytes",
    htaccess: None,
    help: "the cookie's Domain",
    set: Set::Place(|place, words, _| {
        place.id_domain = Some(domain(words[0])?);
        Ok(())
    }),
};

pub const ID_SAME_SITE: Directive = Directive {
    name: "SessionIdSameSite",
    syntax: "Strict|Lax|None",
    args: Args::One,
    default: "Lax",
    allowed: "Strict, Lax or None",
    htaccess: None,
    help: "the cookie's SameSite",
    set: Set::Place(|place, words, _| {
        place.id_same_site = Some(choice(words[0], SameSite::WORDS)?);
        Ok(())
    }),
};

pub const ID_SECURE: Directive = Directive {
    name: "SessionIdSecure",
    syntax: "auto|on|off",
    args: Args::One,
    default: "auto",
    allowed: "auto, on or off",
    htaccess: None,
    help: "whether the cookie is Secure; auto: on https",
    set: Set::Place(|place, words, _| {
        place.id_secure = Some(choice(words[0], Secure::WORDS)?);
        Ok(())
    }),
};

pub const ID_HTTP_ONLY: Directive = Directive {
    name: "SessionIdHttpOnly",
    syntax: "on|off",
    args: Args::Flag,
    default: "on",
    allowed: "on or off",
    htaccess: None,
    help: "whether the cookie is HttpOnly",
    set: Set::Flag(|place, on| place.id_http_only = Some(on)),
};

pub const ID_PARTITIONED: Directive = Directive {
    name: "SessionIdPartitioned",
    syntax: "on|off",
    args: Args::Flag,
    default: "off",
    allowed: "on or off",
    htaccess: None,
    help: "whether the cookie is Partitioned",
    set: Set::Flag(|place, on| place.id_partitioned = Some(on)),
};

pub const ID_MAX_AGE: Directive = Directive {
    name: "SessionIdMaxAge",
    syntax: "session|timeout|TIME",
    args: Args::One,
    default: "session",
    allowed: "session, timeout or a time from 1s to 400d, written as 30, 30s, 15m, 12h or 7d",
    htaccess: None,
    help: "how long browsers keep the cookie",
    set: Set::Place(|place, words, _| {
        place.id_max_age = Some(max_age(words[0])?);
        Ok(())
    }),
};

pub const ID_REFRESH: Directive = Directive {
    name: "SessionIdRefresh",
    syntax: "on|off",
    args: Args::Flag,
    default: "off",
    allowed: "on or off",
    htaccess: None,
    help: "whether the cookie is sent again with every answer",
    set: Set::Flag(|place, on| place.id_refresh = Some(on)),
};

pub const ID_HIDE: Directive = Directive {
    name: "SessionIdHide",
    syntax: "on|off",
    args: Args::Flag,
    default: "on",
    allowed: "on or off",
    htaccess: None,
    help: "whether CGI scripts and proxied applications are not shown the cookie",
    set: Set::Flag(|place, on| place.id_hide = Some(on)),
};

pub const SCOPE: Directive = Directive {
    name: "SessionScope",
    syntax: "NAME",
    args: Args::One,
    default: "SessionIdDomain, else ServerName",
    allowed: "a name of 1 to 128 visible ASCII characters",
    htaccess: None,
    help: "hosts and places whose sessions are the same",
    set: Set::Place(|place, words, _| {
        place.scope = Some(scope(words[0])?);
        Ok(())
    }),
};

fn max_age(text: &str) -> Result<MaxAge, String> {
    let words = [("session", MaxAge::Session), ("timeout", MaxAge::Timeout)];
    if let Ok(age) = choice(text, &words) {
        return Ok(age);
    }
    duration(text, Duration::from_secs(1), LIFE_MAX).map(MaxAge::For)
}
