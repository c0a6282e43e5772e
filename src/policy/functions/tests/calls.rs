//! Reads and computes expressions of literals, calls and operators, and nothing else: enough of CEL to drive functions by.

#![allow(clippy::string_slice, reason = "a test that meets what it does not expect fails by its panic")]

use std::collections::BTreeMap;

use crate::policy::functions::{arithmetic, equal, find, negate, order};
use crate::policy::ir::{Failure, Operator};
use crate::policy::value::{Key, Value};

/// Why there is no value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stop {
    Failed(Failure),
    /// It is written with what is no literal, call or operator.
    Beyond(&'static str),
}

type Outcome = Result<Value, Stop>;

const TYPES: [&str; 14] = [
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
    "net.IP",
    "net.CIDR",
    "google.protobuf.Timestamp",
];

/// By strength, weakest first.
const OPERATORS: [&[&str]; 6] =
    [&["||"], &["&&"], &["==", "!=", "<=", ">=", "<", ">", "in "], &["+", "-"], &["*", "/", "%"], &[]];

pub(super) fn compute(source: &str, variables: &BTreeMap<String, Value>) -> Outcome {
    let mut reader = Reader { rest: source, variables };
    let value = reader.binary(0)?;
    reader.space();
    if reader.rest.is_empty() { Ok(value) } else { Err(Stop::Beyond("syntax")) }
}

/// The value of an expression that reads no variable; a test's mistake is a panic.
pub(super) fn of(source: &str) -> Result<Value, Failure> {
    compute(source, &BTreeMap::new()).map_err(|stop| match stop {
        Stop::Failed(failure) => failure,
        Stop::Beyond(what) => panic!("{source}: {what}"),
    })
}

struct Reader<'s> {
    rest: &'s str,
    variables: &'s BTreeMap<String, Value>,
}

