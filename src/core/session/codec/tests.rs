use proptest::prelude::*;

use super::*;
use crate::core::session::values::Key;

fn sample() -> Record {
    let mut values = Values::default();
    values.set(&Key::new("Cart").unwrap(), b"\x00\xff");
    Record {
        kind: Kind::Session,
        incarnation: 0x0102_0304_0506_0708,
        scope: *b"scope678",
        user: Some("eva".to_owned()),
        created: Time(1),
        accessed: Time(2),
        deadline: Time(3),
        timeout: Some(90),
        client: Client::from("::1").unwrap(),
        flags: 0,
        tokens: vec![[0xee; TOKEN_BYTES]],
        values,
    }
}

/// The bytes by the table of the module's documentation, written without the crate.
fn by_hand() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut add = |part: &[u8]| bytes.extend_from_slice(part);
    add(&[1, 0]);
    add(&[0, 0, 0, 0]);
    add(&[8, 7, 6, 5, 4, 3, 2, 1]);
    add(b"scope678");
    add(b"\x01\x03\0\0\0\0\0\0\0eva");
    add(b"\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0");
    add(b"\x01\x5a\0\0\0");
    add(b"\x03\0\0\0\0\0\0\0::1");
    add(b"\0\0\0\0");
    add(b"\x01\0\0\0\0\0\0\0");
    add(&[0xee; 16]);
    add(b"\x01\0\0\0\0\0\0\0");
    add(b"\x04\0\0\0\0\0\0\0Cart\x02\0\0\0\0\0\0\0\x00\xff");
    bytes
}

#[test]
fn a_session_has_exactly_these_bytes() {
    assert_eq!(encode(&sample()).unwrap(), by_hand());
    assert_eq!(decode(&by_hand()), Ok(sample()));
}

#[test]
fn an_alias_has_its_target_behind_its_kind() {
    let kind = Kind::Alias { target: [9; 32], until: Time(5) };
    let alias = Record { kind, ..sample() };
    let mut bytes = by_hand();
    bytes[2] = 1;
    bytes.splice(6..6, [[9; 32].as_slice(), &[5, 0, 0, 0, 0, 0, 0, 0]].concat());
    assert_eq!(encode(&alias).unwrap(), bytes);
    assert_eq!(decode(&bytes), Ok(alias));
}

#[test]
fn fields_lie_where_the_documentation_says() {
    let record = Record { user: None, timeout: None, tokens: vec![], ..sample() };
    let bytes = encode(&record).unwrap();
    assert_eq!((bytes[22], &bytes[23..25], bytes[47]), (0, [1, 0].as_slice(), 0));
    assert_eq!(&bytes[56..59], b"::1");
    assert_eq!(bytes[60 + 3], 0);
    assert_eq!(&bytes[68 + 3..68 + 3 + 9], b"\x01\0\0\0\0\0\0\0\x04");
}

#[test]
fn bytes_before_the_end_or_behind_it_are_refused() {
    let bytes = by_hand();
    for length in 0..bytes.len() {
        assert_eq!(decode(&bytes[..length]), Err(DecodeError::Malformed), "{length}");
    }
    assert_eq!(decode(&[bytes, vec![0]].concat()), Err(DecodeError::Malformed));
}

#[test]
fn another_format_is_told_from_damage() {
    let mut bytes = by_hand();
    bytes[0] = 2;
    assert_eq!(decode(&bytes), Err(DecodeError::Newer(2)));
    assert_eq!(decode(&[0, 1]), Err(DecodeError::Newer(256)));
    bytes[0] = 0;
    assert_eq!(decode(&bytes), Err(DecodeError::Malformed));
}

#[test]
fn keys_are_held_to_their_rules_again() {
    let mut bytes = by_hand();
    let key = bytes.len() - 10 - 4;
    bytes[key] = b'\n';
    assert_eq!(decode(&bytes), Err(DecodeError::Malformed));
    let mut twice = by_hand();
    let pair = twice.len() - 22;
    twice[pair - 8] = 2;
    let second = twice[pair..].to_ascii_uppercase();
    twice.extend(second);
    assert_eq!(decode(&twice), Err(DecodeError::Malformed));
}

