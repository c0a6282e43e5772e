//! `scrim keys new`: makes an API key, shows it once, and prints the entry for the file of API keys.
//!
//! The key itself is stored nowhere: the entry holds its keyed hash. What is printed has passed the same checks as a
//! file of keys does when it is loaded.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::PathBuf;

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::ValueHint;
use jiff::{SignedDuration, Timestamp};

use super::CONFIG;
use crate::api::{self, Catalog};
use crate::authn::{self, api_key};
use crate::clock::Clock;
use crate::config::{Authn, Config, PrincipalSchema, Tenancy};
use crate::diagnostic::{Diagnostic, Source, Span};
use crate::model::{Action, Name, Scope};
use crate::secret::Secret;
use crate::snapshot::services;

/// Longer lives are refused: who leaves a key for longer has forgotten it.
const MAX_DAYS: i64 = 3660;

/// Makes an API key and prints it once, with the entry for the file of keys.
#[derive(Debug, clap::Args)]
pub struct NewKey {
    /// The gateway's configuration file; its API key hash secret is needed
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, default_value = CONFIG)]
    pub config: PathBuf,
    /// The id of the principal that the key stands for
    #[arg(long, value_name = "ID")]
    pub principal: String,
    /// A role of the principal; may be given several times
    #[arg(long = "role", value_name = "ROLE", required = true)]
    pub roles: Vec<String>,
    /// A tenant, a value for each dimension joined by `/`; may be given several times
    #[arg(long = "tenant", value_name = "TENANT", required = true)]
    pub tenants: Vec<String>,
    /// What alone the key may be used for, such as `contacts:read` or `contacts:*`; may be given several times. Without it:
    /// all that its roles may do
    #[arg(long = "scope", value_name = "TABLE:ACTION")]
    pub scopes: Vec<String>,
    /// How long the key lives: a number of hours, days or weeks, such as `12h`, `90d` or `8w`
    #[arg(long, value_name = "TIME")]
    pub expires: String,
}

/// Why no key was made.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    #[error("the configuration has errors")]
    Config(Vec<Diagnostic>),
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Arguments(Vec<Failed>),
    #[error("the configuration has no `authn.api_keys`, so no key would be accepted")]
    NoApiKeys,
    #[error("the principal's id must have 1 to 256 characters and no control characters")]
    Principal,
    #[error("role `{0}` is not declared under `principal.roles`")]
    Role(String),
    #[error("tenant `{0}` does not name a value for each tenancy dimension, joined by `/`")]
    Tenant(String),
    #[error("`{0}` is no scope: write `table:action` or `table:*`")]
    Scope(String),
    #[error("scope `{scope}`: {wrong}")]
    IdleScope { scope: String, wrong: String },
    #[error("`{0}` is no time to live: write `12h`, `90d` or `8w`, up to ten years")]
    Expires(String),
    #[error("the system gave no random bytes")]
    Random,
    #[error("the key could not be printed")]
    Output(#[from] io::Error),
}

/// Makes the key and prints it. `notes`: what is dubious and holds nothing up.
pub fn run(args: &NewKey, out: &mut impl Write, notes: &mut impl Write) -> Result<(), Failed> {
    let (config, _) = Config::load(&args.config).map_err(Failed::Config)?;
    let hash_key = &config.authn.api_keys.as_ref().ok_or(Failed::NoApiKeys)?.key;
    let mut wrong = Vec::new();
    if !args.scopes.is_empty() {
        let upstreams: Vec<Name> = config.upstreams.keys().cloned().collect();
        let files = api::read(&config.apis).map_err(Failed::Config)?;
        let (catalog, _) = Catalog::compile(&files, &services(&config, &upstreams), &config.tenancy.dimensions)
            .map_err(Failed::Config)?;
        wrong = idle_scopes(&args.scopes, &catalog);
    }
    print(args, hash_key, &config.principal, &config.tenancy, &Clock::system(), wrong, out)?;
    for organization in unknown_organizations(&args.tenants, &config.authn) {
        writeln!(
            notes,
            "note: no issuer may speak for `{organization}` (`organizations`): if that is no slip, keys alone open it"
        )?;
    }
    Ok(())
}

