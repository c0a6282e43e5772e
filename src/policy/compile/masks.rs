//! Which masks fit a field, and what is offered where one doesn't.
//!
//! What a mask shows is told to clients by its type, so a constant has to be a value of its field's. Any field may be
//! masked with null: no document says of a masked one that it is never null.

use jiff::{SignedDuration, Timestamp};

use crate::api::Shape;
use crate::model::Value;
use crate::model::value::Type;
use crate::policy::Mask;
use crate::policy::decision::Truncation;
use crate::policy::decode;

/// Why a field of this shape can't be shown so, and what would help.
pub(super) fn misfit(shape: &Shape, mask: &Mask) -> Option<(&'static str, Option<String>)> {
    let Shape::Plain(of) = shape else {
        return Some(("is a relation, which is shown in clear or not at all", None));
    };
    let message = match mask {
        Mask::Partial => "is no string, as this mask needs",
        Mask::Last4 | Mask::Tokenise => "is no string or int, as this mask needs",
        Mask::Truncate(Truncation::Month | Truncation::Year) => "is no date or timestamp, as this mask needs",
        Mask::Truncate(Truncation::Bucket(_)) => "is no number, as this mask needs",
        Mask::Constant(_) => "is not of the constant's type",
        Mask::Hash => "is no single value or list of them, as this mask needs",
        Mask::Null => "",
    };
    let help = || match (mask, spelled(of)) {
        (Mask::Constant(_), Some(spelled)) => spelled.to_owned(),
        _ => offered(of),
    };
    (!fits(mask, of)).then(|| (message, Some(help())))
}

/// Of a list each element is masked, so what fits these fits the list.
fn fits(mask: &Mask, of: &Type) -> bool {
    let each = match of {
        Type::List(of) => of,
        of => of,
    };
    match mask {
        Mask::Partial => *each == Type::String,
        Mask::Last4 | Mask::Tokenise => matches!(each, Type::String | Type::Int),
        Mask::Truncate(Truncation::Month | Truncation::Year) => matches!(each, Type::Date | Type::Timestamp),
        Mask::Truncate(Truncation::Bucket(_)) => matches!(each, Type::Int | Type::Double | Type::Decimal),
        Mask::Hash => each.is_primitive(),
        Mask::Constant(value) => is_of(value, of),
        Mask::Null => true,
    }
}

/// The masks that a field of this type can have.
fn offered(of: &Type) -> String {
    let words = [
        ("`partial`", fits(&Mask::Partial, of)),
        ("`last4`", fits(&Mask::Last4, of)),
        ("`truncate` to `month` or `year`", fits(&Mask::Truncate(Truncation::Month), of)),
        ("`truncate` to a number", fits(&Mask::Truncate(Truncation::Bucket(1)), of)),
        ("`tokenise`", fits(&Mask::Tokenise, of)),
        ("`hash`", fits(&Mask::Hash, of)),
        ("`constant`", spelled(of).is_some()),
        ("`null`", fits(&Mask::Null, of)),
    ];
    let words: Vec<&str> = words.into_iter().filter(|(_, fits)| *fits).map(|(word, _)| word).collect();
    format!("what {of} can have: {}", words.join(", "))
}

/// Whether a constant is a value of this type.
fn is_of(value: &Value, of: &Type) -> bool {
    match (of, value) {
        (Type::Bool, Value::Bool(_))
        | (Type::Int, Value::Int(_))
        | (Type::Double | Type::Decimal, Value::Int(_))
        | (Type::Decimal, Value::Decimal(_))
        | (Type::String, Value::String(_)) => true,
        (Type::Double, Value::Decimal(number)) => number.to_string().parse().is_ok_and(f64::is_finite),
        (Type::Date, Value::String(text)) => text.len() == "2024-05-31".len() && decode::timestamp(text).is_some(),
        (Type::Timestamp, Value::String(text)) => text.parse::<Timestamp>().is_ok(),
        (Type::Duration, Value::String(text)) => {
            decode::duration(text).is_some() || text.parse::<SignedDuration>().is_ok()
        }
        _ => false,
    }
}

/// How values of a type are written. `None`: no constant is one.
fn spelled(of: &Type) -> Option<&'static str> {
    Some(match of {
        Type::Bool => "`true` or `false`, without quotes",
        Type::Int => "a whole number, without quotes",
        Type::Double | Type::Decimal => "a number, without quotes",
        Type::String => "to YAML this is no text; quote it",
        Type::Date => "a date, as \"2024-05-31\"",
        Type::Timestamp => "a time with its offset, as \"2024-05-31T12:00:00Z\"",
        Type::Duration => "a duration, as \"1h30m\"",
        Type::List(_) | Type::Map(_) | Type::Json => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::value::Decimal;

    fn of(text: &str) -> Type {
        Type::parse(text).expect("a type")
    }

    #[test]
    fn a_constant_is_a_value_of_its_fields_type() {
        let decimal = |text| Value::Decimal(Decimal::parse(text).expect("a number"));
        let text = |text: &str| Value::string(text);
        for (types, value) in [
            ("bool", Value::Bool(true)),
            ("int double decimal", Value::Int(0)),
            ("double decimal", decimal("0.5")),
            ("decimal", decimal("1e400")),
            ("string date", text("2024-05-31")),
            ("string timestamp", text("2024-05-31T12:00:00Z")),
            ("string timestamp", text("2024-05-31T12:00:00.5+02:00")),
            ("string duration", text("1h30m")),
            ("string duration", text("PT1H")),
            ("string duration", text("-2.5s")),
            ("string", text("2024-02-30")),
            ("string", text("2024-05-31T12:00:00")),
            ("string", text("2024-05")),
            ("string", text("hidden")),
            ("string", text("5")),
            ("string", text("true")),
        ] {
            let all = "bool int double decimal string date timestamp duration json list(string) map(string)";
            let fitting: Vec<&str> = all.split(' ').filter(|name| is_of(&value, &of(name))).collect();
            let wanted: Vec<&str> = all.split(' ').filter(|name| types.split(' ').any(|word| word == *name)).collect();
            assert_eq!(fitting, wanted, "{value:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_told_with_what_would() {
        for (name, words) in [
            ("string", "`partial`, `last4`, `tokenise`, `hash`, `constant`, `null`"),
            ("int", "`last4`, `truncate` to a number, `tokenise`, `hash`, `constant`, `null`"),
            ("decimal", "`truncate` to a number, `hash`, `constant`, `null`"),
            ("double", "`truncate` to a number, `hash`, `constant`, `null`"),
            ("date", "`truncate` to `month` or `year`, `hash`, `constant`, `null`"),
            ("bool", "`hash`, `constant`, `null`"),
            ("duration", "`hash`, `constant`, `null`"),
            ("list(string)", "`partial`, `last4`, `tokenise`, `hash`, `null`"),
            ("list(int)", "`last4`, `truncate` to a number, `tokenise`, `hash`, `null`"),
            ("list(timestamp)", "`truncate` to `month` or `year`, `hash`, `null`"),
            ("list(list(string))", "`null`"),
            ("list(json)", "`null`"),
            ("map(string)", "`null`"),
            ("json", "`null`"),
        ] {
            assert_eq!(offered(&of(name)), format!("what {name} can have: {words}"));
        }
        let (message, help) = misfit(&Shape::Plain(of("json")), &Mask::Hash).expect("no hash of it");
        assert_eq!(message, "is no single value or list of them, as this mask needs");
        assert_eq!(help.as_deref(), Some("what json can have: `null`"));
        assert_eq!(misfit(&Shape::Plain(of("json")), &Mask::Null), None);
    }
}
