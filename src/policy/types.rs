//! Names and types of one expression: a syntax tree in, a judged expression out, or diagnostics at the words that are wrong.
//!
//! Every expression has a phase, which says what is known when it is judged; a name from another phase is an error. What
//! lies below a `json` field is typed only when it is judged. A field that may be null may be compared, but is no
//! condition by itself.

mod calls;
mod each;
mod hint;
mod kind;
mod literals;
mod names;
mod operators;
mod signature;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

pub(super) use kind::{Kind, Typed};
pub(super) use operators::as_decimals;

use super::ir::Expr;
use super::lint::Judged;
use super::parse::{self, MAX_DEPTH, Node};
use super::slots::Layout;
use super::value::Value;
use crate::api::{Catalog, Table};
use crate::config::PrincipalSchema;
use crate::diagnostic::Diagnostic;
use crate::model::Name;
use crate::yaml::Text;

/// Of one expression with its `let`s written out.
const MAX_NODES: usize = 2048;
/// Comprehensions inside each other.
const MAX_EACH: usize = 2;
/// Variables in force at one place.
const MAX_VARIABLES: usize = 16;

/// Where an expression stands, and so what it may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Rows,
    /// `record` is the record as it stands; there is none where the grant creates.
    Check {
        creates: bool,
    },
    Must,
    Preset,
    /// Before there is a caller.
    Claims,
}

impl Phase {
    fn word(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Check { .. } => "check",
            Self::Must => "must",
            Self::Preset => "presets",
            Self::Claims => "map",
        }
    }
}

/// A `let` as parsed.
#[derive(Debug)]
pub(super) struct Macro {
    pub(super) text: Text,
    pub(super) node: Node,
}

/// What the expressions of one policy file share.
pub(super) struct Scope<'c> {
    pub(super) catalog: &'c Catalog,
    pub(super) table: &'c Table,
    pub(super) principal: &'c PrincipalSchema,
    pub(super) dimensions: &'c [Name],
    pub(super) lets: BTreeMap<String, Macro>,
    pub(super) used: BTreeSet<String>,
    pub(super) layout: &'c mut Layout,
    pub(super) diagnostics: &'c mut Vec<Diagnostic>,
    /// What was checked, for a second look; `None` where there is none.
    pub(super) judged: Option<Vec<Judged>>,
}

impl Scope<'_> {
    fn keep(&mut self, text: &Text, node: Node, expr: Expr) -> Expr {
        self.judged
            .iter_mut()
            .for_each(|judged| judged.push(Judged { text: text.clone(), node: node.clone(), expr: expr.clone() }));
        expr
    }
}

pub(super) const ROOTS: [&str; 6] = ["principal", "tenant", "request", "record", "after", "now"];

/// Parses and checks a condition: a bool that is never null.
pub(super) fn condition(scope: &mut Scope<'_>, text: &Text, phase: Phase) -> Option<Expr> {
    let node = parse::expression(text, scope.diagnostics)?;
    let mut checker = Checker::new(scope, phase, text);
    let typed = checker.check(&node)?;
    let expr = checker.as_condition(typed, &node)?;
    Some(scope.keep(text, node, expr))
}

/// Parses and checks an expression of any type; the node comes back for its literals.
pub(super) fn expression(scope: &mut Scope<'_>, text: &Text, phase: Phase) -> Option<(Typed, Node)> {
    let node = parse::expression(text, scope.diagnostics)?;
    let typed = Checker::new(scope, phase, text).check(&node)?;
    scope.keep(text, node.clone(), typed.expr.clone());
    Some((typed, node))
}

/// Parses and checks an expression over `claims`, which is the only name.
pub(super) fn of_claims(scope: &mut Scope<'_>, text: &Text) -> Option<Typed> {
    let node = parse::expression(text, scope.diagnostics)?;
    let mut checker = Checker::new(scope, Phase::Claims, text);
    checker.variables.push(Variable { name: "claims".to_owned(), kind: Kind::Any, nullable: false });
    checker.check(&node)
}

/// One expression on its way; `text` is that of the `let` while one is written out.
struct Checker<'s, 'c> {
    scope: &'s mut Scope<'c>,
    phase: Phase,
    text: Text,
    /// By their places. A `let` that is written out sees only those from `visible` on, which are its own.
    variables: Vec<Variable>,
    visible: usize,
    /// Comprehensions around what is checked.
    each: usize,
    open: Vec<String>,
    nodes: usize,
    depth: usize,
}

struct Variable {
    name: String,
    kind: Kind,
    nullable: bool,
}

impl<'s, 'c> Checker<'s, 'c> {
    fn new(scope: &'s mut Scope<'c>, phase: Phase, text: &Text) -> Self {
        let (variables, open) = (Vec::new(), Vec::new());
        Self { scope, phase, text: text.clone(), variables, visible: 0, each: 0, open, nodes: 0, depth: 0 }
    }

