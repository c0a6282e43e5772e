//! `$expand` (OData 4.01, part 1, section 11.2.5.2): navigation properties, each with `$select` and `$expand` of its own in
//! parentheses.
//!
//! `$filter`, `$orderby`, `$top`, `$skip`, `$count`, `$search`, `$levels` and `$compute` in there, `*`, `$ref` and paths are not
//! judged, so they are refused like anything unknown.

use super::MAX_NAMES;
use crate::api::{FieldId, Reach};
use crate::dialect::expand::{MAX_DEPTH, MAX_EXPANSIONS};
use crate::dialect::{Expansion, Expansions};

pub(super) fn parse(table: Reach<'_>, text: &str) -> Option<Expansions> {
    items(table, text, MAX_DEPTH).filter(Expansions::fits)
}

/// Recursion is bounded by the levels that are left.
fn items(table: Reach<'_>, text: &str, levels: usize) -> Option<Expansions> {
    let levels = levels.checked_sub(1)?;
    let mut expand = Expansions::default();
    for text in split(text, ',')? {
        let one = item(table, text.trim_matches(' '), levels)?;
        if expand.find(one.relation).is_some() || expand.named.len() == MAX_EXPANSIONS {
            return None;
        }
        expand.named.push(one);
    }
    Some(expand)
}

fn item(table: Reach<'_>, text: &str, levels: usize) -> Option<Expansion> {
    let Some((name, options)) = text.split_once('(') else {
        let relation = table.named(text).filter(|id| !table.is_plain(*id))?;
        return Some(Expansion::of(relation));
    };
    let mut one = Expansion::of(table.named(name).filter(|id| !table.is_plain(*id))?);
    let related = table.beyond(one.relation)?;
    let (mut has_select, mut has_expand) = (false, false);
    for option in split(options.strip_suffix(')')?, ';')? {
        let (name, text) = option.trim_matches(' ').split_once('=')?;
        match name {
            // Of two of one name, services take either.
            "$select" if !has_select => {
                has_select = true;
                one.fields = select(related, text)?;
            }
            "$expand" if !has_expand => {
                has_expand = true;
                one.below = items(related, text, levels)?;
            }
            _ => return None,
        }
    }
    Some(one)
}

/// `*` is all there is, as nothing is.
pub(super) fn select(table: Reach<'_>, text: &str) -> Option<Option<Vec<FieldId>>> {
    if text == "*" {
        return Some(None);
    }
    let mut fields = Vec::new();
    for name in text.split(',').map(|name| name.trim_matches(' ')) {
        let field = table.plain_named(name)?;
        if fields.contains(&field) || fields.len() == MAX_NAMES {
            return None;
        }
        fields.push(field);
    }
    Some(Some(fields))
}

