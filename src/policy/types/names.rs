//! What a name means: a variable, a `let`, a fact, or a path through the record, its JSON and its relations.

use std::sync::Arc;

use super::super::ir::{Expr, Fact, Field, Subject};
use super::super::parse::{Kind as Syntax, Node};
use super::{Checker, Kind, Phase, ROOTS, Typed, Variable, hint};
use crate::api::{FieldId, Shape, Table};
use crate::diagnostic::nearest;
use crate::model::Name;
use crate::model::value::Type;
use crate::policy::value::Value;

/// What `type(x)` may be compared with. Records hold no other types.
const TYPES: [&str; 9] = ["bool", "int", "double", "string", "bytes", "list", "map", "null_type", "type"];

/// A chain of members from a root: the root's node, then each member with the node that ends there.
type Chain<'n> = (&'n Node, Vec<(&'n str, &'n Node)>);

/// Where a path of a record ends.
struct End {
    field: Field,
    kind: Kind,
    /// Below a `json` or `map` field, where members may be absent.
    open: bool,
}

impl Checker<'_, '_> {
    pub(super) fn name(&mut self, name: &str, node: &Node) -> Option<Typed> {
        if let Some(variable) = self.variable(name) {
            return Some(variable);
        }
        if name == "now" {
            self.known_here(name, node)?;
            return Some(Typed::new(Expr::Fact(Fact::Now), Kind::Timestamp));
        }
        if ROOTS.contains(&name) {
            self.known_here(name, node)?;
            let message = format!("`{name}` is no value; name one of its members");
            self.fail("not-a-value", &node.span, message, None);
            return None;
        }
        if self.scope.lets.contains_key(name) {
            return self.written_out(name, node);
        }
        if let Some(of) = TYPES.into_iter().find(|of| *of == name) {
            return Some(Typed::new(Expr::Constant(Value::Type(of.into())), Kind::Type));
        }
        if self.phase == Phase::Claims {
            let help = Some("what a token says is `claims`: `claims.sub`".to_owned());
            self.fail("unknown-name", &node.span, format!("unknown name `{name}`"), help);
            return None;
        }
        let known: Vec<&str> = ROOTS
            .into_iter()
            .chain(self.scope.lets.keys().map(String::as_str))
            .chain(self.variables.iter().skip(self.visible).map(|variable| variable.name.as_str()))
            .collect();
        let help = nearest(name, known)
            .map(|known| format!("did you mean `{known}`?"))
            .or_else(|| self.scope.table.field_named(name).map(|_| format!("did you mean `record.{name}`?")))
            .or_else(|| Some(hint::name(name)));
        self.fail("unknown-name", &node.span, format!("unknown name `{name}`"), help);
        None
    }

    /// The innermost variable of that name.
    pub(super) fn variable(&self, name: &str) -> Option<Typed> {
        let mut visible = self.variables.iter().enumerate().skip(self.visible);
        let (place, variable) = visible.rfind(|(_, variable)| variable.name == name)?;
        let Variable { kind, nullable, .. } = variable;
        let expr = Expr::Variable(u8::try_from(place).ok()?);
        Some(Typed { expr, kind: kind.clone(), nullable: *nullable })
    }

    /// A `let` is checked where it is used, in that phase. It knows none of the variables there.
    fn written_out(&mut self, name: &str, node: &Node) -> Option<Typed> {
        self.scope.used.insert(name.to_owned());
        if self.open.iter().any(|open| open == name) {
            self.fail("let-cycle", &node.span, format!("`{name}` is defined by itself"), None);
            return None;
        }
        let (text, body) = self.scope.lets.get(name).map(|found| (found.text.clone(), found.node.clone()))?;
        let outer = std::mem::replace(&mut self.text, text);
        let visible = std::mem::replace(&mut self.visible, self.variables.len());
        self.open.push(name.to_owned());
        let typed = self.check(&body);
        self.open.pop();
        self.visible = visible;
        self.text = outer;
        typed
    }

    pub(super) fn known_here(&mut self, root: &str, node: &Node) -> Option<()> {
        let help = match (root, self.phase) {
            (_, Phase::Claims) => "claims come before there is a caller; what a token says is `claims`",
            ("record", Phase::Check { creates: true }) => "a record that is being created is `after`",
            ("after", Phase::Rows) => "`rows` judges the record as it stands; put this into `check`",
            ("record" | "after", Phase::Must) => "a requirement judges the principal and the request; use a denial",
            ("record" | "after", Phase::Preset) => "presets are set before there is a record",
            ("after", Phase::Check { .. }) | ("record", Phase::Rows | Phase::Check { creates: false }) => {
                return Some(());
            }
            _ => return Some(()),
        };
        let message = format!("`{root}` is not known in `{}`", self.phase.word());
        self.fail("wrong-phase", &node.span, message, Some(help.to_owned()));
        None
    }

