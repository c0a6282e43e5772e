//! What is parsed -> expressions, with every name a binding of any type. For expressions that no policy could hold.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::policy::functions;
use crate::policy::ir::{Bind, Each, Expr, Failure, Function, Otherwise, Then};
use crate::policy::parse::{self, Kind, Limits, Node, Variable};
use crate::policy::value::Value;

const LIMITS: Limits = Limits { bytes: 16 << 10, tokens: 4096, nesting: 128, depth: 256 };

const TYPES: [&str; 15] = [
    "bool",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "list",
    "map",
    "null_type",
    "type",
    "optional_type",
    "google.protobuf.Timestamp",
    "google.protobuf.Duration",
    "net.IP",
    "net.CIDR",
];

/// What an optimiser writes for a variable: names of no meaning of their own.
static NUMBERED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"cel\.(index|iterVar|iterVar2)\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)").expect("a pattern"));

/// `names` are bound to the first variables.
pub(super) fn lower(source: &str, container: &str, names: &[String]) -> Result<Expr, String> {
    let source = NUMBERED.replace_all(source, |found: &Captures<'_>| {
        let number = |at: usize| found.get(at).map_or("", |number| number.as_str());
        format!("_{}_{}_{}", number(1), number(2), number(3))
    });
    let node = parse::read(&source, &LIMITS).map_err(|wrong| format!("{wrong:?}"))?;
    let mut lowering = Lowering { container, bound: names.len(), names: names.to_vec() };
    lowering.node(&node)
}

struct Lowering<'c> {
    container: &'c str,
    /// How many of the names are bindings.
    bound: usize,
    names: Vec<String>,
}

type Lowered = Result<Expr, String>;

