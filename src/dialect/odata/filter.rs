//! A client's `$filter`, parsed: a tree of comparisons of properties with literals of their types. Properties are the table's
//! own or, one step along a to-one navigation property, the related record's.
//!
//! Precedence is OData's: `not` before `and` before `or` (OData 4.01, URL conventions, section 5.1.1.14). Depth and number of
//! comparisons are bounded, and so is what is said of a text that doesn't parse: nothing.

use super::token::{Token, tokens};
use crate::api::{FieldId, Operator, Shape, Table};
use crate::dialect::{Comparison, Condition, value};
use crate::model::Name;
use crate::model::value::Type;

/// Parentheses and negations within each other.
const MAX_DEPTH: usize = 32;
const MAX_COMPARISONS: usize = 200;

/// `None`: it is refused, whatever the cause.
pub(super) fn parse(table: &Table, text: &str) -> Option<Condition> {
    let tokens = tokens(text)?;
    let mut parser = Parser { table, rest: &tokens, comparisons: 0 };
    let condition = parser.either(0)?;
    parser.rest.is_empty().then_some(condition)
}

struct Parser<'a, 't> {
    table: &'a Table,
    rest: &'a [Token<'t>],
    comparisons: usize,
}

impl<'a, 't> Parser<'a, 't> {
    fn peek(&self) -> Option<&'a Token<'t>> {
        self.rest.first()
    }

    fn next(&mut self) -> Option<&'a Token<'t>> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    /// Takes the token if it comes next.
    fn takes(&mut self, token: &Token<'_>) -> bool {
        let found = self.peek().is_some_and(|next| next == token);
        if found {
            self.next();
        }
        found
    }

    fn expect(&mut self, token: &Token<'_>) -> Option<()> {
        self.takes(token).then_some(())
    }

    fn either(&mut self, depth: usize) -> Option<Condition> {
        let mut parts = vec![self.both(depth)?];
        while self.takes(&Token::Word("or")) {
            parts.push(self.both(depth)?);
        }
        Some(if parts.len() == 1 { parts.remove(0) } else { Condition::Or(parts) })
    }

    fn both(&mut self, depth: usize) -> Option<Condition> {
        let mut parts = vec![self.part(depth)?];
        while self.takes(&Token::Word("and")) {
            parts.push(self.part(depth)?);
        }
        Some(if parts.len() == 1 { parts.remove(0) } else { Condition::And(parts) })
    }

    fn part(&mut self, depth: usize) -> Option<Condition> {
        if depth == MAX_DEPTH {
            return None;
        }
        match self.peek()? {
            Token::Word("not") => {
                self.next();
                self.part(depth + 1).map(|part| Condition::Not(Box::new(part)))
            }
            Token::Open => {
                self.next();
                let inner = self.either(depth + 1)?;
                self.expect(&Token::Close)?;
                Some(inner)
            }
            Token::Word(word) => {
                self.next();
                match (searching(word), self.peek()) {
                    (Some(operator), Some(Token::Open)) => self.search(operator),
                    _ => self.comparison(self.scalar(word)?),
                }
            }
            literal @ (Token::Bare(_) | Token::Text(_)) => {
                self.next();
                self.mirrored(literal)
            }
            Token::Close | Token::Comma => None,
        }
    }

    /// `contains(name,'x')`, which may be compared with a bool.
    fn search(&mut self, operator: Operator) -> Option<Condition> {
        self.expect(&Token::Open)?;
        let Token::Word(word) = self.next()? else { return None };
        let of = self.scalar(word)?;
        self.expect(&Token::Comma)?;
        let text = self.next()?;
        self.expect(&Token::Close)?;
        let Token::Text(text) = text else { return None };
        let found = self.is(of, operator, text)?;
        let equals = self.takes(&Token::Word("eq"));
        if !equals && !self.takes(&Token::Word("ne")) {
            return Some(found);
        }
        match self.next()? {
            Token::Word("true") if equals => Some(found),
            Token::Word("false") if !equals => Some(found),
            Token::Word("true" | "false") => Some(Condition::Not(Box::new(found))),
            _ => None,
        }
    }

