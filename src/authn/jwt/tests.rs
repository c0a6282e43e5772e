//! Attacks as data: each refused, and each for its own reason.

mod wycheproof;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use proptest::prelude::*;

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

/// A token of bytes that need not be text.
fn raw(header: &[u8], claims: &[u8]) -> String {
    let signed = format!("{}.{}", b64(header), b64(claims));
    let signature = b64(SIGNERS.sign("ES256", &signed));
    format!("{signed}.{signature}")
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
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
        ("HS256 with the modulus as secret", hmac_with_public_key(&SIGNERS.modulus()), Algorithm),
        ("HS256 with its base64 as secret", hmac_with_public_key(b64(SIGNERS.modulus()).as_bytes()), Algorithm),
        ("HS256 with DER as secret", hmac_with_public_key(&SIGNERS.der()), Algorithm),
        ("HS256 with PEM as secret", hmac_with_public_key(SIGNERS.pem().as_bytes()), Algorithm),
        ("HS256 with the issuer as secret", hmac_with_public_key(ISSUER.as_bytes()), Algorithm),
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
        ("kid that is a file", header(r#"{"alg":"ES256","kid":"file:///proc/sys/kernel/ostype"}"#), Key),
        ("kid that is a URL", header(r#"{"alg":"ES256","kid":"https://evil.example/jwks#ec"}"#), Key),
        ("kid that is a command", header(r#"{"alg":"ES256","kid":"ec|sleep 5"}"#), Key),
        ("kid that is a union", header(r#"{"alg":"ES256","kid":"x' UNION SELECT 'AA"}"#), Key),
        ("kid that is long", header(&format!(r#"{{"alg":"ES256","kid":"{}"}}"#, "e".repeat(4_000))), Key),
        ("kid with a space", header(r#"{"alg":"ES256","kid":"ec "}"#), Key),
        ("kid that is a prefix", header(r#"{"alg":"ES256","kid":"e"}"#), Key),
        ("jku", extra(r#""jku":"https://evil.example/jwks""#), Malformed),
        ("x5u", extra(r#""x5u":"https://evil.example/x""#), Malformed),
        ("x5c", extra(r#""x5c":["AA"]"#), Malformed),
        ("own jwk", STRANGERS.token("ES256", &format!(r#"{{"alg":"ES256","jwk":{jwk}}}"#), &claims(&[])), Malformed),
        ("own jwk that is ours", extra(&format!(r#""jwk":{}"#, SIGNERS.jwk("ES256"))), Malformed),
        ("own private jwk", extra(r#""jwk":{"kty":"oct","k":"AA"}"#), Malformed),
        ("jku of the issuer", extra(&format!(r#""jku":"{ISSUER}/jwks""#)), Malformed),
        ("jku null", extra(r#""jku":null"#), Malformed),
        ("epk", extra(r#""epk":{"kty":"EC"}"#), Malformed),
        ("enc", extra(r#""enc":"A256GCM""#), Malformed),
        ("crit", extra(r#""crit":["exp"],"exp":1"#), Malformed),
        ("crit empty", extra(r#""crit":[]"#), Malformed),
        ("crit null", extra(r#""crit":null"#), Malformed),
        ("b64 false", extra(r#""b64":false"#), Malformed),
        ("b64 true", extra(r#""b64":true"#), Malformed),
        ("zip", extra(r#""zip":"DEF""#), Malformed),
        ("nested", extra(r#""cty":"JWT""#), Malformed),
        ("nested in lower case", extra(r#""cty":"jwt""#), Malformed),
        ("typ of another kind", extra(r#""typ":"logout+jwt""#), Malformed),
        ("typ of a proof", extra(r#""typ":"dpop+jwt""#), Malformed),
        ("typ of an event", extra(r#""typ":"secevent+jwt""#), Malformed),
        ("typ of an encryption", extra(r#""typ":"JOSE""#), Malformed),
        ("typ with parameters", extra(r#""typ":"JWT;x=1""#), Malformed),
        ("typ twice", extra(r#""typ":"JWT","typ":"JWT""#), Malformed),
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
        ("duplicate exp", token(&[("exp", r#"1900000000,"exp":1"#)]), Malformed),
        ("duplicate aud", token(&[("aud", r#""erp","aud":"crm""#)]), Malformed),
        ("duplicate escaped sub", token(&[("sub", r#""u1","\u0073ub":"root""#)]), Malformed),
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
        ("exp object", with("exp", "{}"), Claim),
        ("exp empty string", with("exp", r#""""#), Claim),
        ("exp after the year 9999", with("exp", "253402300800"), Claim),
        ("exp with an exponent", with("exp", "19e8"), Claim),
        ("exp with a leading zero", with("exp", "01900000000"), Malformed),
        ("exp with a sign", with("exp", "+1900000000"), Malformed),
        ("exp in hex", with("exp", "0x7fffffff"), Malformed),
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
        ("nbf fraction", with("nbf", "1.5"), Claim),
        ("nbf largest integer", with("nbf", "9223372036854775807"), Claim),
        ("nbf list", with("nbf", "[0]"), Claim),
        ("iat string", with("iat", r#""0""#), Claim),
        ("iat largest integer", with("iat", "9223372036854775807"), Claim),
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
        ("iss object", with("iss", &format!(r#"{{"iss":{ISSUER:?}}}"#)), Issuer),
        ("iss empty", with("iss", r#""""#), Issuer),
        ("iss with a space", with("iss", &format!("\"{ISSUER} \"")), Issuer),
        ("iss with a user", with("iss", r#""https://id.example.com@evil.example""#), Issuer),
        ("iss longer", with("iss", r#""https://id.example.com.evil.example""#), Issuer),
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
        ("aud empty", with("aud", r#""""#), Audience),
        ("aud number", with("aud", "0"), Audience),
        ("aud bool", with("aud", "true"), Audience),
        ("aud star", with("aud", r#""*""#), Audience),
        ("aud list in a text", with("aud", r#""[\"crm\"]""#), Audience),
        ("aud with NUL", with("aud", r#""crm\u0000""#), Audience),
        ("aud with a zero-width space", with("aud", "\"crm\u{200b}\""), Audience),
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
        ("dot behind", format!("{head}.{payload}.{signature}."), Malformed),
        ("dot in front", format!(".{head}.{payload}.{signature}"), Malformed),
        ("two dots between", format!("{head}..{payload}.{signature}"), Malformed),
        ("four parts", format!("{head}.{payload}.{signature}.AAAA"), Malformed),
        ("comma behind", format!("{head}.{payload}.{signature},"), Malformed),
        ("tab between", format!("{head}.{payload}.\t{signature}"), Malformed),
        ("percent-encoded", format!("{head}%2E{payload}%2E{signature}"), Malformed),
        ("padded payload", format!("{head}.{payload}=.{signature}"), Malformed),
        ("non-UTF-8 claims", raw(EC_HEADER.as_bytes(), b"{\"iss\":\"\xff\"}"), Malformed),
        ("non-UTF-8 header", raw(b"{\"alg\":\"ES256\xc0\xaf\"}", claims(&[]).as_bytes()), Malformed),
        ("UTF-16 claims", raw(EC_HEADER.as_bytes(), &utf16(&claims(&[]))), Malformed),
        ("claims with a lone surrogate", with("x", r#""\ud800""#), Malformed),
        ("claims with a comment", with("x", "1/**/"), Malformed),
        ("claims with a trailing comma", with("x", "1,"), Malformed),
        ("claims with NUL behind", SIGNERS.token("ES256", EC_HEADER, &format!("{}\0", claims(&[]))), Malformed),
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
    assert!(attacks.len() >= 140, "{}", attacks.len());
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
        access_tokens_only: false,
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
        prop_assert!(bearer(&authenticator, &text).is_err());
        let token = format!("{}.{}.{}", b64(header), b64(payload), b64(&text));
        prop_assert!(bearer(&authenticator, &token).is_err());
    }
}
