//! Writing `Set-Cookie`.

use std::fmt::{self, Write};
use std::time::Duration;

use crate::core::config::SameSite;

/// A cookie to be set, or cleared by the same attributes.
#[derive(Clone, PartialEq, Eq)]
pub struct SetCookie<'a> {
    /// Its name.
    pub name: &'a str,
    /// `Path`.
    pub path: &'a str,
    /// `Domain`; none: the host that sent it only.
    pub domain: Option<&'a str>,
    /// `Max-Age`; none: until the browser is closed.
    pub max_age: Option<Duration>,
    /// `SameSite`.
    pub same_site: SameSite,
    /// `Secure`.
    pub secure: bool,
    /// `HttpOnly`.
    pub http_only: bool,
    /// `Partitioned`.
    pub partitioned: bool,
}

impl SetCookie<'_> {
    /// The header's value that sets the cookie to `value`.
    pub fn set(&self, value: &str) -> String {
        let mut line = format!("{}={value}", self.name);
        self.attributes(&mut line, self.max_age).unwrap_or_default();
        line
    }

    /// The header's value that makes the browser drop the cookie: same name, path, domain and
    /// partition, in the past.
    pub fn clear(&self) -> String {
        let mut line = format!("{}=", self.name);
        self.attributes(&mut line, Some(Duration::ZERO)).unwrap_or_default();
        line.push_str("; Expires=Thu, 01 Jan 1970 00:00:00 GMT");
        line
    }

    /// Writing to a `String` does not fail.
    fn attributes(&self, line: &mut String, max_age: Option<Duration>) -> fmt::Result {
        write!(line, "; Path={}", self.path)?;
        if let Some(domain) = self.domain {
            write!(line, "; Domain={domain}")?;
        }
        if let Some(age) = max_age {
            write!(line, "; Max-Age={}", age.as_secs())?;
        }
        if self.secure {
            line.push_str("; Secure");
        }
        if self.http_only {
            line.push_str("; HttpOnly");
        }
        line.push_str(match self.same_site {
            SameSite::Lax => "; SameSite=Lax",
            SameSite::Strict => "; SameSite=Strict",
            SameSite::None => "; SameSite=None",
        });
        if self.partitioned {
            line.push_str("; Partitioned");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> SetCookie<'static> {
        SetCookie {
            name: "session_store",
            path: "/",
            domain: None,
            max_age: None,
            same_site: SameSite::Lax,
            secure: false,
            http_only: true,
            partitioned: false,
        }
    }

    #[test]
    fn the_default_cookie_lives_until_the_browser_closes() {
        assert_eq!(plain().set("id"), "session_store=id; Path=/; HttpOnly; SameSite=Lax");
    }

    #[test]
    fn every_attribute_is_written() {
        let full = SetCookie {
            domain: Some("example.org"),
            max_age: Some(Duration::from_secs(60)),
            same_site: SameSite::None,
            secure: true,
            partitioned: true,
            ..plain()
        };
        assert_eq!(
            full.set("id"),
            "session_store=id; Path=/; Domain=example.org; Max-Age=60; Secure; HttpOnly; \
             SameSite=None; Partitioned"
        );
    }

    #[test]
    fn clearing_names_the_same_cookie_and_lies_in_the_past() {
        let cookie = SetCookie { domain: Some("example.org"), path: "/shop", ..plain() };
        let line = cookie.clear();
        assert!(line.starts_with("session_store=; Path=/shop; Domain=example.org; Max-Age=0;"));
        assert!(line.ends_with("Expires=Thu, 01 Jan 1970 00:00:00 GMT"));
    }
}
