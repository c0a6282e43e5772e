//! Who there is in the demo: a certificate authority, an issuer of tokens, six people and a service account, all made
//! afresh at each start and written, with the embedded configuration and policies, into a folder of its own.
//!
//! The folder and every file made in it are readable by their owner only. It goes away with [`Identity`] unless it was
//! named; configuration and policies that a named folder holds already are the user's and are never written over.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::{hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use serde_json::{Value, json};

use super::data::Store;
use crate::clock::Clock;

/// Every file of config/ and policies/ that the demo runs with, as (path, text).
pub const EMBEDDED: &[(&str, &str)] = &[
    ("config/demo.yaml", include_str!("../../config/demo.yaml")),
    ("config/apis/demo-crm.yaml", include_str!("../../config/apis/demo-crm.yaml")),
    ("policies/accounts.yaml", include_str!("../../policies/accounts.yaml")),
    ("policies/activities.yaml", include_str!("../../policies/activities.yaml")),
    ("policies/contacts.yaml", include_str!("../../policies/contacts.yaml")),
    ("policies/deals.yaml", include_str!("../../policies/deals.yaml")),
    ("policies/reports.yaml", include_str!("../../policies/reports.yaml")),
    ("policies/users.yaml", include_str!("../../policies/users.yaml")),
];

const ISSUER: &str = "https://id.demo.example";
const AUDIENCE: &str = "crm";
const KEY_ID: &str = "demo-1";
const VALID_SECONDS: i64 = 12 * 3600;

/// One of the people that the tour plays, with a token.
#[derive(Clone)]
pub struct Persona {
    pub name: &'static str,
    /// For people: who they are in a few words.
    pub about: &'static str,
    pub token: String,
}

/// All that was made for this start.
pub struct Identity {
    folder: PathBuf,
    keep: bool,
    /// How many of the [`EMBEDDED`] files were there already and stay as they are.
    pub kept: usize,
    /// The authority's certificate, PEM.
    pub ca: String,
    /// The public keys of the issuer of tokens.
    pub jwks: String,
    pub personas: Vec<Persona>,
    /// The whole key of the service account.
    pub api_key: String,
    /// What the gateway shows the CRM.
    pub crm_token: String,
}

impl Identity {
    /// Makes everything and writes it below `keep`, or below a fresh folder that is removed at the end.
    pub fn create(keep: Option<&Path>, store: &Store, clock: &Clock) -> io::Result<Self> {
        let folder = keep.map_or_else(
            || std::env::temp_dir().join(format!("scrim-demo-{}", uuid::Uuid::now_v7().simple())),
            Path::to_path_buf,
        );
        // A named folder may exist; a fresh one must not, or somebody else made it.
        DirBuilder::new().mode(0o700).recursive(keep.is_some()).create(&folder)?;
        let now = clock.now().as_second();
        let issuer = KeyPair::generate().map_err(io::Error::other)?;
        let mut identity = Self {
            folder,
            keep: keep.is_some(),
            kept: 0,
            ca: String::new(),
            jwks: jwks(&issuer),
            personas: personas(&issuer, store, now)?,
            api_key: format!("scrim_billing_{}", random()?),
            crm_token: random()?,
        };
        identity.write_all(now)?;
        Ok(identity)
    }

    fn write_all(&mut self, now: i64) -> io::Result<()> {
        for (path, text) in EMBEDDED {
            match self.write_new(path, text) {
                Err(error) if self.keep && error.kind() == io::ErrorKind::AlreadyExists => self.kept += 1,
                written => written?,
            }
        }
        let (ca, certificate, key) = certificates(now).map_err(io::Error::other)?;
        self.write("ca.pem", &ca)?;
        self.ca = ca;
        self.write("config/demo/gateway.pem", &certificate)?;
        self.write("config/demo/gateway.key", &key)?;
        self.write("config/demo/jwks.json", &self.jwks)?;
        self.write("config/demo/crm-token", &self.crm_token)?;
        self.write("config/demo/masking-key", &random()?)?;
        let hash_key = random()?;
        self.write("config/demo/api-key-hash", &hash_key)?;
        self.write("config/demo/api-keys.yaml", &api_keys(&self.api_key, &hash_key, now))
    }

