//! TODO

use std::sync::Arc;

use super::decision::{Creation, Judgement, WriteJudgement};
use super::slots::{Layout, Slots};
use crate::api::{FieldId, TableId};
use crate::model::Name;

#[derive(Debug)]
pub(super) struct Inner;
#[derive(Debug)]
pub(super) struct Check;

impl Inner {
    pub(super) fn table(&self) -> TableId {
        todo!()
    }
    pub(super) fn layout(&self) -> &Arc<Layout> {
        todo!()
    }
    pub(super) fn is_total(&self) -> bool {
        todo!()
    }
    pub(super) fn rules(&self) -> Vec<Name> {
        todo!()
    }
    pub(super) fn judge(&self, _record: &Slots<'_>) -> Judgement {
        todo!()
    }
    pub(super) fn may_show(&self, _field: FieldId) -> bool {
        todo!()
    }
    pub(super) fn is_clear_everywhere(&self, _field: FieldId) -> bool {
        todo!()
    }
    pub(super) fn may_write(&self, _field: FieldId) -> bool {
        todo!()
    }
    pub(super) fn creations(&self) -> &[Creation] {
        todo!()
    }
    pub(super) fn judge_creation(&self, _creation: &Creation, _after: &Slots<'_>) -> WriteJudgement {
        todo!()
    }
    pub(super) fn judge_change(&self, _before: &Slots<'_>, _after: &Slots<'_>, _changed: &[FieldId]) -> WriteJudgement {
        todo!()
    }
}