#[test]
fn a_length_that_lies_is_refused_without_being_believed() {
    let good = by_hand();
    // User, client, tokens, keys, a key, a value: each claims all there is.
    for offset in [23, 63, 78, 102, 110, 122] {
        for lie in [u64::MAX, 1 << 40, RECORD_MAX as u64, 4096] {
            let mut bytes = good.clone();
            bytes[offset..offset + 8].copy_from_slice(&lie.to_le_bytes());
            assert_eq!(decode(&bytes), Err(DecodeError::Malformed), "{offset} {lie}");
        }
    }
}

#[test]
fn what_could_not_be_read_back_is_not_written() {
    let long = |length| "x".repeat(length);
    let mut keys = Values::default();
    for number in 0..=KEYS_MAX {
        keys.insert_stored(&number.to_string(), &[]);
    }
    let mut huge = Values::default();
    huge.set(&Key::new("k").unwrap(), &vec![0; RECORD_MAX]);
    for (record, most) in [
        (Record { user: Some(long(USER_MAX + 1)), ..sample() }, USER_MAX),
        (Record { tokens: vec![[0; 16]; TOKENS_MAX + 1], ..sample() }, TOKENS_MAX),
        (Record { values: keys, ..sample() }, KEYS_MAX),
        (Record { values: huge, ..sample() }, RECORD_MAX),
    ] {
        let mut out = vec![7];
        assert_eq!(encode_into(&record, &mut out).unwrap_err().most, most);
        assert_eq!(out, [7]);
    }
}

fn any_record() -> impl Strategy<Value = Record> {
    let kind = prop_oneof![
        Just(Kind::Session),
        (any::<[u8; 32]>(), any::<u64>())
            .prop_map(|(target, until)| Kind::Alias { target, until: Time(until) })
    ];
    let pair = ("[^\\p{Cc}]{1,20}", prop::collection::vec(any::<u8>(), 0..60));
    let values = prop::collection::vec(pair, 0..8).prop_map(|pairs| {
        let mut values = Values::default();
        for (key, value) in pairs {
            values.set(&Key::new(&key).unwrap(), &value);
        }
        values
    });
    let numbers = any::<(u64, [u8; 8], u64, u64, u64, u32)>();
    let rest = (
        any::<Option<String>>(),
        any::<Option<u32>>(),
        "[0-9a-f:.]{0,45}",
        prop::collection::vec(any::<[u8; 16]>(), 0..17),
    );
    (kind, numbers, rest, values).prop_map(|(kind, n, (user, timeout, client, tokens), values)| {
        let (incarnation, scope, created, accessed, deadline, flags) = n;
        let (created, accessed, deadline) = (Time(created), Time(accessed), Time(deadline));
        Record {
            kind,
            incarnation,
            scope,
            user,
            created,
            accessed,
            deadline,
            timeout,
            client: Client::from(&client).unwrap(),
            flags,
            tokens,
            values,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_record_comes_back_as_it_was(record in any_record()) {
        let bytes = encode(&record).unwrap();
        prop_assert_eq!(decode(&bytes), Ok(record));
    }

    #[test]
    fn a_record_has_one_encoding(
        record in any_record(), at in any::<prop::sample::Index>(), byte in any::<u8>()
    ) {
        let mut bytes = encode(&record).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(other) = decode(&bytes) {
            prop_assert_eq!(encode(&other).unwrap(), bytes);
        }
    }

    #[test]
    fn any_bytes_are_a_record_or_refused(
        mut bytes in prop::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 0..400)
    ) {
        if bytes.len() > 6 {
            bytes[..6].copy_from_slice(&[1, 0, 0, 0, 0, 0]);
        }
        if let Ok(record) = decode(&bytes) {
            prop_assert_eq!(encode(&record).unwrap(), bytes);
        }
    }
}
