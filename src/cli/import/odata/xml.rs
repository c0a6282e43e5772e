//! CSDL XML 4.01. A document type is refused, so there are no entities but XML's own; the number of nodes is bounded.

use std::collections::HashMap;

use roxmltree::{Document, Node, ParsingOptions};

use super::{Csdl, MAX_SETS, Navigation, Property, Set, Structure, qualify};

const MAX_NODES: u32 = 1_000_000;

/// Errors: what is wrong with it, for people.
pub(super) fn read(text: &str) -> Result<Csdl, String> {
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|error| error.to_string())?;
    let root = document.root_element();
    if !root.has_tag_name_of("Edmx") {
        return Err("its root is no `edmx:Edmx`".to_owned());
    }
    match root.attribute("Version") {
        Some(version) if version.starts_with("4.") => {}
        other => return Err(format!("only OData 4 is read, not {:?}", other.unwrap_or_default())),
    }
    let services = root.children().filter(|node| node.has_tag_name_of("DataServices"));
    let schemas: Vec<Node<'_, '_>> =
        services.flat_map(|node| node.children()).filter(|node| node.has_tag_name_of("Schema")).collect();
    let name = |node: &Node<'_, '_>, key: &str| node.attribute(key).map(str::to_owned);
    let aliases = schemas.iter().filter_map(|node| Some((name(node, "Alias")?, name(node, "Namespace")?))).collect();
    let mut csdl = Csdl::default();
    for schema in &schemas {
        self::schema(schema, &aliases, &mut csdl);
    }
    for schema in &schemas {
        annotations(schema, &mut csdl);
    }
    Ok(csdl)
}

trait Named {
    fn has_tag_name_of(&self, name: &str) -> bool;
}

/// In any of the namespaces of the versions of CSDL.
impl Named for Node<'_, '_> {
    fn has_tag_name_of(&self, name: &str) -> bool {
        self.is_element() && self.tag_name().name() == name
    }
}

fn schema(schema: &Node<'_, '_>, aliases: &HashMap<String, String>, csdl: &mut Csdl) {
    let namespace = schema.attribute("Namespace").unwrap_or_default();
    for node in schema.children().filter(Node::is_element) {
        let Some(name) = node.attribute("Name") else { continue };
        let full = format!("{namespace}.{name}");
        match node.tag_name().name() {
            "EntityType" => {
                csdl.entities.insert(full, structure(&node, aliases));
            }
            "ComplexType" => {
                csdl.complex.insert(full, structure(&node, aliases));
            }
            "EnumType" => {
                csdl.enums.insert(full);
            }
            "TypeDefinition" => {
                let of = node.attribute("UnderlyingType").unwrap_or_default();
                csdl.definitions.insert(full, of.to_owned());
            }
            "EntityContainer" => container(&node, aliases, csdl),
            _ => {}
        }
    }
}

fn structure(node: &Node<'_, '_>, aliases: &HashMap<String, String>) -> Structure {
    let mut found =
        Structure { base: node.attribute("BaseType").map(|of| qualify(of, aliases)), ..Structure::default() };
    for child in node.children().filter(Node::is_element) {
        let name = child.attribute("Name").unwrap_or_default().to_owned();
        let of = || qualify(child.attribute("Type").unwrap_or("Edm.String"), aliases);
        match child.tag_name().name() {
            "Key" => {
                let columns = child.children().filter(|node| node.has_tag_name_of("PropertyRef"));
                found.key = columns.filter_map(|node| node.attribute("Name").map(str::to_owned)).collect();
            }
            "Property" => found.properties.push(Property {
                name,
                of: of(),
                nullable: child.attribute("Nullable") != Some("false"),
                default: child.attribute("DefaultValue").map(str::to_owned),
                computed: child
                    .children()
                    .any(|node| is_term(&node, "Computed") && node.attribute("Bool") != Some("false")),
            }),
            "NavigationProperty" => found.navigations.push(Navigation {
                name,
                of: of(),
                constraints: child
                    .children()
                    .filter(|node| node.has_tag_name_of("ReferentialConstraint"))
                    .filter_map(|node| {
                        let text = |key| node.attribute(key).map(str::to_owned);
                        Some((text("Property")?, text("ReferencedProperty")?))
                    })
                    .collect(),
                contained: child.attribute("ContainsTarget") == Some("true"),
                partner: child.attribute("Partner").map(str::to_owned),
                cascades: child
                    .children()
                    .any(|node| node.has_tag_name_of("OnDelete") && node.attribute("Action") == Some("Cascade")),
            }),
            _ => {}
        }
    }
    found
}

fn container(node: &Node<'_, '_>, aliases: &HashMap<String, String>, csdl: &mut Csdl) {
    for child in node.children().filter(Node::is_element) {
        let Some(name) = child.attribute("Name").map(str::to_owned) else { continue };
        match child.tag_name().name() {
            "EntitySet" if csdl.sets.len() == MAX_SETS => csdl.others.push((name, "there are too many sets")),
            "EntitySet" => {
                let bindings = child.children().filter(|node| node.has_tag_name_of("NavigationPropertyBinding"));
                let binding = |node: Node<'_, '_>| {
                    let target = node.attribute("Target")?.rsplit('/').next()?;
                    Some((node.attribute("Path")?.to_owned(), target.to_owned()))
                };
                let of = qualify(child.attribute("EntityType").unwrap_or_default(), aliases);
                let (bindings, mut refused) = (bindings.filter_map(binding).collect(), Vec::new());
                refuse(&child, &mut refused);
                csdl.sets.push(Set { name, of, bindings, refused });
            }
            "Singleton" => csdl.others.push((name, "it is a single record without a key")),
            "ActionImport" | "FunctionImport" => csdl.others.push((name, "actions and functions are not drafted")),
            _ => {}
        }
    }
}

/// What is said of a set elsewhere: `Target="crm.Container/contacts"`.
fn annotations(schema: &Node<'_, '_>, csdl: &mut Csdl) {
    for node in schema.children().filter(|node| node.has_tag_name_of("Annotations")) {
        let Some((_, name)) = node.attribute("Target").and_then(|target| target.rsplit_once('/')) else { continue };
        if let Some(set) = csdl.sets.iter_mut().find(|set| set.name == name) {
            refuse(&node, &mut set.refused);
        }
    }
}

/// OData's Capabilities vocabulary: `<PropertyValue Property="Insertable" Bool="false"/>` in a restriction's record.
fn refuse(of: &Node<'_, '_>, refused: &mut Vec<String>) {
    let terms = ["InsertRestrictions", "UpdateRestrictions", "DeleteRestrictions", "ReadRestrictions"];
    let restrictions = of.children().filter(|node| terms.iter().any(|term| is_term(node, term)));
    let records = restrictions.flat_map(|node| node.children()).filter(|node| node.has_tag_name_of("Record"));
    for value in records.flat_map(|node| node.children()).filter(|node| node.has_tag_name_of("PropertyValue")) {
        let no = value.attribute("Bool") == Some("false")
            || value.children().any(|node| node.has_tag_name_of("Bool") && node.text().map(str::trim) == Some("false"));
        refused.extend(value.attribute("Property").filter(|_| no).map(str::to_owned));
    }
}

fn is_term(node: &Node<'_, '_>, term: &str) -> bool {
    let last = |full: &str| full.rsplit('.').next() == Some(term);
    node.has_tag_name_of("Annotation") && node.attribute("Term").is_some_and(last)
}
