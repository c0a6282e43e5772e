//! Streams as they should be, in pieces of any size, and what attackers and broken servers make of them.

use std::io::Write;

use proptest::prelude::*;

use super::*;

const RATIO: u64 = 200;

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(plain).expect("a vector takes all");
    encoder.finish().expect("finished")
}

fn zstandard(plain: &[u8]) -> Vec<u8> {
    zstd::encode_all(plain, 3).expect("encoded")
}

fn brotli(plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    brotli::CompressorWriter::new(&mut out, 4096, 5, 22).write_all(plain).expect("a vector takes all");
    out
}

fn encode(coding: Coding, plain: &[u8]) -> Vec<u8> {
    match coding {
        Coding::Gzip => gzip(plain),
        Coding::Zstd => zstandard(plain),
        Coding::Brotli => brotli(plain),
    }
}

/// What comes out of bytes that come in so many at a time.
fn decode(coding: Coding, bytes: &[u8], at_a_time: usize) -> Result<Vec<u8>, Failure> {
    let mut decoder = Decoder::new(coding, RATIO)?;
    let mut out = Vec::new();
    for part in bytes.chunks(at_a_time.max(1)) {
        decoder.feed(Bytes::copy_from_slice(part));
        while let Some(piece) = decoder.piece()? {
            assert!(!piece.is_empty() && piece.len() <= PIECE);
            out.extend_from_slice(&piece);
        }
    }
    decoder.finish().map(|()| out)
}

fn page(length: usize) -> Vec<u8> {
    (0..length / 40).flat_map(|n| format!("{{\"id\":{n},\"name\":\"Ada {}\"}},", n * 7919).into_bytes()).collect()
}

#[test]
fn what_was_compressed_comes_out_whatever_its_pieces() {
    for coding in Coding::READ {
        for (length, pieces) in
            [(0, [1, 2, 3]), (100, [1, 7, 1000]), (20_000, [1, 7, 1000]), (200_000, [999, 4096, 1 << 20])]
        {
            let plain = page(length);
            let bytes = encode(coding, &plain);
            for at_a_time in pieces {
                let found = decode(coding, &bytes, at_a_time);
                assert!(found.as_ref() == Ok(&plain), "{coding:?} {length} {at_a_time}: {:?}", found.map(|f| f.len()));
            }
        }
    }
}