    /// Replaces what an earlier start left there; it is not written through, as it may be a link.
    fn write(&self, path: &str, text: &str) -> io::Result<()> {
        match std::fs::remove_file(self.folder.join(path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        self.write_new(path, text)
    }

    /// Fails with `AlreadyExists` where anything is, be it a link to nothing.
    fn write_new(&self, path: &str, text: &str) -> io::Result<()> {
        let path = self.folder.join(path);
        if let Some(parent) = path.parent() {
            DirBuilder::new().mode(0o700).recursive(true).create(parent)?;
        }
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn config(&self) -> PathBuf {
        self.folder.join("config/demo.yaml")
    }

    pub fn ca_file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    pub fn audit_file(&self) -> PathBuf {
        self.folder.join("config/demo/audit.jsonl")
    }

    /// The token of a persona; an empty one for a name that nobody bears.
    pub fn token(&self, name: &str) -> &str {
        self.personas.iter().find(|persona| persona.name == name).map_or("", |persona| &persona.token)
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        if !self.keep {
            // Nobody is left to tell if it fails.
            drop(std::fs::remove_dir_all(&self.folder));
        }
    }
}

fn random() -> io::Result<String> {
    let mut bytes = [0; 24];
    rand::fill(&mut bytes).map_err(|_| io::Error::other("no random numbers"))?;
    Ok(hex(&bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// (authority, the gateway's certificate, its key), each PEM.
fn certificates(now: i64) -> Result<(String, String, String), rcgen::Error> {
    let day = |seconds| {
        let date =
            jiff::tz::TimeZone::UTC.to_datetime(jiff::Timestamp::from_second(seconds).unwrap_or_default()).date();
        rcgen::date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    let (from, until) = (day(now - 86_400), day(now + 90 * 86_400));
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "Scrim demo authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    (authority.not_before, authority.not_after) = (from, until);
    let authority_key = KeyPair::generate()?;
    let ca = authority.self_signed(&authority_key)?.pem();
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut server = CertificateParams::new(names)?;
    server.distinguished_name.push(DnType::CommonName, "localhost");
    (server.not_before, server.not_after) = (from, until);
    let key = KeyPair::generate()?;
    let certificate = server.signed_by(&key, &Issuer::new(authority, authority_key))?;
    Ok((ca, certificate.pem(), key.serialize_pem()))
}

/// The public half as RFC 7517 has it; the raw key is the uncompressed point 04 | x | y (SEC 1, 2.3.3).
fn jwks(issuer: &KeyPair) -> String {
    let point = issuer.public_key_raw();
    let coordinate = |from: usize| URL_SAFE_NO_PAD.encode(point.get(from..from + 32).unwrap_or_default());
    json!({ "keys": [{
        "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": KEY_ID, "x": coordinate(1), "y": coordinate(33),
    }] })
    .to_string()
}

/// What an issuer knows of one of the people.
struct Person {
    name: &'static str,
    about: &'static str,
    role: &'static str,
    tenant: Value,
    regions: &'static [&'static str],
    team: Option<&'static str>,
    groups: &'static [&'static str],
    /// How it was proved who this is.
    amr: &'static [&'static str],
}

fn people() -> [Person; 6] {
    let shop = |org: &str| json!({ "org_id": org, "app_id": "shop" });
    let both = json!({ "tenants": [
        { "organization_id": "acme", "app_id": "shop" },
        { "organization_id": "acme", "app_id": "desk" },
    ] });
    let rep = || Person {
        name: "ana",
        about: "sales rep, acme/shop, EMEA",
        role: "sales_rep",
        tenant: shop("acme"),
        regions: &["EMEA"],
        team: Some("alpine"),
        groups: &[],
        amr: &["pwd", "mfa"],
    };
    [
        Person { groups: &["industry-energy"], ..rep() },
        Person { name: "marta", about: "her manager", role: "sales_manager", ..rep() },
        Person { name: "sam", about: "support, acme/shop", role: "support", regions: &[], team: None, ..rep() },
        Person { name: "vic", about: "sales rep, globex/shop", tenant: shop("globex"), ..rep() },
        Person {
            name: "lea",
            about: "analyst, acme/shop, no second factor",
            role: "analyst",
            regions: &[],
            team: None,
            amr: &["pwd"],
            ..rep()
        },
        Person {
            name: "max",
            about: "sales rep, acme/shop and acme/desk",
            tenant: both,
            team: Some("coastal"),
            ..rep()
        },
    ]
}

fn personas(issuer: &KeyPair, store: &Store, now: i64) -> io::Result<Vec<Persona>> {
    let key = EncodingKey::from_ec_pem(issuer.serialize_pem().as_bytes()).map_err(io::Error::other)?;
    let header = Header { kid: Some(KEY_ID.to_owned()), ..Header::new(Algorithm::ES256) };
    people()
        .into_iter()
        .map(|Person { name, about, role, tenant, regions, team, groups, amr }| {
            let mut claims = json!({
                "iss": ISSUER, "aud": AUDIENCE, "sub": name, "iat": now, "nbf": now, "exp": now + VALID_SECONDS,
                "roles": [role], "groups": groups, "regions": regions, "team": team, "amr": amr,
                "reports": store.reports_of(name),
            });
            if let (Value::Object(claims), Value::Object(tenant)) = (&mut claims, tenant) {
                claims.extend(tenant);
            }
            let token = jsonwebtoken::encode(&header, &claims, &key).map_err(io::Error::other)?;
            Ok(Persona { name, about, token })
        })
        .collect()
}

/// The service account, as the gateway stores it: by the keyed hash of its key.
fn api_keys(key: &str, hash_key: &str, now: i64) -> String {
    let hash = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, hash_key.as_bytes()), key.as_bytes());
    let expires = jiff::Timestamp::from_second(now + VALID_SECONDS).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!(
        "keys:\n  - id: billing\n    hash: {}\n    principal: {{ id: svc-billing, roles: [support] }}\n    \
         tenants: [{{ organization_id: acme, app_id: shop }}]\n    expires: \"{expires}\"\n",
        hex(hash.as_ref())
    )
}

#[cfg(test)]
mod tests;
