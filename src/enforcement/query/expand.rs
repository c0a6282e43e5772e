//! Related records: which of those that a client names they may see, and what the upstream is asked of each, on every level.
//!
//! A relation is judged by the table that it is a field of, its records by their own table's rules: those of a to-one relation
//! as records that are read, those of a to-many one as a list. What may not be seen is refused as what isn't there. What the
//! upstream is asked of related records is what the client is shown of them and what rules read: their own table's, and those of
//! the tables whose records they belong to. Pure.

use std::sync::Arc;

use super::projection;
use crate::api::{FieldId, Reach, Shape, Table, TableId};
use crate::dialect::expand::{MAX_EXPANSIONS, add};
use crate::dialect::{Expansion, Expansions, Language, Query, Selects};
use crate::enforcement::Case;
use crate::model::{Action, Reason};
use crate::policy::slots::NodeId;
use crate::policy::{Layout, Residual};
use crate::redact::{Lens, Relations};

/// Under which action the records of a relation are judged.
pub(in crate::enforcement) fn related(table: &Table, relation: FieldId) -> Option<(TableId, Action)> {
    match table.field(relation).shape {
        Shape::One { table, .. } => Some((table, Action::Read)),
        Shape::Many { table } => Some((table, Action::List)),
        Shape::Plain(_) => None,
    }
}

/// How records are seen. Errors: `QueryNotAllowed` where a relation or a field that is named may not show, on whatever level.
pub(in crate::enforcement) fn lens(
    case: &Case<'_>,
    residual: Arc<Residual>,
    fields: Option<&[FieldId]>,
    expand: &Expansions,
) -> Result<Lens, Reason> {
    let table = case.catalog.table(residual.table());
    let is_hidden = |field: FieldId| !residual.may_show(field);
    if fields.into_iter().flatten().copied().chain(expand.relations()).any(is_hidden) {
        return Err(Reason::QueryNotAllowed);
    }
    let mut relations = Relations::new();
    for one in &expand.named {
        let (of, action) = related(table, one.relation).ok_or(Reason::QueryNotAllowed)?;
        let residual = case.residual(of, &action).ok_or(Reason::QueryNotAllowed)?;
        let lens = lens(case, residual, one.fields.as_deref(), &one.below)?;
        relations.insert(one.relation, Arc::new(lens));
    }
    let fields = fields.map(|fields| fields.iter().copied().chain(expand.relations()).collect());
    Ok(Lens { residual, fields, relations })
}

/// A query with the relations that a client may see in the place of every relation. Errors: `QueryNotAllowed` where these are
/// more than one query may expand.
pub(in crate::enforcement) fn every(case: &Case<'_>, residual: &Residual, query: &mut Query) -> Result<(), Reason> {
    let mut left = MAX_EXPANSIONS;
    fill(case, residual, &mut query.expand, &mut left).ok_or(Reason::QueryNotAllowed)
}

/// `left`: relations that may be expanded yet. Recursion is bounded by the parsers.
fn fill(case: &Case<'_>, residual: &Residual, expand: &mut Expansions, left: &mut usize) -> Option<()> {
    let table = case.catalog.table(residual.table());
    let seen = |relation| related(table, relation).and_then(|(of, action)| case.residual(of, &action));
    if let Some(below) = std::mem::take(&mut expand.every).checked_sub(1) {
        for relation in table.reach().relations() {
            if expand.find(relation).is_none() && residual.may_show(relation) && seen(relation).is_some() {
                let below = Expansions { every: below, ..Expansions::default() };
                expand.named.push(Expansion { below, ..Expansion::of(relation) });
            }
        }
    }
    for one in &mut expand.named {
        *left = left.checked_sub(1)?;
        // What is named and may not be seen is refused by whoever makes a lens of it.
        if let Some(residual) = seen(one.relation) {
            fill(case, &residual, &mut one.below, left)?;
        }
    }
    Some(())
}

/// The query to send: what the client asked, and what the rules need to read. Helpers are removed from the answer, because
/// the plan shows only what the client asked for. Errors: `QueryNotAllowed` where there are no words for it.
pub(in crate::enforcement) fn complete(
    case: &Case<'_>,
    query: &Query,
    residual: &Residual,
    language: &dyn Language,
) -> Result<Query, Reason> {
    let level = Level { residual, fields: query.fields.as_deref(), expand: &query.expand };
    let table = case.catalog.table(residual.table());
    let levels = language.expands();
    let sent = |selects| {
        let completing = Completing { case, selects };
        // What is read further on is left out where it has no words beside the rest: what can't be judged is not shown.
        let mut sent = [levels, 1].into_iter().map(|helped| {
            let (fields, expand) = completing.asked(&level, levels, helped);
            Query { fields, expand, ..query.clone() }
        });
        sent.find(|sent| language.spells(table, sent)).ok_or(Reason::QueryNotAllowed)
    };
    let by_name = sent(language.selects() != Selects::Nothing)?;
    // Of the others, all comes as it is stored.
    if language.selects() != Selects::Everywhere || projection::keeps(case.catalog, table.id, language, &by_name) {
        return Ok(by_name);
    }
    // Also where the client names fields: rules would judge what comes changed.
    sent(false).map(|sent| Query { fields: None, expand: sent.expand.whole(), ..sent })
}

