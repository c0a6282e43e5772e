//! CEL text -> a syntax tree with places. The `cel` crate parses and does nothing else here.
//!
//! Its parser recurses without a limit and aborts the process on deep input, so text is bounded before (length, tokens,
//! nesting) and the tree after (depth), and [`on_large_stack`] gives it room. Macros stay unexpanded. Its messages are
//! those of a parser generator; people get others.

mod hint;
mod message;
mod token;

use std::ops::Range;
use std::sync::Arc;

use cel::common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue, SourceInfo};

use super::ir::{EachKind, Operator};
use crate::diagnostic::Diagnostic;
use crate::model::Name;
use crate::yaml::Text;

const MAX_BYTES: usize = 2048;
const MAX_TOKENS: usize = 512;
const MAX_NESTING: usize = 24;
/// Of the tree. Evaluation recurses as deep.
pub(super) const MAX_DEPTH: usize = 48;
const STACK: usize = 64 << 20;

/// One node; `span` counts bytes of the expression's text.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) span: Range<usize>,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    Int(i64),
    /// With its digits as written, without a sign.
    Double(f64, String),
    String(Name),
    Name(String),
    Member(Box<Node>, String),
    Index(Box<Node>, Box<Node>),
    Not(Box<Node>),
    Negate(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Choice(Box<[Node; 3]>),
    Binary(Operator, Box<Node>, Box<Node>),
    Has(Box<Node>),
    /// Range, variable, body.
    Each(EachKind, Box<Node>, String, Box<Node>),
    Call {
        function: String,
        target: Option<Box<Node>>,
        arguments: Vec<Node>,
    },
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

/// Runs `work` on a thread with a large stack. `None` if there can be none, or if `work` panicked.
pub(super) fn on_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("policies".to_owned()).stack_size(STACK);
        thread.spawn_scoped(scope, work).ok()?.join().ok()
    })
}

/// Reads one expression. Call it on a large stack.
pub(super) fn expression(text: &Text, diagnostics: &mut Vec<Diagnostic>) -> Option<Node> {
    match read(&text.value) {
        Ok(node) => Some(node),
        Err(wrong) => {
            let mut diagnostic = Diagnostic::error("cel-syntax", text.part(wrong.at), wrong.message);
            diagnostic.help = wrong.help;
            diagnostics.push(diagnostic);
            None
        }
    }
}

struct Wrong {
    at: Range<usize>,
    message: String,
    help: Option<String>,
}

impl Wrong {
    fn new(at: Range<usize>, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), help: None }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

fn read(source: &str) -> Result<Node, Wrong> {
    bounded(source)?;
    // The generated parser is not ours: should it panic, this one expression is wrong and the others are still read.
    let parsed = std::panic::catch_unwind(|| cel::Env::default().parser().parse_with_source_info(source));
    let (tree, places) = match parsed {
        Ok(Ok(parsed)) => parsed,
        Ok(Err(errors)) => {
            let first = errors.errors.into_iter().next().map(|error| (error.pos, error.msg));
            let (position, message) = first.unwrap_or_default();
            return Err(message::explain(source, position, &message));
        }
        Err(_) => return Err(Wrong::new(0..source.len(), "this expression can't be read")),
    };
    Lowering { source, places, brackets: token::brackets(source) }.node(&tree, 0)
}

/// What makes the end of a text a question for the lexer: escapes, raw and long texts, comments.
const UNCLEAR: [&str; 4] = ["\\", "\"\"\"", "'''", "//"];

