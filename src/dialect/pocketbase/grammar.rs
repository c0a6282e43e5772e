//! PocketBase's filter language: what a client may write of it, and the one way in which the gateway writes it.
//!
//! A filter is read whole into an [`Expression`] or refused whole; what is sent is printed from the expression alone. The
//! server drops comments, knows fields of the request and of other collections, and reads a quote behind a backslash in two
//! ways, so all of these are mistakes here. `&&` binds tighter than `||`, as it does there, and every group that is
//! printed has its parentheses.

use std::iter::Peekable;
use std::str::CharIndices;

use thiserror::Error;

/// Bytes of a client's filter; the server takes 3500 with what the gateway adds.
pub const MAX_FILTER: usize = 1600;
/// Comparisons of a client's filter; the server takes 200 with what the gateway adds.
pub const MAX_COMPARISONS: usize = 80;
/// Parentheses within each other.
pub const MAX_DEPTH: usize = 16;
/// Characters of a number: more than any 64-bit float needs without a power of ten.
const MAX_NUMBER: usize = 32;

/// A filter, understood. Groups hold two parts at least.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Comparison(Comparison),
}

/// A field and what it is compared with; a literal on the left was turned around.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// As it was written: names with dots between them lead through relations.
    pub path: String,
    pub sign: Sign,
    pub literal: Literal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// Contains, or matches a pattern with `%`; letters of either case are one.
    Like,
    NotLike,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    Text(String),
    /// Digits, with a sign and a fraction if it has them.
    Number(String),
    Bool(bool),
    /// Equals the empty text too.
    Null,
}

/// Why a filter is none that can be judged. A client is told nothing but that.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Mistake {
    #[error("not a filter")]
    Syntax,
    #[error("longer than a filter may be")]
    TooLong,
    #[error("more comparisons than a filter may have")]
    TooMany,
    #[error("parentheses too deep within each other")]
    TooDeep,
    #[error("a comment hides the rest from some readers")]
    Comment,
    #[error("a macro such as `@now` has no value that could be judged")]
    Macro,
    #[error("`@request` is about the gateway's own request")]
    Request,
    #[error("`@collection` reaches other tables")]
    Collection,
    #[error("a modifier such as `:lower` or `:length` makes another value of a field")]
    Modifier,
    #[error("a function has no value that could be judged")]
    Function,
    #[error("two fields, or two literals, are compared with each other")]
    Operands,
    #[error("a text that can't be quoted in one way for every reader")]
    Text,
}

/// Reads a client's filter.
pub fn parse(text: &str) -> Result<Expression, Mistake> {
    if text.len() > MAX_FILTER {
        return Err(Mistake::TooLong);
    }
    let mut parser = Parser { text, chars: text.char_indices().peekable(), comparisons: 0 };
    let expression = parser.any(0)?;
    match parser.token()? {
        None => Ok(expression),
        Some(_) => Err(Mistake::Syntax),
    }
}

/// All of these. `None`: there are none.
pub fn conjunction(parts: Vec<Expression>) -> Option<Expression> {
    (!parts.is_empty()).then(|| one_or(parts, Expression::All))
}

/// Any of these. `None`: there are none.
pub fn disjunction(parts: Vec<Expression>) -> Option<Expression> {
    (!parts.is_empty()).then(|| one_or(parts, Expression::Any))
}

/// Prints an expression. `None`: a text of it can't be quoted.
pub fn print(expression: &Expression) -> Option<String> {
    let mut out = String::new();
    write(expression, &mut out)?;
    Some(out)
}

fn write(expression: &Expression, out: &mut String) -> Option<()> {
    let (parts, joint) = match expression {
        Expression::All(parts) => (parts, " && "),
        Expression::Any(parts) => (parts, " || "),
        Expression::Comparison(Comparison { path, sign, literal }) => {
            out.push_str(path);
            out.push_str(sign.word());
            return write_literal(literal, out);
        }
    };
    out.push('(');
    for (number, part) in parts.iter().enumerate() {
        if number > 0 {
            out.push_str(joint);
        }
        write(part, out)?;
    }
    out.push(')');
    Some(())
}

fn write_literal(literal: &Literal, out: &mut String) -> Option<()> {
    match literal {
        Literal::Text(text) => {
            is_quotable(text).then_some(())?;
            out.push('\'');
            for c in text.chars() {
                if c == '\'' {
                    out.push('\\');
                }
                out.push(c);
            }
            out.push('\'');
        }
        Literal::Number(number) => {
            is_number(number).then_some(())?;
            out.push_str(number);
        }
        Literal::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Literal::Null => out.push_str("null"),
    }
    Some(())
}

