//! Tokens that are refused although their signature holds: bound to a key, of another kind, or taken back.

use super::*;
use crate::model::Action;
use crate::pki::{Facts, Peer};

const THUMB: [u8; 32] = [7; 32];

fn with_certificate(
    authenticator: &Authenticator,
    token: &str,
    certificate: Option<[u8; 32]>,
) -> Result<bool, Refused> {
    let headers = HeaderMap::from_iter([(header::AUTHORIZATION, format!("Bearer {token}").parse().expect("a value"))]);
    let shown = |thumbprint| Peer { authority: "clients".into(), thumbprint, facts: Facts::default() };
    let peer = certificate.map(shown);
    let presented = Presented { headers: &headers, request: &get(), peer: peer.as_ref(), over_tls: true, since: None };
    at_once(authenticator.authenticate(&presented)).map(|found| found.remembered)
}

#[test]
fn a_token_bound_to_a_certificate_is_of_use_with_that_certificate_alone() {
    let authenticator = authenticator(&Clock::fixed(NOW));
    let bound = token(&[("cnf", &format!(r#"{{"x5t#S256":"{}"}}"#, b64(THUMB)))]);
    assert_eq!(with_certificate(&authenticator, &bound, None), Err(Refused::Binding));
    assert_eq!(with_certificate(&authenticator, &bound, Some([8; 32])), Err(Refused::Binding));
    assert_eq!(with_certificate(&authenticator, &bound, Some(THUMB)), Ok(false));
    assert_eq!(with_certificate(&authenticator, &bound, Some(THUMB)), Ok(true));
    for other in [None, Some([8; 32]), Some([0; 32])] {
        assert_eq!(with_certificate(&authenticator, &bound, other), Err(Refused::Binding), "remembered, and stolen");
    }
    let free = token(&[]);
    assert!(with_certificate(&authenticator, &free, None).is_ok());
    assert!(with_certificate(&authenticator, &free, Some(THUMB)).is_ok());
}

#[test]
fn a_confirmation_that_is_not_understood_cannot_be_met() {
    let authenticator = authenticator(&Clock::fixed(NOW));
    let thumb = b64(THUMB);
    for confirmation in [
        "null".to_owned(),
        "{}".to_owned(),
        "[]".to_owned(),
        format!("{thumb:?}"),
        r#"{"x5t#S256":null}"#.to_owned(),
        r#"{"x5t#S256":""}"#.to_owned(),
        format!(r#"{{"x5t#S256":["{thumb}"]}}"#),
        format!(r#"{{"x5t#S256":"{thumb}="}}"#),
        format!(r#"{{"x5t#S256":"{}"}}"#, b64([7; 31])),
        format!(r#"{{"x5t#S256":"{}"}}"#, b64([7; 33])),
        format!(r#"{{"x5t#s256":"{thumb}"}}"#),
        format!(r#"{{"x5t":"{thumb}"}}"#),
        format!(r#"{{"x5t#S256":"{thumb}","jwe":"x"}}"#),
        format!(r#"{{"x5t#S256":"{thumb}","kid":"x"}}"#),
        r#"{"jwk":{"kty":"EC"}}"#.to_owned(),
        r#"{"kid":"ec"}"#.to_owned(),
        r#"{"jku":"https://evil.example/jwks"}"#.to_owned(),
    ] {
        let token = token(&[("cnf", &confirmation)]);
        for certificate in [None, Some(THUMB)] {
            let refused = with_certificate(&authenticator, &token, certificate);
            assert_eq!(refused, Err(Refused::Binding), "{confirmation}");
        }
    }
}

#[test]
fn where_access_tokens_are_declared_no_other_token_is_one() {
    let folder = Folder::new();
    let jwks = Jwks::File(folder.write("jwks.json", &SIGNERS.jwks()));
    let jwt = vec![JwtIssuer { access_tokens_only: true, ..issuer(jwks) }];
    let authn = Authn { jwt, ..Authn::default() };
    let strict = load(authn, &Hierarchy::None, &Clock::fixed(NOW)).expect("a configuration");
    let lenient = authenticator(&Clock::fixed(NOW));
    let typed = |typ: &str| SIGNERS.token("ES256", &format!(r#"{{"alg":"ES256","kid":"ec"{typ}}}"#), &claims(&[]));
    for (typ, accepted) in [
        (r#","typ":"at+jwt""#, true),
        (r#","typ":"AT+JWT""#, true),
        (r#","typ":"application/at+jwt""#, true),
        (r#","typ":"JWT""#, false),
        ("", false),
    ] {
        let expected = if accepted { Ok("u1".into()) } else { Err(Refused::Kind) };
        assert_eq!(bearer(&strict, &typed(typ)).map(|found| found.id), expected, "{typ}");
        assert!(bearer(&lenient, &typed(typ)).is_ok(), "{typ}");
    }
    for typ in [r#","typ":"id+jwt""#, r#","typ":"at+jwt ""#, r#","typ":"application/jwt""#, r#","typ":"text/at+jwt""#] {
        assert_eq!(bearer(&strict, &typed(typ)), Err(Refused::Malformed), "{typ}");
    }
}

#[test]
fn what_is_revoked_is_refused_at_once_though_it_was_remembered() {
    let folder = Folder::new();
    let jwt = vec![issuer(Jwks::File(folder.write("jwks.json", &SIGNERS.jwks())))];
    let revoke = |entries: &str| folder.write("revoked.yaml", &format!("revoked: [{entries}]\n"));
    let revocations = Some(revoke(""));
    let authn = Authn { jwt, revocations, ..Authn::default() };
    let authenticator = load(authn, &Hierarchy::None, &Clock::fixed(NOW)).expect("a configuration");
    let read_again = || authenticator.revocations.iter().for_each(|list| list.read_again());
    let ours = token(&[("jti", r#""t1""#)]);
    let other = token(&[("jti", r#""t2""#), ("sub", r#""u2""#)]);
    let by_rsa = SIGNERS.token("RS256", r#"{"alg":"RS256"}"#, &claims(&[("jti", r#""t3""#), ("sub", r#""u3""#)]));
    for entry in ["{ jti: t1 }", "{ sub: u1 }", "{ kid: ec }"] {
        for token in [&ours, &other, &by_rsa] {
            assert!(bearer(&authenticator, token).is_ok());
            assert_eq!(remembered(&authenticator, token), Ok(true));
        }
        revoke(entry);
        read_again();
        assert_eq!(bearer(&authenticator, &ours), Err(Refused::Revoked), "{entry}");
        let by_key = entry.contains("kid");
        assert_eq!(remembered(&authenticator, &other), if by_key { Err(Refused::Revoked) } else { Ok(true) });
        assert_eq!(remembered(&authenticator, &by_rsa), Ok(true));
        revoke("");
        read_again();
    }
    // The key that signed it counts, though the token does not name it.
    revoke("{ kid: rsa }");
    read_again();
    assert_eq!(bearer(&authenticator, &by_rsa), Err(Refused::Revoked));
}

#[test]
fn a_revoked_api_key_is_refused() {
    let folder = Folder::new();
    let secret = Secret::new("0123456789abcdef");
    let key = format!("scrim_abcd2345_{}", "A".repeat(43));
    let entry = format!(
        "keys:\n  - id: abcd2345\n    hash: {}\n    principal: {{ id: job, roles: [support] }}\n    \
         tenant: {{ organization_id: acme, app_id: shop }}\n    scopes: [contacts:read]\n    expires: 2030-01-01T00:00:00Z\n",
        api_key::hash(&secret, &key)
    );
    let api_keys = Some(ApiKeys { file: folder.write("keys.yaml", &entry), key: secret, ids: Ids::default() });
    let revocations = Some(folder.write("revoked.yaml", "revoked: []\n"));
    let authn = Authn { api_keys, revocations, ..Authn::default() };
    let authenticator = load(authn, &Hierarchy::None, &Clock::fixed(NOW)).expect("a configuration");
    let headers = HeaderMap::from_iter([("x-api-key".parse().expect("a name"), key.parse().expect("a value"))]);
    let found = shown(&authenticator, &headers).expect("a principal");
    let reads = |action: &Action| found.principal.is_in_scope("contacts", action);
    assert!(reads(&Action::Read) && !reads(&Action::List) && !found.principal.is_in_scope("deals", &Action::Read));
    folder.write("revoked.yaml", "revoked: [{ api_key: abcd2345 }]\n");
    authenticator.revocations.iter().for_each(|list| list.read_again());
    assert_eq!(shown(&authenticator, &headers).err(), Some(Refused::Revoked));
}
