//! `expand=account_id.owner_id` and `fields=name,expand.account_id.name`: related records by the names of the columns that
//! point to them, each in the container of the record that it belongs to.
//!
//! What is expanded is shown, also where `fields` leaves it out, so that each of them is judged. Back-relations, which have
//! names of their own, and modifiers such as `:excerpt` are refused as unknown.

use crate::api::{FieldId, Pocketbase, Reach};
use crate::dialect::expand::MAX_DEPTH;
use crate::dialect::{Expansion, Expansions};

/// Names of one list.
const MAX_NAMES: usize = 200;

/// `account_id,account_id.owner_id`: a path that leads on also expands what it leads through. No path comes twice.
pub(super) fn parse(table: Reach<'_>, text: &str) -> Option<Expansions> {
    let mut expand = Expansions::default();
    let mut paths: Vec<&str> = Vec::new();
    for path in text.split(',').map(|path| path.trim_matches(' ')) {
        if paths.contains(&path) || paths.len() == MAX_NAMES {
            return None;
        }
        paths.push(path);
        let (mut at, mut below) = (Some(table), &mut expand);
        for (depth, column) in path.split('.').enumerate() {
            let relation = at?.relation_by(column).filter(|_| depth < MAX_DEPTH)?;
            below = &mut below.entry(relation, || Expansion::of(relation))?.below;
            at = at?.beyond(relation);
        }
    }
    Some(expand).filter(Expansions::fits)
}

/// What is chosen of a record and, through their containers, of those that are expanded. Of a record, plain fields by name or
/// all of them with `*`. What is chosen as a whole, or in no word, is all there is.
pub(super) fn choose(table: Reach<'_>, text: &str, expand: &mut Expansions) -> Option<Option<Vec<FieldId>>> {
    let mut paths = Vec::new();
    for path in text.split(',') {
        paths.push(path.trim_matches(' ').split('.').collect::<Vec<_>>());
        if paths.len() > MAX_NAMES {
            return None;
        }
    }
    of_record(table, &paths.iter().map(Vec::as_slice).collect::<Vec<_>>(), expand)
}

/// Recursion is bounded by what is expanded.
fn of_record(table: Reach<'_>, paths: &[&[&str]], expand: &mut Expansions) -> Option<Option<Vec<FieldId>>> {
    let (mut fields, mut all) = (Vec::new(), false);
    let mut inside: Vec<(FieldId, Vec<&[&str]>)> = Vec::new();
    for path in paths {
        match *path {
            ["*"] if !all => all = true,
            // The container as a whole.
            [Pocketbase::CONTAINER] => {}
            [Pocketbase::CONTAINER, column, rest @ ..] => {
                // Of what isn't expanded there is nothing to choose.
                let relation = table.relation_by(column).filter(|id| expand.find(*id).is_some())?;
                match inside.iter_mut().find(|(known, _)| *known == relation) {
                    Some((_, paths)) => paths.push(rest),
                    None => inside.push((relation, vec![rest])),
                }
            }
            [name] => {
                let field = table.plain_named(name)?;
                if fields.contains(&field) {
                    return None;
                }
                fields.push(field);
            }
            _ => return None,
        }
    }
    for (relation, paths) in inside {
        // A record as a whole, beside which nothing else is chosen of it.
        if paths.iter().all(|path| path.is_empty()) {
            continue;
        }
        if paths.iter().any(|path| path.is_empty()) {
            return None;
        }
        let related = table.beyond(relation)?;
        let one = expand.named.iter_mut().find(|one| one.relation == relation)?;
        one.fields = of_record(related, &paths, &mut one.below)?;
    }
    // Beside a `*`, a name would be chosen without being judged.
    if all && !fields.is_empty() {
        return None;
    }
    Some((!all).then_some(fields))
}

/// Every path that leads to the end.
pub(super) fn paths(table: Reach<'_>, expand: &Expansions) -> Vec<String> {
    let mut out = Vec::new();
    for one in &expand.named {
        let Some(column) = table.column_of(one.relation) else { continue };
        let below = table.beyond(one.relation).map(|related| paths(related, &one.below)).unwrap_or_default();
        if below.is_empty() {
            out.push(column.to_owned());
        }
        out.extend(below.into_iter().map(|path| format!("{column}.{path}")));
    }
    out
}

