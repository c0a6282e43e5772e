//! What a client asks to see of a record that it writes: fields and expansions, as in a read of that record.
//!
//! It is judged before anything is looked at, and decides nothing of what is written. The upstream is asked for what the rules
//! read, and for related records that the client wants besides; of the rest most are told nothing, for what wasn't chosen is
//! left out of their answer. One that can be asked for fields by name everywhere is asked for those that are left in it.

use std::sync::Arc;

use super::super::{Case, query};
use crate::api::{Records, TableId};
use crate::dialect::{self, Query, Selects};
use crate::model::{Action, Reason};
use crate::redact::{Frame, Plan};

/// How the answer to a write is told.
#[derive(Clone, Debug)]
pub struct Representation {
    /// `None`: the caller may read no record of the table, so that the write is all that is told.
    pub(super) plan: Option<Arc<Plan>>,
    /// What the client has chosen.
    chosen: Query,
    /// What the upstream is asked for.
    pub(super) sent: Query,
}

impl Case<'_> {
    /// `pairs` is the query of a write. Errors: `QueryNotAllowed` where a read of the record would be refused, and for whatever
    /// chooses nothing of it; a deletion tells nothing of which anything could be chosen.
    pub fn representation(
        &self,
        table: TableId,
        action: &Action,
        pairs: &[(String, String)],
    ) -> Result<Representation, Reason> {
        if *action == Action::Delete {
            let nothing = Representation { plan: None, chosen: Query::default(), sent: Query::default() };
            return if pairs.is_empty() { Ok(nothing) } else { Err(Reason::QueryNotAllowed) };
        }
        let declared = self.catalog.table(table);
        let language = dialect::of(self.catalog.api(declared.api));
        // What says nothing in a read may mean something beside a body.
        if !pairs.iter().all(|(name, _)| language.chooses(name)) {
            return Err(Reason::QueryNotAllowed);
        }
        let mut chosen = match pairs {
            [] => Query::default(),
            pairs => dialect::parse_record(language, declared, pairs)?,
        };
        let residual = self.residual(table, &Action::Read);
        if let Some(residual) = &residual {
            query::every(self, residual, &mut chosen)?;
        }
        query::check(&chosen, declared, residual.as_deref(), false)?;
        let everywhere = language.selects() == Selects::Everywhere;
        let Some(residual) = residual else {
            // Nobody will read it.
            let fields = everywhere.then(|| vec![declared.key]);
            return Ok(Representation { plan: None, chosen, sent: Query { fields, ..Query::default() } });
        };
        let frame = Frame::Record(language.envelope().record.clone());
        let plan = Some(Arc::new(self.plan(frame, Arc::clone(&residual), &chosen)?));
        let sent = query::complete(self, &chosen, &residual, language)?;
        if everywhere {
            return Ok(Representation { plan, chosen, sent });
        }
        let sent = Query { expand: sent.expand, ..Query::default() };
        if !language.spells(declared, &sent) {
            return Err(Reason::QueryNotAllowed);
        }
        Ok(Representation { plan, chosen, sent })
    }

    /// The same for an answer that holds several records. `None`: it tells nothing.
    pub(super) fn representations(&self, table: TableId, each: &Representation) -> Result<Option<Arc<Plan>>, Reason> {
        let Some(plan) = &each.plan else { return Ok(None) };
        let envelope = dialect::of(self.catalog.api(self.catalog.table(table).api)).envelope();
        let frame = match envelope.list {
            Records::Array(records) => Frame::List {
                records: records.clone(),
                totals: envelope.totals.to_vec(),
                keep: Vec::new(),
                echoes: Vec::new(),
                exact: false,
            },
            Records::Lines => Frame::Lines,
        };
        let residual = Arc::clone(&plan.root.residual);
        self.plan(frame, residual, &each.chosen).map(|plan| Some(Arc::new(plan)))
    }
}
