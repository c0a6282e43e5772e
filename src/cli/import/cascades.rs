//! What deletions take along: declared where a description can say it. Where it can't, `delete` is not drafted, and
//! neither is that of a table whose deletions go on from there: nobody would judge what goes with a record.

use std::collections::{HashMap, HashSet};

use super::draft::{Cascade, Meaning, Notes, Of, Table};

/// Of tables, fields and relations that are in the draft for sure.
pub(super) fn declare(tables: &mut [Table], all: &[Cascade], notes: &mut Notes) {
    let at: HashMap<String, usize> = tables.iter().enumerate().map(|(at, table)| (table.name.clone(), at)).collect();
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for cascade in all {
        let Some(of) = at.get(&cascade.of) else { continue };
        let along = at.get(&cascade.along).and_then(|along| tables.get(*along));
        let word = word(cascade, along);
        let Some(table) = tables.get_mut(*of) else { continue };
        match &word {
            Ok(word) if seen.insert((*of, word.clone())) => table.cascades.push(word.clone()),
            Ok(_) => {}
            Err(why) => leave_out(table, &cascade.along, why, notes),
        }
        found.push((cascade, word.is_ok()));
    }
    for meaning in [Meaning::Standard, Meaning::Reverse] {
        let meant = found.iter().filter(|(cascade, _)| cascade.meaning.is_none_or(|one| one == meaning));
        let mut lead_to: HashMap<&str, Vec<&str>> = HashMap::new();
        let mut open = Vec::new();
        for (cascade, is_declared) in meant {
            if *is_declared {
                lead_to.entry(&cascade.along).or_default().push(&cascade.of);
            } else {
                open.push(cascade.of.as_str());
            }
        }
        let mut reached: HashSet<&str> = open.iter().copied().collect();
        while let Some(along) = open.pop() {
            for of in lead_to.get(along).into_iter().flatten() {
                if !reached.insert(of) {
                    continue;
                }
                open.push(of);
                if let Some(table) = at.get(*of).and_then(|at| tables.get_mut(*at)) {
                    leave_out(table, along, "deleting those is left out", notes);
                }
            }
        }
    }
    for table in tables.iter_mut().filter(|table| table.undeletable) {
        table.routes.retain(|route| route.action != "delete");
    }
}

/// As `cascades` takes it. Errors: why it doesn't.
fn word(cascade: &Cascade, along: Option<&Table>) -> Result<String, &'static str> {
    let by = cascade.by.as_ref().map_err(|why| *why)?;
    let along = along.ok_or("that table is not here")?;
    let leads = |of: &Of| matches!(of, Of::One { table, .. } if *table == cascade.of);
    if !along.fields.iter().any(|field| field.name == *by && leads(&field.of)) {
        return Err("no to-one relation of theirs to it is here");
    }
    if !along.routes.iter().any(|route| route.action == "list") {
        return Err("they can't be listed");
    }
    Ok(format!("{}.{by}", along.name))
}

fn leave_out(table: &mut Table, along: &str, why: &str, notes: &mut Notes) {
    table.undeletable = true;
    notes.push(&*table.place, format!("deleting is left out, for it takes records of {along:?} along: {why}"));
}

#[cfg(test)]
mod tests {
    use super::super::draft::{Field, Route};
    use super::*;

    fn table(name: &str, to: &[&str]) -> Table {
        let relation = |to: &&str| Field::relation(to, Of::One { table: (*to).to_owned(), by: "id".to_owned() });
        let routes = ["list", "delete"].map(Route::of_dialect).to_vec();
        Table { routes, fields: to.iter().map(relation).collect(), ..Table::named(name) }
    }

    fn cascade(of: &str, along: &str, by: Result<&str, &'static str>, meaning: Option<Meaning>) -> Cascade {
        Cascade { of: of.to_owned(), along: along.to_owned(), by: by.map(str::to_owned), meaning }
    }

    /// (table, what is declared, whether it can be deleted)
    fn declared(all: &[Cascade]) -> Vec<(String, Vec<String>, bool)> {
        let mut tables = vec![table("a", &["a"]), table("b", &["a"]), table("c", &["b"])];
        declare(&mut tables, all, &mut Notes::default());
        let deletes = |table: &Table| table.routes.iter().any(|route| route.action == "delete");
        tables.into_iter().map(|table| (table.name.clone(), table.cascades.clone(), deletes(&table))).collect()
    }

    fn expect(rows: [(&str, &[&str], bool); 3]) -> Vec<(String, Vec<String>, bool)> {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        rows.map(|(name, words, deletes)| (name.to_owned(), owned(words), deletes)).to_vec()
    }

    #[test]
    fn what_goes_along_is_declared_once_and_in_a_circle_too() {
        let all = [("a", "a", "a"), ("a", "b", "a"), ("a", "b", "a"), ("b", "c", "b"), ("x", "c", "b")];
        let all = all.map(|(of, along, by)| cascade(of, along, Ok(by), None));
        let expected = expect([("a", &["a.a", "b.a"], true), ("b", &["c.b"], true), ("c", &[], true)]);
        assert_eq!(declared(&all), expected);
    }

    #[test]
    fn no_deletion_is_drafted_that_leads_to_one_that_nobody_judges() {
        let [circle, to_b, to_c] = [("a", "a", "a"), ("a", "b", "a"), ("b", "c", "b")]
            .map(|(of, along, by)| move || cascade(of, along, Ok(by), None));
        for untold in [
            cascade("c", "b", Err("why"), None),
            cascade("c", "elsewhere", Ok("c"), None),
            cascade("c", "a", Ok("b"), None),
            cascade("c", "a", Ok("id"), None),
        ] {
            let expected = expect([("a", &["a.a", "b.a"], false), ("b", &["c.b"], false), ("c", &[], false)]);
            assert_eq!(declared(&[circle(), to_b(), untold, to_c()]), expected);
        }
        let unlisted = cascade("a", "b", Err("why"), None);
        assert_eq!(declared(&[to_c(), unlisted]), expect([("a", &[], false), ("b", &["c.b"], true), ("c", &[], true)]));
    }

    #[test]
    fn of_two_meanings_neither_stands_in_the_way_of_the_other() {
        let both = |of, along, by| {
            let standard = cascade(along, of, Err("why"), Some(Meaning::Standard));
            [standard, cascade(of, along, Ok(by), Some(Meaning::Reverse))]
        };
        let [standard, reverse] = both("a", "b", "a");
        let expected = expect([("a", &["b.a"], true), ("b", &[], false), ("c", &[], true)]);
        assert_eq!(declared(&[standard, reverse]), expected);

        let [standard, reverse] = both("a", "b", "a");
        let expected = expect([("a", &["b.a"], false), ("b", &[], false), ("c", &[], true)]);
        assert_eq!(declared(&[standard, reverse, cascade("b", "c", Err("why"), None)]), expected);
    }
}
