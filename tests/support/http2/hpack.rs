//! HPACK (RFC 7541) without its dynamic table, as far as requests and the heads of answers need it.

/// Numbers of the static table: `:status`, `retry-after`.
const STATUS: usize = 8;
const RETRY_AFTER: usize = 53;
/// The static table's fields that are a status.
const STATUSES: [(usize, u16); 7] =
    [(8, 200), (9, 204), (10, 206), (11, 304), (12, 400), (13, 404), (14, 500)];

/// The fields of a request of `method`, which is GET or POST, with `others` last.
pub fn request(method: &str, path: &str, others: &[(&str, &str)]) -> Vec<u8> {
    // Fields of the static table: the method, http.
    let mut fields = vec![if method == "GET" { 0x82 } else { 0x83 }, 0x86];
    let first = [(":path", path), (":authority", "localhost")];
    for (name, value) in first.iter().chain(others) {
        fields.push(0);
        string(&mut fields, name);
        string(&mut fields, value);
    }
    fields
}

/// A string as it is; its length is a number with a prefix of seven bits.
fn string(bytes: &mut Vec<u8>, text: &str) {
    let mut rest = text.len();
    if rest < 127 {
        bytes.push(rest as u8);
    } else {
        bytes.push(127);
        rest -= 127;
        while rest >= 128 {
            bytes.push(128 | (rest % 128) as u8);
            rest /= 128;
        }
        bytes.push(rest as u8);
    }
    bytes.extend(text.as_bytes());
}

/// The status of an answer, and whether it has a `Retry-After`.
pub fn head(mut fields: &[u8]) -> (u16, bool) {
    let (mut status, mut retry_after) = (0, false);
    while let Some(&first) = fields.first() {
        if first & 0x80 != 0 {
            let index = number(&mut fields, 7);
            let known = STATUSES.iter().find(|(known, _)| *known == index);
            status = known.map_or(status, |(_, value)| *value);
        } else if first & 0xE0 == 0x20 {
            // A new size of the dynamic table: none.
            number(&mut fields, 5);
        } else {
            let index = number(&mut fields, if first & 0x40 != 0 { 6 } else { 4 });
            if index == 0 {
                take_string(&mut fields);
            }
            let (value, packed) = take_string(&mut fields);
            match index {
                STATUS => status = if packed { unpack(value) } else { plain(value) },
                RETRY_AFTER => retry_after = true,
                _ => {}
            }
        }
    }
    (status, retry_after)
}

/// Takes a number whose first byte has a prefix of `bits`.
fn number(fields: &mut &[u8], bits: u32) -> usize {
    let mask = (1_usize << bits) - 1;
    let mut value = usize::from(take(fields)) & mask;
    let mut shift = 0;
    while value >= mask {
        let byte = usize::from(take(fields));
        value += (byte & 127) << shift;
        shift += 7;
        if byte & 128 == 0 {
            break;
        }
    }
    value
}

/// Takes a string and whether it is in the Huffman code.
fn take_string<'a>(fields: &mut &'a [u8]) -> (&'a [u8], bool) {
    let packed = fields.first().expect("a string") & 0x80 != 0;
    let length = number(fields, 7);
    let (string, rest) = fields.split_at(length);
    *fields = rest;
    (string, packed)
}

fn take(fields: &mut &[u8]) -> u8 {
    let (first, rest) = fields.split_first().expect("another byte");
    *fields = rest;
    *first
}

fn plain(value: &[u8]) -> u16 {
    String::from_utf8_lossy(value).parse().expect("a status")
}

/// Three digits in the Huffman code: 0 to 2 have five bits, which are their value, the others six,
/// which begin at 25 for 3.
fn unpack(value: &[u8]) -> u16 {
    let bits: Vec<u16> =
        value.iter().flat_map(|byte| (0..8).rev().map(move |n| u16::from(byte >> n & 1))).collect();
    let of = |range: &[u16]| range.iter().fold(0, |sum, bit| sum * 2 + bit);
    let (mut at, mut status) = (0, 0);
    for _ in 0..3 {
        let short = of(&bits[at..at + 5]);
        let (digit, length) = if short < 3 { (short, 5) } else { (of(&bits[at..at + 6]) - 22, 6) };
        assert!(digit < 10, "no digit: {value:?}");
        status = status * 10 + digit;
        at += length;
    }
    status
}

#[cfg(test)]
mod tests {
    use super::{head, string};

    #[test]
    fn statuses_are_understood_in_each_form() {
        assert_eq!(head(&[0x88]), (200, false));
        assert_eq!(head(&[0x20, 0x08, 3, b'5', b'0', b'3']), (503, false));
        // "302" and a private cache, of RFC 7541, appendix C.6.1.
        let packed = [0x48, 0x82, 0x64, 0x02, 0x58, 0x85, 0xae, 0xc3, 0x77, 0x1a, 0x4b];
        assert_eq!(head(&packed), (302, false));
        // The same with a time to come again, its name in two bytes.
        assert_eq!(head(&[&packed[..], &[0x0f, 0x26, 1, b'1']].concat()), (302, true));
        assert_eq!(head(&[0x88, 0x75, 1, b'1']), (200, true));
    }

    #[test]
    fn long_strings_have_long_lengths() {
        let mut bytes = Vec::new();
        string(&mut bytes, &"x".repeat(127 + 1337 - 31));
        assert_eq!(bytes[..3], [127, 0x80 | (1306 % 128) as u8, (1306 / 128) as u8]);
    }
}
