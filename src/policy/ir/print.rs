//! Expressions as CEL, for people: what a decision left to ask of each record. It reads back as what it was.

mod literal;

use std::fmt::{self, Display, Formatter};

use super::{Each, EachKind, Expr, Fact, Failure, Field, Function, Operator, Subject};
use crate::policy::functions::Style;
use crate::policy::value::Value;

/// How tightly an expression holds together, as the grammar has it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Choice,
    Or,
    And,
    Relation,
    Sum,
    Product,
    Unary,
    Member,
}

/// A part that stands for a value. A dynamically typed condition is tested there as well as where it is one.
struct Part<'e>(&'e Expr);

impl Display for Part<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Expr::Condition(of) => write!(f, "({} && true)", Side(of, Level::Relation)),
            part => part.fmt(f),
        }
    }
}

/// A part in parentheses where it would otherwise read differently.
struct Within<'e>(&'e Expr, Level);

impl Display for Within<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Expr::Condition(_) => Part(self.0).fmt(f),
            part => Side(part, self.1).fmt(f),
        }
    }
}

/// A part that is a condition.
struct Side<'e>(&'e Expr, Level);

impl Display for Side<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if level(self.0) < self.1 { write!(f, "({})", self.0) } else { self.0.fmt(f) }
    }
}

fn level(expr: &Expr) -> Level {
    match expr {
        Expr::Condition(of) => level(of),
        Expr::Choice(_) => Level::Choice,
        Expr::Or(..) => Level::Or,
        Expr::And(..) => Level::And,
        Expr::Binary(Operator::In, _, list) if matches!(**list, Expr::Fact(Fact::Reports)) => Level::Member,
        Expr::Binary(operator, ..) => match operator {
            Operator::Add | Operator::Subtract => Level::Sum,
            Operator::Multiply | Operator::Divide | Operator::Remainder => Level::Product,
            _ => Level::Relation,
        },
        Expr::Not(_) | Expr::Negate(_) => Level::Unary,
        // With a sign before it, and with a point in it that a member's would be taken for.
        Expr::Constant(Value::Int(_) | Value::Uint(_) | Value::Double(_) | Value::Decimal(_)) => Level::Unary,
        _ => Level::Member,
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(value) => literal::value(value, f),
            Self::Fails(failure) => write!(f, "{{}}.{}", failure.word()),
            Self::Fact(fact) => fact.fmt(f),
            Self::Field(field) => field.fmt(f),
            Self::HasField { field, .. } => {
                f.write_str("has(")?;
                path(field, literal::selected, f)?;
                f.write_str(")")
            }
            Self::Variable(place) => write!(f, "x{place}"),
            Self::Member(of, name) => {
                write!(f, "{}", Within(of, Level::Member))?;
                literal::member(name, f)
            }
            Self::Has(of, name) => {
                write!(f, "has({}", Within(of, Level::Member))?;
                literal::selected(name, f)?;
                f.write_str(")")
            }
            Self::Index(of, key) => write!(f, "{}[{}]", Within(of, Level::Member), Part(key)),
            Self::Maybe(of, key) => match &**key {
                Self::Constant(Value::String(name)) if literal::is_word(name) => {
                    write!(f, "{}.?{name}", Within(of, Level::Member))
                }
                _ => write!(f, "{}[?{}]", Within(of, Level::Member), Part(key)),
            },
            Self::Condition(of) => of.fmt(f),
            Self::Not(of) => write!(f, "!{}", Side(of, Level::Member)),
            Self::Negate(of) => write!(f, "-{}", Within(of, Level::Member)),
            Self::And(a, b) => junction(Level::And, a, " && ", b, f),
            Self::Or(a, b) => junction(Level::Or, a, " || ", b, f),
            Self::Choice(parts) => {
                let [condition, yes, no] = &**parts;
                let condition = Side(condition, Level::Relation);
                let [yes, no] = [yes, no].map(|part| Within(part, Level::Relation));
                write!(f, "{condition} ? {yes} : {no}")
            }
            Self::Binary(operator, a, b) => binary(*operator, a, b, f),
            Self::Call(function, arguments) => call(function, arguments, f),
            Self::Otherwise(otherwise) => {
                let name = if otherwise.unwraps { "orValue" } else { "or" };
                write!(f, "{}.{name}({})", Within(&otherwise.of, Level::Member), Part(&otherwise.other))
            }
            Self::Each(each) => comprehension(each, f),
            Self::Bind(bind) => {
                write!(f, "cel.bind(x{}, {}, {})", bind.variable, Part(&bind.value), Part(&bind.body))
            }
            Self::Then(then) => {
                let name = if then.flat { "optFlatMap" } else { "optMap" };
                write!(f, "{}.{name}(x{}, {})", Within(&then.of, Level::Member), then.variable, Part(&then.body))
            }
            Self::List(items) => {
                f.write_str("[")?;
                separated(items, f)?;
                f.write_str("]")
            }
            Self::Map(entries) => {
                f.write_str("{")?;
                for (index, (key, value)) in entries.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    match value {
                        Self::Present(value) => write!(f, "{comma}?{}: {}", Part(key), Part(value))?,
                        value => write!(f, "{comma}{}: {}", Part(key), Part(value))?,
                    }
                }
                f.write_str("}")
            }
            Self::Present(of) => write!(f, "?{}", Part(of)),
        }
    }
}

