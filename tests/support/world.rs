//! A gateway between a scripted upstream and clients, with everything in a folder of its own.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;

use scrim::clock::Clock;
use scrim::diagnostic::Diagnostic;
use scrim::gateway::Gateway;

use super::identities::{ISSUER, NOW};
use super::{Client, Identities, Upstream};

/// The API description that most tests use; see tests/support/api.yaml.
pub const API: &str = include_str!("api.yaml");

/// What a gateway under test is made of. Change it before [`start`](Self::start).
pub struct Setup {
    pub api: String,
    /// File name -> text.
    pub policies: BTreeMap<String, String>,
    /// Members of `limits:`.
    pub limits: String,
    /// The audit file's path, if it is not one in the world's folder.
    pub audit: Option<PathBuf>,
    /// The only listener.
    pub listener: String,
    /// Where the upstream is, if it is not the world's own.
    pub upstream: Option<SocketAddr>,
    /// Its URL, if that is not plain HTTP to there.
    pub upstream_url: Option<String>,
    /// Further members of `secrets`, each after a comma.
    pub secrets: String,
    /// What the upstream is shown.
    pub credential: String,
    /// Further members of the upstream, each after a comma.
    pub upstream_keys: String,
    /// Further files of the folder, by name.
    pub files: BTreeMap<String, String>,
    /// The value of the issuer's `jwks`.
    pub jwks: String,
    /// Further members of `authn`, each a line.
    pub authn: String,
    /// The value of `hierarchy`.
    pub hierarchy: String,
    /// Further top-level members of the gateway file.
    pub more: String,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            api: API.to_owned(),
            policies: BTreeMap::new(),
            limits: String::new(),
            audit: None,
            listener: "{ address: 127.0.0.1:0, plaintext: true }".to_owned(),
            upstream: None,
            upstream_url: None,
            secrets: String::new(),
            credential: "{ bearer: { secret: token } }".to_owned(),
            upstream_keys: String::new(),
            files: BTreeMap::new(),
            jwks: "{ file: jwks.json }".to_owned(),
            authn: String::new(),
            hierarchy: "{ claim: claims.reports }".to_owned(),
            more: String::new(),
        }
    }
}

pub struct World {
    pub upstream: Upstream,
    pub identities: Identities,
    pub gateway: Gateway,
    pub folder: tempfile::TempDir,
    pub clock: Clock,
    audit: PathBuf,
}

impl Setup {
    pub fn policy(mut self, name: &str, text: &str) -> Self {
        self.policies.insert(format!("{name}.yaml"), text.to_owned());
        self
    }

    pub async fn start(self) -> World {
        self.try_start().await.unwrap_or_else(|errors| panic!("{}", scrim::diagnostic::render(&errors, false)))
    }

