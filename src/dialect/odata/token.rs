//! The words of a `$filter` (OData 4.01 ABNF, `boolCommonExpr`), as far as filters that can be judged have them.

/// Bytes of one `$filter`.
pub(super) const MAX_TEXT: usize = 8 * 1024;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'t> {
    Open,
    Close,
    Comma,
    /// A name, an operator or a word such as `null`; with a slash in it, a path.
    Word(&'t str),
    /// A number, a date or an instant.
    Bare(&'t str),
    /// The text between two quotes, in which two quotes were one.
    Text(String),
}

/// `None`: a character that no such filter has, or a text without an end.
pub(super) fn tokens(text: &str) -> Option<Vec<Token<'_>>> {
    if text.len() > MAX_TEXT {
        return None;
    }
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (token, behind) = match first {
            ' ' => {
                rest = rest.trim_start_matches(' ');
                continue;
            }
            '(' => (Token::Open, rest.get(1..)?),
            ')' => (Token::Close, rest.get(1..)?),
            ',' => (Token::Comma, rest.get(1..)?),
            '\'' => quoted(rest.get(1..)?)?,
            c if c.is_ascii_alphabetic() || c == '_' => {
                let (word, behind) = cut(rest, |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '/'))?;
                (Token::Word(word), behind)
            }
            c if c.is_ascii_digit() || c == '-' => {
                let (bare, behind) = cut(rest, |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.' | ':'))?;
                (Token::Bare(bare), behind)
            }
            _ => return None,
        };
        // Two words that touch are one to some and two to others.
        let touches = |token: &Token<'_>| matches!(token, Token::Word(_) | Token::Bare(_) | Token::Text(_));
        if touches(&token) && behind.starts_with(|c: char| !matches!(c, ' ' | '(' | ')' | ',')) {
            return None;
        }
        tokens.push(token);
        rest = behind;
    }
    Some(tokens)
}

fn cut(text: &str, is_inside: impl Fn(char) -> bool) -> Option<(&str, &str)> {
    text.split_at_checked(text.find(|c| !is_inside(c)).unwrap_or(text.len()))
}

fn quoted(text: &str) -> Option<(Token<'_>, &str)> {
    let mut content = String::new();
    let mut rest = text;
    loop {
        let (part, behind) = rest.split_once('\'')?;
        content.push_str(part);
        match behind.strip_prefix('\'') {
            Some(more) => {
                content.push('\'');
                rest = more;
            }
            None => return Some((Token::Text(content), behind)),
        }
    }
}
