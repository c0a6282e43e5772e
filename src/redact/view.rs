//! A plan made ready for scanning: for each table in the answer its members by name, and who judges its records.
//!
//! Built once for an answer, from its [`Plan`](super::Plan). It doesn't know where judgements come from: [`Judge`] is the
//! seam between this scanner and the policy engine.

use std::sync::Arc;

use super::names::Names;
use super::plan::Lens;
use crate::api::{Catalog, FieldId, Shape, TableId};
use crate::policy::slots::NodeId;
use crate::policy::{Judgement, Layout, Residual, Slots};

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
    pub(super) key: FieldId,
    /// Of the table's fields: a member's number is its field's id.
    pub(super) names: Names,
    members: Vec<Member>,
}

/// A declared field as a member of a record.
pub(super) struct Member {
    pub(super) field: FieldId,
    /// Where the layout has it.
    pub(super) node: Option<NodeId>,
    pub(super) content: Content,
}

pub(super) enum Content {
    /// A plain field, and whether the client asked for it.
    Plain {
        asked: bool,
    },
    /// `None`: not asked for.
    One(Option<Box<View>>),
    Many(Option<Box<View>>),
}

impl View {
    pub(super) fn new(catalog: &Catalog, lens: &Lens) -> Self {
        let mut root = Self::of_lens(catalog, lens);
        root.count(0);
        root
    }

    fn of_lens(catalog: &Catalog, lens: &Lens) -> Self {
        let judge: Arc<dyn Judge> = Arc::clone(&lens.residual) as _;
        let asked = |field: FieldId| lens.fields.as_ref().is_none_or(|fields| fields.contains(&field));
        let related = |field| lens.relations.get(&field).map(|related| Self::of_lens(catalog, related));
        Self::of(catalog, judge, &asked, &related)
    }

    /// A view that is yet to be counted.
    pub(super) fn of(
        catalog: &Catalog,
        judge: Arc<dyn Judge>,
        asked: &dyn Fn(FieldId) -> bool,
        related: &dyn Fn(FieldId) -> Option<View>,
    ) -> Self {
        let table = catalog.table(judge.table());
        let layout = judge.layout();
        // A view of another table than the declared one would judge by the wrong rules: it is none.
        let related = |field, of: TableId| related(field).filter(|view| view.table == of).map(Box::new);
        let member = |field: FieldId| {
            let declared = table.field(field);
            Member {
                field,
                node: layout.member(NodeId::ROOT, declared.name.as_bytes()),
                content: match &declared.shape {
                    Shape::Plain(_) => Content::Plain { asked: asked(field) },
                    Shape::One { table, .. } => Content::One(related(field, *table)),
                    Shape::Many { table } => Content::Many(related(field, *table)),
                },
            }
        };
        let members = table.field_ids().map(member).collect();
        let names = Names::new(table.fields.iter().map(|field| Arc::clone(&field.name)));
        Self { id: 0, table: table.id, key: table.key, judge, names, members }
    }

    /// Counts this view and those below it from a number on; the next free one.
    pub(super) fn count(&mut self, from: usize) -> usize {
        self.id = from;
        let mut next = from + 1;
        for member in &mut self.members {
            if let Content::One(Some(related)) | Content::Many(Some(related)) = &mut member.content {
                next = related.count(next);
            }
        }
        next
    }

    #[inline]
    pub(super) fn member(&self, number: usize) -> Option<&Member> {
        self.members.get(number)
    }

    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    /// Calls with this view and all below it, in the order of their count.
    pub(super) fn each(&self, visit: &mut dyn FnMut(&View)) {
        visit(self);
        for member in &self.members {
            if let Content::One(Some(related)) | Content::Many(Some(related)) = &member.content {
                related.each(visit);
            }
        }
    }
}
