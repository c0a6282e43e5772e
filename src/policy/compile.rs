//! Raw policies -> checked rules over a catalog.
//!
//! Every mistake of every file is collected; rules come out only if there is none. A table without a policy has no
//! rules and so is hidden.

mod fields;
mod grants;
mod masks;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::decision::Visibility;
use super::ir::Expr;
use super::residual::{Fence, Index, Owner};
use super::types::{self, Macro, Phase, ROOTS, Scope};
use super::{lint, parse, raw};
use crate::api::{Catalog, FieldId, Parent, RouteKind, Shape, Table, TableId, Tenancy};
use crate::config::PrincipalSchema;
use crate::diagnostic::{self, Diagnostic, Source, Span, nearest};
use crate::model::{Action, Name};
use crate::policy::{KeyedMask, Layout};
use crate::yaml::{Reader, Text};

/// Grants of one table: a set of them is one word of 128 bits.
pub(super) const MAX_GRANTS: usize = 128;
/// Tenancy by way of parents.
const MAX_VIA: usize = 4;

/// All rules, by table.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) catalog: Arc<Catalog>,
    pub(super) tables: Vec<Arc<Rules>>,
    keyed_masks: Vec<KeyedMask>,
    /// Where `hierarchy` is `true`.
    hierarchies: Vec<Span>,
    hash: String,
}

/// The rules of one table.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) table: TableId,
    pub(super) owner_field: Option<FieldId>,
    pub(super) layout: Arc<Layout>,
    pub(super) fence: Fence,
    pub(super) sharing: Sharing,
    pub(super) grants: Vec<Grant>,
    pub(super) denials: Vec<Denial>,
    pub(super) requirements: Vec<Requirement>,
    pub(super) index: Index,
}

#[derive(Clone, Debug)]
pub(super) struct Sharing {
    pub(super) default: Mode,
    pub(super) hierarchy: bool,
    /// `None` where the table has no owner; then nothing is `shared`.
    pub(super) owner: Option<Owner>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Private,
    PublicRead,
    PublicReadWrite,
}

#[derive(Debug)]
pub(super) struct Grant {
    pub(super) name: Name,
    pub(super) roles: Vec<Name>,
    pub(super) actions: Vec<Action>,
    pub(super) rows: Rows,
    /// By field; `None` shows nothing.
    pub(super) shows: Vec<Option<Visibility>>,
    pub(super) write: Vec<FieldId>,
    pub(super) presets: Vec<(FieldId, Expr)>,
    pub(super) check: Option<Expr>,
}

#[derive(Debug)]
pub(super) enum Rows {
    All,
    Shared,
    When(Expr),
    /// A grant that only creates.
    None,
}

#[derive(Debug)]
pub(super) struct Denial {
    pub(super) name: Name,
    pub(super) actions: Vec<Action>,
    pub(super) roles: Option<Vec<Name>>,
    pub(super) rows: Expr,
}

#[derive(Debug)]
pub(super) struct Requirement {
    pub(super) name: Name,
    pub(super) actions: Vec<Action>,
    pub(super) must: Expr,
}

pub(super) fn policies(
    files: &[Arc<Source>],
    catalog: &Arc<Catalog>,
    principal: &PrincipalSchema,
    dimensions: &[Name],
    lints: bool,
) -> Result<(Compiled, Vec<Diagnostic>), Vec<Diagnostic>> {
    let work = || compile(files, catalog, principal, dimensions, lints);
    parse::on_large_stack(work).unwrap_or_else(|| {
        let place = files.first().map_or_else(|| Source::new("policies", ""), Arc::clone);
        Err(vec![Diagnostic::error("internal", Span::new(&place, 0..0), "the policies could not be compiled")])
    })
}

