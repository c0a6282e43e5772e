//! CSDL JSON 4.01. What is not said of a property means other things than in XML: not nullable, and a text.

use std::collections::HashMap;

use super::{Csdl, MAX_SETS, Navigation, Property, Set, Structure, qualify};
use crate::cli::import::tree::Tree;

/// Errors: what is wrong with it, for people.
pub(super) fn read(document: &Tree) -> Result<Csdl, String> {
    match document.text_of("$Version") {
        Some(version) if version.starts_with("4.") => {}
        other => return Err(format!("only OData 4 is read, not {:?}", other.unwrap_or_default())),
    }
    let schemas: Vec<(&String, &Tree)> = document.members().filter(|(name, _)| is_name(name)).collect();
    let alias = |(name, schema): &(&String, &Tree)| Some((schema.text_of("$Alias")?.to_owned(), (*name).clone()));
    let aliases = schemas.iter().filter_map(alias).collect();
    let mut csdl = Csdl::default();
    for (namespace, schema) in &schemas {
        for (name, member) in schema.members().filter(|(name, _)| is_name(name)) {
            element(&format!("{namespace}.{name}"), member, &aliases, &mut csdl);
        }
    }
    for (target, annotations) in schemas.iter().flat_map(|(_, schema)| schema.members_of("$Annotations")) {
        let name = target.rsplit_once('/').map(|(_, name)| name);
        if let Some(set) = csdl.sets.iter_mut().find(|set| Some(set.name.as_str()) == name) {
            refuse(annotations, &mut set.refused);
        }
    }
    Ok(csdl)
}

/// Neither a word of CSDL nor an annotation.
fn is_name(name: &str) -> bool {
    !name.starts_with('$') && !name.contains('@')
}

fn element(full: &str, member: &Tree, aliases: &HashMap<String, String>, csdl: &mut Csdl) {
    match member.text_of("$Kind") {
        Some("EntityType") => {
            csdl.entities.insert(full.to_owned(), structure(member, aliases));
        }
        Some("ComplexType") => {
            csdl.complex.insert(full.to_owned(), structure(member, aliases));
        }
        Some("EnumType") => {
            csdl.enums.insert(full.to_owned());
        }
        Some("TypeDefinition") => {
            let of = member.text_of("$UnderlyingType").unwrap_or_default();
            csdl.definitions.insert(full.to_owned(), of.to_owned());
        }
        Some("EntityContainer") => container(member, aliases, csdl),
        _ => {}
    }
}

fn type_of(member: &Tree, aliases: &HashMap<String, String>) -> String {
    let of = qualify(member.text_of("$Type").unwrap_or("Edm.String"), aliases);
    if member.is("$Collection") { format!("Collection({of})") } else { of }
}

fn structure(member: &Tree, aliases: &HashMap<String, String>) -> Structure {
    let mut found = Structure {
        base: member.text_of("$BaseType").map(|of| qualify(of, aliases)),
        // An alias of a path is no text and leaves the key without a column.
        key: member.items_of("$Key").map(|key| key.text().unwrap_or_default().to_owned()).collect(),
        ..Structure::default()
    };
    for (name, property) in member.members().filter(|(name, _)| is_name(name)) {
        let (name, of) = (name.clone(), type_of(property, aliases));
        match property.text_of("$Kind") {
            None | Some("Property") => found.properties.push(Property {
                name,
                of,
                nullable: property.is("$Nullable"),
                default: property.text_of("$DefaultValue").map(str::to_owned),
                computed: property
                    .members()
                    .any(|(term, value)| is_term(term, "Computed") && *value == Tree::Bool(true)),
            }),
            Some("NavigationProperty") => found.navigations.push(Navigation {
                name,
                of,
                constraints: property
                    .members_of("$ReferentialConstraint")
                    .filter_map(|(column, other)| Some((column.clone(), other.text()?.to_owned())))
                    .collect(),
                contained: property.is("$ContainsTarget"),
                partner: property.text_of("$Partner").map(str::to_owned),
                cascades: property.text_of("$OnDelete") == Some("Cascade"),
            }),
            Some(_) => {}
        }
    }
    found
}

fn container(container: &Tree, aliases: &HashMap<String, String>, csdl: &mut Csdl) {
    for (name, member) in container.members().filter(|(name, _)| is_name(name)) {
        if member.get("$Action").or(member.get("$Function")).is_some() {
            csdl.others.push((name.clone(), "actions and functions are not drafted"));
        } else if !member.is("$Collection") {
            csdl.others.push((name.clone(), "it is a single record without a key"));
        } else if csdl.sets.len() == MAX_SETS {
            csdl.others.push((name.clone(), "there are too many sets"));
        } else {
            let target = |set: &Tree| set.text()?.rsplit('/').next().map(str::to_owned);
            let bindings = member.members_of("$NavigationPropertyBinding");
            let mut set = Set {
                name: name.clone(),
                of: qualify(member.text_of("$Type").unwrap_or_default(), aliases),
                bindings: bindings.filter_map(|(path, set)| Some((path.clone(), target(set)?))).collect(),
                refused: Vec::new(),
            };
            refuse(member, &mut set.refused);
            csdl.sets.push(set);
        }
    }
}

fn refuse(of: &Tree, refused: &mut Vec<String>) {
    let terms = ["InsertRestrictions", "UpdateRestrictions", "DeleteRestrictions", "ReadRestrictions"];
    let restrictions = of.members().filter(|(name, _)| terms.iter().any(|term| is_term(name, term)));
    let values = restrictions.flat_map(|(_, record)| record.members());
    refused.extend(values.filter(|(_, value)| **value == Tree::Bool(false)).map(|(name, _)| name.clone()));
}

/// `@Org.OData.Core.V1.Computed` or `@Core.Computed`.
fn is_term(name: &str, term: &str) -> bool {
    name.strip_prefix('@').is_some_and(|name| name.rsplit('.').next() == Some(term))
}
