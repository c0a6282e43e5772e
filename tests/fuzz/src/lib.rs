//! What the fuzz targets share: one API description, its policies, and somebody who asks.

mod bounds;

use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use scrim::api::{Catalog, Dialect, Rest, Table};
use scrim::config::{ClaimMap, ClaimPath, ClaimValue, Paging, PrincipalSchema};
use scrim::cursor::Cursors;
use scrim::diagnostic::Source;
use scrim::enforcement::Case;
use scrim::model::value::Type;
use scrim::model::{Method, Name, Principal, RequestFacts, RequestId, TenantScope, Trace, Value};
use scrim::policy::{Caller, PolicySet};

pub use bounds::bounded;

pub struct World {
    pub catalog: Arc<Catalog>,
    pub schema: PrincipalSchema,
    pub dimensions: [Name; 2],
    pub policies: PolicySet,
    pub principal: Principal,
    pub tenant: TenantScope,
    pub request: RequestFacts,
    pub cursors: Cursors,
}

pub static WORLD: LazyLock<World> = LazyLock::new(World::new);
static CALLER: LazyLock<Caller<'static>> = LazyLock::new(|| Caller::new(&WORLD.principal));

impl World {
    fn new() -> Self {
        let dimensions: [Name; 2] = ["organization_id".into(), "app_id".into()];
        let api = Source::new("api.yaml", include_str!("api.yaml"));
        let (catalog, _) = Catalog::compile(&[api], &["crm".into()], &dimensions).expect("a sound description");
        let catalog = Arc::new(catalog);
        let schema = PrincipalSchema {
            roles: vec!["rep".into()],
            attributes: [("regions".into(), Type::List(Box::new(Type::String)))].into(),
        };
        let files = [
            Source::new("accounts.yaml", include_str!("accounts.yaml")),
            Source::new("contacts.yaml", include_str!("contacts.yaml")),
        ];
        let (policies, _) = PolicySet::compile(&files, &catalog, &schema, &dimensions).expect("sound policies");
        let tenant = TenantScope::new(&dimensions, |name| Some(if name == "app_id" { "shop" } else { "acme" }));
        let tenant = tenant.expect("a whole tenant");
        let principal = Principal {
            id: "u1".into(),
            issuer: "https://id.example.com".into(),
            method: Method::Jwt,
            roles: vec!["rep".into()],
            groups: vec!["north".into()],
            attributes: [("regions".into(), Value::List(vec![Value::String("EMEA".into())].into()))].into(),
            reports: ["u2".into()].into(),
            memberships: vec![tenant.clone()],
            overreaches: false,
            scopes: None,
        };
        let request = RequestFacts { method: http::Method::GET, ip: [127, 0, 0, 1].into() };
        let cursors = Cursors::new(&Paging::default());
        Self { catalog, schema, dimensions, policies, principal, tenant, request, cursors }
    }

    pub fn case(&self) -> Case<'_> {
        Case {
            catalog: &self.catalog,
            policies: &self.policies,
            principal: &CALLER,
            tenant: &self.tenant,
            request: &self.request,
            request_id: RequestId::generate(),
            trace: Trace::of(None),
            now: Timestamp::UNIX_EPOCH,
            masking_key: None,
            cursors: &self.cursors,
            idempotency_key: None,
            depth: 64,
        }
    }

    pub fn contacts(&self) -> &Table {
        self.catalog.table_named("contacts").expect("described")
    }

    pub fn dialect(&self) -> &Rest {
        let Dialect::Rest(rest) = &self.catalog.api(self.contacts().api).dialect else {
            unreachable!("`rest` is described")
        };
        rest
    }
}

/// Claims by the names that the configuration's example uses.
pub fn claim_map() -> ClaimMap {
    let path = |name: &str| ClaimValue::Claim(ClaimPath(vec![name.into()]));
    ClaimMap {
        id: path("sub"),
        roles: Some(path("roles")),
        groups: Some(path("groups")),
        tenant: vec![("organization_id".into(), path("org_id")), ("app_id".into(), path("app_id"))],
        tenants: Some(path("tenants")),
        attributes: Vec::new(),
    }
}