fn compile(
    files: &[Arc<Source>],
    catalog: &Arc<Catalog>,
    principal: &PrincipalSchema,
    dimensions: &[Name],
    lints: bool,
) -> Result<(Compiled, Vec<Diagnostic>), Vec<Diagnostic>> {
    let mut reader = Reader::default();
    let policies: Vec<raw::Policy> = files.iter().filter_map(|file| raw::policy(file, &mut reader)).collect();
    let mut diagnostics = reader.diagnostics;
    let mut by_table: HashMap<TableId, raw::Policy> = HashMap::new();
    for policy in policies {
        let Some(table) = catalog.table_named(&policy.table.value) else {
            let known = catalog.tables().map(|table| &*table.name);
            diagnostics.push(unknown("unknown-table", "table", &policy.table, known));
            continue;
        };
        if let Some(first) = by_table.get(&table.id) {
            let message = format!("table `{}` has a policy in `{}` already", table.name, first.table.span.source.path);
            diagnostics.push(Diagnostic::error("duplicate-table", policy.table.span.clone(), message));
            continue;
        }
        by_table.insert(table.id, policy);
    }
    let tables = catalog
        .tables()
        .map(|table| {
            let policy = by_table.get(&table.id);
            Arc::new(rules(table, policy, catalog, principal, dimensions, lints, &mut diagnostics))
        })
        .collect();
    diagnostic::sort(&mut diagnostics);
    if diagnostic::has_errors(&diagnostics) {
        return Err(diagnostics);
    }
    let policies = catalog.tables().filter_map(|table| by_table.get(&table.id));
    let keyed_masks = policies.flat_map(fields::keyed_masks).collect();
    let sharings = by_table.values().filter_map(|policy| policy.sharing.as_ref());
    let hierarchies = sharings.filter_map(|sharing| sharing.hierarchy.clone()).collect();
    let catalog = Arc::clone(catalog);
    Ok((Compiled { catalog, tables, keyed_masks, hierarchies, hash: hash(files) }, diagnostics))
}

