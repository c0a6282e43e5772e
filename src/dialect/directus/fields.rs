//! `fields=*,account.name,account.owner.*`: what is chosen of a record and, behind the names of relations, of related ones.
//!
//! A to-one relation bears the name of its column, a to-many one its own. `*` is all columns; a `*` before others is every
//! relation of the record besides, with what the others say of it.

use crate::api::{FieldId, Reach, Shape};
use crate::dialect::expand::MAX_DEPTH;
use crate::dialect::{Expansion, Expansions};

/// What is asked for of a record: fields, or all of them, and related records.
type Choice = (Option<Vec<FieldId>>, Expansions);

/// `Some(None)`: nothing is chosen, so that it is the server's choice.
pub(super) fn chosen(table: Reach<'_>, names: &[&str]) -> Option<Option<Choice>> {
    if names.is_empty() {
        return Some(None);
    }
    let mut root = Chosen::default();
    for name in names {
        root.take(table, name, MAX_DEPTH)?;
    }
    root.settled().filter(|(_, expand)| expand.fits()).map(Some)
}

/// What is chosen of the records of one place.
#[derive(Default)]
struct Chosen {
    all: bool,
    fields: Vec<FieldId>,
    related: Vec<(FieldId, Chosen)>,
    /// Levels of every relation.
    every: usize,
}

impl Chosen {
    /// Recursion is bounded by the levels that are left.
    fn take(&mut self, table: Reach<'_>, name: &str, levels: usize) -> Option<()> {
        let Some((relation, rest)) = name.split_once('.') else {
            if name == "*" {
                self.all = true;
                return Some(());
            }
            // A to-many relation alone would come as the keys of its records, seen by nobody.
            let field = table.plain_named(name).filter(|field| !self.fields.contains(field))?;
            self.fields.push(field);
            return Some(());
        };
        if relation == "*" {
            self.all = true;
            let levels = rest.split('.').try_fold(0, |levels: usize, part| (part == "*").then_some(levels + 1))?;
            self.every = self.every.max(levels);
            return Some(());
        }
        let levels = levels.checked_sub(1)?;
        let relation = related(table, relation)?;
        let beyond = table.beyond(relation)?;
        match self.related.iter_mut().find(|(known, _)| *known == relation) {
            Some((_, chosen)) => chosen.take(beyond, rest, levels),
            None => {
                let mut chosen = Self::default();
                chosen.take(beyond, rest, levels)?;
                self.related.push((relation, chosen));
                Some(())
            }
        }
    }

    fn settled(mut self) -> Option<Choice> {
        // Beside a `*`, a name would be chosen without being judged.
        if self.all && !self.fields.is_empty() {
            return None;
        }
        // Those that are named are among all of them.
        if let Some(below) = self.every.checked_sub(1) {
            for (_, chosen) in &mut self.related {
                chosen.all = true;
                chosen.every = chosen.every.max(below);
            }
        }
        let mut named = Vec::with_capacity(self.related.len());
        for (relation, chosen) in self.related {
            let (fields, below) = chosen.settled()?;
            named.push(Expansion { relation, fields, below });
        }
        Some(((!self.all).then_some(self.fields), Expansions { named, every: self.every }))
    }
}

