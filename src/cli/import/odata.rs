//! OData V4: entity sets of a `$metadata` document (CSDL 4.0 and 4.01, XML or JSON) become tables.
//!
//! `xml` and `json` read the two spellings into one [`Csdl`]; what becomes of it is decided here. References to other
//! documents are not followed.

mod deletions;
mod json;
mod xml;

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;

use super::draft::{Dialect, Draft, Field, Notes, Of, Route, Table, Tags};
use super::tree::Tree;
use super::{Failed, Input, Options, words};

/// Types within types, and types upon types.
const MAX_DEPTH: usize = 16;
/// More are not read.
const MAX_SETS: usize = 2_000;
/// Of all that is followed in one document.
const MAX_STEPS: usize = 300_000;

/// What of a document counts. Names are qualified by their namespaces, never by aliases.
#[derive(Debug, Default)]
struct Csdl {
    entities: IndexMap<String, Structure>,
    complex: IndexMap<String, Structure>,
    enums: HashSet<String>,
    /// (name, underlying type)
    definitions: HashMap<String, String>,
    sets: Vec<Set>,
    /// What is there and can't be imported.
    others: Vec<(String, &'static str)>,
}

#[derive(Debug, Default)]
struct Structure {
    base: Option<String>,
    key: Vec<String>,
    properties: Vec<Property>,
    navigations: Vec<Navigation>,
}

#[derive(Debug)]
struct Property {
    name: String,
    /// `Edm.String`, `Collection(crm.Address)`
    of: String,
    nullable: bool,
    default: Option<String>,
    computed: bool,
}

#[derive(Debug)]
struct Navigation {
    name: String,
    of: String,
    /// (column, column of the other)
    constraints: Vec<(String, String)>,
    contained: bool,
    /// The relation that leads back.
    partner: Option<String>,
    /// Whether what it leads to is deleted with the record.
    cascades: bool,
}

#[derive(Debug, Default)]
struct Set {
    name: String,
    of: String,
    /// (navigation, set)
    bindings: Vec<(String, String)>,
    /// Of `Insertable`, `Updatable`, `Deletable` and `Readable`, those that are false.
    refused: Vec<String>,
}

pub(super) fn xml(input: &Input, options: &Options, notes: &mut Notes) -> Result<Draft, Failed> {
    let csdl = xml::read(&input.text).map_err(|why| Failed::Malformed(input.name.clone(), why))?;
    draft(&csdl, options, notes)
}

pub(super) fn json(input: &Input, tree: &Tree, options: &Options, notes: &mut Notes) -> Result<Draft, Failed> {
    let csdl = json::read(tree).map_err(|why| Failed::Malformed(input.name.clone(), why))?;
    draft(&csdl, options, notes)
}

/// `crm.Contact` for `alias.Contact`.
fn qualify(name: &str, aliases: &HashMap<String, String>) -> String {
    if let Some(inner) = name.strip_prefix("Collection(").and_then(|name| name.strip_suffix(')')) {
        return format!("Collection({})", qualify(inner, aliases));
    }
    let own = name.rsplit_once('.').and_then(|(prefix, name)| Some(format!("{}.{name}", aliases.get(prefix)?)));
    own.unwrap_or_else(|| name.to_owned())
}

fn draft(csdl: &Csdl, options: &Options, notes: &mut Notes) -> Result<Draft, Failed> {
    for (place, what) in &csdl.others {
        notes.push(place, *what);
    }
    let root = options.root.clone().ok_or(Failed::Root)?;
    let mut reading = Reading { csdl, notes, steps: 0 };
    let (mut tables, mut cascades) = (Vec::new(), Vec::new());
    let derived = deletions::derived(csdl);
    for set in &csdl.sets {
        tables.extend(reading.table(set, &root)?);
        cascades.extend(reading.cascades(set, &derived)?);
    }
    let source = "the metadata of an OData service".to_owned();
    Ok(Draft { dialect: Dialect::Odata { root }, source, tables, cascades })
}

struct Reading<'a> {
    csdl: &'a Csdl,
    notes: &'a mut Notes,
    steps: usize,
}

