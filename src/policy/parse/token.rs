//! The words and signs of an expression with their places. What the parser accepted or refused is looked at here again,
//! for people: to say what is wrong and to underline all of what is meant. It never decides what an expression means.

use std::ops::Range;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'s> {
    Word(&'s str),
    Number(&'s str),
    /// With its quotes.
    Text(&'s str),
    /// A text whose closing quote is missing, up to the end.
    Open(&'s str),
    Sign(&'s str),
    /// A character that no expression holds outside of a text.
    Strange(char),
}

/// Longest first. Some are of other languages, so that they are named whole.
const SIGNS: [&str; 49] = [
    "===", "!==", "<=>", "&&", "||", "==", "!=", "<=", ">=", "<>", "=<", "=>", "=~", "!~", "->", "::", ":=", "??",
    "**", "&", "|", "=", "^", "~", "(", ")", "[", "]", "{", "}", ",", ".", ":", "?", "+", "-", "*", "/", "%", "<", ">",
    "!", ";", "#", "$", "@", "`", "\\", "…",
];

/// Splits a text of any content; comments and white space are left out.
pub(super) fn tokens<'s>(source: &'s str) -> Vec<(Token<'s>, Range<usize>)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(first) = rest(source, at).chars().next() {
        let here = rest(source, at);
        if matches!(first, ' ' | '\t' | '\r' | '\n' | '\u{c}') {
            at += 1;
            continue;
        }
        if here.starts_with("//") {
            at += here.find('\n').unwrap_or(here.len());
            continue;
        }
        let (length, make): (usize, fn(&'s str) -> Token<'s>) = if let Some((length, closed)) = text(here) {
            (length, if closed { Token::Text } else { Token::Open })
        } else if is_word(first) && !first.is_ascii_digit() {
            (here.find(|c| !is_word(c)).unwrap_or(here.len()), Token::Word)
        } else if first.is_ascii_digit() || first == '.' && here.chars().nth(1).is_some_and(|c| c.is_ascii_digit()) {
            (number(here), Token::Number)
        } else if let Some(sign) = SIGNS.iter().find(|sign| here.starts_with(**sign)) {
            (sign.len(), Token::Sign)
        } else {
            (first.len_utf8(), |text| Token::Strange(text.chars().next().unwrap_or_default()))
        };
        found.push((make(here.get(..length).unwrap_or_default()), at..at + length));
        at += length;
    }
    found
}

pub(super) fn rest(source: &str, at: usize) -> &str {
    source.get(at..).unwrap_or_default()
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The length of a text that begins here, with its prefix and quotes, and whether it is closed.
fn text(here: &str) -> Option<(usize, bool)> {
    let prefix = here.find(['"', '\''])?;
    let raw = match here.get(..prefix)? {
        "" | "b" | "B" => false,
        "r" | "R" | "br" | "bR" | "Br" | "BR" => true,
        _ => return None,
    };
    let quoted = rest(here, prefix);
    let long = quoted.starts_with("\"\"\"") || quoted.starts_with("'''");
    let quote = quoted.get(..if long { 3 } else { 1 })?;
    let mut at = prefix + quote.len();
    loop {
        let inner = rest(here, at);
        let next = inner.chars().next();
        match next {
            _ if inner.starts_with(quote) => return Some((at + quote.len(), true)),
            None => return Some((here.len(), false)),
            Some('\n' | '\r') if !long => return Some((at, false)),
            Some('\\') if !raw => {
                at += 1 + inner.chars().nth(1).map_or(0, char::len_utf8);
            }
            Some(c) => at += c.len_utf8(),
        }
    }
}

/// Digits with whatever letters hang on to them, so that `10k` is one wrong number.
fn number(here: &str) -> usize {
    let mut last = ' ';
    let mut dotted = false;
    let mut chars = here.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next_is_digit = chars.peek().is_some_and(|(_, next)| next.is_ascii_digit());
        let hex = here.starts_with("0x");
        let goes_on = match c {
            '.' => !dotted && next_is_digit,
            '+' | '-' => !hex && matches!(last, 'e' | 'E') && next_is_digit,
            c => is_word(c),
        };
        if !goes_on {
            return at;
        }
        dotted |= c == '.';
        last = c;
    }
    here.len()
}

/// The brackets that belong together, as places of the opening and the closing one.
pub(super) fn brackets(source: &str) -> Vec<(usize, usize)> {
    let mut open = Vec::new();
    let mut pairs = Vec::new();
    for (token, at) in tokens(source) {
        match token {
            Token::Sign("(" | "[" | "{") => open.push(at.start),
            Token::Sign(")" | "]" | "}") => pairs.extend(open.pop().map(|open| (open, at.start))),
            _ => {}
        }
    }
    pairs
}

/// A part of an expression with all of each bracket that it holds one side of.
pub(super) fn balanced(mut part: Range<usize>, brackets: &[(usize, usize)]) -> Range<usize> {
    loop {
        let cut = brackets.iter().find(|(open, close)| {
            let (opens, closes) = (part.contains(open), part.contains(close));
            opens != closes
        });
        let Some((open, close)) = cut else { return part };
        part = part.start.min(*open)..part.end.max(close + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_split_as_people_read_it() {
        let shown = |source: &str| -> Vec<String> {
            tokens(source).iter().map(|(_, at)| source.get(at.clone()).expect("a place").to_owned()).collect()
        };
        assert_eq!(shown("record.a=='x y'&&!b"), ["record", ".", "a", "==", "'x y'", "&&", "!", "b"]);
        assert_eq!(shown(r"r'\' == '\'' // it's"), [r"r'\'", "==", r"'\''"]);
        assert_eq!(
            shown("1_000 10k 1.5e-3 .5 1.e 0x1F 3-2"),
            ["1_000", "10k", "1.5e-3", ".5", "1", ".", "e", "0x1F", "3", "-", "2"]
        );
        assert_eq!(shown("“x” ≠ é"), ["“", "x", "”", "≠", "é"]);
        assert_eq!(shown("'''it's''' 'open"), ["'''it's'''", "'open"]);
        assert_eq!(tokens("'open").first().map(|(token, _)| *token), Some(Token::Open("'open")));
        assert_eq!(tokens("'a\nb'").first().map(|(token, _)| *token), Some(Token::Open("'a")));
    }

    #[test]
    fn a_part_holds_both_sides_of_its_brackets() {
        let source = "(a || f(b)) && ')'";
        let brackets = brackets(source);
        let part = |from: &str, to: &str| {
            let start = source.find(from).expect("there");
            let end = source.find(to).expect("there") + to.len();
            source.get(balanced(start..end, &brackets)).expect("a place")
        };
        assert_eq!(part("b", "b"), "b");
        assert_eq!(part("(b", "b"), "(b)");
        assert_eq!(part("a", "(b"), "a || f(b)");
        assert_eq!(part("a", ")'"), source);
    }
}