/// A relation as a client names it: a to-one by its column, a to-many by itself.
fn related(table: Reach<'_>, name: &str) -> Option<FieldId> {
    let many = |id: &FieldId| table.field(*id).is_some_and(|field| matches!(field.shape, Shape::Many { .. }));
    table.relation_by(name).or_else(|| table.named(name).filter(many))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::api::{Directus, Field, Related, Table};
    use crate::dialect::described::related;
    use crate::dialect::{Language, Query};
    use crate::model::{Name, TenantScope};
    use std::sync::Arc;

    fn parse(names: &str) -> Option<Query> {
        let names: Vec<&str> = names.split(',').collect();
        let (fields, expand) = chosen(related().reach(), &names)??;
        Some(Query { fields, expand, ..Query::default() })
    }

    fn printed(table: &Table, query: &Query) -> Vec<(String, String)> {
        let dimensions: [Name; 1] = ["organization_id".into()];
        let tenant = TenantScope::new(&dimensions, |_| Some("acme")).expect("a tenant");
        let text = Directus::new(25, 100).print(table, query, &tenant, false);
        let plain = |text: &str| {
            let signs = [("%2C", ","), ("%7B", "{"), ("%7D", "}"), ("%22", "\""), ("%3A", ":")];
            signs.iter().fold(text.to_owned(), |text, (code, sign)| text.replace(code, sign))
        };
        text.split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, text)| (name.to_owned(), plain(text)))
            .collect()
    }

    #[test]
    fn names_lead_through_relations_on_every_level() {
        let query = parse("name,account_id.name,account_id.owner_id.name,account_id.contacts.id").expect("it nests");
        let expected = [
            ("fields", "name,account.name,account.owner.name,account.contacts.id"),
            ("alias", r#"{"account":"account_id","owner":"owner_id"}"#),
            (
                "deep",
                concat!(
                    r#"{"account":{"_alias":{"account":"account_id","owner":"owner_id"},"#,
                    r#""contacts":{"_limit":-1}}}"#
                ),
            ),
        ];
        assert_eq!(printed(&related(), &query), expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
        for (names, expected) in [
            (
                "*,account_id.*",
                "id,organization_id,name,account_id,account.id,account.organization_id,account.name,account.owner_id,account.secret",
            ),
            ("account_id.owner_id.account_id.name", "account.owner.account.name"),
            ("account_id.owner_id,account_id.owner_id.id", "account.owner_id,account.owner.id"),
            ("account_id.contacts.account_id.name", "account.contacts.account.name"),
        ] {
            let query = parse(names).unwrap_or_else(|| panic!("{names} is refused"));
            assert_eq!(printed(&related(), &query).first().map(|(_, text)| text.as_str()), Some(expected), "{names}");
        }
    }

    #[test]
    fn a_wildcard_before_others_is_every_relation_besides() {
        let of = |names: &str| parse(names).map(|query| (query.fields, query.expand));
        let every = |every| Expansions { named: Vec::new(), every };
        assert_eq!(of("*"), Some((None, every(0))));
        assert_eq!(of("*.*"), Some((None, every(1))));
        assert_eq!(of("*.*,*"), Some((None, every(1))));
        assert_eq!(of("*.*,*.*.*"), Some((None, every(2))));
        assert_eq!(of("*.*.*.*.*"), Some((None, every(4))));
        let account = |every| Expansion { below: Expansions { named: Vec::new(), every }, ..Expansion::of(FieldId(4)) };
        let named = |one, every| Expansions { named: vec![one], every };
        assert_eq!(of("account_id.*.*"), Some((Some(Vec::new()), named(account(1), 0))));
        assert_eq!(of("*.*,account_id.*.*"), Some((None, named(account(1), 1))));
        // What is named is among all of them.
        assert_eq!(of("*.*.*,account_id.*"), Some((None, named(account(1), 2))));
    }

    #[test]
    fn what_cant_be_judged_is_refused_like_what_is_not_there() {
        let deep = format!("{}name", "account_id.owner_id.".repeat(2000));
        let stars = vec!["*"; 3000].join(".");
        for names in [
            "account_id.nothing",
            "account_id.owner_id.nothing",
            "account_id.owner",
            "account_id.account_id.name",
            "account.name",
            "account_id.contacts",
            "account_id.name.x",
            "account_id..name",
            "account_id.",
            ".name",
            "account_id.name,account_id.name",
            "account_id.*,account_id.name",
            "account_id.name,account_id.*",
            "*.*,name",
            "*.*,account_id.name",
            "*.*.*,account_id.owner_id.name",
            "*.name",
            "*.*.name",
            "account_id.*.name",
            "account_id.owner_id.account_id.owner_id.account_id.name",
            "*.*.*.*.*.*",
            "account_id.*.*.*.*.*",
            "account_id:contacts.name",
            "account_id.count(contacts)",
            "account_id.year(name)",
            "account_id.$thumbnail.*",
            "account_id.**",
            "**.*",
            &deep,
            &stars,
        ] {
            assert_eq!(parse(names), None, "{}", names.get(..100).unwrap_or(names));
        }
    }

    #[test]
    fn names_that_stand_for_two_columns_have_no_words() {
        let query = parse("name,account_id.name,account_id.owner_id.name").expect("it nests");
        assert!(Directus::new(25, 100).spells(&related(), &query));
        // By a field's place in its table, what it is called.
        let renamed = |table: usize, field: usize, name: &str| {
            let mut known = related();
            let rename = |fields: &mut Arc<[Field]>| {
                let with = |(number, of): (usize, &Field)| Field {
                    name: if number == field { name.into() } else { of.name.clone() },
                    shape: match &of.shape {
                        crate::api::Shape::Plain(kind) => crate::api::Shape::Plain(kind.clone()),
                        crate::api::Shape::One { table, by } => crate::api::Shape::One { table: *table, by: *by },
                        crate::api::Shape::Many { table } => crate::api::Shape::Many { table: *table },
                    },
                    nullable: of.nullable,
                    tags: Vec::new(),
                    derived_from: Vec::new(),
                    keys_of: None,
                    default: None,
                    push: None,
                };
                *fields = fields.iter().enumerate().map(with).collect();
            };
            let mut all: Vec<Related> = known.related.to_vec();
            rename(&mut all[table].fields);
            if table == 0 {
                known.fields = Arc::clone(&all[0].fields);
            }
            known.related = all.into();
            known
        };
        for (table, field, name, is_spelled) in [
            // A column of the first table, or of another one, that is asked for.
            (0, 2, "owner", false),
            (2, 2, "account", false),
            (2, 2, "owner", false),
            (1, 2, "account", false),
            // One that isn't.
            (0, 1, "owner", true),
            (1, 6, "account", true),
            // Two relations by two columns, one of which isn't asked for.
            (1, 4, "account", false),
            (2, 4, "owner", true),
        ] {
            let table_of = renamed(table, field, name);
            assert_eq!(Directus::new(25, 100).spells(&table_of, &query), is_spelled, "{table} {field} {name}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(names in "((account_id|owner_id|contacts|name|id|\\*|\\.|,){0,16})|\\PC{0,40}") {
            if let Some(query) = parse(&names) {
                prop_assert!(query.expand.fits());
                prop_assert!(!printed(&related(), &query).is_empty());
            }
        }
    }
}