    fn fail(&mut self, code: &'static str, at: &Range<usize>, message: impl Into<String>, help: Option<String>) {
        let mut diagnostic = Diagnostic::error(code, self.text.part(at.clone()), message);
        diagnostic.help = help;
        self.scope.diagnostics.push(diagnostic);
    }

    /// `None`: said so already.
    fn check(&mut self, node: &Node) -> Option<Typed> {
        self.nodes += 1;
        if self.nodes > MAX_NODES || self.depth >= MAX_DEPTH {
            if self.nodes != usize::MAX {
                self.fail("cel-too-large", &node.span, "too large with its `let`s written out", None);
            }
            // Said once; everything that follows is cut short.
            self.nodes = usize::MAX - 1;
            return None;
        }
        self.depth += 1;
        let typed = self.checked(node);
        self.depth -= 1;
        typed
    }

    fn checked(&mut self, node: &Node) -> Option<Typed> {
        use parse::Kind as Syntax;
        let literal = |value, kind| Some(Typed::new(Expr::Constant(value), kind));
        match &node.kind {
            Syntax::Null => Some(Typed { expr: Expr::Constant(Value::Null), kind: Kind::Null, nullable: true }),
            Syntax::Bool(value) => literal(Value::Bool(*value), Kind::Bool),
            Syntax::Int(value) => literal(Value::Int(*value), Kind::Int),
            Syntax::Double(value, _) => literal(Value::Double(*value), Kind::Double),
            Syntax::String(value) => literal(Value::String(value.clone()), Kind::String),
            Syntax::Bytes(value) => literal(Value::Bytes(value.clone()), Kind::Bytes),
            Syntax::Uint(number) => {
                let help = format!("whole numbers are of type int, with or without a sign: write `{number}`");
                self.fail("unsigned", &node.span, "unsigned numbers have no use here", Some(help));
                None
            }
            Syntax::Name(name) => self.name(name, node),
            Syntax::Absolute(name) => {
                let help = Some(format!("write `{name}`"));
                self.fail("unknown-name", &node.span, "a name has no point before it", help);
                None
            }
            Syntax::Member(of, member) => self.member(of, member, node),
            Syntax::Has(of) => self.has(of, node),
            Syntax::Index(of, key) => self.index(of, key, node),
            Syntax::MaybeMember(of, member) => self.maybe_member(of, member, node),
            Syntax::MaybeIndex(of, key) => self.maybe_index(of, key, node),
            Syntax::Not(of) => {
                let typed = self.check(of)?;
                let typed = self.negated(typed, of)?;
                let of = self.as_condition(typed, of)?;
                Some(Typed::new(Expr::Not(of.into()), Kind::Bool))
            }
            Syntax::Negate(of) => self.negate(of),
            Syntax::And(a, b) | Syntax::Or(a, b) => {
                let (left, right) = (self.check(a), self.check(b));
                let left = left.and_then(|typed| self.as_condition(typed, a));
                let right = right.and_then(|typed| self.as_condition(typed, b));
                let (left, right) = (Box::new(left?), Box::new(right?));
                let both = matches!(node.kind, Syntax::And(..));
                Some(Typed::new(if both { Expr::And(left, right) } else { Expr::Or(left, right) }, Kind::Bool))
            }
            Syntax::Choice(parts) => self.choice(parts, node),
            Syntax::Binary(operator, a, b) => self.binary(*operator, a, b, node),
            Syntax::Call { function, target, arguments } => self.call(function, target.as_deref(), arguments, node),
            Syntax::Each(each) => self.each(each),
            Syntax::Bind(bind) => self.bind(bind),
            Syntax::Then(then) => self.then(then),
            Syntax::List(items) => self.list(items),
            Syntax::Map(entries) => self.map(entries),
        }
    }

    /// A condition is a bool that can't be null; a dynamically typed one is tested when it is judged.
    fn as_condition(&mut self, typed: Typed, node: &Node) -> Option<Expr> {
        match typed.kind {
            Kind::Bool if !typed.nullable => Some(typed.expr),
            Kind::Bool => {
                let help = "write `== true` or `== false`".to_owned();
                self.fail(
                    "nullable-condition",
                    &node.span,
                    "may be null, and null is neither true nor false",
                    Some(help),
                );
                None
            }
            Kind::Any => Some(Expr::Condition(typed.expr.into())),
            kind => {
                let message = format!("must be true or false, but is of type `{kind}`");
                let help = matches!(&kind, Kind::Optional(of) if matches!(**of, Kind::Bool | Kind::Any));
                let help = help.then(|| "say what it is where there is none: `.orValue(false)`".to_owned());
                self.fail("not-a-condition", &node.span, message, help);
                None
            }
        }
    }
}
