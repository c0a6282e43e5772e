//! `scrim keys new`: makes an API key, shows it once, and prints the entry for the file of API keys.
//!
//! The key itself is stored nowhere: the entry holds its keyed hash. What is printed has passed the same checks as a
//! file of keys does when it is loaded.

use std::io::{self, Write};
use std::path::PathBuf;

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};

use crate::api::{self, Catalog};
use crate::authn::{self, api_key};
use crate::clock::Clock;
use crate::config::{Config, PrincipalSchema, Tenancy};
use crate::diagnostic::{Diagnostic, Source, Span};
use crate::model::{Action, Name, Scope};
use crate::secret::Secret;

/// Longer lives are refused: who leaves a key for longer has forgotten it.
const MAX_DAYS: i64 = 3660;

/// Makes an API key and prints it once, with the entry for the file of keys.
#[derive(Debug, clap::Args)]
pub struct NewKey {
    /// The gateway's configuration; its API key hash secret is needed.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// The id of the principal that the key stands for.
    #[arg(long, value_name = "ID")]
    pub principal: String,
    /// A role of the principal; may be given several times.
    #[arg(long = "role", value_name = "ROLE", required = true)]
    pub roles: Vec<String>,
    /// A tenant, a value for each dimension joined by `/`; may be given several times.
    #[arg(long = "tenant", value_name = "TENANT", required = true)]
    pub tenants: Vec<String>,
    /// What alone the key may be used for, such as `contacts:read` or `contacts:*`; may be given several times. Without it:
    /// all that its roles may do.
    #[arg(long = "scope", value_name = "TABLE:ACTION")]
    pub scopes: Vec<String>,
    /// How long the key lives: a number of hours, days or weeks, such as `12h`, `90d` or `8w`.
    #[arg(long, value_name = "TIME")]
    pub expires: String,
}

/// Why no key was made.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    #[error("the configuration has errors")]
    Config(Vec<Diagnostic>),
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

/// Makes the key and prints it.
pub fn run(args: &NewKey, out: &mut impl Write) -> Result<(), Failed> {
    let (config, _) = Config::load(&args.config).map_err(Failed::Config)?;
    let hash_key = &config.authn.api_keys.as_ref().ok_or(Failed::NoApiKeys)?.key;
    if !args.scopes.is_empty() {
        let upstreams: Vec<Name> = config.upstreams.keys().cloned().collect();
        let files = api::read(&config.apis).map_err(Failed::Config)?;
        let (catalog, _) = Catalog::compile(&files, &upstreams, &config.tenancy.dimensions).map_err(Failed::Config)?;
        check_scopes(&args.scopes, &catalog)?;
    }
    print(args, hash_key, &config.principal, &config.tenancy, &Clock::system(), out)
}

fn print(
    args: &NewKey,
    hash_key: &Secret,
    schema: &PrincipalSchema,
    tenancy: &Tenancy,
    clock: &Clock,
    out: &mut impl Write,
) -> Result<(), Failed> {
    if !api_key::is_principal_id(&args.principal) {
        return Err(Failed::Principal);
    }
    if let Some(unknown) = args.roles.iter().find(|role| !schema.roles.iter().any(|known| **known == ***role)) {
        return Err(Failed::Role(unknown.clone()));
    }
    let tenants = args.tenants.iter().map(|tenant| tenant_entry(tenant, tenancy)).collect::<Result<Vec<_>, _>>()?;
    args.scopes.iter().try_for_each(|scope| parse_scope(scope).map(drop))?;
    let expires = expiry(&args.expires, clock.now()).ok_or_else(|| Failed::Expires(args.expires.clone()))?;
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

/// Errors: no request could be in one of them. The gateway would not load such a key.
fn check_scopes(scopes: &[String], catalog: &Catalog) -> Result<(), Failed> {
    for text in scopes {
        let place = Span::new(&Source::new("--scope", ""), 0..0);
        if let Some(idle) = authn::scopes::idle(&parse_scope(text)?, &place, catalog) {
            let wrong = [Some(idle.message), idle.help].into_iter().flatten().collect::<Vec<_>>().join("; ");
            return Err(Failed::IdleScope { scope: text.clone(), wrong });
        }
    }
    Ok(())
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
        print(&args, &hash_key, &schema, &tenancy, &Clock::fixed(1_700_000_000), &mut out)?;
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
        let check = |scope: &str| check_scopes(&[scope.to_owned()], &catalog).map_err(|wrong| wrong.to_string());
        for scope in ["accounts:*", "accounts:read", "accounts:close"] {
            assert_eq!(check(scope), Ok(()), "{scope}");
        }
        for (scope, wrong) in [
            ("acounts:read", "scope `acounts:read`: there is no table `acounts`; did you mean `accounts`?"),
            ("accounts:raed", "scope `accounts:raed`: table `accounts` has no action `raed`; did you mean `read`?"),
        ] {
            assert_eq!(check(scope), Err(wrong.to_owned()));
        }
        assert!(check("accounts").is_err());
    }

    #[test]
    fn two_keys_are_never_the_same() {
        assert_ne!(made(|_| ()).expect("a key"), made(|_| ()).expect("a key"));
    }

    #[test]
    fn wrong_arguments_make_no_key() {
        for expires in ["", "d", "90", "0d", "-1d", "1y", "9999999999999999999d", "99999d", "90d ", "1é"] {
            assert!(matches!(made(|a| a.expires = expires.into()), Err(Failed::Expires(_))), "{expires}");
        }
        for tenant in ["", "acme", "acme/", "/shop", "acme/shop/x", "acme/sh\nop"] {
            assert!(matches!(made(|a| a.tenants = vec![tenant.into()]), Err(Failed::Tenant(_))), "{tenant:?}");
        }
        assert!(matches!(made(|a| a.roles = vec!["root".into()]), Err(Failed::Role(_))));
        for scope in ["", "contacts", ":read", "contacts:"] {
            assert!(matches!(made(|a| a.scopes = vec![scope.into()]), Err(Failed::Scope(_))), "{scope:?}");
        }
        assert!(matches!(made(|a| a.principal = String::new()), Err(Failed::Principal)));
    }
}
