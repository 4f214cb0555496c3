//! mod_session's own encoding of its entries: that of an HTML form, `name=value&name=value`.

const HEX: &[u8; 16] = b"0123456789abcdef";

/// The text of `entries`, byte for byte as httpd's `ap_escape_urlencoded` makes it: a blank is `+`, and
/// what is neither an ASCII letter nor a digit nor one of `.-*_` is `%` and two digits.
pub fn encoded<'e>(entries: impl Iterator<Item = (&'e [u8], &'e [u8])>) -> Vec<u8> {
    let mut text = Vec::new();
    for (name, value) in entries {
        if !text.is_empty() {
            text.push(b'&');
        }
        escape(name, &mut text);
        text.push(b'=');
        escape(value, &mut text);
    }
    text
}

fn escape(bytes: &[u8], text: &mut Vec<u8>) {
    for byte in bytes {
        match byte {
            b' ' => text.push(b'+'),
            plain if plain.is_ascii_alphanumeric() || b".-*_".contains(plain) => text.push(*plain),
            other => {
                let digit = |nibble: u8| HEX[usize::from(nibble & 15)];
                text.extend([b'%', digit(other >> 4), digit(*other)]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn text(entries: &[(&str, &str)]) -> String {
        let pairs = entries.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        String::from_utf8(encoded(pairs)).unwrap()
    }

    #[test]
    fn entries_are_written_as_httpd_writes_them() {
        assert_eq!(text(&[]), "");
        assert_eq!(
            text(&[("My Realm-user", "ann"), ("a&b", "c=d+e"), ("~", "*._-/é")]),
            "My+Realm-user=ann&a%26b=c%3dd%2be&%7e=*._-%2f%c3%a9"
        );
        assert_eq!(text(&[("empty", ""), ("expiry", "17")]), "empty=&expiry=17");
    }

    type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

    /// What mod_session reads out of a text.
    fn read(text: &[u8]) -> Pairs {
        let plain = |part: &[u8]| {
            let mut bytes = Vec::new();
            let mut rest = part.iter();
            while let Some(byte) = rest.next() {
                bytes.push(match byte {
                    b'+' => b' ',
                    b'%' => {
                        let mut digit = || char::from(*rest.next().unwrap()).to_digit(16).unwrap();
                        u8::try_from(digit() * 16 + digit()).unwrap()
                    }
                    other => *other,
                });
            }
            bytes
        };
        let pairs = text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
        pairs
            .map(|pair| {
                let at = pair.iter().position(|byte| *byte == b'=').unwrap();
                (plain(&pair[..at]), plain(&pair[at + 1..]))
            })
            .collect()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(entries in vec((vec(1u8.., 1..9), vec(1u8.., 0..9)), 0..6)) {
            let text = encoded(entries.iter().map(|(name, value)| (&**name, &**value)));
            prop_assert!(text.iter().all(|byte| byte.is_ascii_graphic()));
            prop_assert_eq!(read(&text), entries);
        }
    }
}
