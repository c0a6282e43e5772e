//! The folder that the gateway reads: one upstream under two descriptions, the policy of both, and one caller's token.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use scrim::clock::Clock;
use serde_json::{Value, json};

use super::identities::{ISSUER, Identities};
use super::upstream::{CALLER, RECORDS};

const API: &str = r#"
api: WAY
upstream: crm
dialect: rest
rest:
  list: "$.data[*]"
  record: "$.data"
  parameters:
    limit: { name: limit, default: 20, max: 100 }
    offset: offset
    filter: { eq: "{field}" }
tables:
  WAY_contacts:
    key: id
    tenant: { organization_id: organization_id, app_id: app_id }
    tenant_filter: { organization_id: organization_id, app_id: app_id }
    routes: { list: { route: GET /WAY/contacts, upstream_path: /contacts } }
    fields:
      id: int
      organization_id: string
      app_id: string
      owner_id: OWNER
      name: string
      email: { type: string, tags: [pii] }
      phone: { type: string, tags: [pii] }
      region: string
      stage: string
      amount: decimal
      notes: string
      created_at: timestamp
"#;

const POLICY: &str = "
table: WAY_contacts
grants:
  - { name: own, roles: [sales_rep], actions: [list], rows: record.owner_id == principal.id, read: { clear: all } }
";

pub(crate) struct Setup {
    folder: tempfile::TempDir,
    token: String,
}

impl Setup {
    pub(crate) fn new(upstream: SocketAddr) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
        let identities = Identities::new();
        let now = Clock::system().now().as_second();
        let claims = json!({ "roles": ["sales_rep"], "iat": now - 60, "exp": now + 3_600 });
        let token = format!("Bearer {}", identities.token(CALLER, &claims));
        let write = |name: &str, text: &str| write(&folder.path().join(name), text);
        for (way, owner) in [("pushed", "{ type: string, push: exact }"), ("filled", "string")] {
            write(&format!("{way}.yaml"), &API.replace("WAY", way).replace("OWNER", owner))?;
            write(&format!("policies/{way}_contacts.yaml"), &POLICY.replace("WAY", way))?;
        }
        write("jwks.json", &identities.jwks())?;
        let gateway = format!(
            r#"
listeners: [{{ address: 127.0.0.1:0, plaintext: true }}]
upstreams: {{ crm: {{ url: "http://{upstream}" }} }}
principal: {{ roles: [sales_rep] }}
authn:
  jwt:
    - issuer: {ISSUER}
      audience: crm
      jwks: {{ file: jwks.json }}
      algorithms: [ES256]
      organizations: [acme]
      map:
        id: claims.sub
        roles: claims.roles
        tenant: {{ organization_id: claims.org_id, app_id: claims.app_id }}
tenancy: {{ dimensions: [organization_id, app_id] }}
limits: {{ scanned_rows: {RECORDS} }}
audit: {{ file: audit.jsonl, fsync: never }}
apis: [pushed.yaml, filled.yaml]
policies: policies
"#
        );
        write("gateway.yaml", &gateway)?;
        write("forgetful.yaml", &format!("{gateway}paging: {{ remembered: 0 }}\n"))?;
        Ok(Self { folder, token })
    }

    pub(crate) fn gateway_file(&self) -> PathBuf {
        self.folder.path().join("gateway.yaml")
    }

    /// As that one, but for what it remembers of walks: nothing.
    pub(crate) fn forgetful_file(&self) -> PathBuf {
        self.folder.path().join("forgetful.yaml")
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, text))
        .map_err(|error| format!("{}: {error}", path.display()))
}

/// The ids of an answer, in order.
pub(crate) fn page(body: &[u8]) -> Result<Vec<u64>, String> {
    let answer: Value = serde_json::from_slice(body).map_err(|error| format!("no JSON: {error}"))?;
    let records = answer.get("data").and_then(Value::as_array).ok_or("the answer has no records")?;
    let id = |record: &Value| record.get("id").and_then(Value::as_u64).ok_or_else(|| "a record has no id".to_owned());
    records.iter().map(id).collect()
}
