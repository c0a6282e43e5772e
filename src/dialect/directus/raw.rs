//! A filter as it is written: JSON text, or names in brackets (`filter[stage][_eq]=won`), read into one kind of tree.
//!
//! No member occurs twice, and depth and size are bounded; what the names mean is `filter`'s business. The same tree is
//! what the gateway prints, so that no text is ever put together by hand.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Bytes of one filter as it is written.
pub(super) const MAX_TEXT: usize = 8 * 1024;
/// Members and elements within each other.
pub(super) const MAX_DEPTH: usize = 96;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    /// As JSON writes it.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl Node {
    /// `None`: it is no JSON, too long or too deep, or names a member twice.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let node: Self = (text.len() <= MAX_TEXT).then(|| serde_json::from_str(text).ok())??;
        node.is_flat(MAX_DEPTH).then_some(node)
    }

    /// The tree that bracketed names and their values are, in the order given. `None`: one is malformed, or they are of two
    /// shapes.
    pub(super) fn of_brackets<'p>(pairs: impl IntoIterator<Item = (&'p str, &'p str)>) -> Option<Self> {
        let mut root = Self::Object(Vec::new());
        let mut bytes = 0;
        for (brackets, value) in pairs {
            bytes += brackets.len() + value.len();
            let path = path(brackets).filter(|path| bytes <= MAX_TEXT && path.len() <= MAX_DEPTH)?;
            root.put(&path, value)?;
        }
        Some(root)
    }

    fn put(&mut self, path: &[&str], value: &str) -> Option<()> {
        let Self::Object(members) = self else { return None };
        let (name, rest) = path.split_first()?;
        let place = match members.iter().position(|(known, _)| known == name) {
            Some(place) if !rest.is_empty() => place,
            // Two values of one name, or a value beside members of its own.
            Some(_) => return None,
            None => {
                let made = if rest.is_empty() { Self::Text(value.to_owned()) } else { Self::Object(Vec::new()) };
                members.push(((*name).to_owned(), made));
                members.len() - 1
            }
        };
        match members.get_mut(place) {
            Some((_, member)) if !rest.is_empty() => member.put(rest, value),
            _ => Some(()),
        }
    }

    /// The elements of a list. In brackets it is an object whose members are numbered from 0, or one without a name.
    pub(super) fn elements(&self) -> Option<Vec<&Node>> {
        match self {
            Self::List(elements) => Some(elements.iter().collect()),
            Self::Object(members) => match members.as_slice() {
                [(name, element)] if name.is_empty() => Some(vec![element]),
                members => {
                    let at = |number: usize| members.iter().find(|(name, _)| *name == number.to_string());
                    (0..members.len()).map(|number| at(number).map(|(_, element)| element)).collect()
                }
            },
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) => None,
        }
    }

    fn is_flat(&self, depth: usize) -> bool {
        match self {
            Self::List(elements) => depth > 0 && elements.iter().all(|element| element.is_flat(depth - 1)),
            Self::Object(members) => depth > 0 && members.iter().all(|(_, member)| member.is_flat(depth - 1)),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) => true,
        }
    }
}

/// The names of `[a][b][]`, of which only the last may be empty.
fn path(brackets: &str) -> Option<Vec<&str>> {
    let names: Vec<&str> = brackets.strip_prefix('[')?.strip_suffix(']')?.split("][").collect();
    let (last, others) = names.split_last()?;
    let is_plain = |name: &&&str| !name.contains(['[', ']']);
    (is_plain(&last) && others.iter().all(|name| is_plain(&name) && !name.is_empty())).then_some(names)
}

/// As JSON.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(truth) => write!(f, "{truth}"),
            Self::Number(number) => f.write_str(number),
            Self::Text(text) => write!(f, "{}", serde_json::Value::from(text.as_str())),
            Self::List(elements) => {
                f.write_str("[")?;
                for (number, element) in elements.iter().enumerate() {
                    write!(f, "{}{element}", if number == 0 { "" } else { "," })?;
                }
                f.write_str("]")
            }
            Self::Object(members) => {
                f.write_str("{")?;
                for (number, (name, member)) in members.iter().enumerate() {
                    let comma = if number == 0 { "" } else { "," };
                    write!(f, "{comma}{}:{member}", serde_json::Value::from(name.as_str()))?;
                }
                f.write_str("}")
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Reading)
    }
}

struct Reading;

impl<'de> Visitor<'de> for Reading {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a filter")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Node, E> {
        Ok(Node::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Node, E> {
        Ok(Node::Number(number.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Node, E> {
        Ok(Node::Number(number.to_string()))
    }

    /// To the server, too, a number is a 64-bit float.
    fn visit_f64<E>(self, number: f64) -> Result<Node, E> {
        Ok(Node::Number(number.to_string()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = items.next_element()? {
            elements.push(element);
        }
        Ok(Node::List(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut members: Vec<(String, Node)> = Vec::new();
        let mut names = HashSet::new();
        while let Some((name, member)) = entries.next_entry::<String, Node>()? {
            if !names.insert(name.clone()) {
                return Err(A::Error::custom("a member twice"));
            }
            members.push((name, member));
        }
        Ok(Node::Object(members))
    }
}
