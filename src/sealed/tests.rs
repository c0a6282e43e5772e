//! Sealing and opening: what comes back, and that nothing that differs in any way is taken.

use super::*;

const CHANGED: i64 = 1_700_000_000;

fn keys() -> Keys {
    Keys::parse(Keys::generate().expect("a key").as_bytes()).expect("it reads")
}

fn entries(named: &[(&str, &str)]) -> Entries {
    let changed = Timestamp::from_second(CHANGED).expect("a time");
    let entry = |value: &str| Entry { value: Secret::new(value), changed };
    named.iter().map(|(name, value)| ((*name).into(), entry(value))).collect()
}

fn three() -> Entries {
    entries(&[("crm-token/acme", "for-acme"), ("crm-token/beta", "for-beta"), ("masking-key", "0123456789abcdef")])
}

/// Where each entry begins and ends.
fn cut(sealed: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let (head, mut rest) = sealed.split_at(HEAD_LEN + NONCE_LEN + KEY_LEN + TAG_LEN);
    let mut found = Vec::new();
    while !rest.is_empty() {
        let name = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
        let at = 2 + name + 8;
        let value = u32::from_be_bytes(rest[at..at + 4].try_into().expect("four bytes")) as usize;
        let (entry, others) = rest.split_at(at + 4 + value);
        found.push(entry.to_vec());
        rest = others;
    }
    (head.to_vec(), found)
}

#[test]
fn what_was_sealed_comes_back_and_shows_no_value() {
    let keys = keys();
    for sealed_entries in [three(), entries(&[]), entries(&[("a", "")])] {
        let sealed = keys.seal(&sealed_entries).expect("sealed");
        assert_eq!(keys.open(&sealed), Ok(sealed_entries.clone()));
        let shown = format!("{:?} {}", keys.open(&sealed), String::from_utf8_lossy(&sealed));
        for value in ["for-acme", "for-beta", "0123456789abcdef"] {
            assert!(!shown.contains(value), "{shown}");
        }
    }
}

#[test]
fn every_flipped_bit_and_every_cut_is_an_error() {
    let keys = keys();
    let sealed = keys.seal(&three()).expect("sealed");
    for at in 0..sealed.len() {
        for bit in 0..8 {
            let mut changed = sealed.clone();
            changed[at] ^= 1 << bit;
            assert!(keys.open(&changed).is_err(), "bit {bit} of byte {at}");
        }
        assert!(keys.open(&sealed[..at]).is_err(), "cut to {at} bytes");
        let mut without = sealed.clone();
        without.remove(at);
        assert!(keys.open(&without).is_err(), "without byte {at}");
    }
    for more in [&b"\0"[..], b"\n", &sealed] {
        assert!(keys.open(&[&sealed, more].concat()).is_err());
    }
}

#[test]
fn entries_of_one_writing_fit_nowhere_else() {
    let keys = keys();
    let (head, own) = cut(&keys.seal(&three()).expect("sealed"));
    let (other_head, others) = cut(&keys.seal(&three()).expect("sealed"));
    assert_eq!(own.len(), 3);
    let put = |head: &[u8], parts: &[&[u8]]| keys.open(&[head, &parts.concat()].concat());
    assert!(put(&head, &[&own[0], &own[1], &own[2]]).is_ok());
    assert!(put(&head, &[&own[1], &own[0], &own[2]]).is_err(), "exchanged");
    assert!(put(&head, &[&own[0], &own[1]]).is_err(), "one is missing");
    assert!(put(&head, &[&own[0], &own[1], &own[1], &own[2]]).is_err(), "one is doubled");
    assert!(put(&head, &[&own[0], &others[1], &own[2]]).is_err(), "one is of another writing");
    assert!(put(&other_head, &[&own[0], &own[1], &own[2]]).is_err(), "all are of another writing");
    // One value under the name of another, of the same length.
    let renamed = String::from_utf8_lossy(&own[0]).contains("acme");
    assert!(renamed);
    let mut swapped = own[0].clone();
    swapped[2..16].copy_from_slice(b"crm-token/beta");
    assert!(put(&head, &[&swapped, &own[1], &own[2]]).is_err(), "a value under another name");
}