/// Those of tenants that no issuer's list names, which is a slip where there are lists.
fn unknown_organizations<'t>(tenants: &'t [String], authn: &Authn) -> BTreeSet<&'t str> {
    let listed = authn.jwt.iter().map(|issuer| &issuer.organizations);
    let listed: Vec<_> = listed.chain(authn.introspection.iter().map(|asked| &asked.organizations)).collect();
    let named = tenants.iter().filter_map(|tenant| tenant.split('/').next());
    let is_listed = |name: &&str| listed.iter().any(|all| all.iter().any(|known| **known == **name));
    if listed.is_empty() { BTreeSet::new() } else { named.filter(|name| !is_listed(name)).collect() }
}

/// `wrong`: what was found by then.
fn print(
    args: &NewKey,
    hash_key: &Secret,
    schema: &PrincipalSchema,
    tenancy: &Tenancy,
    clock: &Clock,
    mut wrong: Vec<Failed>,
    out: &mut impl Write,
) -> Result<(), Failed> {
    if !api_key::is_principal_id(&args.principal) {
        wrong.push(Failed::Principal);
    }
    let unknown = args.roles.iter().filter(|role| !schema.roles.iter().any(|known| **known == ***role));
    wrong.extend(unknown.map(|role| Failed::Role(role.clone())));
    let mut tenants = Vec::new();
    for tenant in &args.tenants {
        tenant_entry(tenant, tenancy).map_or_else(|error| wrong.push(error), |entry| tenants.push(entry));
    }
    let expires = expiry(&args.expires, clock.now());
    if expires.is_none() {
        wrong.push(Failed::Expires(args.expires.clone()));
    }
    let Some(expires) = expires.filter(|_| wrong.is_empty()) else { return Err(Failed::Arguments(wrong)) };
    let (id, key) = new_key()?;
    let roles: Vec<String> = args.roles.iter().map(|role| quoted(role)).collect();
    writeln!(out, "# The key. It is shown this once; give it to its user as the header X-Api-Key.")?;
    writeln!(out, "{key}")?;
    writeln!(out, "# The entry, to be added to `keys` in the file of API keys.")?;
    writeln!(out, "  - id: {}", quoted(&id))?;
    writeln!(out, "    hash: {}", quoted(&api_key::hash(hash_key, &key)))?;
    writeln!(out, "    principal: {{ id: {}, roles: [{}] }}", quoted(&args.principal), roles.join(", "))?;
    writeln!(out, "    tenants: [{}]", tenants.join(", "))?;
    if !args.scopes.is_empty() {
        let scopes: Vec<String> = args.scopes.iter().map(|scope| quoted(scope)).collect();
        writeln!(out, "    scopes: [{}]", scopes.join(", "))?;
    }
    writeln!(out, "    expires: {expires}")?;
    Ok(())
}

fn parse_scope(text: &str) -> Result<Scope, Failed> {
    let parts = text.split_once(':').filter(|(table, action)| !table.is_empty() && !action.is_empty());
    let (table, action) = parts.ok_or_else(|| Failed::Scope(text.to_owned()))?;
    Ok(Scope { table: table.into(), action: (action != "*").then(|| Action::parse(action)) })
}

/// Those that are none, and those in which no request could be: the gateway would not load such a key.
fn idle_scopes(scopes: &[String], catalog: &Catalog) -> Vec<Failed> {
    let place = Span::new(&Source::new("--scope", ""), 0..0);
    let idle = |text: &String| match parse_scope(text) {
        Ok(scope) => authn::scopes::idle(&scope, &place, catalog).map(|idle| {
            let wrong = [Some(idle.message), idle.help].into_iter().flatten().collect::<Vec<_>>().join("; ");
            Failed::IdleScope { scope: text.clone(), wrong }
        }),
        Err(wrong) => Some(wrong),
    };
    scopes.iter().filter_map(idle).collect()
}

