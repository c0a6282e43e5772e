//! One test by itself: whether it holds for every value or for none, fails for all, or compares what it seems not to.

use super::super::ir::{EachKind, Expr, Operator};
use super::super::parse::Kind as Syntax;
use super::atom::{Test, compared, is_whole};
use super::known;
use super::part::Part;
use super::{Lints, Of};
use crate::model::value::{Decimal, Type};
use crate::policy::value::Value;

/// That a test has one outcome.
pub(super) struct Verdict {
    pub(super) holds: bool,
    /// What the test is, after its own words: "is never true: …".
    pub(super) why: String,
    pub(super) help: Option<String>,
}

impl Verdict {
    pub(super) fn new(holds: bool, why: impl Into<String>) -> Self {
        Self { holds, why: why.into(), help: None }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl<'a> Lints<'a> {
    /// Looks at a test. Whether it has but one outcome, and that was said.
    pub(super) fn leaf(&mut self, part: Part<'a>, of: Of<'a>, negated: bool) -> bool {
        let errors = self.found.len();
        self.failures(part);
        if self.found.len() > errors {
            return true;
        }
        if let Some(Value::Bool(truth)) = part.constant() {
            self.literal(part, of, *truth);
            return true;
        }
        if let Some(verdict) = verdict(part) {
            let (code, often) = if verdict.holds { ("always-true", "always") } else { ("never-true", "never") };
            let message = format!("`{}` is {often} true: {}", part.shown(), verdict.why);
            self.error(code, part, message, verdict.help.as_deref());
            return true;
        }
        if self.role(part, of, negated) {
            return true;
        }
        self.doubts(part);
        self.pattern(part);
        if let Some([range, body]) = part.each() {
            self.over_nothing(part, range, of, negated);
            if !matches!(part.expr, Expr::Each(each) if each.kind == EachKind::Map) {
                self.condition(body, of, negated, &[]);
            }
        }
        false
    }

    /// `true` and `false` mean what they say, but not what a reader looks for.
    fn literal(&mut self, part: Part<'a>, of: Of<'a>, truth: bool) {
        let is_whole = part.text.value.trim() == part.shown();
        let help = match (of, truth) {
            (Of::Grant(_) | Of::Denial(_), true) if is_whole => "write `rows: all`",
            (Of::Grant(_), false) if is_whole => "leave the grant out; nothing is granted without one",
            (_, true) => "leave it out",
            (_, false) => "leave out what it switches off",
        };
        self.warning("constant-condition", part, format!("`{truth}` decides here, whatever is asked"), Some(help));
    }

    /// Parts in which nothing is open and which have no value.
    pub(super) fn failures(&mut self, part: Part<'a>) {
        if let Some(by) = zero_divisor(part) {
            return self.error("always-fails", by, "nothing can be divided by 0", None);
        }
        if part.is_open() {
            part.parts().into_iter().for_each(|part| self.failures(part));
        } else if matches!(part.folded(), Expr::Fails(_)) {
            // The smallest part that fails is the one to mend.
            let found = self.found.len();
            part.parts().into_iter().for_each(|part| self.failures(part));
            if self.found.len() == found {
                let (message, help) = failure(part);
                self.error("always-fails", part, message, help.as_deref());
            }
        }
    }

    /// What compares otherwise than it reads.
    fn doubts(&mut self, part: Part<'a>) {
        let (Expr::Binary(operator, ..), Some([a, b])) = (part.expr, part.sides()) else { return };
        let equality = matches!(operator, Operator::Equal | Operator::NotEqual);
        let condition = |part: Part<'_>| match part.expr {
            Expr::Binary(operator, ..) => !operator.is_arithmetic(),
            Expr::Not(_) | Expr::And(..) | Expr::Or(..) => true,
            _ => false,
        };
        for (side, other) in [(a, b), (b, a)] {
            if equality && condition(side) && matches!(other.constant(), Some(Value::Bool(_))) {
                let same = other.constant().is_some_and(|value| matches!(value, Value::Bool(true)))
                    == (*operator == Operator::Equal);
                let help = if same { "the condition alone says the same" } else { "write `!( … )`" };
                let message = format!("`{}` is true or false already", side.shown());
                self.warning("bool-compared", part, message, Some(help));
            }
        }
        if equality && (is_computed(a) || is_computed(b)) {
            let help = "compare with `<` and `>`, or with a number as it is written";
            self.warning("inexact-equality", part, "a computed number with a fraction is rarely equal", Some(help));
        }
        for (side, other) in [(a, b), (b, a)] {
            if let (Syntax::Double(number, digits), true) = (&other.node.kind, is_whole(side))
                && Decimal::parse(digits) != Decimal::parse(&number.abs().to_string())
            {
                let message = format!("`{}` is kept as {number}", other.shown());
                let help = "write the whole number without a fraction";
                self.warning("inexact-equality", other, message, Some(help));
            }
        }
        if let Some((value, test)) = compared(part) {
            match &test {
                Test::Below(bound, _) | Test::Above(bound, _) if looks_like_a_number(bound) => {
                    let help = "declare the field as a number, or convert it: `int(…)`";
                    self.warning(
                        "text-order",
                        part,
                        "texts are ordered letter by letter: '9' is above '10'",
                        Some(help),
                    );
                }
                Test::Below(bound, _) | Test::Above(bound, _) if is_whole(value) && has_fraction(bound) => {
                    let bound = if a.constant().is_some() { a } else { b };
                    let message = format!("`{}` is a whole number, and `{}` is none", value.shown(), bound.shown());
                    self.warning("fractional-bound", part, message, Some("write the bound without a fraction"));
                }
                _ => {}
            }
        }
    }

    /// `all` holds for an empty list, which grants what nobody looked at.
    fn over_nothing(&mut self, part: Part<'a>, range: Part<'a>, of: Of<'a>, negated: bool) {
        let all = matches!(part.expr, Expr::Each(each) if each.kind == EachKind::All);
        if !all || negated || matches!(of, Of::Denial(_)) || !range.is_open() {
            return;
        }
        let list = range.shown();
        // Whoever asks whether there is something knows.
        let asked =
            [format!("size({list})"), format!("{list}.size()"), format!("{list} != []"), format!("{list}.exists(")];
        if asked.iter().any(|asked| part.text.value.contains(asked)) {
            return;
        }
        let help = format!("if that is not meant, write `size({list}) > 0 && …`");
        self.warning("holds-for-empty", part, format!("`all` holds where `{list}` is empty"), Some(&help));
    }
}

/// The outcome that a test has for every record and every caller.
fn verdict(part: Part<'_>) -> Option<Verdict> {
    if let Some((function, on, texts)) = part.call() {
        let [(text, _)] = texts.as_slice() else { return settled(part) };
        return match function {
            "startsWith" | "endsWith" | "contains" if text.is_empty() => {
                Some(Verdict::new(true, "every text holds the empty one"))
            }
            "startsWith" | "endsWith" | "contains" => known::letters(on, text, false),
            _ => None,
        }
        .or_else(|| settled(part));
    }
    let (Expr::Binary(operator, ..), Some([a, b])) = (part.expr, part.sides()) else { return settled(part) };
    if a.is_same(b) {
        return match operator {
            Operator::Equal | Operator::LessOrEqual | Operator::GreaterOrEqual => {
                Some(Verdict::new(true, "both sides are the same"))
            }
            Operator::NotEqual | Operator::Less | Operator::Greater => {
                Some(Verdict::new(false, "both sides are the same"))
            }
            _ => None,
        };
    }
    if let [Some((one, a, _)), Some((two, b, _))] = [a.call(), b.call()]
        && matches!((one, two), ("lowerAscii", "upperAscii") | ("upperAscii", "lowerAscii"))
        && a.is_same(b)
    {
        let why = "the same text in small letters and in capital ones";
        return Some(Verdict::new(*operator == Operator::NotEqual, why));
    }
    let Some((value, test)) = compared(part) else { return settled(part) };
    match &test {
        Test::OneOf(values) if values.is_empty() => return Some(Verdict::new(false, "nothing lies in an empty list")),
        Test::Equal(constant) | Test::NotEqual(constant) if is_whole(value) && has_fraction(constant) => {
            let holds = matches!(test, Test::NotEqual(_));
            return Some(Verdict::new(holds, format!("`{}` is a whole number", value.shown())));
        }
        Test::OneOf(values) if is_whole(value) && values.iter().all(has_fraction) => {
            return Some(Verdict::new(false, format!("`{}` is a whole number", value.shown())));
        }
        _ => {}
    }
    known::bounds(value, &test).or_else(|| known::facts(value, &test)).or_else(|| match &test {
        Test::Equal(Value::String(text)) => known::letters(value, text, false),
        Test::NotEqual(Value::String(text)) => known::letters(value, text, true),
        _ => settled(part),
    })
}

/// The outcome of a test that asks neither the record nor the caller.
fn settled(part: Part<'_>) -> Option<Verdict> {
    if part.is_open() {
        return None;
    }
    match part.folded() {
        Expr::Constant(Value::Bool(holds)) => Some(Verdict::new(holds, "neither the record nor the caller decides it")),
        _ => None,
    }
}

fn has_fraction(value: &Value) -> bool {
    match value {
        Value::Double(number) => number.fract() != 0.0,
        Value::Decimal(number) => {
            let digits = number.to_string();
            digits.contains('.') || digits.contains("e-")
        }
        _ => false,
    }
}

/// Made by calculation from numbers that may have a fraction.
fn is_computed(part: Part<'_>) -> bool {
    let fractional = |part: &Expr| match part {
        Expr::Constant(Value::Double(number)) => number.fract() != 0.0,
        Expr::Field(field) => matches!(field.of, Type::Double | Type::Decimal),
        _ => false,
    };
    matches!(part.expr, Expr::Binary(operator, ..) if operator.is_arithmetic())
        && part.expr.any(&mut |part| fractional(part))
}

fn looks_like_a_number(value: &Value) -> bool {
    matches!(value, Value::String(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))
}

/// Where something is divided by a literal 0.
fn zero_divisor(part: Part<'_>) -> Option<Part<'_>> {
    let Expr::Binary(Operator::Divide | Operator::Remainder, ..) = part.expr else { return None };
    let [_, by] = part.sides()?;
    matches!(by.constant(), Some(Value::Int(0))).then_some(by)
}

/// Why an expression of which all is known has no value.
fn failure(part: Part<'_>) -> (String, Option<String>) {
    let call = match &part.node.kind {
        Syntax::Call { function, target: None, arguments } => match arguments.as_slice() {
            [argument] => match &argument.kind {
                Syntax::String(text) => Some((function.as_str(), &**text)),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    };
    match call {
        Some(("timestamp", text)) => {
            let mended = ["Z", "T00:00:00Z"].map(|end| format!("{}{end}", text.replace(' ', "T")));
            let reads = |text: &&String| text.parse::<jiff::Timestamp>().is_ok();
            let example = mended.iter().find(reads).map_or("2025-01-31T00:00:00Z", String::as_str);
            let message = format!("`{text}` is no timestamp: it needs a date, a time and a zone");
            (message, Some(format!("for example timestamp('{example}')")))
        }
        Some(("duration", text)) => {
            let help = "for example duration('36h') or duration('1h30m'); days are hours here";
            (format!("`{text}` is no duration"), Some(help.to_owned()))
        }
        Some((function, text)) => (format!("`{text}` can't be read as `{function}`"), None),
        None => (format!("`{}` has no value: it always fails", part.shown()), None),
    }
}
