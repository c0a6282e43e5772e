//! A table for tests of how it is asked for.

use crate::api::*;

/// Contacts with these fields: name, shape, whether it may be null. The first is the key, the second the tenant's.
pub(super) fn contacts(fields: impl IntoIterator<Item = (String, Shape, bool)>) -> Table {
    let field = |(name, shape, nullable): (String, Shape, bool)| Field {
        name: name.into(),
        shape,
        nullable,
        tags: Vec::new(),
        derived_from: Vec::new(),
        default: None,
        push: None,
    };
    Table {
        id: TableId(0),
        api: ApiId(0),
        name: "contacts".into(),
        key: FieldId(0),
        owner: None,
        tenant: Tenancy::Columns(vec![("organization_id".into(), FieldId(1))]),
        tenant_filter: Vec::new(),
        tenant_body: Vec::new(),
        fields: fields.into_iter().map(field).collect(),
        related: Vec::new(),
        absent_is_null: false,
        empty_is_null: false,
        container: None,
        in_place: false,
        race: Race::Accept,
        cascades: Vec::new(),
        client_keys: false,
        inexact_paging: InexactPaging::Refill,
        search: Vec::new(),
    }
}
