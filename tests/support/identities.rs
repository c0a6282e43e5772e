//! An issuer with an ES256 key and the tokens it signs.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

pub const ISSUER: &str = "https://id.test.example";
/// The instant at which every gateway under test stands.
pub const NOW: i64 = 1_800_000_000;

pub struct Identities {
    key: EcdsaKeyPair,
}

impl Identities {
    pub fn new() -> Self {
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).expect("a key");
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref()).expect("just made");
        Self { key }
    }

    pub fn jwks(&self) -> String {
        let point = self.key.public_key().as_ref();
        let coordinates = point.get(1..65).expect("an uncompressed point");
        let (x, y) = coordinates.split_at(32);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        json!({ "keys": [{ "kty": "EC", "crv": "P-256", "kid": "test", "use": "sig", "alg": "ES256", "x": x, "y": y }] }).to_string()
    }

    /// A token for a person of acme/shop, with these claims added or replaced; null removes one.
    pub fn token(&self, id: &str, claims: &Value) -> String {
        let mut all = json!({
            "iss": ISSUER, "aud": "crm", "sub": id, "iat": NOW - 60, "exp": NOW + 3600,
            "org_id": "acme", "app_id": "shop", "roles": [], "amr": ["mfa"], "regions": [], "reports": [],
        });
        for (name, value) in claims.as_object().into_iter().flatten() {
            all.as_object_mut().expect("an object").insert(name.clone(), value.clone());
        }
        all.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
        self.sign(&json!({ "alg": "ES256", "kid": "test", "typ": "JWT" }), &all)
    }

    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let head =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = self.key.sign(&SystemRandom::new(), head.as_bytes()).expect("signed");
        format!("{head}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}
