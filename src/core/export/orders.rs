//! What a backend orders by response headers: `X-Session-Set: key=value`, `X-Session-Append:
//! key=more`, `X-Session-Unset: key`, `X-Session-User: name`, `X-Session-Do: word`.
//!
//! Keys and values are percent-encoded. A header may come more than once, or once with its items joined
//! by commas, as CGI hands them over: a comma within an item is always encoded.

use std::fmt;

use super::text::decoded;
use crate::core::config::BackendHeaders;
use crate::core::session::values::Key;
use crate::core::session::{Session, SessionError};

/// Most orders of one answer.
pub const ORDERS_MAX: usize = 256;
/// Most bytes of names and values of the headers they come in.
pub const BYTES_MAX: usize = 1 << 20;

/// A backend orders more than any should; nothing of it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany;

impl fmt::Display for TooMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the answer has more than {ORDERS_MAX} session headers, or more than {} KiB of them",
            BYTES_MAX >> 10
        )
    }
}

/// What is done last, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Do {
    Delete,
    Invalidate,
    Regenerate,
}

/// The orders of one answer.
#[derive(Default)]
pub struct Orders {
    set: Vec<(Key, Vec<u8>)>,
    append: Vec<(Key, Vec<u8>)>,
    unset: Vec<Key>,
    user: Option<Option<String>>,
    users: usize,
    todo: Vec<Do>,
    malformed: usize,
    denied: usize,
}

/// A header that carries orders.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Header {
    Set,
    Append,
    Unset,
    User,
    Do,
}

impl Header {
    fn named(name: &[u8]) -> Option<Header> {
        const NAMES: [(&[u8], Header); 5] = [
            (b"X-Session-Set", Header::Set),
            (b"X-Session-Append", Header::Append),
            (b"X-Session-Unset", Header::Unset),
            (b"X-Session-User", Header::User),
            (b"X-Session-Do", Header::Do),
        ];
        NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, header)| *header)
    }

    fn is_allowed(self, accept: BackendHeaders) -> bool {
        match accept {
            BackendHeaders::Off => false,
            BackendHeaders::Values => !matches!(self, Header::User | Header::Do),
            BackendHeaders::All => true,
        }
    }
}

