//! What the APIs behind the gateway look like: tables, fields, relations, routes and the dialect they speak.
//!
//! A [`Catalog`] holds every described API, checked: names resolve, routes do not overlap, every table says whose tenant
//! its rows belong to. It holds no permissions. `raw` reads the files as written; `compile` checks them all at once.

mod compile;
mod directus;
mod guard;
mod names;
mod odata;
mod raw;
mod reach;
mod route;
pub mod template;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Source};
use crate::model::value::Type;
use crate::model::{Name, Value};
pub use directus::Directus;
pub use guard::{Otherwise, Race};
use names::Names;
pub use odata::{Odata, Search};
pub use reach::{Reach, Related};
pub use route::{Document, Form, Live, Route, RouteKind, Sent};
pub use template::Template;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableId(pub u16);

/// Counts within its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldId(pub u16);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApiId(pub u16);

/// All APIs and tables, in the order of their files. Table names are unique over all APIs.
#[derive(Debug, Default)]
pub struct Catalog {
    apis: Vec<Api>,
    tables: Vec<Table>,
    by_name: HashMap<Name, TableId>,
    /// By table.
    fields: Vec<Names>,
    /// SHA-256 over the files.
    hash: [u8; 32],
}

impl Catalog {
    /// Checks a set of description files against the declared upstreams and tenant dimensions.
    ///
    /// Errors: every mistake of every file, placed; warnings alone come with the catalog.
    pub fn compile(
        files: &[Arc<Source>],
        upstreams: &[Service],
        dimensions: &[Name],
    ) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        compile::catalog(files, upstreams, dimensions)
    }

    /// A catalog of parts that are known to fit together: ids are positions, names are unique.
    pub fn from_parts(apis: Vec<Api>, mut tables: Vec<Table>) -> Self {
        let own = |table: &Table| Related { key: table.key, fields: Arc::clone(&table.fields) };
        let known: Arc<[Related]> = tables.iter().map(own).collect();
        for table in &mut tables {
            table.related = Arc::clone(&known);
        }
        let by_name = tables.iter().map(|table| (Name::clone(&table.name), table.id)).collect();
        let names = |table: &Table| Names::new(table.fields.iter().map(|field| Name::clone(&field.name)));
        let fields = tables.iter().map(names).collect();
        Self { apis, tables, by_name, fields, hash: [0; 32] }
    }

    /// Another one where the files say something else, in whatever words.
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// Whether any route takes WebSockets.
    pub fn takes_websockets(&self) -> bool {
        self.apis.iter().flat_map(|api| &api.routes).any(|route| route.kind.is_websocket())
    }

    pub fn apis(&self) -> impl Iterator<Item = (ApiId, &Api)> + Clone {
        self.apis.iter().enumerate().map(|(index, api)| (ApiId(index as u16), api))
    }

    pub fn tables(&self) -> impl Iterator<Item = &Table> {
        self.tables.iter()
    }

    pub fn api(&self, id: ApiId) -> &Api {
        #[expect(clippy::indexing_slicing, reason = "ids are only made for entries of this catalog")]
        &self.apis[usize::from(id.0)]
    }

    pub fn table(&self, id: TableId) -> &Table {
        #[expect(clippy::indexing_slicing, reason = "ids are only made for entries of this catalog")]
        &self.tables[usize::from(id.0)]
    }

    pub fn table_named(&self, name: &str) -> Option<&Table> {
        self.by_name.get(name).map(|id| self.table(*id))
    }

    /// A field of a table by its name's bytes: the same as [`Table::field_named`], for those who ask often.
    pub fn field_named(&self, table: TableId, name: &[u8]) -> Option<FieldId> {
        self.fields.get(usize::from(table.0))?.find(name).map(FieldId)
    }
}

/// An upstream that descriptions may name.
#[derive(Clone, Debug)]
pub struct Service {
    pub name: Name,
    /// The dimensions by which a tenant's own credential or certificate is shown to it, and never another one's.
    pub shown: Vec<Name>,
    /// The header of that credential, if it has one of its own.
    pub header: Option<http::HeaderName>,
}

/// One that is shown the same for all tenants, or nothing.
impl From<&str> for Service {
    fn from(name: &str) -> Self {
        Self { name: name.into(), shown: Vec::new(), header: None }
    }
}

#[derive(Debug)]
pub struct Api {
    pub name: Name,
    pub upstream: Name,
    pub dialect: Dialect,
    /// Of all tables of this API, and the opaque ones. No two of them match the same request.
    pub routes: Vec<Route>,
    /// Request headers that carry the tenant to the upstream: (header, dimension).
    pub tenant_headers: Vec<(http::HeaderName, Name)>,
    /// Whether the upstream does a write once, however often it is sent with one `Idempotency-Key`.
    pub idempotent: bool,
}

