//! The keys and values of a session.

use std::fmt;
use std::ops::Range;

use arrayvec::ArrayString;

/// Longest key, in bytes.
pub const KEY_MAX: usize = 128;

/// The key of the text that mod_session keeps here when other modules encode it for it.
const RESERVED: &str = "mod_session";

/// How the keys end under which mod_auth_form keeps a password, and what stands for one.
const SECRET: [&str; 2] = ["-pw", "-site"];

/// The name of a value: 1 to 128 bytes of printable UTF-8, compared without regard to ASCII case and
/// spelled as first set. It asks for no memory: every call of a handler has one.
#[derive(Clone, Copy)]
pub struct Key(ArrayString<KEY_MAX>);

impl Key {
    /// Checks and takes `name`; none if it cannot be a key, or is no key for handlers.
    pub fn new(name: &str) -> Option<Key> {
        Key::stored(name).filter(|key| !key.is_reserved())
    }

    /// The same for a key in a record, where the reserved one may be too.
    pub fn stored(name: &str) -> Option<Key> {
        let printable = is_printable(name);
        printable.then(|| ArrayString::from(name).ok()).flatten().map(Key)
    }

    /// The key of a text of mod_session's: no handler can name it.
    pub fn reserved() -> Key {
        // Shorter than a key may be.
        Key(ArrayString::from(RESERVED).unwrap_or_default())
    }

    /// Whether it is [`Key::reserved`].
    pub fn is_reserved(&self) -> bool {
        is_reserved(&self.0)
    }

