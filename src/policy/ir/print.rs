//! Expressions as CEL, for people: what a decision left to ask of each record. Not read back by anything.

use std::fmt::{self, Display, Formatter};

use super::{EachKind, Expr, Fact, Function, Operator, Part, Subject};
use crate::policy::value::{Key, Value};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(value) => literal(value, f),
            Self::Fails(_) => f.write_str("<error>"),
            Self::Fact(fact) => fact.fmt(f),
            Self::Field(field) => path(field, f),
            Self::HasField { field, .. } => {
                f.write_str("has(")?;
                path(field, f)?;
                f.write_str(")")
            }
            Self::Variable(depth) => write!(f, "x{depth}"),
            Self::Member(of, name) => write!(f, "{}.{name}", Tight(of)),
            Self::Has(of, name) => write!(f, "has({}.{name})", Tight(of)),
            Self::Index(of, key) => write!(f, "{}[{key}]", Tight(of)),
            Self::Condition(of) => of.fmt(f),
            Self::Not(of) => write!(f, "!{}", Tight(of)),
            Self::Negate(of) => write!(f, "-{}", Tight(of)),
            Self::And(a, b) => write!(f, "{} && {}", Tight(a), Tight(b)),
            Self::Or(a, b) => write!(f, "{} || {}", Tight(a), Tight(b)),
            Self::Choice(parts) => {
                let [condition, yes, no] = &**parts;
                write!(f, "{} ? {} : {}", Tight(condition), Tight(yes), Tight(no))
            }
            Self::Binary(operator, a, b) => write!(f, "{} {} {}", Tight(a), operator.sign(), Tight(b)),
            Self::Call(function, arguments) => call(function, arguments, f),
            Self::Each(each) => {
                let variable = each.variable;
                write!(f, "{}.{}(x{variable}, {})", Tight(&each.range), each.kind.name(), each.body)
            }
            Self::List(items) => {
                f.write_str("[")?;
                separated(items, f)?;
                f.write_str("]")
            }
            Self::Map(entries) => {
                f.write_str("{")?;
                for (index, (key, value)) in entries.iter().enumerate() {
                    write!(f, "{}{key}: {value}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("}")
            }
        }
    }
}

/// In parentheses where it would otherwise read differently.
struct Tight<'e>(&'e Expr);

impl Display for Tight<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut inner = self.0;
        while let Expr::Condition(of) = inner {
            inner = of;
        }
        match inner {
            Expr::And(..) | Expr::Or(..) | Expr::Choice(_) | Expr::Binary(..) => write!(f, "({inner})"),
            _ => inner.fmt(f),
        }
    }
}

fn path(field: &super::Field, f: &mut Formatter<'_>) -> fmt::Result {
    f.write_str(match field.subject {
        Subject::Record => "record",
        Subject::After => "after",
    })?;
    field.path.iter().try_for_each(|name| write!(f, ".{name}"))
}

fn separated(items: &[Expr], f: &mut Formatter<'_>) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        write!(f, "{}{item}", if index == 0 { "" } else { ", " })?;
    }
    Ok(())
}

fn call(function: &Function, arguments: &[Expr], f: &mut Formatter<'_>) -> fmt::Result {
    match arguments.split_first() {
        Some((target, rest)) if function.is_method() => {
            write!(f, "{}.{}(", Tight(target), function.name())?;
            separated(rest, f)?;
            if let Function::Matches(pattern) = function {
                write!(f, "{:?}", pattern.as_str())?;
            }
        }
        _ => {
            write!(f, "{}(", function.name())?;
            separated(arguments, f)?;
        }
    }
    f.write_str(")")
}

fn literal(value: &Value, f: &mut Formatter<'_>) -> fmt::Result {
    match value {
        Value::Null => f.write_str("null"),
        Value::Bool(value) => value.fmt(f),
        Value::Int(value) => value.fmt(f),
        Value::Double(value) => write!(f, "{value:?}"),
        Value::Decimal(value) => value.fmt(f),
        Value::String(value) => write!(f, "{value:?}"),
        Value::Timestamp(value) => write!(f, "timestamp(\"{value}\")"),
        Value::Duration(value) => write!(f, "duration(\"{}\")", seconds(*value)),
        Value::List(items) => {
            f.write_str("[")?;
            for (index, item) in items.iter().enumerate() {
                f.write_str(if index == 0 { "" } else { ", " })?;
                literal(item, f)?;
            }
            f.write_str("]")
        }
        Value::Map(members) => {
            f.write_str("{")?;
            for (index, (key, member)) in members.iter().enumerate() {
                f.write_str(if index == 0 { "" } else { ", " })?;
                match key {
                    Key::Bool(key) => key.fmt(f),
                    Key::Int(key) => key.fmt(f),
                    Key::Uint(key) => write!(f, "{key}u"),
                    Key::String(key) => write!(f, "{key:?}"),
                }?;
                f.write_str(": ")?;
                literal(member, f)?;
            }
            f.write_str("}")
        }
        Value::Uint(value) => write!(f, "{value}u"),
        Value::Bytes(value) => {
            f.write_str("b\"")?;
            value.iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))?;
            f.write_str("\"")
        }
        Value::Type(name) => f.write_str(name),
        Value::Optional(None) => f.write_str("optional.none()"),
        Value::Optional(Some(value)) => {
            f.write_str("optional.of(")?;
            literal(value, f)?;
            f.write_str(")")
        }
        Value::Ip(value) => write!(f, "ip(\"{value}\")"),
        Value::Cidr(value) => write!(f, "cidr(\"{value}\")"),
    }
}

fn seconds(duration: jiff::SignedDuration) -> String {
    format!("{}s", duration.as_secs_f64())
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
            Self::Attribute(name) => write!(f, "principal.attributes.{name}"),
            Self::Tenant(name) => write!(f, "tenant.{name}"),
            Self::RequestMethod => f.write_str("request.method"),
            Self::RequestIp => f.write_str("request.ip"),
            Self::Now => f.write_str("now"),
        }
    }
}

impl Operator {
    pub(crate) fn sign(self) -> &'static str {
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

impl EachKind {
    fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Exists => "exists",
            Self::ExistsOne => "exists_one",
            Self::Filter => "filter",
            Self::Map => "map",
        }
    }
}

impl Function {
    fn is_method(&self) -> bool {
        !matches!(self, Self::Size | Self::Timestamp | Self::Duration | Self::Int | Self::Double | Self::String)
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::StartsWith => "startsWith",
            Self::EndsWith => "endsWith",
            Self::Contains => "contains",
            Self::Matches(_) => "matches",
            Self::Timestamp => "timestamp",
            Self::Duration => "duration",
            Self::Int => "int",
            Self::Double => "double",
            Self::String => "string",
            Self::LowerAscii => "lowerAscii",
            Self::UpperAscii => "upperAscii",
            Self::Part(part) => match part {
                Part::FullYear => "getFullYear",
                Part::Month => "getMonth",
                Part::Date => "getDate",
                Part::DayOfMonth => "getDayOfMonth",
                Part::DayOfWeek => "getDayOfWeek",
                Part::DayOfYear => "getDayOfYear",
                Part::Hours => "getHours",
                Part::Minutes => "getMinutes",
                Part::Seconds => "getSeconds",
                Part::Milliseconds => "getMilliseconds",
            },
        }
    }
}
