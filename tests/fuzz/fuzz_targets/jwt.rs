//! Nobody gets in with a token that was not signed, whatever it looks like.
#![no_main]

use std::path::Path;
use std::pin::pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, header};
use libfuzzer_sys::fuzz_target;
use scrim::authn::{Authenticator, Parts, Presented};
use scrim::canonical::Canonical;
use scrim::clock::Clock;
use scrim::config::{Algorithm, Authn, Hierarchy, Ids, Jwks, JwtIssuer, Proofs, Tenancy};
use scrim::metrics::Metrics;
use scrim_fuzz::{WORLD, bounded, claim_map};

/// The public key of RFC 7515, appendix A.3.
const KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"ec","alg":"ES256","use":"sig",
    "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;

static AUTHENTICATOR: LazyLock<Authenticator> = LazyLock::new(|| {
    rustls::crypto::aws_lc_rs::default_provider().install_default().expect("the first");
    let file = std::env::temp_dir().join(format!("scrim-fuzz-{}.json", std::process::id()));
    std::fs::write(&file, KEYS).expect("a temporary file");
    let authn = Authn {
        jwt: vec![JwtIssuer {
            issuer: "https://id.example.com".into(),
            audience: "crm".into(),
            jwks: Jwks::File(file.clone()),
            algorithms: vec![Algorithm::Es256],
            organizations: vec!["acme".into()],
            ids: Ids::default(),
            map: claim_map(),
            leeway: Duration::from_secs(30),
            access_tokens_only: false,
            proofs: Proofs::Unused,
            nonces: None,
        }],
        ..Authn::default()
    };
    let tenancy = Tenancy { dimensions: WORLD.dimensions.to_vec(), choose_by: None };
    let metrics = Metrics::new();
    let parts = Parts {
        authn: &authn,
        principal: &WORLD.schema,
        tenancy: &tenancy,
        hierarchy: &Hierarchy::None,
        path: Path::new("fuzz.yaml"),
        metrics: &metrics,
    };
    let authenticator = Authenticator::from_parts(&parts, Clock::fixed(1_800_000_000)).expect("a sound key set");
    std::fs::remove_file(file).expect("it was just written");
    authenticator
});

fn is_let_in(value: &[u8]) -> bool {
    let Ok(value) = HeaderValue::from_bytes(value) else { return false };
    let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value)]);
    let request = Canonical {
        method: http::Method::GET,
        host: "crm.example.com".to_owned(),
        segments: vec!["contacts".to_owned()],
        query: Vec::new(),
        has_body: false,
        websocket: false,
    };
    let presented = Presented { headers: &headers, request: &request, peer: None, over_tls: true, since: None };
    let mut asked = pin!(AUTHENTICATOR.authenticate(&presented));
    // With keys from a file there is nothing to wait for.
    match asked.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer.is_ok(),
        Poll::Pending => panic!("it waits for something"),
    }
}

fuzz_target!(|data: &[u8]| bounded(|| hold(data)));

fn hold(data: &[u8]) {
    assert!(!is_let_in(data));
    assert!(!is_let_in(&[b"Bearer ", data].concat()));
    // Header, claims and signature by line, so that what is inside of them is looked at.
    let parts: Vec<String> = data.splitn(3, |b| *b == b'\n').map(|part| URL_SAFE_NO_PAD.encode(part)).collect();
    assert!(!is_let_in(format!("Bearer {}", parts.join(".")).as_bytes()));
    // With a sound header, the claims and the signature are all that is left to try.
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","kid":"ec","typ":"JWT"}"#);
    if let [claims, signature, ..] = parts.as_slice() {
        assert!(!is_let_in(format!("Bearer {header}.{claims}.{signature}").as_bytes()));
    }
}
