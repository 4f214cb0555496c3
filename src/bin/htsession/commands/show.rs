//! `show`: one session with its keys; values only if they are asked for.

use mod_session_store::core::session::values::is_hidden;
use mod_session_store::core::store::StoreError;
use serde::Serialize;

use crate::failure::{Code, Failure};
use crate::find::{find, meant, words};
use crate::located::Located;
use crate::output::{Output, plain};
use crate::sessions::{Row, State, now};
use crate::stores::Opened;

/// A whole session.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    row: Row,
    values: Vec<Value>,
}

/// A key and, if asked for, its value: `text` if it is UTF-8, else `hex`.
#[derive(Serialize)]
struct Value {
    key: String,
    bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hex: Option<String>,
}

pub fn run(
    out: &mut Output,
    opened: &Opened,
    located: &Located,
    session: &str,
    scope: Option<&str>,
    with_values: bool,
) -> Result<(), Failure> {
    let scopes = scopes(located, scope);
    let words = words(&[session.to_owned()])?;
    let [word] = words.as_slice() else {
        return Err(Failure::usage("show takes one session"));
    };
    let key = find(&*opened.store, &meant(word, &scopes)?)?;
    let found = match opened.store.load(&key) {
        Ok(Some(loaded)) => Ok(loaded.record),
        Ok(None) => return Err(Failure::not_found("there is no such session")),
        Err(cause @ (StoreError::Corrupt | StoreError::Newer(_))) => Err(cause),
        Err(cause) => return Err(cause.into()),
    };
    let row = Row::new(&key, &found, None, &scopes, now());
    let damaged = row.state == State::Damaged;
    let values = found.iter().flat_map(|record| record.values.iter());
    let values = values.filter(|(key, _)| !is_hidden(key));
    let values = values.map(|(key, value)| Value::of(key, value, with_values)).collect();
    let shown = Shown { row, values };
    if out.json {
        out.value(&shown)?;
    } else {
        for line in shown.row.lines() {
            out.line(&line)?;
        }
        for value in &shown.values {
            out.line(&value.line())?;
        }
    }
    if damaged {
        Err(Failure { code: Code::Problem, text: "the record is damaged".into() })
    } else {
        Ok(())
    }
}

/// The scopes that an id may be of: the one that is named, else those that httpd told.
pub fn scopes(located: &Located, named: Option<&str>) -> Vec<String> {
    match named {
        Some(scope) => vec![scope.to_owned()],
        None => located.scopes.clone(),
    }
}

impl Value {
    fn of(key: &str, value: &[u8], whole: bool) -> Value {
        let text = std::str::from_utf8(value).ok().filter(|_| whole).map(str::to_owned);
        let hex = (whole && text.is_none())
            .then(|| value.iter().map(|byte| format!("{byte:02x}")).collect());
        Value { key: key.to_owned(), bytes: value.len(), text, hex }
    }

    fn line(&self) -> String {
        let value = match (&self.text, &self.hex) {
            (Some(text), _) => format!(" = {}", plain(text)),
            (None, Some(hex)) => format!(" = 0x{hex}"),
            (None, None) => String::new(),
        };
        format!("  {} ({} bytes){value}", plain(&self.key), self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_shown_when_asked_for_and_cannot_write_to_the_terminal() {
        assert_eq!(Value::of("cart", b"12", false).line(), "  cart (2 bytes)");
        assert_eq!(Value::of("cart", b"1\x1b2", true).line(), "  cart (3 bytes) = 1\\u{1b}2");
        assert_eq!(Value::of("raw", &[0xff, 0], true).line(), "  raw (2 bytes) = 0xff00");
        let json = serde_json::to_string(&Value::of("cart", b"12", false)).unwrap();
        assert_eq!(json, r#"{"key":"cart","bytes":2}"#);
        let json = serde_json::to_string(&Value::of("raw", &[0xff, 0], true)).unwrap();
        assert_eq!(json, r#"{"key":"raw","bytes":2,"hex":"ff00"}"#);
    }
}