/// Parts between separators that stand in no parentheses. `None`: parentheses are not closed, or not opened. Texts in quotes,
/// in which they would mean nothing, are in no part that is understood.
fn split(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (at, sign) in text.char_indices() {
        match sign {
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1)?,
            _ if sign == separator && depth == 0 => {
                parts.push(text.get(start..at)?);
                start = at + sign.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(text.get(start..)?);
    (depth == 0).then_some(parts)
}

/// Recursion is bounded by the parser, and by the rules of tables.
pub(super) fn print(table: Reach<'_>, expand: &Expansions) -> String {
    let item = |one: &Expansion| {
        let name = table.field(one.relation).map_or("", |field| &field.name);
        let Some(related) = table.beyond(one.relation) else { return name.to_owned() };
        let mut options = Vec::new();
        if let Some(fields) = &one.fields {
            options.push(format!("$select={}", selected(related, fields)));
        }
        if !one.below.named.is_empty() {
            options.push(format!("$expand={}", print(related, &one.below)));
        }
        if options.is_empty() { name.to_owned() } else { format!("{name}({})", options.join(";")) }
    };
    expand.named.iter().map(item).collect::<Vec<_>>().join(",")
}

/// What is expanded comes whether it is selected or not.
pub(super) fn selected(table: Reach<'_>, fields: &[FieldId]) -> String {
    let plain = fields.iter().filter(|field| table.is_plain(**field));
    plain.filter_map(|field| Some(&*table.field(*field)?.name)).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dialect::described::related;

    const NAME: FieldId = FieldId(2);
    /// Of every table.
    const RELATION: FieldId = FieldId(4);
    /// Of accounts.
    const CONTACTS: FieldId = FieldId(5);

    fn parse(text: &str) -> Option<Expansions> {
        super::parse(related().reach(), text)
    }

    /// What is sent for what a client asks.
    fn sent(text: &str) -> Option<String> {
        parse(text).map(|expand| print(related().reach(), &expand))
    }

    fn under(one: Expansion, below: impl Into<Vec<Expansion>>) -> Expansion {
        Expansion { below: Expansions { named: below.into(), every: 0 }, ..one }
    }

    #[test]
    fn expansions_nest_and_are_printed_anew() {
        let owner = Expansion { fields: Some(vec![NAME]), ..Expansion::of(RELATION) };
        let account = Expansion { fields: Some(vec![NAME, FieldId(0)]), ..Expansion::of(RELATION) };
        let expected = under(account, [under(owner, []), Expansion::of(CONTACTS)]);
        let text = "account($select=name,id;$expand=owner($select=name),contacts)";
        assert_eq!(parse(text), Some(Expansions { named: vec![expected], every: 0 }));
        for (asked, printed) in [
            (text, text),
            (" account ", "account"),
            ("account($expand=owner;$select=name)", "account($select=name;$expand=owner)"),
            ("account( $select=name, id ; $expand=owner )", "account($select=name,id;$expand=owner)"),
            ("account($select=*)", "account"),
            ("account($expand=contacts($expand=account))", "account($expand=contacts($expand=account))"),
            (
                "account($expand=owner($expand=account($expand=owner)))",
                "account($expand=owner($expand=account($expand=owner)))",
            ),
        ] {
            assert_eq!(sent(asked).as_deref(), Some(printed), "{asked}");
            assert_eq!(parse(printed), parse(asked), "{asked}");
        }
    }

    #[test]
    fn what_cant_be_judged_in_parentheses_is_refused_like_what_is_not_there() {
        let wide = format!("account($select={})", vec!["name"; 300].join(","));
        let deep = format!("{}account{}", "account($expand=owner($expand=".repeat(2000), "))".repeat(2000));
        let open = "account($expand=".repeat(4000);
        for text in [
            // Names that are none where they stand.
            "account($select=nothing)",
            "account($select=owner)",
            "account($select=contacts)",
            "account($select=account_id)",
            "account($expand=nothing)",
            "account($expand=account)",
            "account($expand=name)",
            "owner",
            "name($select=name)",
            // Other options, and other spellings.
            "account($filter=name eq 'a')",
            "account($select=name;$filter=secret eq 'a')",
            "account($orderby=name)",
            "account($top=1)",
            "account($skip=1)",
            "account($count=true)",
            "account($levels=2)",
            "account($levels=max)",
            "account($search=a)",
            "account($compute=name as x)",
            "account($apply=aggregate($count as n))",
            "account(select=name)",
            "account($Select=name)",
            "account(%24select=name)",
            "account%28$select=name%29",
            "account($select=name%3B$expand=owner)",
            // Twice, or nothing at all.
            "account($select=name,name)",
            "account($select=name;$select=id)",
            "account($expand=owner;$expand=contacts)",
            "account($expand=owner,owner($select=name))",
            "account,account($select=name)",
            "account($select=name),account($select=id)",
            "account($select=*,name)",
            "account($select=)",
            "account($expand=)",
            "account()",
            "account(;)",
            "account($select=name;)",
            "account($select)",
            "account(name)",
            // Parentheses, and what is beside them.
            "account(",
            "account)",
            "account($select=name",
            "account($select=name))",
            "account(($select=name))",
            "account($select=name)x",
            "account($select=name)($select=id)",
            "account($select=(name))",
            "account($select=name)$expand=owner",
            "account;owner",
            "account($select=name,$expand=owner)",
            "account($select=name;$expand=owner($select=name)",
            "account($select='name;$expand=owner')",
            "account($select=name');$expand=('owner)",
            // Of which some would be chosen without being judged.
            "*",
            "account($expand=*)",
            "account($expand=owner/$ref)",
            "account/owner",
            "account/$ref",
            "account($select=owner/name)",
            "account($select=name)/owner",
            "Svc.VIP/account",
            // Too much.
            "account($expand=owner($expand=account($expand=owner($expand=account))))",
            &wide,
            &deep,
            &open,
        ] {
            assert_eq!(parse(text), None, "{}", text.get(..200).unwrap_or(text));
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_what_is_read_reads_back(
            text in "((account|owner|contacts|name|id|\\$select=|\\$expand=|\\(|\\)|;|,| |\\*|'|\u{e4}){0,24})|\\PC{0,40}",
        ) {
            if let Some(expand) = parse(&text) {
                prop_assert!(expand.fits());
                prop_assert_eq!(parse(&print(related().reach(), &expand)), Some(expand), "{}", text);
            }
        }
    }
}