/// Whether a text stays itself between quotes, however many parentheses are around it. A quote behind a backslash, or a
/// backslash at the end, is read as an escape in one place and as itself in another; a NUL ends the whole filter.
pub fn is_quotable(text: &str) -> bool {
    let mut escaping = false;
    for c in text.chars() {
        if c.is_control() || escaping && matches!(c, '\'' | '"') {
            return false;
        }
        escaping = c == '\\';
    }
    !escaping
}

/// Whether a text is a number that the server reads, in its one spelling: it knows no powers of ten.
pub fn is_number(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    let whole = whole.strip_prefix('-').unwrap_or(whole);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.len() <= MAX_NUMBER
        && digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
}

impl Sign {
    /// The longest first, where one begins another.
    const ALL: [Self; 8] = [
        Self::NotEqual,
        Self::NotLike,
        Self::LessOrEqual,
        Self::GreaterOrEqual,
        Self::Equal,
        Self::Like,
        Self::Less,
        Self::Greater,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Like => "~",
            Self::NotLike => "!~",
        }
    }

    /// What it is with its sides turned around. A pattern has its own side.
    fn turned(self) -> Option<Self> {
        match self {
            Self::Equal | Self::NotEqual => Some(self),
            Self::Less => Some(Self::Greater),
            Self::LessOrEqual => Some(Self::GreaterOrEqual),
            Self::Greater => Some(Self::Less),
            Self::GreaterOrEqual => Some(Self::LessOrEqual),
            Self::Like | Self::NotLike => None,
        }
    }
}

#[derive(Debug, PartialEq)]
enum Token {
    Open,
    Close,
    And,
    Or,
    Sign(Sign),
    Path(String),
    Literal(Literal),
}

struct Parser<'t> {
    text: &'t str,
    chars: Peekable<CharIndices<'t>>,
    comparisons: usize,
}

