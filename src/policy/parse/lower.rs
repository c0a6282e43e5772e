//! The parser's tree -> nodes with places. Operators and macros come from the parser as calls; here they get their names.
//!
//! The place of a call is that of its operator; those of its operands join it, so that a node's place is all of its text.

use std::ops::Range;

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SourceInfo};

use super::super::ir::{EachKind, Operator};
use super::{Bind, Each, Entry, Item, Kind, Node, Then, Variable, Wrong, token};

/// At most `depth` levels deep.
pub(super) fn tree(tree: &IdedExpr, source: &str, places: &SourceInfo, depth: usize) -> Result<Node, Wrong> {
    Lowering { source, places, brackets: token::brackets(source), depth }.node(tree, 0)
}

struct Lowering<'s> {
    source: &'s str,
    places: &'s SourceInfo,
    brackets: Vec<(usize, usize)>,
    depth: usize,
}

/// What a call is made of.
struct Call {
    function: String,
    target: Option<Node>,
    arguments: Vec<Node>,
}

impl Lowering<'_> {
    fn node(&self, tree: &IdedExpr, depth: usize) -> Result<Node, Wrong> {
        let own = self.places.offset_for(tree.id).map_or(0..0, |(start, stop)| start as usize..stop as usize + 1);
        let own = token::balanced(own, &self.brackets);
        if depth == self.depth {
            return Err(Wrong::new(own, format!("an expression of more than {} levels", self.depth)));
        }
        let child = |tree: &IdedExpr| self.node(tree, depth + 1);
        let mut span = own.clone();
        let kind = match &tree.expr {
            Expr::Literal(literal) => self.literal(literal, &own),
            Expr::Ident(name) => match name.strip_prefix('.') {
                Some(name) => Kind::Absolute(name.to_owned()),
                None => Kind::Name(name.clone()),
            },
            Expr::Select(select) => {
                span.end = span.end.max(self.member_end(&own, &select.field));
                Kind::Member(child(&select.operand)?.into(), select.field.clone())
            }
            Expr::List(list) => {
                let item = |(at, node): (usize, &IdedExpr)| {
                    let optional = list.optional_indices.contains(&at);
                    child(node).map(|node| Item { optional, node })
                };
                Kind::List(list.elements.iter().enumerate().map(item).collect::<Result<_, _>>()?)
            }
            Expr::Map(map) => {
                let entry = |entry: &EntryExpr| match entry {
                    EntryExpr::MapEntry(entry) => {
                        let (key, value) = (child(&entry.key)?, child(&entry.value)?);
                        Ok(Entry { optional: entry.optional, key, value })
                    }
                    EntryExpr::StructField(_) => Err(Wrong::new(own.clone(), "messages are not supported")),
                };
                Kind::Map(map.entries.iter().map(|e| entry(&e.expr)).collect::<Result<_, _>>()?)
            }
            Expr::Call(call) => {
                let kind = self.call(call, &own, depth)?;
                if let Kind::MaybeMember(_, member) = &kind {
                    span.end = span.end.max(self.member_end(&own, member));
                }
                kind
            }
            Expr::Struct(_) => return Err(Wrong::new(own, "messages are not supported")),
            Expr::Comprehension(_) | Expr::Unspecified => {
                return Err(Wrong::new(own, "this expression can't be read"));
            }
        };
        for part in parts(&kind) {
            if part.span.end > part.span.start {
                span = span.start.min(part.span.start)..span.end.max(part.span.end);
            }
        }
        Ok(Node { span: self.whole(&kind, span), kind })
    }

    /// With the name of what is called, and with both sides of all brackets.
    fn whole(&self, kind: &Kind, mut span: Range<usize>) -> Range<usize> {
        let name = match kind {
            Kind::Call { function, target: None, .. } => function.as_str(),
            Kind::Bind(_) => "cel.bind",
            Kind::Has(_) => "has",
            _ => "",
        };
        let before = self.source.get(..span.start).unwrap_or_default().trim_end();
        if !name.is_empty() && before.ends_with(name) {
            span.start = before.len() - name.len();
        }
        token::balanced(span, &self.brackets)
    }

    fn literal(&self, literal: &LiteralValue, own: &Range<usize>) -> Kind {
        match literal {
            LiteralValue::Null => Kind::Null,
            LiteralValue::Boolean(value) => Kind::Bool(*value.inner()),
            LiteralValue::Int(value) => Kind::Int(*value.inner()),
            LiteralValue::UInt(value) => Kind::Uint(*value.inner()),
            LiteralValue::Double(value) => {
                let digits = self.source.get(own.clone()).unwrap_or_default();
                Kind::Double(*value.inner(), digits.trim_start_matches('-').trim().to_owned())
            }
            LiteralValue::String(value) => Kind::String(value.inner().into()),
            LiteralValue::Bytes(value) => Kind::Bytes(value.inner().into()),
        }
    }

    /// The node's place is the dot; the name follows it.
    fn member_end(&self, dot: &Range<usize>, member: &str) -> usize {
        let rest = self.source.get(dot.start..).unwrap_or_default();
        rest.find(member).map_or(dot.end, |at| dot.start + at + member.len())
    }

    fn call(&self, call: &CallExpr, own: &Range<usize>, depth: usize) -> Result<Kind, Wrong> {
        let child = |tree: &IdedExpr| self.node(tree, depth + 1);
        let target = call.target.as_deref().map(child).transpose()?;
        let arguments = call.args.iter().map(child).collect::<Result<Vec<_>, _>>()?;
        let call = Call { function: call.func_name.clone(), target, arguments };
        named(call).map_err(|message| Wrong::new(own.clone(), message))
    }
}

