//! CEL text -> a syntax tree with places. The `cel` crate parses and does nothing else here.
//!
//! Its parser recurses without a limit and aborts the process on deep input, so text is bounded before (length, tokens,
//! nesting) and the tree after (depth), and [`on_large_stack`] gives it room. Macros stay unexpanded. Its messages are
//! those of a parser generator; people get others.

mod hint;
mod lower;
mod message;
mod token;

use std::ops::Range;
use std::sync::Arc;

use super::ir::{EachKind, Operator};
use crate::diagnostic::Diagnostic;
use crate::model::Name;
use crate::yaml::Text;
use token::Token;

/// Of the tree of a condition. Evaluation recurses as deep.
pub(super) const MAX_DEPTH: usize = 48;
const STACK: usize = 64 << 20;

/// How large a text and its tree may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) bytes: usize,
    pub(super) tokens: usize,
    pub(super) nesting: usize,
    pub(super) depth: usize,
}

/// Of what a policy may say.
const LIMITS: Limits = Limits { bytes: 2048, tokens: 512, nesting: 24, depth: MAX_DEPTH };

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
    Uint(u64),
    /// With its digits as written, without a sign.
    Double(f64, String),
    String(Name),
    Bytes(Arc<[u8]>),
    Name(String),
    /// `.name`: never a variable.
    Absolute(String),
    Member(Box<Node>, String),
    Index(Box<Node>, Box<Node>),
    /// `a.?b`
    MaybeMember(Box<Node>, String),
    /// `a[?b]`
    MaybeIndex(Box<Node>, Box<Node>),
    Not(Box<Node>),
    Negate(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Choice(Box<[Node; 3]>),
    Binary(Operator, Box<Node>, Box<Node>),
    Has(Box<Node>),
    Each(Box<Each>),
    Bind(Box<Bind>),
    Then(Box<Then>),
    Call {
        function: String,
        target: Option<Box<Node>>,
        arguments: Vec<Node>,
    },
    List(Vec<Item>),
    Map(Vec<Entry>),
}

/// `range.all(x, body)` and its like; those that make something may test each element by `filter` first.
#[derive(Clone, Debug)]
pub(super) struct Each {
    pub(super) kind: EachKind,
    pub(super) range: Node,
    /// Of the element or key, or of the index or key and of the value.
    pub(super) variables: Vec<Variable>,
    pub(super) filter: Option<Node>,
    pub(super) body: Node,
}

/// `cel.bind(variable, value, body)`
#[derive(Clone, Debug)]
pub(super) struct Bind {
    pub(super) variable: Variable,
    pub(super) value: Node,
    pub(super) body: Node,
}

/// `of.optMap(variable, body)` or, where the body is an optional itself, `optFlatMap`.
#[derive(Clone, Debug)]
pub(super) struct Then {
    pub(super) of: Node,
    pub(super) variable: Variable,
    pub(super) body: Node,
    pub(super) flat: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) span: Range<usize>,
}

/// Of a list; `[?x]` where it is optional.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) optional: bool,
    pub(super) node: Node,
}

/// Of a map; `{?k: x}` where it is optional.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) optional: bool,
    pub(super) key: Node,
    pub(super) value: Node,
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
    match read(&text.value, &LIMITS) {
        Ok(node) => Some(node),
        Err(wrong) => {
            let mut diagnostic = Diagnostic::error("cel-syntax", text.part(wrong.at), wrong.message);
            diagnostic.help = wrong.help;
            diagnostics.push(diagnostic);
            None
        }
    }
}

#[derive(Debug)]
pub(super) struct Wrong {
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

pub(super) fn read(source: &str, limits: &Limits) -> Result<Node, Wrong> {
    bounded(source, limits)?;
    // The generated parser is not ours: should it panic, this one expression is wrong and the others are still read.
    let parsed = std::panic::catch_unwind(|| {
        // Without a library there are no macros; names between backticks are those of members that are no words.
        cel::Env::default().parser().enable_ident_escape_syntax(true).parse_with_source_info(source)
    });
    let (tree, places) = match parsed {
        Ok(Ok(parsed)) => parsed,
        Ok(Err(errors)) => {
            let first = errors.errors.into_iter().next().map(|error| (error.pos, error.msg));
            let (position, message) = first.unwrap_or_default();
            return Err(message::explain(source, position, &message));
        }
        Err(_) => return Err(Wrong::new(0..source.trim_end().len(), "this expression can't be read")),
    };
    lower::tree(&tree, source, &places, limits.depth)
}

/// Limits before parsing. Where a text's end is not certain, nothing is read: it would hide brackets from being counted.
fn bounded(source: &str, limits: &Limits) -> Result<(), Wrong> {
    if source.len() > limits.bytes {
        let message = format!("an expression of {} bytes; at most {} are allowed", source.len(), limits.bytes);
        return Err(Wrong::new(0..source.trim_end().len(), message));
    }
    let (mut open, mut before) = (Vec::new(), None);
    for (count, (token, at)) in token::tokens(source).into_iter().enumerate() {
        if count == limits.tokens {
            let message = format!("an expression of more than {} words and signs", limits.tokens);
            return Err(Wrong::new(at.start..source.len(), message));
        }
        match token {
            Token::Open(_) => return Err(message::explain(source, (1, 1), "")),
            Token::Text(text) => hint::has_escapes(text, at.clone())?,
            // Before what is optional; everywhere else it begins a choice.
            Token::Sign("?") if matches!(before, Some(Token::Sign("." | "[" | "{" | ","))) => {}
            Token::Sign(sign @ ("(" | "[" | "{" | "?" | "??")) => open.extend(sign.chars()),
            // Of a choice; that of a map closes nothing.
            Token::Sign(":") if open.last() == Some(&'?') => drop(open.pop()),
            Token::Sign(")" | "]" | "}") => while open.pop() == Some('?') {},
            _ => {}
        }
        if open.len() > limits.nesting {
            return Err(Wrong::new(at, format!("nested more than {} levels deep", limits.nesting)));
        }
        before = Some(token);
    }
    Ok(())
}

/// The text of a name, shared.
pub(super) fn name(text: &Text) -> Name {
    Arc::from(text.value.as_str())
}
