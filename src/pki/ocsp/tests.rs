//! Answers as authorities give them, and every way to cut or bend one.

use super::*;

/// Of OpenSSL's `ocsp -respout`, cut down: one answer for serial 0x1234, good from 2027-01-14 to 2027-01-16.
fn response(serial: &[u8], status: &[u8], tail: &[u8]) -> Vec<u8> {
    fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        let length = u8::try_from(content.len()).expect("short");
        let mut found = if length < 128 { vec![tag, length] } else { vec![tag, 0x81, length] };
        found.extend(content);
        found
    }
    let time = |text: &str| der(24, &[text.as_bytes()]);
    let about = der(0x30, &[&der(0x30, &[&[6, 1, 1]]), &der(4, &[b"n"]), &der(4, &[b"k"]), &der(2, &[serial])]);
    let answer = der(0x30, &[&about, status, &time("20270114000000Z"), tail]);
    let data = der(0x30, &[&der(0xA2, &[&[4, 0]]), &time("20270114000000Z"), &der(0x30, &[&answer])]);
    let basic = der(0x30, &[&data, &der(0x30, &[&[6, 1, 1]]), &[3, 1, 0]]);
    let bytes = der(0x30, &[&[6, 1, 1], &der(4, &[&basic])]);
    der(0x30, &[&[10, 1, 0], &der(0xA0, &[&bytes])])
}

const UNTIL: &[u8] = b"\xA0\x11\x18\x0F20270116000000Z";

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

#[test]
fn a_good_answer_holds_for_its_certificate_and_time_alone() {
    let good = response(&[0x12, 0x34], &[0x80, 0], UNTIL);
    let now = at("2027-01-15T00:00:00Z");
    assert_eq!(status(&good, &[0x12, 0x34], now), Ok(at("2027-01-16T00:00:00Z")));
    assert_eq!(status(&good, &[0, 0x12, 0x34], now), Ok(at("2027-01-16T00:00:00Z")), "a sign's zero is no digit");
    assert_eq!(status(&good, &[0x12, 0x35], now), Err(Unusable::Other));
    assert_eq!(status(&good, &[], now), Err(Unusable::Other));
    assert_eq!(status(&good, &[0x12, 0x34], at("2027-01-17T00:00:00Z")), Err(Unusable::Stale));
    assert_eq!(status(&good, &[0x12, 0x34], at("2027-01-13T00:00:00Z")), Err(Unusable::Stale));
    let revoked = response(&[0x12, 0x34], b"\xA1\x11\x18\x0F20270101000000Z", UNTIL);
    assert_eq!(status(&revoked, &[0x12, 0x34], now), Err(Unusable::NotGood));
    let unknown = response(&[0x12, 0x34], &[0x82, 0], UNTIL);
    assert_eq!(status(&unknown, &[0x12, 0x34], now), Err(Unusable::NotGood));
    assert_eq!(status(&response(&[1], &[0x80, 0], &[]), &[1], now), Err(Unusable::Endless));
    assert_eq!(status(&[0x30, 3, 10, 1, 6], &[1], now), Err(Unusable::Failed));
}

#[test]
fn no_cut_and_no_bent_byte_is_a_panic_or_another_certificates_answer() {
    let good = response(&[0x12, 0x34], &[0x80, 0], UNTIL);
    let now = at("2027-01-15T00:00:00Z");
    for length in 0..good.len() {
        assert!(status(&good[..length], &[0x12, 0x34], now).is_err(), "{length}");
        for bit in 0..8 {
            let mut bent = good.clone();
            bent[length] ^= 1 << bit;
            if let Ok(until) = status(&bent, &[0x12, 0x34], now) {
                assert!(until >= now, "{length}.{bit}");
            }
        }
    }
    let longer = [good.as_slice(), &[0]].concat();
    assert!(status(&longer, &[0x12, 0x34], now).is_err());
}
