//! The types of fields and attributes, as files write them.

use super::{Reader, Text};
use crate::diagnostic::nearest;
use crate::model::value::Type;

impl Reader {
    /// `int`, `list(string)` and so on, or a diagnostic that offers the nearest.
    pub fn field_type(&mut self, text: &Text) -> Option<Type> {
        let of = Type::parse(&text.value);
        if of.is_none() {
            let help = match near(text.value.trim()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("one of {}, list(string), map(int)", Type::WORDS.join(", ")),
            };
            self.error("unknown-type", &text.span, format!("unknown type `{}`", text.value)).help = Some(help);
        }
        of
    }
}

/// The type that is most likely meant, also within a list or a map.
fn near(text: &str) -> Option<String> {
    for around in ["list", "map"] {
        let inner = text.strip_prefix(around).and_then(|rest| rest.strip_prefix('(')?.strip_suffix(')'));
        if let Some(inner) = inner {
            return near(inner).map(|inner| format!("{around}({inner})"));
        }
    }
    if Type::parse(text).is_some() { Some(text.to_owned()) } else { nearest(text, Type::WORDS).map(str::to_owned) }
}
