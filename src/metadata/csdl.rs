//! OData 4.01: the service document, and the `$metadata` as CSDL XML or CSDL JSON.
//!
//! Nothing is said to be never null but keys, for whether a field always shows is up to each record.

#![expect(clippy::indexing_slicing, reason = "an object of JSON that is made here takes any member")]

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::{Kind, Seen, SeenField, SeenKind, SeenTable, Written};
use crate::api::TableId;
use crate::api::template::Segment;
use crate::model::value::Type;
use crate::model::{Action, percent};

/// The sets of the service below a path, by what the service calls them.
fn sets<'s, 'a>(seen: &'s Seen<'a>, root: &[Segment]) -> Vec<(&'a str, &'s SeenTable<'a>)> {
    let set = |table: &'s SeenTable<'a>| {
        let routes = table.operations.iter().map(|(route, ..)| route);
        let mut below = routes.filter_map(|route| route.path.segments.split_last().filter(|(_, above)| *above == root));
        let (last, _) = below.next()?;
        let name = match last {
            Segment::Literal(name) => name,
            Segment::Keyed { set, .. } => set,
            Segment::Variable(_) | Segment::Tenant(_) => return None,
        };
        Some((&**name, table))
    };
    seen.tables.iter().filter_map(set).collect()
}

pub(super) fn service(seen: &Seen<'_>, root: &[Segment]) -> Written {
    let mut context = String::new();
    for segment in root {
        let text: &str = match segment {
            Segment::Tenant(dimension) => seen.tenant.value(dimension).map_or("", |value| &**value),
            Segment::Literal(text) => text,
            Segment::Variable(_) | Segment::Keyed { .. } => "",
        };
        context.push('/');
        percent::encode(text, &mut context);
    }
    let listed = |(_, table): &(&str, &SeenTable<'_>)| table.operation(&Action::List).is_some();
    let value: Vec<Value> = sets(seen, root)
        .into_iter()
        .filter(listed)
        .map(|(set, _)| json!({ "name": set, "kind": "EntitySet", "url": set }))
        .collect();
    let document = json!({ "@odata.context": format!("{context}/$metadata"), "value": value });
    Written { media_type: "application/json", bytes: document.to_string().into_bytes() }
}

pub(super) fn write(seen: &Seen<'_>, root: &[Segment], as_json: bool) -> Written {
    let sets = sets(seen, root);
    let namespace: String = seen.api.name.chars().map(|c| if c == '-' { '_' } else { c }).collect();
    // No set's type may have the container's name.
    let mut container = "Container".to_owned();
    while sets.iter().any(|(set, _)| *set == container) {
        container.push('_');
    }
    let model = Model { sets, namespace, container };
    if as_json {
        Written { media_type: "application/json", bytes: model.json().to_string().into_bytes() }
    } else {
        Written { media_type: "application/xml", bytes: model.xml().into_bytes() }
    }
}

struct Model<'s, 'a> {
    sets: Vec<(&'a str, &'s SeenTable<'a>)>,
    namespace: String,
    container: String,
}

struct Navigation<'s> {
    name: &'s str,
    set: &'s str,
    many: bool,
    /// (column, key of the other), where both show in clear.
    constraint: Option<(&'s str, &'s str)>,
}

impl<'s, 'a> Model<'s, 'a> {
    fn set(&self, table: TableId) -> Option<(&'a str, &'s SeenTable<'a>)> {
        self.sets.iter().find(|(_, seen)| seen.table.id == table).copied()
    }

    fn navigations(&self, table: &'s SeenTable<'a>) -> Vec<Navigation<'s>> {
        let of = |field: &'s SeenField<'a>| match field.kind {
            SeenKind::Plain(_) => None,
            SeenKind::Many { table } => {
                Some(Navigation { name: field.name, set: self.set(table)?.0, many: true, constraint: None })
            }
            SeenKind::One { table: target, by } => {
                let (set, other) = self.set(target)?;
                let column = table.clear(by).map(|field| field.name);
                let key = other.clear(other.table.key).map(|field| field.name);
                Some(Navigation { name: field.name, set, many: false, constraint: column.zip(key) })
            }
        };
        table.fields.iter().filter_map(of).collect()
    }

    fn xml(&self) -> String {
        let mut out = String::new();
        // Writing to a String can't fail.
        self.write_xml(&mut out).ok();
        out
    }

    fn write_xml(&self, out: &mut String) -> std::fmt::Result {
        let namespace = escaped(&self.namespace);
        out.push_str("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n");
        out.push_str(
            "<edmx:Edmx Version=\"4.0\" xmlns:edmx=\"http://docs.oasis-open.org/odata/ns/edmx\"><edmx:DataServices>",
        );
        write!(out, "<Schema Namespace=\"{namespace}\" xmlns=\"http://docs.oasis-open.org/odata/ns/edm\">")?;
        write!(out, "<EntityContainer Name=\"{}\">", self.container)?;
        for (set, table) in &self.sets {
            let set = escaped(set);
            write!(out, "<EntitySet Name=\"{set}\" EntityType=\"{namespace}.{set}\">")?;
            for to in self.navigations(table) {
                let (path, target) = (escaped(to.name), escaped(to.set));
                write!(out, "<NavigationPropertyBinding Path=\"{path}\" Target=\"{target}\"/>")?;
            }
            out.push_str("</EntitySet>");
        }
        out.push_str("</EntityContainer>");
        for (set, table) in &self.sets {
            write!(out, "<EntityType Name=\"{}\">", escaped(set))?;
            let key = table.clear(table.table.key).map(|field| field.name);
            if let Some(key) = key {
                write!(out, "<Key><PropertyRef Name=\"{}\"/></Key>", escaped(key))?;
            }
            for (name, of) in columns(table) {
                let nullable = if Some(name) == key { " Nullable=\"false\"" } else { "" };
                write!(out, "<Property Name=\"{}\" Type=\"{}\"{nullable}/>", escaped(name), full(of))?;
            }
            for to in self.navigations(table) {
                let of = format!("{namespace}.{}", escaped(to.set));
                let of = if to.many { format!("Collection({of})") } else { of };
                write!(out, "<NavigationProperty Name=\"{}\" Type=\"{of}\">", escaped(to.name))?;
                if let Some((column, key)) = to.constraint {
                    let (column, key) = (escaped(column), escaped(key));
                    write!(out, "<ReferentialConstraint Property=\"{column}\" ReferencedProperty=\"{key}\"/>")?;
                }
                out.push_str("</NavigationProperty>");
            }
            out.push_str("</EntityType>");
        }
        out.push_str("</Schema></edmx:DataServices></edmx:Edmx>\n");
        Ok(())
    }

    fn json(&self) -> Value {
        let namespace = &self.namespace;
        let mut schema = Map::new();
        let mut container = Map::new();
        container.insert("$Kind".to_owned(), json!("EntityContainer"));
        for (set, table) in &self.sets {
            let navigations = self.navigations(table);
            let bindings: Map<String, Value> =
                navigations.iter().map(|to| (to.name.to_owned(), json!(to.set))).collect();
            let of = format!("{namespace}.{set}");
            container.insert(
                (*set).to_owned(),
                json!({ "$Collection": true, "$Type": of, "$NavigationPropertyBinding": bindings }),
            );
            let mut entity = Map::new();
            entity.insert("$Kind".to_owned(), json!("EntityType"));
            let key = table.clear(table.table.key).map(|field| field.name);
            if let Some(key) = key {
                entity.insert("$Key".to_owned(), json!([key]));
            }
            for (name, (of, many)) in columns(table) {
                let mut property = json!({ "$Type": of, "$Nullable": Some(name) != key });
                if many {
                    property["$Collection"] = json!(true);
                }
                entity.insert(name.to_owned(), property);
            }
            for to in navigations {
                let mut property = json!({ "$Kind": "NavigationProperty", "$Type": format!("{namespace}.{}", to.set), "$Nullable": true });
                if to.many {
                    property["$Collection"] = json!(true);
                }
                if let Some((column, key)) = to.constraint {
                    property["$ReferentialConstraint"] = json!({ column: key });
                }
                entity.insert(to.name.to_owned(), property);
            }
            schema.insert((*set).to_owned(), Value::Object(entity));
        }
        schema.insert(self.container.clone(), Value::Object(container));
        json!({ "$Version": "4.01", "$EntityContainer": format!("{namespace}.{}", self.container), namespace: schema })
    }
}

