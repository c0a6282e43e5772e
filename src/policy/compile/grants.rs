//! One grant: its rows, what it shows, what it lets be written, and what must hold after.

use super::super::ir::Expr;
use super::super::raw;
use super::super::types::{self, Kind, Phase, Scope};
use super::{Grant, Rows, Sharing, fields};
use crate::api::{FieldId, Shape, Tenancy};
use crate::diagnostic::{Diagnostic, Span};
use crate::model::Action;
use crate::policy::parse;
use crate::yaml::Text;

pub(super) fn grant(written: &raw::Grant, sharing: &Sharing, scope: &mut Scope<'_>) -> Option<Grant> {
    let roles = super::roles(&written.roles, scope);
    let actions = super::actions(&written.actions, scope);
    let read_only = scope.table.tenant == Tenancy::Shared;
    if read_only && let Some((at, _)) = written.actions.iter().zip(&actions).find(|(_, action)| action.writes()) {
        let message = format!("table `{}` is shared by all tenants and can't be written", scope.table.name);
        fail(scope, "shared-table", &at.span, message, None);
    }
    if actions.contains(&Action::Transfer) && scope.table.owner.is_none() {
        let at = written.actions.iter().find(|name| name.value == "transfer").map_or(&written.span, |name| &name.span);
        fail(scope, "no-owner", at, format!("table `{}` has no owner to transfer", scope.table.name), None);
    }
    let rows = rows(written, &actions, sharing, scope);
    let shows = fields::shows(&written.read, scope);
    let write = written.write.as_ref().map(|(span, names)| write(span, names, &actions, scope)).unwrap_or_default();
    let presets = written.presets.as_ref().map(|(span, list)| presets(span, list, &actions, scope));
    let check = match &written.check {
        Some(check) => {
            if !actions.iter().any(|action| action.writes() && *action != Action::Delete) && !actions.is_empty() {
                let help = "it judges records after a write; conditions for reading belong into `rows`".to_owned();
                fail(scope, "check-without-write", &check.span, "`check` is never judged here", Some(help));
            }
            let creates = actions.contains(&Action::Create);
            Some(types::condition(scope, check, Phase::Check { creates })?)
        }
        None => None,
    };
    let name = parse::name(&written.name);
    Some(Grant { name, roles, actions, rows: rows?, shows, write, presets: presets.unwrap_or_default(), check })
}

fn fail(scope: &mut Scope<'_>, code: &'static str, at: &Span, message: impl Into<String>, help: Option<String>) {
    let mut wrong = Diagnostic::error(code, at.clone(), message);
    wrong.help = help;
    scope.diagnostics.push(wrong);
}

fn rows(written: &raw::Grant, actions: &[Action], sharing: &Sharing, scope: &mut Scope<'_>) -> Option<Rows> {
    let only_creates = !actions.is_empty() && actions.iter().all(|action| *action == Action::Create);
    let Some(text) = &written.rows else {
        if !only_creates && !actions.is_empty() {
            let help = "`all`, `shared` or a condition; nothing is granted by leaving it out".to_owned();
            let message = format!("grant `{}` needs `rows`", written.name.value);
            fail(scope, "missing-rows", &written.name.span, message, Some(help));
        }
        return Some(Rows::None);
    };
    if only_creates {
        let help = "there is no record yet; put the condition into `check`".to_owned();
        fail(scope, "rows-on-create", &text.span, "`rows` is never judged for `create`", Some(help));
        return None;
    }
    match text.value.trim() {
        "all" => Some(Rows::All),
        "shared" if sharing.owner.is_none() => {
            let message = format!("table `{}` has no owner, so nothing in it is `shared`", scope.table.name);
            fail(scope, "no-owner", &text.span, message, None);
            None
        }
        "shared" => Some(Rows::Shared),
        _ => types::condition(scope, text, Phase::Rows).map(Rows::When),
    }
}

