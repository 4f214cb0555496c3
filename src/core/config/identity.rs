//! Argument texts about the id and its cookie: names, paths, domains, scopes, sources.

use std::sync::Arc;

use super::kinds::Sources;
use super::values::plain;
use crate::core::export::names::is_reserved;

/// Longest name of a cookie, header or query parameter, in bytes.
const NAME_MAX: usize = 64;
/// Longest scope, in bytes.
const SCOPE_MAX: usize = 128;
/// Longest domain, in bytes: DNS has no longer ones.
const DOMAIN_MAX: usize = 253;
/// Longest cookie path, in bytes: browsers ignore longer attributes.
const COOKIE_PATH_MAX: usize = 1024;

/// The name of a cookie: a token of RFC 6265.
pub fn cookie_name(text: &str) -> Result<Arc<str>, String> {
    token(text)
}

/// The attribute `Path`.
pub fn cookie_path(text: &str) -> Result<Arc<str>, String> {
    if !text.starts_with('/') {
        return Err("does not begin with /".to_owned());
    }
    if !text.bytes().all(|b| b.is_ascii_graphic() && b != b';') {
        return Err("has a blank, a semicolon or a character outside ASCII in it".to_owned());
    }
    plain(text, COOKIE_PATH_MAX)
}

/// The attribute `Domain`, in lower case and without a dot in front, which browsers ignore; none for
/// the word `none`.
pub fn domain(text: &str) -> Result<Option<Arc<str>>, String> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(None);
    }
    let name = text.strip_prefix('.').unwrap_or(text).to_ascii_lowercase();
    if name.len() > DOMAIN_MAX {
        return Err(format!("is longer than {DOMAIN_MAX} bytes"));
    }
    let labels: Vec<&str> = name.split('.').collect();
    if !labels.iter().all(|label| is_label(label)) {
        return Err("is no host name of letters, digits and hyphens".to_owned());
    }
    let is_number = |label: &&str| label.bytes().all(|b| b.is_ascii_digit());
    if labels.last().is_some_and(is_number) {
        return Err("is an address, for which browsers take no domain".to_owned());
    }
    if labels.len() < 2 {
        return Err("has one label only, for which browsers take no domain".to_owned());
    }
    Ok(Some(Arc::from(name)))
}

/// The name of a scope.
pub fn scope(text: &str) -> Result<Arc<str>, String> {
    if !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("has a blank or a character outside ASCII in it".to_owned());
    }
    plain(text, SCOPE_MAX)
}

/// Where ids come from: `cookie`, `header:NAME`, `query:NAME`, each at most once and in this order.
pub fn sources(words: &[&str]) -> Result<Sources, String> {
    let mut sources = Sources { cookie: false, header: None, query: None };
    let mut last = 0;
    for word in words {
        let place = match word.split_once(':') {
            None if word.eq_ignore_ascii_case("cookie") => {
                sources.cookie = true;
                1
            }
            Some((kind, name)) if kind.eq_ignore_ascii_case("header") => {
                sources.header = Some(header_name(name)?);
                2
            }
            Some((kind, name)) if kind.eq_ignore_ascii_case("query") => {
                sources.query = Some(query_name(name)?);
                3
            }
            _ => return Err("names a source other than cookie, header: and query:".to_owned()),
        };
        if place <= last {
            return Err("names a source twice or out of this order, in which they are tried".into());
        }
        last = place;
    }
    if last == 0 {
        return Err("names no source".to_owned());
    }
    Ok(sources)
}

fn header_name(text: &str) -> Result<Arc<str>, String> {
    if is_reserved(text) {
        return Err("has a header name that begins like one this module gives to backends".into());
    }
    token(text)
}

/// Letters that no client and no browser encodes, so that the name is compared byte by byte.
fn query_name(text: &str) -> Result<Arc<str>, String> {
    if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b)) {
        return Err("has a character other than letters, digits and -._~ in the query name".into());
    }
    plain(text, NAME_MAX)
}

fn token(text: &str) -> Result<Arc<str>, String> {
    if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)) {
        return Err("has a character other than letters, digits and !#$%&'*+-.^_`|~ in it".into());
    }
    plain(text, NAME_MAX)
}

fn is_label(label: &str) -> bool {
    let inner = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    inner && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_name_is_a_token() {
        for good in ["session_store", "__Host-id", "a", &"n".repeat(NAME_MAX)] {
            assert!(cookie_name(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "a=b", "a;b", "a,b", "\"a\"", "größe", "a/b", &"n".repeat(65)] {
            assert!(cookie_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_cookie_path_is_absolute_and_cannot_end_its_attribute() {
        assert!(cookie_path("/").is_ok() && cookie_path("/shop/a%20b").is_ok());
        for bad in ["", "shop", "/a;b", "/a b", "/ä", "/a\r", &format!("/{}", "p".repeat(1024))] {
            assert!(cookie_path(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_domain_is_a_name_of_two_labels_or_more() {
        let read = |text| domain(text).map(|name| name.map(|name| name.to_string()));
        assert_eq!(read(".Example.ORG"), Ok(Some("example.org".to_owned())));
        assert_eq!(read("None"), Ok(None));
        let long = vec!["abcdefghi"; 26].join(".");
        for bad in
            ["", ".", "localhost", "a..b", "-a.b", "a.b-", "127.0.0.1", "a b.c", "[::1]", &long]
        {
            assert!(domain(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_scope_is_visible_ascii() {
        assert!(scope("shop.example.org:8080").is_ok());
        for bad in ["", "a b", "ä", "\t", &"s".repeat(SCOPE_MAX + 1)] {
            assert!(scope(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sources_are_named_once_and_in_the_order_in_which_they_are_tried() {
        let all = sources(&["cookie", "Header:X-Session-Id", "query:sid"]).unwrap();
        assert!(all.cookie);
        assert_eq!(all.header.as_deref(), Some("X-Session-Id"));
        assert_eq!(all.query.as_deref(), Some("sid"));
        assert_eq!(sources(&["cookie"]), Ok(Sources::COOKIE));
        assert!(!sources(&["query:sid"]).unwrap().cookie);
        for bad in [
            &[][..],
            &["cookie", "cookie"],
            &["header:A", "cookie"],
            &["header:A", "header:B"],
            &["query:q", "header:A"],
            &["body:x"],
            &["header"],
            &["header:"],
            &["header:a b"],
            &["query:"],
            &["query:a=b"],
            &["query:a%62"],
            &["cookie:name"],
        ] {
            assert!(sources(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn headers_of_the_module_itself_are_no_source_however_they_are_spelled() {
        for name in [
            "X-Session-User",
            "x_session_user",
            "X.Session-Value_Cart",
            "X-SESSION-SET",
            "X-Session-Append",
            "X-Session-Unset",
            "X-Session-Do",
            "x-session-idle_left",
        ] {
            assert!(sources(&[&format!("header:{name}")]).is_err(), "{name}");
        }
        assert!(sources(&["header:X-Session-Id"]).is_ok());
    }
}
