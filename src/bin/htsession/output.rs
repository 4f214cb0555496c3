//! Standard output: text whose control characters are spelled out, or JSON.

use std::fmt::Write as _;
use std::io::{self, BufWriter, Stdout, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use crate::failure::{Code, Failure};

/// Where results go.
pub struct Output {
    out: BufWriter<Stdout>,
    /// Whether they are JSON.
    pub json: bool,
    /// How many members a list that is being written has; none outside of one.
    listed: Option<u64>,
}

impl Output {
    /// The standard output.
    pub fn new(json: bool) -> Output {
        Output { out: BufWriter::new(io::stdout()), json, listed: None }
    }

    /// Writes a line of text.
    pub fn line(&mut self, text: &str) -> Result<(), Failure> {
        Ok(writeln!(self.out, "{text}")?)
    }

    /// Writes a whole value as JSON.
    pub fn value(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        write_json(&mut self.out, value)?;
        Ok(self.out.write_all(b"\n")?)
    }

    /// Begins, or goes on with, a list of JSON values.
    pub fn member(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let before = self.listed.unwrap_or(0);
        self.out.write_all(if before == 0 { b"[\n" } else { b",\n" })?;
        self.listed = Some(before + 1);
        Ok(write_json(&mut self.out, value)?)
    }

    /// Ends such a list, which may have no member.
    pub fn end_list(&mut self) -> Result<(), Failure> {
        let end: &[u8] = if self.listed.take().is_some() { b"\n]\n" } else { b"[]\n" };
        Ok(self.out.write_all(end)?)
    }

    /// Lets everything out.
    pub fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.out.flush()?)
    }
}

/// Who reads the output may have seen enough (`htsession list | head`): that is no failure.
impl From<io::Error> for Failure {
    fn from(cause: io::Error) -> Failure {
        match cause.kind() {
            io::ErrorKind::BrokenPipe => Failure { code: Code::Done, text: String::new() },
            _ => Failure::store(format!("writing the output: {cause}")),
        }
    }
}

/// Whether a character is to be shown by its number: it moves a terminal's cursor, starts a command of
/// the terminal's, or turns the direction of the text around.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{feff}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text in which nothing but its characters reaches a terminal; a backslash is doubled.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => plain.push_str("\\\\"),
            c if is_harmful(c) => plain.extend(c.escape_unicode()),
            c => plain.push(c),
        }
    }
    plain
}

fn write_json(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    value.serialize(&mut Serializer::with_formatter(out, Escaping)).map_err(io::Error::from)
}

/// JSON on one line in which harmful characters are escaped too.
struct Escaping;

impl Formatter for Escaping {
    fn write_string_fragment<W>(&mut self, out: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + Write,
    {
        if !fragment.chars().any(is_harmful) {
            return out.write_all(fragment.as_bytes());
        }
        let mut escaped = String::with_capacity(fragment.len() * 2);
        for c in fragment.chars() {
            if is_harmful(c) {
                // All of them take one unit of UTF-16.
                write!(escaped, "\\u{:04x}", u32::from(c)).map_err(io::Error::other)?;
            } else {
                escaped.push(c);
            }
        }
        out.write_all(escaped.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVIL: &str = "a\u{1b}[31m\n\u{9b}2J\u{202e}b\\c\u{7f}";

    #[test]
    fn what_a_terminal_would_obey_is_spelled_out() {
        assert_eq!(plain(EVIL), "a\\u{1b}[31m\\u{a}\\u{9b}2J\\u{202e}b\\\\c\\u{7f}");
        assert_eq!(plain("größe 日本"), "größe 日本");
    }

    #[test]
    fn json_means_the_same_text_and_has_no_harmful_character() {
        let mut bytes = Vec::new();
        write_json(&mut bytes, &EVIL).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.contains(is_harmful), "{text:?}");
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), EVIL);
    }

    #[test]
    fn all_harmful_characters_fit_into_one_escape() {
        for c in (0..=0x10ffff).filter_map(char::from_u32).filter(|c| is_harmful(*c)) {
            assert_eq!(c.len_utf16(), 1, "{c:?}");
        }
    }
}
