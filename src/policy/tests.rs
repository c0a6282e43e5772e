//! Policies as operators write them, over the demo CRM's shape, judged on records as an upstream sends them.

mod broken;
mod conformance;
pub(super) mod corpus;
mod differential;
mod hostile;
mod judging;
mod language;
mod lints;
mod pushdown;
mod remembered;
mod scopes;
mod sharing;
mod support;
mod wrong;

use support::*;

#[test]
fn the_example_policies_compile() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/policies");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the examples") {
        let path = entry.expect("a file").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if name.ends_with(".yaml") && !name.ends_with("_test.yaml") {
            files.push(crate::diagnostic::Source::new(name, std::fs::read_to_string(&path).expect("text")));
        }
    }
    assert_eq!(files.len(), 6);
    let compiled = compile(&files);
    let warnings = compiled.map_err(|wrong| crate::diagnostic::render(&wrong, false)).expect("no mistakes").1;
    assert_eq!(warnings, []);
}

#[test]
fn without_a_policy_or_with_its_last_grant_gone_every_table_is_hidden() {
    for files in [&[][..], &["table: contacts\n"], &["table: contacts\ngrants: []\n"]] {
        let set = set(files);
        for table in ["contacts", "accounts", "users", "deals"] {
            for action in crate::model::Action::BUILT_IN {
                let asked = ask(&set, &rep(), table, action.name());
                assert_eq!(refusal(&asked), Some((crate::model::Reason::TableHidden, None)), "{table} {action}");
            }
        }
    }
}