    /// A path from a root. A variable hides no root, so names decide.
    fn chain<'n>(&self, node: &'n Node) -> Option<Chain<'n>> {
        let mut members = Vec::new();
        let mut at = node;
        loop {
            match &at.kind {
                Syntax::Member(of, member) => {
                    members.push((member.as_str(), at));
                    at = of;
                }
                Syntax::Index(of, key) => match &key.kind {
                    Syntax::String(member) => {
                        members.push((member, at));
                        at = of;
                    }
                    _ => return None,
                },
                Syntax::Name(root) if ROOTS.contains(&root.as_str()) => {
                    members.reverse();
                    return Some((at, members));
                }
                _ => return None,
            }
        }
    }

    pub(super) fn member(&mut self, of: &Node, member: &str, node: &Node) -> Option<Typed> {
        if let Some((root, members)) = self.chain(node) {
            return self.path(root, &members);
        }
        let typed = self.check(of)?;
        self.member_of(typed, member, node)
    }

    /// A member of a map, or of something whose type only the record knows.
    fn member_of(&mut self, typed: Typed, member: &str, node: &Node) -> Option<Typed> {
        match named(&typed.kind) {
            Some(kind) => Some(Typed::part(Expr::Member(typed.expr.into(), member.into()), kind)),
            None => {
                let message = format!("type `{}` has no member `{member}`", typed.kind);
                self.fail("type-mismatch", &node.span, message, None);
                None
            }
        }
    }

    /// `of.?member`
    pub(super) fn maybe_member(&mut self, of: &Node, member: &str, node: &Node) -> Option<Typed> {
        let typed = self.perhaps(of, node)?;
        let Some(kind) = named(&typed.kind) else {
            let message = format!("type `{}` has no member `{member}`", typed.kind);
            self.fail("type-mismatch", &node.span, message, None);
            return None;
        };
        let kind = if matches!(kind, Kind::Optional(_)) { kind } else { Kind::Optional(kind.into()) };
        let member = Expr::Constant(Value::string(member));
        Some(Typed::new(Expr::Maybe(typed.expr.into(), member.into()), kind))
    }

    /// `of[?key]`
    pub(super) fn maybe_index(&mut self, of: &Node, key: &Node, node: &Node) -> Option<Typed> {
        let (typed, at) = (self.perhaps(of, node)?, self.check(key)?);
        let kind = self.element(&typed.kind, &at.kind, node)?;
        let kind = if matches!(kind, Kind::Optional(_)) { kind } else { Kind::Optional(kind.into()) };
        Some(Typed::new(Expr::Maybe(typed.expr.into(), at.expr.into()), kind))
    }

    /// What may lack a member: no root, and no record, whose fields are always there.
    fn perhaps(&mut self, of: &Node, node: &Node) -> Option<Typed> {
        let is_root = |node: &Node| matches!(&node.kind, Syntax::Name(root) if ROOTS.contains(&root.as_str()));
        let typed = if is_root(of) { None } else { Some(self.check(of)?) };
        match typed {
            Some(typed) if !matches!(typed.kind, Kind::Relation(_)) => Some(typed),
            _ => {
                let help = "what is declared is always there: write `.`, and compare with null what is nullable";
                self.fail("has-declared", &node.span, "`?` on a declared field", Some(help.to_owned()));
                None
            }
        }
    }

    pub(super) fn index(&mut self, of: &Node, key: &Node, node: &Node) -> Option<Typed> {
        if let Some((root, members)) = self.chain(node) {
            return self.path(root, &members);
        }
        let (typed, at) = (self.check(of)?, self.check(key)?);
        let kind = self.element(&typed.kind, &at.kind, node)?;
        Some(Typed::part(Expr::Index(typed.expr.into(), at.expr.into()), kind))
    }

    /// The type of an element by its index or key; of an optional, it is optional too.
    fn element(&mut self, of: &Kind, by: &Kind, node: &Node) -> Option<Kind> {
        let found = match (of, by) {
            (Kind::Optional(of), by) => {
                let inner = self.element(of, by, node)?;
                return Some(if matches!(inner, Kind::Optional(_)) { inner } else { Kind::Optional(inner.into()) });
            }
            (Kind::List(of), Kind::Int | Kind::Any) => Some((**of).clone()),
            (Kind::Map(key, of), by) => (key.meets(by) && *by != Kind::Null).then(|| (**of).clone()),
            (Kind::Any, Kind::Int | Kind::Bool | Kind::String | Kind::Any) => Some(Kind::Any),
            _ => None,
        };
        if found.is_none() {
            self.fail("type-mismatch", &node.span, format!("type `{of}` has no elements by `{by}`"), None);
        }
        found
    }

    pub(super) fn has(&mut self, of: &Node, node: &Node) -> Option<Typed> {
        let Syntax::Member(operand, member) = &of.kind else {
            self.fail("has-argument", &node.span, "`has` takes a member: `has(record.custom.tier)`", None);
            return None;
        };
        let Some((root, members)) = self.chain(of) else {
            let typed = self.check(operand)?;
            if named(&typed.kind).is_none() {
                self.fail("type-mismatch", &of.span, format!("type `{}` has no members", typed.kind), None);
                return None;
            }
            return Some(Typed::new(Expr::Has(typed.expr.into(), member.as_str().into()), Kind::Bool));
        };
        let Some((subject, (_, parents))) = self.subject(root)?.zip(members.split_last()) else {
            let message = "`has` is for members of `json` fields; what is known of a principal is declared";
            self.fail("has-declared", &of.span, message, None);
            return None;
        };
        let end = self.record_path(subject, &members)?;
        if !end.open {
            let help = "a declared field is always there; compare it with null if it is nullable".to_owned();
            self.fail("has-declared", &of.span, "`has` on a declared field", Some(help));
            return None;
        }
        let parent = self.record_path(subject, parents)?.field.slot;
        Some(Typed::new(Expr::HasField { field: end.field, parent }, Kind::Bool))
    }

    /// The record that a root names, if it names one.
    fn subject(&mut self, root: &Node) -> Option<Option<Subject>> {
        let Syntax::Name(name) = &root.kind else { return Some(None) };
        self.known_here(name, root)?;
        Some(match name.as_str() {
            "record" => Some(Subject::Record),
            "after" => Some(Subject::After),
            _ => None,
        })
    }

    fn path(&mut self, root: &Node, members: &[(&str, &Node)]) -> Option<Typed> {
        if let Some(subject) = self.subject(root)? {
            let End { field, kind, .. } = self.record_path(subject, members)?;
            let nullable = field.nullable;
            return Some(Typed { expr: Expr::Field(field), kind, nullable });
        }
        self.fact(root, members)
    }

    fn record_path(&mut self, subject: Subject, members: &[(&str, &Node)]) -> Option<End> {
        let catalog = self.scope.catalog;
        let mut table: &Table = self.scope.table;
        let mut names: Vec<Name> = Vec::new();
        let mut by: Option<FieldId> = None;
        let mut rest = members.iter();
        while let Some((member, node)) = rest.next() {
            // A column of that name is what is meant; where there is none, `key` is the key whatever its column's name.
            let key = (*member == "key").then_some(table.key);
            let Some(id) = table.field_named(member).or(key) else {
                let known: Vec<&str> = table.fields.iter().map(|field| &*field.name).collect();
                let help = nearest(member, known.iter().copied())
                    .map(|known| format!("did you mean `{known}`?"))
                    .or_else(|| Some(format!("known: {}", known.join(", "))));
                let message = format!("table `{}` has no field `{member}`", table.name);
                self.fail("unknown-field", &node.span, message, help);
                return None;
            };
            let declared = table.field(id);
            names.push(Arc::clone(&declared.name));
            match &declared.shape {
                Shape::Plain(of) => {
                    return self.plain(
                        subject,
                        names,
                        of,
                        declared.nullable,
                        table.absent_is_null && by.is_none(),
                        table.empty_is_null,
                        by,
                        rest.as_slice(),
                    );
                }
                Shape::Many { .. } => {
                    let message = "a list of related records can't be read by a rule";
                    self.fail("to-many", &node.span, message, None);
                    return None;
                }
                Shape::One { .. } if subject == Subject::After => {
                    let help = "name the column that holds its key instead".to_owned();
                    self.fail("relation-after", &node.span, "a related record is not known after a write", Some(help));
                    return None;
                }
                Shape::One { table: related, by: column } => {
                    by = by.or(Some(*column));
                    if rest.as_slice().is_empty() {
                        let field = self.field(subject, names, Type::Json, true, false, by);
                        return Some(End { field, kind: Kind::Relation(*related), open: false });
                    }
                    table = catalog.table(*related);
                }
            }
        }
        None
    }

    /// The rest of a path below a plain field.
    #[expect(clippy::too_many_arguments, reason = "the state of one walk")]
    fn plain(
        &mut self,
        subject: Subject,
        mut names: Vec<Name>,
        declared: &Type,
        mut nullable: bool,
        mut absent_is_null: bool,
        empty_is_null: bool,
        by: Option<FieldId>,
        rest: &[(&str, &Node)],
    ) -> Option<End> {
        let mut of = declared;
        for (member, node) in rest {
            of = match of {
                Type::Json => of,
                Type::Map(of) => of,
                other => {
                    self.fail("type-mismatch", &node.span, format!("type `{other}` has no member `{member}`"), None);
                    return None;
                }
            };
            names.push((*member).into());
            nullable = *of == Type::Json;
            absent_is_null = false;
        }
        let field = self.field(subject, names, of.clone(), nullable, absent_is_null, by);
        if empty_is_null && nullable && rest.is_empty() && *of != Type::Json {
            self.scope.layout.empty_is_null(field.slot);
        }
        Some(End { field, kind: Kind::of(of), open: !rest.is_empty() })
    }

    fn field(
        &mut self,
        subject: Subject,
        names: Vec<Name>,
        of: Type,
        nullable: bool,
        absent_is_null: bool,
        by: Option<FieldId>,
    ) -> Field {
        let slot = self.scope.layout.insert(&names);
        Field { subject, path: names.into(), slot, of, nullable, absent_is_null, by }
    }

    fn fact(&mut self, root: &Node, members: &[(&str, &Node)]) -> Option<Typed> {
        let Syntax::Name(root_name) = &root.kind else { return None };
        let path: Vec<&str> = members.iter().map(|(member, _)| *member).collect();
        let strings = || Kind::List(Kind::String.into());
        let (fact, kind) = match (root_name.as_str(), path.as_slice()) {
            ("principal", ["id"]) => (Fact::Id, Kind::String),
            ("principal", ["issuer"]) => (Fact::Issuer, Kind::String),
            ("principal", ["method"]) => (Fact::Method, Kind::String),
            ("principal", ["roles"]) => (Fact::Roles, strings()),
            ("principal", ["groups"]) => (Fact::Groups, strings()),
            ("principal", ["reports"]) => (Fact::Reports, strings()),
            ("principal", ["attributes", name, rest @ ..]) => return self.attribute(name, rest.len(), members),
            ("tenant", [name]) if self.scope.dimensions.iter().any(|d| &**d == *name) => {
                (Fact::Tenant((*name).into()), Kind::String)
            }
            ("request", ["method"]) => (Fact::RequestMethod, Kind::String),
            ("request", ["ip"]) => (Fact::RequestIp, Kind::String),
            (root, path) => {
                let known: Vec<&str> = match root {
                    "principal" => vec!["id", "issuer", "method", "roles", "groups", "reports", "attributes"],
                    "tenant" => self.scope.dimensions.iter().map(|name| &**name).collect(),
                    "request" => vec!["method", "ip"],
                    _ => Vec::new(),
                };
                let word = path.first().copied().unwrap_or_default();
                let help = nearest(word, known.iter().copied())
                    .map(|known| format!("did you mean `{known}`?"))
                    .or_else(|| (!known.is_empty()).then(|| format!("known: {}", known.join(", "))));
                let at = members.first().map_or(root_span(root, members), |(_, node)| node.span.clone());
                self.fail("unknown-name", &at, format!("`{root}` has no member `{}`", path.join(".")), help);
                return None;
            }
        };
        Some(Typed::new(Expr::Fact(fact), kind))
    }

    fn attribute(&mut self, name: &str, deeper: usize, members: &[(&str, &Node)]) -> Option<Typed> {
        let declared = self.scope.principal.attributes.get(name);
        let span = members.get(1).map_or(0..0, |(_, node)| node.span.clone());
        let Some(declared) = declared else {
            let help = nearest(name, self.scope.principal.attributes.keys().map(|known| &**known))
                .map_or("declare it under `principal.attributes` of the configuration".to_owned(), |known| {
                    format!("did you mean `{known}`?")
                });
            self.fail("unknown-attribute", &span, format!("unknown attribute `{name}`"), Some(help));
            return None;
        };
        let mut typed = Typed::new(Expr::Fact(Fact::Attribute(name.into())), Kind::of(declared));
        for (member, node) in members.iter().skip(members.len() - deeper) {
            typed = self.member_of(typed, member, node)?;
        }
        Some(typed)
    }
}

/// The type of a member by its name; of an optional's value, it is optional too.
fn named(of: &Kind) -> Option<Kind> {
    match of {
        Kind::Any => Some(Kind::Any),
        Kind::Map(key, of) => matches!(**key, Kind::String | Kind::Any).then(|| (**of).clone()),
        Kind::Optional(of) => match named(of)? {
            kind @ Kind::Optional(_) => Some(kind),
            kind => Some(Kind::Optional(kind.into())),
        },
        _ => None,
    }
}

fn root_span(_root: &str, members: &[(&str, &Node)]) -> std::ops::Range<usize> {
    members.last().map_or(0..0, |(_, node)| node.span.clone())
}
