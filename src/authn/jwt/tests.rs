//! Attacks as data: each refused, and each for its own reason.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use proptest::prelude::*;
use serde_json::Value;

use super::super::tests::*;
use super::*;
use crate::clock::Clock;

const PLAIN: &str = r#"{"alg":"ES256"}"#;

fn header(text: &str) -> String {
    SIGNERS.token("ES256", text, &claims(&[]))
}

/// A token whose header names `alg`, signed with the EC key where it has a signature at all.
fn alg(alg: &str) -> String {
    header(&format!(r#"{{"alg":{alg},"kid":"ec"}}"#))
}

fn with(name: &str, value: &str) -> String {
    token(&[(name, value)])
}

fn extra(member: &str) -> String {
    header(&format!(r#"{{"alg":"ES256","kid":"ec",{member}}}"#))
}

fn parts(token: &str) -> [String; 3] {
    let mut parts = token.split('.').map(str::to_owned);
    std::array::from_fn(|_| parts.next().expect("three parts"))
}

fn signed_with(signature: &[u8]) -> String {
    let [header, payload, _] = parts(&token(&[]));
    format!("{header}.{payload}.{}", b64(signature))
}

/// HS256 over the public key in each form in which it could be taken for a secret.
fn hmac_with_public_key(secret: &[u8]) -> String {
    let signed = format!("{}.{}", b64(r#"{"alg":"HS256","kid":"rsa"}"#), b64(claims(&[])));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
    let signature = b64(aws_lc_rs::hmac::sign(&key, signed.as_bytes()));
    format!("{signed}.{signature}")
}

fn attacks() -> Vec<(&'static str, String, Refused)> {
    use Refused::*;
    let [head, payload, signature] = parts(&token(&[]));
    let bytes = URL_SAFE_NO_PAD.decode(&signature).expect("a signature");
    let unsigned = |alg: &str| format!("{}.{payload}.", b64(format!(r#"{{"alg":"{alg}"}}"#)));
    let jwk = STRANGERS.jwk("ES256");
    let n = "n".repeat(MAX_TOKEN);
    let other = parts(&with("sub", r#""u2""#));
    let (later, past) = ((NOW + 31).to_string(), (NOW - 30).to_string());
    vec![
        ("alg none", unsigned("none"), Algorithm),
        ("alg None", unsigned("None"), Algorithm),
        ("alg NONE", unsigned("NONE"), Algorithm),
        ("alg nOnE", unsigned("nOnE"), Algorithm),
        ("alg none with a space", unsigned("none "), Algorithm),
        ("alg none with a signature", alg(r#""none""#), Algorithm),
        ("alg empty", alg(r#""""#), Algorithm),
        ("alg null", alg("null"), Malformed),
        ("alg list", alg(r#"["ES256"]"#), Malformed),
        ("alg missing", header(r#"{"kid":"ec"}"#), Malformed),
        ("alg in lower case", alg(r#""es256""#), Algorithm),
        ("alg with NUL", alg(r#""ES256\u0000""#), Algorithm),
        ("alg with a full-width digit", alg(r#""ES25\uff16""#), Algorithm),
        ("alg ES384", alg(r#""ES384""#), Algorithm),
        ("alg PS256", alg(r#""PS256""#), Algorithm),
        ("alg RS512", alg(r#""RS512""#), Algorithm),
        ("HS256 with the JWK as secret", hmac_with_public_key(SIGNERS.jwk("RS256").as_bytes()), Algorithm),
        ("HS256 with the key set as secret", hmac_with_public_key(SIGNERS.jwks().as_bytes()), Algorithm),
        ("HS256 with an empty secret", hmac_with_public_key(b""), Algorithm),
        ("RS256 with the EC key's id", header(r#"{"alg":"RS256","kid":"ec"}"#), Algorithm),
        ("ES256 with the RSA key's id", header(r#"{"alg":"ES256","kid":"rsa"}"#), Algorithm),
        ("EdDSA with the EC key's id", header(r#"{"alg":"EdDSA","kid":"ec"}"#), Algorithm),
        ("EdDSA over an EC signature", header(r#"{"alg":"EdDSA","kid":"ed"}"#), Signature),
        ("kid unknown", header(r#"{"alg":"ES256","kid":"other"}"#), Key),
        ("kid empty", header(r#"{"alg":"ES256","kid":""}"#), Key),
        ("kid traversal", header(r#"{"alg":"ES256","kid":"../../dev/null"}"#), Key),
        ("kid injection", header(r#"{"alg":"ES256","kid":"ec' OR '1'='1"}"#), Key),
        ("kid with NUL", header(r#"{"alg":"ES256","kid":"ec\u0000"}"#), Key),
        ("kid in another case", header(r#"{"alg":"ES256","kid":"EC"}"#), Key),
        ("kid list", header(r#"{"alg":"ES256","kid":["ec"]}"#), Malformed),
        ("kid number", header(r#"{"alg":"ES256","kid":0}"#), Malformed),
        ("kid null", header(r#"{"alg":"ES256","kid":null}"#), Malformed),
        ("jku", extra(r#""jku":"https://evil.example/jwks""#), Malformed),
        ("x5u", extra(r#""x5u":"https://evil.example/x""#), Malformed),
        ("x5c", extra(r#""x5c":["AA"]"#), Malformed),
        ("own jwk", STRANGERS.token("ES256", &format!(r#"{{"alg":"ES256","jwk":{jwk}}}"#), &claims(&[])), Malformed),
        ("crit", extra(r#""crit":["exp"],"exp":1"#), Malformed),
        ("crit empty", extra(r#""crit":[]"#), Malformed),
        ("crit null", extra(r#""crit":null"#), Malformed),
        ("b64 false", extra(r#""b64":false"#), Malformed),
        ("b64 true", extra(r#""b64":true"#), Malformed),
        ("zip", extra(r#""zip":"DEF""#), Malformed),
        ("nested", extra(r#""cty":"JWT""#), Malformed),
        ("nested in lower case", extra(r#""cty":"jwt""#), Malformed),
        ("typ of another kind", extra(r#""typ":"logout+jwt""#), Malformed),
        ("typ empty", extra(r#""typ":"""#), Malformed),
        ("typ null", extra(r#""typ":null"#), Malformed),
        ("typ list", extra(r#""typ":["JWT"]"#), Malformed),
        ("duplicate alg", header(r#"{"alg":"none","alg":"ES256","kid":"ec"}"#), Malformed),
        ("duplicate escaped alg", header(r#"{"alg":"ES256","\u0061lg":"none","kid":"ec"}"#), Malformed),
        ("duplicate kid", header(r#"{"alg":"ES256","kid":"x","kid":"ec"}"#), Malformed),
        ("header is a list", header(r#"["ES256"]"#), Malformed),
        ("header is no JSON", header("ES256"), Malformed),
        ("header with trailing bytes", header(r#"{"alg":"ES256","kid":"ec"}x"#), Malformed),
        ("header with a BOM", header("\u{feff}{\"alg\":\"ES256\",\"kid\":\"ec\"}"), Malformed),
        ("duplicate sub", token(&[("sub", r#""u1","sub":"root""#)]), Malformed),
        ("duplicate iss", token(&[("iss", &format!(r#""x","iss":"{ISSUER}""#))]), Malformed),
        ("duplicate deep", with("x", r#"{"a":[{"b":1,"b":2}]}"#), Malformed),
        ("claims are a list", SIGNERS.token("ES256", EC_HEADER, "[]"), Malformed),
        ("claims are a token", SIGNERS.token("ES256", EC_HEADER, &token(&[])), Malformed),
        ("claims are empty", SIGNERS.token("ES256", EC_HEADER, ""), Malformed),
        ("claims too deep", with("x", &format!("{}{}", "[".repeat(500), "]".repeat(500))), Malformed),
        ("huge", with("x", &format!("{n:?}")), Malformed),
        ("exp missing", with("exp", ""), Claim),
        ("exp null", with("exp", "null"), Claim),
        ("exp string", with("exp", r#""9999999999""#), Claim),
        ("exp fraction", with("exp", "1900000000.5"), Claim),
        ("exp float", with("exp", "1.9e9"), Claim),
        ("exp beyond 64 bits", with("exp", "18446744073709551616"), Claim),
        ("exp largest integer", with("exp", "9223372036854775807"), Claim),
        ("exp beyond floats", with("exp", "1e999"), Malformed),
        ("exp not a number", with("exp", "NaN"), Malformed),
        ("exp list", with("exp", "[1900000000]"), Claim),
        ("exp bool", with("exp", "true"), Claim),
        ("exp negative", with("exp", "-1"), Expired),
        ("exp smallest integer", with("exp", "-9223372036854775808"), Claim),
        ("exp zero", with("exp", "0"), Expired),
        ("exp past", with("exp", &past), Expired),
        ("nbf future", with("nbf", &later), Immature),
        ("nbf string", with("nbf", r#""0""#), Claim),
        ("nbf null", with("nbf", "null"), Claim),
        ("iat future", with("iat", &later), Immature),
        ("iat float", with("iat", "1.0"), Claim),
        ("iss missing", with("iss", ""), Issuer),
        ("iss other", with("iss", r#""https://evil.example""#), Issuer),
        ("iss list", with("iss", &format!("[{ISSUER:?}]")), Issuer),
        ("iss null", with("iss", "null"), Issuer),
        ("iss with a slash more", with("iss", &format!("\"{ISSUER}/\"")), Issuer),
        ("iss in another case", with("iss", r#""HTTPS://id.example.com""#), Issuer),
        ("iss with NUL", with("iss", &format!("\"{ISSUER}\\u0000\"")), Issuer),
        ("iss homograph", with("iss", "\"https://id.ex\u{430}mple.com\""), Issuer),
        ("aud missing", with("aud", ""), Audience),
        ("aud other", with("aud", r#""erp""#), Audience),
        ("aud longer", with("aud", r#""crm2""#), Audience),
        ("aud part", with("aud", r#""cr""#), Audience),
        ("aud words", with("aud", r#""erp crm""#), Audience),
        ("aud in another case", with("aud", r#""CRM""#), Audience),
        ("aud empty list", with("aud", "[]"), Audience),
        ("aud others", with("aud", r#"["erp","crm2"]"#), Audience),
        ("aud mixed list", with("aud", r#"["crm",null]"#), Audience),
        ("aud nested list", with("aud", r#"[["crm"]]"#), Audience),
        ("aud object", with("aud", r#"{"crm":true}"#), Audience),
        ("aud null", with("aud", "null"), Audience),
        ("sub missing", with("sub", ""), Claim),
        ("sub empty", with("sub", r#""""#), Claim),
        ("sub number", with("sub", "1"), Claim),
        ("sub with a line break", with("sub", r#""u1\nadmin""#), Claim),
        ("signature stripped", format!("{head}.{payload}."), Signature),
        ("signature missing", format!("{head}.{payload}"), Malformed),
        ("signature cut", format!("{head}.{payload}.{}", b64(&bytes[..63])), Signature),
        ("signature longer", format!("{head}.{payload}.{signature}AAAA"), Signature),
        ("signature of another token", format!("{head}.{payload}.{}", other[2]), Signature),
        ("payload of another token", format!("{head}.{}.{signature}", other[1]), Signature),
        ("signed by a stranger", STRANGERS.token("ES256", EC_HEADER, &claims(&[])), Signature),
        ("psychic signature", signed_with(&[0; 64]), Signature),
        ("signature of ones", signed_with(&[0xff; 64]), Signature),
        ("DER signature", signed_with(&SIGNERS.sign("ES256-DER", &format!("{head}.{payload}"))), Signature),
        ("padded parts", format!("{}.{payload}.{signature}", URL_SAFE.encode("{\"alg\":\"ES256\"} ")), Malformed),
        ("padded signature", format!("{head}.{payload}.{signature}=="), Malformed),
        ("standard alphabet", format!("{head}.{payload}.{}", STANDARD.encode([0xfb; 64])), Malformed),
        ("loose last bits", format!("{}.{payload}.{signature}", "e31"), Malformed),
        ("space in front", format!(" {head}.{payload}.{signature}"), Malformed),
        ("space behind", format!("{head}.{payload}.{signature} "), Malformed),
        ("space between", format!("{head}. {payload}.{signature}"), Malformed),
        ("full-width dot", format!("{head}\u{ff0e}{payload}.{signature}"), Malformed),
        ("five parts", format!("{head}.{payload}.{signature}.AAAA.AAAA"), Malformed),
        ("JWE", format!("{}.AA.AA.AA.AA", b64(r#"{"alg":"dir","enc":"A256GCM"}"#)), Malformed),
        ("JSON serialisation", format!(r#"{{"payload":"{payload}","signature":"{signature}"}}"#), Malformed),
        ("one part", head.clone(), Malformed),
        ("dots", "..".to_owned(), Malformed),
        ("nothing", String::new(), Malformed),
    ]
}

#[test]
fn every_attack_is_refused_for_its_own_reason() {
    let authenticator = authenticator(&Clock::fixed(NOW));
    let attacks = attacks();
    assert!(attacks.len() >= 60);
    for (name, token, refused) in attacks {
        assert_eq!(bearer(&authenticator, &token).map(|p| p.id), Err(refused), "{name}");
    }
}

#[test]
fn sound_tokens_of_all_three_algorithms_are_accepted() {
    let authenticator = authenticator(&Clock::fixed(NOW));
    for (algorithm, kid) in [("ES256", "ec"), ("RS256", "rsa"), ("EdDSA", "ed")] {
        for header in [
            format!(r#"{{"alg":"{algorithm}","kid":"{kid}","typ":"at+jwt"}}"#),
            format!(r#"{{"alg":"{algorithm}","kid":"{kid}","typ":"jwt","x5t":"unused"}}"#),
            format!(r#"{{"alg":"{algorithm}"}}"#),
        ] {
            let token = SIGNERS.token(algorithm, &header, &claims(&[("aud", r#"["erp","crm"]"#)]));
            assert_eq!(bearer(&authenticator, &token).map(|p| p.id), Ok("u1".into()), "{header}");
        }
    }
}

#[test]
fn times_are_judged_with_the_leeway_and_no_more() {
    let authenticator = authenticator(&Clock::fixed(NOW));
    let at = |offset: i64| (NOW + offset).to_string();
    assert!(bearer(&authenticator, &with("exp", &at(-29))).is_ok());
    assert!(bearer(&authenticator, &with("nbf", &at(30))).is_ok());
    assert!(bearer(&authenticator, &with("iat", &at(30))).is_ok());
}

#[test]
fn an_algorithm_that_the_issuer_does_not_use_is_refused_with_its_key_in_the_set() {
    let keys = KeySet::parse(SIGNERS.jwks().as_bytes(), &[Algorithm::Es256, Algorithm::Rs256]).expect("a set");
    let expected = Expected {
        issuer: ISSUER.into(),
        audience: "crm".into(),
        algorithms: vec![Algorithm::Rs256],
        leeway: Duration::ZERO,
    };
    let token = header(PLAIN);
    let verified = Unverified::parse(&token).and_then(|token| token.verify(&expected, Some(&keys), NOW));
    assert_eq!(verified.err(), Some(Refused::Algorithm));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_changed_byte_of_a_token_is_accepted(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let authenticator = authenticator(&Clock::fixed(NOW));
        let sound = token(&[]);
        let mut bytes = sound.clone().into_bytes();
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] = byte;
        }
        let changed = String::from_utf8_lossy(&bytes).into_owned();
        prop_assume!(changed != sound);
        prop_assert!(bearer(&authenticator, &changed).is_err());
    }

    #[test]
    fn no_random_text_is_accepted(text in "\\PC{0,200}", header in any::<Vec<u8>>(), payload in any::<Vec<u8>>()) {
        let authenticator = authenticator(&Clock::fixed(NOW));
        prop_assert!(authenticator.token(&text).is_err());
        let token = format!("{}.{}.{}", b64(header), b64(payload), b64(&text));
        prop_assert!(authenticator.token(&token).is_err());
    }
}

/// The vectors of the algorithms that are spoken here. What Wycheproof says is invalid must be refused.
#[test]
fn wycheproof_signatures_are_judged_as_published() {
    let Some(file) = corpus("json_web_signature_test.json") else { return };
    let (mut accepted, mut refused) = (0, 0);
    for group in file["testGroups"].as_array().expect("groups") {
        let key = if group["public"].is_null() { &group["private"] } else { &group["public"] };
        let all = [Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa];
        let keys = KeySet::parse(format!(r#"{{"keys":[{key}]}}"#).as_bytes(), &all);
        for test in group["tests"].as_array().expect("tests") {
            let Some(jws) = test["jws"].as_str() else { continue };
            let held = keys.as_ref().is_ok_and(|keys| verifies(jws, keys));
            let spoken = keys.is_ok();
            match test["result"].as_str() {
                Some("valid") if spoken => {
                    assert!(held || !is_plain(jws), "{test}");
                    accepted += usize::from(held);
                }
                Some("valid") => assert!(!held, "{test}"),
                _ => {
                    assert!(!held, "{test}");
                    refused += 1;
                }
            }
        }
    }
    assert!(accepted >= 5 && refused >= 30, "{accepted} {refused}");
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

/// Whether the header is of the kind that is understood here.
fn is_plain(jws: &str) -> bool {
    let header = jws.split('.').next().and_then(|part| object(part).ok());
    let algorithm = header.as_ref().and_then(|header| header.member("alg")?.text());
    matches!(algorithm, Some("ES256" | "RS256" | "EdDSA"))
}

#[test]
fn wycheproof_key_sets_with_a_flaw_are_refused() {
    let Some(file) = corpus("json_web_key_test.json") else { return };
    let all = [Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa];
    for group in file["testGroups"].as_array().expect("groups") {
        let set = if group["public"].is_null() { &group["private"] } else { &group["public"] };
        let keys = KeySet::parse(set.to_string().as_bytes(), &all);
        for test in group["tests"].as_array().expect("tests") {
            let held = test["jws"].as_str().is_some_and(|jws| keys.as_ref().is_ok_and(|keys| verifies(jws, keys)));
            assert!(!held || test["result"] == "valid", "{} {test}", group["comment"]);
        }
    }
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
