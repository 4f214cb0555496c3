//! The names under which a session travels.

/// In front of a key in the name of a request header.
pub const HEADER_VALUE: &str = "X-Session-Value-";
/// In front of a key in the name of an environment variable.
pub const ENV_VALUE: &str = "SESSION_VALUE_";

/// In front of every header name of ours, folded as [`folded`] folds.
const HEADER_PREFIX: &[u8] = b"x-session-";
/// The rest of a header name that carries a value begins like this.
const VALUE: &[u8] = b"value-";
/// The rest of every other header name: facts on their way out, orders on the way back.
const WHOLE: [&[u8]; 9] =
    [b"user", b"new", b"reason", b"idle-left", b"age-left", b"set", b"append", b"unset", b"do"];
/// What httpd puts in front of the variables of a request that was redirected.
const REDIRECTED: &[u8] = b"REDIRECT_";

/// What is told of every session, beside its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// Who is logged in; absent: nobody.
    User,
    /// 1 or 0.
    New,
    /// Why it is new.
    Reason,
    /// Seconds until it ends if nobody comes again; absent for a new one.
    IdleLeft,
    /// Seconds until it ends however much it is used; absent without such an end.
    AgeLeft,
}

impl Fact {
    /// Its environment variable.
    pub const fn variable(self) -> &'static str {
        match self {
            Fact::User => "SESSION_USER",
            Fact::New => "SESSION_NEW",
            Fact::Reason => "SESSION_REASON",
            Fact::IdleLeft => "SESSION_IDLE_LEFT",
            Fact::AgeLeft => "SESSION_AGE_LEFT",
        }
    }

    /// Its request header.
    pub const fn header(self) -> &'static str {
        match self {
            Fact::User => "X-Session-User",
            Fact::New => "X-Session-New",
            Fact::Reason => "X-Session-Reason",
            Fact::IdleLeft => "X-Session-Idle-Left",
            Fact::AgeLeft => "X-Session-Age-Left",
        }
    }

    const ALL: [Fact; 5] = [Fact::User, Fact::New, Fact::Reason, Fact::IdleLeft, Fact::AgeLeft];
}

/// Backends fold header names into variables: case goes, and so does what tells `-`, `_`, `.` and other
/// signs apart.
const fn folded(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' }
}

/// What follows `prefix`, which is folded already.
fn behind<'n>(name: &'n [u8], prefix: &[u8]) -> Option<&'n [u8]> {
    let (head, rest) = name.split_at_checked(prefix.len())?;
    head.iter().map(|byte| folded(*byte)).eq(prefix.iter().copied()).then_some(rest)
}

/// Whether a backend could take a header of this name for one of ours.
pub fn is_ours(name: &[u8]) -> bool {
    // Nearly all names of others are told apart by their first byte.
    if !matches!(name.first(), Some(b'x' | b'X')) {
        return false;
    }
    let Some(rest) = behind(name, HEADER_PREFIX) else { return false };
    behind(rest, VALUE).is_some()
        || WHOLE.iter().any(|whole| behind(rest, whole).is_some_and(<[u8]>::is_empty))
}

/// Whether a header name begins like one of ours: too close to carry anything else.
pub fn is_reserved(name: &str) -> bool {
    behind(name.as_bytes(), HEADER_PREFIX).is_some_and(|rest| {
        behind(rest, VALUE).is_some() || WHOLE.iter().any(|whole| behind(rest, whole).is_some())
    })
}

/// What an environment variable is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variable {
    /// One that we set, or one made of a header that we set.
    Ours,
    /// The cookies of the client.
    Cookies,
    /// Somebody else's.
    Other,
}

/// What the variable `name` is, as it is or as a redirect has renamed it.
pub fn variable(name: &[u8]) -> Variable {
    let name = original(name).0;
    if let Some(header) = starts(name, b"HTTP_") {
        return if header.eq_ignore_ascii_case(b"COOKIE") {
            Variable::Cookies
        } else if is_ours(header) {
            Variable::Ours
        } else {
            Variable::Other
        };
    }
    if !matches!(name.first(), Some(b's' | b'S')) {
        return Variable::Other;
    }
    let fact = |fact: &Fact| name.eq_ignore_ascii_case(fact.variable().as_bytes());
    match starts(name, ENV_VALUE.as_bytes()).is_some() || Fact::ALL.iter().any(fact) {
        true => Variable::Ours,
        false => Variable::Other,
    }
}

