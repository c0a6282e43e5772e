//! Tables for tests of how they are asked for.

use std::sync::Arc;

use crate::api::*;
use crate::model::value::Type;

/// Contacts with these fields: name, shape, whether it may be null. The first is the key, the second the tenant's.
pub(super) fn contacts(fields: impl IntoIterator<Item = (String, Shape, bool)>) -> Table {
    let field = |(name, shape, nullable): (String, Shape, bool)| Field {
        name: name.into(),
        shape,
        nullable,
        tags: Vec::new(),
        derived_from: Vec::new(),
        keys_of: None,
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
        related: Arc::default(),
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

/// Contacts whose accounts have owners and contacts, and whose owners have an account, so that relations lead on without end.
///
/// Of each table the fields are: `id`, `organization_id`, `name`, a column, the to-one relation by that column; and of accounts
/// `contacts` and `secret`.
pub(super) fn related() -> Table {
    let table = |id: u16, column: &str, relation: &str, to: u16, more: Vec<(String, Shape, bool)>| {
        let plain = |name: &str| (name.to_owned(), Shape::Plain(Type::String), false);
        let one = (relation.to_owned(), Shape::One { table: TableId(to), by: FieldId(3) }, true);
        let own = [plain("id"), plain("organization_id"), plain("name"), plain(column), one];
        Table { id: TableId(id), ..contacts(own.into_iter().chain(more)) }
    };
    let many = ("contacts".to_owned(), Shape::Many { table: TableId(0) }, false);
    let secret = ("secret".to_owned(), Shape::Plain(Type::String), false);
    let contacts = table(0, "account_id", "account", 1, Vec::new());
    let (accounts, users) =
        (table(1, "owner_id", "owner", 2, vec![many, secret]), table(2, "account_id", "account", 1, Vec::new()));
    let known =
        [&contacts, &accounts, &users].map(|table| Related { key: table.key, fields: Arc::clone(&table.fields) });
    Table { related: known.into(), ..contacts }
}