impl<'s> Reader<'s> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, token: &str) -> bool {
        self.space();
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn take(&mut self, of: impl Fn(char) -> bool) -> &'s str {
        let (taken, rest) = self.rest.split_at(self.rest.find(|c| !of(c)).unwrap_or(self.rest.len()));
        self.rest = rest;
        taken
    }

    fn binary(&mut self, strength: usize) -> Outcome {
        let operators = OPERATORS[strength];
        if operators.is_empty() {
            return self.unary();
        }
        let mut left = self.binary(strength + 1);
        while let Some(operator) = operators.iter().find(|operator| self.eat(operator)) {
            let right = self.binary(strength + 1);
            left = match (&left, &right) {
                (Err(Stop::Beyond(_)), _) => left,
                (_, Err(Stop::Beyond(_))) => right,
                _ if matches!(*operator, "&&" | "||") => either(*operator == "||", left, right),
                _ => left.and_then(|left| apply(operator, &left, &right?)),
            };
        }
        left
    }

    fn unary(&mut self) -> Outcome {
        if self.eat("!") {
            return match self.unary()? {
                Value::Bool(truth) => Ok(Value::Bool(!truth)),
                _ => Err(Stop::Failed(Failure::Type)),
            };
        }
        self.space();
        if self.rest.starts_with('-') && !self.rest[1..].starts_with(|c: char| c.is_ascii_digit()) {
            self.rest = &self.rest[1..];
            return negate(&self.unary()?).map_err(Stop::Failed);
        }
        self.methods()
    }

    fn methods(&mut self) -> Outcome {
        let mut value = self.primary();
        loop {
            if !self.eat(".") {
                return if self.rest.starts_with(['[', '{', '?']) {
                    Err(Stop::Beyond("index or choice"))
                } else {
                    value
                };
            }
            let name = self.take(|c| c.is_alphanumeric() || c == '_').to_owned();
            if !self.eat("(") {
                return Err(Stop::Beyond("member"));
            }
            let arguments = self.list(")");
            value = value.and_then(|value| call(&name, true, vec![value], arguments));
        }
    }

    fn primary(&mut self) -> Outcome {
        if self.eat("(") {
            let inner = self.binary(0);
            return if self.eat(")") { inner } else { Err(Stop::Beyond("syntax")) };
        }
        if self.eat("[") {
            return self.list("]").map(|items| Value::List(items.into()));
        }
        if self.eat("{") {
            return self.map();
        }
        self.space();
        match self.rest.chars().next() {
            Some('0'..='9' | '-') => self.number(),
            Some('"' | '\'') => self.string(false),
            Some('b' | 'B') if self.rest[1..].starts_with(['"', '\'']) => {
                self.rest = &self.rest[1..];
                self.string(true)
            }
            Some('r' | 'R') if self.rest[1..].starts_with(['"', '\'']) => Err(Stop::Beyond("raw string")),
            _ => self.name(),
        }
    }

    /// A literal, a type, a variable, or a call of a name with its namespace.
    fn name(&mut self) -> Outcome {
        let start = self.rest;
        let first = self.take(|c| c.is_alphanumeric() || c == '_');
        match first {
            "true" => return Ok(Value::Bool(true)),
            "false" => return Ok(Value::Bool(false)),
            "null" => return Ok(Value::Null),
            _ => {}
        }
        if let Some(variable) = self.variables.get(first) {
            return Ok(variable.clone());
        }
        let mut name = first.to_owned();
        // The longest name that is known: `ip.isCanonical(x)`, but `ip(x).family()`.
        while self.rest.starts_with('.') {
            let before = self.rest;
            self.rest = &self.rest[1..];
            name = format!("{name}.{}", self.take(|c| c.is_alphanumeric() || c == '_'));
            if name.ends_with('.') {
                self.rest = before;
                return Err(Stop::Beyond("syntax"));
            }
        }
        if self.eat("(") {
            let arguments = self.list(")");
            return call(&name, false, Vec::new(), arguments);
        }
        match name.as_str() {
            "" if start.is_empty() => Err(Stop::Beyond("syntax")),
            name if TYPES.contains(&name) => Ok(Value::Type(name.into())),
            _ => Err(Stop::Beyond("name")),
        }
    }

    fn list(&mut self, end: &str) -> Result<Vec<Value>, Stop> {
        let mut items = Vec::new();
        let mut failed = None;
        while !self.eat(end) {
            match self.binary(0) {
                Ok(item) => items.push(item),
                Err(Stop::Failed(failure)) => failed = Some(Stop::Failed(failure)),
                Err(stop) => return Err(stop),
            }
            if !self.eat(",") && !self.rest.starts_with(end) {
                return Err(Stop::Beyond("syntax"));
            }
        }
        failed.map_or(Ok(items), Err)
    }

    fn map(&mut self) -> Outcome {
        let mut members = BTreeMap::new();
        while !self.eat("}") {
            let key = match self.binary(0)? {
                Value::Bool(key) => Key::Bool(key),
                Value::Int(key) => Key::Int(key),
                Value::Uint(key) => Key::Uint(key),
                Value::String(key) => Key::String(key),
                _ => return Err(Stop::Failed(Failure::Type)),
            };
            if !self.eat(":") {
                return Err(Stop::Beyond("syntax"));
            }
            members.insert(key, self.binary(0)?);
            if !self.eat(",") && !self.rest.starts_with('}') {
                return Err(Stop::Beyond("syntax"));
            }
        }
        Ok(Value::Map(members.into()))
    }

    fn number(&mut self) -> Outcome {
        let sign = if self.eat("-") { "-" } else { "" };
        let digits = self.take(|c| c.is_ascii_digit());
        let is_double = (self.rest.starts_with('.') && self.rest[1..].starts_with(|c: char| c.is_ascii_digit()))
            || self.rest.starts_with(['e', 'E']);
        if !is_double {
            if self.rest.starts_with('x') {
                return Err(Stop::Beyond("hexadecimal"));
            }
            return if self.eat("u") {
                digits.parse().map(Value::Uint).map_err(|_| Stop::Beyond("number"))
            } else {
                format!("{sign}{digits}").parse().map(Value::Int).map_err(|_| Stop::Beyond("number"))
            };
        }
        let fraction = self.take(|c| c.is_ascii_digit() || c == '.');
        let power =
            if self.eat("e") || self.eat("E") { self.take(|c| c.is_ascii_digit() || "+-".contains(c)) } else { "0" };
        format!("{sign}{digits}{fraction}e{power}").parse().map(Value::Double).map_err(|_| Stop::Beyond("number"))
    }

    fn string(&mut self, is_bytes: bool) -> Outcome {
        let quote = self.rest.chars().next().unwrap();
        if self.rest.starts_with(&quote.to_string().repeat(3)) {
            return Err(Stop::Beyond("long string"));
        }
        let mut made = Vec::new();
        let mut rest = self.rest[1..].chars();
        loop {
            let c = rest.next().ok_or(Stop::Beyond("syntax"))?;
            if c == quote {
                break;
            }
            let c = if c == '\\' { escape(&mut rest, is_bytes, &mut made)? } else { Some(c) };
            made.extend(c.map(String::from).unwrap_or_default().bytes());
        }
        self.rest = rest.as_str();
        if is_bytes {
            return Ok(Value::Bytes(made.into()));
        }
        String::from_utf8(made).map(|text| Value::String(text.into())).map_err(|_| Stop::Beyond("string"))
    }
}