/// What a call means by its name: an operator, a macro, or a function.
fn named(call: Call) -> Result<Kind, String> {
    operator(call).or_else(|call| match &call.target {
        Some(Node { kind: Kind::Name(name), .. }) if name == "cel" && call.function == "bind" => bind(call),
        Some(_) if matches!(&*call.function, "optMap" | "optFlatMap") => then(call),
        Some(_) => match each_kind(&call.function) {
            Some(kind) => each(kind, call),
            None => Ok(function(call)),
        },
        None => Ok(function(call)),
    })
}

fn function(Call { function, target, arguments }: Call) -> Kind {
    Kind::Call { function, target: target.map(Box::new), arguments }
}

/// Gives the call back where it is none.
fn operator(call: Call) -> Result<Kind, Call> {
    if call.target.is_some() {
        return Err(call);
    }
    let arguments = match <[Node; 2]>::try_from(call.arguments) {
        Ok([a, b]) => return binary(&call.function, a, b).map_err(|pair| Call { arguments: pair, ..call }),
        Err(arguments) => arguments,
    };
    let arguments = match (&*call.function, <[Node; 1]>::try_from(arguments)) {
        ("!_", Ok([of])) => return Ok(Kind::Not(of.into())),
        ("-_", Ok([of])) => return Ok(Kind::Negate(of.into())),
        ("has", Ok([of])) => return Ok(Kind::Has(of.into())),
        (_, Ok(one)) => one.into(),
        (_, Err(arguments)) => arguments,
    };
    match (&*call.function, <[Node; 3]>::try_from(arguments)) {
        ("_?_:_", Ok(parts)) => Ok(Kind::Choice(parts.into())),
        (_, Ok(three)) => Err(Call { arguments: three.into(), ..call }),
        (_, Err(arguments)) => Err(Call { arguments, ..call }),
    }
}

fn binary(function: &str, a: Node, b: Node) -> Result<Kind, Vec<Node>> {
    let operator = match function {
        "_==_" => Operator::Equal,
        "_!=_" => Operator::NotEqual,
        "_<_" => Operator::Less,
        "_<=_" => Operator::LessOrEqual,
        "_>_" => Operator::Greater,
        "_>=_" => Operator::GreaterOrEqual,
        "@in" => Operator::In,
        "_+_" => Operator::Add,
        "_-_" => Operator::Subtract,
        "_*_" => Operator::Multiply,
        "_/_" => Operator::Divide,
        "_%_" => Operator::Remainder,
        "_&&_" => return Ok(Kind::And(a.into(), b.into())),
        "_||_" => return Ok(Kind::Or(a.into(), b.into())),
        "_[_]" => return Ok(Kind::Index(a.into(), b.into())),
        "_[?_]" => return Ok(Kind::MaybeIndex(a.into(), b.into())),
        "_?._" => {
            return match b.kind {
                Kind::String(member) => Ok(Kind::MaybeMember(a.into(), member.to_string())),
                _ => Err(vec![a, b]),
            };
        }
        _ => return Err(vec![a, b]),
    };
    Ok(Kind::Binary(operator, a.into(), b.into()))
}

