//! The authenticator as a whole: choice of credential, cache, rotation of keys. Also the signers and the
//! configuration that the tests of the modules share.

mod bound;
mod remote;
pub(super) mod server;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::config::{Algorithm, ApiKeys, ClaimMap, ClaimPath, ClaimValue, Ids, Jwks, JwtIssuer, KeySource, RemoteKeys};
use crate::model::value::Type;
use crate::secret::Secret;

pub(super) const NOW: i64 = 1_800_000_000;
pub(super) const ISSUER: &str = "https://id.example.com";

pub(super) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Key pairs of one test identity provider.
pub(super) struct Signers {
    ec: Vec<u8>,
    ed: Ed25519KeyPair,
    rsa: RsaKeyPair,
}

/// Made once: RSA keys are slow to make.
pub(super) static SIGNERS: LazyLock<Signers> = LazyLock::new(Signers::generate);
pub(super) static STRANGERS: LazyLock<Signers> = LazyLock::new(Signers::generate);

impl Signers {
    fn generate() -> Self {
        let random = SystemRandom::new();
        let ec = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("a key");
        Self {
            ec: ec.as_ref().to_vec(),
            ed: Ed25519KeyPair::generate().expect("a key"),
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).expect("a key"),
        }
    }

    fn ec_point(&self) -> Vec<u8> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &self.ec).expect("a key");
        pair.public_key().as_ref().to_vec()
    }

    pub(super) fn jwk(&self, algorithm: &str) -> String {
        match algorithm {
            "ES256" => {
                let point = self.ec_point();
                let (x, y) = (b64(&point[1..33]), b64(&point[33..]));
                format!(r#"{{"kty":"EC","crv":"P-256","kid":"ec","alg":"ES256","use":"sig","x":"{x}","y":"{y}"}}"#)
            }
            "EdDSA" => format!(
                r#"{{"kty":"OKP","crv":"Ed25519","kid":"ed","key_ops":["verify"],"x":"{}"}}"#,
                b64(self.ed.public_key().as_ref())
            ),
            _ => {
                let RsaPublicKeyComponents { n, e } = RsaPublicKeyComponents::<Vec<u8>>::from(self.rsa.public_key());
                format!(r#"{{"kty":"RSA","kid":"rsa","alg":"RS256","n":"{}","e":"{}"}}"#, b64(n), b64(e))
            }
        }
    }

    pub(super) fn modulus(&self) -> Vec<u8> {
        RsaPublicKeyComponents::<Vec<u8>>::from(self.rsa.public_key()).n
    }

    /// The RSA key as everybody has it (RFC 8017, appendix A.1.1).
    pub(super) fn der(&self) -> Vec<u8> {
        self.rsa.public_key().as_ref().to_vec()
    }

    pub(super) fn pem(&self) -> String {
        let text = base64::engine::general_purpose::STANDARD.encode(self.der());
        format!("-----BEGIN RSA PUBLIC KEY-----\n{text}\n-----END RSA PUBLIC KEY-----\n")
    }

    pub(super) fn jwks(&self) -> String {
        format!(r#"{{"keys":[{},{},{}]}}"#, self.jwk("ES256"), self.jwk("EdDSA"), self.jwk("RS256"))
    }

    pub(super) fn sign(&self, algorithm: &str, text: &str) -> Vec<u8> {
        let random = SystemRandom::new();
        match algorithm {
            "ES256" | "ES256-DER" => {
                let form = if algorithm == "ES256" {
                    &ECDSA_P256_SHA256_FIXED_SIGNING
                } else {
                    &ECDSA_P256_SHA256_ASN1_SIGNING
                };
                let pair = EcdsaKeyPair::from_pkcs8(form, &self.ec).expect("a key");
                pair.sign(&random, text.as_bytes()).expect("a signature").as_ref().to_vec()
            }
            "EdDSA" => self.ed.sign(text.as_bytes()).as_ref().to_vec(),
            _ => {
                let mut signature = vec![0; self.rsa.public_modulus_len()];
                self.rsa.sign(&RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut signature).expect("a signature");
                signature
            }
        }
    }

    pub(super) fn token(&self, algorithm: &str, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", b64(header), b64(claims));
        let signature = b64(self.sign(algorithm, &signed));
        format!("{signed}.{signature}")
    }
}

/// Sound claims, with members replaced or, where the value is empty, left out.
pub(super) fn claims(changes: &[(&str, &str)]) -> String {
    let exp = (NOW + 600).to_string();
    let mut members = vec![
        ("iss", format!("{ISSUER:?}")),
        ("sub", r#""u1""#.to_owned()),
        ("aud", r#""crm""#.to_owned()),
        ("exp", exp),
        ("roles", r#"["sales_rep","unheard_of"]"#.to_owned()),
        ("org_id", r#""acme""#.to_owned()),
        ("app_id", r#""shop""#.to_owned()),
        ("amr", r#"["pwd","mfa"]"#.to_owned()),
        ("regions", r#"["north"]"#.to_owned()),
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

pub(super) const EC_HEADER: &str = r#"{"alg":"ES256","kid":"ec","typ":"JWT"}"#;

pub(super) fn token(changes: &[(&str, &str)]) -> String {
    SIGNERS.token("ES256", EC_HEADER, &claims(changes))
}

pub(super) fn path(text: &str) -> ClaimPath {
    ClaimPath(text.split('.').map(Name::from).collect())
}

pub(super) fn claim_map() -> ClaimMap {
    let contains = ClaimValue::Contains { word: "mfa".into(), list: path("amr") };
    let claim = |text: &str| ClaimValue::Claim(path(text));
    ClaimMap {
        id: claim("sub"),
        roles: Some(claim("roles")),
        groups: Some(claim("groups")),
        tenant: vec![("organization_id".into(), claim("org_id")), ("app_id".into(), claim("app_id"))],
        tenants: Some(claim("tenants")),
        attributes: vec![("mfa".into(), contains), ("regions".into(), claim("regions"))],
    }
}

pub(super) fn schema() -> PrincipalSchema {
    let attributes = [("mfa", Type::Bool), ("regions", Type::List(Box::new(Type::String))), ("level", Type::Int)];
    PrincipalSchema {
        roles: vec!["sales_rep".into(), "support".into()],
        attributes: attributes.into_iter().map(|(name, of)| (Name::from(name), of)).collect::<BTreeMap<_, _>>(),
    }
}

pub(super) fn tenancy() -> Tenancy {
    Tenancy { dimensions: vec!["organization_id".into(), "app_id".into()], choose_by: None }
}

/// A folder of this test's own, gone with it.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("scrim-authn-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&path).expect("a folder");
        Self(path)
    }

    pub(super) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("a file");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

pub(super) fn issuer(jwks: Jwks) -> JwtIssuer {
    JwtIssuer {
        issuer: ISSUER.into(),
        audience: "crm".into(),
        jwks,
        algorithms: vec![Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa],
        organizations: vec!["acme".into(), "globex".into()],
        ids: Ids::default(),
        map: claim_map(),
        leeway: Duration::from_secs(30),
        access_tokens_only: false,
        proofs: crate::config::Proofs::Unused,
        nonces: None,
    }
}

/// A key set that is fetched every minute and used for an hour at most.
pub(super) fn elsewhere(from: KeySource) -> Jwks {
    let (refresh, max_age) = (Duration::from_secs(60), Duration::from_secs(3600));
    Jwks::Remote(RemoteKeys { from, refresh, max_age, ca: None })
}

pub(super) fn load(authn: Authn, hierarchy: &Hierarchy, clock: &Clock) -> Result<Authenticator, Vec<Diagnostic>> {
    let (principal, tenancy) = (schema(), tenancy());
    let path = Path::new("gateway.yaml");
    let metrics = &Metrics::new();
    let parts = Parts { authn: &authn, principal: &principal, tenancy: &tenancy, hierarchy, path, metrics };
    Authenticator::from_parts(&parts, clock.clone())
}

pub(super) fn authenticator(clock: &Clock) -> Authenticator {
    let folder = Folder::new();
    let jwt = vec![issuer(Jwks::File(folder.write("jwks.json", &SIGNERS.jwks())))];
    load(Authn { jwt, ..Authn::default() }, &Hierarchy::None, clock).expect("a configuration")
}

pub(super) fn bearer(authenticator: &Authenticator, token: &str) -> Result<Principal, Refused> {
    authenticated(authenticator, token).map(|found| Principal::clone(&found.principal))
}

/// Whether an accepted token had been remembered.
fn remembered(authenticator: &Authenticator, token: &str) -> Result<bool, Refused> {
    authenticated(authenticator, token).map(|found| found.remembered)
}

fn authenticated(authenticator: &Authenticator, token: &str) -> Result<Authenticated, Refused> {
    let value = http::HeaderValue::from_bytes(format!("Bearer {token}").as_bytes()).map_err(|_| Refused::Malformed)?;
    shown(authenticator, &HeaderMap::from_iter([(header::AUTHORIZATION, value)]))
}

/// What becomes of a GET with these headers, where nothing must be fetched for it.
fn shown(authenticator: &Authenticator, headers: &HeaderMap) -> Result<Authenticated, Refused> {
    at_once(authenticator.authenticate(&Presented {
        headers,
        request: &get(),
        peer: None,
        over_tls: true,
        since: None,
    }))
}

/// `GET https://crm.example.com/v1/contacts`
pub(super) fn get() -> Canonical {
    Canonical {
        method: http::Method::GET,
        host: "crm.example.com".to_owned(),
        segments: vec!["v1".to_owned(), "contacts".to_owned()],
        query: Vec::new(),
        has_body: false,
        websocket: false,
    }
}

/// The result of what waits for nothing.
pub(super) fn at_once<T>(work: impl Future<Output = T>) -> T {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("it waits for something"),
    }
}

/// All of them at once.
pub(super) async fn everybody<T>(all: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut running: Vec<_> = all.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<T>> = running.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (work, slot) in running.iter_mut().zip(&mut done).filter(|(_, slot)| slot.is_none()) {
            if let Poll::Ready(result) = work.as_mut().poll(context) {
                *slot = Some(result);
            }
        }
        if done.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[test]
fn exactly_one_credential_of_a_known_kind_is_looked_at() {
    let folder = Folder::new();
    let jwt = vec![issuer(Jwks::File(folder.write("jwks.json", &SIGNERS.jwks())))];
    let file = folder.write("api-keys.yaml", "keys: []\n");
    let api_keys = Some(ApiKeys { file, key: Secret::new("0123456789abcdef"), ids: Ids::default() });
    let authenticator = load(Authn { jwt, api_keys, ..Authn::default() }, &Hierarchy::None, &Clock::fixed(NOW))
        .expect("a configuration");
    let token = token(&[]);
    let bearer = &format!("Bearer {token}");
    let key = &format!("scrim_abcd_{}", "x".repeat(43));
    let cases: [(&[(&str, &str)], Refused); 17] = [
        (&[], Refused::Missing),
        (&[("cookie", bearer)], Refused::Missing),
        (&[("proxy-authorization", bearer)], Refused::Missing),
        (&[("authorization", bearer), ("authorization", bearer)], Refused::Several),
        (&[("authorization", bearer), ("x-api-key", key)], Refused::Several),
        (&[("authorization", bearer), ("x-api-key", "")], Refused::Several),
        (&[("authorization", "Basic dTpw"), ("authorization", bearer)], Refused::Several),
        (&[("x-api-key", key), ("x-api-key", key)], Refused::Several),
        (&[("authorization", "")], Refused::Malformed),
        (&[("authorization", "Bearer")], Refused::Malformed),
        (&[("authorization", "Basic dTpw")], Refused::Malformed),
        (&[("authorization", "Digest username=\"u\"")], Refused::Malformed),
        (&[("authorization", &token)], Refused::Malformed),
        (&[("authorization", &format!("Bearer {token}, Bearer {token}"))], Refused::Malformed),
        (&[("authorization", &format!("Bearer\t{token}"))], Refused::Malformed),
        (&[("x-api-key", "")], Refused::Malformed),
        (&[("x-api-key", key)], Refused::ApiKey),
    ];
    for (sent, refused) in cases {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            let name: http::HeaderName = name.parse().expect("a name");
            headers.append(name, value.parse().expect("a value"));
        }
        assert_eq!(shown(&authenticator, &headers).err(), Some(refused), "{sent:?}");
    }
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, format!("{scheme} {token}").parse().expect("a value"));
        assert!(shown(&authenticator, &headers).is_ok(), "{scheme}");
    }
}

#[test]
fn a_remembered_token_expires_with_its_own_clock() {
    let clock = Clock::fixed(NOW);
    let authenticator = authenticator(&clock);
    let token = token(&[("exp", &(NOW + 100).to_string())]);
    assert_eq!(remembered(&authenticator, &token), Ok(false));
    assert_eq!(remembered(&authenticator, &token), Ok(true));
    clock.set(NOW + 129);
    assert_eq!(remembered(&authenticator, &token), Ok(false), "within the leeway it is verified anew");
    clock.set(NOW + 130);
    assert_eq!(bearer(&authenticator, &token), Err(Refused::Expired));
}

#[test]
fn a_remembered_token_is_verified_anew_after_five_minutes() {
    let clock = Clock::fixed(NOW);
    let authenticator = authenticator(&clock);
    let token = token(&[]);
    for (second, hit) in [(0, false), (299, true), (300, false), (301, true)] {
        clock.set(NOW + second);
        assert_eq!(remembered(&authenticator, &token), Ok(hit), "{second}");
    }
}

#[test]
fn a_tampered_copy_of_a_remembered_token_is_refused() {
    let authenticator = authenticator(&Clock::fixed(NOW));
    let sound = token(&[]);
    assert!(bearer(&authenticator, &sound).is_ok());
    let (signed, signature) = sound.rsplit_once('.').expect("a token");
    let (header, _) = signed.split_once('.').expect("a token");
    let other = format!("{header}.{}.{signature}", b64(claims(&[("sub", r#""root""#)])));
    assert_eq!(bearer(&authenticator, &other), Err(Refused::Signature));
    assert!(bearer(&authenticator, &sound).is_ok());
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let folder = Folder::new();
    let url = |url: &str| elsewhere(KeySource::Url(url.parse().expect("a URL")));
    for (jwks, wanted) in [
        (Jwks::File(folder.0.join("absent.json")), "absent.json"),
        (Jwks::File(folder.write("empty.json", "")), "empty.json"),
        (Jwks::File(folder.write("none.json", r#"{"keys":[]}"#)), "none.json"),
        (url("http://id.example.com/jwks"), "https"),
        (url("http://127.0.0.1.example.com/jwks"), "https"),
        (url("ftp://127.0.0.1/jwks"), "https"),
    ] {
        let authn = Authn { jwt: vec![issuer(jwks)], ..Authn::default() };
        let errors = load(authn, &Hierarchy::None, &Clock::fixed(NOW)).err().unwrap_or_default();
        assert!(errors.iter().any(|error| error.to_string().contains(wanted)), "{wanted}: {errors:?}");
    }
}