impl Lowering<'_> {
    fn boxed(&mut self, node: &Node) -> Result<Box<Expr>, String> {
        self.node(node).map(Box::new)
    }

    fn condition(&mut self, node: &Node) -> Lowered {
        Ok(Expr::Condition(self.boxed(node)?))
    }

    fn node(&mut self, node: &Node) -> Lowered {
        let constant = |value| Ok(Expr::Constant(value));
        match &node.kind {
            Kind::Null => constant(Value::Null),
            Kind::Bool(truth) => constant(Value::Bool(*truth)),
            Kind::Int(number) => constant(Value::Int(*number)),
            Kind::Uint(number) => constant(Value::Uint(*number)),
            Kind::Double(number, _) => constant(Value::Double(*number)),
            Kind::String(text) => constant(Value::String(text.clone())),
            Kind::Bytes(bytes) => constant(Value::Bytes(bytes.clone())),
            Kind::Name(_) | Kind::Absolute(_) => Ok(self.qualified(node).unwrap_or(Expr::Fails(Failure::Unknown))),
            Kind::Member(of, member) => match self.qualified(node) {
                Some(named) => Ok(named),
                None => Ok(Expr::Member(self.boxed(of)?, member.as_str().into())),
            },
            Kind::MaybeMember(of, member) => {
                Ok(Expr::Maybe(self.boxed(of)?, Expr::Constant(Value::string(member.as_str())).into()))
            }
            Kind::Index(of, key) => Ok(Expr::Index(self.boxed(of)?, self.boxed(key)?)),
            Kind::MaybeIndex(of, key) => Ok(Expr::Maybe(self.boxed(of)?, self.boxed(key)?)),
            Kind::Has(of) => match &of.kind {
                Kind::Member(of, member) => Ok(Expr::Has(self.boxed(of)?, member.as_str().into())),
                _ => Err("`has` takes a member".to_owned()),
            },
            Kind::Not(of) => Ok(Expr::Not(self.condition(of)?.into())),
            Kind::Negate(of) => Ok(Expr::Negate(self.boxed(of)?)),
            Kind::And(a, b) => Ok(Expr::And(self.condition(a)?.into(), self.condition(b)?.into())),
            Kind::Or(a, b) => Ok(Expr::Or(self.condition(a)?.into(), self.condition(b)?.into())),
            Kind::Choice(parts) => {
                let [condition, yes, no] = &**parts;
                Ok(Expr::Choice([self.condition(condition)?, self.node(yes)?, self.node(no)?].into()))
            }
            Kind::Binary(operator, a, b) => Ok(Expr::Binary(*operator, self.boxed(a)?, self.boxed(b)?)),
            Kind::Each(each) => self.each(each),
            Kind::Bind(bind) => {
                let value = self.node(&bind.value)?;
                let (variable, body) = self.with([&bind.variable], |lowering| lowering.node(&bind.body))?;
                Ok(Expr::Bind(Box::new(Bind { variable, value, body })))
            }
            Kind::Then(then) => {
                let of = self.node(&then.of)?;
                let (variable, body) = self.with([&then.variable], |lowering| lowering.node(&then.body))?;
                Ok(Expr::Then(Box::new(Then { variable, of, body, flat: then.flat })))
            }
            Kind::Call { function, target, arguments } => self.call(function, target.as_deref(), arguments),
            Kind::List(items) => {
                let items = items.iter().map(|item| self.part(&item.node, item.optional));
                Ok(Expr::List(items.collect::<Result<_, _>>()?))
            }
            Kind::Map(entries) => {
                let entries =
                    entries.iter().map(|entry| Ok((self.node(&entry.key)?, self.part(&entry.value, entry.optional)?)));
                Ok(Expr::Map(entries.collect::<Result<_, String>>()?))
            }
        }
    }

    fn part(&mut self, node: &Node, optional: bool) -> Lowered {
        let part = self.node(node)?;
        Ok(if optional { Expr::Present(part.into()) } else { part })
    }

    fn place(&self) -> Result<u8, String> {
        u8::try_from(self.names.len()).map_err(|_| "too many variables".to_owned())
    }

    fn with<'v, T>(
        &mut self,
        variables: impl IntoIterator<Item = &'v Variable>,
        lower: impl FnOnce(&mut Self) -> Result<T, String>,
    ) -> Result<(u8, T), String> {
        let place = self.place()?;
        self.names.extend(variables.into_iter().map(|variable| variable.name.clone()));
        let lowered = lower(self);
        self.names.truncate(usize::from(place));
        Ok((place, lowered?))
    }

    fn each(&mut self, each: &parse::Each) -> Lowered {
        let range = self.node(&each.range)?;
        let pairs = each.variables.len() == 2;
        let (variable, (filter, body)) = self.with(&each.variables, |lowering| {
            let filter = each.filter.as_ref().map(|filter| lowering.condition(filter)).transpose()?;
            Ok((filter, lowering.node(&each.body)?))
        })?;
        Ok(Expr::Each(Box::new(Each { kind: each.kind, range, variable, pairs, filter, body })))
    }

    /// The names that a name may mean, those of the innermost container first.
    fn candidates(&self, name: &str, absolute: bool) -> Vec<String> {
        let mut scopes = vec![String::new()];
        if !absolute {
            for part in self.container.split('.').filter(|part| !part.is_empty()) {
                scopes.push(format!("{}{part}.", scopes.last().map_or("", String::as_str)));
            }
        }
        scopes.iter().rev().map(|scope| format!("{scope}{name}")).collect()
    }

    /// A chain of members as one name, if something is called so.
    fn qualified(&self, node: &Node) -> Option<Expr> {
        let mut members = Vec::new();
        let mut at = node;
        let absolute = loop {
            match &at.kind {
                Kind::Member(of, member) => {
                    members.push(member.as_str());
                    at = of;
                }
                Kind::Name(root) => {
                    let variable = self.names.iter().skip(self.bound).rposition(|name| name == root);
                    if let Some(variable) = variable {
                        let place = u8::try_from(self.bound + variable).ok()?;
                        return members.is_empty().then_some(Expr::Variable(place));
                    }
                    members.push(root);
                    break false;
                }
                Kind::Absolute(root) => {
                    members.push(root);
                    break true;
                }
                _ => return None,
            }
        };
        members.reverse();
        self.candidates(&members.join("."), absolute).into_iter().find_map(|name| {
            let bound = self.names.iter().take(self.bound).position(|bound| *bound == name);
            if let Some(place) = bound {
                return Some(Expr::Variable(u8::try_from(place).ok()?));
            }
            TYPES.contains(&name.as_str()).then(|| Expr::Constant(Value::Type(name.into())))
        })
    }

    fn call(&mut self, function: &str, target: Option<&Node>, arguments: &[Node]) -> Lowered {
        if let (Some(Node { kind: Kind::Name(space), .. }), "block", [list, body]) = (target, function, arguments)
            && space == "cel"
        {
            return self.block(list, body);
        }
        let space = target.and_then(|target| match self.qualified(target) {
            None => spelled(target),
            Some(_) => None,
        });
        let (name, target) = match (space, target) {
            (Some(space), Some(_)) if self.global(&format!("{space}.{function}"), arguments.len()).is_some() => {
                (format!("{space}.{function}"), None)
            }
            (_, target) => (function.to_owned(), target),
        };
        let found = match target {
            None => self.global(&name, arguments.len()),
            Some(_) => functions::find(&name, true, arguments.len() + 1),
        };
        let all = target.into_iter().chain(arguments).map(|part| self.node(part));
        let all = all.collect::<Result<Vec<_>, _>>()?;
        match (found, <[Expr; 2]>::try_from(all)) {
            // What is not there fails once it is asked, as in `true || f()`.
            (None, _) => Ok(Expr::Fails(Failure::Unknown)),
            (Some(function), Ok([of, other])) if matches!(function.name, "or" | "orValue") => {
                Ok(Expr::Otherwise(Box::new(Otherwise { of, other, unwraps: function.name == "orValue" })))
            }
            (Some(function), Ok(pair)) => Ok(Expr::Call(Function::Library(function), pair.into())),
            (Some(function), Err(all)) => Ok(Expr::Call(Function::Library(function), all)),
        }
    }

    fn global(&self, name: &str, arguments: usize) -> Option<&'static functions::Function> {
        let (name, absolute) = name.strip_prefix('.').map_or((name, false), |name| (name, true));
        self.candidates(name, absolute).iter().find_map(|name| functions::find(name, false, arguments))
    }

    /// `cel.block([a, b], body)`: values by their numbers, each of which may read those before it.
    fn block(&mut self, list: &Node, body: &Node) -> Lowered {
        let Kind::List(items) = &list.kind else { return Err("`cel.block` takes a list".to_owned()) };
        let first = self.names.len();
        let mut values = Vec::new();
        for (number, item) in items.iter().enumerate() {
            values.push((self.place()?, self.node(&item.node)?));
            self.names.push(format!("_index_{number}_"));
        }
        let body = self.node(body);
        self.names.truncate(first);
        let bind = |body, (variable, value)| Expr::Bind(Box::new(Bind { variable, value, body }));
        Ok(values.into_iter().rev().fold(body?, bind))
    }
}

/// A chain of names as it is written.
fn spelled(node: &Node) -> Option<String> {
    match &node.kind {
        Kind::Name(name) => Some(name.clone()),
        Kind::Absolute(name) => Some(format!(".{name}")),
        Kind::Member(of, member) => Some(format!("{}.{member}", spelled(of)?)),
        _ => None,
    }
}
