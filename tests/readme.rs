//! What the README shows must be true.

use std::path::Path;
use std::sync::Arc;

use scrim::api::Catalog;
use scrim::config::PrincipalSchema;
use scrim::diagnostic::{Source, render};
use scrim::model::Name;
use scrim::model::value::Type;
use scrim::policy::PolicySet;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("readable")
}

#[test]
fn the_policies_in_the_readme_load_without_a_warning() {
    let dimensions: Vec<Name> = vec!["organization_id".into(), "app_id".into()];
    let api = Source::new("demo-crm.yaml", read("config/apis/demo-crm.yaml"));
    let (catalog, _) = Catalog::compile(&[api], &["crm".into()], &dimensions).expect("the demo's description loads");
    let catalog = Arc::new(catalog);
    let attributes = [("regions", Type::List(Box::new(Type::String))), ("mfa", Type::Bool)];
    let principal = PrincipalSchema {
        roles: vec!["sales_rep".into()],
        attributes: attributes.into_iter().map(|(name, kind)| (name.into(), kind)).collect(),
    };
    let readme = read("README.md");
    let blocks = readme.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let mut count = 0;
    for policy in blocks.filter(|block| block.starts_with("table:")) {
        count += 1;
        match PolicySet::compile(&[Source::new("README.md", policy)], &catalog, &principal, &dimensions) {
            Ok((_, warnings)) => assert!(warnings.is_empty(), "{}", render(&warnings, false)),
            Err(errors) => panic!("{}", render(&errors, false)),
        }
    }
    assert_eq!(count, 2, "the README shows two policies");
}

/// The rows of the table of refusals, from the source that answers them: by status and code.
fn refusals() -> Vec<String> {
    let pattern = |text: &str| regex::Regex::new(text).expect("a pattern");
    let labels: std::collections::BTreeMap<String, String> = pattern(r#"Self::(\w+) => "(\w+)""#)
        .captures_iter(&read("src/model.rs"))
        .map(|found| (found[1].to_owned(), found[2].to_owned()))
        .collect();
    let arm = r#"((?:Reason::\w+[\s|]*)+)=>\s*\{?\s*says\(\s*StatusCode::(\w+),\s*"(\w+)",\s*"([^"]*)""#;
    let constant = |status: u16| {
        let reason = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
        reason.unwrap_or_default().to_uppercase().replace(' ', "_")
    };
    let source = read("src/rejection.rs");
    let mut rows = Vec::new();
    for found in pattern(arm).captures_iter(&source) {
        let status = (400..600).find(|status| constant(*status) == found[2]).unwrap_or_else(|| panic!("{}", &found[2]));
        let reasons = pattern(r"Reason::(\w+)");
        let reasons = reasons.captures_iter(&found[1]).map(|reason| format!("`{}`", labels[&reason[1]]));
        let reasons = reasons.collect::<Vec<_>>().join(", ");
        rows.push(format!("| {status} | `{}` | {} | {reasons} |", &found[3], &found[4]));
    }
    assert_eq!(rows.len(), source.matches("says(").count() - 1, "an arm was not understood");
    rows.retain(|row| !row.contains("`client_"));
    rows.sort();
    rows
}

#[test]
fn the_table_of_refusals_is_what_clients_are_told() {
    let readme = read("README.md");
    let found: Vec<&str> = readme.lines().filter(|line| line.starts_with("| 4") || line.starts_with("| 5")).collect();
    let wanted = refusals();
    assert!(wanted.len() > 20);
    assert_eq!(found, wanted, "write these:\n{}", wanted.join("\n"));
}

#[test]
fn the_readme_begins_with_what_a_newcomer_needs() {
    let readme = read("README.md");
    let head: Vec<&str> = readme.lines().take(40).collect();
    let head = head.join("\n");
    for needed in
        ["scrim", "cargo run --release -- demo --tour", "cargo test --locked", "apt-get install", "table: contacts"]
    {
        assert!(head.to_lowercase().contains(needed), "{needed}");
    }
    assert_eq!(head.matches("curl --cacert").count(), 4, "four curls in the first 40 lines");
}
