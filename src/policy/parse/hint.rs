//! What to write instead: signs and words of other languages, characters that word processors put in, and texts and
//! numbers that are nearly right.

use std::ops::Range;

use super::Wrong;
use super::token::Token;

pub(super) const QUOTE_IN_TEXT: &str =
    "a quote inside of a text is written `\\'`, or the text goes between quotes of the other kind";
pub(super) const CHOICE: &str = "a choice is written `condition ? value : other`";
pub(super) const NO_TEMPLATE: &str = "an expression stands by itself, without `{{ }}` or `${ }` around it";

/// Signs of other languages, with what stands for them here.
pub(super) fn foreign(sign: &str) -> Option<&'static str> {
    Some(match sign {
        "=" | "===" | ":=" => "`==` compares",
        "!==" | "<>" => "write `!=`",
        "=<" => "write `<=`",
        "=>" => "write `>=`, or `? :` for a choice",
        "<=>" => "write `==`, `<` or `>`",
        "=~" | "~" => "write `x.matches('…')`",
        "!~" => "write `!x.matches('…')`",
        "&" => "write `&&`",
        "|" => "write `||`",
        "->" | "::" => "write `.`",
        "??" => "write `x != null ? x : other`",
        "**" | "^" => "there are no powers",
        ";" => "an expression is one condition; `&&` joins two",
        "#" => "a remark begins with `//`, or stands outside of the expression",
        "$" => NO_TEMPLATE,
        "@" => "names have no sign before them",
        "`" => "a text stands between `'` or `\"`",
        "\\" => "an escape stands within quotes",
        "…" => "write it out",
        _ => return None,
    })
}

/// Reserved words of CEL. Behind a `.` they are names like all others.
pub(super) fn reserved(word: &str) -> Option<&'static str> {
    Some(match word {
        "if" | "else" => CHOICE,
        "for" | "while" | "loop" => "`list.all(x, …)` and `list.exists(x, …)` look at each element",
        "let" | "var" | "const" => "named conditions stand under `let:` in the file",
        "as" | "break" | "continue" | "function" | "import" | "package" | "namespace" | "return" | "void" => "",
        _ => return None,
    })
}

pub(super) fn strange(c: char, place: Range<usize>) -> Wrong {
    let help = match c {
        '“' | '”' | '„' | '‟' | '«' | '»' | '″' => "write `\"`",
        '‘' | '’' | '‚' | '‛' | '′' | '´' => "write `'`",
        '≤' => "write `<=`",
        '≥' => "write `>=`",
        '≠' => "write `!=`",
        '∧' => "write `&&`",
        '∨' => "write `||`",
        '¬' => "write `!`",
        '×' => "write `*`",
        '÷' => "write `/`",
        '−' | '–' | '—' => "write `-`",
        '∈' => "write `in`",
        c if c.is_alphabetic() => "names are of the letters a to z, digits and `_`; others are written `record['…']`",
        c if c.is_whitespace() || c.is_control() || is_invisible(c) => {
            let message = format!("an invisible character (U+{:04X})", u32::from(c));
            return Wrong::new(place, message).help("delete it, or write a plain space");
        }
        _ => return Wrong::new(place, format!("unexpected `{c}`")),
    };
    Wrong::new(place, format!("unexpected `{c}`")).help(help)
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

pub(super) fn is_number(number: &str, after: Option<Token<'_>>, place: Range<usize>) -> Result<(), Wrong> {
    let digits = number.strip_suffix(['u', 'U']).unwrap_or(number);
    let fits = match digits.strip_prefix("0x") {
        Some(hex) => !hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit()),
        None => {
            let whole = digits.bytes().all(|b| b.is_ascii_digit());
            whole || digits.len() == number.len() && digits.parse::<f64>().is_ok()
        }
    };
    if fits {
        return Ok(());
    }
    let wrong = Wrong::new(place, format!("`{number}` is no number"));
    let plain: String = number.chars().filter(|c| *c != '_').collect();
    Err(match (number.contains('_') && plain.bytes().all(|b| b.is_ascii_digit()), after) {
        (true, _) => wrong.help(format!("digits are written without separators: {plain}")),
        _ => wrong.help("write all digits: 10000, 0.5, 1e6"),
    })
}

/// The escapes of CEL's texts; raw ones have none.
pub(super) fn has_escapes(text: &str, place: Range<usize>) -> Result<(), Wrong> {
    if text.split(['"', '\'']).next().is_some_and(|prefix| prefix.contains(['r', 'R'])) {
        return Ok(());
    }
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        if c != '\\' {
            continue;
        }
        let Some((_, escape)) = chars.next() else { break };
        let digits = match escape {
            'x' | 'X' => 2,
            'u' => 4,
            'U' => 8,
            '0'..='3' => 2,
            'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\' | '?' | '"' | '\'' | '`' => continue,
            _ => {
                let from = place.start + at;
                let wrong = Wrong::new(from..from + 1 + escape.len_utf8(), format!("`\\{escape}` is no escape"));
                return Err(wrong.help(format!("write `\\\\{escape}`, or `r` before the text: r'…\\{escape}…'")));
            }
        };
        let radix = if escape.is_ascii_digit() { 8 } else { 16 };
        if (0..digits).any(|_| chars.next().is_none_or(|(_, digit)| !digit.is_digit(radix))) {
            let from = place.start + at;
            let message = format!("`\\{escape}` needs {digits} more digits");
            return Err(Wrong::new(from..from + 1 + escape.len_utf8(), message));
        }
    }
    Ok(())
}
