//! Where the relations of a table lead to: the fields of its records, of their related records, and so on.
//!
//! Who reads or prints a query has one table at hand; what it says of related records, however deep, is looked up from there.

use std::sync::Arc;

use super::{Field, FieldId, Shape, position};

/// The fields of the records that a relation leads to, and which of them is their key.
#[derive(Clone, Debug)]
pub struct Related {
    pub key: FieldId,
    pub fields: Arc<[Field]>,
}

/// The fields of one table, from which its relations lead on.
#[derive(Clone, Copy, Debug)]
pub struct Reach<'t> {
    pub key: FieldId,
    fields: &'t [Field],
    /// Of all tables.
    related: &'t [Related],
}

impl<'t> Reach<'t> {
    pub(super) fn new(key: FieldId, fields: &'t [Field], related: &'t [Related]) -> Self {
        Self { key, fields, related }
    }

    pub fn field(self, id: FieldId) -> Option<&'t Field> {
        self.fields.get(usize::from(id.0))
    }

    pub fn named(self, name: &str) -> Option<FieldId> {
        position(self.fields, name)
    }

    /// A field that is no relation.
    pub fn plain_named(self, name: &str) -> Option<FieldId> {
        self.named(name).filter(|id| self.is_plain(*id))
    }

    pub fn is_plain(self, id: FieldId) -> bool {
        self.field(id).is_some_and(|field| matches!(field.shape, Shape::Plain(_)))
    }

    /// All fields that are no relations.
    pub fn plain(self) -> impl Iterator<Item = FieldId> {
        self.ids().filter(move |id| self.is_plain(*id))
    }

    /// All relations.
    pub fn relations(self) -> impl Iterator<Item = FieldId> {
        self.ids().filter(move |id| !self.is_plain(*id))
    }

    /// The to-one relation whose key is in a column.
    pub fn relation_by(self, column: &str) -> Option<FieldId> {
        self.ids().find(|id| self.column_of(*id) == Some(column))
    }

    /// The name of the column that holds the key of a to-one relation's record.
    pub fn column_of(self, relation: FieldId) -> Option<&'t str> {
        match self.field(relation)?.shape {
            Shape::One { by, .. } => self.field(by).map(|field| &*field.name),
            Shape::Plain(_) | Shape::Many { .. } => None,
        }
    }

    /// From the records that a relation leads to.
    pub fn beyond(self, relation: FieldId) -> Option<Self> {
        match self.field(relation)?.shape {
            Shape::One { table, .. } | Shape::Many { table } => {
                let Related { key, fields } = self.related.get(usize::from(table.0))?;
                Some(Self { key: *key, fields, related: self.related })
            }
            Shape::Plain(_) => None,
        }
    }

    fn ids(self) -> impl Iterator<Item = FieldId> {
        (0..self.fields.len() as u16).map(FieldId)
    }
}