/// Whether a redirect has renamed the variable.
pub fn is_redirected(name: &[u8]) -> bool {
    original(name).1
}

fn original(mut name: &[u8]) -> (&[u8], bool) {
    let mut redirected = false;
    while let Some(rest) = starts(name, REDIRECTED) {
        (name, redirected) = (rest, true);
    }
    (name, redirected)
}

fn starts<'n>(name: &'n [u8], prefix: &[u8]) -> Option<&'n [u8]> {
    let (head, rest) = name.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// Whether a key can be part of a name: letters, digits, `_`, `-` and `.` of ASCII.
pub fn is_exportable(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
}

/// The variable of a key that is exportable: upper case, the rest `_`.
pub fn value_variable(key: &str) -> String {
    let name =
        |byte: u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_uppercase() } else { b'_' };
    ENV_VALUE.bytes().chain(key.bytes().map(name)).map(char::from).collect()
}

/// The header of a key that is exportable: as it is spelled, the rest `-`.
pub fn value_header(key: &str) -> String {
    let name = |byte: u8| if byte.is_ascii_alphanumeric() { byte } else { b'-' };
    HEADER_VALUE.bytes().chain(key.bytes().map(name)).map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_is_ours_however_a_backend_may_spell_it() {
        for name in [
            "X-Session-User",
            "X_Session_User",
            "x.session.user",
            "X-SESSION-VALUE-cart",
            "X_Session-Value.",
            "X-Session-Idle_Left",
            "X-Session-Set",
            "X~Session~Do",
        ] {
            assert!(is_ours(name.as_bytes()), "{name}");
        }
        for name in [
            "X-Session-Token",
            "X-Session-Id",
            "X-Session-Users",
            "X-Session-Value",
            "X-Session",
            "XSession-User",
            "Session-User",
            "X-Session-Set-Cookie",
            "",
        ] {
            assert!(!is_ours(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn a_name_that_begins_like_ours_is_reserved() {
        assert!(is_reserved("X-Session-Users") && is_reserved("x.session_Set-Cookie"));
        assert!(!is_reserved("X-Session-Id") && !is_reserved("Session-User"));
    }

    #[test]
    fn variables_are_ours_by_name_and_by_the_header_they_are_made_of() {
        for name in [
            "SESSION_USER",
            "SESSION_VALUE_CART",
            "REDIRECT_SESSION_NEW",
            "REDIRECT_REDIRECT_SESSION_VALUE_A",
            "HTTP_X_SESSION_USER",
            "REDIRECT_HTTP_X_SESSION_VALUE_CART",
        ] {
            assert_eq!(variable(name.as_bytes()), Variable::Ours, "{name}");
        }
        assert_eq!(variable(b"HTTP_COOKIE"), Variable::Cookies);
        assert_eq!(variable(b"REDIRECT_HTTP_COOKIE"), Variable::Cookies);
        for name in ["SESSION_ID", "SESSIONS", "HTTP_SESSION_USER", "REDIRECT_STATUS", "PATH", ""] {
            assert_eq!(variable(name.as_bytes()), Variable::Other, "{name}");
        }
        assert!(is_redirected(b"REDIRECT_A") && !is_redirected(b"A_REDIRECT_"));
    }

    #[test]
    fn keys_become_names() {
        assert_eq!(value_variable("user.name-1_x"), "SESSION_VALUE_USER_NAME_1_X");
        assert_eq!(value_header("user.name-1_x"), "X-Session-Value-user-name-1-x");
        for key in ["", "a b", "größe", "a:b", "a\r\nb", "a=b", "a,b", "a%b"] {
            assert!(!is_exportable(key), "{key}");
        }
    }

    #[test]
    fn every_name_we_write_is_one_we_remove() {
        for fact in Fact::ALL {
            assert!(is_ours(fact.header().as_bytes()));
            assert_eq!(variable(fact.variable().as_bytes()), Variable::Ours);
        }
    }

    proptest! {
        #[test]
        fn whatever_an_exportable_key_becomes_is_ours(key in "[a-zA-Z0-9_.-]{1,128}") {
            prop_assert!(is_exportable(&key));
            prop_assert!(is_ours(value_header(&key).as_bytes()));
            prop_assert_eq!(variable(value_variable(&key).as_bytes()), Variable::Ours);
        }

        #[test]
        fn no_name_panics(name in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = (is_ours(&name), variable(&name), is_redirected(&name));
        }
    }
}
