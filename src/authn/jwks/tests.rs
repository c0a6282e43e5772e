//! Key sets with a flaw, and the choice of a key within a sound one.

use super::super::tests::{SIGNERS, STRANGERS, b64};
use super::*;

const ALL: [Algorithm; 3] = [Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa];

fn set(keys: &[&str]) -> Result<KeySet, Unusable> {
    KeySet::parse(format!(r#"{{"keys":[{}]}}"#, keys.join(",")).as_bytes(), &ALL)
}

#[test]
fn a_set_with_a_flaw_is_refused_whole() {
    let sound = SIGNERS.jwk("ES256");
    let with = |from: &str, to: &str| sound.replace(from, to);
    let rsa = |bits: usize| format!(r#"{{"kty":"RSA","n":"{}","e":"AQAB"}}"#, b64(vec![0xff; bits / 8]));
    let ed = |point: [u8; 32]| format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#, b64(point));
    let mut one = [0; 32];
    one[0] = 1;
    let cases: [(&str, String, Unusable); 12] = [
        ("private part", with(r#""kty""#, r#""d":"AA","kty""#), Unusable::Private),
        ("symmetric", r#"{"kty":"oct","k":"AAAA"}"#.into(), Unusable::Private),
        ("RSA of 1024 bits", rsa(1024), Unusable::Weak),
        ("RSA with exponent 1", rsa(2048).replace("AQAB", "AQ"), Unusable::Weak),
        ("RSA with exponent 3", rsa(2048).replace("AQAB", "Aw"), Unusable::Weak),
        ("RSA with leading zeros", rsa(2048).replace(r#""n":""#, r#""n":"AAAA"#), Unusable::Weak),
        ("a point off the curve", STRANGERS.jwk("ES256").replace(r#""x":""#, r#""y2":""#), Unusable::Weak),
        ("Ed25519 point of order 1", ed(one), Unusable::Weak),
        ("Ed25519 point of order 4", ed([0; 32]), Unusable::Weak),
        ("duplicate kid", STRANGERS.jwk("ES256"), Unusable::Duplicate),
        ("kid of another type", with(r#""kid":"ec""#, r#""kid":1"#), Unusable::Syntax),
        ("no kty", "{}".into(), Unusable::Syntax),
    ];
    for (name, key, unusable) in cases {
        assert_eq!(set(&[&sound, &key]).err(), Some(unusable), "{name}");
    }
    for text in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#] {
        assert_eq!(KeySet::parse(text.as_bytes(), &ALL).err(), Some(Unusable::Syntax), "{text}");
    }
}

#[test]
fn keys_for_other_uses_are_left_out_and_none_left_is_a_failure() {
    let sound = SIGNERS.jwk("ES256");
    let others = [
        sound.replace(r#""use":"sig""#, r#""use":"enc""#),
        sound.replace(r#""use":"sig""#, r#""key_ops":["encrypt"]"#),
        sound.replace("ES256", "ES384"),
        sound.replace("P-256", "P-384"),
        SIGNERS.jwk("RS256").replace("RS256", "PS256"),
        SIGNERS.jwk("RS256").replace("RS256", "RSA-OAEP"),
        r#"{"kty":"future"}"#.to_owned(),
    ];
    for other in &others {
        assert_eq!(set(&[other]).err(), Some(Unusable::NoKeys), "{other}");
    }
    assert_eq!(set(&[]).err(), Some(Unusable::NoKeys));
    let only_rsa = KeySet::parse(SIGNERS.jwks().as_bytes(), &[Algorithm::Rs256]).expect("a set");
    assert_eq!(only_rsa.find(Some("ec"), Algorithm::Es256).err(), Some(Refused::Key));
}

#[test]
fn without_a_kid_only_a_single_fitting_key_is_used() {
    let second = STRANGERS.jwk("ES256").replace(r#""kid":"ec""#, r#""kid":"ec2""#);
    let one = set(&[&SIGNERS.jwk("ES256"), &SIGNERS.jwk("RS256")]).expect("a set");
    assert!(one.find(None, Algorithm::Es256).is_ok());
    assert_eq!(one.find(None, Algorithm::EdDsa).err(), Some(Refused::Key));
    let two = set(&[&SIGNERS.jwk("ES256"), &second]).expect("a set");
    assert_eq!(two.find(None, Algorithm::Es256).err(), Some(Refused::Key));
    assert!(two.find(Some("ec2"), Algorithm::Es256).is_ok());
    assert_eq!(two.find(Some("ec2"), Algorithm::Rs256).err(), Some(Refused::Algorithm));
}
