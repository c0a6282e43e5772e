//! Why a text is no expression, in words that name what was written and what to write instead.
//!
//! Asked only once the parser has refused a text. It walks the words and signs as a reader does, from the left, and
//! stops at the first that can't stand where it stands. Where it finds nothing, the parser's own place is all there is.

use std::ops::Range;

use super::Wrong;
use super::hint::{CHOICE, NO_TEMPLATE, QUOTE_IN_TEXT, foreign, has_escapes, is_number, reserved, strange};
use super::token::{Token, rest, tokens};

/// What is open where a word stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Group,
    Call,
    Index,
    List,
    /// Of a map, before its colon.
    Key,
    /// Of a map, behind its colon.
    Entry,
    /// Between `?` and `:`.
    Choice,
}

impl Open {
    fn closer(self) -> &'static str {
        match self {
            Self::Group | Self::Call => ")",
            Self::Index | Self::List => "]",
            Self::Key | Self::Entry => "}",
            Self::Choice => ":",
        }
    }
}

/// What is wrong with a text that the parser refused with this message at this place.
pub(super) fn explain(source: &str, (line, column): (isize, isize), message: &str) -> Wrong {
    let mut walk = Walk { source, tokens: tokens(source), open: Vec::new(), wants_value: true };
    walk.wrong().unwrap_or_else(|| at_place(source, line, column, message))
}

/// The word at the place that the parser names.
fn at_place(source: &str, line: isize, column: isize, message: &str) -> Wrong {
    let line = usize::try_from(line).unwrap_or(1).max(1);
    let column = usize::try_from(column).unwrap_or(1).max(1);
    let start: usize = source.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let at = start + rest(source, start).char_indices().nth(column - 1).map_or(0, |(at, _)| at);
    let found = tokens(source).into_iter().find(|(_, place)| place.end > at);
    let place = found.map_or(source.trim_end().len().saturating_sub(1)..source.len(), |(_, place)| place);
    let word = source.get(place.clone()).unwrap_or_default();
    if message.contains("invalid int literal") {
        let help = "the largest whole number is 9223372036854775807";
        return Wrong::new(place, format!("`{word}` is too large for a whole number")).help(help);
    }
    if message.contains("invalid double literal") {
        return Wrong::new(place, format!("`{word}` is too large for a number"));
    }
    let shown = short(word);
    Wrong::new(place, format!("unexpected `{shown}`"))
}

struct Walk<'s> {
    source: &'s str,
    tokens: Vec<(Token<'s>, Range<usize>)>,
    open: Vec<(Open, Range<usize>)>,
    /// A value must come next; else an operator, or the end.
    wants_value: bool,
}

impl<'s> Walk<'s> {
    fn wrong(&mut self) -> Option<Wrong> {
        let mut skip_to = 0;
        for index in 0..self.tokens.len() {
            if index < skip_to {
                continue;
            }
            let Some((token, place)) = self.tokens.get(index).cloned() else { break };
            let step = match token {
                Token::Strange(c) => Err(strange(c, place)),
                Token::Open(_) => Err(Wrong::new(place, "a text without its closing quote")),
                Token::Sign(sign) if let Some(help) = foreign(sign) => {
                    Err(Wrong::new(place, format!("unexpected `{sign}`")).help(help))
                }
                _ if self.wants_value => self.value(index, token, place),
                _ => self.operator(index, token, place),
            };
            match step {
                Ok(used) => skip_to = index + used,
                Err(wrong) => return Some(wrong),
            }
        }
        self.end()
    }