    /// Whether the value is in no list, offer, export or log: it is or may hold a password.
    pub fn is_hidden(&self) -> bool {
        is_hidden(&self.0)
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

/// What [`Key::stored`] takes.
fn is_printable(name: &str) -> bool {
    let plain = |byte: &u8| (b' '..=b'~').contains(byte);
    !name.is_empty()
        && name.len() <= KEY_MAX
        // Nearly all are; what is not takes longer to look at.
        && (name.as_bytes().iter().all(plain) || !name.chars().any(char::is_control))
}

/// Whether a key of this name is [`Key::reserved`].
pub fn is_reserved(name: &str) -> bool {
    name.eq_ignore_ascii_case(RESERVED)
}

/// [`Key::is_hidden`] of a key of this name.
pub fn is_hidden(name: &str) -> bool {
    let bytes = name.as_bytes();
    let ends = |end: &str| {
        let tail = bytes.len().checked_sub(end.len()).and_then(|at| bytes.get(at..));
        tail.is_some_and(|tail| tail.eq_ignore_ascii_case(end.as_bytes()))
    };
    is_reserved(name) || SECRET.into_iter().any(ends)
}

impl AsRef<str> for Key {
    fn as_ref(&self) -> &str {
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

/// A key that a request has set or removed.
#[derive(Clone)]
struct Touch {
    key: Key,
    /// What was added to its number, if nothing else was done to it.
    added: Option<i64>,
}

/// Keys that a request has set or removed. Nearly always there is one: no memory is asked for it.
#[derive(Clone, Default)]
pub struct Touched {
    first: Option<Touch>,
    others: Vec<Touch>,
}

impl Touched {
    /// Notes that a key was set or removed.
    pub fn set(&mut self, key: &Key) {
        match self.find(key) {
            Some(touch) => touch.added = None,
            None => self.push(Touch { key: *key, added: None }),
        }
    }

    /// Notes that `delta` was added to the number of a key.
    pub fn add(&mut self, key: &Key, delta: i64) {
        match self.find(key) {
            Some(touch) => touch.added = touch.added.and_then(|added| added.checked_add(delta)),
            None => self.push(Touch { key: *key, added: Some(delta) }),
        }
    }

    fn find(&mut self, key: &Key) -> Option<&mut Touch> {
        self.first.iter_mut().chain(&mut self.others).find(|touch| touch.key == *key)
    }

    fn push(&mut self, touch: Touch) {
        match self.first {
            None => self.first = Some(touch),
            Some(_) => self.others.push(touch),
        }
    }

    /// The keys in the order in which they were first touched, each with what was added to its number, if
    /// nothing else was done to it.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, Option<i64>)> {
        self.first.iter().chain(&self.others).map(|touch| (&touch.key, touch.added))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Removes every key.
    pub fn clear(&mut self) {
        self.first = None;
        self.others.clear();
    }
}

/// Bytes in front of each key and its value: how long the key is, in one, and the value.
const HEAD: usize = 1 + size_of::<u64>();

/// Bytes asked for at least: with them most sessions ask for memory once, changes included.
const FIRST: usize = 256;

/// Keys and values in the order in which they were first set. A session has few keys (at most
/// `SessionMaxKeys`), so they are looked for one by one.
///
/// All of them are in one piece of memory, each as [`HEAD`], key, value: a request reads, copies, compares
/// and drops the session as a whole, and memory asked for by key and value cost more than all of that.
#[derive(Default)]
pub struct Values {
    bytes: Vec<u8>,
    count: usize,
}

/// Where a key and its value are.
struct Place {
    key: Range<usize>,
    value: Range<usize>,
}

impl Place {
    /// That of the pair which begins here; none at the end.
    fn at(bytes: &[u8], start: usize) -> Option<Place> {
        let (&[key_len, ref value_len @ ..], _) =
            bytes.get(start..)?.split_first_chunk::<HEAD>()?;
        let key = start + HEAD..start + HEAD + usize::from(key_len);
        let value_len = usize::try_from(u64::from_le_bytes(*value_len)).ok()?;
        Some(Place { value: key.end..key.end.checked_add(value_len)?, key })
    }

    fn start(&self) -> usize {
        self.key.start - HEAD
    }
}

impl Values {
    /// None yet, and room for this many bytes of what a record has of keys and values.
    pub fn with_room(bytes: usize) -> Values {
        Values { bytes: Vec::with_capacity(bytes.max(FIRST)), count: 0 }
    }

    fn places(&self) -> impl Iterator<Item = Place> {
        let mut start = 0;
        std::iter::from_fn(move || {
            let place = Place::at(&self.bytes, start)?;
            start = place.value.end;
            Some(place)
        })
    }

    fn find(&self, key: &str) -> Option<Place> {
        let is = |place: &Place| self.part(&place.key).eq_ignore_ascii_case(key.as_bytes());
        self.places().find(is)
    }

    fn part(&self, range: &Range<usize>) -> &[u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }

    /// The value of `key`.
    pub fn get<K: AsRef<str> + ?Sized>(&self, key: &K) -> Option<&[u8]> {
        self.find(key.as_ref()).map(|place| self.part(&place.value))
    }

    /// Sets `key`; keeps the place and the spelling of one that is there.
    pub fn set(&mut self, key: &Key, value: &[u8]) {
        let Some(Place { value: old, key }) = self.find(key.as_str()) else {
            return self.push(key.as_str(), value);
        };
        if old.len() != value.len() {
            let (before, after) = (self.bytes.len(), old.start + value.len());
            self.bytes.resize(before.max(before - old.len() + value.len()), 0);
            self.bytes.copy_within(old.end..before, after);
            self.bytes.truncate(before - old.len() + value.len());
            self.bytes[key.start - size_of::<u64>()..key.start].copy_from_slice(&length(value));
        }
        self.bytes[old.start..][..value.len()].copy_from_slice(value);
    }

    /// Adds a key of a record; false, and nothing done, if it is there already or can be no key, see
    /// [`Key::stored`].
    pub fn insert_stored(&mut self, key: &str, value: &[u8]) -> bool {
        let fits = is_printable(key) && self.find(key).is_none();
        if fits {
            self.push(key, value);
        }
        fits
    }

    fn push(&mut self, key: &str, value: &[u8]) {
        let room = HEAD + key.len() + value.len();
        self.bytes.reserve(if self.bytes.capacity() == 0 { room.max(FIRST) } else { room });
        // No key is longer than KEY_MAX.
        self.bytes.push(key.len() as u8);
        self.bytes.extend_from_slice(&length(value));
        self.bytes.extend_from_slice(key.as_bytes());
        self.bytes.extend_from_slice(value);
        self.count += 1;
    }

    /// Removes `key`; false if it was not there.
    pub fn remove(&mut self, key: &Key) -> bool {
        let Some(place) = self.find(key.as_str()) else { return false };
        self.bytes.drain(place.start()..place.value.end);
        self.count -= 1;
        true
    }

    /// Keys and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.places().map(|Place { key, value }| {
            // Keys were texts when they came.
            (std::str::from_utf8(self.part(&key)).unwrap_or_default(), self.part(&value))
        })
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of all keys and values: what `SessionMaxSize` bounds, with the user's name.
    pub fn bytes(&self) -> usize {
        self.bytes.len() - HEAD * self.count
    }

    /// Removes every key.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
    }
}

fn length(value: &[u8]) -> [u8; size_of::<u64>()] {
    (value.len() as u64).to_le_bytes()
}

impl Clone for Values {
    fn clone(&self) -> Values {
        Values { bytes: self.bytes.clone(), count: self.count }
    }