/// (type, whether a collection of it)
type Edm = (&'static str, bool);

fn columns<'s>(table: &'s SeenTable<'_>) -> impl Iterator<Item = (&'s str, Edm)> {
    table.fields.iter().filter_map(|field| match &field.kind {
        // A collection is never null.
        SeenKind::Plain(Kind::Of(Type::List(_))) if field.nulled => Some((field.name, ("Edm.Untyped", false))),
        SeenKind::Plain(Kind::Of(of)) => Some((field.name, edm(of))),
        SeenKind::Plain(Kind::Mixed) => Some((field.name, ("Edm.Untyped", false))),
        SeenKind::One { .. } | SeenKind::Many { .. } => None,
    })
}

fn edm(of: &Type) -> Edm {
    match of {
        Type::Int => ("Edm.Int64", false),
        Type::Double => ("Edm.Double", false),
        Type::Decimal => ("Edm.Decimal", false),
        Type::String | Type::Duration => ("Edm.String", false),
        Type::Bool => ("Edm.Boolean", false),
        Type::Timestamp => ("Edm.DateTimeOffset", false),
        Type::Date => ("Edm.Date", false),
        Type::Map(_) | Type::Json => ("Edm.Untyped", false),
        Type::List(of) if matches!(**of, Type::List(_)) => ("Edm.Untyped", true),
        Type::List(of) => (edm(of).0, true),
    }
}

fn full((of, many): Edm) -> String {
    if many { format!("Collection({of})") } else { of.to_owned() }
}

/// Names are words already; nothing depends on it here.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