#[test]
fn the_same_secrets_are_never_sealed_the_same() {
    let keys = keys();
    let (one, other) = (keys.seal(&three()).expect("sealed"), keys.seal(&three()).expect("sealed"));
    let (_, one_entries) = cut(&one);
    let (_, other_entries) = cut(&other);
    assert_ne!(one[HEAD_LEN..HEAD_LEN + NONCE_LEN], other[HEAD_LEN..HEAD_LEN + NONCE_LEN]);
    assert!(one_entries.iter().zip(&other_entries).all(|(one, other)| one != other));
}

#[test]
fn each_error_says_what_is_wrong() {
    let (own, other) = (keys(), keys());
    let sealed = own.seal(&three()).expect("sealed");
    assert_eq!(other.open(&sealed), Err(Unsealed::Key));
    assert_eq!(own.open(b""), Err(Unsealed::Foreign));
    assert_eq!(own.open(b"secrets: {}"), Err(Unsealed::Foreign));
    assert_eq!(own.open(MAGIC), Err(Unsealed::Damaged));
    let mut newer = sealed.clone();
    newer[MAGIC.len()] = 2;
    assert_eq!(own.open(&newer), Err(Unsealed::Version(2)));
    assert_eq!(own.open(&sealed[..sealed.len() - 1]), Err(Unsealed::Damaged));
}

#[test]
fn an_old_key_opens_and_the_first_one_seals() {
    let (old, new) = (Keys::generate().expect("a key"), Keys::generate().expect("a key"));
    let parse = |text: String| Keys::parse(text.as_bytes()).expect("it reads");
    let (only_old, only_new) = (parse(old.to_string()), parse(new.to_string()));
    let both = parse(format!("{}\n{}\n", *new, *old));
    assert_eq!(both.count(), 2);
    let before = only_old.seal(&three()).expect("sealed");
    assert_eq!(both.open(&before), Ok(three()));
    let after = both.seal(&both.open(&before).expect("it opens")).expect("sealed");
    assert_eq!(only_new.open(&after), Ok(three()));
    assert_eq!(only_old.open(&after), Err(Unsealed::Key));
}

#[test]
fn keys_are_read_strictly() {
    let key = Keys::generate().expect("a key");
    for (text, wrong) in [
        (String::new(), "it holds no key"),
        ("\n \n".to_owned(), "it holds no key"),
        ("hunter2".to_owned(), "it is not base64"),
        (key.trim_end_matches('=').to_owned(), "it is not base64"),
        ("c2hvcnQ=".to_owned(), "a key has 32 bytes"),
        (STANDARD.encode([7; 32]), "a key must be random"),
        (format!("{}\n{}", *key, *key), "it holds one key twice"),
    ] {
        assert_eq!(Keys::parse(text.as_bytes()).err(), Some(wrong), "{text:?}");
    }
    assert_eq!(Keys::parse(b"\xff").err(), Some("it is not text"));
    let many: Vec<_> = (0..5).map(|_| Keys::generate().expect("a key").to_string()).collect();
    assert_eq!(Keys::parse(many.join("\n").as_bytes()).err(), Some("it holds more than four keys"));
}

#[test]
fn names_have_one_spelling() {
    for name in ["crm-token", "crm-token/acme", "a/b/c", "a%2Fb", "a.b_c~d@e:f+g"] {
        assert!(is_name(name), "{name}");
    }
    for name in ["", "/", "a/", "/a", "a//b", "a b", "a\n", "é", "a{b}", "a\\b", "a\0", &"x".repeat(MAX_NAME + 1)] {
        assert!(!is_name(name), "{name:?}");
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_open_to_nothing(tail in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400)) {
        let keys = keys();
        let key = keys.0.first().expect("a key");
        let head = [MAGIC, &[VERSION], &key_id(key)].concat();
        proptest::prop_assert!(keys.open(&tail).is_err());
        proptest::prop_assert!(keys.open(&[head, tail].concat()).is_err());
    }
}