/// `{ organization_id: "acme", app_id: "shop" }`
fn tenant_entry(tenant: &str, tenancy: &Tenancy) -> Result<String, Failed> {
    let values: Vec<&str> = tenant.split('/').collect();
    let whole = values.len() == tenancy.dimensions.len() && values.iter().all(|v| api_key::is_principal_id(v));
    if !whole {
        return Err(Failed::Tenant(tenant.to_owned()));
    }
    let pairs: Vec<String> =
        tenancy.dimensions.iter().zip(values).map(|(name, value)| format!("{name}: {}", quoted(value))).collect();
    Ok(format!("{{ {} }}", pairs.join(", ")))
}

/// JSON's strings are YAML's double-quoted scalars.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn expiry(text: &str, now: Timestamp) -> Option<Timestamp> {
    let unit = text.chars().next_back()?;
    let count: i64 = text.strip_suffix(unit)?.parse().ok().filter(|count| (1..=MAX_DAYS * 24).contains(count))?;
    let hours = match unit {
        'h' => count,
        'd' => count * 24,
        'w' => count * 24 * 7,
        _ => return None,
    };
    let end = now.checked_add(SignedDuration::from_hours(Some(hours).filter(|hours| *hours <= MAX_DAYS * 24)?)).ok()?;
    Timestamp::from_second(end.as_second()).ok()
}

