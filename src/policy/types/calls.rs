//! Functions: which there are, on what they are called, and what they give.

use regex::RegexBuilder;

use super::super::ir::{Expr, Fact, Function, Operator, Part};
use super::super::parse::{Kind as Syntax, Node};
use super::{Checker, Kind, Typed};
use crate::diagnostic::nearest;

/// Of a compiled pattern, in bytes.
const MAX_REGEX: usize = 64 << 10;

const FUNCTIONS: [&str; 28] = [
    "size",
    "startsWith",
    "endsWith",
    "contains",
    "matches",
    "timestamp",
    "duration",
    "int",
    "double",
    "string",
    "lowerAscii",
    "upperAscii",
    "getFullYear",
    "getMonth",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
    "has",
    "all",
    "exists",
    "exists_one",
    "filter",
    "map",
];

const PRINCIPAL: [&str; 3] = ["has_role", "in_group", "manages"];

impl Checker<'_, '_> {
    pub(super) fn call(&mut self, name: &str, target: Option<&Node>, arguments: &[Node], node: &Node) -> Option<Typed> {
        if let Some(Node { kind: Syntax::Name(root), .. }) = target
            && root == "principal"
        {
            return self.of_principal(name, arguments, node);
        }
        // `f(x)` and `x.f()` are one.
        let all: Vec<&Node> = target.into_iter().chain(arguments).collect();
        let Some(function) = named(name) else {
            return self.unknown(name, FUNCTIONS.into_iter().chain(PRINCIPAL), node);
        };
        if let Function::Matches(_) = function {
            return self.matches(&all, node);
        }
        let wanted = match function {
            Function::StartsWith | Function::EndsWith | Function::Contains => 2,
            _ => 1,
        };
        let is_global = matches!(
            function,
            Function::Timestamp | Function::Duration | Function::Int | Function::Double | Function::String
        );
        let is_either = matches!(function, Function::Size);
        if all.len() != wanted || (is_global && target.is_some()) || (!is_global && !is_either && target.is_none()) {
            let shape = if is_global {
                format!("{name}(x)")
            } else if wanted == 2 {
                format!("x.{name}(y)")
            } else {
                format!("x.{name}()")
            };
            self.fail("wrong-arguments", &node.span, format!("`{name}` is called as `{shape}`"), None);
            return None;
        }
        let typed: Vec<_> = all.iter().map(|part| self.check(part)).collect();
        let typed: Vec<Typed> = typed.into_iter().collect::<Option<_>>()?;
        for (part, of) in typed.iter().zip(&all) {
            if !accepts(&function, &part.kind) {
                let message = format!("`{name}` is not defined on type `{}`", part.kind);
                self.fail("type-mismatch", &of.span, message, None);
                return None;
            }
        }
        let kind = match function {
            Function::StartsWith | Function::EndsWith | Function::Contains | Function::Matches(_) => Kind::Bool,
            Function::Size | Function::Int | Function::Part(_) => Kind::Int,
            Function::Timestamp => Kind::Timestamp,
            Function::Duration => Kind::Duration,
            Function::Double => Kind::Double,
            Function::String | Function::LowerAscii | Function::UpperAscii => Kind::String,
        };
        Some(Typed::new(Expr::Call(function, typed.into_iter().map(|part| part.expr).collect()), kind))
    }

    fn unknown<'a>(&mut self, name: &str, known: impl Iterator<Item = &'a str>, node: &Node) -> Option<Typed> {
        let help = nearest(name, known).map(|known| format!("did you mean `{known}`?"));
        self.fail("unknown-function", &node.span, format!("unknown function `{name}`"), help);
        None
    }

    fn matches(&mut self, all: &[&Node], node: &Node) -> Option<Typed> {
        let [text, Node { kind: Syntax::String(pattern), span }] = all else {
            let message = "`matches` takes a text and a literal pattern: `x.matches('^a+$')`";
            self.fail("wrong-arguments", &node.span, message, None);
            return None;
        };
        let typed = self.check(text)?;
        if !matches!(typed.kind, Kind::String | Kind::Any) {
            let message = format!("`matches` is not defined on type `{}`", typed.kind);
            self.fail("type-mismatch", &text.span, message, None);
            return None;
        }
        match RegexBuilder::new(pattern).size_limit(MAX_REGEX).dfa_size_limit(MAX_REGEX * 16).build() {
            Ok(regex) => Some(Typed::new(Expr::Call(Function::Matches(regex), vec![typed.expr]), Kind::Bool)),
            Err(regex::Error::CompiledTooBig(_)) => {
                self.fail("bad-pattern", span, "the pattern is too large", None);
                None
            }
            Err(_) => {
                self.fail("bad-pattern", span, "not a valid regular expression", None);
                None
            }
        }
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

fn accepts(function: &Function, kind: &Kind) -> bool {
    use Kind::{Any, Bool, Double, Duration, Int, List, Map, String, Timestamp};
    match function {
        Function::Size => matches!(kind, String | List(_) | Map(_) | Any),
        Function::Timestamp => matches!(kind, String | Timestamp | Any),
        Function::Duration => matches!(kind, String | Duration | Any),
        Function::Int => matches!(kind, Int | Double | String | Timestamp | Any),
        Function::Double => matches!(kind, Int | Double | String | Any),
        Function::String => matches!(kind, Int | Double | String | Bool | Timestamp | Any),
        Function::Part(_) => matches!(kind, Timestamp | Any),
        _ => matches!(kind, String | Any),
    }
}

fn named(name: &str) -> Option<Function> {
    Some(match name {
        "size" => Function::Size,
        "startsWith" => Function::StartsWith,
        "endsWith" => Function::EndsWith,
        "contains" => Function::Contains,
        "matches" => Function::Matches(regex::Regex::new("").ok()?),
        "timestamp" => Function::Timestamp,
        "duration" => Function::Duration,
        "int" => Function::Int,
        "double" => Function::Double,
        "string" => Function::String,
        "lowerAscii" => Function::LowerAscii,
        "upperAscii" => Function::UpperAscii,
        "getFullYear" => Function::Part(Part::FullYear),
        "getMonth" => Function::Part(Part::Month),
        "getDate" => Function::Part(Part::Date),
        "getDayOfMonth" => Function::Part(Part::DayOfMonth),
        "getDayOfWeek" => Function::Part(Part::DayOfWeek),
        "getDayOfYear" => Function::Part(Part::DayOfYear),
        "getHours" => Function::Part(Part::Hours),
        "getMinutes" => Function::Part(Part::Minutes),
        "getSeconds" => Function::Part(Part::Seconds),
        "getMilliseconds" => Function::Part(Part::Milliseconds),
        _ => return None,
    })
}
