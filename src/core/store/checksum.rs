//! XXH64, the checksum of what is stored: it tells a torn or damaged version from a whole one, not an
//! attacker.
//!
//! Chosen over a CRC because it is 64 bits wide and runs at memory speed without tables or
//! processor features; over a crate because it is one screen and frozen since 2014.

const P1: u64 = 0x9E37_79B1_85EB_CA87;
const P2: u64 = 0xC2B2_AE3D_27D4_EB4F;
const P3: u64 = 0x1656_67B1_9E37_79F9;
const P4: u64 = 0x85EB_CA77_C2B2_AE63;
const P5: u64 = 0x27D4_EB2F_1656_67C5;

/// The XXH64 of `bytes` with `seed`.
pub fn xxh64(bytes: &[u8], seed: u64) -> u64 {
    let (stripes, tail) = bytes.as_chunks::<32>();
    let mut hash = if stripes.is_empty() { seed.wrapping_add(P5) } else { bulk(stripes, seed) };
    hash = hash.wrapping_add(bytes.len() as u64);
    finish(tail, hash)
}

fn round(lane: u64, input: u64) -> u64 {
    lane.wrapping_add(input.wrapping_mul(P2)).rotate_left(31).wrapping_mul(P1)
}

fn bulk(stripes: &[[u8; 32]], seed: u64) -> u64 {
    let mut lanes = [
        seed.wrapping_add(P1).wrapping_add(P2),
        seed.wrapping_add(P2),
        seed,
        seed.wrapping_sub(P1),
    ];
    for stripe in stripes {
        let (words, _) = stripe.as_chunks::<8>();
        for (lane, word) in lanes.iter_mut().zip(words) {
            *lane = round(*lane, u64::from_le_bytes(*word));
        }
    }
    let [a, b, c, d] = lanes;
    let mixed = a
        .rotate_left(1)
        .wrapping_add(b.rotate_left(7))
        .wrapping_add(c.rotate_left(12))
        .wrapping_add(d.rotate_left(18));
    lanes
        .into_iter()
        .fold(mixed, |hash, lane| (hash ^ round(0, lane)).wrapping_mul(P1).wrapping_add(P4))
}

fn finish(tail: &[u8], mut hash: u64) -> u64 {
    let (words, rest) = tail.as_chunks::<8>();
    for word in words {
        hash ^= round(0, u64::from_le_bytes(*word));
        hash = hash.rotate_left(27).wrapping_mul(P1).wrapping_add(P4);
    }
    let (halves, rest) = rest.as_chunks::<4>();
    for half in halves {
        hash ^= u64::from(u32::from_le_bytes(*half)).wrapping_mul(P1);
        hash = hash.rotate_left(23).wrapping_mul(P2).wrapping_add(P3);
    }
    for byte in rest {
        hash ^= u64::from(*byte).wrapping_mul(P5);
        hash = hash.rotate_left(11).wrapping_mul(P1);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(P2);
    hash = (hash ^ (hash >> 29)).wrapping_mul(P3);
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::xxh64;

    const VECTORS: [(usize, u64); 7] = [
        (0, 0xef46_db37_51d8_e999),
        (3, 0x9ff7_0a63_5a62_09ab),
        (31, 0x0f18_7c62_b1e7_22b7),
        (32, 0x91b0_cb09_31a8_c629),
        (33, 0x931b_043c_f8d6_5b94),
        (100, 0xb7fe_1d84_b2f2_3a05),
        (1000, 0x023f_d2ed_1ff9_57d5),
    ];

    /// The values are those of `xxhsum -H1` 0.8 for the bytes `i * 7 % 251`.
    #[test]
    fn it_is_the_published_function() {
        let bytes: Vec<u8> = (0..1000u32).map(|i| (i * 7 % 251) as u8).collect();
        for (length, hash) in VECTORS {
            assert_eq!(xxh64(&bytes[..length], 0), hash, "{length} bytes");
        }
        assert_ne!(xxh64(&bytes, 0), xxh64(&bytes, 1));
    }
}
