//! Keeping caches from showing one visitor's page to another (RFC 9111).

use crate::core::config::Sources;

/// What `Cache-Control` has to say of an answer that depends on a session; none if it says so
/// already.
///
/// `private, no-cache` replaces whatever was said, unless that was stricter: `private` or
/// `no-store`.
/// With a `Set-Cookie` it must be `no-store`, since some caches keep the cookie with the page.
pub fn control<'h>(said: impl Iterator<Item = &'h [u8]>, with_cookie: bool) -> Option<String> {
    let said: Vec<String> = said.map(|value| String::from_utf8_lossy(value).into_owned()).collect();
    let has = |wanted: &str| {
        // `private="Set-Cookie"` protects one header only.
        said.iter().any(|value| directives(value).any(|one| one.eq_ignore_ascii_case(wanted)))
    };
    match (has("no-store"), has("private"), with_cookie) {
        (true, _, _) | (_, true, false) => None,
        (false, true, true) => Some(format!("{}, no-store", said.join(", "))),
        (false, false, false) => Some("private, no-cache".to_owned()),
        (false, false, true) => Some("private, no-cache, no-store".to_owned()),
    }
}

/// The directives of a `Cache-Control`; a comma within quotes is part of one.
fn directives(value: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let outside = move |c: char| {
        quoted ^= c == '"';
        c == ',' && !quoted
    };
    value.split(outside).map(str::trim)
}

/// What `Vary` has to name: each header an id may come from. None if it does so already.
pub fn vary<'h>(said: impl Iterator<Item = &'h [u8]>, sources: &Sources) -> Option<String> {
    let mut names: Vec<String> = said
        .flat_map(|value| value.split(|&byte| byte == b','))
        .map(|name| String::from_utf8_lossy(name.trim_ascii()).into_owned())
        .filter(|name| !name.is_empty())
        .collect();
    let before = names.len();
    let cookie = sources.cookie.then_some("Cookie");
    for wanted in cookie.into_iter().chain(sources.header.as_deref()) {
        if !names.iter().any(|name| name == "*" || name.eq_ignore_ascii_case(wanted)) {
            names.push(wanted.to_owned());
        }
    }
    (names.len() > before).then(|| names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(value: &str, with_cookie: bool) -> Option<String> {
        control((!value.is_empty()).then_some(value.as_bytes()).into_iter(), with_cookie)
    }

    #[test]
    fn what_lets_caches_keep_the_page_is_replaced() {
        let quoted = "public, no-cache=\"a, private, no-store\"";
        for value in ["", "public, max-age=600", "max-age=0", "private=\"Set-Cookie\"", quoted] {
            assert_eq!(said(value, false).as_deref(), Some("private, no-cache"), "{value}");
            assert_eq!(said(value, true).as_deref(), Some("private, no-cache, no-store"));
        }
    }

    #[test]
    fn what_is_stricter_stays() {
        assert_eq!(said("Private, max-age=60", false), None);
        assert_eq!(said("no-store", false), None);
        assert_eq!(said("no-store", true), None);
        assert_eq!(said("private", true).as_deref(), Some("private, no-store"));
    }

    #[test]
    fn vary_names_the_sources_of_ids_once() {
        let cookie = Sources::COOKIE;
        let none = std::iter::empty::<&[u8]>;
        assert_eq!(vary(none(), &cookie).as_deref(), Some("Cookie"));
        let one = |value: &'static str| std::iter::once(value.as_bytes());
        assert_eq!(
            vary(one("Accept-Encoding"), &cookie).as_deref(),
            Some("Accept-Encoding, Cookie")
        );
        assert_eq!(vary(one("accept, cookie"), &cookie), None);
        assert_eq!(vary(one("*"), &cookie), None);
    }
}
