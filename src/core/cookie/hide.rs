//! Taking one cookie out of `Cookie` headers.

/// A header line without the cookie `name`; every other byte stays. None if the cookie is not in it;
/// empty if there was nothing else. What [`values_of`](super::values_of) would find is gone.
pub fn without(header: &[u8], name: &str) -> Option<Vec<u8>> {
    let mut left = Vec::with_capacity(header.len());
    let (mut found, mut first) = (false, true);
    let mut rest = header;
    // What stands in front of the next pair that stays.
    let mut separator: &[u8] = b"";
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| matches!(byte, b';' | b',')).unwrap_or(rest.len());
        let (pair, behind) = rest.split_at(end);
        let equals = pair.iter().position(|byte| *byte == b'=');
        if equals.is_some_and(|at| pair[..at].trim_ascii() == name.as_bytes()) {
            found = true;
        } else {
            if !first {
                left.extend_from_slice(separator);
            }
            // A blank in front of the first pair that stays belonged to a separator that went.
            left.extend_from_slice(if first && found { pair.trim_ascii_start() } else { pair });
            first = false;
        }
        let (mark, more) = behind.split_at(behind.len().min(1));
        (separator, rest) = (mark, more);
        if rest.is_empty() && !mark.is_empty() && !first {
            left.extend_from_slice(mark);
        }
    }
    found.then(|| if left.trim_ascii().is_empty() { Vec::new() } else { left })
}

#[cfg(test)]
mod tests {
    use super::super::values_of;
    use super::*;
    use proptest::prelude::*;

    fn left(header: &str) -> Option<String> {
        without(header.as_bytes(), "s").map(|left| String::from_utf8(left).unwrap())
    }

    #[test]
    fn one_cookie_goes_and_the_others_stay_byte_for_byte() {
        assert_eq!(left("a=1; b=\"x  y\""), None);
        assert_eq!(left("S=x; ss=y; s"), None);
        assert_eq!(left("s=x").as_deref(), Some(""));
        assert_eq!(left("s=x; s=y, s=\"z\" ; ").as_deref(), Some(""));
        assert_eq!(left("s=x; a=1").as_deref(), Some("a=1"));
        assert_eq!(left("a=1; s=x; b=2").as_deref(), Some("a=1; b=2"));
        assert_eq!(left("a=1;b=\"q\" ;s = x").as_deref(), Some("a=1;b=\"q\" "));
        assert_eq!(left("a=1, s=x, b=2").as_deref(), Some("a=1, b=2"));
        assert_eq!(left("a=%3B\u{e4};s=x;\tb==").as_deref(), Some("a=%3B\u{e4};\tb=="));
        assert_eq!(left(" a=1; s=x;").as_deref(), Some(" a=1;"));
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_goes(header in "[as=;, \"x]{0,40}") {
            let before: Vec<&[u8]> = values_of(header.as_bytes(), "s").collect();
            match without(header.as_bytes(), "s") {
                None => prop_assert!(before.is_empty()),
                Some(left) => {
                    prop_assert!(!before.is_empty());
                    prop_assert_eq!(values_of(&left, "s").count(), 0);
                    let others = |of: &[u8]| -> Vec<Vec<u8>> {
                        values_of(of, "a").map(<[u8]>::to_vec).collect()
                    };
                    prop_assert_eq!(others(&left), others(header.as_bytes()));
                }
            }
        }

        #[test]
        fn no_header_panics(header in proptest::collection::vec(any::<u8>(), 0..200)) {
            without(&header, "s");
        }
    }
}