#[derive(Debug)]
pub enum Dialect {
    Rest(Box<Rest>),
    Odata(Odata),
    Pocketbase(Pocketbase),
    Directus(Directus),
}

/// A JSON API whose parts are declared one by one.
#[derive(Debug)]
pub struct Rest {
    pub list: Records,
    /// Where the record lies in the answer to a read, a create or an update: `$.data` or `$`.
    pub record: Place,
    /// Where a list says how many records there are in all.
    pub total: Option<Place>,
    /// Other members of a list's envelope that may pass; what is not named is removed.
    pub keep: Vec<Place>,
    pub parameters: Parameters,
}

/// PocketBase, whose envelope and parameters are known.
#[derive(Debug)]
pub struct Pocketbase {
    pub list: Records,
    pub record: Place,
    pub totals: Vec<Place>,
    pub echoes: Vec<Place>,
    /// Records of a page where the client doesn't say how many.
    pub page: u64,
    pub max_page: u64,
}

impl Pocketbase {
    /// What the server answers where nothing is asked for.
    pub const PAGE: u64 = 30;
    /// It never answers with more.
    pub const MAX_PAGE: u64 = 1000;
    /// The member of a record that holds its expanded relations.
    pub const CONTAINER: &str = "expand";

    pub fn new(page: u64, max_page: u64) -> Self {
        let place = |name: &str| Place(vec![name.into()]);
        Self {
            list: Records::Array(place("items")),
            record: Place::default(),
            totals: vec![place("totalItems"), place("totalPages")],
            echoes: vec![place("page"), place("perPage")],
            page,
            max_page,
        }
    }
}

/// How the records lie in the answer to a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Records {
    /// In an array at this place: `$.data[*]` or `$[*]`.
    Array(Place),
    /// One a line, without an envelope (NDJSON): `lines`.
    Lines,
}

/// Member names from the root of a document. Empty: the root itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place(pub Vec<Name>);

/// Whether parameters are those that are declared, or known from a server that is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    #[default]
    Declared,
    /// Columns by their names, with operators in their values; `and`, `or`, `select`, `order`, `limit` and `offset`.
    Postgrest,
}

impl Style {
    /// Parameters and words of PostgREST's that are no columns.
    pub const RESERVED: [&str; 9] =
        ["select", "order", "limit", "offset", "and", "or", "not", "columns", "on_conflict"];
}

/// How the upstream's query parameters are spelled; what is `None` it does not have, and a client may not use.
#[derive(Debug)]
pub struct Parameters {
    pub style: Style,
    pub limit: Option<Limit>,
    /// Counts records from 0.
    pub offset: Option<Name>,
    /// Counts pages from 1.
    pub page: Option<Name>,
    /// The client's alone: where a list goes on.
    pub cursor: Name,
    pub sort: Option<Sort>,
    pub fields: Option<ListParameter>,
    pub expand: Option<ListParameter>,
    /// (operator, spelling): the spelling holds `{field}`, for example `filter[{field}][gt]`.
    pub filter: Vec<(Operator, Name)>,
    /// Looks for a text in whatever each table says that it does.
    pub search: Option<Name>,
    /// `None`: not known.
    pub nulls: Option<Nulls>,
    /// Values of one list.
    pub list: usize,
}

impl Parameters {
    /// Values of one list, where nothing else is declared.
    pub const LIST: usize = 100;
    pub const MAX_LIST: usize = 1000;
    pub const CURSOR: &str = "scrim_cursor";
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            style: Style::Declared,
            limit: None,
            offset: None,
            page: None,
            cursor: Self::CURSOR.into(),
            sort: None,
            fields: None,
            expand: None,
            filter: Vec::new(),
            search: None,
            nulls: None,
            list: Self::LIST,
        }
    }
}

#[derive(Debug)]
pub struct Limit {
    pub name: Name,
    /// Sent where the client names none, so that no list is unbounded.
    pub default: u64,
    pub max: u64,
}

#[derive(Debug)]
pub struct ListParameter {
    pub name: Name,
    pub separator: char,
}

#[derive(Debug)]
pub struct Sort {
    pub list: ListParameter,
    pub direction: Direction,
}

#[derive(Debug)]
pub enum Direction {
    /// `-amount` descends.
    Prefix,
    /// A second parameter holds `asc` or `desc` for each field.
    Parameter(Name),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// The value is a list separated by commas.
    In,
    /// As `In`, of all others.
    NotIn,
    /// `true` for the records without a value, `false` for those with one.
    Null,
    StartsWith,
    EndsWith,
    Contains,
    /// As the three before, whatever the case of letters.
    StartsWithAnyCase,
    EndsWithAnyCase,
    ContainsAnyCase,
    /// One parameter for each value of a list, any of which may be found. The gateway's alone: two parameters of one name
    /// are no query of a client's.
    Each,
}