    /// What follows a property; alone it is a bool.
    fn comparison(&mut self, of: Property<'a>) -> Option<Condition> {
        let operator = match self.peek() {
            Some(Token::Word("in")) => {
                self.next();
                return self.among(of);
            }
            Some(Token::Word(word)) => match operator(word) {
                Some(operator) => operator,
                None => return self.bool(of),
            },
            _ => return self.bool(of),
        };
        self.next();
        let literal = self.next()?;
        self.compared(of, operator, literal)
    }

    fn bool(&mut self, of: Property<'a>) -> Option<Condition> {
        of.is(&Type::Bool).then(|| self.is(of, Operator::Equal, "true"))?
    }

    /// `7 lt amount`.
    fn mirrored(&mut self, literal: &Token<'_>) -> Option<Condition> {
        let Token::Word(word) = self.next()? else { return None };
        let operator = match operator(word)? {
            Operator::Less => Operator::Greater,
            Operator::LessOrEqual => Operator::GreaterOrEqual,
            Operator::Greater => Operator::Less,
            Operator::GreaterOrEqual => Operator::LessOrEqual,
            same => same,
        };
        let Token::Word(word) = self.next()? else { return None };
        let of = self.scalar(word)?;
        self.compared(of, operator, literal)
    }

    fn among(&mut self, of: Property<'a>) -> Option<Condition> {
        self.expect(&Token::Open)?;
        let mut parts = Vec::new();
        loop {
            let literal = self.next()?;
            parts.push(self.compared(of, Operator::Equal, literal)?);
            match self.next()? {
                Token::Comma => {}
                Token::Close => return Some(Condition::Or(parts)),
                _ => return None,
            }
        }
    }

    fn compared(&mut self, of: Property<'a>, operator: Operator, literal: &Token<'_>) -> Option<Condition> {
        let is_text = of.is(&Type::String);
        match literal {
            Token::Text(text) if is_text => self.is(of, operator, text),
            Token::Bare(text) if !is_text => self.is(of, operator, text),
            Token::Word(text @ ("true" | "false")) if of.is(&Type::Bool) => self.is(of, operator, text),
            Token::Word("null") => match operator {
                Operator::Equal => self.is(of, Operator::Null, "true"),
                Operator::NotEqual => self.is(of, Operator::Null, "false"),
                _ => None,
            },
            _ => None,
        }
    }

    fn is(&mut self, of: Property<'a>, operator: Operator, text: &str) -> Option<Condition> {
        let Property { through, field, kind } = of;
        self.comparisons += 1;
        let fits = self.comparisons <= MAX_COMPARISONS && value::fits(kind, operator, text);
        let value = fits.then(|| super::plain(kind, text.to_owned()))??;
        Some(Condition::Is(Comparison { through, field, operator, value }))
    }

    fn scalar(&self, name: &str) -> Option<Property<'a>> {
        let names: Vec<Name> = name.split('/').map(Name::from).collect();
        let (through, field) = self.table.column(&names)?;
        match &self.table.reached(through, field)?.shape {
            shape @ Shape::Plain(kind) if value::is_scalar(shape) => Some(Property { through, field, kind }),
            Shape::Plain(_) | Shape::One { .. } | Shape::Many { .. } => None,
        }
    }
}

/// A property of a type that is compared.
#[derive(Clone, Copy)]
struct Property<'t> {
    through: Option<FieldId>,
    field: FieldId,
    kind: &'t Type,
}

impl Property<'_> {
    fn is(&self, kind: &Type) -> bool {
        self.kind == kind
    }
}

fn operator(word: &str) -> Option<Operator> {
    Some(match word {
        "eq" => Operator::Equal,
        "ne" => Operator::NotEqual,
        "lt" => Operator::Less,
        "le" => Operator::LessOrEqual,
        "gt" => Operator::Greater,
        "ge" => Operator::GreaterOrEqual,
        _ => return None,
    })
}

fn searching(word: &str) -> Option<Operator> {
    Some(match word {
        "contains" => Operator::Contains,
        "startswith" => Operator::StartsWith,
        "endswith" => Operator::EndsWith,
        _ => return None,
    })
}
