//! A document of somebody else's, JSON or YAML, as a tree that keeps the order of its members.
//!
//! Depth, size and the number of nodes are bounded before anything looks at it. A member that occurs twice, an alias or
//! several documents in one are refused: two readers would see two things.

use std::fmt;

use indexmap::IndexMap;
use indexmap::map::Entry;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Of one document, in bytes.
pub(super) const MAX_BYTES: u64 = 32 * 1024 * 1024;
/// `serde_json` has a limit of its own, of 128.
const MAX_DEPTH: usize = 100;
const MAX_NODES: usize = 2_000_000;
/// Bytes; some 20 KiB for each level of a build that isn't optimised.
const STACK: usize = 16 * 1024 * 1024;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tree {
    Null,
    Bool(bool),
    Int(i64),
    /// Any other number.
    Real(f64),
    Text(String),
    List(Vec<Tree>),
    Map(IndexMap<String, Tree>),
}

impl Tree {
    /// Errors: what is wrong with it, for people.
    pub(super) fn json(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    pub(super) fn yaml(text: &str) -> Result<Self, String> {
        let read = || {
            let options = serde_saphyr::options! {
                budget: serde_saphyr::budget! {
                    max_depth: MAX_DEPTH,
                    max_nodes: MAX_NODES,
                    max_events: 2 * MAX_NODES,
                    max_aliases: 0,
                    max_anchors: 0,
                    max_merge_keys: 0,
                    max_documents: 1,
                },
                with_snippet: false,
            };
            serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())
        };
        // It recurses, and takes more for each level than a thread's stack may have room for.
        std::thread::scope(|scope| {
            let reader = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, read);
            reader.ok().and_then(|reader| reader.join().ok()).unwrap_or_else(|| Err("it can't be read".to_owned()))
        })
    }

    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(members) => members.get(key),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn text_of(&self, key: &str) -> Option<&str> {
        self.get(key)?.text()
    }

    pub(super) fn int_of(&self, key: &str) -> Option<i64> {
        match self.get(key)? {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// Whether a member is there and true.
    pub(super) fn is(&self, key: &str) -> bool {
        matches!(self.get(key), Some(Self::Bool(true)))
    }

    /// None where it is no list.
    pub(super) fn items(&self) -> impl Iterator<Item = &Self> {
        let items: &[Self] = if let Self::List(items) = self { items } else { &[] };
        items.iter()
    }

    pub(super) fn items_of(&self, key: &str) -> impl Iterator<Item = &Self> {
        self.get(key).into_iter().flat_map(Self::items)
    }

    /// None where it is no mapping.
    pub(super) fn members(&self) -> impl Iterator<Item = (&String, &Self)> {
        let members = if let Self::Map(members) = self { Some(members) } else { None };
        members.into_iter().flatten()
    }

    pub(super) fn members_of(&self, key: &str) -> impl Iterator<Item = (&String, &Self)> {
        self.get(key).into_iter().flat_map(Self::members)
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        Tree::deserialize(deserializer)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Int(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Tree, E> {
        Ok(i64::try_from(value).map_or(Tree::Real(value as f64), Tree::Int))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Real(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Text(value.to_owned()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Tree, E> {
        Ok(Tree::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Tree, A::Error> {
        let mut map = IndexMap::new();
        while let Some((name, value)) = members.next_entry::<String, Tree>()? {
            match map.entry(name) {
                Entry::Occupied(twice) => {
                    return Err(de::Error::custom(format!("the member {:?} occurs twice", twice.key())));
                }
                Entry::Vacant(free) => free.insert(value),
            };
        }
        Ok(Tree::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_yaml_are_one_tree_in_the_order_of_the_file() {
        let json = Tree::json(r#"{"b": [1, 2.5, "x"], "a": null, "200": true}"#).expect("JSON");
        let yaml = Tree::yaml("b: [1, 2.5, x]\na: null\n200: true\n").expect("YAML");
        assert_eq!(json, yaml);
        assert_eq!(json.members().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["b", "a", "200"]);
    }

    #[test]
    fn what_two_readers_could_see_differently_or_never_end_is_refused() {
        for json in [r#"{"a": 1, "a": 2}"#, r#"{"a": 1} {"#, "", r#"{"a": }"#] {
            assert!(Tree::json(json).is_err(), "{json}");
        }
        for yaml in ["a: 1\na: 2\n", "a: &x 1\nb: *x\n", "a: 1\n---\nb: 2\n", "a: {<<: *b}\n"] {
            assert!(Tree::yaml(yaml).is_err(), "{yaml}");
        }
        for open in ["[", "{\"a\":", "[{\"a\":"] {
            let deep = open.repeat(20_000);
            assert!(Tree::json(&deep).is_err());
            assert!(Tree::yaml(&deep).is_err());
        }
        let block: String = (0..5_000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
        assert!(Tree::yaml(&block).is_err());
    }
}
