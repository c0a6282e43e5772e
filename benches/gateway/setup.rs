//! The folder with all that the servers read: pages, the gateway's configuration, one caller's tokens.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use scrim::clock::Clock;
use serde_json::json;

use super::identities::{ISSUER, Identities};
use super::pages::{Page, Size};

const API: &str = r#"
api: crm
upstream: crm
dialect: rest
rest:
  list: "$.data[*]"
  record: "$.data"
  total: "$.meta.total"
  parameters:
    limit: { name: limit, default: 20, max: MAX_ROWS }
    offset: offset
    sort: { name: sort, separator: ",", descending: "-" }
    fields: { name: fields, separator: "," }
    filter: { eq: "{field}", ne: "{field}[ne]", in: "{field}[in]" }
tenant_headers: { X-Organization-Id: organization_id, X-App-Id: app_id }
tables:
  contacts:
    key: id
    owner: owner_id
    tenant: { organization_id: organization_id, app_id: app_id }
    tenant_filter: { organization_id: organization_id, app_id: app_id }
    routes: { list: GET /v1/contacts, read: "GET /v1/contacts/{id}" }
    fields:
      id: int
      organization_id: string
      app_id: string
      owner_id: string
      account_id: { type: int, nullable: true }
      name: string
      email: { type: string, tags: [pii] }
      phone: { type: string, nullable: true, tags: [pii] }
      birthday: { type: date, nullable: true, tags: [pii] }
      region: string
      stage: string
      amount: { type: decimal, nullable: true }
      legal_hold: bool
      ssn: { type: string, nullable: true, tags: [pii, secret] }
      created_at: timestamp
opaque:
  pages: { route: "GET /raw/{name}", roles: [sales_rep], media_types: [application/json] }
"#;

const POLICY: &str = r"
table: contacts
sharing: { default: private, hierarchy: true }
let:
  my_region: record.region in principal.attributes.regions
grants:
  - name: reps-work-their-own
    roles: [sales_rep, sales_manager]
    actions: [list, read]
    rows: shared
    read: { clear: all, except: [ssn] }
  - name: reps-see-their-region-masked
    roles: [sales_rep, sales_manager]
    actions: [list, read]
    rows: my_region
    read: { clear: [id, name, stage, region, account_id], partial: [email], last4: [phone] }
  - name: support-helps-masked
    roles: [support]
    actions: [list, read]
    rows: all
    read: { clear: [id, name, region, stage], partial: [email], truncate: { birthday: year } }
denials:
  - name: on-hold
    actions: [list, read]
    rows: record.legal_hold == true
";

pub(crate) struct Setup {
    folder: tempfile::TempDir,
    identities: Identities,
    pub(crate) pages: [Page; 2],
}

impl Setup {
    pub(crate) fn new() -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
        let setup = Self { folder, identities: Identities::new(), pages: Size::ALL.map(Page::new) };
        for page in &setup.pages {
            setup.write(&format!("pages/{}.json", page.size.tenant()), &page.document)?;
        }
        // A page of the upstream is as long as the longest that it has: no walk needs a second one.
        let rows = setup.pages.iter().map(|page| page.rows).max().unwrap_or_default();
        setup.write("api.yaml", API.replace("MAX_ROWS", &rows.to_string()))?;
        setup.write("policies/contacts.yaml", POLICY)?;
        setup.write("jwks.json", setup.identities.jwks())?;
        setup.write("secret", "0123456789abcdef0123456789abcdef")?;
        Ok(setup)
    }

    /// Writes the gateway's configuration and says where it is.
    pub(crate) fn gateway_file(&self, upstream: SocketAddr) -> Result<PathBuf, String> {
        let text = format!(
            r#"
listeners: [{{ address: 127.0.0.1:0, plaintext: true }}]
secrets: {{ masking: {{ file: secret }}, token: {{ file: secret }} }}
upstreams: {{ crm: {{ url: "http://{upstream}", credential: {{ bearer: {{ secret: token }} }} }} }}
principal: {{ roles: [sales_rep, sales_manager, support], attributes: {{ regions: list(string) }} }}
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
        attributes: {{ regions: claims.regions }}
hierarchy: {{ claim: claims.reports }}
tenancy: {{ dimensions: [organization_id, app_id] }}
masking: {{ key: {{ secret: masking }} }}
audit: {{ file: audit.jsonl, fsync: never }}
apis: [api.yaml]
policies: policies
"#
        );
        self.write("gateway.yaml", text)?;
        Ok(self.path("gateway.yaml"))
    }

    /// A credential that holds for as long as the benchmark may take.
    pub(crate) fn token(&self, size: Size) -> String {
        let now = Clock::system().now().as_second();
        let claims = json!({
            "app_id": size.tenant(), "roles": ["sales_rep"], "regions": ["emea"], "reports": ["cyd", "dee"],
            "iat": now - 60, "exp": now + 3_600,
        });
        format!("Bearer {}", self.identities.token("ann", &claims))
    }

    /// Between rounds, so that the log does not fill the disk. An empty one says that nothing was audited.
    pub(crate) fn empty_audit_log(&self) -> Result<(), String> {
        let path = self.path("audit.jsonl");
        let length = fs::metadata(&path).map_err(|error| format!("no audit log: {error}"))?.len();
        if length == 0 {
            return Err("the audit log is empty".to_owned());
        }
        fs::File::create(path).map(drop).map_err(|error| error.to_string())
    }

    pub(crate) fn summary(&self) -> String {
        let pages = self.pages.each_ref().map(|page| {
            let (size, length, rows) = (page.size.name(), page.document.len(), page.rows);
            format!("{size} is {length} bytes, {} of {rows} rows visible", page.visible())
        });
        pages.join("; ")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<(), String> {
        let path = self.path(name);
        let folder = path.parent().unwrap_or(self.folder());
        fs::create_dir_all(folder).and_then(|()| fs::write(&path, content)).map_err(|error| format!("{name}: {error}"))
    }
}
