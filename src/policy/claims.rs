//! What is made of a verified token's claims: expressions over `claims`, checked when they are loaded.
//!
//! There is no caller yet, no record and no time: `claims` is the only name. What lies in it is typed when it is judged, as
//! that of a `json` field is; what comes out is of the type that it is for, or the configuration does not load.

use std::collections::{BTreeMap, BTreeSet};

use super::evaluate::{self, MAX_STEPS};
use super::ir::{Expr, Failure};
use super::parse;
use super::slots::Layout;
use super::types::{self, Kind, Scope};
use super::value::Value;
use crate::api::{ApiId, Catalog, FieldId, InexactPaging, Race, Table, TableId, Tenancy};
use crate::config::PrincipalSchema;
use crate::diagnostic::Diagnostic;
use crate::model;
use crate::model::value::Type;
use crate::yaml::Text;

/// One expression.
#[derive(Debug)]
pub struct ClaimExpression(Expr);

/// Why an expression has no value for some claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmapped {
    /// A claim that it names is not there.
    Absent,
    Failed,
}

impl ClaimExpression {
    /// Parses and checks an expression whose value is to be of a type. Errors: every mistake, placed.
    pub fn compile(text: &Text, of: &Type) -> Result<Self, Vec<Diagnostic>> {
        let unread = || vec![Diagnostic::error("internal", text.span.clone(), "this expression can't be read")];
        parse::on_large_stack(|| checked(text, of)).unwrap_or_else(|| Err(unread())).map(Self)
    }

    /// Its value, as JSON would hold it or of the type that it was compiled for.
    pub fn value(&self, claims: &model::Value) -> Result<model::Value, Unmapped> {
        let found = evaluate::with_variables(&self.0, vec![Value::from(claims)], MAX_STEPS);
        let found = found.map_err(|failure| match failure {
            Failure::Missing => Unmapped::Absent,
            _ => Unmapped::Failed,
        })?;
        found.into_model().ok_or(Unmapped::Failed)
    }
}

fn checked(text: &Text, of: &Type) -> Result<Expr, Vec<Diagnostic>> {
    let (catalog, principal, table) = (Catalog::default(), PrincipalSchema::default(), nowhere());
    let (mut layout, mut diagnostics) = (Layout::default(), Vec::new());
    let mut scope = Scope {
        catalog: &catalog,
        table: &table,
        principal: &principal,
        dimensions: &[],
        lets: BTreeMap::new(),
        used: BTreeSet::new(),
        layout: &mut layout,
        diagnostics: &mut diagnostics,
        judged: None,
    };
    let typed = types::of_claims(&mut scope, text);
    let Some(typed) = typed.filter(|_| diagnostics.is_empty()) else { return Err(diagnostics) };
    if fits(&typed.kind, of) {
        return Ok(typed.expr);
    }
    let message = format!("must be of type `{of}`, but is of type `{}`", typed.kind);
    let wrong = Diagnostic::error("type-mismatch", text.span.clone(), message);
    let help =
        matches!(typed.kind, Kind::Optional(_)).then(|| "say what it is where there is none: `.orValue(…)`".to_owned());
    Err(vec![Diagnostic { help, ..wrong }])
}

/// Whether a value of that type may be one of the declared type. What only the claims know is looked at when it is there.
fn fits(kind: &Kind, of: &Type) -> bool {
    match (kind, of) {
        (Kind::Optional(_) | Kind::Bytes | Kind::Type | Kind::Ip | Kind::Cidr | Kind::Relation(_), _) => false,
        (Kind::Any | Kind::Null, _) | (_, Type::Json) | (Kind::Int, Type::Double | Type::Decimal) => true,
        (Kind::List(kind), Type::List(of)) => fits(kind, of),
        (Kind::Map(key, kind), Type::Map(of)) => matches!(**key, Kind::String | Kind::Any) && fits(kind, of),
        (kind, of) => *kind == Kind::of(of),
    }
}

