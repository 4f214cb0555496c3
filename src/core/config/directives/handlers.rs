//! What handlers outside of this process get of the session, and what they may order.

use std::sync::Arc;

use super::{Args, Directive, Set};
use crate::core::config::kinds::{BackendHeaders, Keys};
use crate::core::config::values::{choice, plain};
use crate::core::export::names::is_exportable;
use crate::core::session::values::KEY_MAX;

pub const EXPORT: Directive = Directive {
    name: "SessionExport",
    syntax: "none|env KEY…|headers KEY…",
    args: Args::Words,
    default: "none",
    allowed: "none, or env or headers and then * for every key or the keys, each 1 to 128 letters, \
              digits and _-.",
    htaccess: None,
    help: "which values handlers find in their environment, and proxied applications in headers",
    set: Set::Place(|place, words, _| {
        let (form, names) = words.split_first().ok_or("names nothing")?;
        if form.eq_ignore_ascii_case("none") && names.is_empty() {
            (place.export_env, place.export_headers) = (Some(Keys::None), Some(Keys::None));
        } else if form.eq_ignore_ascii_case("env") {
            place.export_env = Some(keys(names)?);
        } else if form.eq_ignore_ascii_case("headers") {
            place.export_headers = Some(keys(names)?);
        } else {
            return Err("names neither env nor headers".to_owned());
        }
        Ok(())
    }),
};

pub const BACKEND_HEADERS: Directive = Directive {
    name: "SessionBackendHeaders",
    syntax: "off|values|all",
    args: Args::One,
    default: "off",
    allowed: "off, values or all",
    htaccess: None,
    help: "which response headers of scripts and proxied applications change the session",
    set: Set::Place(|place, words, _| {
        place.backend_headers = Some(choice(words[0], BackendHeaders::WORDS)?);
        Ok(())
    }),
};

fn keys(names: &[&str]) -> Result<Keys, String> {
    match names {
        [] => Err("names no key".to_owned()),
        ["*"] => Ok(Keys::All),
        names => {
            let listed: Result<Vec<Arc<str>>, String> =
                names.iter().map(|name| key(name)).collect();
            Ok(Keys::Listed(listed?.into()))
        }
    }
}

fn key(name: &str) -> Result<Arc<str>, String> {
    if !is_exportable(name) {
        return Err("has a key of other characters".to_owned());
    }
    plain(name, KEY_MAX)
}