/// Limits before parsing: counted roughly, never too low. Where it is not clear what lies within quotes, all is counted.
fn bounded(source: &str) -> Result<(), Wrong> {
    if source.len() > MAX_BYTES {
        let message = format!("an expression of {} bytes; at most {MAX_BYTES} are allowed", source.len());
        return Err(Wrong::new(0..source.len(), message));
    }
    let clear = !UNCLEAR.iter().any(|sign| source.contains(sign));
    let (mut tokens, mut nesting, mut quote, mut in_word) = (0, 0_usize, None, false);
    for (at, c) in source.char_indices() {
        if let Some(open) = quote {
            if c == '\n' {
                return Err(message::explain(source, (1, 1), ""));
            }
            if c == open {
                quote = None;
            }
            continue;
        }
        let word = c.is_alphanumeric() || c == '_';
        tokens += usize::from(!(c.is_whitespace() || word && in_word));
        in_word = word;
        match c {
            '"' | '\'' if clear => quote = Some(c),
            '(' | '[' | '{' | '?' => nesting += 1,
            ')' | ']' | '}' | ':' => nesting = nesting.saturating_sub(1),
            _ => {}
        }
        if nesting > MAX_NESTING {
            return Err(Wrong::new(at..at + 1, format!("nested more than {MAX_NESTING} levels deep")));
        }
        if tokens > MAX_TOKENS {
            return Err(Wrong::new(
                at..source.len(),
                format!("an expression of more than {MAX_TOKENS} words and signs"),
            ));
        }
    }
    match quote {
        Some(_) => Err(message::explain(source, (1, 1), "")),
        None => Ok(()),
    }
}

struct Lowering<'s> {
    source: &'s str,
    places: SourceInfo,
    brackets: Vec<(usize, usize)>,
}

impl Lowering<'_> {
    fn node(&self, tree: &IdedExpr, depth: usize) -> Result<Node, Wrong> {
        // The place of an operator's node is the operator; that of its operands joins it.
        let own = self.places.offset_for(tree.id).map_or(0..0, |(start, stop)| start as usize..stop as usize + 1);
        let own = token::balanced(own, &self.brackets);
        if depth == MAX_DEPTH {
            return Err(Wrong::new(own, format!("an expression of more than {MAX_DEPTH} levels")));
        }
        let child = |tree: &IdedExpr| self.node(tree, depth + 1);
        let boxed = |tree: &IdedExpr| child(tree).map(Box::new);
        let unsupported = |what: &str| Wrong::new(own.clone(), format!("{what} are not supported"));
        let mut span = own.clone();
        let kind = match &tree.expr {
            Expr::Literal(literal) => match literal {
                LiteralValue::Null => Kind::Null,
                LiteralValue::Boolean(value) => Kind::Bool(*value.inner()),
                LiteralValue::Int(value) => Kind::Int(*value.inner()),
                LiteralValue::Double(value) => {
                    let digits = self.source.get(own.clone()).unwrap_or_default();
                    Kind::Double(*value.inner(), digits.trim_start_matches('-').trim().to_owned())
                }
                LiteralValue::String(value) => Kind::String(value.inner().into()),
                LiteralValue::UInt(_) => return Err(unsupported("unsigned numbers")),
                LiteralValue::Bytes(_) => return Err(unsupported("bytes")),
            },
            Expr::Ident(name) => Kind::Name(name.trim_start_matches('.').to_owned()),
            Expr::Select(select) if select.test => Kind::Has(Box::new(Node {
                kind: Kind::Member(boxed(&select.operand)?, select.field.clone()),
                span: own.clone(),
            })),
            Expr::Select(select) => {
                let operand = boxed(&select.operand)?;
                // The node's place is the dot; the name follows it.
                let rest = self.source.get(own.start..).unwrap_or_default();
                let name = rest.find(&select.field).map_or(own.end, |at| own.start + at + select.field.len());
                span.end = span.end.max(name);
                Kind::Member(operand, select.field.clone())
            }
            Expr::List(list) if list.optional_indices.is_empty() => {
                Kind::List(list.elements.iter().map(child).collect::<Result<_, _>>()?)
            }
            Expr::Map(map) => {
                let entry = |entry: &EntryExpr| match entry {
                    EntryExpr::MapEntry(entry) if !entry.optional => Ok((child(&entry.key)?, child(&entry.value)?)),
                    _ => Err(unsupported("optional entries")),
                };
                Kind::Map(map.entries.iter().map(|e| entry(&e.expr)).collect::<Result<_, _>>()?)
            }
            Expr::Call(call) => {
                let target = call.target.as_deref().map(boxed).transpose()?;
                let arguments: Vec<Node> = call.args.iter().map(child).collect::<Result<_, _>>()?;
                named(&call.func_name, target, arguments).map_err(|what| Wrong::new(own.clone(), what))?
            }
            Expr::List(_) | Expr::Struct(_) | Expr::Comprehension(_) | Expr::Unspecified => {
                return Err(unsupported("messages and optional elements"));
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
            Kind::Has(_) => "has",
            _ => "",
        };
        let before = self.source.get(..span.start).unwrap_or_default().trim_end();
        if !name.is_empty() && before.ends_with(name) {
            span.start = before.len() - name.len();
        }
        token::balanced(span, &self.brackets)
    }
}

