//! The text of a client's search, read so that it looks for words and does nothing else.

/// Bytes of a search.
pub(super) const MAX_TEXT: usize = 256;
const MAX_WORDS: usize = 10;

/// The words and phrases of OData's `$search` (4.01, part 2, section 5.1.8), all of which are looked for. `None`: it is
/// empty, too long, or combines them in another way.
pub(super) fn words(text: &str) -> Option<Vec<String>> {
    let mut found: Vec<String> = Vec::new();
    let mut rest = plain(text)?.trim_start_matches(' ');
    while !rest.is_empty() {
        let (word, behind) = match rest.strip_prefix('"') {
            Some(phrase) => phrase.split_once('"').filter(|(phrase, _)| !phrase.contains('\\'))?,
            None => {
                let end = rest.find(' ').unwrap_or(rest.len());
                rest.split_at_checked(end).filter(|(word, _)| is_word(word))?
            }
        };
        if word.trim_matches(' ').is_empty()
            || found.len() == MAX_WORDS
            || !(behind.is_empty() || behind.starts_with(' '))
        {
            return None;
        }
        found.push(word.to_owned());
        rest = behind.trim_start_matches(' ');
    }
    (!found.is_empty()).then_some(found)
}

/// A text for a search of which only the parameter is known: words without signs that many a search takes for an operator,
/// a pattern or the name of a field. `None`: it is empty or too long, or holds others.
pub(super) fn harmless(text: &str) -> Option<&str> {
    let text = plain(text)?;
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '.' | '@' | '_' | '-' | '\'' | ',');
    let mut words = text.split(' ').filter(|word| !word.is_empty()).peekable();
    let any = words.peek().is_some();
    let fine = words.all(|word| is_word(word) && !word.starts_with(['-', '\'']));
    (any && fine && text.chars().all(is_plain)).then_some(text)
}

/// Of characters that show, as long as a search may be.
pub(super) fn plain(text: &str) -> Option<&str> {
    (!text.is_empty() && text.len() <= MAX_TEXT && !text.chars().any(char::is_control)).then_some(text)
}

/// Whether it is no operator, and holds no sign of one.
fn is_word(word: &str) -> bool {
    !matches!(word, "AND" | "OR" | "NOT" | "NEAR" | "TO") && !word.contains(['"', '(', ')', '\\'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_phrases_are_looked_for_and_operators_are_refused() {
        for (text, expected) in [
            ("ada", &["ada"][..]),
            (" ada  lovelace ", &["ada", "lovelace"]),
            ("\"ada lovelace\" x", &["ada lovelace", "x"]),
            ("\"NOT\" not or", &["NOT", "not", "or"]),
            ("it's 50% a:b", &["it's", "50%", "a:b"]),
        ] {
            assert_eq!(
                words(text).as_deref(),
                Some(&expected.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>()[..]),
                "{text}"
            );
        }
        let long = "a".repeat(MAX_TEXT + 1);
        let many = "a ".repeat(MAX_WORDS + 1);
        for text in [
            "",
            " ",
            "\"\"",
            "\" \"",
            "\"a",
            "a\"b\"",
            "\"a\"b",
            "a AND b",
            "a OR b",
            "NOT a",
            "OR",
            "(a)",
            "a)",
            "a\\b",
            "\"a\\\"b\"",
            "a\u{0}",
            "a\nb",
            &long,
            &many,
        ] {
            assert_eq!(words(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_search_of_which_nothing_is_known_gets_words_alone() {
        for text in ["ada", "Ada Lovelace", "ada@x.example", "O'Neil", "a-b_c.d", "Ünal, x"] {
            assert_eq!(harmless(text), Some(text));
        }
        for text in [
            "", " ", "ssn:1", "a*", "a?", "~a", "\"a b\"", "-a", "b -a", "+a", "a OR b", "NOT a", "(a)", "a|b", "a&b",
            "a/b", "%", "[1 TO 2]", "a\\b", "{a}", "$a", "=1", "<a", "'a",
        ] {
            assert_eq!(harmless(text), None, "{text:?}");
        }
    }
}