/// The character that an escape stands for; a byte of a bytes literal is pushed.
fn escape(rest: &mut std::str::Chars<'_>, is_bytes: bool, made: &mut Vec<u8>) -> Result<Option<char>, Stop> {
    let wrong = Stop::Beyond("escape");
    let (digits, radix, start) = match rest.next().ok_or(wrong)? {
        'n' => return Ok(Some('\n')),
        'r' => return Ok(Some('\r')),
        't' => return Ok(Some('\t')),
        'a' => return Ok(Some('\u{7}')),
        'b' => return Ok(Some('\u{8}')),
        'f' => return Ok(Some('\u{c}')),
        'v' => return Ok(Some('\u{b}')),
        'x' | 'X' => (2, 16, 0),
        'u' => (4, 16, 0),
        'U' => (8, 16, 0),
        first @ '0'..='3' => (2, 8, first.to_digit(8).ok_or(wrong)?),
        c => return Ok(Some(c)),
    };
    let mut code = start;
    for _ in 0..digits {
        code = code * radix + rest.next().and_then(|c| c.to_digit(radix)).ok_or(wrong)?;
    }
    if is_bytes && digits == 2 {
        made.push(u8::try_from(code).map_err(|_| wrong)?);
        return Ok(None);
    }
    char::from_u32(code).map(Some).ok_or(wrong)
}

fn either(decisive: bool, left: Outcome, right: Outcome) -> Outcome {
    let truth = |side: Outcome| match side? {
        Value::Bool(truth) => Ok(truth),
        _ => Err(Stop::Failed(Failure::Type)),
    };
    match (truth(left), truth(right)) {
        (Ok(left), _) if left == decisive => Ok(Value::Bool(decisive)),
        (_, Ok(right)) if right == decisive => Ok(Value::Bool(decisive)),
        (left, right) => left.and(right).map(Value::Bool),
    }
}

fn apply(operator: &str, a: &Value, b: &Value) -> Outcome {
    use std::cmp::Ordering::{Greater, Less};
    let ordered = |wanted: fn(std::cmp::Ordering) -> bool| {
        order(a, b).map(|order| Value::Bool(order.is_some_and(wanted))).map_err(Stop::Failed)
    };
    match operator {
        "==" => Ok(Value::Bool(equal(a, b))),
        "!=" => Ok(Value::Bool(!equal(a, b))),
        "<" => ordered(|order| order == Less),
        "<=" => ordered(|order| order != Greater),
        ">" => ordered(|order| order == Greater),
        ">=" => ordered(|order| order != Less),
        "in " => match b {
            Value::List(items) => Ok(Value::Bool(items.iter().any(|item| equal(a, item)))),
            _ => Err(Stop::Beyond("membership of maps")),
        },
        "+" => arithmetic(Operator::Add, a, b).map_err(Stop::Failed),
        "-" => arithmetic(Operator::Subtract, a, b).map_err(Stop::Failed),
        "*" => arithmetic(Operator::Multiply, a, b).map_err(Stop::Failed),
        "/" => arithmetic(Operator::Divide, a, b).map_err(Stop::Failed),
        _ => arithmetic(Operator::Remainder, a, b).map_err(Stop::Failed),
    }
}

/// A call as written: no function of that name is beyond what is read here, a wrong shape is an error.
fn call(name: &str, is_method: bool, mut values: Vec<Value>, arguments: Result<Vec<Value>, Stop>) -> Outcome {
    values.extend(arguments?);
    if crate::policy::functions::named(name).next().is_none() {
        return Err(Stop::Beyond("function"));
    }
    let function = find(name, is_method, values.len()).ok_or(Stop::Failed(Failure::Type))?;
    function.call(&values).map_err(Stop::Failed)
}