/// Operators and macros come as calls.
fn named(function: &str, target: Option<Box<Node>>, arguments: Vec<Node>) -> Result<Kind, String> {
    let operator = match function {
        "_==_" => Some(Operator::Equal),
        "_!=_" => Some(Operator::NotEqual),
        "_<_" => Some(Operator::Less),
        "_<=_" => Some(Operator::LessOrEqual),
        "_>_" => Some(Operator::Greater),
        "_>=_" => Some(Operator::GreaterOrEqual),
        "@in" => Some(Operator::In),
        "_+_" => Some(Operator::Add),
        "_-_" => Some(Operator::Subtract),
        "_*_" => Some(Operator::Multiply),
        "_/_" => Some(Operator::Divide),
        "_%_" => Some(Operator::Remainder),
        _ => None,
    };
    let each = match function {
        "all" => Some(EachKind::All),
        "exists" => Some(EachKind::Exists),
        "exists_one" => Some(EachKind::ExistsOne),
        "filter" => Some(EachKind::Filter),
        "map" => Some(EachKind::Map),
        _ => None,
    };
    let arguments = match (operator, <[Node; 2]>::try_from(arguments)) {
        (Some(operator), Ok([a, b])) if target.is_none() => return Ok(Kind::Binary(operator, a.into(), b.into())),
        (None, Ok([a, b])) => match (function, &target, each) {
            ("_&&_", None, _) => return Ok(Kind::And(a.into(), b.into())),
            ("_||_", None, _) => return Ok(Kind::Or(a.into(), b.into())),
            ("_[_]", None, _) => return Ok(Kind::Index(a.into(), b.into())),
            (_, Some(_), Some(each)) => match (a.kind, target) {
                (Kind::Name(variable), Some(range)) => return Ok(Kind::Each(each, range, variable, b.into())),
                _ => return Err(format!("the first argument of `{function}` must be the name of a variable")),
            },
            _ => vec![a, b],
        },
        (_, Ok(pair)) => pair.into(),
        (_, Err(arguments)) => arguments,
    };
    let arguments = match (function, <[Node; 1]>::try_from(arguments)) {
        ("!_", Ok([of])) => return Ok(Kind::Not(of.into())),
        ("-_", Ok([of])) => return Ok(Kind::Negate(of.into())),
        ("has", Ok([of])) if target.is_none() => return Ok(Kind::Has(of.into())),
        (_, Ok(one)) => one.into(),
        (_, Err(arguments)) => arguments,
    };
    match (function, <[Node; 3]>::try_from(arguments)) {
        ("_?_:_", Ok(parts)) => Ok(Kind::Choice(parts.into())),
        (_, Ok(three)) => Ok(Kind::Call { function: function.to_owned(), target, arguments: three.into() }),
        (_, Err(arguments)) => Ok(Kind::Call { function: function.to_owned(), target, arguments }),
    }
}

fn parts(kind: &Kind) -> Vec<&Node> {
    match kind {
        Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Double(..) | Kind::String(_) | Kind::Name(_) => Vec::new(),
        Kind::Member(of, _) | Kind::Not(of) | Kind::Negate(of) | Kind::Has(of) => vec![of],
        Kind::Index(a, b) | Kind::And(a, b) | Kind::Or(a, b) | Kind::Binary(_, a, b) | Kind::Each(_, a, _, b) => {
            vec![a, b]
        }
        Kind::Choice(parts) => parts.iter().collect(),
        Kind::Call { target, arguments, .. } => target.as_deref().into_iter().chain(arguments).collect(),
        Kind::List(items) => items.iter().collect(),
        Kind::Map(entries) => entries.iter().flat_map(|(key, value)| [key, value]).collect(),
    }
}

/// The text of a name, shared.
pub(super) fn name(text: &Text) -> Name {
    Arc::from(text.value.as_str())
}
