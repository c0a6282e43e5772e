//! A plan made ready for scanning: which tables the answer holds at which places, and who judges their records.
//!
//! Built once for an answer, from its [`Plan`](super::Plan). It doesn't know where judgements come from: [`Judge`] is the
//! seam between this scanner and the policy engine.

use std::sync::Arc;

use super::plan::Lens;
use crate::api::{Catalog, FieldId, Shape, Table, TableId};
use crate::policy::slots::NodeId;
use crate::policy::{Judgement, Layout, Residual, SlotId, Slots};

/// Who says what one record may show.
pub(super) trait Judge: Send + Sync {
    fn table(&self) -> TableId;
    fn layout(&self) -> &Layout;
    fn judge(&self, record: &Slots<'_>) -> Judgement;
}

impl Judge for Residual {
    fn table(&self) -> TableId {
        Residual::table(self)
    }

    fn layout(&self) -> &Layout {
        Residual::layout(self)
    }

    fn judge(&self, record: &Slots<'_>) -> Judgement {
        Residual::judge(self, record)
    }
}

/// One table as it is seen at one place of the answer.
pub(super) struct View {
    /// Counts the views of an answer from the outermost one, which is 0.
    pub(super) id: usize,
    pub(super) judge: Arc<dyn Judge>,
    pub(super) table: TableId,
    /// Where the layout has the table's key.
    pub(super) key: Option<SlotId>,
    /// How many fields the table has.
    pub(super) fields: usize,
    /// By field; `None`: all were asked for.
    asked: Option<Vec<bool>>,
    relations: Vec<(FieldId, View)>,
}

/// What a declared field holds here.
pub(super) enum Content<'v> {
    /// A plain field, and whether the client asked for it.
    Plain {
        asked: bool,
    },
    /// `None`: not asked for.
    One(Option<&'v View>),
    Many(Option<&'v View>),
}

impl View {
    pub(super) fn new(catalog: &Catalog, lens: &Lens) -> Self {
        let mut root = Self::of_lens(catalog, lens);
        root.count(0);
        root
    }

    fn of_lens(catalog: &Catalog, lens: &Lens) -> Self {
        let relations = lens.relations.iter().map(|(field, related)| (*field, Self::of_lens(catalog, related)));
        let relations = relations.collect();
        Self::of(catalog, Arc::clone(&lens.residual) as _, lens.fields.as_ref().map(|fields| fields.iter()), relations)
    }

    /// A view that is yet to be counted.
    pub(super) fn of<'f>(
        catalog: &Catalog,
        judge: Arc<dyn Judge>,
        fields: Option<impl Iterator<Item = &'f FieldId>>,
        mut relations: Vec<(FieldId, View)>,
    ) -> Self {
        let table = catalog.table(judge.table());
        // A view of another table than the declared one would judge by the wrong rules: it is none.
        relations.retain(|(field, related)| match table.fields.get(usize::from(field.0)).map(|field| &field.shape) {
            Some(Shape::One { table, .. } | Shape::Many { table }) => *table == related.table,
            Some(Shape::Plain(_)) | None => false,
        });
        let mut asked = fields.map(|fields| {
            let mut asked = vec![false; table.fields.len()];
            for field in fields {
                if let Some(asked) = asked.get_mut(usize::from(field.0)) {
                    *asked = true;
                }
            }
            asked
        });
        // Where a related record takes its column's place, there is no place for the column.
        for (field, _) in relations.iter().filter(|_| table.in_place) {
            if let Shape::One { by, .. } = table.field(*field).shape
                && let Some(asked) =
                    asked.get_or_insert_with(|| vec![true; table.fields.len()]).get_mut(usize::from(by.0))
            {
                *asked = false;
            }
        }
        let layout = judge.layout();
        let key = layout.member(NodeId::ROOT, table.field(table.key).name.as_bytes());
        let key = key.and_then(|node| layout.slot(node));
        Self { id: 0, table: table.id, key, fields: table.fields.len(), judge, asked, relations }
    }

    /// Counts this view and those below it from a number on; the next free one.
    pub(super) fn count(&mut self, from: usize) -> usize {
        self.id = from;
        self.relations.iter_mut().fold(from + 1, |next, (_, related)| related.count(next))
    }

    /// What a field of this view's table holds.
    pub(super) fn content(&self, table: &Table, field: FieldId) -> Content<'_> {
        match &table.field(field).shape {
            Shape::Plain(_) => {
                let asked = |asked: &Vec<bool>| asked.get(usize::from(field.0)).copied().unwrap_or_default();
                Content::Plain { asked: self.asked.as_ref().is_none_or(asked) }
            }
            Shape::One { .. } => Content::One(self.related(field)),
            Shape::Many { .. } => Content::Many(self.related(field)),
        }
    }

    /// How related records are seen, if they were asked for.
    pub(super) fn related(&self, field: FieldId) -> Option<&View> {
        self.relations.iter().find(|(of, _)| *of == field).map(|(_, related)| related)
    }

    /// Calls with this view and all below it, in the order of their count.
    pub(super) fn each(&self, visit: &mut dyn FnMut(&View)) {
        visit(self);
        for (_, related) in &self.relations {
            related.each(visit);
        }
    }
}