/// The names of what is to come. `None`: all of it, so that nothing needs to be said.
pub(super) fn chosen(table: Reach<'_>, fields: Option<&[FieldId]>, expand: &Expansions) -> Option<Vec<String>> {
    let mut inside = Vec::new();
    let mut is_all = fields.is_none();
    for one in &expand.named {
        let Some(column) = table.column_of(one.relation) else { continue };
        let container = format!("{}.{column}", Pocketbase::CONTAINER);
        let related = table.beyond(one.relation);
        match related.and_then(|related| chosen(related, one.fields.as_deref(), &one.below)) {
            Some(names) => {
                is_all = false;
                inside.extend(names.into_iter().map(|name| format!("{container}.{name}")));
            }
            None => inside.push(container),
        }
    }
    if is_all {
        return None;
    }
    let own = match fields {
        None => vec!["*".to_owned()],
        Some(fields) => {
            let plain = fields.iter().filter(|field| table.is_plain(**field));
            plain.filter_map(|field| Some(table.field(*field)?.name.to_string())).collect()
        }
    };
    Some(own.into_iter().chain(inside).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dialect::described::related;

    type Asked = (Option<Vec<FieldId>>, Expansions);

    fn of(expand: &str, fields: &str) -> Option<Asked> {
        let mut expand = if expand.is_empty() { Expansions::default() } else { parse(related().reach(), expand)? };
        let fields = if fields.is_empty() { None } else { choose(related().reach(), fields, &mut expand)? };
        Some((fields, expand))
    }

    /// What is sent for what a client asks: `expand` and `fields`.
    fn sent(expand: &str, fields: &str) -> Option<(String, Option<String>)> {
        let (fields, expand) = of(expand, fields)?;
        let chosen = chosen(related().reach(), fields.as_deref(), &expand).map(|names| names.join(","));
        Some((paths(related().reach(), &expand).join(","), chosen))
    }

    #[test]
    fn paths_lead_through_columns_and_containers_on_every_level() {
        let long = "account_id.owner_id.account_id.owner_id";
        for (expand, fields, paths, chosen) in [
            ("account_id.owner_id", "", "account_id.owner_id", None),
            ("account_id,account_id.owner_id", "", "account_id.owner_id", None),
            (" account_id.owner_id , account_id ", "", "account_id.owner_id", None),
            (long, "", long, None),
            (
                "account_id.owner_id",
                "*,expand.account_id.name",
                "account_id.owner_id",
                Some("*,expand.account_id.name,expand.account_id.expand.owner_id"),
            ),
            (
                "account_id.owner_id",
                "id,expand.account_id.expand.owner_id.name",
                "account_id.owner_id",
                Some("id,expand.account_id.expand.owner_id.name"),
            ),
            ("account_id.owner_id", "id,expand.account_id.*", "account_id.owner_id", Some("id,expand.account_id")),
            (
                "account_id.owner_id",
                "expand.account_id.*,expand.account_id.expand.owner_id.id",
                "account_id.owner_id",
                Some("expand.account_id.*,expand.account_id.expand.owner_id.id"),
            ),
            ("account_id.owner_id", "name,expand", "account_id.owner_id", Some("name,expand.account_id")),
            ("account_id.owner_id", "name,expand.account_id", "account_id.owner_id", Some("name,expand.account_id")),
            (
                "account_id.owner_id",
                "*,expand.account_id.expand",
                "account_id.owner_id",
                Some("*,expand.account_id.expand.owner_id"),
            ),
            ("account_id", "*", "account_id", None),
        ] {
            let expected = (paths.to_owned(), chosen.map(str::to_owned));
            assert_eq!(sent(expand, fields), Some(expected), "{expand} {fields}");
        }
    }

    #[test]
    fn what_cant_be_judged_is_refused_like_what_is_not_there() {
        let deep = vec!["account_id.owner_id"; 2000].join(".");
        let wide = vec!["account_id.owner_id"; 201].join(",");
        for expand in [
            "account_id.nothing",
            "account_id.account_id",
            "account_id.name",
            "account_id.owner",
            "account.owner_id",
            "account_id.contacts",
            "account_id.contacts_via_account_id",
            "account_id.expand.owner_id",
            "account_id..owner_id",
            "account_id.",
            ".account_id",
            "account_id.owner_id,account_id.owner_id",
            "account_id,account_id",
            "account_id.*",
            "account_id.owner_id.account_id.owner_id.account_id",
            "account_id%2Eowner_id",
            "account_id(owner_id)",
            &deep,
            &wide,
        ] {
            assert_eq!(of(expand, ""), None, "{}", expand.get(..100).unwrap_or(expand));
        }
        for fields in [
            "expand.account_id.nothing",
            "expand.account_id.account",
            "expand.account_id.owner",
            "expand.account_id.contacts",
            "expand.account_id.name,expand.account_id.name",
            "expand.account_id.*,expand.account_id.name",
            "expand.account_id,expand.account_id.name",
            "expand.account_id.name:excerpt(3)",
            "expand.account_id.expand.owner_id.nothing",
            "expand.account_id.expand.owner_id.expand.account_id",
            "expand.account_id.expand.account_id",
            "expand.account_id.owner_id.name",
            "expand.owner_id.name",
            "expand.account.name",
            "expand.*",
            "*.name",
            "account_id.name",
            "expand.account_id.",
            "expand.",
            "",
        ] {
            let chosen = choose(related().reach(), fields, &mut of("account_id.owner_id", "").expect("it nests").1);
            assert_eq!(chosen, None, "{fields}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_what_is_read_reads_back(
            expand in "((account_id|owner_id|\\.|,|name| ){0,12})",
            fields in "((expand|account_id|owner_id|\\.|,|name|id|\\*| ){0,16})",
        ) {
            // Of a record of which nothing is chosen, the gateway asks for the key at least.
            if let Some(asked) = of(&expand, &fields).filter(|(fields, _)| fields.as_ref().is_none_or(|fields| !fields.is_empty())) {
                let (expand, fields) = sent(&expand, &fields).expect("it was read");
                let (known, again) = (asked, of(&expand, fields.as_deref().unwrap_or_default()).expect("what is sent can be read"));
                prop_assert_eq!(again.1.count(), known.1.count());
                prop_assert_eq!(again.0, known.0);
            }
        }
    }
}
