//! A settled draft as YAML. Whatever came from elsewhere is a plain word, or quoted as a JSON string of ASCII, which YAML
//! reads as the same text; so is what stands in a comment. No input can end a line.

use std::fmt::Write;

use super::Options;
use super::draft::{Dialect, Draft, Field, Notes, Of, Rest, Table, Tags, Tenant};

/// Of a text in a comment, in characters.
const MAX_COMMENT: usize = 200;

pub(super) fn print(draft: &Draft, notes: &Notes, options: &Options) -> String {
    let mut out = String::new();
    // Writing to a String can't fail.
    write(&mut out, draft, notes, options).ok();
    out
}

fn write(out: &mut String, draft: &Draft, notes: &Notes, options: &Options) -> std::fmt::Result {
    writeln!(out, "# Drafted by `scrim import` from {}. Nothing here grants anything.", comment(&draft.source))?;
    writeln!(
        out,
        "# `tenant`, `owner` and `tags` are taken from names: look at each. What is not here does not exist"
    )?;
    writeln!(out, "# for clients.")?;
    let writes = draft.tables.iter().flat_map(|table| &table.routes);
    if writes.clone().any(|route| matches!(route.action.as_str(), "update" | "delete")) {
        writeln!(out, "# Updates and deletes are refused until the upstream sends strong ETags, or a table says")?;
        writeln!(out, "# `race: accept`: somebody may change the record between the check and the write.")?;
    }
    if writes.clone().any(|route| route.action == "delete") {
        writeln!(
            out,
            "# Of what the upstream deletes along with a record, `cascades` names what it tells: add the rest."
        )?;
    }
    if !notes.all.is_empty() {
        writeln!(out, "#")?;
        writeln!(out, "# Left out:")?;
        for (place, what) in &notes.all {
            writeln!(out, "# - {}: {}", comment(place), comment(what))?;
        }
        if notes.more > 0 {
            writeln!(out, "# - and {} more", notes.more)?;
        }
    }
    writeln!(out, "api: {}", scalar(&options.name))?;
    writeln!(out, "upstream: {}", scalar(&options.upstream))?;
    writeln!(out, "dialect: {}", draft.dialect.word())?;
    match &draft.dialect {
        Dialect::Rest(rest) => write_rest(out, rest)?,
        Dialect::Odata { root } => writeln!(out, "odata: {{ root: {} }}", scalar(root))?,
        Dialect::Directus | Dialect::Pocketbase => {}
    }
    writeln!(out)?;
    writeln!(out, "tables:")?;
    draft.tables.iter().enumerate().try_for_each(|(at, table)| {
        if at > 0 {
            writeln!(out)?;
        }
        write_table(out, table)
    })
}

fn write_rest(out: &mut String, rest: &Rest) -> std::fmt::Result {
    writeln!(out, "rest:")?;
    writeln!(out, "  list: {}", quoted(&rest.list))?;
    writeln!(out, "  record: {}", quoted(&rest.record))?;
    if let Some(total) = &rest.total {
        writeln!(out, "  total: {}", quoted(total))?;
    }
    let mut lines = Vec::new();
    if let Some(limit) = &rest.limit {
        let (name, default, max) = (scalar(&limit.name), limit.default, limit.max);
        lines.push(format!("    limit: {{ name: {name}, default: {default}, max: {max} }}"));
    }
    lines.extend(rest.offset.iter().map(|name| format!("    offset: {}", scalar(name))));
    lines.extend(rest.page.iter().map(|name| format!("    page: {}", scalar(name))));
    if let Some(sort) = &rest.sort {
        let direction = match &sort.order {
            Some(order) => format!("order: {}", scalar(order)),
            None => "descending: \"-\"".to_owned(),
        };
        lines.push(format!("    sort: {{ name: {}, {direction} }}", scalar(&sort.name)));
    }
    for (key, name) in [("fields", &rest.fields), ("expand", &rest.expand)] {
        lines.extend(name.iter().map(|name| format!("    {key}: {{ name: {}, separator: \",\" }}", scalar(name))));
    }
    if !rest.filter.is_empty() {
        lines.push(
            "    filter: # of the fields that the document has no such parameter for, try whether they are honoured"
                .to_owned(),
        );
        lines.extend(rest.filter.iter().map(|(operator, spelling)| format!("      {operator}: {}", quoted(spelling))));
    }
    if !lines.is_empty() {
        writeln!(out, "  parameters:")?;
    }
    lines.iter().try_for_each(|line| writeln!(out, "{line}"))
}