impl Operator {
    pub const ALL: [Self; 16] = [
        Self::Equal,
        Self::NotEqual,
        Self::Less,
        Self::LessOrEqual,
        Self::Greater,
        Self::GreaterOrEqual,
        Self::In,
        Self::NotIn,
        Self::Null,
        Self::StartsWith,
        Self::EndsWith,
        Self::Contains,
        Self::StartsWithAnyCase,
        Self::EndsWithAnyCase,
        Self::ContainsAnyCase,
        Self::Each,
    ];

    /// As an API description calls it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Equal => "eq",
            Self::NotEqual => "ne",
            Self::Less => "lt",
            Self::LessOrEqual => "le",
            Self::Greater => "gt",
            Self::GreaterOrEqual => "ge",
            Self::In => "in",
            Self::NotIn => "not_in",
            Self::Null => "null",
            Self::StartsWith => "starts_with",
            Self::EndsWith => "ends_with",
            Self::Contains => "contains",
            Self::StartsWithAnyCase => "starts_with_any_case",
            Self::EndsWithAnyCase => "ends_with_any_case",
            Self::ContainsAnyCase => "contains_any_case",
            Self::Each => "each",
        }
    }
}

/// How far an upstream's own comparisons with a field may be trusted. In doubt the gateway asks for more, and judges it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Push {
    /// What is equal is so bit by bit; numbers, dates, instants and bools have the order of their values.
    Exact,
    /// As `Exact`, and texts are ordered by their code points.
    Ordered,
    /// Texts that differ, in the case of a letter or by spaces at the end, may be equal.
    Loose,
    /// The upstream holds the numbers themselves as 64-bit floats.
    Double,
    /// Numbers are compared as 64-bit floats, whatever they are held as.
    Rounded,
    /// Instants are compared without what is below.
    Seconds,
    Milliseconds,
    Microseconds,
}

/// Whether records without a value are among those for which something is not so: `ne` and `not_in`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nulls {
    /// As in SQL.
    Dropped,
    Kept,
}

#[derive(Debug)]
pub struct Table {
    pub id: TableId,
    pub api: ApiId,
    pub name: Name,
    pub key: FieldId,
    /// Whether whoever makes a record may choose its key, if a policy lets them.
    pub client_keys: bool,
    pub owner: Option<FieldId>,
    pub tenant: Tenancy,
    /// The query parameters that restrict a list to one tenant: (parameter, dimension). Empty: the upstream cannot.
    pub tenant_filter: Vec<(Name, Name)>,
    /// Members of a body by which the upstream is told whose a record is, none of them a field: (place, dimension).
    pub tenant_body: Vec<(Place, Name)>,
    pub fields: Arc<[Field]>,
    /// The fields of all tables, by table: what relations lead to. Made by the catalog.
    pub related: Arc<[Related]>,
    /// Whether a declared field that is missing means null; otherwise it is an error.
    pub absent_is_null: bool,
    /// Whether an empty text in a nullable field means null.
    pub empty_is_null: bool,
    /// The member of a record that holds its to-one relations, by the names of their columns. `None`: they are members of
    /// the record.
    pub container: Option<Name>,
    /// Whether to clients a to-one relation is its column: they name it so, and find the related record in its place.
    pub in_place: bool,
    pub race: Race,
    /// What the upstream deletes with a record of this table: (table, its column that holds the record's key).
    pub cascades: Vec<(TableId, FieldId)>,
    /// What to do where rows are dropped that the upstream counted.
    pub inexact_paging: InexactPaging,
    /// The fields that a search looks into, and no others. Empty: there is none.
    pub search: Vec<FieldId>,
}

impl Table {
    pub fn field(&self, id: FieldId) -> &Field {
        #[expect(clippy::indexing_slicing, reason = "ids are only made for fields of this table")]
        &self.fields[usize::from(id.0)]
    }

    pub fn field_named(&self, name: &str) -> Option<FieldId> {
        position(&self.fields, name)
    }

    /// What a to-one relation leads to.
    pub fn related(&self, relation: FieldId) -> Option<&Related> {
        match self.fields.get(usize::from(relation.0))?.shape {
            Shape::One { table, .. } => self.related.get(usize::from(table.0)),
            Shape::Plain(_) | Shape::Many { .. } => None,
        }
    }

