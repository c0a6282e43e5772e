//! A plan made ready for scanning: for each table in the answer its members by name, and who judges its records.
//!
//! Built once for an answer, from its [`Plan`](super::Plan). It doesn't know where judgements come from: [`Judge`] is the
//! seam between this scanner and the policy engine.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::hmac;

use super::mask::{Keys, Purpose};
use super::plan::Lens;
use crate::api::{Catalog, FieldId, Shape, TableId};
use crate::model::Name;
use crate::model::value::Type;
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
    pub(super) judge: Arc<dyn Judge>,
    pub(super) table: TableId,
    pub(super) key: FieldId,
    /// Sorted by length, then by name.
    members: Vec<Member>,
}

/// A member that a record may have: declared, or read by a rule.
pub(super) struct Member {
    name: Name,
    pub(super) field: FieldId,
    /// Where the layout goes on below it.
    pub(super) node: Option<NodeId>,
    pub(super) content: Content,
    keys: [OnceLock<Option<hmac::Key>>; 2],
}

pub(super) enum Content {
    Plain {
        kind: Type,
        /// Whether the client asked for it.
        asked: bool,
    },
    /// `None`: not asked for.
    One(Option<View>),
    Many(Option<View>),
}

impl View {
    pub(super) fn new(catalog: &Catalog, lens: &Lens) -> Self {
        let judge: Arc<dyn Judge> = Arc::clone(&lens.residual) as _;
        let asked = |field: FieldId| lens.fields.as_ref().is_none_or(|fields| fields.contains(&field));
        Self::of(catalog, judge, &asked, &|field| lens.relations.get(&field).map(|related| Self::new(catalog, related)))
    }

    pub(super) fn of(
        catalog: &Catalog,
        judge: Arc<dyn Judge>,
        asked: &dyn Fn(FieldId) -> bool,
        related: &dyn Fn(FieldId) -> Option<View>,
    ) -> Self {
        let table = catalog.table(judge.table());
        let layout = judge.layout();
        // A view of another table than the declared one would judge by the wrong rules: it is none.
        let related = |field, of: TableId| related(field).filter(|view| view.table == of);
        let mut members: Vec<Member> = table
            .field_ids()
            .map(|field| {
                let declared = table.field(field);
                Member {
                    name: Arc::clone(&declared.name),
                    field,
                    node: layout.member(NodeId::ROOT, declared.name.as_bytes()),
                    content: match &declared.shape {
                        Shape::Plain(kind) => Content::Plain { kind: kind.clone(), asked: asked(field) },
                        Shape::One { table, .. } => Content::One(related(field, *table)),
                        Shape::Many { table } => Content::Many(related(field, *table)),
                    },
                    keys: Default::default(),
                }
            })
            .collect();
        members.sort_by(|a, b| order(&a.name, b.name.as_bytes()));
        Self { table: table.id, key: table.key, judge, members }
    }

    /// The number of a member, by its unescaped name.
    pub(super) fn find(&self, name: &[u8]) -> Option<usize> {
        self.members.binary_search_by(|member| order(&member.name, name)).ok()
    }

    pub(super) fn member(&self, number: usize) -> Option<&Member> {
        self.members.get(number)
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }
}

/// Lengths first: they differ more often, and cost less to compare.
fn order(a: &str, b: &[u8]) -> std::cmp::Ordering {
    a.len().cmp(&b.len()).then_with(|| a.as_bytes().cmp(b))
}

impl Member {
    /// The key of a mask for this field, derived when it is first needed.
    pub(super) fn key(&self, purpose: Purpose, keys: &Keys, table: TableId) -> Option<&hmac::Key> {
        let [hash, token] = &self.keys;
        let slot = match purpose {
            Purpose::Hash => hash,
            Purpose::Token => token,
        };
        slot.get_or_init(|| keys.derive(purpose, table, &self.name)).as_ref()
    }
}
