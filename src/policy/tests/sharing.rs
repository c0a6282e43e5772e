//! What the word `shared` opens: the organisation-wide default and the hierarchy, only where a grant says it.

use std::sync::Arc;

use super::support::*;
use crate::model::{Action, Principal, Reason};
use crate::policy::{Decision, PolicySet};

const DEFAULTS: [(&str, &[&str]); 3] =
    [("private", &[]), ("public_read", &["list", "read"]), ("public_read_write", &["list", "read", "update"])];
/// Every action that a record can be judged by, those of the API's own too.
const ACTIONS: [&str; 7] = ["list", "read", "update", "delete", "transfer", "export", "close"];

fn sharing(default: &str, hierarchy: bool) -> String {
    format!("sharing: {{ default: {default}, hierarchy: {hierarchy} }}\n")
}

fn may(set: &PolicySet, principal: &Principal, table: &str, action: &str, record: &str) -> bool {
    match ask(set, principal, table, action) {
        Decision::Deny(..) => false,
        decision => {
            let record = ours(record);
            let slots = slots(residual(&decision).layout(), &record);
            match Action::parse(action) {
                Action::Custom(_) => residual(&decision).judge_change(&slots, &slots, &[]).outcome.is_ok(),
                _ => word(&residual(&decision).judge(&slots).verdict) == "visible",
            }
        }
    }
}

