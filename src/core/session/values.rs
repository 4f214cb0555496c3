//! The keys and values of a session.

use std::fmt;
use std::sync::Arc;

/// Longest key, in bytes.
pub const KEY_MAX: usize = 128;

/// The key of the text that mod_session keeps here when other modules encode it for it.
const RESERVED: &str = "mod_session";

/// How the keys end under which mod_auth_form keeps a password, and what stands for one.
const SECRET: [&str; 2] = ["-pw", "-site"];

/// The name of a value: 1 to 128 bytes of printable UTF-8, compared without regard to ASCII case and
/// spelled as first set.
#[derive(Clone)]
pub struct Key(Arc<str>);

impl Key {
    /// Checks and takes `name`; none if it cannot be a key, or is no key for handlers.
    pub fn new(name: &str) -> Option<Key> {
        Key::stored(name).filter(|key| !key.is_reserved())
    }

    /// The same for a key in a record, where the reserved one may be too.
    pub fn stored(name: &str) -> Option<Key> {
        let printable =
            !name.is_empty() && name.len() <= KEY_MAX && !name.chars().any(char::is_control);
        printable.then(|| Key(Arc::from(name)))
    }

    /// The key of a text of mod_session's: no handler can name it.
    pub fn reserved() -> Key {
        Key(Arc::from(RESERVED))
    }

    /// Whether it is [`Key::reserved`].
    pub fn is_reserved(&self) -> bool {
        self.0.eq_ignore_ascii_case(RESERVED)
    }

    /// Whether the value is in no list, offer, export or log: it is or may hold a password.
    pub fn is_hidden(&self) -> bool {
        let name = self.0.as_bytes();
        let ends = |end: &str| {
            let tail = name.len().checked_sub(end.len()).and_then(|at| name.get(at..));
            tail.is_some_and(|tail| tail.eq_ignore_ascii_case(end.as_bytes()))
        };
        self.is_reserved() || SECRET.into_iter().any(ends)
    }

    /// Checks and takes bytes that came over an interface.
    pub fn from_bytes(name: &[u8]) -> Option<Key> {
        Key::new(std::str::from_utf8(name).ok()?)
    }

    /// The key as it was first spelled.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Key {}

/// Shows the length only: keys appear in no log.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} bytes)", self.0.len())
    }
}

/// Keys and values in the order in which they were first set. A session has few keys (at most
/// `SessionMaxKeys`), so they are looked for one by one. A copy shares everything until it is changed:
/// a request keeps the session as stored beside the one it works on.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Values(Arc<Vec<(Key, Vec<u8>)>>);

impl Values {
    /// The value of `key`.
    pub fn get(&self, key: &Key) -> Option<&[u8]> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_slice())
    }

    /// Sets `key`; keeps the place and the spelling of one that is there.
    pub fn set(&mut self, key: &Key, value: Vec<u8>) {
        match Arc::make_mut(&mut self.0).iter_mut().find(|(k, _)| k == key) {
            Some((_, old)) => *old = value,
            None => Arc::make_mut(&mut self.0).push((key.clone(), value)),
        }
    }

    /// Adds a key that must not be there yet; false, and nothing done, if it is.
    pub fn insert_new(&mut self, key: Key, value: Vec<u8>) -> bool {
        let fresh = self.get(&key).is_none();
        if fresh {
            Arc::make_mut(&mut self.0).push((key, value));
        }
        fresh
    }

    /// Removes `key`; false if it was not there.
    pub fn remove(&mut self, key: &Key) -> bool {
        let there = self.get(key).is_some();
        if there {
            Arc::make_mut(&mut self.0).retain(|(k, _)| k != key);
        }
        there
    }

    /// Keys and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &[u8])> {
        self.0.iter().map(|(key, value)| (key, value.as_slice()))
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes of all keys and values: what `SessionMaxSize` bounds, with the user's name.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(|(key, value)| key.0.len() + value.len()).sum()
    }

    /// Removes every key.
    pub fn clear(&mut self) {
        Arc::make_mut(&mut self.0).clear();
    }
}

/// Shows sizes only: values appear in no log.
impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Values({} keys, {} bytes)", self.len(), self.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_printable_and_bounded() {
        assert!(Key::new("a").is_some());
        assert!(Key::new("Warenkorb größe").is_some());
        assert!(Key::new(&"k".repeat(KEY_MAX)).is_some());
        for bad in ["", "a\nb", "tab\t", "nul\0", &"k".repeat(KEY_MAX + 1)] {
            assert!(Key::new(bad).is_none(), "{bad:?}");
        }
        assert!(Key::from_bytes(&[0xff, 0xfe]).is_none());
    }

    #[test]
    fn a_password_and_what_mod_session_keeps_are_hidden_and_the_latter_has_no_name() {
        for name in ["form-pw", "My Realm-PW", "-pw", "form-Site", "é-pw"] {
            assert!(Key::new(name).unwrap().is_hidden(), "{name}");
        }
        for name in ["form-user", "pw", "site", "form-pws", "w", "mod_sessions"] {
            assert!(!Key::new(name).unwrap().is_hidden(), "{name}");
        }
        for name in ["mod_session", "Mod_Session"] {
            assert!(Key::new(name).is_none() && Key::stored(name).unwrap().is_hidden(), "{name}");
        }
        assert!(Key::reserved() == Key::stored("MOD_SESSION").unwrap());
    }

    #[test]
    fn a_key_keeps_the_spelling_of_its_first_set_and_ignores_case_afterwards() {
        let mut values = Values::default();
        values.set(&Key::new("Cart").unwrap(), b"1".to_vec());
        values.set(&Key::new("CART").unwrap(), b"2".to_vec());
        assert_eq!(values.len(), 1);
        let (key, value) = values.iter().next().unwrap();
        assert_eq!((key.as_str(), value), ("Cart", b"2".as_slice()));
        assert!(values.remove(&Key::new("cart").unwrap()));
        assert!(!values.remove(&Key::new("cart").unwrap()));
        assert!(values.is_empty());
    }

    #[test]
    fn debug_output_shows_neither_keys_nor_values() {
        let mut values = Values::default();
        values.set(&Key::new("secret-key").unwrap(), b"secret-value".to_vec());
        let shown = format!("{values:?} {:?}", Key::new("secret-key").unwrap());
        assert!(!shown.contains("secret"), "{shown}");
    }
}