/// A query for whatever the rules of a table read in related records. `selects`: of these, by name.
pub(super) fn helpers(table: &Table, layout: &Layout, language: &dyn Language, selects: bool) -> Query {
    let of = |levels| {
        let mut expand = read(table, layout, levels);
        if !selects {
            widen(&mut expand, &Expansions::default());
        }
        Query { expand, ..Query::default() }
    };
    let sent = of(language.expands());
    if language.spells(table, &sent) { sent } else { of(language.expands().min(1)) }
}

/// The relations through which rules of a table read, for so many levels, with the fields that they read. So does what says
/// whose a record is.
fn read(table: &Table, layout: &Layout, levels: usize) -> Expansions {
    along(table.reach(), layout, NodeId::ROOT, levels)
}

/// Recursion is bounded by the levels that are left.
fn along(table: Reach<'_>, layout: &Layout, node: NodeId, levels: usize) -> Expansions {
    let mut expand = Expansions::default();
    let Some(levels) = levels.checked_sub(1) else { return expand };
    for (name, node) in layout.members(node) {
        let Some(relation) = table.named(name) else { continue };
        let Some(related) = table.beyond(relation) else { continue };
        let below = along(related, layout, node, levels);
        let mut fields: Vec<FieldId> = vec![related.key];
        let read = layout.members(node).filter_map(|(name, _)| related.plain_named(name));
        let columns = below.relations().filter_map(|relation| related.named(related.column_of(relation)?));
        add(&mut fields, read.chain(columns));
        expand.named.push(Expansion { relation, fields: Some(fields), below });
    }
    expand
}

/// Where fields are not asked for one by one, a record comes as a whole of which a client has chosen none. Recursion is bounded
/// by the levels of both.
fn widen(helpers: &mut Expansions, chosen: &Expansions) {
    let nothing = Expansions::default();
    for one in &mut helpers.named {
        let known = chosen.find(one.relation);
        if known.is_none() {
            one.fields = None;
        }
        widen(&mut one.below, known.map_or(&nothing, |known| &known.below));
    }
}

struct Completing<'a> {
    case: &'a Case<'a>,
    /// Whether fields are asked for by name where the client names none.
    selects: bool,
}

/// What a client asks for of the records of one place.
struct Level<'a> {
    residual: &'a Residual,
    fields: Option<&'a [FieldId]>,
    expand: &'a Expansions,
}

impl Completing<'_> {
    /// What is asked for of them. `helped`: levels of relations that rules read. Recursion is bounded by the parsers.
    fn asked(&self, level: &Level<'_>, levels: usize, helped: usize) -> (Option<Vec<FieldId>>, Expansions) {
        let Level { residual, fields, expand } = *level;
        let table = self.case.catalog.table(residual.table());
        let below = levels.saturating_sub(1);
        let mut sent = Expansions::default();
        for one in &expand.named {
            let known = related(table, one.relation);
            // Invariant: the plan was made before, so there is one.
            let Some(residual) = known.and_then(|(of, action)| self.case.residual(of, &action)) else { continue };
            let level = Level { residual: &residual, fields: one.fields.as_deref(), expand: &one.below };
            let (fields, below) = self.asked(&level, below, helped.min(below));
            sent.named.push(Expansion { relation: one.relation, fields, below });
        }
        let mut helpers = read(table, residual.layout(), helped.min(levels));
        if !self.selects {
            widen(&mut helpers, &sent);
        }
        sent.merge(helpers);
        let fields = match fields {
            Some(fields) => Some(fields.to_vec()),
            None if self.selects => Some(projection::shown(table, residual).collect()),
            None => None,
        };
        let fields = fields.map(|mut fields| {
            let read = residual.layout().fields().filter_map(|name| table.field_named(name));
            let expanded = sent.relations().flat_map(|relation| match table.field(relation).shape {
                Shape::One { by, .. } => vec![relation, by],
                Shape::Many { .. } | Shape::Plain(_) => vec![relation],
            });
            add(&mut fields, read.chain([table.key]).chain(expanded));
            fields
        });
        (fields, sent)
    }
}
