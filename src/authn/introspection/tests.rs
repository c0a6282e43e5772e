//! Opaque tokens: what answers let in, what is remembered and for how long, and what comes of no answer.

use http::{HeaderMap, header};

use super::super::tests::server::Server;
use super::super::tests::{ISSUER, NOW, claim_map, claims, everybody, get, load, token as signed};
use super::super::{Authenticated, Authenticator, Presented};
use super::*;
use crate::config::{Authn, Hierarchy, Ids, Introspection, Proofs};
use crate::model::Reason;
use crate::secret::Secret;

const TOKEN: &str = "opaque-1~+/.x==";

fn introspection(url: &str) -> Introspection {
    Introspection {
        issuer: ISSUER.into(),
        url: format!("{url}/introspect").parse().expect("a URL"),
        ca: None,
        client: "scrim:1".into(),
        secret: Secret::new("s3cr3t&%"),
        audience: "crm".into(),
        organizations: vec!["acme".into()],
        ids: Ids::default(),
        map: claim_map(),
        leeway: Duration::from_secs(30),
        cache: Duration::from_secs(60),
        proofs: Proofs::Unused,
        nonces: None,
    }
}

fn authenticator(introspection: Introspection, clock: &Clock) -> Authenticator {
    let authn = Authn { introspection: Some(introspection), ..Authn::default() };
    load(authn, &Hierarchy::None, clock).expect("a configuration")
}

async fn shows(authenticator: &Authenticator, token: &str) -> Result<Authenticated, Refused> {
    let value = format!("Bearer {token}").parse().expect("a value");
    let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value)]);
    let presented = Presented { headers: &headers, request: &get(), peer: None, over_tls: true, since: None };
    authenticator.authenticate(&presented).await
}

/// Sound claims as an answer, with members replaced or left out.
fn active(changes: &[(&str, &str)]) -> String {
    let mut all = vec![("active", "true")];
    all.extend_from_slice(changes);
    claims(&all)
}

