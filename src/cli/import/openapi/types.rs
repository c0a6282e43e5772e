//! What a property's values are: a type of ours, a record of another table, or nothing that can be told.

use std::collections::HashSet;

use super::schema::{MAX_DEPTH, Object, Reading, token};
use crate::cli::import::draft::{Field, Of, Tags};
use crate::cli::import::tree::Tree;
use crate::cli::import::{Failed, words};

/// What a schema's values are.
enum Value {
    Plain { of: String, nullable: bool, tags: Tags },
    Record(String),
    Records(String),
    Unknown(&'static str),
}

impl<'a> Reading<'a, '_> {
    /// One field. `None`: it is noted why not.
    pub(super) fn field(
        &mut self,
        name: &str,
        object: &Object<'a>,
        answers: &[Object<'a>],
    ) -> Result<Option<Field>, Failed> {
        let Some(property) = object.properties.get(name) else { return Ok(None) };
        let described = self.resolve(property.schema, &property.place).map(|(schema, _)| schema);
        let mut field = match self.value(property.schema, &property.place, 0)? {
            Value::Plain { of, nullable, tags } => Field { tags, ..Field::plain(name, of, nullable) },
            Value::Records(table) => Field::relation(name, Of::Many { table }),
            Value::Record(table) => {
                let wanted = format!("{name}_id");
                let mut columns = answers.iter().flat_map(|answer| answer.properties.keys());
                let Some(by) = columns.find(|column| words::same(column, &wanted)) else {
                    self.notes.push(&*property.place, format!("no column {wanted:?} holds the key of {table:?}"));
                    return Ok(None);
                };
                Field::relation(name, Of::One { table, by: by.clone() })
            }
            // What has no reason was noted where it was looked for.
            Value::Unknown("") => return Ok(None),
            Value::Unknown(why) => {
                self.notes.push(&*property.place, why);
                return Ok(None);
            }
        };
        if let Some(schema) = described {
            field.tags = field.tags.with(said(schema));
            field.comment = match (schema.is("readOnly"), schema.is("writeOnly")) {
                (true, _) => Some("the API says that it is read only"),
                (_, true) => Some("the API says that it is only written"),
                _ => None,
            };
        }
        Ok(Some(field))
    }

    fn value(&mut self, schema: &'a Tree, place: &str, depth: usize) -> Result<Value, Failed> {
        self.step()?;
        if depth > MAX_DEPTH {
            return Ok(Value::Unknown("it is nested too deeply"));
        }
        if let Some(owner) = schema.text_of("$ref").and_then(|pointer| self.owned.get(pointer)) {
            return Ok(owner.clone().map_or(Value::Unknown("its schema is that of several tables"), Value::Record));
        }
        let Some((schema, place)) = self.resolve(schema, place) else { return Ok(Value::Unknown("")) };
        let (kind, mut nullable) = match kind(schema) {
            Ok(kind) => kind,
            Err(why) => return Ok(Value::Unknown(why)),
        };
        for word in ["allOf", "oneOf", "anyOf"] {
            let is_null = |part: &&Tree| part.text_of("type") == Some("null");
            let parts: Vec<&'a Tree> = schema.items_of(word).collect();
            let others: Vec<&'a Tree> = parts.iter().filter(|part| !is_null(part)).copied().collect();
            match others.as_slice() {
                [] => {}
                [one] if schema.get("properties").is_none() => {
                    nullable |= others.len() < parts.len();
                    return Ok(match self.value(one, &format!("{place}/{word}/0"), depth + 1)? {
                        Value::Plain { of, nullable: inner, tags } => {
                            Value::Plain { of, nullable: nullable || inner, tags }
                        }
                        other => other,
                    });
                }
                _ if word == "allOf" => return self.nested(schema, &place, nullable),
                _ => return Ok(Value::Unknown("it can be of several types")),
            }
        }
        let plain = |of: &str| Ok(Value::Plain { of: of.to_owned(), nullable, tags: Tags::default() });
        match (kind, schema.text_of("format")) {
            ("string", Some("date-time")) => plain("timestamp"),
            ("string", Some("date")) => plain("date"),
            ("string", Some("decimal")) => plain("decimal"),
            ("string", _) => plain("string"),
            ("integer", Some("uint64")) => plain("decimal"),
            ("integer", _) => plain("int"),
            ("number", Some("float" | "double")) => plain("double"),
            ("number", _) => plain("decimal"),
            ("boolean", _) => plain("bool"),
            ("array", _) => {
                let Some(items) = schema.get("items") else { return Ok(Value::Unknown("what it lists is not said")) };
                Ok(match self.value(items, &format!("{place}/items"), depth + 1)? {
                    Value::Plain { of, tags, .. } => Value::Plain { of: format!("list({of})"), nullable, tags },
                    Value::Record(table) => Value::Records(table),
                    Value::Records(_) => Value::Unknown("it is a list of lists of records"),
                    unknown @ Value::Unknown(_) => unknown,
                })
            }
            ("object", _) if schema.get("properties").is_none() => {
                let Some(values @ Tree::Map(_)) = schema.get("additionalProperties") else { return plain("json") };
                Ok(match self.value(values, &format!("{place}/additionalProperties"), depth + 1)? {
                    Value::Plain { of, tags, .. } => Value::Plain { of: format!("map({of})"), nullable, tags },
                    Value::Record(_) | Value::Records(_) => Value::Unknown("records of a table lie within it"),
                    unknown @ Value::Unknown(_) => unknown,
                })
            }
            ("object", _) => self.nested(schema, &place, nullable),
            _ => Ok(Value::Unknown("its type is not known")),
        }
    }

    /// An object that is a value, unless it holds records of a table: these would pass unjudged.
    fn nested(&mut self, schema: &'a Tree, place: &str, nullable: bool) -> Result<Value, Failed> {
        let mut tags = Tags::default();
        let mut seen = HashSet::new();
        let mut todo = vec![(schema, place.to_owned())];
        while let Some((schema, place)) = todo.pop() {
            self.step()?;
            if let Some(pointer) = schema.text_of("$ref") {
                if self.owned.contains_key(pointer) {
                    return Ok(Value::Unknown("records of a table lie within it"));
                }
                if !seen.insert(pointer.to_owned()) {
                    continue;
                }
            }
            let Some((schema, place)) = self.resolve(schema, &place) else {
                return Ok(Value::Unknown("what lies within it is not known"));
            };
            for (name, property) in schema.members_of("properties") {
                tags = tags.with(words::tags(name)).with(said(property));
                todo.push((property, format!("{place}/properties/{}", token(name))));
            }
            for word in ["items", "additionalProperties"] {
                todo.extend(schema.get(word).map(|inner| (inner, format!("{place}/{word}"))));
            }
            for word in ["allOf", "oneOf", "anyOf"] {
                let parts = schema.items_of(word).enumerate();
                todo.extend(parts.map(|(at, part)| (part, format!("{place}/{word}/{at}"))));
            }
        }
        Ok(Value::Plain { of: "json".to_owned(), nullable, tags })
    }
}

/// The type of a schema, and whether null is one besides. An empty type: it is made of others.
fn kind(schema: &Tree) -> Result<(&str, bool), &'static str> {
    let mut nullable = schema.is("nullable");
    let kind = match schema.get("type") {
        Some(Tree::Text(kind)) => kind.as_str(),
        Some(Tree::List(kinds)) => {
            let known = kinds.iter().filter_map(Tree::text).filter(|kind| *kind != "null");
            nullable |= kinds.iter().any(|kind| kind.text() == Some("null"));
            match *known.collect::<Vec<_>>() {
                [one] => one,
                _ => return Err("it can be of several types"),
            }
        }
        _ if schema.get("properties").or(schema.get("additionalProperties")).is_some() => "object",
        _ if schema.get("items").is_some() => "array",
        _ if ["allOf", "oneOf", "anyOf"].iter().any(|word| schema.get(word).is_some()) => "",
        _ => {
            let mut values = schema.items_of("enum").chain(schema.get("const")).peekable();
            let texts = values.peek().is_some() && values.all(|value| matches!(value, Tree::Text(_) | Tree::Null));
            if !texts {
                return Err("its type is not said");
            }
            "string"
        }
    };
    nullable |= schema.items_of("enum").any(|value| *value == Tree::Null);
    Ok((kind, nullable))
}

/// What a format or a description says of it, in so many words.
fn said(schema: &Tree) -> Tags {
    let by_format = match schema.text_of("format") {
        Some("email" | "idn-email") => Tags::PII,
        Some("password") => Tags::SECRET,
        _ => Tags::default(),
    };
    let description: String = schema.text_of("description").unwrap_or_default().chars().take(500).collect();
    let words = words::words(&description);
    let tagged = [
        ("email", Tags::PII),
        ("pii", Tags::PII),
        ("password", Tags::SECRET),
        ("ssn", Tags::BOTH),
        ("iban", Tags::BOTH),
    ];
    let said = tagged.iter().filter(|(word, _)| words.iter().any(|known| known == word));
    said.fold(by_format, |all, (_, tags)| all.with(*tags))
}
