//! A property of one record, made of what is left of the record once it is redacted: as JSON, or its value alone.
//!
//! One that was removed answers as a record that isn't there does, and a related record that may not be seen as one that
//! isn't there either. Sources: OData 4.01, part 1, sections 11.2.4 and 11.2.7; OData JSON Format 4.01, section 11.

use std::sync::Arc;

use http::{HeaderValue, StatusCode};

use super::conditions;
use super::records::{Step, is_shown};
use super::reply::{Content, Reply};
use crate::api::{Field, FieldId, Shape};
use crate::dialect;
use crate::enforcement::Asked;
use crate::exchange::Exchange;
use crate::model::Reason;
use crate::redact::{self, Redacted, parts};
use crate::routing::Property;

const TEXT: &str = "text/plain; charset=utf-8";

impl<'u> Step<'u, '_> {
    pub(super) async fn property(
        &self,
        key: &str,
        Property { name, raw }: &Property,
        exchange: &mut Exchange,
    ) -> Result<Reply<'u>, Reason> {
        let property = self.case.property(self.residual, name, *raw);
        let property = property.inspect_err(|_| exchange.detail("the property is none that the caller may read"))?;
        let residual = Arc::clone(self.residual);
        let permit = self.case.read_property(self.route, self.variables, residual, property, self.pairs)?;
        let Redacted { body: shown, mut tally, .. } = self.found(&permit, exchange).await?;
        let told = is_shown(&tally, key).and_then(|()| {
            let told = self.of_record(&shown, property, *raw);
            told.inspect_err(|_| exchange.detail("the property does not show on this record"))
        });
        if told.is_err() {
            // Nobody was told anything of the record.
            (tally.kept, tally.keys, tally.granted) = Default::default();
        }
        exchange.redacted(&tally, &permit.purpose().plan, &Asked::default());
        told
    }

    /// Of a record as it shows. Errors: `RecordHidden`, if it is not in there.
    fn of_record(&self, shown: &[u8], property: FieldId, raw: bool) -> Result<Reply<'u>, Reason> {
        let table = self.case.catalog.table(self.residual.table());
        let Field { name, shape, .. } = table.field(property);
        let place = dialect::of(self.case.catalog.api(table.api)).envelope().record;
        let depth = self.case.depth;
        let record = redact::locate(shown, place, depth).map_err(|_| Reason::Internal)?.ok_or(Reason::RecordHidden)?;
        let members = parts::members(record, depth).map_err(|_| Reason::Internal)?;
        let value = members.iter().find(|(known, _)| known.as_ref() == name.as_bytes()).map(|(_, value)| *value);
        let value = value.ok_or(Reason::RecordHidden)?;
        let (of, tagged) = match shape {
            // Then it is the tag of that record, however it was found.
            Shape::One { table: related, .. } if value != b"null" => (self.case.catalog.table(*related), value),
            _ => (table, record),
        };
        let tag = conditions::tag(self.case, &of.name, tagged);
        let reply = match (shape, value) {
            (_, b"null") => Reply::empty(),
            (Shape::Plain(_), value) if raw => {
                let text = text(value).ok_or(Reason::RecordHidden)?;
                Reply::of(StatusCode::OK, HeaderValue::from_static(TEXT), Content::Whole(text.into()))
            }
            (Shape::Plain(_), value) => Reply::json(StatusCode::OK, redact::request::object([("value", value)])),
            (Shape::One { .. } | Shape::Many { .. }, record) => Reply::json(StatusCode::OK, record.to_vec()),
        };
        Ok(self.tagged(reply, tag))
    }
}

/// A value outside of JSON. `None`: it has no such form.
fn text(raw: &[u8]) -> Option<String> {
    match raw {
        b"true" | b"false" => std::str::from_utf8(raw).ok().map(str::to_owned),
        _ => redact::request::text(raw),
    }
}