/// A table without fields: where there is no record, nothing is read from one.
fn nowhere() -> Table {
    Table {
        id: TableId(0),
        api: ApiId(0),
        name: "claims".into(),
        key: FieldId(0),
        owner: None,
        tenant: Tenancy::Shared,
        tenant_filter: Vec::new(),
        tenant_body: Vec::new(),
        fields: [].into(),
        related: std::sync::Arc::default(),
        absent_is_null: false,
        empty_is_null: false,
        container: None,
        in_place: false,
        race: Race::Accept,
        cascades: Vec::new(),
        client_keys: false,
        inexact_paging: InexactPaging::Short,
        search: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn compiled(source: &str, of: &str) -> Result<ClaimExpression, String> {
        let of = Type::parse(of).expect("a type");
        let shown = |wrong: Vec<Diagnostic>| wrong.iter().map(|d| format!("{}: {}", d.code, d.message)).collect();
        ClaimExpression::compile(&Text::whole(source), &of).map_err(shown)
    }

    fn claims() -> model::Value {
        let text = |text: &str| model::Value::string(text);
        let many = (0..300).map(|n| text(&n.to_string())).collect();
        let list = |items: &[&str]| model::Value::List(items.iter().map(|item| text(item)).collect());
        let realm = BTreeMap::from([("roles".into(), list(&["a", "b"]))]);
        model::Value::Map(Arc::new(BTreeMap::from([
            ("sub".into(), text("u1")),
            ("level".into(), model::Value::Int(3)),
            ("amr".into(), list(&["pwd", "mfa"])),
            ("scope".into(), text("read write")),
            ("realm".into(), model::Value::Map(realm.into())),
            ("https://example.com/team".into(), text("north")),
            ("nothing".into(), model::Value::Null),
            ("many".into(), model::Value::List(many)),
        ])))
    }

    #[test]
    fn claims_become_values_of_their_type() {
        for (source, of, expected) in [
            ("claims.sub", "string", r#""u1""#),
            ("'mfa' in claims.amr", "bool", "true"),
            ("claims.amr.exists(m, m == 'mfa' || m == 'hwk')", "bool", "true"),
            ("claims.scope.split(' ')", "list(string)", r#"["read", "write"]"#),
            ("claims.realm.roles.map(r, 'x-' + r)", "list(string)", r#"["x-a", "x-b"]"#),
            ("claims['https://example.com/team']", "string", r#""north""#),
            ("claims.level > 2 ? 'high' : 'low'", "string", r#""high""#),
            ("claims.level", "double", "3"),
            ("has(claims.acr) && claims.acr == 'x'", "bool", "false"),
            ("claims.?acr.orValue('none')", "string", r#""none""#),
            ("claims.nothing == null", "bool", "true"),
            ("cel.bind(r, claims.realm.roles, size(r))", "int", "2"),
        ] {
            let expression = compiled(source, of).unwrap_or_else(|wrong| panic!("{source}: {wrong}"));
            let found = expression.value(&claims()).expect(source);
            assert_eq!(shown(&found), expected, "{source}");
        }
    }

    fn shown(value: &model::Value) -> String {
        match value {
            model::Value::String(text) => format!("{text:?}"),
            model::Value::Bool(truth) => truth.to_string(),
            model::Value::Int(number) => number.to_string(),
            model::Value::List(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", ")),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn what_is_not_there_is_absent_and_what_fails_is_a_failure() {
        for (source, unmapped) in [
            ("claims.acr", Unmapped::Absent),
            ("claims.realm.groups", Unmapped::Absent),
            ("'x' in claims.groups", Unmapped::Absent),
            ("claims['none']", Unmapped::Absent),
            ("claims.sub.deeper", Unmapped::Failed),
            ("claims.amr[7]", Unmapped::Failed),
            ("claims.level / 0", Unmapped::Failed),
            ("'x' in claims.sub", Unmapped::Failed),
            ("claims.many.map(a, claims.many.map(b, a + b))", Unmapped::Failed),
        ] {
            let expression = compiled(source, "json").unwrap_or_else(|wrong| panic!("{source}: {wrong}"));
            assert_eq!(expression.value(&claims()), Err(unmapped), "{source}");
        }
    }

    #[test]
    fn mistakes_are_found_when_the_file_is_loaded() {
        for (source, of, wrong) in [
            ("'mfa' in claims.amr", "string", "type-mismatch: must be of type `string`, but is of type `bool`"),
            ("'a' + 'x'", "int", "type-mismatch: must be of type `int`, but is of type `string`"),
            ("size(claims.amr)", "string", "type-mismatch"),
            ("claims.?x", "string", "type-mismatch: must be of type `string`, but is of type `optional(json)`"),
            ("b'x'", "json", "type-mismatch"),
            ("principal.id", "string", "wrong-phase: `principal` is not known in `map`"),
            ("principal.has_role('a')", "bool", "wrong-phase: `principal` is not known in `map`"),
            ("record.id", "string", "wrong-phase: `record` is not known in `map`"),
            ("tenant.organization_id", "string", "wrong-phase"),
            ("request.ip == '::1'", "bool", "wrong-phase"),
            ("now > timestamp('2020-01-01T00:00:00Z')", "bool", "wrong-phase: `now` is not known in `map`"),
            ("claim.sub", "string", "unknown-name: unknown name `claim`"),
            ("claims.sub +", "string", "cel-syntax"),
            ("claims.x.matches(claims.y)", "bool", "wrong-arguments"),
            ("claims.a.map(x, claims.b.map(y, claims.c.map(z, z)))", "json", "cel-"),
            ("nope(claims.sub)", "string", "unknown-function"),
        ] {
            let found = compiled(source, of).err().unwrap_or_else(|| panic!("{source} is taken"));
            assert!(found.contains(wrong), "{source}: {found}");
        }
        assert!(compiled(&format!("claims.sub{}", " + 'x'".repeat(600)), "string").is_err());
    }
}