    /// Keeps the memory it has.
    fn clone_from(&mut self, other: &Values) {
        self.bytes.clone_from(&other.bytes);
        self.count = other.count;
    }
}

/// The same keys, spelled alike, with the same values in the same order.
impl PartialEq for Values {
    fn eq(&self, other: &Values) -> bool {
        // Why not as slices: see `tokens::are_same`.
        self.count == other.count && (self.count == 0 || self.bytes == other.bytes)
    }
}

impl Eq for Values {}

/// Shows sizes only: values appear in no log.
impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Values({} keys, {} bytes)", self.len(), self.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::option::of;
    use proptest::prelude::*;

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
        values.set(&Key::new("Cart").unwrap(), b"1");
        values.set(&Key::new("CART").unwrap(), b"2");
        assert_eq!(values.len(), 1);
        let (key, value) = values.iter().next().unwrap();
        assert_eq!((key, value), ("Cart", b"2".as_slice()));
        assert!(values.remove(&Key::new("cart").unwrap()));
        assert!(!values.remove(&Key::new("cart").unwrap()));
        assert!(values.is_empty());
    }

    #[test]
    fn debug_output_shows_neither_keys_nor_values() {
        let mut values = Values::default();
        values.set(&Key::new("secret-key").unwrap(), b"secret-value");
        let shown = format!("{values:?} {:?}", Key::new("secret-key").unwrap());
        assert!(!shown.contains("secret"), "{shown}");
    }

    proptest! {
        #[test]
        fn any_changes_agree_with_a_list(
            changes in vec(("[a-c]{1,2}", of(vec(any::<u8>(), 0..40)), any::<bool>()), 0..40)
        ) {
            let (mut values, mut list) = (Values::default(), Vec::<(String, Vec<u8>)>::new());
            for (name, value, upper) in changes {
                let key = Key::new(&if upper { name.to_uppercase() } else { name }).unwrap();
                let known = list.iter().position(|(k, _)| k.eq_ignore_ascii_case(key.as_str()));
                match (value, known) {
                    (Some(value), Some(at)) => {
                        prop_assert!(!values.insert_stored(key.as_str(), &value));
                        values.set(&key, &value);
                        list[at].1 = value;
                    }
                    (Some(value), None) => {
                        prop_assert_eq!(values.get(&key), None);
                        values.set(&key, &value);
                        list.push((key.as_str().to_owned(), value));
                    }
                    (None, known) => {
                        prop_assert_eq!(values.remove(&key), known.is_some());
                        known.map(|at| list.remove(at));
                    }
                }
                let now: Vec<_> = values.iter().map(|(k, v)| (k.to_owned(), v.to_vec())).collect();
                prop_assert_eq!(&now, &list);
                prop_assert_eq!(values.len(), list.len());
                prop_assert_eq!(values.bytes(), list.iter().map(|(k, v)| k.len() + v.len()).sum::<usize>());
                let mut copy = Values::default();
                copy.clone_from(&values);
                prop_assert!(copy == values);
            }
        }
    }
}
