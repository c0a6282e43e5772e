//! Several records in one request: each is judged by itself, and they leave together or not at all.

use super::super::{Permit, Write};
use super::{Case, Representation, request};
use crate::api::TableId;
use crate::model::Reason;
use crate::redact::parts;

/// One record of several that is permitted, and the key that names it where it is a change.
#[derive(Debug)]
pub struct Element {
    pub key: Option<Vec<u8>>,
    pub permit: Permit<Write>,
}

impl Case<'_> {
    /// A body without the member that names its record, and that member's raw value. Errors: `BodyMalformed`.
    pub fn keyed(&self, table: TableId, body: &[u8]) -> Result<(Option<Vec<u8>>, Vec<u8>), Reason> {
        let table = self.catalog.table(table);
        let name = table.field(table.key).name.as_bytes();
        let members = parts::members(body, self.depth).map_err(|_| Reason::BodyMalformed)?;
        let key = members.iter().find(|(known, _)| known.as_ref() == name).map(|(_, raw)| raw.to_vec());
        let mut rest = Vec::new();
        for (member, raw) in members.iter().filter(|(known, _)| known.as_ref() != name) {
            rest.push((std::str::from_utf8(member).map_err(|_| Reason::BodyMalformed)?, *raw));
        }
        let is_key = |raw: &[u8]| request::text(raw).is_some_and(|text| super::is_key(&text));
        if key.as_ref().is_some_and(|raw| !request::fits(table, table.key, raw) || !is_key(raw)) {
            return Err(Reason::BodyMalformed);
        }
        Ok((key, request::object(rest)))
    }

    /// One request of several that go to the same route, each to be told as the others. Errors: there is none.
    pub fn together(
        &self,
        table: TableId,
        elements: Vec<Element>,
        each: &Representation,
    ) -> Result<Permit<Write>, Reason> {
        let table = self.catalog.table(table);
        let mut bodies = Vec::with_capacity(elements.len());
        let mut first = None;
        for Element { key, permit } in elements {
            bodies.push(match key {
                None => permit.outgoing.body.to_vec(),
                Some(key) => {
                    let name = &*table.field(table.key).name;
                    let rest = parts::members(&permit.outgoing.body, self.depth).map_err(|_| Reason::Internal)?;
                    let rest = rest.iter().filter_map(|(name, raw)| Some((std::str::from_utf8(name).ok()?, *raw)));
                    request::object([(name, key.as_slice())].into_iter().chain(rest))
                }
            });
            first.get_or_insert(permit);
        }
        let mut permit = first.ok_or(Reason::BodyMalformed)?;
        permit.outgoing.body = parts::array(bodies.iter().map(Vec::as_slice)).into();
        permit.purpose.plan = self.representations(table.id, each)?;
        Ok(permit)
    }
}