fn write(span: &Span, names: &[Text], actions: &[Action], scope: &mut Scope<'_>) -> Vec<FieldId> {
    let writes =
        |action: &Action| matches!(action, Action::Create | Action::Update | Action::Transfer | Action::Custom(_));
    if !actions.is_empty() && !actions.iter().any(writes) {
        let help = "add `update` or `create` to the actions".to_owned();
        fail(scope, "write-without-action", span, "`write` in a grant that writes nothing", Some(help));
    }
    names.iter().filter_map(|name| writable(name, actions, scope)).collect()
}

/// A column that a rule may let be written.
fn writable(name: &Text, actions: &[Action], scope: &mut Scope<'_>) -> Option<FieldId> {
    let id = super::field(name, scope)?;
    let field = scope.table.field(id);
    let word = &name.value;
    let wrong = match &field.shape {
        Shape::One { by, .. } => {
            let column = &scope.table.field(*by).name;
            Some((format!("`{word}` is a relation"), Some(format!("write its column `{column}`"))))
        }
        Shape::Many { .. } => Some((format!("`{word}` is a relation, and related records are not written here"), None)),
        Shape::Plain(_) if scope.table.tenant == Tenancy::Shared => {
            Some((format!("table `{}` is shared by all tenants and can't be written", scope.table.name), None))
        }
        Shape::Plain(_) if id == scope.table.key => {
            let makes = actions.iter().all(|action| *action == Action::Create || !action.writes());
            let help = match (scope.table.client_keys, makes) {
                (true, true) => return Some(id),
                (true, false) => "a key is chosen once: grant `create` apart from other writes".to_owned(),
                (false, _) => "where clients choose keys, the API description says `client_keys: true`".to_owned(),
            };
            Some((format!("`{word}` is the key and can't be written"), Some(help)))
        }
        Shape::Plain(_) if !field.derived_from.is_empty() => {
            Some((format!("`{word}` is derived and can't be written"), None))
        }
        Shape::Plain(_) if is_tenant_column(id, scope) => {
            Some((format!("`{word}` says whose tenant the record belongs to and can't be written"), None))
        }
        Shape::Plain(_)
            if scope.table.owner == Some(id)
                && !actions.iter().any(|action| matches!(action, Action::Transfer | Action::Create)) =>
        {
            let help = "list `transfer` among the actions of the grant".to_owned();
            Some((format!("`{word}` is the owner, and changing it is a transfer"), Some(help)))
        }
        Shape::Plain(_) => None,
    };
    match wrong {
        Some((message, help)) => {
            fail(scope, "not-writable", &name.span, message, help);
            None
        }
        None => Some(id),
    }
}

fn is_tenant_column(id: FieldId, scope: &Scope<'_>) -> bool {
    matches!(&scope.table.tenant, Tenancy::Columns(columns) if columns.iter().any(|(_, column)| *column == id))
}

fn presets(span: &Span, list: &[(Text, Text)], actions: &[Action], scope: &mut Scope<'_>) -> Vec<(FieldId, Expr)> {
    if !actions.is_empty() && !actions.contains(&Action::Create) {
        fail(scope, "presets-without-create", span, "`presets` in a grant that creates nothing", None);
    }
    list.iter().filter_map(|(name, text)| preset(name, text, actions, scope)).collect()
}

fn preset(name: &Text, text: &Text, actions: &[Action], scope: &mut Scope<'_>) -> Option<(FieldId, Expr)> {
    let id = writable(name, actions, scope);
    let typed = types::expression(scope, text, Phase::Preset);
    let (id, (mut typed, node)) = (id?, typed?);
    let field = scope.table.field(id);
    let Shape::Plain(of) = &field.shape else { return None };
    let wanted = Kind::of(of);
    types::as_decimals(&mut typed, &node, &wanted);
    let fits = match &typed.kind {
        Kind::Null => field.nullable,
        Kind::Any => true,
        kind => *kind == wanted || wanted == Kind::Any,
    };
    if !fits || (typed.nullable && typed.kind != Kind::Any && !field.nullable) {
        let message = format!("`{}` is of type `{wanted}`, this of type `{}`", name.value, typed.kind);
        let help = (typed.kind == Kind::Null).then(|| format!("`{}` is not nullable", name.value));
        fail(scope, "type-mismatch", &text.span, message, help);
        return None;
    }
    Some((id, typed.expr))
}