    /// Errors: those of the gateway's start.
    pub async fn try_start(self) -> Result<World, Vec<Diagnostic>> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let upstream = Upstream::start().await;
        let identities = Identities::new();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let audit = self.lay_out(folder.path(), &identities, self.upstream.unwrap_or(upstream.address));
        let clock = Clock::fixed(NOW);
        let gateway = Gateway::start(&folder.path().join("gateway.yaml"), |_| {}, clock.clone()).await?;
        Ok(World { upstream, identities, gateway, folder, clock, audit })
    }

    /// Writes all files that a gateway reads, and says where its audit log will be.
    pub fn lay_out(&self, folder: &Path, identities: &Identities, upstream: SocketAddr) -> PathBuf {
        let at = |name: &str| folder.join(name);
        fs::create_dir(at("policies")).expect("made");
        fs::write(at("api.yaml"), &self.api).expect("written");
        for (name, text) in &self.policies {
            fs::write(at("policies").join(name), text).expect("written");
        }
        fs::write(at("jwks.json"), identities.jwks()).expect("written");
        for secret in ["token", "masking"] {
            fs::write(at(secret), format!("{secret}-0123456789abcdef0123456789abcdef")).expect("written");
        }
        for (name, text) in &self.files {
            fs::write(at(name), text).expect("written");
            if name.ends_with(".key") {
                let alone = std::os::unix::fs::PermissionsExt::from_mode(0o600);
                fs::set_permissions(at(name), alone).expect("set");
            }
        }
        let audit = self.audit.clone().unwrap_or_else(|| at("audit.jsonl"));
        fs::write(at("gateway.yaml"), self.gateway_file(upstream, &audit)).expect("written");
        audit
    }

    fn gateway_file(&self, upstream: SocketAddr, audit: &Path) -> String {
        let limits = if self.limits.is_empty() { String::new() } else { format!("limits: {{ {} }}\n", self.limits) };
        format!(
            "listeners: [{}]\n\
             admin: {{ address: 127.0.0.1:0 }}\n\
             secrets: {{ token: {{ file: token }}, masking: {{ file: masking }}{} }}\n\
             upstreams: {{ crm: {{ url: \"{}\", credential: {}{} }} }}\n\
             principal:\n  roles: [rep, manager, support, analyst]\n  attributes: {{ regions: list(string), mfa: bool, level: int }}\n\
             authn:\n  jwt:\n    - issuer: {ISSUER}\n      audience: crm\n      jwks: {}\n      algorithms: [ES256]\n      \
             organizations: [acme, globex]\n      map: {{ id: claims.sub, roles: claims.roles, groups: claims.groups, \
             tenant: {{ organization_id: claims.org_id, app_id: claims.app_id }}, tenants: claims.tenants, \
             attributes: {{ regions: claims.regions, mfa: \"'mfa' in claims.amr\", level: claims.level }} }}\n{}\
             hierarchy: {}\n\
             tenancy: {{ dimensions: [organization_id, app_id], choose_by: X-Scrim-Tenant }}\n\
             masking: {{ key: {{ secret: masking }} }}\n\
             audit: {{ file: \"{}\", fsync: never }}\n\
             apis: [api.yaml]\npolicies: policies\n{limits}{}",
            self.listener,
            self.secrets,
            self.upstream_url.clone().unwrap_or_else(|| format!("http://{upstream}")),
            self.credential,
            self.upstream_keys,
            self.jwks,
            self.authn,
            self.hierarchy,
            audit.display(),
            self.more,
        )
    }
}

impl World {
    pub fn client(&self) -> Client {
        Client::new(self.gateway.addresses()[0])
    }

    pub fn admin(&self) -> Client {
        Client::new(self.gateway.admin_address().expect("an admin port"))
    }

    /// A client with a token of this person; see [`Identities::token`].
    pub fn person(&self, id: &str, claims: &Value) -> Client {
        self.client().bearer(&self.identities.token(id, claims))
    }

    /// Ann, who has one role.
    pub fn role(&self, role: &str) -> Client {
        self.person("ann", &serde_json::json!({ "roles": [role] }))
    }

    pub fn policy(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join("policies").join(format!("{name}.yaml")), text).expect("written");
    }

    pub fn remove_policy(&self, name: &str) {
        fs::remove_file(self.folder.path().join("policies").join(format!("{name}.yaml"))).expect("removed");
    }

    /// The value of a metric's sample, as it is scraped; 0 if there is none.
    pub async fn metric(&self, sample: &str) -> f64 {
        let text = self.admin().get("/metrics").await.text();
        let line = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().expect("a number"))
    }

    /// Every line of the audit log, in order.
    pub async fn audit(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.audit).expect("the audit log");
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
    }

    /// Until no exchange is in flight and all that ended is in the audit log.
    pub async fn settled(&self) {
        while self.gateway.metrics().in_flight.get() > 0 {
            tokio::task::yield_now().await;
        }
        self.gateway.flush_audit().await;
    }

    /// The intent and the outcome of the last exchange, once its outcome is written.
    pub async fn last_audit(&self) -> (Value, Value) {
        self.settled().await;
        let lines = self.audit().await;
        // Outcomes may change places: a client has its answer, and asks again, before the outcome is on record.
        let intent = lines.iter().rev().find(|line| line["kind"] == "intent").expect("an intent").clone();
        let outcome = lines.iter().find(|line| line["kind"] == "outcome" && line["request_id"] == intent["request_id"]);
        (intent, outcome.expect("its outcome").clone())
    }
}
