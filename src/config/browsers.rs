//! What browsers are told: that they must come by TLS, and from which origins pages may ask.

use std::time::Duration;

use super::raw::{distinct, duration, is_origin};
use super::{Cors, Hsts};
use crate::model::Name;
use crate::yaml::{Node, Reader};

const HOUR: Duration = Duration::from_secs(60 * 60);
const TWO_YEARS: Duration = Duration::from_secs(2 * 365 * 24 * 60 * 60);

impl Default for Hsts {
    fn default() -> Self {
        Self { max_age: TWO_YEARS / 2, subdomains: false }
    }
}

/// `max_age: 0s` makes browsers forget (RFC 6797, section 6.1.1).
pub(super) fn hsts(node: &Node, reader: &mut Reader) -> Hsts {
    let mut hsts = Hsts::default();
    let mut fields = reader.fields(node, "`hsts`");
    let most = Duration::ZERO..=TWO_YEARS;
    if let Some(found) = fields.take("max_age").and_then(|node| duration(node, "`max_age`", most, reader)) {
        hsts.max_age = found;
    }
    if let Some(found) = fields.take("subdomains").and_then(|node| reader.bool(node, "`subdomains`")) {
        hsts.subdomains = found;
    }
    fields.finish(reader);
    hsts
}

/// Origins are named in full: a pattern that means one host too many opens the API to it.
pub(super) fn origins(node: Option<&Node>, reader: &mut Reader) -> Vec<Name> {
    let texts = distinct(node, "`origins`", reader);
    for text in texts.iter().filter(|text| !is_origin(&text.value)) {
        let message = format!("`{}` is not an origin as browsers send it", text.value);
        reader.error("bad-origin", &text.span, message).help =
            Some("scheme, host and a port that is not the scheme's own: https://app.example.com".to_owned());
    }
    texts.iter().map(|text| text.value.as_str().into()).collect()
}

pub(super) fn cors(node: &Node, reader: &mut Reader) -> Cors {
    let mut fields = reader.fields(node, "`cors`");
    let mut cors = Cors { origins: origins(fields.require("origins", reader), reader), max_age: HOUR / 6 };
    let most = Duration::ZERO..=24 * HOUR;
    if let Some(found) = fields.take("max_age").and_then(|node| duration(node, "`max_age`", most, reader)) {
        cors.max_age = found;
    }
    fields.finish(reader);
    cors
}