fn write_table(out: &mut String, table: &Table) -> std::fmt::Result {
    writeln!(out, "  {}:", scalar(&table.name))?;
    writeln!(out, "    key: {}", scalar(&table.key))?;
    if let Some(owner) = &table.owner {
        writeln!(out, "    owner: {}", scalar(owner))?;
    }
    match &table.tenant {
        Some(Tenant::Columns(columns)) => writeln!(out, "    tenant: {}", pairs(columns))?,
        Some(Tenant::Via(relation)) => writeln!(out, "    tenant: {{ via: {} }}", scalar(relation))?,
        Some(Tenant::Shared) => writeln!(out, "    tenant: shared")?,
        None => {}
    }
    if !table.tenant_filter.is_empty() {
        writeln!(out, "    tenant_filter: {}", pairs(&table.tenant_filter))?;
    }
    if let Some(set) = &table.set {
        writeln!(out, "    set: {}", scalar(set))?;
    }
    if table.absent {
        writeln!(out, "    absent: null")?;
    }
    if !table.cascades.is_empty() {
        let cascades: Vec<String> = table.cascades.iter().map(|word| scalar(word)).collect();
        writeln!(out, "    cascades: [{}]", cascades.join(", "))?;
    }
    let remark = if table.undeletable { " # no delete: it takes records along that `cascades` can't name" } else { "" };
    if table.routes.iter().all(|route| route.route.is_none()) {
        let actions: Vec<String> = table.routes.iter().map(|route| scalar(&route.action)).collect();
        writeln!(out, "    routes: [{}]{remark}", actions.join(", "))?;
    } else {
        writeln!(out, "    routes:{remark}")?;
        for route in &table.routes {
            writeln!(out, "      {}: {}", scalar(&route.action), quoted(route.route.as_deref().unwrap_or_default()))?;
        }
    }
    writeln!(out, "    fields:")?;
    table.fields.iter().try_for_each(|field| write_field(out, field))
}

fn write_field(out: &mut String, field: &Field) -> std::fmt::Result {
    write!(out, "      {}: ", scalar(&field.name))?;
    let of = match &field.of {
        Of::One { table, by } => return writeln!(out, "{{ table: {}, by: {} }}", scalar(table), scalar(by)),
        Of::Many { table } => return writeln!(out, "{{ table: {}, many: true }}", scalar(table)),
        Of::Plain(of) => scalar(of),
    };
    let mut parts = Vec::new();
    if field.nullable {
        parts.push("nullable: true".to_owned());
    }
    let Tags { pii, secret } = field.tags;
    let tags: Vec<&str> =
        [(pii, "pii"), (secret, "secret")].into_iter().filter(|(is, _)| *is).map(|(_, t)| t).collect();
    if !tags.is_empty() {
        parts.push(format!("tags: [{}]", tags.join(", ")));
    }
    if let Some(table) = &field.keys_of {
        parts.push(format!("keys_of: {}", scalar(table)));
    }
    if let Some(default) = &field.default {
        parts.push(format!("default: {default}"));
    }
    if parts.is_empty() {
        write!(out, "{of}")?;
    } else {
        write!(out, "{{ type: {of}, {} }}", parts.join(", "))?;
    }
    match field.comment {
        Some(comment) => writeln!(out, " # {comment}"),
        None => writeln!(out),
    }
}

fn pairs(pairs: &[(String, String)]) -> String {
    let all: Vec<String> = pairs.iter().map(|(key, value)| format!("{}: {}", scalar(key), scalar(value))).collect();
    format!("{{ {} }}", all.join(", "))
}

/// A word as it is, anything else in quotes.
pub(super) fn scalar(text: &str) -> String {
    const WORDS: [&str; 10] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan"];
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-().".contains(&b))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { quoted(text) }
}

/// JSON of printable ASCII: a YAML 1.2 scalar in double quotes.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            c => {
                // Writing to a String can't fail.
                write!(out, "\\U{:08X}", u32::from(c)).ok();
            }
        }
    }
    out.push('"');
    out
}

/// Text of elsewhere in a comment or on a terminal: printable, of one line, and not too long.
pub(super) fn comment(text: &str) -> String {
    let shown: String = text.chars().take(MAX_COMMENT).map(|c| if matches!(c, ' '..='~') { c } else { '?' }).collect();
    if text.chars().nth(MAX_COMMENT).is_some() { format!("{shown}…") } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Source;
    use crate::yaml::{self, Value};

    #[test]
    fn whatever_is_printed_reads_back_as_one_scalar_of_the_same_text() {
        for text in [
            "plain",
            "no",
            "NULL",
            "a b",
            "x: {y: z}",
            "a\nb: c",
            "\"\\",
            "# not",
            "&a",
            "*a",
            "!t",
            "- x",
            "{",
            "[a]",
            "ü\u{2028}\u{85}\u{feff}😀",
            "",
            "12",
            "1e3",
            "~",
            "'",
            "a #b",
            "%",
            "@x",
            "`",
            "|",
            ">",
            "\u{0}\u{7f}",
        ] {
            let tree = yaml::parse(&Source::new("x", format!("{}: {}\n", scalar(text), scalar(text)))).expect(text);
            let Value::Map(entries) = tree.value else { panic!("{text}") };
            let [(key, value)] = entries.as_slice() else { panic!("{text}") };
            assert_eq!(key.value, text);
            match &value.value {
                Value::Plain(value) | Value::Quoted(value) => assert_eq!(value.value, text),
                other => panic!("{text}: {other:?}"),
            }
            assert!(comment(text).bytes().all(|b| matches!(b, b' '..=b'~')), "{text}");
        }
    }
}
