//! Heads of answers that pass as bytes: interim ones, and those of scripts and servers that write to
//! the client themselves.

use super::names::is_ours;

/// Longest head that is looked at, in bytes.
pub const HEAD_MAX: usize = 1 << 20;

/// A head and what was taken out of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    /// The status.
    pub status: u16,
    /// What is left, blank line included.
    pub left: Vec<u8>,
    /// Names and values of ours.
    pub ours: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Head {
    /// Whether another head follows.
    pub fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }
}

/// How long the head is that the bytes begin with, blank line included; none if its end is not there.
pub fn end(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| *byte == b'\n') {
        from += at + 1;
        match &bytes[from..] {
            [b'\n', ..] => return Some(from + 1),
            [b'\r', b'\n', ..] => return Some(from + 2),
            _ => {}
        }
    }
    None
}

/// Whether the bytes may be the beginning of a head.
pub fn may_begin(bytes: &[u8]) -> bool {
    const BEGIN: &[u8] = b"HTTP/";
    let count = bytes.len().min(BEGIN.len());
    bytes[..count] == BEGIN[..count]
}

/// Takes the headers of ours out of a head, with the lines that continue them; none if it is no head.
pub fn without_ours(head: &[u8]) -> Option<Head> {
    let mut lines = head.split_inclusive(|byte| *byte == b'\n');
    let first = lines.next().filter(|line| line.starts_with(b"HTTP/"))?;
    let code = first.split(|byte| *byte == b' ').nth(1)?;
    let code = std::str::from_utf8(code).ok()?.trim();
    let mut parsed = Head { status: code.parse().ok()?, left: first.to_vec(), ours: Vec::new() };
    let mut dropping = false;
    for line in lines {
        let continues = matches!(line.first(), Some(b' ' | b'\t'));
        if !continues {
            let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
            dropping = name.len() < line.len() && is_ours(name.trim_ascii());
            if dropping {
                let value = line[name.len() + 1..].trim_ascii();
                parsed.ours.push((name.trim_ascii().to_vec(), value.to_vec()));
            }
        } else if let (true, Some((_, value))) = (dropping, parsed.ours.last_mut()) {
            value.push(b' ');
            value.extend_from_slice(line.trim_ascii());
        }
        if !dropping {
            parsed.left.extend_from_slice(line);
        }
    }
    Some(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_head_ends_with_its_blank_line() {
        assert_eq!(end(b"HTTP/1.1 101 x\r\nA: 1\r\n\r\nrest"), Some(24));
        assert_eq!(end(b"HTTP/1.1 200 OK\n\nrest"), Some(17));
        assert_eq!(end(b"HTTP/1.1 200 OK\r\nA: 1\r\n"), None);
        assert!(may_begin(b"") && may_begin(b"HT") && may_begin(b"HTTP/1.1 "));
        assert!(!may_begin(b"ping") && !may_begin(b"HTTQ"));
    }

    #[test]
    fn headers_of_ours_go_with_what_continues_them() {
        let head = b"HTTP/1.1 103 Early\r\nLink: </a>\r\nx_session-set: a=1,\r\n\tb=2\r\nVia: x\r\n y\r\n\r\n";
        let parsed = without_ours(head).unwrap();
        assert_eq!(parsed.left, b"HTTP/1.1 103 Early\r\nLink: </a>\r\nVia: x\r\n y\r\n\r\n");
        assert_eq!(parsed.ours, [(b"x_session-set".to_vec(), b"a=1, b=2".to_vec())]);
        assert!(parsed.is_interim());
        let upgraded = without_ours(b"HTTP/1.1 101\nX-Session-User : a\n\n").unwrap();
        assert_eq!((upgraded.status, upgraded.is_interim()), (101, false));
        assert_eq!(upgraded.left, b"HTTP/1.1 101\n\n");
        assert_eq!(without_ours(b"Content-Type: text/plain\n\n"), None);
        assert_eq!(without_ours(b"HTTP/1.1\n\n"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (end(&bytes), may_begin(&bytes), without_ours(&bytes));
            let head = [b"HTTP/1.1 200 ".as_slice(), &bytes].concat();
            let _ = without_ours(&head);
        }
    }
}
