//! The session on its way out: as environment variables, as request headers.

use std::time::Duration;

use super::names::{Fact, is_exportable, value_header, value_variable};
use super::text::{encoded, encoded_len};
use crate::core::clock::Clock;
use crate::core::config::Keys;
use crate::core::session::Session;
use crate::core::session::candidates::Reason;

/// Longest value, in bytes once it is encoded: a header line of 8 KiB is refused by most backends.
pub const VALUE_MAX: usize = 4 << 10;
/// Most bytes of names and encoded values in all.
pub const ALL_MAX: usize = 32 << 10;

/// How the session travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As environment variables.
    Environment,
    /// As request headers.
    Headers,
}

/// What is told of a session beside its values.
#[derive(Debug, Clone, Copy, Default)]
pub struct Facts<'s> {
    /// Who is logged in.
    pub user: Option<&'s str>,
    /// It was found, not made by this request.
    pub found: bool,
    /// Why it was not found.
    pub reason: Reason,
    /// How long it lives if nobody comes again.
    pub idle_left: Option<Duration>,
    /// How long it lives at most.
    pub age_left: Option<Duration>,
}

impl<'s> Facts<'s> {
    /// Of a session that is open.
    pub fn of(session: &'s Session, clock: &dyn Clock) -> Facts<'s> {
        Facts {
            user: session.user(),
            found: !session.is_new(),
            reason: session.reason(),
            idle_left: session.idle_left(clock),
            age_left: session.age_left(clock),
        }
    }

    fn texts(&self) -> impl Iterator<Item = (Fact, String)> {
        let seconds = |left: Duration| left.as_secs().to_string();
        let new = if self.found { "0" } else { "1" };
        [
            (Fact::User, self.user.map(|user| encoded(user.as_bytes()))),
            (Fact::New, Some(new.to_owned())),
            (Fact::Reason, Some(self.reason.word().to_owned())),
            (Fact::IdleLeft, self.idle_left.map(seconds)),
            (Fact::AgeLeft, self.age_left.map(seconds)),
        ]
        .into_iter()
        .filter_map(|(fact, text)| Some((fact, text?)))
    }
}

/// Names and values of printable ASCII.
#[derive(Default, PartialEq, Eq)]
pub struct Exported {
    pairs: Vec<(String, String)>,
    bytes: usize,
    skipped: usize,
}

impl Exported {
    /// The facts, and of `values` those that `keys` names, in their order. A key that is no name, one
    /// whose name another key has already, and what goes past a limit are left out and counted; nothing
    /// is cut.
    pub fn of<'v>(
        form: Form,
        keys: &Keys,
        facts: &Facts<'_>,
        values: impl Iterator<Item = (&'v str, &'v [u8])>,
    ) -> Exported {
        let mut exported = Exported::default();
        for (fact, text) in facts.texts() {
            let name = match form {
                Form::Environment => fact.variable(),
                Form::Headers => fact.header(),
            };
            exported.add(name.to_owned(), text.len(), || text);
        }
        for (key, value) in values.filter(|(key, _)| keys.has(key)) {
            if !is_exportable(key) {
                exported.skipped += 1;
                continue;
            }
            let name = match form {
                Form::Environment => value_variable(key),
                Form::Headers => value_header(key),
            };
            exported.add(name, encoded_len(value), || encoded(value));
        }
        exported
    }