impl Orders {
    /// Reads the headers of ours that an answer brought. Where none is accepted none is looked at.
    pub fn read<'h>(
        accept: BackendHeaders,
        headers: impl Iterator<Item = (&'h [u8], &'h [u8])>,
    ) -> Result<Orders, TooMany> {
        let mut orders = Orders::default();
        if accept == BackendHeaders::Off {
            return Ok(orders);
        }
        let (mut items, mut bytes) = (0, 0);
        for (name, value) in headers {
            let Some(header) = Header::named(name) else {
                // A name that only resembles one, or a fact that a backend sends back.
                orders.malformed += 1;
                continue;
            };
            bytes += name.len() + value.len();
            items += value.split(|byte| *byte == b',').count();
            if items > ORDERS_MAX || bytes > BYTES_MAX {
                return Err(TooMany);
            }
            if !header.is_allowed(accept) {
                orders.denied += 1;
            } else if header == Header::User {
                orders.user(value);
            } else {
                value.split(|byte| *byte == b',').for_each(|item| orders.item(header, item));
            }
        }
        orders.todo.sort_unstable();
        orders.todo.dedup();
        Ok(orders)
    }

    fn item(&mut self, header: Header, item: &[u8]) {
        let item = item.trim_ascii();
        if item.is_empty() {
            return;
        }
        let known = match header {
            Header::Set => pair(item).map(|pair| self.set.push(pair)),
            Header::Append => pair(item).map(|pair| self.append.push(pair)),
            Header::Unset => key(item).map(|key| self.unset.push(key)),
            Header::Do => word(item).map(|what| self.todo.push(what)),
            Header::User => None,
        };
        self.malformed += usize::from(known.is_none());
    }

    /// One user, or an empty name that logs out. Of two, or of a name cut by a comma, none is taken:
    /// half a name would be somebody else's.
    fn user(&mut self, value: &[u8]) {
        let name = Some(value.trim_ascii()).filter(|value| !value.contains(&b','));
        let name = name.and_then(decoded).and_then(|name| String::from_utf8(name).ok());
        self.users += 1;
        self.malformed += usize::from(name.is_none() || self.users > 1);
        self.user =
            name.filter(|_| self.users == 1).map(|name| Some(name).filter(|name| !name.is_empty()));
    }

    /// Whether there is nothing to be done.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
            && self.append.is_empty()
            && self.unset.is_empty()
            && self.user.is_none()
            && self.todo.is_empty()
    }

    /// How many made no sense.
    pub fn malformed(&self) -> usize {
        self.malformed
    }

    /// How many only `SessionBackendHeaders all` would allow.
    pub fn denied(&self) -> usize {
        self.denied
    }

    /// Does them to a session that is open for writing: set, append, unset, user, and what is to be
    /// done with the session as a whole. Goes on after an error and reports the first.
    pub fn apply(self, session: &mut Session) -> Result<(), SessionError> {
        let mut first = Ok(());
        let mut note = |outcome: Result<(), SessionError>| {
            if first.is_ok() {
                first = outcome;
            }
        };
        for (key, value) in &self.set {
            note(session.set(key, value));
        }
        for (key, more) in &self.append {
            let value = [session.get(key).unwrap_or_default(), more].concat();
            note(session.set(key, &value));
        }
        for key in &self.unset {
            note(session.unset(key).map(drop));
        }
        if let Some(user) = &self.user {
            note(session.set_user(user.as_deref()));
        }
        for what in &self.todo {
            note(forgiving(match what {
                Do::Delete => session.delete(),
                Do::Invalidate => session.invalidate(),
                Do::Regenerate => session.regenerate(),
            }));
        }
        first
    }
}

/// There is nothing to be ended or renewed where there is no session; through an old id the session
/// has a new one already.
fn forgiving(outcome: Result<(), SessionError>) -> Result<(), SessionError> {
    match outcome {
        Err(SessionError::NoSession | SessionError::ThroughAlias) => Ok(()),
        other => other,
    }
}

fn pair(item: &[u8]) -> Option<(Key, Vec<u8>)> {
    let at = item.iter().position(|byte| *byte == b'=')?;
    let (name, value) = (&item[..at], &item[at + 1..]);
    Some((key(name)?, decoded(value)?))
}

fn key(text: &[u8]) -> Option<Key> {
    Key::from_bytes(&decoded(text)?)
}