fn each_kind(function: &str) -> Option<EachKind> {
    Some(match function {
        "all" => EachKind::All,
        "exists" => EachKind::Exists,
        "exists_one" | "existsOne" => EachKind::ExistsOne,
        "filter" => EachKind::Filter,
        "map" | "transformList" => EachKind::Map,
        "transformMap" => EachKind::MapValues,
        "transformMapEntry" => EachKind::MapEntries,
        "sortBy" => EachKind::SortBy,
        _ => return None,
    })
}

fn each(kind: EachKind, Call { function, target, arguments }: Call) -> Result<Kind, String> {
    let usage = || {
        let usage = match function.as_str() {
            "filter" => "list.filter(x, condition)",
            "sortBy" => "list.sortBy(x, value)",
            "map" => "list.map(x, value)` or `list.map(x, condition, value)",
            "transformList" | "transformMap" | "transformMapEntry" => {
                return format!("`{function}` is called as `map.{function}(key, value, result)`");
            }
            _ => return format!("`{function}` is called as `list.{function}(x, condition)`"),
        };
        format!("`{function}` is called as `{usage}`")
    };
    let variables = match (function.as_str(), arguments.len()) {
        ("filter" | "sortBy", 2) | ("map", 2 | 3) => 1,
        ("transformList" | "transformMap" | "transformMapEntry", 3 | 4) => 2,
        ("all" | "exists" | "exists_one" | "existsOne", count @ (2 | 3)) => count - 1,
        _ => return Err(usage()),
    };
    let mut arguments = arguments.into_iter();
    let variables = arguments.by_ref().take(variables).map(|node| variable(node, &function));
    let variables = variables.collect::<Result<Vec<_>, _>>()?;
    let (range, first, second) = (target, arguments.next(), arguments.next());
    let (Some(range), Some(first)) = (range, first) else { return Err(usage()) };
    let (filter, body) = match second {
        Some(second) => (Some(first), second),
        None => (None, first),
    };
    if variables.len() == 2 && variables.first().map(|v| &v.name) == variables.last().map(|v| &v.name) {
        return Err(format!("`{function}` needs two variables of different names"));
    }
    Ok(Kind::Each(Box::new(Each { kind, range, variables, filter, body })))
}

fn variable(node: Node, function: &str) -> Result<Variable, String> {
    match node.kind {
        Kind::Name(name) => Ok(Variable { name, span: node.span }),
        _ => Err(format!("the first argument of `{function}` must be the name of a variable")),
    }
}

fn bind(call: Call) -> Result<Kind, String> {
    match <[Node; 3]>::try_from(call.arguments) {
        Ok([name, value, body]) => {
            let variable = variable(name, "cel.bind")?;
            Ok(Kind::Bind(Box::new(Bind { variable, value, body })))
        }
        Err(_) => Err("`cel.bind` is called as `cel.bind(x, value, result)`".to_owned()),
    }
}

fn then(call: Call) -> Result<Kind, String> {
    let flat = call.function == "optFlatMap";
    match (call.target, <[Node; 2]>::try_from(call.arguments)) {
        (Some(of), Ok([name, body])) => {
            let variable = variable(name, &call.function)?;
            Ok(Kind::Then(Box::new(Then { of, variable, body, flat })))
        }
        _ => Err(format!("`{0}` is called as `x.{0}(y, result)`", call.function)),
    }
}

fn parts(kind: &Kind) -> Vec<&Node> {
    match kind {
        Kind::Null
        | Kind::Bool(_)
        | Kind::Int(_)
        | Kind::Uint(_)
        | Kind::Double(..)
        | Kind::String(_)
        | Kind::Bytes(_)
        | Kind::Name(_)
        | Kind::Absolute(_) => Vec::new(),
        Kind::Member(of, _) | Kind::MaybeMember(of, _) | Kind::Not(of) | Kind::Negate(of) | Kind::Has(of) => vec![of],
        Kind::Index(a, b) | Kind::MaybeIndex(a, b) | Kind::And(a, b) | Kind::Or(a, b) | Kind::Binary(_, a, b) => {
            vec![a, b]
        }
        Kind::Each(each) => [&each.range, &each.body].into_iter().chain(&each.filter).collect(),
        Kind::Bind(bind) => vec![&bind.value, &bind.body],
        Kind::Then(then) => vec![&then.of, &then.body],
        Kind::Choice(parts) => parts.iter().collect(),
        Kind::Call { target, arguments, .. } => target.as_deref().into_iter().chain(arguments).collect(),
        Kind::List(items) => items.iter().map(|item| &item.node).collect(),
        Kind::Map(entries) => entries.iter().flat_map(|entry| [&entry.key, &entry.value]).collect(),
    }
}
