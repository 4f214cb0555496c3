//! The cookies of a visitor: names and values; where they hold is not looked at.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use super::message::Response;

/// Cookies by name.
#[derive(Debug, Clone, Default)]
pub struct Jar {
    cookies: BTreeMap<String, String>,
}

impl Jar {
    /// The value of a cookie.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.cookies.get(name).map(String::as_str)
    }

    /// Puts a cookie in.
    pub fn set(&mut self, name: &str, value: &str) {
        self.cookies.insert(name.to_owned(), value.to_owned());
    }

    /// Takes a cookie out.
    pub fn remove(&mut self, name: &str) {
        self.cookies.remove(name);
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.cookies.is_empty()
    }

    /// The value of the `Cookie` header; none if there is no cookie.
    pub fn header(&self) -> Option<String> {
        let pairs: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if pairs.is_empty() { None } else { Some(pairs.join("; ")) }
    }

    /// Does what the `Set-Cookie` headers of an answer say.
    pub fn learn(&mut self, response: &Response) {
        for line in response.set_cookies() {
            let mut parts = line.split(';').map(str::trim);
            let pair = parts.next().and_then(|pair| pair.split_once('='));
            let Some((name, value)) = pair else { continue };
            if is_over(parts) {
                self.remove(name);
            } else {
                self.set(name, value);
            }
        }
    }
}

/// Whether attributes end the cookie's life; `Max-Age` wins over `Expires`.
fn is_over<'a>(attributes: impl Iterator<Item = &'a str>) -> bool {
    let mut expires = false;
    for (name, value) in attributes.filter_map(|attribute| attribute.split_once('=')) {
        if name.eq_ignore_ascii_case("Max-Age") {
            return value.parse::<i64>().is_ok_and(|seconds| seconds <= 0);
        }
        if name.eq_ignore_ascii_case("Expires") {
            expires = seconds_of(value).is_some_and(|end| end <= now());
        }
    }
    expires
}

/// Seconds since 1970 of a date like `Thu, 01 Jan 1970 00:00:00 GMT`.
fn seconds_of(date: &str) -> Option<i64> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let words: Vec<&str> =
        date.split([' ', '-', ':', ',']).filter(|word| !word.is_empty()).collect();
    let [_, day, month, year, hour, minute, second, "GMT"] = words[..] else { return None };
    let [day, year, hour, minute, second] =
        [day, year, hour, minute, second].map(|number| number.parse::<i64>().ok());
    // Counted in years that begin in March: the leap day is the last of a year.
    let month = (i64::try_from(MONTHS.find(month)?).ok()? / 3 + 10) % 12;
    let year = year? - i64::from(month >= 10);
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 306 + 5) / 10 + day? - 1;
    Some((days - 719_468) * 86_400 + hour? * 3_600 + minute? * 60 + second?)
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock past 1970");
    i64::try_from(since.as_secs()).expect("a clock of this age")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_cookies_are_counted_from_1970() {
        assert_eq!(seconds_of("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(seconds_of("Tue, 29 Feb 2000 12:30:05 GMT"), Some(951_827_405));
        assert_eq!(seconds_of("Sun, 22-Nov-2026 00:00:01 GMT"), Some(1_795_305_601));
        assert_eq!(seconds_of("soon"), None);
    }

    #[test]
    fn a_cookie_that_is_over_leaves_the_jar() {
        let over = |attributes: &str| is_over(attributes.split(';'));
        assert!(over("Path=/;Max-Age=0"));
        assert!(over("Expires=Thu, 01 Jan 1970 00:00:00 GMT"));
        assert!(!over("Max-Age=60;Expires=Thu, 01 Jan 1970 00:00:00 GMT"));
        assert!(!over("Path=/;HttpOnly"));
    }
}