impl Parser<'_> {
    /// Recursion is bounded by [`MAX_DEPTH`].
    fn any(&mut self, depth: usize) -> Result<Expression, Mistake> {
        let mut parts = vec![self.all(depth)?];
        while self.follows("||") {
            self.token()?;
            parts.push(self.all(depth)?);
        }
        Ok(one_or(parts, Expression::Any))
    }

    fn all(&mut self, depth: usize) -> Result<Expression, Mistake> {
        let mut parts = vec![self.part(depth)?];
        while self.follows("&&") {
            self.token()?;
            parts.push(self.part(depth)?);
        }
        Ok(one_or(parts, Expression::All))
    }

    fn part(&mut self, depth: usize) -> Result<Expression, Mistake> {
        match self.token()?.ok_or(Mistake::Syntax)? {
            Token::Open if depth == MAX_DEPTH => Err(Mistake::TooDeep),
            Token::Open => {
                let inner = self.any(depth + 1)?;
                match self.token()? {
                    Some(Token::Close) => Ok(inner),
                    _ => Err(Mistake::Syntax),
                }
            }
            left @ (Token::Path(_) | Token::Literal(_)) => self.comparison(left),
            Token::Close | Token::And | Token::Or | Token::Sign(_) => Err(Mistake::Syntax),
        }
    }

    fn comparison(&mut self, left: Token) -> Result<Expression, Mistake> {
        let Some(Token::Sign(sign)) = self.token()? else { return Err(Mistake::Syntax) };
        let right = self.token()?.ok_or(Mistake::Syntax)?;
        self.comparisons += 1;
        if self.comparisons > MAX_COMPARISONS {
            return Err(Mistake::TooMany);
        }
        let (path, sign, literal) = match (left, right) {
            (Token::Path(path), Token::Literal(literal)) => (path, sign, literal),
            (Token::Literal(literal), Token::Path(path)) => (path, sign.turned().ok_or(Mistake::Operands)?, literal),
            (Token::Path(_), Token::Path(_)) | (Token::Literal(_), Token::Literal(_)) => return Err(Mistake::Operands),
            _ => return Err(Mistake::Syntax),
        };
        Ok(Expression::Comparison(Comparison { path, sign, literal }))
    }

    fn rest(&mut self) -> &str {
        let at = self.chars.peek().map_or(self.text.len(), |(at, _)| *at);
        self.text.get(at..).unwrap_or_default()
    }

    /// Spaces, tabs and line feeds are all that separates to the server.
    fn space(&mut self) {
        while self.chars.next_if(|(_, c)| matches!(c, ' ' | '\t' | '\n')).is_some() {}
    }

    /// Whether these characters stand next.
    fn follows(&mut self, what: &str) -> bool {
        self.space();
        self.rest().starts_with(what)
    }

    fn take(&mut self, what: &str) -> bool {
        let found = self.rest().starts_with(what);
        if found {
            for _ in what.chars() {
                self.chars.next();
            }
        }
        found
    }

    fn token(&mut self) -> Result<Option<Token>, Mistake> {
        self.space();
        let Some((_, first)) = self.chars.peek().copied() else { return Ok(None) };
        let token = match first {
            '(' | ')' => {
                self.chars.next();
                if first == '(' { Token::Open } else { Token::Close }
            }
            '&' if self.take("&&") => Token::And,
            '|' if self.take("||") => Token::Or,
            '/' if self.take("//") => return Err(Mistake::Comment),
            '\'' | '"' => Token::Literal(Literal::Text(self.quoted(first)?)),
            '0'..='9' | '-' => Token::Literal(Literal::Number(self.number()?)),
            '=' | '!' | '<' | '>' | '~' | '?' => Token::Sign(self.sign()?),
            '@' | '#' | '_' | 'a'..='z' | 'A'..='Z' => self.name()?,
            _ => return Err(Mistake::Syntax),
        };
        Ok(Some(token))
    }

    /// With a question mark before it, a sign asks for any of several values; a field of one value has no others.
    fn sign(&mut self) -> Result<Sign, Mistake> {
        self.take("?");
        let sign = Sign::ALL.into_iter().find(|sign| self.take(sign.word())).ok_or(Mistake::Syntax)?;
        let more = |c: char| matches!(c, '=' | '!' | '<' | '>' | '~' | '?');
        if self.rest().starts_with(more) { Err(Mistake::Syntax) } else { Ok(sign) }
    }

    fn quoted(&mut self, quote: char) -> Result<String, Mistake> {
        self.chars.next();
        let mut text = String::new();
        while let Some((_, c)) = self.chars.next() {
            if c == quote {
                return if is_quotable(&text) { Ok(text) } else { Err(Mistake::Text) };
            }
            // A quote behind a backslash stands for itself; another backslash before it makes it mean two things.
            if c == '\\' && self.chars.next_if(|(_, next)| *next == quote).is_some() {
                if text.ends_with('\\') {
                    return Err(Mistake::Text);
                }
                text.push(quote);
            } else {
                text.push(c);
            }
        }
        Err(Mistake::Syntax)
    }

    fn number(&mut self) -> Result<String, Mistake> {
        let mut number = String::new();
        while let Some((_, c)) = self.chars.next_if(|(_, c)| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'))
        {
            number.push(c);
        }
        if is_number(&number) { Ok(number) } else { Err(Mistake::Syntax) }
    }

    fn name(&mut self) -> Result<Token, Mistake> {
        let mut name = String::new();
        let part = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '@' | '#' | ':');
        while let Some((_, c)) = self.chars.next_if(|(_, c)| part(c)) {
            name.push(c);
        }
        if self.rest().starts_with('(') {
            return Err(Mistake::Function);
        }
        if let Some(name) = name.strip_prefix('@') {
            let root = name.split(['.', ':']).next().unwrap_or_default();
            return Err(match root {
                "request" => Mistake::Request,
                "collection" => Mistake::Collection,
                _ => Mistake::Macro,
            });
        }
        if name.contains(':') {
            return Err(Mistake::Modifier);
        }
        if name.contains(['@', '#']) {
            return Err(Mistake::Syntax);
        }
        Ok(match name.to_ascii_lowercase().as_str() {
            "null" => Token::Literal(Literal::Null),
            "true" => Token::Literal(Literal::Bool(true)),
            "false" => Token::Literal(Literal::Bool(false)),
            _ => Token::Path(name),
        })
    }
}

fn one_or(mut parts: Vec<Expression>, group: fn(Vec<Expression>) -> Expression) -> Expression {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            group(parts)
        }
        None => group(parts),
    }
}

#[cfg(test)]
mod tests;