impl<'a> Reading<'a> {
    fn step(&mut self) -> Result<(), Failed> {
        self.steps += 1;
        if self.steps > MAX_STEPS { Err(Failed::Intricate) } else { Ok(()) }
    }

    fn table(&mut self, set: &'a Set, root: &str) -> Result<Option<Table>, Failed> {
        let csdl = self.csdl;
        let types = self.chain(&csdl.entities, &set.of)?;
        let place = &*set.name;
        if types.is_empty() {
            self.notes.push(place, format!("its type {:?} is not in this document", set.of));
            return Ok(None);
        }
        let key = match types.iter().map(|of| of.key.as_slice()).find(|key| !key.is_empty()) {
            Some([key]) => key.clone(),
            Some(_) => {
                self.notes.push(place, "the table is left out: its key is of several columns");
                return Ok(None);
            }
            None => {
                self.notes.push(place, "the table is left out: it has no key");
                return Ok(None);
            }
        };
        let mut fields = Vec::new();
        for property in types.iter().flat_map(|of| &of.properties) {
            fields.extend(self.column(place, property)?);
        }
        for navigation in types.iter().flat_map(|of| &of.navigations) {
            self.step()?;
            fields.extend(self.relation(set, navigation));
        }
        let guid =
            types.iter().flat_map(|of| &of.properties).any(|p| p.name == key && self.underlying(&p.of) == "Edm.Guid");
        let routes = routes(set, &key, root, guid);
        Ok(Some(Table { key, routes, fields, ..Table::named(&set.name) }))
    }

