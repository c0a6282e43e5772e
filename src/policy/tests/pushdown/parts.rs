//! Conditions of many kinds, put together from parts that were read once.

use super::super::differential::choices::Choices;
use super::super::differential::expressions::Generator;
use super::super::support::*;
use crate::policy::ir::Expr;
use crate::policy::residual::fold;
use crate::policy::slots::Layout;
use crate::policy::types::Kind;

/// Parts that filters have words for, and parts of any kind.
const PLAIN: usize = 500;
const ANY: usize = 150;

pub(super) struct Pool {
    pub(super) layout: Layout,
    parts: Vec<Expr>,
}

impl Pool {
    pub(super) fn new(choices: &mut Choices<'_>) -> Self {
        let mut layout = Layout::default();
        // All that a record is declared to hold, so that it can be told whether it does.
        for field in CATALOG.table_named("samples").expect("a table").fields.iter() {
            layout.insert(std::slice::from_ref(&field.name));
        }
        layout.insert(&["account".into(), "region".into()]);
        layout.insert(&["account".into(), "name".into()]);
        let mut parts = Vec::new();
        for _ in 0..PLAIN {
            let text = plain(choices);
            let typed = checked("samples", &text, &mut layout).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}"));
            assert_eq!(typed.kind, Kind::Bool, "{text}");
            parts.push(known(&typed.expr));
        }
        for _ in 0..ANY {
            let numbers: Vec<u16> = (0..40).map(|_| choices.below(usize::from(u16::MAX)) as u16).collect();
            let text = Generator::new(Choices::new(&numbers)).expression();
            if let Ok(typed) = checked("samples", &text.ours, &mut layout) {
                let expr = known(&typed.expr);
                parts.push(if typed.kind == Kind::Bool { expr } else { Expr::Condition(expr.into()) });
            }
        }
        Self { layout, parts }
    }

    pub(super) fn condition(&self, choices: &mut Choices<'_>) -> Expr {
        let depth = choices.below(4);
        self.of_depth(choices, depth)
    }

    fn of_depth(&self, choices: &mut Choices<'_>, depth: usize) -> Expr {
        let part = |choices: &mut Choices<'_>| Box::new(self.of_depth(choices, depth.saturating_sub(1)));
        if depth == 0 {
            // Parts of any kind come last, and less often.
            let at = if choices.rarely(8) { choices.below(self.parts.len()) } else { choices.below(PLAIN) };
            return self.parts.get(at).cloned().expect("one of them");
        }
        match choices.below(7) {
            0..=2 => Expr::And(part(choices), part(choices)),
            3 | 4 => Expr::Or(part(choices), part(choices)),
            5 => Expr::Not(part(choices)),
            _ => Expr::Choice([*part(choices), *part(choices), *part(choices)].into()),
        }
    }
}

fn known(expr: &Expr) -> Expr {
    put(&rep(), "samples", "list", |question| fold::fold(expr, question))
}

/// A field beside something known.
fn plain(choices: &mut Choices<'_>) -> String {
    const SIGNS: [&str; 6] = ["==", "!=", "<", "<=", ">", ">="];
    let (fields, values): (&[&str], &[&str]) = match choices.below(9) {
        0 | 1 => (
            &["record.name", "record.note", "record.account.region"],
            &["'a'", "'ab'", "'A'", "''", "'é'", "'u1'", "principal.id", "'ab '", "'a,b'", "tenant.organization_id"],
        ),
        2 => (&["record.qty", "record.id"], &["0", "1", "7", "(-5)", "9223372036854775807", "9007199254740993"]),
        3 => (&["double(record.qty)", "record.price"], &["1.5", "3.0", "0.1", "(-2.25)", "1e308"]),
        4 => (&["record.amount"], &["10", "10.5", "(-0.25)", "99999999999999999999.25", "0"]),
        5 => (
            &["record.at", "record.seen"],
            &["now", "timestamp('2024-02-29T00:00:00.123456789Z')", "timestamp('2025-01-02T03:04:05Z')"],
        ),
        6 => (
            &["record.born", "timestamp(record.born)"],
            &["timestamp('2025-01-02T00:00:00Z')", "timestamp('2024-02-29T11:00:00Z')"],
        ),
        7 => (&["string(record.qty)", "string(record.id)"], &["'1'", "'07'", "'a'"]),
        _ => return other(choices),
    };
    let field = choices.one(fields);
    let text = field.starts_with("string(");
    match choices.below(4) {
        0 | 1 => {
            let sign = if text { choices.one(&["==", "!="]) } else { choices.one(&SIGNS) };
            let value = choices.one(values);
            if choices.rarely(4) { format!("{value} {sign} {field}") } else { format!("{field} {sign} {value}") }
        }
        2 => {
            let count = choices.below(4);
            let list: Vec<&str> = (0..count).map(|_| choices.one(values)).collect();
            let not = choices.one(&["", "!"]);
            format!("{not}({field} in [{}])", list.join(", "))
        }
        _ if field == "record.name" || field == "record.note" => {
            let function = choices.one(&["startsWith", "endsWith", "contains"]);
            let (not, value) = (choices.one(&["", "!"]), choices.one(values));
            format!("{not}{field}.{function}({value})")
        }
        _ => {
            let sign = if text { "==" } else { choices.one(&SIGNS) };
            format!("{field} {sign} {}", choices.one(values))
        }
    }
}

fn other(choices: &mut Choices<'_>) -> String {
    choices
        .one(&[
            "record.active",
            "!record.active",
            "record.active == false",
            "record.vip == true",
            "record.vip != true",
            "record.note == null",
            "record.note != null",
            "record.amount == null",
            "record.seen != null",
            "record.note in ['a', null]",
            "!(record.note in ['a', null])",
            "record.account == null",
            "record.name in principal.attributes.regions",
            "principal.manages(record.name)",
            "record.name in principal.reports || record.name == principal.id",
            "record.seen != null && record.seen > now - duration('24h')",
            "now - record.at > duration('24h')",
            "record.custom == 'a'",
            "record.tags.exists(t, t == 'a')",
            "principal.attributes.limit == record.amount",
        ])
        .to_owned()
}