#[test]
fn exactly_full_pieces_are_no_end() {
    for coding in Coding::READ {
        for length in [PIECE - 1, PIECE, PIECE + 1, 2 * PIECE] {
            // Not to be compressed, so that no ratio matters.
            let plain: Vec<u8> = (0..length as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
            let bytes = encode(coding, &plain);
            assert_eq!(decode(coding, &bytes, bytes.len()).map(|out| out == plain), Ok(true), "{coding:?} {length}");
        }
    }
}

#[test]
fn members_and_frames_follow_each_other() {
    for coding in [Coding::Gzip, Coding::Zstd] {
        let all = [encode(coding, b"one "), encode(coding, b""), encode(coding, b"two")].concat();
        for at_a_time in [1, 5, all.len()] {
            assert_eq!(decode(coding, &all, at_a_time).as_deref(), Ok(&b"one two"[..]), "{coding:?}");
        }
    }
}

#[test]
fn an_end_that_came_too_early_is_an_error() {
    for coding in Coding::READ {
        let bytes = encode(coding, &page(2000));
        for end in 1..bytes.len() {
            let cut = decode(coding, &bytes[..end], 4096);
            assert_eq!(cut.map(|out| out.len()), Err(Failure::Undecodable), "{coding:?} {end} of {}", bytes.len());
        }
        let second = [bytes.clone(), bytes[..bytes.len() / 2].to_vec()].concat();
        assert_eq!(decode(coding, &second, 4096), Err(Failure::Undecodable), "{coding:?}, in a second one");
    }
}

#[test]
fn what_follows_the_end_is_an_error() {
    for coding in Coding::READ {
        for garbage in [&b"\0"[..], b"garbage", b"{\"a\":1}", &[0; 1000]] {
            let bytes = [encode(coding, b"{}"), garbage.to_vec()].concat();
            for at_a_time in [1, bytes.len()] {
                assert_eq!(decode(coding, &bytes, at_a_time), Err(Failure::Undecodable), "{coding:?} {garbage:?}");
            }
        }
    }
}

#[test]
fn one_coding_is_not_another() {
    for coding in Coding::READ {
        for other in Coding::READ.into_iter().filter(|other| *other != coding) {
            assert_ne!(decode(coding, &encode(other, &page(1000)), 100), Ok(page(1000)), "{other:?} as {coding:?}");
        }
        assert_eq!(decode(coding, b"{\"data\":[]}", 100), Err(Failure::Undecodable), "{coding:?}");
    }
}

#[test]
fn what_was_compressed_twice_is_undone_once() {
    for coding in Coding::READ {
        let inner = gzip(&page(1000));
        assert_eq!(decode(coding, &encode(coding, &inner), 100), Ok(inner), "{coding:?}");
    }
}

/// Megabytes from some kilobytes: given up long before they are out, and never in one piece.
#[test]
fn a_bomb_goes_off_nowhere() {
    for coding in Coding::READ {
        let plain = vec![b'0'; if coding == Coding::Brotli { 2 << 20 } else { 20 << 20 }];
        let bomb = encode(coding, &plain);
        assert!(bomb.len() < plain.len() / 500, "{coding:?}: {}", bomb.len());
        let mut decoder = Decoder::new(coding, RATIO).expect("a decoder");
        let mut out = 0;
        decoder.feed(Bytes::from(bomb.clone()));
        let failure = loop {
            match decoder.piece() {
                Ok(Some(piece)) => out += piece.len() as u64,
                Ok(None) => panic!("{coding:?} went off"),
                Err(failure) => break failure,
            }
        };
        assert_eq!(failure, Failure::Expanded, "{coding:?}");
        assert!(out <= FREE + RATIO * bomb.len() as u64, "{coding:?}: {out}");
    }
}

/// A stream of nothing but empty members gives nothing, takes no memory, and ends.
#[test]
fn empty_members_without_end_are_walked_through() {
    for coding in [Coding::Gzip, Coding::Zstd] {
        let empty = encode(coding, b"").repeat(2000);
        assert_eq!(decode(coding, &empty, 16 * 1024).as_deref(), Ok(&[][..]), "{coding:?}");
    }
}

#[test]
fn windows_beyond_what_is_agreed_are_refused() {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).expect("an encoder");
    encoder.window_log(27).expect("set");
    encoder.write_all(&page(100_000)).expect("a vector takes all");
    assert_eq!(decode(Coding::Zstd, &encoder.finish().expect("finished"), 4096), Err(Failure::Undecodable));
    // The first byte of a stream with a large window, which no browser takes.
    assert_eq!(decode(Coding::Brotli, &[0x11, 0x3f, 0x00, 0x00, 0x00], 4096), Err(Failure::Undecodable));
}

#[test]
fn one_known_coding_is_named_or_none() {
    let named = |lines: &[&str]| {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::CONTENT_ENCODING, http::HeaderValue::from_str(line).expect("a value"));
        }
        named(&headers)
    };
    assert_eq!(named(&[]), Ok(None));
    assert_eq!(named(&["identity"]), Ok(None));
    assert_eq!(named(&["GZip"]), Ok(Some(Coding::Gzip)));
    assert_eq!(named(&["x-gzip"]), Ok(Some(Coding::Gzip)));
    assert_eq!(named(&[" br "]), Ok(Some(Coding::Brotli)));
    assert_eq!(named(&["zstd"]), Ok(Some(Coding::Zstd)));
    for unknown in [
        &["deflate"][..],
        &["compress"],
        &[""],
        &["gzip, gzip"],
        &["gzip,"],
        &["identity, gzip"],
        &["gzip", "gzip"],
        &["identity", "identity"],
        &["aes128gcm"],
        &["gzip;q=1"],
        &["dcb"],
    ] {
        assert_eq!(named(unknown), Err(Failure::UnknownCoding), "{unknown:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Flipped, cut and repeated bytes give something or fail; nothing panics, hangs or grows.
    #[test]
    fn damage_never_panics(
        which in 0..3_usize,
        at in any::<prop::sample::Index>(),
        flip in 1..=255_u8,
        cut in any::<prop::sample::Index>(),
        at_a_time in 1..5000_usize,
    ) {
        let coding = Coding::READ[which];
        let mut bytes = encode(coding, &page(4000));
        let place = at.index(bytes.len());
        bytes[place] ^= flip;
        bytes.truncate(cut.index(bytes.len()).max(place + 1));
        if let Ok(out) = decode(coding, &bytes, at_a_time) {
            prop_assert!(out.len() as u64 <= FREE + RATIO * bytes.len() as u64);
        }
    }

    #[test]
    fn anything_at_all_never_panics(which in 0..3_usize, bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let found = decode(Coding::READ[which], &bytes, 64);
        prop_assert!(found.is_err() || found.is_ok_and(|out| out.len() as u64 <= FREE + RATIO * bytes.len() as u64));
    }
}
