//! Functions: which there are, on what they are called, and what they give. Most stand in the library's table; the
//! principal's are here, and so is what a condition can't use, with what to write instead.

use super::super::ir::{Expr, Fact, Function, Operator, Otherwise};
use super::super::parse::{Kind as Syntax, Node};
use super::{Checker, Kind, ROOTS, Typed, hint, signature};
use crate::diagnostic::nearest;
use crate::policy::functions;

const PRINCIPAL: [&str; 3] = ["has_role", "in_group", "manages"];

/// What is written like a function but is none, for hints.
const MACROS: [&str; 13] = [
    "has",
    "all",
    "exists",
    "exists_one",
    "filter",
    "map",
    "transformList",
    "transformMap",
    "transformMapEntry",
    "sortBy",
    "optMap",
    "optFlatMap",
    "cel.bind",
];

impl Checker<'_, '_> {
    pub(super) fn call(&mut self, name: &str, target: Option<&Node>, arguments: &[Node], node: &Node) -> Option<Typed> {
        match target.map(|target| &target.kind) {
            Some(Syntax::Name(root)) if root == "principal" => {
                self.known_here(root, node)?;
                self.of_principal(name, arguments, node)
            }
            // `math.greatest(x)`: a namespace, unless something is called so.
            Some(Syntax::Name(space)) if !self.is_known(space) => {
                self.function(&format!("{space}.{name}"), None, arguments, node)
            }
            _ => self.function(name, target, arguments, node),
        }
    }

    fn is_known(&self, name: &str) -> bool {
        ROOTS.contains(&name) || self.scope.lets.contains_key(name) || self.variable(name).is_some()
    }

    fn function(&mut self, name: &str, target: Option<&Node>, arguments: &[Node], node: &Node) -> Option<Typed> {
        let all: Vec<&Node> = target.into_iter().chain(arguments).collect();
        if name == "uint" {
            let help = "whole numbers are of type int, with or without a sign: write `int(…)`".to_owned();
            self.fail("unsigned", &node.span, "unsigned numbers have no use here", Some(help));
            return None;
        }
        let Some(function) = functions::find(name, target.is_some(), all.len()) else {
            return self.no_function(name, node);
        };
        if let (true, [text, Node { kind: Syntax::String(pattern), span }]) = (name == "matches", &*all) {
            let pattern = self.pattern(pattern, span);
            let text = self.argument(name, text)?;
            return Some(Typed::new(Expr::Call(Function::Matches(pattern?.into()), vec![text.expr]), Kind::Bool));
        }
        if name == "matches" {
            let message = "`matches` takes a text and a literal pattern: `x.matches('^a+$')`";
            self.fail("wrong-arguments", &node.span, message, None);
            return None;
        }
        let typed: Vec<_> = all.iter().map(|part| self.check(part)).collect();
        let typed: Vec<Typed> = typed.into_iter().collect::<Option<_>>()?;
        match signature::result(function, &typed) {
            Ok((kind, nullable)) => Some(Typed { expr: made(function, typed), kind, nullable }),
            Err(at) => {
                let (wrong, kind) = (all.get(at)?, typed.get(at).map(|typed| &typed.kind)?);
                let message = format!("`{name}` is not defined on type `{kind}`");
                let help = at.checked_sub(1).map(|_| format!("it is called as {}", function.usage()));
                self.fail("type-mismatch", &wrong.span, message, help);
                None
            }
        }
    }

    /// There is none of that name, or it is called otherwise.
    fn no_function(&mut self, name: &str, node: &Node) -> Option<Typed> {
        let usages: Vec<String> = functions::named(name).map(functions::Function::usage).collect();
        if !usages.is_empty() {
            let message = format!("`{name}` is called as {}", usages.join(" or "));
            self.fail("wrong-arguments", &node.span, message, None);
            return None;
        }
        self.unknown(name, functions::names().chain(MACROS).chain(PRINCIPAL), node)
    }

    fn unknown<'a>(&mut self, name: &str, known: impl Iterator<Item = &'a str>, node: &Node) -> Option<Typed> {
        let near = || nearest(name, known).map(|known| format!("did you mean `{known}`?"));
        let help = hint::function(name).or_else(near);
        self.fail("unknown-function", &node.span, format!("unknown function `{name}`"), help);
        None
    }

    /// An argument that is a text.
    fn argument(&mut self, function: &str, node: &Node) -> Option<Typed> {
        let typed = self.check(node)?;
        if matches!(typed.kind, Kind::String | Kind::Any) {
            return Some(typed);
        }
        let message = format!("`{function}` is not defined on type `{}`", typed.kind);
        self.fail("type-mismatch", &node.span, message, None);
        None
    }

    fn pattern(&mut self, pattern: &str, span: &std::ops::Range<usize>) -> Option<regex::Regex> {
        let wrong = match functions::pattern(pattern) {
            Ok(pattern) => return Some(pattern),
            Err(regex::Error::CompiledTooBig(_)) => "the pattern is too large",
            Err(_) => "not a valid regular expression",
        };
        self.fail("bad-pattern", span, wrong, hint::pattern(pattern));
        None
    }

    /// Membership in what is known of the principal.
    fn of_principal(&mut self, name: &str, arguments: &[Node], node: &Node) -> Option<Typed> {
        let fact = match name {
            "has_role" => Fact::Roles,
            "in_group" => Fact::Groups,
            "manages" => Fact::Reports,
            _ => return self.unknown(name, PRINCIPAL.into_iter(), node),
        };
        let [argument] = arguments else {
            self.fail("wrong-arguments", &node.span, format!("`principal.{name}` takes one argument"), None);
            return None;
        };
        let typed = self.check(argument)?;
        if !matches!(typed.kind, Kind::String | Kind::Any) {
            let message = format!("`principal.{name}` takes a string, not `{}`", typed.kind);
            let help = (typed.kind == Kind::Int).then(|| "convert it: `string(…)`".to_owned());
            self.fail("type-mismatch", &argument.span, message, help);
            return None;
        }
        if let (Fact::Roles, Syntax::String(role)) = (&fact, &argument.kind)
            && !self.scope.principal.roles.contains(role)
        {
            let known = self.scope.principal.roles.iter().map(|role| &**role);
            let help = nearest(role, known).map(|known| format!("did you mean `{known}`?"));
            self.fail("unknown-role", &argument.span, format!("unknown role `{role}`"), help);
            return None;
        }
        let expr = Expr::Binary(Operator::In, typed.expr.into(), Expr::Fact(fact).into());
        Some(Typed::new(expr, Kind::Bool))
    }
}

/// `or` and `orValue` ask their argument only where it is needed.
fn made(function: &'static functions::Function, arguments: Vec<Typed>) -> Expr {
    let arguments: Vec<Expr> = arguments.into_iter().map(|typed| typed.expr).collect();
    match (function.name, <[Expr; 2]>::try_from(arguments)) {
        (name @ ("or" | "orValue"), Ok([of, other])) => {
            Expr::Otherwise(Box::new(Otherwise { of, other, unwraps: name == "orValue" }))
        }
        (_, Ok(pair)) => Expr::Call(Function::Library(function), pair.into()),
        (_, Err(arguments)) => Expr::Call(Function::Library(function), arguments),
    }
}