/// Sides of the same kind run on; `&&` and `||` beside each other get parentheses, though CEL needs none.
fn junction(own: Level, a: &Expr, sign: &str, b: &Expr, f: &mut Formatter<'_>) -> fmt::Result {
    let side = |part| Side(part, if level(part) == own { own } else { Level::Relation });
    write!(f, "{}{sign}{}", side(a), side(b))
}

fn binary(operator: Operator, a: &Expr, b: &Expr, f: &mut Formatter<'_>) -> fmt::Result {
    if operator == Operator::In && matches!(b, Expr::Fact(Fact::Reports)) {
        return write!(f, "principal.manages({})", Part(a));
    }
    let (left, right) = match operator {
        Operator::Add | Operator::Subtract => (Level::Sum, Level::Product),
        Operator::Multiply | Operator::Divide | Operator::Remainder => (Level::Product, Level::Unary),
        _ => (Level::Sum, Level::Sum),
    };
    write!(f, "{} {} {}", Within(a, left), operator.sign(), Within(b, right))
}

fn separated(items: &[Expr], f: &mut Formatter<'_>) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        write!(f, "{}{}", if index == 0 { "" } else { ", " }, Part(item))?;
    }
    Ok(())
}

fn call(function: &Function, arguments: &[Expr], f: &mut Formatter<'_>) -> fmt::Result {
    let is_global = matches!(function, Function::Library(function) if function.style == Style::Global);
    match arguments.split_first() {
        Some((target, rest)) if !is_global => {
            write!(f, "{}.{}(", Within(target, Level::Member), function.name())?;
            separated(rest, f)?;
            if let Function::Matches(pattern) = function {
                literal::text(pattern.as_str(), f)?;
            }
        }
        _ => {
            write!(f, "{}(", function.name())?;
            separated(arguments, f)?;
        }
    }
    f.write_str(")")
}

fn comprehension(each: &Each, f: &mut Formatter<'_>) -> fmt::Result {
    let name = match (each.kind, each.pairs) {
        (EachKind::All, _) => "all",
        (EachKind::Exists, _) => "exists",
        (EachKind::ExistsOne, false) => "exists_one",
        (EachKind::ExistsOne, true) => "existsOne",
        (EachKind::Filter, _) => "filter",
        (EachKind::Map, false) => "map",
        (EachKind::Map, true) => "transformList",
        (EachKind::MapValues, _) => "transformMap",
        (EachKind::MapEntries, _) => "transformMapEntry",
        (EachKind::SortBy, _) => "sortBy",
    };
    write!(f, "{}.{name}(x{}, ", Within(&each.range, Level::Member), each.variable)?;
    if each.pairs {
        write!(f, "x{}, ", each.variable + 1)?;
    }
    if let Some(filter) = &each.filter {
        write!(f, "{filter}, ")?;
    }
    match each.kind {
        EachKind::All | EachKind::Exists | EachKind::ExistsOne | EachKind::Filter => write!(f, "{})", each.body),
        _ => write!(f, "{})", Part(&each.body)),
    }
}

impl Display for Field {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        path(self, literal::member, f)
    }
}

/// `last` says how the name at its end is written.
fn path(field: &Field, last: fn(&str, &mut Formatter<'_>) -> fmt::Result, f: &mut Formatter<'_>) -> fmt::Result {
    f.write_str(match field.subject {
        Subject::Record => "record",
        Subject::After => "after",
    })?;
    let Some((end, parents)) = field.path.split_last() else { return Ok(()) };
    parents.iter().try_for_each(|name| literal::member(name, f))?;
    last(end, f)
}

impl Display for Fact {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id => f.write_str("principal.id"),
            Self::Issuer => f.write_str("principal.issuer"),
            Self::Method => f.write_str("principal.method"),
            Self::Roles => f.write_str("principal.roles"),
            Self::Groups => f.write_str("principal.groups"),
            Self::Reports => f.write_str("principal.reports"),
            Self::Attribute(name) => {
                f.write_str("principal.attributes")?;
                literal::member(name, f)
            }
            Self::Tenant(name) => {
                f.write_str("tenant")?;
                literal::member(name, f)
            }
            Self::RequestMethod => f.write_str("request.method"),
            Self::RequestIp => f.write_str("request.ip"),
            Self::Now => f.write_str("now"),
        }
    }
}

impl Failure {
    /// An expression that fails is a member of an empty map, with the reason for its name.
    fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Null => "is_null",
            Self::Type => "wrong_type",
            Self::Range => "out_of_range",
            Self::Division => "divided_by_zero",
            Self::Malformed => "malformed",
            Self::Budget => "too_expensive",
            Self::Unknown => "unknown",
        }
    }
}

impl Operator {
    pub(in crate::policy) fn sign(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::In => "in",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }
}
