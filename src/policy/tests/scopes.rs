//! Credentials cut down to some tables and actions: what lies out of their scope is as if no grant were for it.

use std::sync::Arc;

use super::support::*;
use crate::model::{Action, Principal, Reason, Scope};
use crate::policy::Decision;

/// `deals:list deals:*`
fn cut(scopes: &str) -> Principal {
    let scope = |word: &str| {
        let (table, action) = word.split_once(':').expect("table:action");
        Scope { table: table.into(), action: (action != "*").then(|| Action::parse(action)) }
    };
    Principal { scopes: Some(scopes.split_whitespace().map(scope).collect()), ..rep() }
}

const ACTIONS: &str = "list, read, update, delete, transfer, export, close";

#[test]
fn an_action_out_of_scope_is_not_granted_and_a_table_without_any_is_hidden() {
    let set = set(&[&granting("deals", ACTIONS, "all", "")]);
    for (scopes, action, refused) in [
        ("deals:list", "list", None),
        ("deals:list", "read", Some(Reason::ActionNotGranted)),
        ("deals:list", "export", Some(Reason::ActionNotGranted)),
        ("deals:read", "list", Some(Reason::ActionNotGranted)),
        ("deals:*", "close", None),
        ("deals:close", "close", None),
        ("deals:close", "update", Some(Reason::ActionNotGranted)),
        ("deals:list deals:read", "read", None),
        ("contacts:*", "list", Some(Reason::TableHidden)),
        ("contacts:*", "close", Some(Reason::TableHidden)),
        ("deal:* deals2:* Deals:*", "list", Some(Reason::TableHidden)),
        // The scope says create, which nothing grants: it makes nothing visible.
        ("deals:create", "list", Some(Reason::TableHidden)),
        ("", "list", Some(Reason::TableHidden)),
    ] {
        // The same question of somebody else must not answer it.
        assert!(refusal(&ask(&set, &rep(), "deals", action)).is_none(), "{action}");
        for _ in 0..2 {
            let found = refusal(&ask(&set, &cut(scopes), "deals", action)).map(|(reason, _)| reason);
            assert_eq!(found, refused, "{scopes}: {action}");
        }
    }
}

#[test]
fn a_scope_grants_nothing() {
    let set = set(&[&granting("deals", "list", "all", "")]);
    let asked =
        |principal: &Principal, action: &str| refusal(&ask(&set, principal, "deals", action)).map(|(why, _)| why);
    assert_eq!(asked(&cut("deals:*"), "delete"), Some(Reason::ActionNotGranted));
    assert_eq!(asked(&Principal { roles: Vec::new(), ..cut("deals:*") }, "list"), Some(Reason::TableHidden));
}

#[test]
fn an_update_in_scope_hands_nothing_over_unless_a_transfer_is_too() {
    let set = set(&[&granting("deals", "update, transfer", "all", "write: [owner_id, title]")]);
    let before = ours(r#""id":1,"owner_id":"u1","title":"x","stage":"open","account_id":1"#);
    let after = ours(r#""id":1,"owner_id":"u2","title":"x","stage":"open","account_id":1"#);
    for (principal, allowed) in [
        (rep(), true),
        (cut("deals:update deals:transfer"), true),
        (cut("deals:*"), true),
        (cut("deals:update"), false),
    ] {
        let decision = ask(&set, &principal, "deals", "update");
        let residual = match &decision {
            Decision::Allow(residual) | Decision::Conditional(residual) => Arc::clone(residual),
            Decision::Deny(reason, _) => panic!("{reason:?}"),
        };
        let owner = CATALOG.table_named("deals").and_then(|table| table.owner).expect("an owner");
        let (before, after) = (slots(residual.layout(), &before), slots(residual.layout(), &after));
        assert_eq!(residual.judge_change(&before, &after, &[owner]).outcome.is_ok(), allowed, "{:?}", principal.scopes);
    }
}
