//! Reading `Cookie` headers.

use std::iter::from_fn;

use memchr::{memchr, memchr2};

/// The values of the cookie `name` in one header line, in order.
///
/// Pairs are separated by `;`, and by `,` too, because servers join two `Cookie` lines that way; no id
/// contains either. Names compare exactly (RFC 6265, section 5.4 sends them as they were set). Blanks
/// around name and value go, and one pair of double quotes around the value.
pub fn values_of<'h>(header: &'h [u8], name: &'h str) -> impl Iterator<Item = &'h [u8]> {
    pairs(header).filter_map(move |pair| {
        let equals = memchr(b'=', pair)?;
        let (found, value) = (pair[..equals].trim_ascii(), pair[equals + 1..].trim_ascii());
        (found == name.as_bytes()).then(|| unquoted(value))
    })
}

fn pairs(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(header);
    from_fn(move || {
        let line = rest?;
        let end = memchr2(b';', b',', line);
        rest = end.map(|end| &line[end + 1..]);
        Some(&line[..end.unwrap_or(line.len())])
    })
}

fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] => inner,
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read<'h>(header: &'h str, name: &'h str) -> Vec<&'h [u8]> {
        values_of(header.as_bytes(), name).collect()
    }

    #[test]
    fn one_name_is_read_in_order_from_one_and_from_joined_lines() {
        assert_eq!(read("a=1; s=x; b=2; s=y", "s"), [b"x", b"y"]);
        assert_eq!(read("s=x, s=y", "s"), [b"x", b"y"]);
        assert_eq!(read(" s = \"x\" ;s=", "s"), [b"x".as_slice(), b""]);
    }

    #[test]
    fn names_compare_exactly() {
        assert!(read("S=x; ss=y; s", "s").is_empty());
    }

    proptest! {
        #[test]
        fn no_header_panics(header in proptest::collection::vec(any::<u8>(), 0..200)) {
            values_of(&header, "s").for_each(drop);
        }
    }
}