    /// A type after those that it extends.
    fn chain(&mut self, all: &'a IndexMap<String, Structure>, name: &str) -> Result<Vec<&'a Structure>, Failed> {
        let mut chain = Vec::new();
        let mut next = Some(name);
        while let Some(of) = next.and_then(|name| all.get(name)) {
            self.step()?;
            chain.push(of);
            if chain.len() > MAX_DEPTH {
                return Err(Failed::Intricate);
            }
            next = of.base.as_deref();
        }
        chain.reverse();
        Ok(chain)
    }

    /// What a type definition stands for.
    fn underlying<'b>(&'b self, of: &'b str) -> &'b str {
        self.csdl.definitions.get(of).map_or(of, String::as_str)
    }

    fn column(&mut self, set: &str, property: &Property) -> Result<Option<Field>, Failed> {
        self.step()?;
        let (inner, many) = match property.of.strip_prefix("Collection(").and_then(|of| of.strip_suffix(')')) {
            Some(inner) => (inner, true),
            None => (property.of.as_str(), false),
        };
        let inner = self.underlying(inner).to_owned();
        let mut tags = Tags::default();
        let of = match scalar(&inner) {
            Some("") => {
                self.notes.push(format!("{set}/{}", property.name), "it is a stream, which is no part of a record");
                return Ok(None);
            }
            Some(of) => of,
            None if self.csdl.enums.contains(&inner) => "string",
            None if self.csdl.complex.contains_key(&inner) => {
                tags = self.tags_within(&inner, 0)?;
                "json"
            }
            None => {
                let place = format!("{set}/{}", property.name);
                self.notes.push(place, format!("its type {inner:?} is not in this document"));
                return Ok(None);
            }
        };
        let whole = if many { format!("list({of})") } else { of.to_owned() };
        let mut field = Field::plain(
            &property.name,
            if many && of == "json" { "json".to_owned() } else { whole },
            property.nullable && !many,
        );
        field.tags = tags;
        field.default = property.default.as_deref().filter(|_| !many).and_then(|value| default(of, value));
        field.comment = match inner.as_str() {
            "Edm.Guid" => Some("a Guid: the gateway's own filters compare it as a text"),
            _ if property.computed => Some("set by the service"),
            _ => None,
        };
        Ok(Some(field))
    }

    /// What the names within a complex type propose for the whole.
    fn tags_within(&mut self, name: &str, depth: usize) -> Result<Tags, Failed> {
        if depth > MAX_DEPTH {
            return Err(Failed::Intricate);
        }
        let csdl = self.csdl;
        let mut all = Tags::default();
        for property in self.chain(&csdl.complex, name)?.iter().flat_map(|of| &of.properties) {
            self.step()?;
            all = all.with(words::tags(&property.name));
            let inner = one(&property.of);
            if inner != name && csdl.complex.contains_key(inner) {
                all = all.with(self.tags_within(inner, depth + 1)?);
            }
        }
        Ok(all)
    }

    fn relation(&mut self, set: &'a Set, navigation: &Navigation) -> Option<Field> {
        let place = format!("{}/{}", set.name, navigation.name);
        if navigation.contained {
            self.notes.push(place, "it holds records that are in no set");
            return None;
        }
        let Some(target) = self.target(set, navigation).map(str::to_owned) else {
            self.notes.push(place, "the set that it points to is not there");
            return None;
        };
        if navigation.is_many() {
            return Some(Field::relation(&navigation.name, Of::Many { table: target }));
        }
        let [(column, _)] = navigation.constraints.as_slice() else {
            self.notes.push(place, "no single column of it is said to hold the other's key");
            return None;
        };
        Some(Field::relation(&navigation.name, Of::One { table: target, by: column.clone() }))
    }

    /// The set that a relation points to.
    fn target(&self, set: &'a Set, navigation: &Navigation) -> Option<&'a str> {
        let bound = set.bindings.iter().find(|(path, _)| *path == navigation.name).map(|(_, set)| set.as_str());
        let csdl = self.csdl;
        let mut of_type = csdl.sets.iter().filter(|set| set.of == one(&navigation.of)).map(|set| set.name.as_str());
        // Without a binding, where there is only one set that it can mean.
        bound.or_else(|| of_type.next().filter(|_| of_type.next().is_none()))
    }
}

impl Navigation {
    fn is_many(&self) -> bool {
        one(&self.of) != self.of
    }
}

/// `crm.Contact` for `Collection(crm.Contact)`.
fn one(of: &str) -> &str {
    of.strip_prefix("Collection(").and_then(|of| of.strip_suffix(')')).unwrap_or(of)
}

/// Guids are keys without quotes (OData 4.01 URL conventions, 4.3.1), and texts to policies.
fn routes(set: &Set, key: &str, root: &str, guid: bool) -> Vec<Route> {
    let refuses = |word: &str| set.refused.iter().any(|refused| refused == word);
    let record = format!("{}/{}({{{key}}})", root.trim_end_matches('/'), set.name);
    let list = format!("{}/{}", root.trim_end_matches('/'), set.name);
    let all = [
        ("list", "Readable", "GET", &list),
        ("read", "Readable", "GET", &record),
        ("create", "Insertable", "POST", &list),
        ("update", "Updatable", "PATCH", &record),
        ("delete", "Deletable", "DELETE", &record),
    ];
    let kept = all.into_iter().filter(|(_, word, ..)| !refuses(word));
    kept.map(|(action, _, method, path)| match guid {
        true => Route::new(action, format!("{method} {path}")),
        false => Route::of_dialect(action),
    })
    .collect()
}

/// The type of a primitive's values in JSON; an empty one has none there.
fn scalar(of: &str) -> Option<&'static str> {
    Some(match of.strip_prefix("Edm.")? {
        "String" | "Guid" | "Binary" | "TimeOfDay" | "Duration" => "string",
        "Boolean" => "bool",
        "Byte" | "SByte" | "Int16" | "Int32" | "Int64" => "int",
        "Single" | "Double" => "double",
        "Decimal" => "decimal",
        "Date" => "date",
        "DateTimeOffset" => "timestamp",
        "Stream" => "",
        "Untyped" | "PrimitiveType" | "ComplexType" => "json",
        other if other.starts_with("Geo") => "json",
        _ => return None,
    })
}

/// As it is written in a description. Only what can't be taken for something else.
pub(super) fn default(of: &str, value: &str) -> Option<String> {
    match of {
        "string" => Some(super::print::quoted(value)),
        "bool" => matches!(value, "true" | "false").then(|| value.to_owned()),
        "int" => value.parse::<i64>().ok().map(|number| number.to_string()),
        _ => None,
    }
}