fn hash(files: &[Arc<Source>]) -> String {
    let mut files: Vec<&Arc<Source>> = files.iter().collect();
    files.sort_by(|a, b| (&a.path, &a.text).cmp(&(&b.path, &b.text)));
    let mut digest = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for file in files {
        // Without its folder, so that instances with the same policies name them alike.
        let name = file.path.rsplit(['/', std::path::MAIN_SEPARATOR]).next().unwrap_or_default();
        // Lengths keep one file's end from being read as another's beginning.
        for part in [name, &file.text] {
            digest.update(&(part.len() as u64).to_be_bytes());
            digest.update(part.as_bytes());
        }
    }
    digest.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn rules(
    table: &Table,
    policy: Option<&raw::Policy>,
    catalog: &Catalog,
    principal: &PrincipalSchema,
    dimensions: &[Name],
    lints: bool,
    diagnostics: &mut Vec<Diagnostic>,
) -> Rules {
    let mut layout = Layout::default();
    let fence = fence(table, catalog, dimensions, &mut layout);
    layout.insert(&[Arc::clone(&table.field(table.key).name)]);
    let owner = table.owner.map(|id| owner(table, id, &mut layout));
    let mut scope = Scope {
        catalog,
        table,
        principal,
        dimensions,
        lets: BTreeMap::new(),
        used: BTreeSet::new(),
        layout: &mut layout,
        diagnostics,
        judged: lints.then(Vec::new),
    };
    let empty = Sharing { default: Mode::Private, hierarchy: false, owner: owner.clone() };
    let (sharing, grants, denials, requirements) = match policy {
        None => (empty, Vec::new(), Vec::new(), Vec::new()),
        Some(policy) => {
            unique_names(policy, scope.diagnostics);
            lets(policy, &mut scope);
            let sharing = sharing(policy, owner, &mut scope);
            let grants: Vec<Grant> =
                policy.grants.iter().filter_map(|grant| grants::grant(grant, &sharing, &mut scope)).collect();
            fields::one_parameter(policy, &mut scope);
            let denials: Vec<Denial> =
                policy.denials.iter().filter_map(|denial| self::denial(denial, &mut scope)).collect();
            let requirements = policy.requirements.iter().filter_map(|r| requirement(r, &mut scope)).collect();
            let made = lint::Compiled { grants: &grants, denials: &denials };
            lint::policy(policy, made, &mut scope);
            (sharing, grants, denials, requirements)
        }
    };
    Rules {
        table: table.id,
        owner_field: table.owner,
        layout: Arc::new(layout),
        fence,
        sharing,
        index: Index::new(&grants, &denials, &requirements),
        grants,
        denials,
        requirements,
    }
}

/// The columns that say whose a record is, through its parents where it has none of its own.
fn fence(table: &Table, catalog: &Catalog, dimensions: &[Name], layout: &mut Layout) -> Fence {
    let (mut path, mut at, mut parent): (Vec<Name>, &Table, Option<_>) = (Vec::new(), table, None);
    for _ in 0..MAX_VIA {
        match &at.tenant {
            Tenancy::Shared if path.is_empty() => return Fence::Shared,
            // What belongs to all tenants can't say which one its children belong to.
            Tenancy::Shared => return Fence::Never,
            Tenancy::Columns(columns) => {
                let mut slot = |column: FieldId| {
                    let mut path = path.clone();
                    path.push(Arc::clone(&at.field(column).name));
                    layout.insert(&path)
                };
                let columns: Vec<_> = columns.iter().map(|(name, column)| (Arc::clone(name), slot(*column))).collect();
                let complete = dimensions.iter().all(|d| columns.iter().any(|(name, _)| name == d));
                return if complete && !columns.is_empty() { Fence::Columns { columns, parent } } else { Fence::Never };
            }
            Tenancy::Via(Parent { relation, .. }) => {
                let field = at.field(*relation);
                let Shape::One { table: related, by } = &field.shape else { return Fence::Never };
                let related = catalog.table(*related);
                let by_name = Arc::clone(&at.field(*by).name);
                path.push(Arc::clone(&field.name));
                if parent.is_none() {
                    let key = [Arc::clone(&field.name), Arc::clone(&related.field(related.key).name)];
                    let column = layout.insert(&[by_name]);
                    if at.empty_is_null && at.field(*by).nullable {
                        layout.empty_is_null(column);
                    }
                    parent = Some((column, layout.insert(&key), *by));
                }
                at = related;
            }
        }
    }
    Fence::Never
}

fn owner(table: &Table, id: FieldId, layout: &mut Layout) -> Owner {
    let field = table.field(id);
    let path: Vec<Name> = vec![Arc::clone(&field.name)];
    let slot = layout.insert(&path);
    if table.empty_is_null && field.nullable {
        layout.empty_is_null(slot);
    }
    let of = match &field.shape {
        Shape::Plain(of) => of.clone(),
        Shape::One { .. } | Shape::Many { .. } => crate::model::value::Type::Json,
    };
    Owner(super::ir::Field {
        subject: super::ir::Subject::Record,
        path: path.into(),
        slot,
        of,
        nullable: field.nullable,
        absent_is_null: table.absent_is_null,
        by: None,
    })
}

fn unique_names(policy: &raw::Policy, diagnostics: &mut Vec<Diagnostic>) {
    let grants = policy.grants.iter().map(|grant| &grant.name);
    let denials = policy.denials.iter().map(|denial| &denial.name);
    let requirements = policy.requirements.iter().map(|requirement| &requirement.name);
    let mut seen = BTreeSet::new();
    for name in grants.chain(denials).chain(requirements) {
        if !seen.insert(&name.value) {
            let message = format!("a second rule of the name `{}`", name.value);
            let wrong = Diagnostic::error("duplicate-name", name.span.clone(), message);
            diagnostics.push(wrong.help("the audit log tells rules apart by their names"));
        }
    }
    if let Some(first) = policy.grants.get(MAX_GRANTS) {
        let message = format!("more than {MAX_GRANTS} grants on one table");
        diagnostics.push(Diagnostic::error("too-many-grants", first.span.clone(), message));
    }
}

fn lets(policy: &raw::Policy, scope: &mut Scope<'_>) {
    for (name, text) in &policy.lets {
        let word = name.value.as_str();
        if ROOTS.contains(&word) {
            let message = format!("`{word}` is a name of its own and can't be a `let`");
            let wrong = Diagnostic::error("let-shadows", name.span.clone(), message);
            scope.diagnostics.push(wrong.help("choose another name"));
            continue;
        }
        let plain = word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        // `rows: all` and `rows: shared` are words: a `let` of that name would look like a condition and never be asked.
        if !plain || matches!(word, "true" | "false" | "null" | "in" | "all" | "shared") {
            let message = format!("`{word}` can't be used as a name in an expression");
            scope.diagnostics.push(Diagnostic::error("let-name", name.span.clone(), message));
            continue;
        }
        if let Some(node) = parse::expression(text, scope.diagnostics) {
            scope.lets.insert(name.value.clone(), Macro { text: text.clone(), node });
        }
    }
}

fn sharing(policy: &raw::Policy, owner: Option<Owner>, scope: &mut Scope<'_>) -> Sharing {
    let mut sharing = Sharing { default: Mode::Private, hierarchy: false, owner };
    let Some(written) = &policy.sharing else { return sharing };
    sharing.hierarchy = written.hierarchy.is_some();
    let Some(default) = &written.default else { return sharing };
    sharing.default = match default.value.as_str() {
        "private" => Mode::Private,
        "public_read" => Mode::PublicRead,
        "public_read_write" => Mode::PublicReadWrite,
        _ => {
            let known = ["private", "public_read", "public_read_write"];
            scope.diagnostics.push(unknown("unknown-sharing", "sharing mode", default, known));
            Mode::Private
        }
    };
    sharing
}

fn denial(written: &raw::Denial, scope: &mut Scope<'_>) -> Option<Denial> {
    let actions = actions(&written.actions, scope);
    let roles = written.roles.as_ref().map(|names| roles(names, scope));
    let rows = match written.rows.value.trim() {
        "all" => Some(Expr::TRUE),
        _ => types::condition(scope, &written.rows, Phase::Rows),
    };
    Some(Denial { name: parse::name(&written.name), actions, roles, rows: rows? })
}

fn requirement(written: &raw::Requirement, scope: &mut Scope<'_>) -> Option<Requirement> {
    let actions = actions(&written.actions, scope);
    let must = types::condition(scope, &written.must, Phase::Must)?;
    Some(Requirement { name: parse::name(&written.name), actions, must })
}

fn roles(names: &[Text], scope: &mut Scope<'_>) -> Vec<Name> {
    let known = &scope.principal.roles;
    for name in names {
        if !known.iter().any(|role| **role == *name.value) {
            let wrong = unknown("unknown-role", "role", name, known.iter().map(|role| &**role));
            scope.diagnostics.push(wrong);
        }
    }
    names.iter().map(parse::name).collect()
}

/// Built-in actions, and those that routes of this table declare.
fn actions(names: &[Text], scope: &mut Scope<'_>) -> Vec<Action> {
    let id = scope.table.id;
    let declared: BTreeSet<&Action> = scope
        .catalog
        .apis()
        .flat_map(|(_, api)| &api.routes)
        .filter_map(|route| match &route.kind {
            RouteKind::Table { table, action } if *table == id => Some(action),
            _ => None,
        })
        .collect();
    let mut found = Vec::new();
    for name in names {
        let action = Action::parse(&name.value);
        if matches!(action, Action::Custom(_)) && !declared.contains(&action) {
            let known = Action::BUILT_IN.iter().chain(declared.iter().copied()).map(Action::name);
            let wrong = unknown("unknown-action", "action", name, known);
            scope.diagnostics.push(wrong);
        } else {
            found.push(action);
        }
    }
    found
}

/// A field of the table, or a diagnostic that offers the nearest.
fn field(name: &Text, scope: &mut Scope<'_>) -> Option<FieldId> {
    let found = scope.table.field_named(&name.value);
    if found.is_none() {
        let wrong = unknown("unknown-field", "field", name, scope.table.fields.iter().map(|field| &*field.name));
        scope.diagnostics.push(wrong);
    }
    found
}

fn unknown<'a>(code: &'static str, what: &str, name: &Text, known: impl IntoIterator<Item = &'a str>) -> Diagnostic {
    let known: Vec<&str> = known.into_iter().collect();
    let help = match nearest(&name.value, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known: {}", known.join(", ")),
    };
    Diagnostic::error(code, name.span.clone(), format!("unknown {what} `{}`", name.value)).help(help)
}

impl Compiled {
    pub(super) fn hash(&self) -> &str {
        &self.hash
    }

    pub(super) fn keyed_masks(&self) -> &[KeyedMask] {
        &self.keyed_masks
    }

    pub(super) fn hierarchies(&self) -> &[Span] {
        &self.hierarchies
    }

    pub(super) fn grants_to(&self, role: &str) -> bool {
        let mut grants = self.tables.iter().flat_map(|rules| &rules.grants);
        grants.any(|grant| grant.roles.iter().any(|of| **of == *role))
    }

    pub(super) fn layout(&self, table: TableId) -> &Arc<Layout> {
        &self.rules(table).layout
    }

    pub(super) fn rules(&self, table: TableId) -> &Arc<Rules> {
        self.tables.get(usize::from(table.0)).expect("ids are only made for tables of this catalog")
    }
}
