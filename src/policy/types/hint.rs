//! What to write in place of words that are right elsewhere: names of other languages, functions of other libraries, and
//! operators between types that have none.

use super::super::ir::Operator;
use super::{Checker, Kind, ROOTS, Typed};
use crate::policy::parse::Node;

/// What is meant by a name that nothing has.
pub(super) fn name(name: &str) -> String {
    let known = match name.to_ascii_lowercase().as_str() {
        "true" => "write `true`",
        "false" => "write `false`",
        "null" | "none" | "nil" | "undefined" => "write `null`",
        "user" | "caller" | "subject" | "me" | "self" | "actor" | "identity" | "claims" | "token" => {
            "the caller is `principal`"
        }
        "row" | "object" | "resource" | "entity" | "item" | "this" | "doc" | "data" => "the record is `record`",
        "new" | "next" | "input" => "the record as it would be is `after`, in `check`",
        "old" | "before" | "current" => "the record as it stands is `record`",
        "today" | "time" | "date" | "timestamp" => "the time is `now`",
        "org" | "organization" | "organisation" | "app" => "the tenant is `tenant`",
        "headers" | "method" | "ip" | "http" => "the request is `request`",
        _ => return format!("known here: {}", ROOTS.join(", ")),
    };
    known.to_owned()
}

/// What is meant by a function that nothing has.
pub(super) fn function(name: &str) -> Option<String> {
    let known = match name.to_ascii_lowercase().as_str() {
        "not" => "write `!`",
        "and" => "write `&&`",
        "or" => "write `||`",
        "len" | "length" | "count" => "write `size(x)`",
        "lower" | "tolower" | "tolowercase" | "lowercase" => "write `x.lowerAscii()`",
        "upper" | "toupper" | "touppercase" | "uppercase" => "write `x.upperAscii()`",
        "includes" | "like" | "strpos" => "write `x.contains(y)`",
        "regex" | "regexp" | "match" | "test" => "write `x.matches('^…$')`",
        "any" | "some" => "write `list.exists(x, …)`",
        "every" => "write `list.all(x, …)`",
        "now" | "today" | "currenttime" => "write `now`",
        "date" | "datetime" | "todate" => "write `timestamp('2025-01-31T00:00:00Z')`",
        "isnull" | "is_null" => "write `x == null`",
        "coalesce" | "ifnull" | "nvl" => "write `x != null ? x : other`",
        "tostring" | "str" => "write `string(x)`",
        "toint" | "number" | "integer" => "write `int(x)`",
        "hasrole" | "isinrole" => "write `principal.has_role('…')`",
        _ => return None,
    };
    Some(known.to_owned())
}

/// What to write where an operator is not defined between two types.
pub(super) fn operator(operator: Operator, a: &Kind, b: &Kind) -> Option<&'static str> {
    match (operator, a, b) {
        (Operator::In, Kind::String, Kind::String) => Some("write `y.contains(x)`, or a list: `x in ['a', 'b']`"),
        (Operator::In, _, Kind::Int | Kind::Double | Kind::Bool) => Some("write a list: `x in [1, 2]`"),
        (_, Kind::Duration, Kind::Int | Kind::Double) | (_, Kind::Int | Kind::Double, Kind::Duration) => {
            Some("write `duration('720h')`")
        }
        (_, Kind::Bool, _) | (_, _, Kind::Bool) if !operator.is_arithmetic() => {
            Some("a comparison is true or false; join two with `&&`: `a < b && b < c`")
        }
        _ => None,
    }
}

/// What to write in place of a pattern that can't be used.
pub(super) fn pattern(pattern: &str) -> Option<String> {
    let has = |signs: &[&str]| signs.iter().any(|sign| pattern.contains(sign));
    let help = if has(&["(?=", "(?!", "(?<=", "(?<!"]) {
        "there is no looking ahead or behind: join two patterns with `&&`, or negate one"
    } else if has(&["\\1", "\\2", "\\k<"]) {
        "there are no back-references: a pattern takes linear time"
    } else if pattern.contains('{') && pattern.contains('.') {
        "`.` and `\\w` are every letter of every script: `[a-z]` or `(?-u:\\w)` are smaller; `size(x)` bounds a length"
    } else {
        return None;
    };
    Some(help.to_owned())
}

impl Checker<'_, '_> {
    /// `!x == y` negates `x` alone, which is not what it reads like where `x` is no condition.
    pub(super) fn negated(&mut self, typed: Typed, of: &Node) -> Option<Typed> {
        if matches!(typed.kind, Kind::Bool | Kind::Any) {
            return Some(typed);
        }
        let message = format!("`!` negates a condition, but this is of type `{}`", typed.kind);
        let help = "write `x != y`, or put parentheses around what is negated: `!(x == y)`";
        self.fail("not-a-condition", &of.span, message, Some(help.to_owned()));
        None
    }
}