fn word(text: &[u8]) -> Option<Do> {
    const WORDS: [(&[u8], Do); 3] =
        [(b"delete", Do::Delete), (b"invalidate", Do::Invalidate), (b"regenerate", Do::Regenerate)];
    WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(text)).map(|(_, what)| *what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn read(accept: BackendHeaders, headers: &[(&str, &str)]) -> Result<Orders, TooMany> {
        let headers = headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        Orders::read(accept, headers)
    }

    fn all(headers: &[(&str, &str)]) -> Orders {
        read(BackendHeaders::All, headers).unwrap()
    }

    fn pairs(of: &[(Key, Vec<u8>)]) -> Vec<(&str, &[u8])> {
        of.iter().map(|(key, value)| (key.as_str(), value.as_slice())).collect()
    }

    #[test]
    fn headers_may_be_repeated_or_joined_and_are_decoded() {
        let orders = all(&[
            ("X-Session-Set", "a=1, two words=x%2Cy%3D%00 ,,b="),
            ("x-session-set", "gr%C3%B6%C3%9Fe=a=b"),
            ("X-Session-Append", "a=%20more"),
            ("X-Session-Unset", "c, d%2Ce"),
        ]);
        let set: [(&str, &[u8]); 4] =
            [("a", b"1"), ("two words", b"x,y=\0"), ("b", b""), ("größe", b"a=b")];
        assert_eq!(pairs(&orders.set), set);
        assert_eq!(pairs(&orders.append), [("a", b" more".as_slice())]);
        assert_eq!(orders.unset, [Key::new("c").unwrap(), Key::new("d,e").unwrap()]);
        assert_eq!(orders.malformed(), 0);
    }

    #[test]
    fn what_makes_no_sense_is_counted_and_not_done() {
        let long = format!("{}=1", "k".repeat(129));
        for (name, value) in [
            ("X-Session-Set", "no equals sign"),
            ("X-Session-Set", "=1"),
            ("X-Session-Set", "a=%4"),
            ("X-Session-Set", "a%0D%0A=1"),
            ("X-Session-Set", "a%00=1"),
            ("X-Session-Set", "%ff=1"),
            ("X-Session-Set", &long),
            ("X-Session-Append", "a"),
            ("X-Session-Unset", "%zz"),
            ("X-Session-User", "Doe, John"),
            ("X-Session-User", "%ff"),
            ("X-Session-Do", "destroy"),
            ("X_Session_Set", "a=1"),
            ("X-Session-Value-a", "1"),
        ] {
            let orders = all(&[(name, value)]);
            assert!(orders.is_empty() && orders.malformed() == 1, "{name}: {value}");
        }
    }

    #[test]
    fn of_two_users_none_is_taken() {
        let twice = [("X-Session-User", "ann"), ("X-Session-User", "bob")];
        let orders = all(&[&twice[..], &twice[..1]].concat());
        assert_eq!((orders.user, orders.malformed), (None, 2));
        assert_eq!(all(&[("X-Session-User", "a%2Cb")]).user, Some(Some("a,b".to_owned())));
        assert_eq!(all(&[("X-Session-User", "")]).user, Some(None));
    }

    #[test]
    fn user_and_deeds_need_all_and_nothing_is_read_where_it_is_off() {
        let headers =
            [("X-Session-Set", "a=1"), ("X-Session-User", "ann"), ("X-Session-Do", "invalidate")];
        let orders = read(BackendHeaders::Values, &headers).unwrap();
        assert_eq!((orders.set.len(), orders.denied()), (1, 2));
        assert!(orders.user.is_none() && orders.todo.is_empty());
        let many = vec![("X-Session-Set", "a=1"); 10_000];
        assert!(read(BackendHeaders::Off, &many).unwrap().is_empty());
    }

    #[test]
    fn deeds_have_an_order_of_their_own() {
        let orders = all(&[("X-Session-Do", "Regenerate, delete, regenerate")]);
        assert_eq!(orders.todo, [Do::Delete, Do::Regenerate]);
    }

    #[test]
    fn more_than_a_backend_should_send_is_refused_as_a_whole() {
        let at_most = vec![("X-Session-Set", "a=1"); ORDERS_MAX];
        assert_eq!(all(&at_most).set.len(), ORDERS_MAX);
        let many = vec![("X-Session-Set", "a=1"); ORDERS_MAX + 1];
        assert_eq!(read(BackendHeaders::Values, &many).err(), Some(TooMany));
        let joined = vec!["a=1"; ORDERS_MAX + 1].join(", ");
        let joined = [("X-Session-Set", joined.as_str())];
        assert_eq!(read(BackendHeaders::Values, &joined).err(), Some(TooMany));
        let long = format!("a={}", "x".repeat(BYTES_MAX));
        let long = [("X-Session-Set", long.as_str())];
        assert_eq!(read(BackendHeaders::Values, &long).err(), Some(TooMany));
    }

    proptest! {
        #[test]
        fn no_headers_panic(
            headers in vec((
                prop_oneof!["X-Session-(Set|Append|Unset|User|Do)", "[xX_.a-zA-Z-]{0,20}"],
                vec(any::<u8>(), 0..60),
            ), 0..40),
        ) {
            let headers = headers.iter().map(|(name, value)| (name.as_bytes(), value.as_slice()));
            let orders = Orders::read(BackendHeaders::All, headers);
            prop_assert!(orders.is_ok());
        }
    }
}