/// u1 manages u2, who manages nobody known; u9 is a stranger.
fn owned_by(owner: &str) -> String {
    format!(r#""id":1,"owner_id":"{owner}","stage":"open","account_id":1"#)
}

#[test]
fn each_default_opens_its_actions_and_the_hierarchy_the_rest() {
    for (default, open) in DEFAULTS {
        for hierarchy in [false, true] {
            for action in ACTIONS {
                let set = set(&[&(granting("deals", action, "shared", "") + &sharing(default, hierarchy))]);
                for (owner, owned) in [("u1", true), ("u2", hierarchy), ("u9", false)] {
                    let expected = owned || open.contains(&action);
                    let found = may(&set, &rep(), "deals", action, &owned_by(owner));
                    assert_eq!(found, expected, "{default}, hierarchy {hierarchy}: {action} what {owner} owns");
                }
            }
        }
    }
}

#[test]
fn a_table_without_sharing_is_private_and_without_a_hierarchy() {
    let set = set(&[&granting("deals", "list", "shared", "")]);
    let sees = |owner| may(&set, &rep(), "deals", "list", &owned_by(owner));
    assert!(sees("u1") && !sees("u2") && !sees("u9"));
}

#[test]
fn nothing_is_shared_where_no_grant_says_so() {
    for (default, _) in DEFAULTS {
        for action in ACTIONS {
            // A condition that never holds beside the widest sharing, and no grant for the action at all.
            let text = granting("deals", action, "record.stage == 'won'", "") + &sharing(default, true);
            for owner in ["u1", "u2", "u9"] {
                let found = may(&set(&[&text]), &rep(), "deals", action, &owned_by(owner));
                assert!(!found, "{default}: {action} what {owner} owns, without `shared`");
            }
            // A transfer goes by the route of an update.
            let beside = |other: &&str| *other != action && !(action == "update" && *other == "transfer");
            let others: Vec<&str> = ACTIONS.into_iter().filter(beside).collect();
            let text = granting("deals", &others.join(", "), "shared", "") + &sharing(default, true);
            let asked = ask(&set(&[&text]), &rep(), "deals", action);
            assert_eq!(refusal(&asked), Some((Reason::ActionNotGranted, None)), "{default}: {action}");
        }
        let text = format!("table: deals\n{}", sharing(default, true));
        let asked = ask(&set(&[&text]), &rep(), "deals", "list");
        assert_eq!(refusal(&asked), Some((Reason::TableHidden, None)), "{default}: sharing alone grants nothing");
    }
}

#[test]
fn sharing_never_creates_records_and_never_reaches_another_tenant() {
    let text = granting("deals", "list, update", "shared", "") + &sharing("public_read_write", true);
    let set = set(&[&text]);
    assert_eq!(refusal(&ask(&set, &rep(), "deals", "create")), Some((Reason::ActionNotGranted, None)));
    let decision = ask(&set, &rep(), "deals", "list");
    for owner in ["u1", "u2", "u9"] {
        let record = format!(r#"{{"organization_id":"globex","app_id":"shop",{}}}"#, owned_by(owner));
        assert_eq!(word(&judge(residual(&decision), &record).verdict), "foreign", "{owner}");
    }
}

const TEAM: &str = "table: deals
sharing: { default: private, hierarchy: true }
grants:
  - { name: own, roles: [sales_rep, sales_manager], actions: [list], rows: shared, read: { clear: [id] } }
  - { name: region, roles: [sales_rep], actions: [list], rows: record.region in principal.attributes.regions, read: { clear: all } }
  - { name: group, roles: [sales_rep, sales_manager], actions: [list], rows: principal.in_group(record.stage), read: { clear: all } }
  - { name: named, roles: [sales_manager], actions: [list], rows: record.title == principal.id, read: { clear: all } }
";

#[test]
fn the_hierarchy_hands_down_ownership_and_nothing_else_of_a_report() {
    let set = set(&[TEAM]);
    // u2 works in emea, belongs to a group, and has records named after them; u1 manages u2 and has none of it.
    let report = Principal { id: "u2".into(), groups: vec!["won".into()], reports: Arc::default(), ..rep() };
    let manager =
        Principal { roles: vec!["sales_manager".into()], groups: Vec::new(), attributes: Default::default(), ..rep() };
    let record = |owner: &str, region: &str, stage: &str, title: &str| {
        format!(r#""id":1,"owner_id":"{owner}","region":"{region}","stage":"{stage}","title":"{title}""#)
    };
    for (record, report_sees, manager_sees) in [
        (record("u2", "apac", "open", "x"), true, true),
        (record("u9", "emea", "open", "x"), true, false),
        (record("u9", "apac", "won", "x"), true, false),
        (record("u9", "apac", "open", "u2"), false, false),
        (record("u9", "apac", "open", "u1"), false, true),
        (record("u1", "apac", "open", "x"), false, true),
    ] {
        assert_eq!(may(&set, &report, "deals", "list", &record), report_sees, "the report: {record}");
        assert_eq!(may(&set, &manager, "deals", "list", &record), manager_sees, "the manager: {record}");
    }
    // What the manager sees of a report's record is what the manager's own grant shows.
    let decision = ask(&set, &manager, "deals", "list");
    assert!(residual(&decision).may_show(field("deals", "id")));
    let crate::policy::Verdict::Visible(plan) =
        judge(residual(&decision), &ours(&record("u2", "emea", "won", "x"))).verdict
    else {
        panic!("it is seen")
    };
    let shown = |name: &str| plan.fields[usize::from(field("deals", name).0)].clone();
    assert_eq!(shown("id"), crate::policy::Visibility::Clear);
    assert_eq!(shown("amount"), crate::policy::Visibility::Removed);
}

#[test]
fn managing_does_not_depend_on_sharing_and_is_not_mutual() {
    let text = granting("deals", "list", "principal.manages(record.owner_id)", "") + &sharing("private", false);
    let set = set(&[&text]);
    let sees = |owner| may(&set, &rep(), "deals", "list", &owned_by(owner));
    assert!(sees("u2") && !sees("u1") && !sees("u9"));
    let below = Principal { id: "u2".into(), reports: Arc::default(), ..rep() };
    assert!(!may(&set, &below, "deals", "list", &owned_by("u1")));
    assert!(!may(&set, &below, "deals", "list", &owned_by("u2")));
}

#[test]
fn an_owner_who_is_nobody_owns_nothing_for_anybody() {
    // The last is another type than declared; escapes are the same text.
    let owners = [("null", false), (r#""""#, false), ("[\"u1\"]", false), ("{\"id\":\"u1\"}", false), ("1", false)];
    for (default, open) in DEFAULTS {
        let set = set(&[&(granting("deals", "list", "shared", "") + &sharing(default, true))]);
        let nobody = Principal { id: "".into(), reports: ["".into()].into(), ..rep() };
        for (owner, expected) in owners.into_iter().chain([(r#""\u00751""#, true)]) {
            let record = format!(r#""id":1,"owner_id":{owner}"#);
            let expected = expected || open.contains(&"list");
            assert_eq!(may(&set, &rep(), "deals", "list", &record), expected, "{default}: {owner}");
        }
        assert_eq!(
            may(&set, &rep(), "deals", "list", r#""id":1"#),
            open.contains(&"list"),
            "{default}: no owner at all"
        );
        assert_eq!(may(&set, &nobody, "deals", "list", r#""id":1,"owner_id":null"#), open.contains(&"list"));
    }
}

#[test]
fn an_owner_may_be_a_number() {
    let text = granting("tickets", "list", "shared", "") + &sharing("private", true);
    let set = set(&[&text]);
    let principal = Principal { id: "7".into(), reports: ["8".into()].into(), ..rep() };
    let sees = |owner: &str| may(&set, &principal, "tickets", "list", &format!(r#""id":1,"owner_id":{owner}"#));
    assert!(sees("7") && sees("8"));
    for other in ["9", "70", "7.0", "-7", "\"x\"", "null"] {
        assert!(!sees(other), "{other}");
    }
}

#[test]
fn a_change_needs_what_is_shared_for_updates_and_not_for_reading() {
    for (default, open) in DEFAULTS {
        let text = granting("deals", "list, read, update", "shared", "write: [title]") + &sharing(default, true);
        let set = set(&[&text]);
        let decision = ask(&set, &rep(), "deals", "update");
        for (owner, owned) in [("u1", true), ("u2", true), ("u9", false)] {
            let record = ours(&owned_by(owner));
            let slots = slots(residual(&decision).layout(), &record);
            let changed = [field("deals", "title")];
            let allowed = residual(&decision).judge_change(&slots, &slots, &changed).outcome.is_ok();
            assert_eq!(allowed, owned || open.contains(&"update"), "{default}: {owner}");
        }
    }
}

#[test]
fn a_denial_narrows_what_a_default_opens_for_owners_and_managers_too() {
    let text = granting("deals", "list", "shared", "")
        + &sharing("public_read", true)
        + "denials:\n  - { name: secret, actions: [list], rows: record.stage == 'secret' }\n";
    let set = set(&[&text]);
    for owner in ["u1", "u2", "u9"] {
        assert!(may(&set, &rep(), "deals", "list", &owned_by(owner)), "{owner}");
        assert!(!may(&set, &rep(), "deals", "list", &owned_by(owner).replace("open", "secret")), "{owner}");
    }
}