#[tokio::test]
async fn an_active_token_stands_for_its_principal() {
    let (server, url, _task) = Server::start().await;
    let authenticator = authenticator(introspection(&url), &Clock::fixed(NOW));
    server.answers("/introspect", 200, active(&[("token_type", r#""Bearer""#)]));
    let found = shows(&authenticator, TOKEN).await.expect("a principal");
    assert_eq!((&*found.principal.id, &*found.principal.issuer), ("u1", ISSUER));
    assert_eq!((found.principal.method.name(), found.remembered), ("introspection", false));
    assert_eq!(found.principal.memberships.len(), 1);
    let asked = server.last();
    assert_eq!(asked.method, "POST");
    assert_eq!(asked.body, "token_type_hint=access_token&token=opaque-1~%2B%2F.x%3D%3D");
    assert_eq!(asked.authorization, format!("Basic {}", STANDARD.encode("scrim%3A1:s3cr3t%26%25")));
    assert!(shows(&authenticator, TOKEN).await.expect("a principal").remembered);
    assert_eq!(server.asked(), 1);
}

#[tokio::test]
async fn answers_that_do_not_let_in_refuse_for_their_own_reason() {
    let (server, url, _task) = Server::start().await;
    let authenticator = authenticator(introspection(&url), &Clock::fixed(NOW));
    use Refused::*;
    let past = (NOW - 30).to_string();
    let later = (NOW + 31).to_string();
    let cases = [
        (r#"{"active":false}"#.to_owned(), Inactive),
        (active(&[("active", "false")]), Inactive),
        (active(&[("active", r#""true""#)]), IntrospectionUnavailable),
        (active(&[("active", "1")]), IntrospectionUnavailable),
        (active(&[("active", "null")]), IntrospectionUnavailable),
        (active(&[("active", "")]), IntrospectionUnavailable),
        (active(&[("active", r#"true,"active":false"#)]), IntrospectionUnavailable),
        ("true".to_owned(), IntrospectionUnavailable),
        ("[]".to_owned(), IntrospectionUnavailable),
        (String::new(), IntrospectionUnavailable),
        (active(&[("exp", &past)]), Expired),
        (active(&[("exp", r#""9999999999""#)]), Claim),
        (active(&[("nbf", &later)]), Immature),
        (active(&[("aud", "")]), Audience),
        (active(&[("aud", r#""erp""#)]), Audience),
        (active(&[("iss", r#""https://other.example.com""#)]), Issuer),
        (active(&[("iss", "null")]), Issuer),
        (active(&[("sub", "")]), Claim),
        (active(&[("token_type", r#""refresh_token""#)]), Kind),
        (active(&[("typ", r#""Refresh""#)]), Kind),
        (active(&[("typ", r#""ID""#)]), Kind),
        (active(&[("token_use", r#""id""#)]), Kind),
        (active(&[("token_type", "null")]), Kind),
        (active(&[("cnf", r#"{"x5t#S256":"AAAA"}"#)]), Binding),
        (active(&[("cnf", r#"{"jkt":"x"}"#)]), Binding),
    ];
    for (at, (answer, refused)) in cases.into_iter().enumerate() {
        server.answers("/introspect", 200, answer.clone());
        let found = shows(&authenticator, &format!("token-{at}")).await.map(|found| found.principal.id.clone());
        assert_eq!(found, Err(refused), "{answer}");
    }
    assert_eq!(IntrospectionUnavailable.reason(), Reason::IdentityUnavailable);
    assert_eq!(Inactive.reason(), Reason::CredentialsInvalid);
}

#[tokio::test]
async fn no_answer_never_lets_in_and_is_asked_for_again() {
    let (server, url, _task) = Server::start().await;
    let clock = Clock::fixed(NOW);
    let authenticator = authenticator(introspection(&url), &clock);
    for (status, body) in [(500, active(&[])), (401, active(&[])), (302, active(&[])), (204, String::new())] {
        server.answers("/introspect", status, body);
        let found = shows(&authenticator, &format!("token-{status}")).await;
        assert_eq!(found.err(), Some(Refused::IntrospectionUnavailable), "{status}");
    }
    server.answers("/introspect", 200, active(&[]));
    assert_eq!(shows(&authenticator, "token-500").await.err(), Some(Refused::IntrospectionUnavailable));
    clock.set(NOW + 1);
    assert!(shows(&authenticator, "token-500").await.is_ok(), "that there was no answer holds for a second");
    server.answers("/introspect", 500, "");
    clock.set(NOW + 61);
    assert_eq!(shows(&authenticator, "token-500").await.err(), Some(Refused::IntrospectionUnavailable));
    let failed = authenticator.metrics.introspections.with_label_values(&["failed"]).get();
    assert_eq!(failed, 5);
}

#[tokio::test]
async fn an_answer_is_used_as_long_as_declared_and_not_beyond_the_token() {
    let (server, url, _task) = Server::start().await;
    let clock = Clock::fixed(NOW);
    let authenticator = authenticator(introspection(&url), &clock);
    server.answers("/introspect", 200, active(&[("exp", "")]));
    assert!(shows(&authenticator, "long").await.is_ok());
    server.answers("/introspect", 200, active(&[("exp", &(NOW + 20).to_string())]));
    assert!(shows(&authenticator, "short").await.is_ok());
    server.answers("/introspect", 200, r#"{"active":false}"#);
    assert_eq!(shows(&authenticator, "none").await.err(), Some(Refused::Inactive));
    let asked = server.asked();
    clock.set(NOW + 4);
    assert_eq!(shows(&authenticator, "none").await.err(), Some(Refused::Inactive));
    assert_eq!(server.asked(), asked);
    server.answers("/introspect", 200, active(&[]));
    clock.set(NOW + 5);
    assert!(shows(&authenticator, "none").await.is_ok(), "a refusal is remembered for five seconds");
    server.answers("/introspect", 200, r#"{"active":false}"#);
    clock.set(NOW + 19);
    assert!(shows(&authenticator, "short").await.is_ok());
    clock.set(NOW + 20);
    assert_eq!(shows(&authenticator, "short").await.err(), Some(Refused::Inactive));
    clock.set(NOW + 59);
    assert!(shows(&authenticator, "long").await.is_ok());
    clock.set(NOW + 60);
    assert_eq!(shows(&authenticator, "long").await.err(), Some(Refused::Inactive));
}

#[tokio::test]
async fn many_who_show_one_token_ask_once() {
    let (server, url, _task) = Server::start().await;
    let authenticator = authenticator(introspection(&url), &Clock::fixed(NOW));
    server.answers("/introspect", 200, active(&[]));
    let gate = server.hold().await;
    let crowd = everybody((0..40).map(|_| shows(&authenticator, TOKEN)).collect());
    let opened = async {
        while server.asked() < 1 {
            tokio::task::yield_now().await;
        }
        drop(gate);
    };
    let (found, ()) = tokio::join!(crowd, opened);
    assert!(found.iter().all(Result::is_ok));
    assert_eq!(server.asked(), 1);
}

#[tokio::test]
async fn only_what_says_nothing_by_itself_is_asked_about() {
    let (server, url, _task) = Server::start().await;
    let authenticator = authenticator(introspection(&url), &Clock::fixed(NOW));
    server.answers("/introspect", 200, active(&[]));
    let other = signed(&[("iss", r#""https://other.example.com""#)]);
    for (token, refused) in [
        ("a.b.c", Refused::Malformed),
        ("a.b.c.d.e", Refused::Malformed),
        (&*other, Refused::Issuer),
        ("", Refused::Malformed),
        ("====", Refused::Malformed),
        ("a b", Refused::Malformed),
        ("a,b", Refused::Malformed),
        ("a\"b", Refused::Malformed),
        (&"x".repeat(9_000), Refused::Malformed),
    ] {
        assert_eq!(shows(&authenticator, token).await.err(), Some(refused), "{token}");
    }
    assert_eq!(server.asked(), 0);
    // Its own JWTs are asked about: it has declared no keys.
    assert!(shows(&authenticator, &signed(&[])).await.is_ok());
    assert!(shows(&authenticator, "ory_at_x.y").await.is_ok());
    assert_eq!(server.asked(), 2);
    let asked_about = super::super::tests::authenticator(&Clock::fixed(NOW));
    assert_eq!(shows(&asked_about, TOKEN).await.err(), Some(Refused::Malformed), "where nobody is declared to ask");
}

#[tokio::test]
async fn what_is_revoked_is_refused_though_an_answer_is_remembered() {
    let folder = super::super::tests::Folder::new();
    let revoke = |entries: &str| folder.write("revoked.yaml", &format!("revoked: [{entries}]\n"));
    let (server, url, _task) = Server::start().await;
    let (introspection, revocations) = (Some(introspection(&url)), Some(revoke("")));
    let authn = Authn { introspection, revocations, ..Authn::default() };
    let authenticator = load(authn, &Hierarchy::None, &Clock::fixed(NOW)).expect("a configuration");
    server.answers("/introspect", 200, active(&[("jti", r#""t1""#)]));
    assert!(shows(&authenticator, TOKEN).await.is_ok());
    revoke("{ jti: t1 }");
    authenticator.read_revocations().await;
    assert_eq!(shows(&authenticator, TOKEN).await.err(), Some(Refused::Revoked));
}
