//! What passes, what shows, what may be written: each rule of the design as a case.

use super::support::*;
use crate::model::{Reason, Value};
use crate::policy::decision::Truncation;
use crate::policy::{Decision, Mask, PolicySet, Verdict, Visibility};

/// The verdict of a list grant with this condition on `accounts` for a record.
fn accounts(rows: &str, members: &str) -> &'static str {
    let set = set(&[&granting("accounts", "list", rows, "read: { clear: all }")]);
    match ask(&set, &rep(), "accounts", "list") {
        Decision::Deny(..) => "hidden",
        decision => word(&judge(residual(&decision), &ours(members)).verdict),
    }
}

#[test]
fn an_error_in_a_grant_does_not_hold_and_decides_nothing_beside_it() {
    for (rows, members, expected) in [
        ("record.region == 'emea'", r#""region":"emea""#, "visible"),
        ("record.region == 'emea'", r#""region":"\u0065mea""#, "visible"),
        ("record.region == 'emea'", r#""region":"apac""#, "unmatched"),
        ("record.region == 'emea'", r#""name":"x""#, "unmatched"),
        ("record.region == 'emea'", r#""region":null"#, "unmatched"),
        ("record.region == 'emea'", r#""region":7"#, "unmatched"),
        ("record.region == 'emea'", r#""region":["emea"]"#, "unmatched"),
        ("record.region != 'emea'", r#""name":"x""#, "unmatched"),
        ("!(record.region == 'emea')", r#""name":"x""#, "unmatched"),
        ("record.region == 'emea' || record.id == 1", r#""id":1"#, "visible"),
        ("record.id == 1 || record.region == 'emea'", r#""id":1"#, "visible"),
        ("!(record.region == 'emea' && record.id == 2)", r#""id":1"#, "visible"),
        ("record.custom != null && record.custom.tier == 'gold'", r#""custom":{"tier":"gold"}"#, "visible"),
        ("record.custom != null && record.custom.tier == 'gold'", r#""custom":null"#, "unmatched"),
        ("record.custom == null", r#""custom":null"#, "visible"),
        ("has(record.custom.tier)", r#""custom":{"tier":null}"#, "visible"),
        ("!has(record.custom.tier)", r#""custom":{}"#, "visible"),
        ("!has(record.custom.tier)", r#""custom":null"#, "unmatched"),
        ("!has(record.custom.a.b)", r#""custom":{}"#, "unmatched"),
        ("!has(record.custom.tier)", r#""name":"x""#, "unmatched"),
        ("record.flag == true", r#""flag":null"#, "unmatched"),
        ("record.annual_revenue == 0.1", r#""annual_revenue":0.10"#, "visible"),
        ("record.annual_revenue == 0.1", r#""annual_revenue":0.1000000000000000055"#, "unmatched"),
        ("record.annual_revenue in [1, 2.50]", r#""annual_revenue":"2.5""#, "visible"),
        ("record.annual_revenue > -1.5", r#""annual_revenue":-1.50001"#, "unmatched"),
        ("record.scores.exists(s, s - 1 == 4)", r#""scores":[1,5]"#, "visible"),
        ("record.scores.all(s, s > 0)", r#""scores":[1,-5]"#, "unmatched"),
        ("record.scores.filter(s, s > 0).map(s, s * 2) == [2, 10]", r#""scores":[1,-1,5]"#, "visible"),
        ("record.labels.kind == 'x'", r#""labels":{"kind":"x"}"#, "visible"),
        ("record.custom.tags[0] == 'a'", r#""custom":{"tags":["a"]}"#, "visible"),
        ("record.custom.n - 1 == -2", r#""custom":{"n":-1}"#, "visible"),
        ("record.custom.deep.exists(x, x == 1)", r#""custom":{"deep":{"a":1}}"#, "unmatched"),
        ("record.name.matches('^a+$')", r#""name":"aaa""#, "visible"),
        ("record.name.lowerAscii().startsWith('ab')", r#""name":"ABC""#, "visible"),
        (
            "record.created_at < now && record.created_at.getFullYear() == 2024",
            r#""created_at":"2024-02-03T00:00:00Z""#,
            "visible",
        ),
        ("now - record.created_at > duration('24h')", r#""created_at":"2025-06-15T00:00:00Z""#, "unmatched"),
        ("record.region in principal.attributes.regions", r#""region":"latam""#, "visible"),
        ("principal.in_group('industry-' + record.industry)", r#""industry":"tech""#, "visible"),
        ("principal.manages(record.owner_id)", r#""owner_id":"u2""#, "visible"),
        ("principal.has_role('analyst') || record.id == 1", r#""id":2"#, "unmatched"),
        ("record.id / 0 == 1", r#""id":2"#, "unmatched"),
        ("record.id * 2 > 0", r#""id":9223372036854775807"#, "unmatched"),
        ("request.method == 'GET' && request.ip == '10.0.0.1' && tenant.app_id == 'shop'", r#""id":1"#, "visible"),
    ] {
        assert_eq!(accounts(rows, members), expected, "{rows} on {members}");
    }
}

#[test]
fn nothing_lies_in_an_empty_list() {
    for (rows, members, expected) in [
        ("record.region in []", r#""region":"x""#, "hidden"),
        ("record.id == 1 && record.region in []", r#""id":1,"region":"x""#, "hidden"),
        ("record.id == 1 || record.region in []", r#""id":1,"region":"x""#, "visible"),
        ("!(record.region in [])", r#""region":"x""#, "visible"),
        ("!(record.region in [])", r#""id":1"#, "unmatched"),
    ] {
        assert_eq!(accounts(rows, members), expected, "{rows} on {members}");
    }
}

#[test]
fn an_absent_or_null_attribute_compares_with_nothing() {
    for rows in ["principal.attributes.team == record.region", "principal.attributes.team != record.region"] {
        assert_eq!(accounts(rows, r#""region":"x""#), "hidden", "{rows}: it can hold for no record");
    }
    let mut principal = rep();
    principal.attributes.insert("team".into(), Value::Null);
    let set = set(&[&granting("users", "list", "principal.attributes.team == record.manager_id", "")]);
    assert_eq!(refusal(&ask(&set, &principal, "users", "list")), Some((Reason::TableHidden, None)));
}

#[test]
fn a_table_may_say_that_absent_means_null() {
    let tickets = |rows: &str, members: &str| {
        let set = set(&[&granting("tickets", "list", rows, "")]);
        word(&judge(residual(&ask(&set, &rep(), "tickets", "list")), &ours(members)).verdict)
    };
    assert_eq!(tickets("record.subject == null", r#""id":1"#), "visible");
    assert_eq!(tickets("record.qty == 1 || record.subject == null", r#""qty":1"#), "visible");
    assert_eq!(tickets("record.qty != 1", r#""id":1"#), "unmatched", "not nullable, so absent is an error");
}

#[test]
fn the_tenant_comes_first_and_nothing_lifts_it() {
    let set = set(&[
        "table: accounts\ngrants:\n  - { name: g, roles: [sales_rep], actions: [list], rows: all }\ndenials:\n  - { name: d, actions: [list], rows: record.region == 'x' }\n",
    ]);
    let decision = ask(&set, &rep(), "accounts", "list");
    for (record, expected) in [
        (r#"{"organization_id":"acme","app_id":"shop","region":"y"}"#, "visible"),
        (r#"{"organization_id":"acme","app_id":"shop","region":"x"}"#, "denied"),
        (r#"{"organization_id":"acme","app_id":"shop"}"#, "denied"),
        (r#"{"organization_id":"globex","app_id":"shop","region":"x"}"#, "foreign"),
        (r#"{"organization_id":"acme","app_id":"desk","region":"y"}"#, "foreign"),
        (r#"{"organization_id":"acme","region":"y"}"#, "foreign"),
        (r#"{"organization_id":null,"app_id":"shop","region":"y"}"#, "foreign"),
        (r#"{"organization_id":["acme"],"app_id":"shop","region":"y"}"#, "foreign"),
        (r#"{"region":"y"}"#, "foreign"),
    ] {
        assert_eq!(word(&judge(residual(&decision), record).verdict), expected, "{record}");
    }
    assert_eq!(judge(residual(&decision), r#"{"organization_id":"acme","app_id":"shop"}"#).errors, 1);
    assert!(!residual(&decision).is_total());
}

#[test]
fn a_child_is_of_its_parents_tenant_and_of_none_without_one() {
    let set = set(&[&granting("activities", "list", "all", "")]);
    let decision = ask(&set, &rep(), "activities", "list");
    for (account, expected) in [
        (r#"{"id":1,"organization_id":"acme","app_id":"shop"}"#, "visible"),
        (r#"{"id":1,"organization_id":"globex","app_id":"shop"}"#, "foreign"),
        (r#"{"id":1,"organization_id":"acme"}"#, "foreign"),
        ("null", "foreign"),
        ("7", "foreign"),
    ] {
        let record = format!(r#"{{"id":1,"account_id":1,"account":{account}}}"#);
        assert_eq!(word(&judge(residual(&decision), &record).verdict), expected, "{account}");
    }
    assert_eq!(word(&judge(residual(&decision), r#"{"id":1}"#).verdict), "foreign");
}

#[test]
fn what_is_absent_is_null_in_the_record_itself_and_unknown_in_related_ones() {
    let denied = |rows: &str, members: &str| {
        let text = granting("visits", "list", "all", "read: { clear: all }");
        let set = set(&[&format!("{text}denials:\n  - {{ name: d, actions: [list], rows: {rows} }}\n")]);
        word(&judge(residual(&ask(&set, &rep(), "visits", "list")), &ours(members)).verdict)
    };
    for (rows, members, expected) in [
        ("record.embargo == true", r#""id":1"#, "visible"),
        ("record.embargo == true", r#""embargo":true"#, "denied"),
        ("record.boss.embargo == true", r#""boss":{"embargo":false}"#, "visible"),
        ("record.boss.embargo == true", r#""boss":{"embargo":null}"#, "visible"),
        ("record.boss.embargo == true", r#""boss":{"embargo":true}"#, "denied"),
        // Perhaps it wasn't asked for.
        ("record.boss.embargo == true", r#""id":1"#, "denied"),
        ("record.boss.embargo == true", r#""boss":{"id":2}"#, "denied"),
        ("record.boss.boss.embargo == true", r#""boss":{"id":2}"#, "denied"),
        ("record.boss.boss.embargo == true", r#""boss":{"boss":{"embargo":false}}"#, "visible"),
        ("record.boss != null", r#""boss":null"#, "visible"),
        ("record.boss != null", r#""id":1"#, "denied"),
    ] {
        assert_eq!(denied(rows, members), expected, "{rows} on {members}");
    }
}

fn shown(set: &PolicySet, record: &str, name: &str) -> Visibility {
    match judge(residual(&ask(set, &rep(), "contacts", "list")), &ours(record)).verdict {
        Verdict::Visible(plan) => plan.fields[usize::from(field("contacts", name).0)].clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_best_of_the_matching_grants_shows_each_field() {
    let masks = [
        ("clear: [email]", Visibility::Clear),
        ("partial: [email]", Visibility::Masked(Mask::Partial)),
        ("last4: [email]", Visibility::Masked(Mask::Last4)),
        ("tokenise: [email]", Visibility::Masked(Mask::Tokenise)),
        ("hash: [email]", Visibility::Masked(Mask::Hash)),
        ("constant: { email: x }", Visibility::Masked(Mask::Constant(Value::string("x")))),
        ("'null': [email]", Visibility::Masked(Mask::Null)),
        ("remove: [email]", Visibility::Removed),
    ];
    for (better, (first, expected)) in masks.iter().enumerate() {
        for (second, _) in &masks[better..] {
            let grant = |name: &str, read: &str| {
                format!("  - {{ name: {name}, roles: [sales_rep], actions: [list], rows: all, read: {{ {read} }} }}\n")
            };
            let text = format!("table: contacts\ngrants:\n{}{}", grant("a", second), grant("b", first));
            assert_eq!(shown(&set(&[&text]), r#""id":1"#, "email"), *expected, "{first} and {second}");
        }
    }
    let set = set(&[&granting("contacts", "list", "all", "read: { truncate: { birthday: year, amount: 100 } }")]);
    assert_eq!(shown(&set, r#""id":1"#, "birthday"), Visibility::Masked(Mask::Truncate(Truncation::Year)));
    assert_eq!(shown(&set, r#""id":1"#, "amount"), Visibility::Masked(Mask::Truncate(Truncation::Bucket(100))));
}

#[test]
fn all_never_includes_secrets_and_a_secret_shows_where_it_is_named() {
    let all = set(&[&granting("contacts", "list", "all", "read: { clear: all, except: [email] }")]);
    assert_eq!(shown(&all, r#""id":1"#, "ssn"), Visibility::Removed);
    assert_eq!(shown(&all, r#""id":1"#, "email"), Visibility::Removed);
    assert_eq!(shown(&all, r#""id":1"#, "name"), Visibility::Clear);
    let named = set(&[&granting("contacts", "list", "all", "read: { clear: [ssn] }")]);
    assert_eq!(shown(&named, r#""id":1"#, "ssn"), Visibility::Clear);
    assert_eq!(shown(&named, r#""id":1"#, "name"), Visibility::Removed);
}

#[test]
fn a_field_is_queried_only_where_every_row_shows_it_in_clear() {
    let text = "table: contacts\ngrants:\n  - { name: a, roles: [sales_rep], actions: [list], rows: record.region == 'x', read: { clear: [id, name] } }\n  - { name: b, roles: [sales_rep], actions: [list], rows: record.region == 'y', read: { clear: [id], partial: [name] } }\n";
    let set = set(&[text]);
    let decision = ask(&set, &rep(), "contacts", "list");
    let residual = residual(&decision);
    assert!(residual.is_clear_everywhere(field("contacts", "id")));
    assert!(!residual.is_clear_everywhere(field("contacts", "name")));
    assert!(residual.may_show(field("contacts", "name")));
    assert!(!residual.may_show(field("contacts", "phone")));
}

#[test]
fn a_derived_field_shows_only_where_all_it_is_made_of_does() {
    let reports = granting("reports", "list", "all", "read: { clear: all }");
    for (contacts, expected) in [("all", true), ("record.region == 'x'", false)] {
        let set = set(&[&reports, &granting("contacts", "list", contacts, "")]);
        let decision = ask(&set, &rep(), "reports", "list");
        let count = field("reports", "contact_count");
        assert_eq!(residual(&decision).may_show(count), expected);
        assert_eq!(residual(&decision).is_clear_everywhere(count), expected);
    }
}

#[test]
fn an_error_in_a_requirement_refuses_once_the_table_is_visible() {
    let text = granting("accounts", "list", "all", "")
        + "requirements:\n  - { name: mfa, actions: [list], must: principal.attributes.mfa == true }\n";
    let set = set(&[&text]);
    assert!(matches!(ask(&set, &rep(), "accounts", "list"), Decision::Allow(_)));
    let mut without = rep();
    without.attributes.clear();
    assert_eq!(refusal(&ask(&set, &without, "accounts", "list")), Some((Reason::RequirementUnmet, Some("mfa"))));
    assert_eq!(refusal(&ask(&set, &rep(), "accounts", "read")), Some((Reason::ActionNotGranted, None)));
    without.roles.clear();
    assert_eq!(refusal(&ask(&set, &without, "accounts", "list")), Some((Reason::TableHidden, None)));
}

const WRITES: &str = "table: contacts
grants:
  - { name: own, roles: [sales_rep], actions: [update], rows: record.owner_id == principal.id, write: [name, region] }
  - { name: small, roles: [sales_rep], actions: [update], rows: all, write: [amount], check: after.amount < 100.0 }
  - { name: place, roles: [sales_rep], actions: [update], rows: record.account.region == 'emea', write: [stage, account_id] }
  - { name: hand, roles: [sales_rep], actions: [transfer], rows: record.owner_id == principal.id, write: [owner_id], check: principal.manages(after.owner_id) }
  - { name: make, roles: [sales_rep], actions: [create], presets: { owner_id: principal.id }, write: [name, amount], check: after.amount < 100.0 }
denials:
  - { name: hold, actions: [update], rows: record.legal_hold }
  - { name: keep, actions: [transfer], rows: record.region == 'kept' }
";

#[test]
fn each_changed_field_needs_a_grant_that_holds_before_and_after() {
    let set = set(&[WRITES]);
    let decision = ask(&set, &rep(), "contacts", "update");
    let residual = residual(&decision);
    let base = r#""id":1,"owner_id":"u1","region":"x","legal_hold":false,"amount":5,"account_id":1,"account":{"id":1,"region":"emea"}"#;
    let judge = |before: &str, after: &str, changed: &[&str]| {
        let (before, after) = (ours(before), ours(after));
        let changed: Vec<_> = changed.iter().map(|name| field("contacts", name)).collect();
        let (before, after) = (slots(residual.layout(), &before), slots(residual.layout(), &after));
        residual.judge_change(&before, &after, &changed).outcome.map_err(|(reason, _)| reason)
    };
    let with = |from: &str, to: &str| base.replace(from, to);
    let names = |names: &[&str]| Ok(names.iter().map(|n| crate::model::Name::from(*n)).collect());
    assert_eq!(judge(base, base, &["name"]), names(&["own"]));
    assert_eq!(judge(base, base, &["name", "amount"]), names(&["own", "small"]));
    assert_eq!(judge(base, base, &["phone"]), Err(Reason::FieldNotWritable));
    assert_eq!(judge(base, base, &["organization_id"]), Err(Reason::FieldNotWritable));
    assert_eq!(judge(&with("u1", "u9"), &with("u1", "u9"), &["name"]), Err(Reason::FieldNotWritable));
    assert_eq!(judge(base, &with(":5", ":500"), &["amount"]), Err(Reason::CheckFailed));
    assert_eq!(judge(base, &with(":5", ":null"), &["amount"]), Err(Reason::CheckFailed), "an error is no yes");
    assert_eq!(judge(base, &with("u1", "u2"), &["owner_id"]), names(&["hand"]));
    assert_eq!(judge(base, &with("u1", "u9"), &["owner_id"]), Err(Reason::CheckFailed));
    assert_eq!(judge(base, &with("u1", "u2"), &["owner_id", "name"]), Err(Reason::CheckFailed), "leaves the scope");
    assert_eq!(judge(&with("\"x\"", "\"kept\""), &with("u1", "u2"), &["owner_id"]), Err(Reason::Denied));
    assert_eq!(judge(&with("false", "true"), base, &["name"]), Err(Reason::Denied));
    assert_eq!(judge(&with("false", "null"), base, &["name"]), Err(Reason::Denied), "an error denies");
    assert_eq!(judge(base, base, &["stage"]), names(&["place"]));
    assert_eq!(judge(base, base, &["account_id"]), Err(Reason::CheckFailed), "the parent shown is the old one");
    let foreign = format!(r#"{{"organization_id":"globex","app_id":"shop",{base}}}"#);
    let (mine, theirs) = (ours(base), foreign);
    let (mine, theirs) = (slots(residual.layout(), &mine), slots(residual.layout(), &theirs));
    let reason = |outcome: crate::policy::WriteJudgement| outcome.outcome.map_err(|(reason, _)| reason);
    assert_eq!(reason(residual.judge_change(&theirs, &mine, &[])), Err(Reason::RecordForeign));
    assert_eq!(reason(residual.judge_change(&mine, &theirs, &[])), Err(Reason::TenantNotWritable));
    assert!(residual.may_write(field("contacts", "owner_id")) && !residual.may_write(field("contacts", "phone")));
}

#[test]
fn a_creation_is_judged_by_one_grant_as_a_whole() {
    let set = set(&[WRITES]);
    let decision = ask(&set, &rep(), "contacts", "create");
    let residual = residual(&decision);
    let [creation] = residual.creations() else { panic!("one grant creates") };
    assert_eq!(creation.presets, [(field("contacts", "owner_id"), Value::string("u1"))]);
    let judge = |record: &str| {
        residual.judge_creation(creation, &slots(residual.layout(), record)).outcome.map_err(|(reason, _)| reason)
    };
    assert!(judge(&ours(r#""amount":5"#)).is_ok());
    assert_eq!(judge(&ours(r#""amount":500"#)), Err(Reason::CheckFailed));
    assert_eq!(judge(&ours(r#""name":"x""#)), Err(Reason::CheckFailed));
    assert_eq!(judge(r#"{"organization_id":"globex","app_id":"shop","amount":5}"#), Err(Reason::TenantNotWritable));
}

#[test]
fn a_new_child_names_the_parent_that_vouches_for_its_tenant() {
    let set = set(&[
        "table: activities\ngrants:\n  - { name: n, roles: [sales_rep], actions: [create], write: [account_id] }\n",
    ]);
    let decision = ask(&set, &rep(), "activities", "create");
    let residual = residual(&decision);
    let judge = |column: &str, parent: &str| {
        let record = format!(r#"{{"account_id":{column},"account":{parent}}}"#);
        residual.judge_creation(&residual.creations()[0], &slots(residual.layout(), &record)).outcome.is_ok()
    };
    assert!(judge("1", r#"{"id":1,"organization_id":"acme","app_id":"shop"}"#));
    assert!(!judge("2", r#"{"id":1,"organization_id":"acme","app_id":"shop"}"#), "another parent vouches for nothing");
    assert!(!judge("1", r#"{"id":1,"organization_id":"globex","app_id":"shop"}"#));
    assert!(!judge("1", "null"));
}

#[test]
fn a_custom_action_needs_one_grant_whose_rows_hold() {
    let set = set(&[&granting("deals", "close", "record.stage == 'open'", "")]);
    let decision = ask(&set, &rep(), "deals", "close");
    let judge = |stage: &str| {
        let record = ours(&format!(r#""stage":"{stage}""#));
        let slots = slots(residual(&decision).layout(), &record);
        residual(&decision).judge_change(&slots, &slots, &[]).outcome.map_err(|(reason, _)| reason)
    };
    assert!(judge("open").is_ok());
    assert_eq!(judge("won"), Err(Reason::ActionNotGranted));
}

#[test]
fn a_costly_condition_runs_out_of_steps_and_grants_nothing() {
    let scores: Vec<String> = (0..400).map(|n| n.to_string()).collect();
    let members = format!(r#""scores":[{}]"#, scores.join(","));
    assert_eq!(accounts("record.scores.all(a, record.scores.all(b, a + b >= 0))", &members), "unmatched");
}

#[test]
fn a_write_that_is_refused_for_want_of_steps_says_so() {
    let costly = "record.scores.all(a, record.scores.all(b, a + b >= 0))";
    let update = "  - { name: g, roles: [sales_rep], actions: [update], write: [name], rows: ";
    let outcome = |rest: &str| {
        let set = set(&[&format!("table: accounts\ngrants:\n{update}{rest}")]);
        let decision = ask(&set, &rep(), "accounts", "update");
        let scores: Vec<String> = (0..400).map(|n| n.to_string()).collect();
        let record = ours(&format!(r#""id":1,"name":"x","scores":[{}]"#, scores.join(",")));
        let slots = slots(residual(&decision).layout(), &record);
        let judgement = residual(&decision).judge_change(&slots, &slots, &[field("accounts", "name")]);
        judgement.outcome.map_err(|(reason, rule)| (reason, rule.map(|rule| rule.to_string())))
    };
    let named = |name: &str| Some(name.to_owned());
    assert_eq!(outcome(&format!("'{costly}' }}\n")), Err((Reason::BudgetExceeded, None)));
    let after = costly.replace("record", "after");
    assert_eq!(outcome(&format!("all, check: '{after}' }}\n")), Err((Reason::BudgetExceeded, named("g"))));
    let denial = format!("all }}\ndenials:\n  - {{ name: d, actions: [update], rows: '{costly}' }}\n");
    assert_eq!(outcome(&denial), Err((Reason::Denied, named("d"))), "what can't be judged is denied");
    assert_eq!(outcome("record.id == 2 }\n"), Err((Reason::FieldNotWritable, None)), "an answer is no error");
}

#[test]
fn what_is_left_prints_as_cel() {
    let set = set(&[&granting(
        "contacts",
        "list",
        "record.region in principal.attributes.regions && principal.attributes.mfa",
        "",
    )]);
    let decision = ask(&set, &rep(), "contacts", "list");
    assert_eq!(residual(&decision).explain(), [("it".into(), r#"record.region in ["emea", "latam"]"#.to_owned())]);
}

#[test]
fn a_long_value_read_for_each_element_of_a_list_runs_out_of_budget() {
    let scores = vec!["1"; 3000].join(",");
    let record = format!(r#""scores":[{scores}],"region":"{}""#, "x".repeat(200_000));
    assert_eq!(accounts("record.scores.all(s, record.region != 'y')", &record), "unmatched");
    assert_eq!(accounts("record.region != 'y'", &record), "visible", "once is no matter");
}
