//! Rates: how often an address, a principal, an API key or a tenant may ask.

use std::num::NonZeroU32;
use std::time::Duration;

use super::raw::{duration, text};
use super::{Per, Rate};
use crate::diagnostic::nearest;
use crate::yaml::{Fields, Node, Reader};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MOST: u64 = 1_000_000;

/// Several for one kind of caller are allowed, each in a period of its own: a limit for the moment, and a quota for the day.
pub(super) fn rates(node: &Node, reader: &mut Reader) -> Vec<Rate> {
    let mut rates: Vec<Rate> = Vec::new();
    for item in reader.list(node, "`rates`") {
        let mut fields = reader.fields(item, "a rate");
        let per = fields.require("per", reader);
        let per = text(per, "`per`", reader).and_then(|text| {
            let found = Per::ALL.into_iter().find(|per| per.name() == text.value);
            if found.is_none() {
                let names = Per::ALL.map(Per::name);
                let hint = nearest(&text.value, names).map(|name| format!("did you mean `{name}`?"));
                let message = format!("`per` can't be `{}`", text.value);
                reader.error("bad-rate", &text.span, message).help = hint.or_else(|| Some(names.join(", ")));
            }
            found
        });
        let requests = fields.require("requests", reader).and_then(|node| count(node, "`requests`", reader));
        let period = fields.require("period", reader).and_then(|node| duration(node, "`period`", SECOND..=DAY, reader));
        let burst = burst(&mut fields, reader);
        fields.finish(reader);
        let (Some(per), Some(requests), Some(period)) = (per, requests, period) else { continue };
        if rates.iter().any(|known| known.per == per && known.period == period) {
            reader.error("duplicate-rate", &item.span, format!("`{}` has a rate for this period already", per.name()));
        }
        rates.push(Rate { per, requests, period, burst: burst.unwrap_or(requests) });
    }
    rates
}

fn burst(fields: &mut Fields<'_>, reader: &mut Reader) -> Option<NonZeroU32> {
    fields.take("burst").and_then(|node| count(node, "`burst`", reader))
}

fn count(node: &Node, what: &'static str, reader: &mut Reader) -> Option<NonZeroU32> {
    let found = reader.integer(node, what, 1..=MOST)?;
    u32::try_from(found).ok().and_then(NonZeroU32::new)
}
