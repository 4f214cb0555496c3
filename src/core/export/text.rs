//! Values as text: percent-encoding (RFC 3986, section 2.1) of what is not printable ASCII, and of `%`
//! and `,`.

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// A blank at either end counts as not printable: it would be trimmed on the way.
fn is_plain(value: &[u8], at: usize) -> bool {
    match value.get(at) {
        Some(b' ') => at > 0 && at + 1 < value.len(),
        Some(b'%' | b',') | None => false,
        Some(byte) => byte.is_ascii_graphic(),
    }
}

/// How long a value is once it is encoded, in bytes.
pub fn encoded_len(value: &[u8]) -> usize {
    (0..value.len()).map(|at| if is_plain(value, at) { 1 } else { 3 }).sum()
}

/// A value, encoded.
pub fn encoded(value: &[u8]) -> String {
    let mut text = String::with_capacity(encoded_len(value));
    for (at, byte) in value.iter().enumerate() {
        if is_plain(value, at) {
            text.push(char::from(*byte));
        } else {
            let digit = |nibble: u8| char::from(HEX[usize::from(nibble & 15)]);
            text.extend(['%', digit(byte >> 4), digit(*byte)]);
        }
    }
    text
}

/// The value that was encoded; none if a `%` is followed by anything but two hexadecimal digits. What
/// was not encoded and need not have been stays as it is.
pub fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut value = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, more)) = rest.split_first() {
        rest = more;
        if *byte != b'%' {
            value.push(*byte);
            continue;
        }
        let (digits, more) = rest.split_at_checked(2)?;
        let digit = |at: usize| char::from(digits[at]).to_digit(16);
        value.push(u8::try_from(digit(0)? * 16 + digit(1)?).ok()?);
        rest = more;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_printable_stays_as_it_is() {
        assert_eq!(encoded(b"a=1; b=\"two words\""), "a=1; b=\"two words\"");
        assert_eq!(encoded("a,b%\r\n\0ß".as_bytes()), "a%2Cb%25%0D%0A%00%C3%9F");
        assert_eq!(encoded(b" a  b "), "%20a  b%20");
        assert_eq!(encoded(b" "), "%20");
    }

    #[test]
    fn digits_may_be_of_either_case_and_have_to_be_two() {
        assert_eq!(decoded(b"%c3%9F").as_deref(), Some("ß".as_bytes()));
        assert_eq!(decoded(b"a b+c").as_deref(), Some(b"a b+c".as_slice()));
        for bad in ["%", "%4", "%zz", "a%2", "%%41", "%+1", "%\u{b2}"] {
            assert_eq!(decoded(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_value_comes_back_and_cannot_end_its_header(
            value in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let text = encoded(&value);
            prop_assert_eq!(text.len(), encoded_len(&value));
            prop_assert!(text.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b','));
            prop_assert_eq!(text.trim(), text.as_str());
            prop_assert_eq!(decoded(text.as_bytes()), Some(value));
        }

        #[test]
        fn no_text_panics(text in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = decoded(&text);
        }
    }
}