/// An id of 50 random bits and a key with 256 more.
fn new_key() -> Result<(String, String), Failed> {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let (mut id, mut secret) = ([0; 10], [0; 32]);
    rand::fill(&mut id).and_then(|()| rand::fill(&mut secret)).map_err(|_| Failed::Random)?;
    let id: String = id.iter().filter_map(|byte| LETTERS.get(usize::from(byte % 32))).map(|b| char::from(*b)).collect();
    let key = format!("{}_{id}_{}", api_key::PREFIX, URL_SAFE_NO_PAD.encode(secret));
    Ok((id, key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Name;

    fn made(change: impl Fn(&mut NewKey)) -> Result<String, Failed> {
        let mut args = NewKey {
            config: PathBuf::new(),
            principal: "sync \"job\"".to_owned(),
            roles: vec!["sales_rep".to_owned(), "support".to_owned()],
            tenants: vec!["acme/shop".to_owned(), "acme/desk".to_owned()],
            scopes: vec!["contacts:read".to_owned(), "deals:*".to_owned()],
            expires: "90d".to_owned(),
        };
        change(&mut args);
        let schema = PrincipalSchema { roles: vec!["sales_rep".into(), "support".into()], ..Default::default() };
        let dimensions: Vec<Name> = vec!["organization_id".into(), "app_id".into()];
        let tenancy = Tenancy { dimensions, choose_by: None };
        let mut out = Vec::new();
        let hash_key = Secret::new("0123456789abcdef");
        print(&args, &hash_key, &schema, &tenancy, &Clock::fixed(1_700_000_000), Vec::new(), &mut out)?;
        Ok(String::from_utf8(out).expect("text"))
    }

    #[test]
    fn the_printed_entry_holds_the_hash_and_not_the_key() {
        let text = made(|_| ()).expect("a key");
        let key = text.lines().nth(1).expect("a line");
        assert!(key.starts_with("scrim_") && key.len() == 6 + 10 + 1 + 43, "{key}");
        let entry = text.split_once("# The entry").expect("an entry").1;
        let secret = key.splitn(3, '_').nth(2).expect("a secret");
        assert!(!entry.contains(secret));
        assert!(entry.contains(&api_key::hash(&Secret::new("0123456789abcdef"), key)));
        assert!(entry.contains("expires: 2024-02-12T22:13:20Z"), "{entry}");
        assert!(entry.contains(r#"{ organization_id: "acme", app_id: "desk" }"#), "{entry}");
        assert!(entry.contains(r#"scopes: ["contacts:read", "deals:*"]"#), "{entry}");
        assert!(entry.contains(r#"id: "sync \"job\"""#), "{entry}");
    }

    #[test]
    fn a_scope_must_be_of_a_table_and_an_action_that_there_are() {
        let api = Source::new("api.yaml", include_str!("../../config/apis/example.yaml"));
        let dimensions: Vec<Name> = vec!["organization_id".into(), "app_id".into()];
        let (catalog, _) = Catalog::compile(&[api], &["crm".into(), "files".into()], &dimensions).expect("it loads");
        let check = |scopes: &[&str]| {
            let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
            idle_scopes(&scopes, &catalog).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        for scope in ["accounts:*", "accounts:read", "accounts:close"] {
            assert_eq!(check(&[scope]), [""; 0], "{scope}");
        }
        for (scope, wrong) in [
            ("acounts:read", "scope `acounts:read`: there is no table `acounts`; did you mean `accounts`?"),
            ("accounts:raed", "scope `accounts:raed`: table `accounts` has no action `raed`; did you mean `read`?"),
        ] {
            assert_eq!(check(&[scope]), [wrong]);
        }
        for scope in ["", "contacts", ":read", "contacts:"] {
            assert_eq!(check(&[scope]), [Failed::Scope(scope.to_owned()).to_string()]);
        }
        assert_eq!(check(&["accounts", "accounts:read", "accounts:raed"]).len(), 2, "all at once");
    }

    #[test]
    fn two_keys_are_never_the_same() {
        assert_ne!(made(|_| ()).expect("a key"), made(|_| ()).expect("a key"));
    }

    #[test]
    fn wrong_arguments_make_no_key() {
        let one = |made: Result<String, Failed>| match made {
            Err(Failed::Arguments(mut wrong)) if wrong.len() == 1 => wrong.pop(),
            _ => None,
        };
        for expires in ["", "d", "90", "0d", "-1d", "1y", "9999999999999999999d", "99999d", "90d ", "1é"] {
            assert!(matches!(one(made(|a| a.expires = expires.into())), Some(Failed::Expires(_))), "{expires}");
        }
        for tenant in ["", "acme", "acme/", "/shop", "acme/shop/x", "acme/sh\nop"] {
            assert!(matches!(one(made(|a| a.tenants = vec![tenant.into()])), Some(Failed::Tenant(_))), "{tenant:?}");
        }
        assert!(matches!(one(made(|a| a.roles = vec!["root".into()])), Some(Failed::Role(_))));
        assert!(matches!(one(made(|a| a.principal = String::new())), Some(Failed::Principal)));
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let wrong = made(|a| {
            a.roles = vec!["root".into(), "support".into(), "rot".into()];
            a.tenants = vec!["acme".into()];
            a.expires = "soon".into();
        });
        let said = wrong.expect_err("all of it").to_string();
        for word in ["`root`", "`rot`", "`acme`", "`soon`"] {
            assert!(said.contains(word), "{said}");
        }
        assert_eq!(said.lines().count(), 4, "{said}");
    }

    #[test]
    fn a_tenant_for_which_no_issuer_speaks_is_noted() {
        let file = |text: &str| {
            let folder = tempfile::tempdir().expect("a folder");
            std::fs::write(folder.path().join("gateway.yaml"), text).expect("written");
            let path = folder.path().join("gateway.yaml");
            let (draft, _) = crate::config::Draft::read(&path);
            let tenants = ["acme/shop".to_owned(), "acmee/shop".to_owned()];
            let draft = draft.expect("enough of it");
            unknown_organizations(&tenants, &draft.config().authn).into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        let text = include_str!("../../config/example.yaml");
        assert_eq!(file(text), ["acmee"]);
    }
}
