//! Proofs with a flaw, proofs that were used, and tokens without the proof that they need.

use http::HeaderMap;
use proptest::prelude::*;

use super::super::tests::{EC_HEADER, Folder, NOW, SIGNERS, STRANGERS, at_once, b64, claims, get, issuer, load, token};
use super::super::{Authenticator, Presented};
use super::*;
use crate::clock::Clock;
use crate::config::{Authn, Hierarchy, Jwks, JwtIssuer};

const OWN: &str = "https://crm.example.com";
const URL: &str = "https://crm.example.com/v1/contacts";

fn authenticator(proofs: crate::config::Proofs, clock: &Clock) -> Authenticator {
    let folder = Folder::new();
    let jwks = Jwks::File(folder.write("jwks.json", &SIGNERS.jwks()));
    let jwt = vec![JwtIssuer { proofs, ..issuer(jwks) }];
    load(Authn { origins: vec![OWN.into()], jwt, ..Authn::default() }, &Hierarchy::None, clock)
        .expect("a configuration")
}

fn checked() -> Authenticator {
    authenticator(crate::config::Proofs::Checked, &Clock::fixed(NOW))
}

/// The key of the client, as its proofs bring it.
fn jwk(algorithm: &str) -> String {
    match algorithm {
        "EdDSA" => STRANGERS.jwk(algorithm).replace(r#","key_ops":["verify"]"#, ""),
        _ => STRANGERS.jwk(algorithm),
    }
}

fn thumbprint(algorithm: &str) -> String {
    let key = Json::parse(jwk(algorithm).as_bytes()).expect("JSON");
    b64(jwks::proof_key(&key).expect("a key").thumbprint)
}

/// A token that is bound to the client's EC key.
fn bound() -> String {
    token(&[("cnf", &format!(r#"{{"jkt":"{}"}}"#, thumbprint("ES256")))])
}

fn proof_header(algorithm: &str) -> String {
    format!(r#"{{"typ":"dpop+jwt","alg":"{algorithm}","jwk":{}}}"#, jwk(algorithm))
}

/// The claims of a sound proof for a token, with members replaced or, where the value is empty, left out.
fn proof_claims(token: &str, changes: &[(&str, &str)]) -> String {
    let mut members = vec![
        ("jti", r#""p1""#.to_owned()),
        ("htm", r#""GET""#.to_owned()),
        ("htu", format!("{URL:?}")),
        ("iat", NOW.to_string()),
        ("ath", format!("{:?}", b64(sha256(token.as_bytes())))),
    ];
    for (name, value) in changes {
        members.retain(|(known, _)| known != name);
        if !value.is_empty() {
            members.push((name, (*value).to_owned()));
        }
    }
    let members: Vec<String> = members.iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
    format!("{{{}}}", members.join(","))
}

fn proof(token: &str, changes: &[(&str, &str)]) -> String {
    STRANGERS.token("ES256", &proof_header("ES256"), &proof_claims(token, changes))
}

fn show(authenticator: &Authenticator, sent: &[(&str, &str)]) -> Result<bool, Refused> {
    show_at(authenticator, "crm.example.com", true, sent)
}

/// Of a request that calls the gateway so.
fn show_at(authenticator: &Authenticator, host: &str, over_tls: bool, sent: &[(&str, &str)]) -> Result<bool, Refused> {
    let mut headers = HeaderMap::new();
    for (name, value) in sent {
        let name: http::HeaderName = name.parse().expect("a name");
        headers.append(name, value.parse().expect("a value"));
    }
    let request = crate::canonical::Canonical { host: host.to_owned(), ..get() };
    let presented = Presented { headers: &headers, request: &request, peer: None, over_tls, since: None };
    at_once(authenticator.authenticate(&presented)).map(|found| found.remembered)
}

fn with_proof(authenticator: &Authenticator, token: &str, proof: &str) -> Result<bool, Refused> {
    show(authenticator, &[("authorization", &format!("DPoP {token}")), ("dpop", proof)])
}

#[test]
fn a_bound_token_is_of_use_with_a_proof_of_its_key_alone() {
    let authenticator = checked();
    let (bound, free) = (bound(), token(&[]));
    assert_eq!(with_proof(&authenticator, &bound, &proof(&bound, &[])), Ok(false));
    assert_eq!(with_proof(&authenticator, &bound, &proof(&bound, &[("jti", r#""p2""#)])), Ok(true));
    for (sent, refused) in [
        (&[("authorization", &*format!("Bearer {bound}"))][..], Refused::Binding),
        (&[("authorization", &format!("Bearer {bound}")), ("dpop", &proof(&bound, &[]))], Refused::Binding),
        (&[("authorization", &format!("DPoP {bound}"))], Refused::Proof),
        (&[("authorization", &format!("DPoP {bound}")), ("dpop", "")], Refused::Proof),
        (&[("authorization", &format!("DPoP {free}")), ("dpop", &proof(&free, &[]))], Refused::Binding),
    ] {
        assert_eq!(show(&authenticator, sent), Err(refused), "{sent:?}");
    }
    let two = [proof(&bound, &[("jti", r#""p3""#)]), proof(&bound, &[("jti", r#""p4""#)])];
    let scheme = format!("DPoP {bound}");
    let sent = [("authorization", &*scheme), ("dpop", &*two[0]), ("dpop", &*two[1])];
    assert_eq!(show(&authenticator, &sent), Err(Refused::Proof));
    assert!(show(&authenticator, &[("authorization", &format!("Bearer {free}"))]).is_ok());
    // The proof of another key, of which the thief has the private part.
    let own = proof_header("ES256").replace(&jwk("ES256"), &SIGNERS.jwk("ES256"));
    let theirs = SIGNERS.token("ES256", &own, &proof_claims(&bound, &[("jti", r#""p5""#)]));
    assert_eq!(with_proof(&authenticator, &bound, &theirs), Err(Refused::Binding));
}

#[test]
fn a_proof_is_good_for_one_request() {
    let authenticator = checked();
    let bound = bound();
    let once = proof(&bound, &[]);
    assert!(with_proof(&authenticator, &bound, &once).is_ok());
    assert_eq!(with_proof(&authenticator, &bound, &once), Err(Refused::Replayed));
    let again = proof(&bound, &[("iat", &(NOW + 1).to_string())]);
    assert_eq!(with_proof(&authenticator, &bound, &again), Err(Refused::Replayed), "one id, signed anew");
    // A reload forgets none of them.
    let reloaded = checked();
    reloaded.inherit(&authenticator);
    assert_eq!(with_proof(&reloaded, &bound, &once), Err(Refused::Replayed));
    // The same id by another key is another proof.
    let eddsa = token(&[("cnf", &format!(r#"{{"jkt":"{}"}}"#, thumbprint("EdDSA")))]);
    let other = STRANGERS.token("EdDSA", &proof_header("EdDSA"), &proof_claims(&eddsa, &[]));
    assert!(with_proof(&authenticator, &eddsa, &other).is_ok());
}

/// What a proof is told to repeat.
fn told(result: Result<bool, Refused>) -> Nonce {
    match result {
        Err(Refused::Nonce(nonce)) => nonce,
        other => panic!("{other:?}"),
    }
}

#[test]
fn where_an_issuer_says_so_a_proof_repeats_what_was_told() {
    let clock = Clock::fixed(NOW);
    let start = || {
        let folder = Folder::new();
        let jwks = Jwks::File(folder.write("jwks.json", &SIGNERS.jwks()));
        let proofs = crate::config::Proofs::Checked;
        let nonces = Some(crate::config::Nonces { time: Duration::from_secs(60), secrets: Vec::new() });
        let jwt = vec![JwtIssuer { proofs, nonces, ..issuer(jwks) }];
        load(Authn { origins: vec![OWN.into()], jwt, ..Authn::default() }, &Hierarchy::None, &clock)
            .expect("a configuration")
    };
    let (authenticator, bound, free) = (start(), bound(), token(&[]));
    let with = |id: &str, nonce: &str| proof(&bound, &[("jti", &format!("{id:?}")), ("nonce", nonce)]);
    let quoted = |nonce: Nonce| format!("\"{nonce}\"");
    let first = told(with_proof(&authenticator, &bound, &with("n1", "")));
    assert_eq!(with_proof(&authenticator, &bound, &with("n1", &quoted(first))), Ok(true), "its id was not used up");
    assert_eq!(with_proof(&authenticator, &bound, &with("n1", &quoted(first))), Err(Refused::Replayed));
    assert!(with_proof(&authenticator, &bound, &with("n2", &quoted(first))).is_ok(), "a nonce is good for several");
    // What another process told, what was told for nothing, and what was never told.
    let foreign = told(with_proof(&start(), &bound, &with("n3", "")));
    for shown in
        [quoted(foreign), r#""""#.to_owned(), format!("{:?}", "A".repeat(43)), format!("{:?}", "x".repeat(2000))]
    {
        assert_eq!(told(with_proof(&authenticator, &bound, &with("n4", &shown))), first, "{shown}");
    }
    for shown in ["1", "null", "[]", &format!("[{}]", quoted(first)), &format!("{0},\"nonce\":{0}", quoted(first))] {
        assert_eq!(with_proof(&authenticator, &bound, &with("n5", shown)), Err(Refused::Proof), "{shown}");
    }
    // Nobody is told one who has not shown a token and its key.
    let other = with("n6", "").replace(&b64(sha256(bound.as_bytes())), "x");
    assert_eq!(with_proof(&authenticator, "no.such.token", &other), Err(Refused::Proof));
    let unbound = proof(&free, &[("jti", r#""n7""#)]);
    assert_eq!(with_proof(&authenticator, &free, &unbound), Err(Refused::Binding));
    assert!(show(&authenticator, &[("authorization", &format!("Bearer {free}"))]).is_ok(), "it needs no proof");
    // A reload keeps what was told; time does not.
    let reloaded = start();
    reloaded.inherit(&authenticator);
    assert!(with_proof(&reloaded, &bound, &with("n8", &quoted(first))).is_ok());
    let later = |seconds: i64, id: &str, nonce: Nonce| {
        clock.set(NOW + seconds);
        let (id, issued) = (format!("{id:?}"), (NOW + seconds).to_string());
        let late = proof(&bound, &[("jti", &id), ("iat", &issued), ("nonce", &quoted(nonce))]);
        with_proof(&authenticator, &bound, &late)
    };
    assert!(later(60, "n9", first).is_ok(), "the stretch before this one");
    let next = told(later(120, "n10", first));
    assert_ne!(next, first);
    assert!(later(120, "n10", next).is_ok());
}

#[test]
fn proofs_with_a_flaw_are_refused() {
    let authenticator = checked();
    let bound = bound();
    let claim = |name: &str, value: &str| proof(&bound, &[(name, value)]);
    let head = |text: &str| STRANGERS.token("ES256", text, &proof_claims(&bound, &[]));
    let with = |from: &str, to: &str| head(&proof_header("ES256").replacen(from, to, 1));
    let extra = |member: &str| with(r#"{"typ""#, &format!(r#"{{{member},"typ""#));
    let sound = proof(&bound, &[]);
    let (signed, signature) = sound.rsplit_once('.').expect("a proof");
    let hash_of_other = format!("{:?}", b64(sha256(b"other")));
    let cases = [
        ("htm of another method", claim("htm", r#""POST""#)),
        ("htm in lower case", claim("htm", r#""get""#)),
        ("htm list", claim("htm", r#"["GET"]"#)),
        ("htm missing", claim("htm", "")),
        ("htu of another path", claim("htu", r#""https://crm.example.com/v1/deals""#)),
        ("htu of another host", claim("htu", r#""https://evil.example/v1/contacts""#)),
        ("htu of another port", claim("htu", r#""https://crm.example.com:8443/v1/contacts""#)),
        ("htu over plain http", claim("htu", r#""http://crm.example.com/v1/contacts""#)),
        ("htu with a slash more", claim("htu", r#""https://crm.example.com/v1/contacts/""#)),
        ("htu with dots", claim("htu", r#""https://crm.example.com/v1/x/../contacts""#)),
        ("htu without a host", claim("htu", r#""/v1/contacts""#)),
        ("htu with a user", claim("htu", r#""https://crm.example.com@evil.example/v1/contacts""#)),
        ("htu list", claim("htu", &format!("[{URL:?}]"))),
        ("htu missing", claim("htu", "")),
        ("iat too old", claim("iat", &(NOW - 61).to_string())),
        ("iat too new", claim("iat", &(NOW + 61).to_string())),
        ("iat string", claim("iat", &format!("\"{NOW}\""))),
        ("iat float", claim("iat", &format!("{NOW}.0"))),
        ("iat largest", claim("iat", "9223372036854775807")),
        ("iat missing", claim("iat", "")),
        ("ath of another token", claim("ath", &hash_of_other)),
        ("ath missing", claim("ath", "")),
        ("ath null", claim("ath", "null")),
        ("jti missing", claim("jti", "")),
        ("jti empty", claim("jti", r#""""#)),
        ("jti number", claim("jti", "1")),
        ("jti long", claim("jti", &format!("{:?}", "x".repeat(257)))),
        ("jti twice", claim("jti", r#""p1","jti":"p2""#)),
        ("typ of a token", with("dpop+jwt", "JWT")),
        ("typ in upper case", with("dpop+jwt", "DPOP+JWT")),
        ("typ missing", with(r#""typ":"dpop+jwt","#, "")),
        ("alg none", with(r#""alg":"ES256""#, r#""alg":"none""#)),
        ("alg HS256", with(r#""alg":"ES256""#, r#""alg":"HS256""#)),
        ("alg of another key", with(r#""alg":"ES256""#, r#""alg":"RS256""#)),
        ("alg missing", with(r#""alg":"ES256","jwk""#, r#""jwk""#)),
        ("no key", head(r#"{"typ":"dpop+jwt","alg":"ES256"}"#)),
        ("key by id", head(r#"{"typ":"dpop+jwt","alg":"ES256","kid":"ec"}"#)),
        ("private key", with(r#""kty":"EC""#, r#""d":"AA","kty":"EC""#)),
        ("symmetric key", head(r#"{"typ":"dpop+jwt","alg":"HS256","jwk":{"kty":"oct","k":"AAAA"}}"#)),
        ("key for encryption", with(r#""use":"sig""#, r#""use":"enc""#)),
        ("crit", extra(r#""crit":["exp"]"#)),
        ("b64", extra(r#""b64":false"#)),
        ("jku", extra(r#""jku":"https://evil.example""#)),
        ("x5c", extra(r#""x5c":[]"#)),
        ("alg twice", extra(r#""alg":"none""#)),
        ("signed by another key", SIGNERS.token("ES256", &proof_header("ES256"), &proof_claims(&bound, &[]))),
        ("not signed", format!("{signed}.")),
        ("signature cut", format!("{signed}.{}", signature.get(..80).expect("longer"))),
        ("five parts", format!("{sound}.AA.AA")),
        ("two proofs", format!("{sound},{sound}")),
        ("the token itself", bound.clone()),
        ("huge", claim("x", &format!("{:?}", "x".repeat(MAX_PROOF)))),
        ("no proof", "x".to_owned()),
    ];
    assert!(cases.len() >= 50);
    for (name, flawed) in cases {
        assert_eq!(with_proof(&authenticator, &bound, &flawed), Err(Refused::Proof), "{name}");
    }
    assert!(with_proof(&authenticator, &bound, &sound).is_ok(), "none of them used the id up");
}

/// Somebody else got the token and a proof for a URL of theirs, and calls the gateway by their own name (section 4.3, no. 9).
#[test]
fn a_proof_for_another_origin_is_refused_whatever_the_gateway_is_called() {
    let authenticator = checked();
    let bound = bound();
    let scheme = format!("DPoP {bound}");
    let at = |host: &str, over_tls: bool, id: &str, url: &str| {
        let proof = proof(&bound, &[("jti", &format!("{id:?}")), ("htu", &format!("{url:?}"))]);
        show_at(&authenticator, host, over_tls, &[("authorization", &scheme), ("dpop", &proof)])
    };
    for (host, url) in [
        ("evil.example", "https://evil.example/v1/contacts"),
        ("evil.example:443", "https://evil.example:443/v1/contacts"),
        ("crm.example.com:8443", "https://crm.example.com:8443/v1/contacts"),
        ("crm.example.com.", "https://crm.example.com./v1/contacts"),
        ("", "https:///v1/contacts"),
        ("crm.example.com", "http://crm.example.com/v1/contacts"),
        ("crm.example.com", "http://crm.example.com:443/v1/contacts"),
    ] {
        for over_tls in [true, false] {
            assert_eq!(at(host, over_tls, "e1", url), Err(Refused::Proof), "{host} {url}");
        }
    }
    // A proxy between may call it by yet another name; the client means the one that it knows.
    assert!(at("10.0.0.7:8443", true, "e2", URL).is_ok());
    assert!(at("10.0.0.7:8443", false, "e3", URL).is_ok());
}

#[test]
fn one_url_may_be_written_in_several_ways() {
    let authenticator = checked();
    let bound = bound();
    for (at, url) in [
        "https://crm.example.com:443/v1/contacts",
        "https://CRM.example.com/v1/contacts",
        "https://crm.example.com/v1/contacts?limit=1",
        "https://crm.example.com/v1/contacts#top",
        "https://crm.example.com/v1/%63ontacts",
    ]
    .into_iter()
    .enumerate()
    {
        let proof = proof(&bound, &[("jti", &format!("\"u{at}\"")), ("htu", &format!("{url:?}"))]);
        assert!(with_proof(&authenticator, &bound, &proof).is_ok(), "{url}");
    }
    for second in [NOW - 60, NOW + 60] {
        let proof = proof(&bound, &[("jti", &format!("\"t{second}\"")), ("iat", &second.to_string())]);
        assert!(with_proof(&authenticator, &bound, &proof).is_ok(), "{second}");
    }
}

#[test]
fn an_issuer_says_whether_tokens_are_bound() {
    use crate::config::Proofs;
    let clock = Clock::fixed(NOW);
    let (bound, free) = (bound(), token(&[]));
    let certificate = token(&[("cnf", &format!(r#"{{"x5t#S256":"{}"}}"#, b64([7; 32])))]);
    for (proofs, accepts_bound, accepts_free) in
        [(Proofs::Unused, false, true), (Proofs::Checked, true, true), (Proofs::Required, true, false)]
    {
        let authenticator = authenticator(proofs, &clock);
        let proof = proof(&bound, &[]);
        assert_eq!(with_proof(&authenticator, &bound, &proof).is_ok(), accepts_bound, "{proofs:?}");
        let free = show(&authenticator, &[("authorization", &format!("Bearer {free}"))]);
        assert_eq!(free.is_ok(), accepts_free, "{proofs:?}");
        assert!(show(&authenticator, &[("authorization", &format!("Bearer {certificate}"))]).is_err());
    }
}

/// RFC 7638, section 3.1, and RFC 8037, appendix A.3.
#[test]
fn thumbprints_are_those_of_the_standard() {
    let of = |key: &str| {
        let key = Json::parse(key.as_bytes()).expect("JSON");
        b64(jwks::proof_key(&key).expect("a key").thumbprint)
    };
    let rsa = r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#;
    assert_eq!(of(rsa), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    let ed = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    assert_eq!(of(ed), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn the_key_of_the_issuer_is_no_proof_of_the_clients() {
    let authenticator = checked();
    let bound = bound();
    let forged = STRANGERS.token("ES256", EC_HEADER, &claims(&[]));
    assert_eq!(with_proof(&authenticator, &forged, &proof(&forged, &[])), Err(Refused::Signature));
    assert!(with_proof(&authenticator, &bound, &proof(&bound, &[])).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_changed_byte_of_a_proof_is_accepted(at in any::<prop::sample::Index>(), byte in 33u8..127) {
        let authenticator = checked();
        let bound = bound();
        let sound = proof(&bound, &[]);
        let mut bytes = sound.clone().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let changed = String::from_utf8(bytes).expect("text");
        prop_assume!(changed != sound);
        prop_assert!(with_proof(&authenticator, &bound, &changed).is_err());
    }
}

/// Whoever sends without end, by as many keys as they like, has no room left and takes none of anybody else's.
#[test]
fn one_caller_does_not_use_up_the_room_of_all() {
    let proofs = Proofs::of_one(3);
    let authenticator = checked();
    let ann = super::super::tests::bearer(&authenticator, &token(&[])).expect("somebody");
    let bob = Principal { id: "bob".into(), ..ann.clone() };
    let proof = |key: u8, id: u8| Proof { thumbprint: [key; 32], id: [id; 32], nonce: None, at: NOW };
    for id in 0..3 {
        assert_eq!(proofs.consume(&proof(id, id), &ann), Ok(()));
    }
    assert_eq!(proofs.consume(&proof(9, 9), &ann), Err(Refused::ProofsExhausted));
    // What is repeated takes no room of whoever sent it first.
    for _ in 0..9 {
        assert_eq!(proofs.consume(&proof(0, 0), &bob), Err(Refused::Replayed));
    }
    for id in 10..13 {
        assert_eq!(proofs.consume(&proof(1, id), &bob), Ok(()));
    }
    let namesake = Principal { issuer: "https://other.example.com".into(), ..ann };
    assert_eq!(proofs.consume(&proof(1, 20), &namesake), Ok(()), "another issuer's is another caller");
}
