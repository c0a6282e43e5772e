//! A part of a condition as it is written beside what was made of it: the place of the one, the meaning of the other.
//!
//! A `let` is seen through. Where the two can't be laid side by side, a part is looked at no further.

use std::collections::BTreeMap;

use super::super::ir::{Expr, Fact, Field};
use super::super::parse::{Kind as Syntax, Node};
use super::super::residual::fold::simplify;
use super::super::types::Macro;
use crate::diagnostic::Span;
use crate::policy::value::Value;
use crate::yaml::Text;

#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    lets: &'a BTreeMap<String, Macro>,
    pub(super) text: &'a Text,
    pub(super) node: &'a Node,
    pub(super) expr: &'a Expr,
}

/// A text that stands in an expression, with its node.
pub(super) type Literal<'a> = (&'a str, &'a Node);

/// How a condition is made of conditions.
pub(super) enum Shape<'a> {
    Not(Part<'a>),
    And(Vec<Part<'a>>),
    Or(Vec<Part<'a>>),
    Choice([Part<'a>; 3]),
    /// True or false by itself.
    Leaf,
}

impl<'a> Part<'a> {
    pub(super) fn new(lets: &'a BTreeMap<String, Macro>, text: &'a Text, node: &'a Node, expr: &'a Expr) -> Self {
        let (mut text, mut node, mut expr) = (text, node, expr);
        // A `let` may name another one; the checker refused those that are defined by themselves.
        for _ in 0..=lets.len() {
            let Syntax::Name(name) = &node.kind else { break };
            let Some(found) = lets.get(name) else { break };
            (text, node) = (&found.text, &found.node);
        }
        while let Expr::Condition(of) = expr {
            expr = of;
        }
        Self { lets, text, node, expr }
    }

    pub(super) fn span(self) -> Span {
        self.text.part(self.node.span.clone())
    }

    /// As the operator wrote it, on one line and not too long.
    pub(super) fn shown(self) -> String {
        const LONGEST: usize = 60;
        let written = self.text.value.get(self.node.span.clone()).unwrap_or_default();
        let words: Vec<&str> = written.split_whitespace().collect();
        let line = words.join(" ");
        if line.chars().count() <= LONGEST { line } else { line.chars().take(LONGEST).chain(['…']).collect() }
    }

    fn with(self, node: &'a Node, expr: &'a Expr) -> Self {
        Self::new(self.lets, self.text, node, expr)
    }

    pub(super) fn shape(self) -> Shape<'a> {
        match (&self.node.kind, self.expr) {
            (Syntax::Not(node), Expr::Not(of)) => Shape::Not(self.with(node, of)),
            (Syntax::And(..), Expr::And(..)) => Shape::And(self.chain(true)),
            (Syntax::Or(..), Expr::Or(..)) => Shape::Or(self.chain(false)),
            (Syntax::Choice(nodes), Expr::Choice(parts)) => {
                let ([a, b, c], [x, y, z]) = (&**nodes, &**parts);
                Shape::Choice([self.with(a, x), self.with(b, y), self.with(c, z)])
            }
            _ => Shape::Leaf,
        }
    }

    /// The members of `a && b && c`, from the left; of `||` where `both` is false.
    fn chain(self, both: bool) -> Vec<Self> {
        let pair = match (&self.node.kind, self.expr) {
            (Syntax::And(a, b), Expr::And(x, y)) if both => [self.with(a, x), self.with(b, y)],
            (Syntax::Or(a, b), Expr::Or(x, y)) if !both => [self.with(a, x), self.with(b, y)],
            _ => return vec![self],
        };
        pair.into_iter().flat_map(|part| part.chain(both)).collect()
    }

    /// The two sides of an operator.
    pub(super) fn sides(self) -> Option<[Self; 2]> {
        match (&self.node.kind, self.expr) {
            (Syntax::Binary(_, a, b), Expr::Binary(_, x, y)) => Some([self.with(a, x), self.with(b, y)]),
            _ => None,
        }
    }

    /// The range and the body of a comprehension.
    pub(super) fn each(self) -> Option<[Self; 2]> {
        match (&self.node.kind, self.expr) {
            (Syntax::Each(written), Expr::Each(each)) => {
                Some([self.with(&written.range, &each.range), self.with(&written.body, &each.body)])
            }
            _ => None,
        }
    }

    /// The function's name, what it is called on, and the texts among its other arguments.
    pub(super) fn call(self) -> Option<(&'a str, Self, Vec<Literal<'a>>)> {
        let (Syntax::Call { function, target, arguments }, Expr::Call(_, values)) = (&self.node.kind, self.expr) else {
            return None;
        };
        let mut nodes = target.as_deref().into_iter().chain(arguments);
        let on = self.with(nodes.next()?, values.first()?);
        let texts = nodes.filter_map(|node| match &node.kind {
            Syntax::String(text) => Some((&**text, node)),
            _ => None,
        });
        Some((function, on, texts.collect()))
    }

    pub(super) fn at(self, node: &Node) -> Span {
        self.text.part(node.span.clone())
    }

    /// What it is made of, as far as places are known.
    pub(super) fn parts(self) -> Vec<Self> {
        match (&self.node.kind, self.expr) {
            (Syntax::Not(node), Expr::Not(of)) | (Syntax::Negate(node), Expr::Negate(of)) => vec![self.with(node, of)],
            (Syntax::And(..), Expr::And(..)) => self.chain(true),
            (Syntax::Or(..), Expr::Or(..)) => self.chain(false),
            (Syntax::Choice(_), Expr::Choice(_)) => match self.shape() {
                Shape::Choice(parts) => parts.into(),
                _ => Vec::new(),
            },
            (Syntax::Binary(..), Expr::Binary(..)) => self.sides().map(Vec::from).unwrap_or_default(),
            (Syntax::Index(a, b), Expr::Index(x, y)) => vec![self.with(a, x), self.with(b, y)],
            (Syntax::Each(..), Expr::Each(_)) => self.each().map(Vec::from).unwrap_or_default(),
            (Syntax::List(nodes), Expr::List(parts)) if nodes.len() == parts.len() => {
                nodes.iter().zip(parts).map(|(item, part)| self.with(&item.node, part)).collect()
            }
            (Syntax::Call { target, arguments, .. }, Expr::Call(_, values)) => {
                let nodes = target.as_deref().into_iter().chain(arguments);
                nodes.zip(values).map(|(node, value)| self.with(node, value)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether it stands between parentheses of its own.
    pub(super) fn is_parenthesised(self) -> bool {
        let (from, to) = (self.node.span.start, self.node.span.end);
        let before = self.text.value.get(..from).unwrap_or_default().trim_end();
        let after = self.text.value.get(to..).unwrap_or_default().trim_start();
        before.ends_with('(') && after.starts_with(')')
    }

    /// Whether two parts are the same expression.
    pub(super) fn is_same(self, other: Self) -> bool {
        // Most are told apart without being spelled out.
        let kind = |part: Self| std::mem::discriminant(part.expr);
        let alike = match (self.expr, other.expr) {
            (Expr::Field(a), Expr::Field(b)) => return a.subject == b.subject && a.path == b.path,
            (Expr::Fact(a), Expr::Fact(b)) => return a == b,
            (Expr::Binary(a, ..), Expr::Binary(b, ..)) => a == b,
            _ => kind(self) == kind(other),
        };
        alike && self.expr.to_string() == other.expr.to_string()
    }

    pub(super) fn constant(self) -> Option<&'a Value> {
        self.expr.constant()
    }

    /// Whether a record, the caller, the request or the time is in it.
    pub(super) fn is_open(self) -> bool {
        self.expr.any(&mut |part| matches!(part, Expr::Fact(_) | Expr::Field(_) | Expr::HasField { .. }))
    }

    /// What it is whoever asks, whatever the record: a constant, a failure, or what is left.
    pub(super) fn folded(self) -> Expr {
        simplify(self.expr)
    }

    pub(super) fn field(self) -> Option<&'a Field> {
        match self.expr {
            Expr::Field(field) => Some(field),
            _ => None,
        }
    }

    pub(super) fn fact(self) -> Option<&'a Fact> {
        match self.expr {
            Expr::Fact(fact) => Some(fact),
            _ => None,
        }
    }
}