    fn add(&mut self, name: String, len: usize, text: impl FnOnce() -> String) {
        let bytes = self.bytes + name.len() + len;
        let taken = || self.pairs.iter().any(|(known, _)| known.eq_ignore_ascii_case(&name));
        if len > VALUE_MAX || bytes > ALL_MAX || taken() {
            self.skipped += 1;
            return;
        }
        self.bytes = bytes;
        self.pairs.push((name, text()));
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many were left out.
    pub fn skipped(&self) -> usize {
        self.skipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn export(form: Form, keys: &Keys, values: &[(&str, &[u8])]) -> Exported {
        let facts = Facts { reason: Reason::Unknown, ..Facts::default() };
        Exported::of(form, keys, &facts, values.iter().copied())
    }

    fn values_of(exported: &Exported) -> Vec<(&str, &str)> {
        exported.iter().filter(|(name, _)| name.to_ascii_uppercase().contains("VALUE")).collect()
    }

    #[test]
    fn facts_come_with_whatever_is_exported() {
        let exported = export(Form::Environment, &Keys::All, &[]);
        let pairs: Vec<_> = exported.iter().collect();
        assert_eq!(pairs, [("SESSION_NEW", "1"), ("SESSION_REASON", "unknown")]);
        let facts = Facts {
            user: Some("ann, of Ü"),
            found: true,
            reason: Reason::None,
            idle_left: Some(Duration::from_secs(1800)),
            age_left: Some(Duration::from_secs(86_399)),
        };
        let exported = Exported::of(Form::Headers, &Keys::All, &facts, std::iter::empty());
        let pairs: Vec<_> = exported.iter().collect();
        assert_eq!(
            pairs,
            [
                ("X-Session-User", "ann%2C of %C3%9C"),
                ("X-Session-New", "0"),
                ("X-Session-Reason", "none"),
                ("X-Session-Idle-Left", "1800"),
                ("X-Session-Age-Left", "86399"),
            ]
        );
    }

    #[test]
    fn listed_keys_are_exported_and_no_others() {
        let keys = Keys::Listed(["cart".into(), "User.Name".into()].into());
        let values: [(&str, &[u8]); 3] =
            [("Cart", b"3"), ("secret", b"x"), ("user.name", b"Ann, B")];
        assert_eq!(
            values_of(&export(Form::Environment, &keys, &values)),
            [("SESSION_VALUE_CART", "3"), ("SESSION_VALUE_USER_NAME", "Ann%2C B")]
        );
        assert_eq!(
            values_of(&export(Form::Headers, &keys, &values)),
            [("X-Session-Value-Cart", "3"), ("X-Session-Value-user-name", "Ann%2C B")]
        );
    }

    #[test]
    fn of_two_keys_of_one_name_the_first_is_exported() {
        let values: [(&str, &[u8]); 3] = [("a.b", b"1"), ("A_B", b"2"), ("a-b", b"3")];
        for form in [Form::Environment, Form::Headers] {
            let exported = export(form, &Keys::All, &values);
            assert_eq!((values_of(&exported)[0].1, values_of(&exported).len()), ("1", 1));
            assert_eq!(exported.skipped(), 2);
        }
    }

    #[test]
    fn keys_that_are_no_names_are_counted_if_they_were_asked_for() {
        let values: [(&str, &[u8]); 3] = [("a b", b"1"), ("größe", b"2"), ("x:y", b"3")];
        assert_eq!(export(Form::Headers, &Keys::All, &values).skipped(), 3);
        let keys = Keys::Listed(["c".into()].into());
        assert_eq!(export(Form::Headers, &keys, &values).skipped(), 0);
    }

    #[test]
    fn what_goes_past_a_limit_is_left_out_whole() {
        let long = vec![b'x'; VALUE_MAX + 1];
        let encoded_long = vec![b'%'; VALUE_MAX / 3 + 1];
        let fits = &long[1..];
        let values: Vec<(String, &[u8])> = std::iter::repeat_n(fits, 8)
            .chain([&long[..], &encoded_long[..], &b"small"[..]])
            .enumerate()
            .map(|(at, value)| (format!("k{at}"), value))
            .collect();
        let values: Vec<(&str, &[u8])> = values.iter().map(|(k, v)| (k.as_str(), *v)).collect();
        let exported = export(Form::Headers, &Keys::All, &values);
        // Seven of 4 KiB, and the small one: the eighth does not fit beside the names.
        assert_eq!((values_of(&exported).len(), exported.skipped()), (8, 3));
        assert_eq!(values_of(&exported)[7].1, "small");
    }

    proptest! {
        #[test]
        fn nothing_that_is_exported_can_end_its_line_or_pass_a_limit(
            values in vec(("[ -~\u{e4}]{1,9}", vec(any::<u8>(), 0..6000)), 0..20),
        ) {
            let values: Vec<(&str, &[u8])> =
                values.iter().map(|(key, value)| (key.as_str(), value.as_slice())).collect();
            for form in [Form::Environment, Form::Headers] {
                let exported = export(form, &Keys::All, &values);
                let mut all = 0;
                for (name, value) in exported.iter() {
                    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
                    prop_assert!(name.bytes().all(allowed));
                    prop_assert!(value.bytes().all(|b| (b' '..=b'~').contains(&b)));
                    prop_assert!(value.len() <= VALUE_MAX);
                    all += name.len() + value.len();
                }
                prop_assert!(all <= ALL_MAX);
                prop_assert_eq!(exported.iter().count() + exported.skipped(), values.len() + 2);
            }
        }
    }
}
