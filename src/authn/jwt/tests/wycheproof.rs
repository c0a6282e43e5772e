//! The public vectors of Wycheproof, judged as published: what is valid of the algorithms spoken here is accepted, and
//! whatever is invalid is refused.

use std::path::PathBuf;

use serde_json::Value;

use super::*;

const ALL: [Algorithm; 3] = [Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa];

/// One vector with the set of keys that it comes with.
struct Vector<'f> {
    test: &'f Value,
    set: String,
}

impl Vector<'_> {
    fn held(&self) -> bool {
        let keys = KeySet::parse(self.set.as_bytes(), &ALL);
        self.test["jws"].as_str().is_some_and(|jws| keys.is_ok_and(|keys| verifies(jws, &keys)))
    }

    /// Whether its own header names an algorithm of ours, however the key looks.
    fn is_spoken(&self) -> bool {
        let header = self.test["jws"].as_str().and_then(|jws| object(jws.split('.').next()?).ok());
        let algorithm = header.as_ref().and_then(|header| header.member("alg")?.text());
        matches!(algorithm, Some("ES256" | "RS256" | "EdDSA"))
    }
}

/// All vectors of a file; a group's keys are a set or a single key.
fn vectors(file: &Value) -> Vec<Vector<'_>> {
    let groups = file["testGroups"].as_array().expect("groups");
    let vectors = groups.iter().flat_map(|group| {
        let key = if group["public"].is_null() { &group["private"] } else { &group["public"] };
        let set = if key["keys"].is_null() { format!(r#"{{"keys":[{key}]}}"#) } else { key.to_string() };
        let tests = group["tests"].as_array().expect("tests");
        tests.iter().map(move |test| Vector { test, set: set.clone() })
    });
    vectors.collect()
}

/// Judges a file. `accepted`: how many of it are valid and of an algorithm that is spoken here.
fn judge(name: &str, accepted: usize) {
    let Some(file) = corpus(name) else { return };
    let vectors = vectors(&file);
    assert_eq!(Some(vectors.len() as u64), file["numberOfTests"].as_u64(), "all of them are looked at");
    let mut held = 0;
    for vector in &vectors {
        let valid = vector.test["result"] == "valid";
        assert_eq!(vector.held(), valid && vector.is_spoken(), "{}", vector.test);
        held += usize::from(vector.held());
    }
    assert_eq!(held, accepted);
}

#[test]
fn signatures_are_judged_as_published() {
    judge("json_web_signature_test.json", 10);
}

#[test]
fn key_sets_are_judged_as_published() {
    judge("json_web_key_test.json", 1);
}

/// Encrypted tokens have no signature: each is refused by its form, before any key is looked for.
#[test]
fn no_encrypted_token_is_read() {
    let Some(file) = corpus("json_web_encryption_test.json") else { return };
    let groups = file["testGroups"].as_array().expect("groups");
    let tests = groups.iter().flat_map(|group| group["tests"].as_array().expect("tests"));
    let tokens: Vec<&str> = tests.filter_map(|test| test["jwe"].as_str()).collect();
    assert!(tokens.len() > 50, "{}", tokens.len());
    for token in tokens {
        assert_eq!(Unverified::parse(token).err(), Some(Refused::Malformed), "{token}");
    }
}

/// Signature alone: the vectors' payloads are no claims.
fn verifies(jws: &str, keys: &KeySet) -> bool {
    let Some((signed, signature)) = jws.rsplit_once('.') else { return false };
    let Some((header, payload)) = signed.split_once('.') else { return false };
    let claims = b64("{}");
    // The form is judged with claims in the payload's place, the signature with the payload itself.
    let form = format!("{header}.{claims}.{signature}");
    let Ok(form) = Unverified::parse(&form) else { return false };
    let payload_is_strict = URL_SAFE_NO_PAD.decode(payload).is_ok();
    let token = Unverified { signed, signature, ..form };
    payload_is_strict && token.algorithm().is_some_and(|named| token.verify_signature(keys, named).is_ok())
}

/// A file of the public corpora, which are not part of the project.
fn corpus(name: &str) -> Option<Value> {
    let folder = std::env::var_os("SCRIM_CORPORA").map_or_else(|| PathBuf::from("../shared/corpora"), PathBuf::from);
    let path = folder.join("jwt").join(name);
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: no {}", path.display());
        return None;
    };
    Some(serde_json::from_str(&text).expect("the corpus is JSON"))
}