    /// Its fields, and from there those of the tables that its relations lead to.
    pub fn reach(&self) -> Reach<'_> {
        Reach::new(self.key, &self.fields, &self.related)
    }

    /// A field of its own or, with a relation before it, one of the record that it leads to. `None`: there is none.
    pub fn reached(&self, through: Option<FieldId>, id: FieldId) -> Option<&Field> {
        let fields = match through {
            None => &self.fields,
            Some(relation) => &self.related(relation)?.fields,
        };
        fields.get(usize::from(id.0))
    }

    /// The same by its names from the record on. `None`: it leads somewhere else.
    pub fn column(&self, names: &[Name]) -> Option<(Option<FieldId>, FieldId)> {
        match names {
            [name] => Some((None, self.field_named(name)?)),
            [relation, name] => {
                let relation = self.field_named(relation)?;
                Some((Some(relation), position(&self.related(relation)?.fields, name)?))
            }
            _ => None,
        }
    }

    /// A tenant column of a parent, from the record on.
    pub fn lent(&self, relation: FieldId, of: &Lent) -> Option<(Option<FieldId>, FieldId)> {
        self.column(&[Name::clone(&self.field(relation).name), Name::clone(&of.column)])
    }

    /// The columns that say whose a record is, its own or its parent's. `None` for one that leads nowhere.
    pub fn tenant_columns(&self) -> Vec<Option<&Field>> {
        match &self.tenant {
            Tenancy::Columns(columns) => columns.iter().map(|(_, column)| Some(self.field(*column))).collect(),
            Tenancy::Via(parent) => {
                let column = |lent: &Lent| {
                    let (through, field) = self.lent(parent.relation, lent)?;
                    self.reached(through, field)
                };
                parent.columns.iter().map(column).collect()
            }
            Tenancy::Shared => Vec::new(),
        }
    }

    /// Whether nothing is known of the tenant's columns by which the upstream would take one tenant for another.
    pub fn tells_tenants_apart(&self) -> bool {
        let tells = |column: &Field| !matches!(column.push, Some(Push::Loose | Push::Rounded));
        self.tenant_columns().into_iter().all(|column| column.is_some_and(tells))
    }

    /// The to-one relation whose key is in a column.
    pub fn relation_by(&self, column: &str) -> Option<FieldId> {
        self.reach().relation_by(column)
    }

    pub fn field_ids(&self) -> impl Iterator<Item = FieldId> + use<> {
        (0..self.fields.len() as u16).map(FieldId)
    }
}

fn position(fields: &[Field], name: &str) -> Option<FieldId> {
    fields.iter().position(|field| &*field.name == name).map(|index| FieldId(index as u16))
}

#[derive(Debug)]
pub struct Field {
    pub name: Name,
    pub shape: Shape,
    pub nullable: bool,
    pub tags: Vec<Name>,
    /// A figure made of these tables; it shows only where all of their records would.
    pub derived_from: Vec<TableId>,
    /// Its value, or each element of it, is the key of a record of this table, which whoever writes it must be able to read.
    pub keys_of: Option<TableId>,
    /// What the upstream stores where a create leaves it out.
    pub default: Option<Value>,
    /// How far the upstream's filters on it may be trusted; `None`: the gateway never filters by it of its own accord.
    pub push: Option<Push>,
}

impl Field {
    pub fn is_secret(&self) -> bool {
        self.tags.iter().any(|tag| &**tag == "secret")
    }
}

#[derive(Debug, PartialEq)]
pub enum Shape {
    Plain(Type),
    /// To-one: null, or the related record where it was expanded. `by` is the column that holds its key.
    One {
        table: TableId,
        by: FieldId,
    },
    /// To-many: a list of related records.
    Many {
        table: TableId,
    },
}

/// Whose tenant a row belongs to. There is no default.
#[derive(Debug, PartialEq)]
pub enum Tenancy {
    /// (dimension, column), one for each declared dimension.
    Columns(Vec<(Name, FieldId)>),
    /// The parent's tenant, which must come expanded.
    Via(Parent),
    /// Belongs to all tenants, and can't be written.
    Shared,
}

/// A record whose tenant is that of others.
#[derive(Clone, Debug, PartialEq)]
pub struct Parent {
    /// The to-one relation that leads to it.
    pub relation: FieldId,
    pub columns: Vec<Lent>,
}

/// A tenant column of a parent.
#[derive(Clone, Debug, PartialEq)]
pub struct Lent {
    pub dimension: Name,
    pub column: Name,
    pub of: Type,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InexactPaging {
    /// Read on from the first record until the page is full, so that it shows nothing of the rows that were dropped.
    Refill,
    /// Pages may hold fewer records than asked for, which tells that there are others; filters and orders are refused.
    Short,
}

/// The files that a configuration names, in a stable order, read.
pub fn read(paths: &[PathBuf]) -> Result<Vec<Arc<Source>>, Vec<Diagnostic>> {
    compile::read(paths)
}
