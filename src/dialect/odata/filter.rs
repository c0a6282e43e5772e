//! A client's `$filter`, parsed: a tree of comparisons of the table's own properties with literals of their types.
//!
//! Precedence is OData's: `not` before `and` before `or` (OData 4.01, URL conventions, section 5.1.1.14). Depth and number of
//! comparisons are bounded, and so is what is said of a text that doesn't parse: nothing.

use super::token::{Token, tokens};
use crate::api::{FieldId, Operator, Shape, Table};
use crate::dialect::{Comparison, Condition, value};
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
        let field = self.scalar(word)?;
        self.expect(&Token::Comma)?;
        let text = self.next()?;
        self.expect(&Token::Close)?;
        let Token::Text(text) = text else { return None };
        let found = self.is(field, operator, text)?;
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
    fn comparison(&mut self, field: FieldId) -> Option<Condition> {
        let operator = match self.peek() {
            Some(Token::Word("in")) => {
                self.next();
                return self.among(field);
            }
            Some(Token::Word(word)) => match operator(word) {
                Some(operator) => operator,
                None => return self.bool(field),
            },
            _ => return self.bool(field),
        };
        self.next();
        let literal = self.next()?;
        self.compared(field, operator, literal)
    }

    fn bool(&mut self, field: FieldId) -> Option<Condition> {
        self.is_of(field, &Type::Bool).then(|| self.is(field, Operator::Equal, "true"))?
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
        let field = self.scalar(word)?;
        self.compared(field, operator, literal)
    }

    fn among(&mut self, field: FieldId) -> Option<Condition> {
        self.expect(&Token::Open)?;
        let mut parts = Vec::new();
        loop {
            let literal = self.next()?;
            parts.push(self.compared(field, Operator::Equal, literal)?);
            match self.next()? {
                Token::Comma => {}
                Token::Close => return Some(Condition::Or(parts)),
                _ => return None,
            }
        }
    }

    fn compared(&mut self, field: FieldId, operator: Operator, literal: &Token<'_>) -> Option<Condition> {
        let is_text = self.is_of(field, &Type::String);
        match literal {
            Token::Text(text) if is_text => self.is(field, operator, text),
            Token::Bare(text) if !is_text => self.is(field, operator, text),
            Token::Word(text @ ("true" | "false")) if self.is_of(field, &Type::Bool) => self.is(field, operator, text),
            Token::Word("null") => match operator {
                Operator::Equal => self.is(field, Operator::Null, "true"),
                Operator::NotEqual => self.is(field, Operator::Null, "false"),
                _ => None,
            },
            _ => None,
        }
    }

    fn is(&mut self, field: FieldId, operator: Operator, text: &str) -> Option<Condition> {
        let Shape::Plain(kind) = &self.table.field(field).shape else { return None };
        self.comparisons += 1;
        let fits = self.comparisons <= MAX_COMPARISONS && value::fits(kind, operator, text);
        let value = fits.then(|| super::plain(kind, text.to_owned()))??;
        Some(Condition::Is(Comparison { field, operator, value }))
    }

    fn scalar(&self, name: &str) -> Option<FieldId> {
        self.table.field_named(name).filter(|field| value::is_scalar(&self.table.field(*field).shape))
    }

    fn is_of(&self, field: FieldId, kind: &Type) -> bool {
        matches!(&self.table.field(field).shape, Shape::Plain(of) if of == kind)
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
