//! What a reader found: an API description in the making, and a list of all that is not in it.

/// Beyond these, what is left out is only counted.
const MAX_NOTES: usize = 300;

#[derive(Debug)]
pub(super) struct Draft {
    pub(super) dialect: Dialect,
    /// What it was made from, in words.
    pub(super) source: String,
    pub(super) tables: Vec<Table>,
    pub(super) cascades: Vec<Cascade>,
}

/// What the upstream says that it deletes along with a record.
#[derive(Debug)]
pub(super) struct Cascade {
    /// The table of the record.
    pub(super) of: String,
    /// The table whose records go along.
    pub(super) along: String,
    /// Its relation to the record. Errors: why none can be declared, for people.
    pub(super) by: Result<String, &'static str>,
    /// `None`: it has one meaning.
    pub(super) meaning: Option<Meaning>,
}

/// Of a word that can mean either of two things, which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Standard,
    Reverse,
}

#[derive(Debug)]
pub(super) enum Dialect {
    Rest(Box<Rest>),
    Odata { root: String },
    Directus,
    Pocketbase,
}

impl Dialect {
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Rest(_) => "rest",
            Self::Odata { .. } => "odata",
            Self::Directus => "directus",
            Self::Pocketbase => "pocketbase",
        }
    }
}

/// What the dialect `rest` must be told.
#[derive(Debug, Default)]
pub(super) struct Rest {
    pub(super) list: String,
    pub(super) record: String,
    pub(super) total: Option<String>,
    pub(super) limit: Option<Limit>,
    pub(super) offset: Option<String>,
    pub(super) page: Option<String>,
    pub(super) sort: Option<Sort>,
    pub(super) fields: Option<String>,
    pub(super) expand: Option<String>,
    /// (operator, spelling)
    pub(super) filter: Vec<(&'static str, String)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Limit {
    pub(super) name: String,
    pub(super) default: i64,
    pub(super) max: i64,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sort {
    pub(super) name: String,
    /// `None`: a prefix.
    pub(super) order: Option<String>,
}

#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: String,
    /// Where it stands in what was read.
    pub(super) place: String,
    pub(super) set: Option<String>,
    pub(super) key: String,
    pub(super) routes: Vec<Route>,
    pub(super) fields: Vec<Field>,
    /// Whether a field may be missing.
    pub(super) absent: bool,
    /// Query parameters of its list: the tenant's may be among them.
    pub(super) parameters: Vec<String>,
    pub(super) owner: Option<String>,
    pub(super) tenant: Option<Tenant>,
    /// (parameter, dimension)
    pub(super) tenant_filter: Vec<(String, String)>,
    /// `table.relation`
    pub(super) cascades: Vec<String>,
    /// Whether a deletion takes along what can't be declared.
    pub(super) undeletable: bool,
}

impl Table {
    /// One of which nothing is known but its name, by which it stands in what was read.
    pub(super) fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            place: name.to_owned(),
            set: None,
            key: String::new(),
            routes: Vec::new(),
            fields: Vec::new(),
            absent: false,
            parameters: Vec::new(),
            owner: None,
            tenant: None,
            tenant_filter: Vec::new(),
            cascades: Vec::new(),
            undeletable: false,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tenant {
    /// (dimension, column)
    Columns(Vec<(String, String)>),
    Via(String),
    Shared,
}

#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) action: String,
    /// `None`: where the dialect has it.
    pub(super) route: Option<String>,
}

impl Route {
    pub(super) fn of_dialect(action: &str) -> Self {
        Self { action: action.to_owned(), route: None }
    }

    pub(super) fn new(action: &str, route: impl Into<String>) -> Self {
        Self { action: action.to_owned(), route: Some(route.into()) }
    }

    pub(super) fn writes(&self) -> bool {
        !matches!(self.action.as_str(), "list" | "read")
    }
}

#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) of: Of,
    pub(super) nullable: bool,
    /// Of what the type tells: a password, an address of mail.
    pub(super) tags: Tags,
    /// The table whose keys it lists.
    pub(super) keys_of: Option<String>,
    /// As it is written.
    pub(super) default: Option<String>,
    /// Beside it, for the operator. Never of what was read.
    pub(super) comment: Option<&'static str>,
}

impl Field {
    pub(super) fn plain(name: &str, of: impl Into<String>, nullable: bool) -> Self {
        let (name, of) = (name.to_owned(), Of::Plain(of.into()));
        Self { name, of, nullable, tags: Tags::default(), keys_of: None, default: None, comment: None }
    }

    pub(super) fn relation(name: &str, of: Of) -> Self {
        Self { of, ..Self::plain(name, "", false) }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Of {
    Plain(String),
    One { table: String, by: String },
    Many { table: String },
}

impl Of {
    pub(super) fn plain(&self) -> Option<&str> {
        match self {
            Self::Plain(of) => Some(of),
            Self::One { .. } | Self::Many { .. } => None,
        }
    }

    /// A column that can tell records apart.
    pub(super) fn is_scalar(&self) -> bool {
        self.plain().is_some_and(|of| of != "json" && !of.contains('('))
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tags {
    pub(super) pii: bool,
    pub(super) secret: bool,
}

impl Tags {
    pub(super) const PII: Self = Self { pii: true, secret: false };
    pub(super) const SECRET: Self = Self { pii: false, secret: true };
    pub(super) const BOTH: Self = Self { pii: true, secret: true };

    pub(super) fn with(self, other: Self) -> Self {
        Self { pii: self.pii || other.pii, secret: self.secret || other.secret }
    }
}

/// What is not in the draft, each once, with its place.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) all: Vec<(String, String)>,
    seen: std::collections::HashSet<(String, String)>,
    pub(super) more: usize,
}

impl Notes {
    pub(super) fn push(&mut self, place: impl Into<String>, what: impl Into<String>) {
        let note = (place.into(), what.into());
        if self.all.len() >= MAX_NOTES {
            self.more += 1;
        } else if self.seen.insert(note.clone()) {
            self.all.push(note);
        }
    }
}