    fn token(&self, index: Option<usize>) -> Option<Token<'s>> {
        index.and_then(|index| self.tokens.get(index)).map(|(token, _)| *token)
    }

    fn top(&self) -> Option<Open> {
        self.open.last().map(|(open, _)| *open)
    }

    /// How many tokens were taken.
    fn value(&mut self, index: usize, token: Token<'s>, place: Range<usize>) -> Result<usize, Wrong> {
        let (before, after) = (self.token(index.checked_sub(1)), self.token(Some(index + 1)));
        match token {
            Token::Sign("-" | "!") => return Ok(1),
            Token::Sign("(") => self.open.push((Open::Group, place)),
            Token::Sign("[") => self.open.push((Open::List, place)),
            Token::Sign("{") => self.open.push((Open::Key, place)),
            Token::Sign(".") if matches!(after, Some(Token::Word(_))) => {}
            Token::Sign("?")
                if matches!(self.top(), Some(Open::List | Open::Key | Open::Index))
                    && matches!(before, Some(Token::Sign("[" | "{" | ","))) => {}
            Token::Sign(sign @ (")" | "]" | "}")) => {
                let empty = match (self.top(), before) {
                    (Some(Open::Call), Some(Token::Sign("("))) => sign == ")",
                    (Some(Open::List), Some(Token::Sign("[" | ","))) => sign == "]",
                    (Some(Open::Key), Some(Token::Sign("{" | ","))) => sign == "}",
                    _ => false,
                };
                if !empty {
                    return Err(self.no_value(index, place));
                }
                self.open.pop();
                self.wants_value = false;
            }
            Token::Sign(_) | Token::Word("in") => return Err(self.no_value(index, place)),
            Token::Word(word) => {
                self.first_word(word, after, index, place)?;
                self.wants_value = false;
            }
            Token::Number(number) => {
                is_number(number, after, place)?;
                self.wants_value = false;
            }
            Token::Text(text) => {
                has_escapes(text, place)?;
                self.wants_value = false;
            }
            Token::Open(_) | Token::Strange(_) => {}
        }
        Ok(1)
    }

    fn first_word(&self, word: &str, after: Option<Token<'_>>, index: usize, place: Range<usize>) -> Result<(), Wrong> {
        if let Some(help) = reserved(word) {
            let wrong = Wrong::new(place, format!("`{word}` is a reserved word and no name"));
            return Err(if help.is_empty() { wrong } else { wrong.help(help) });
        }
        let followed = matches!(after, Some(Token::Word(_) | Token::Number(_) | Token::Text(_)))
            && after != Some(Token::Word("in"));
        match word.to_ascii_lowercase().as_str() {
            "not" if followed || after == Some(Token::Sign("(")) => {
                Err(Wrong::new(place, format!("unexpected `{word}`")).help("write `!`, and `!=` for \"is not\""))
            }
            "and" | "or" if followed => Err(self.no_value(index, place)),
            _ => Ok(()),
        }
    }

    /// Something stands where a value should.
    fn no_value(&self, index: usize, place: Range<usize>) -> Wrong {
        let found = self.source.get(place.clone()).unwrap_or_default();
        let before = self.tokens.get(index.wrapping_sub(1));
        let wrong = match before {
            Some((_, before)) if place.start > 0 => {
                let before = self.source.get(before.clone()).unwrap_or_default();
                Wrong::new(place, format!("expected a value between `{before}` and `{found}`"))
            }
            _ => Wrong::new(place, format!("expected a value before `{found}`")),
        };
        match self.source.trim_start().starts_with("{{") {
            true => wrong.help(NO_TEMPLATE),
            false => wrong,
        }
    }

    fn operator(&mut self, index: usize, token: Token<'s>, place: Range<usize>) -> Result<usize, Wrong> {
        let (before, after) = (self.token(index.checked_sub(1)), self.token(Some(index + 1)));
        match token {
            Token::Word("in") => self.wants_value = true,
            Token::Word(word) => return Err(self.infix(word, before, index, place)),
            Token::Number(number) if number.starts_with('.') => {
                let help = "an element of a list is read as `list[0]`";
                return Err(Wrong::new(place, format!("expected an operator before `{number}`")).help(help));
            }
            Token::Text(_) if matches!(before, Some(Token::Text(_))) && self.touches(index) => {
                return Err(Wrong::new(place, "a second text directly behind the first").help(QUOTE_IN_TEXT));
            }
            Token::Number(_) | Token::Text(_) => return Err(self.no_operator(place)),
            Token::Sign("&&" | "||" | "==" | "!=" | "<" | "<=" | ">" | ">=" | "+" | "-" | "*" | "/" | "%") => {
                self.wants_value = true;
            }
            Token::Sign("?") if after == Some(Token::Sign(".")) && self.touches(index) => {
                let help = "a declared field is always there: write `.`; a nullable one is compared with `null`";
                return Err(Wrong::new(place, "unexpected `?.`").help(help));
            }
            Token::Sign("?") => {
                self.open.push((Open::Choice, place));
                self.wants_value = true;
            }
            Token::Sign(":") => self.colon(place)?,
            Token::Sign(",") => self.comma(before, after, place)?,
            Token::Sign(".") => {
                let name = if after == Some(Token::Sign("?")) { index + 2 } else { index + 1 };
                return match self.token(Some(name)) {
                    Some(Token::Word(_)) => Ok(name + 1 - index),
                    found => Err(no_name(found, before, place)),
                };
            }
            Token::Sign("(") if matches!(before, Some(Token::Word(_))) => {
                self.open.push((Open::Call, place));
                self.wants_value = true;
            }
            Token::Sign("[") => {
                self.open.push((Open::Index, place));
                self.wants_value = true;
            }
            Token::Sign("{") if matches!(before, Some(Token::Word(_))) => {
                self.open.push((Open::Key, place));
                self.wants_value = true;
            }
            Token::Sign(sign @ (")" | "]" | "}")) => self.close(sign, place)?,
            Token::Sign("!") => {
                return Err(Wrong::new(place, "unexpected `!`").help("`!` stands before what it negates"));
            }
            Token::Sign(_) => return Err(self.no_operator(place)),
            Token::Open(_) | Token::Strange(_) => {}
        }
        Ok(1)
    }

    fn no_operator(&self, place: Range<usize>) -> Wrong {
        let found = short(self.source.get(place.clone()).unwrap_or_default());
        if self.top() == Some(Open::Key) {
            return Wrong::new(place, format!("expected `:` before `{found}`"));
        }
        let wrong = Wrong::new(place, format!("expected an operator before `{found}`"));
        wrong.help("`&&` joins what must both hold, `||` what may")
    }

    /// Whether no white space stands before a token.
    fn touches(&self, index: usize) -> bool {
        let end = index.checked_sub(1).and_then(|index| self.tokens.get(index)).map(|(_, place)| place.end);
        self.tokens.get(index).is_some_and(|(_, place)| Some(place.start) == end)
    }

    /// A word where an operator should be: one of another language, or none at all.
    fn infix(&self, word: &str, before: Option<Token<'_>>, index: usize, place: Range<usize>) -> Wrong {
        if matches!(before, Some(Token::Text(_))) && self.touches(index) {
            return Wrong::new(place, "a word directly behind a text").help(QUOTE_IN_TEXT);
        }
        let next = match self.token(Some(index + 1)) {
            Some(Token::Word(next)) => next.to_ascii_lowercase(),
            _ => String::new(),
        };
        let help = match (word.to_ascii_lowercase().as_str(), next.as_str()) {
            ("and", _) => "write `&&`",
            ("or", _) => "write `||`",
            ("not", "in") => "write `!(x in list)`",
            ("not", "like") | ("like" | "ilike" | "rlike" | "regexp", _) => {
                "write `x.startsWith('…')`, `x.endsWith('…')`, `x.contains('…')` or `x.matches('…')`"
            }
            ("is", "not") => "write `!= null`",
            ("is", _) => "write `== null`, or `==` for other values",
            ("in", _) => "write `in` in lower case",
            ("between", _) => "write `x >= a && x <= b`",
            ("contains" | "matches", _) => &*format!("call it: `x.{word}('…')`"),
            ("startswith" | "starts", _) => "call it: `x.startsWith('…')`",
            ("endswith" | "ends", _) => "call it: `x.endsWith('…')`",
            ("eq" | "equals", _) => "write `==`",
            ("ne" | "neq", _) => "write `!=`",
            ("lt", _) => "write `<`",
            ("le" | "lte", _) => "write `<=`",
            ("gt", _) => "write `>`",
            ("ge" | "gte", _) => "write `>=`",
            ("mod", _) => "write `%`",
            ("then" | "else" | "when", _) => CHOICE,
            _ => return self.no_operator(place),
        };
        Wrong::new(place, format!("unexpected `{word}`")).help(help)
    }

    fn colon(&mut self, place: Range<usize>) -> Result<(), Wrong> {
        match self.open.last_mut() {
            Some((Open::Choice, _)) => {
                self.open.pop();
            }
            Some((key @ Open::Key, _)) => *key = Open::Entry,
            _ => return Err(Wrong::new(place, "unexpected `:`").help(CHOICE)),
        }
        self.wants_value = true;
        Ok(())
    }

    fn comma(&mut self, before: Option<Token<'_>>, after: Option<Token<'_>>, place: Range<usize>) -> Result<(), Wrong> {
        self.wants_value = true;
        match self.open.last_mut() {
            Some((Open::Call | Open::List, _)) => Ok(()),
            Some((entry @ Open::Entry, _)) => {
                *entry = Open::Key;
                Ok(())
            }
            Some((Open::Choice, question)) => Err(no_branch(question.clone())),
            Some((Open::Key, _)) => Err(Wrong::new(place, "expected `:` and a value before `,`")),
            Some((Open::Group, _)) => {
                let help = "a list is written in brackets: `x in ['a', 'b']`";
                Err(Wrong::new(place, "unexpected `,` between parentheses").help(help))
            }
            _ if matches!((before, after), (Some(Token::Number(_)), Some(Token::Number(_)))) => {
                Err(Wrong::new(place, "unexpected `,`").help("digits are written without separators: 1000, 2.5"))
            }
            _ => Err(Wrong::new(place, "unexpected `,`").help("`&&` joins what must both hold, `||` what may")),
        }
    }

    fn close(&mut self, sign: &str, place: Range<usize>) -> Result<(), Wrong> {
        let Some((open, from)) = self.open.pop() else {
            let help = self.source.contains("${").then_some(NO_TEMPLATE);
            let wrong = Wrong::new(place, format!("unexpected `{sign}`: nothing is open that it closes"));
            return Err(help.into_iter().fold(wrong, Wrong::help));
        };
        match open {
            Open::Choice => Err(no_branch(from)),
            Open::Key if sign == "}" && self.source.trim_start().starts_with("{{") => {
                Err(Wrong::new(from, "unexpected `{`").help(NO_TEMPLATE))
            }
            Open::Key if sign == "}" => Err(Wrong::new(place, "expected `:` and a value before `}`")),
            _ if open.closer() != sign => {
                let message = format!("expected `{}` before `{sign}`", open.closer());
                Err(Wrong::new(place, message))
            }
            _ => Ok(()),
        }
    }

    fn end(&self) -> Option<Wrong> {
        if self.wants_value {
            return Some(match self.tokens.last() {
                Some((_, place)) => {
                    let last = self.source.get(place.clone()).unwrap_or_default();
                    Wrong::new(place.clone(), format!("expected a value after `{last}`"))
                }
                None => Wrong::new(0..self.source.len(), "an expression without a word"),
            });
        }
        let (open, place) = self.open.last()?.clone();
        if open == Open::Choice {
            return Some(no_branch(place));
        }
        let opener = self.source.get(place.clone()).unwrap_or_default();
        let message = format!("expected `{}`: this `{opener}` is not closed", open.closer());
        Some(Wrong::new(place, message))
    }
}

fn no_branch(question: Range<usize>) -> Wrong {
    Wrong::new(question, "expected `:` and the value for the other case: this `?` has one branch").help(CHOICE)
}

fn no_name(found: Option<Token<'_>>, before: Option<Token<'_>>, dot: Range<usize>) -> Wrong {
    let wrong = Wrong::new(dot, "expected a name after `.`");
    match (found, before) {
        (_, Some(Token::Number(number))) => wrong.help(format!("write `{number}.0`, or leave the point out")),
        (Some(Token::Strange(_) | Token::Text(_) | Token::Sign("`")), _) => {
            wrong.help("a name with other signs than letters, digits and `_` is written `record['…']`")
        }
        (Some(Token::Sign("*")), _) => wrong.help("fields are named one by one"),
        _ => wrong,
    }
}

/// A word as a message can hold it.
fn short(word: &str) -> String {
    const LONGEST: usize = 24;
    if word.chars().count() <= LONGEST { word.to_owned() } else { word.chars().take(LONGEST).chain(['…']).collect() }
}

#[cfg(test)]
mod tests;
