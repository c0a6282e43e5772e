//! Policies that look right and are wrong, each with what its author meant: either the check says so where it stands, or
//! the record that was forgotten is denied.

use super::support::*;
use crate::diagnostic::Source;
use crate::model::{Principal, Value};
use crate::policy::{Decision, PolicySet};

/// How it ends that a policy is wrong.
enum End {
    /// At load: the code and the text that is underlined.
    Caught(&'static str, &'static str),
    /// For this caller and this record: `hidden`, `refused`, `unmatched` or `denied`.
    Denied(fn(&mut Principal), &'static str, &'static str),
}

use End::{Caught, Denied};

struct Wrong {
    meant: &'static str,
    policy: String,
    end: End,
}

fn policy(table: &str, roles: &str, rest: &str) -> String {
    format!("table: {table}\ngrants:\n  - name: it\n    roles: [{roles}]\n{rest}")
}

/// Reps list what meets a condition.
fn rows(table: &str, condition: &str) -> String {
    let lines = format!("    actions: [list]\n    rows: {condition:?}\n    read: {{ clear: all }}\n");
    policy(table, "sales_rep", &lines)
}

/// Reps list everything but what meets a condition.
fn denial(table: &str, condition: &str) -> String {
    let stop = format!("denials:\n  - name: stop\n    actions: [list]\n    rows: {condition:?}\n");
    format!("{}{stop}", rows(table, "all").replace("\"all\"", "all"))
}

fn anybody(_: &mut Principal) {}

fn cases() -> Vec<Wrong> {
    let wrong = |meant, policy, end| Wrong { meant, policy, end };
    vec![
        // null and missing
        wrong(
            "contacts of all accounts but number 5; those of no account are none of theirs",
            rows("contacts", "record.account_id != 5"),
            Caught("null-differs", "record.account_id != 5"),
        ),
        wrong(
            "contacts that asked not to be called are left out; who has no phone is not meant",
            rows("contacts", "!(record.phone in ['+1 555', '+1 556'])"),
            Caught("null-differs", "!(record.phone in ['+1 555', '+1 556'])"),
        ),
        wrong(
            "whoever has the team's phone sees the contact; neither side has one here",
            rows("contacts", "record.phone == principal.attributes.team"),
            Denied(|who| drop(who.attributes.insert("team".into(), Value::Null)), r#""phone":null"#, "hidden"),
        ),
        wrong(
            "everything outside of one's own team; the caller's team is not known",
            rows("accounts", "record.region != principal.attributes.team"),
            Denied(anybody, r#""region":"emea""#, "hidden"),
        ),
        wrong(
            "amounts up to the caller's limit; the limit is null",
            rows("accounts", "record.annual_revenue <= principal.attributes.limit"),
            Denied(|who| drop(who.attributes.insert("limit".into(), Value::Null)), r#""annual_revenue":1"#, "hidden"),
        ),
        wrong(
            "the record is not locked; it has no custom fields at all",
            rows("accounts", "!has(record.custom.locked)"),
            Denied(anybody, r#""custom":null"#, "unmatched"),
        ),
        wrong(
            "the record is not locked; it says `locked: true` as a text",
            rows("accounts", "record.custom.locked == false"),
            Denied(anybody, r#""custom":{"locked":"false"}"#, "unmatched"),
        ),
        wrong(
            "everything but the free tier; the record has no tier",
            rows("accounts", "!(record.custom.tier in ['free'])"),
            Denied(anybody, r#""custom":{}"#, "unmatched"),
        ),
        wrong(
            "contacts outside of one region; the account was not expanded",
            rows("contacts", "record.account.region != 'apac'"),
            Denied(anybody, r#""account_id":1"#, "unmatched"),
        ),
        wrong(
            "one's own; the record has no owner",
            rows("accounts", "shared").replace("\"shared\"", "shared"),
            Denied(anybody, r#""owner_id":null"#, "unmatched"),
        ),
        wrong(
            "hide large deals; those of no amount are meant to stay",
            denial("contacts", "record.amount > 1000000"),
            Caught("null-denies", "record.amount > 1000000"),
        ),
        wrong(
            "hide the caller's own team's; the team is not known",
            denial("accounts", "record.region == principal.attributes.team"),
            Denied(anybody, r#""region":"emea""#, "denied"),
        ),
        wrong(
            "a flag that may be null, negated",
            rows("accounts", "!record.flag"),
            Caught("nullable-condition", "record.flag"),
        ),
        // who asks
        wrong(
            "reps see their region; the token has no role claim",
            rows("accounts", "record.region == 'emea'"),
            Denied(|who| who.roles.clear(), r#""region":"emea""#, "hidden"),
        ),
        wrong(
            "reps and analysts; each needs both roles",
            rows("accounts", "principal.has_role('analyst')"),
            Caught("role-outside", "principal.has_role('analyst')"),
        ),
        wrong(
            "reps, by the first role of the token; the order is the issuer's",
            rows("accounts", "principal.roles[0] == 'sales_rep'"),
            Denied(|who| who.roles.insert(0, "support".into()), r#""id":1"#, "hidden"),
        ),
        wrong(
            "support, but the word is looked for among the groups",
            rows("accounts", "principal.in_group('support')"),
            Denied(|who| who.roles.push("support".into()), r#""id":1"#, "hidden"),
        ),
        wrong(
            "a manager's team and their own; nobody manages themselves",
            rows("accounts", "principal.manages(record.owner_id)"),
            Denied(anybody, r#""owner_id":"u1""#, "unmatched"),
        ),
        wrong(
            "one's regions; the caller has none",
            rows("accounts", "record.region in principal.attributes.regions"),
            Denied(
                |who| drop(who.attributes.insert("regions".into(), Value::strings(&[]))),
                r#""region":"emea""#,
                "hidden",
            ),
        ),
        wrong(
            "one's regions, all of them in Europe; the caller has none",
            rows("accounts", "principal.attributes.regions.all(r, r.startsWith('eu'))"),
            Caught("holds-for-empty", "principal.attributes.regions.all(r, r.startsWith('eu'))"),
        ),
        wrong(
            "who reads has a second factor; the token does not say",
            format!(
                "{}requirements:\n  - {{ name: mfa, actions: [list], must: principal.attributes.mfa }}\n",
                rows("accounts", "record.region == 'emea'")
            ),
            Denied(|who| drop(who.attributes.remove("mfa")), r#""region":"emea""#, "refused"),
        ),
        // numbers and instants
        wrong("half an id", rows("accounts", "record.id == 0.5"), Caught("never-true", "record.id == 0.5")),
        wrong(
            "one large id, written as a number with a fraction, which is that of its neighbour",
            rows("accounts", "record.id == 9007199254740993.0"),
            Caught("inexact-equality", "9007199254740993.0"),
        ),
        wrong(
            "the largest unsigned number; JSON integers are signed",
            rows("accounts", "record.id < 18446744073709551615"),
            Caught("cel-syntax", "18446744073709551615"),
        ),
        wrong(
            "thirty cents, calculated",
            rows("accounts", "record.annual_revenue == 0.1 + 0.2"),
            Caught("inexact-equality", "record.annual_revenue == 0.1 + 0.2"),
        ),
        wrong(
            "ten cents; the record has a little more than a float can tell",
            rows("accounts", "record.annual_revenue == 0.1"),
            Denied(anybody, r#""annual_revenue":0.1000000000000000055"#, "unmatched"),
        ),
        wrong(
            "ids compared with digits in quotes",
            rows("accounts", "record.id == '5'"),
            Caught("type-mismatch", "record.id == '5'"),
        ),
        wrong(
            "levels compared with digits in quotes, where the record holds any JSON",
            rows("accounts", "record.custom.level == '5'"),
            Denied(anybody, r#""custom":{"level":5}"#, "unmatched"),
        ),
        wrong(
            "versions above 10, which are texts",
            rows("accounts", "record.name > '10'"),
            Caught("text-order", "record.name > '10'"),
        ),
        wrong(
            "since the new year, without saying where on earth",
            rows("accounts", "record.created_at >= timestamp('2024-01-01T00:00:00')"),
            Caught("always-fails", "timestamp('2024-01-01T00:00:00')"),
        ),
        wrong(
            "the last thirty days",
            rows("accounts", "now - record.created_at < duration('30d')"),
            Caught("always-fails", "duration('30d')"),
        ),
        wrong(
            "December, which is month 11",
            rows("accounts", "record.created_at.getMonth() == 12"),
            Caught("never-true", "record.created_at.getMonth() == 12"),
        ),
        // texts
        wrong(
            "any name of letters",
            rows("accounts", "record.name.matches('[a-z]*')"),
            Caught("always-true", "record.name.matches('[a-z]*')"),
        ),
        wrong(
            "colleagues, by their address; others hold the same letters elsewhere",
            rows("users", "record.email.matches('@acme[.]com')"),
            Caught("loose-pattern", "'@acme[.]com'"),
        ),
        wrong(
            "two names, of which each anchor binds one",
            rows("users", "record.id.matches('^admin|root$')"),
            Caught("loose-pattern", "'^admin|root$'"),
        ),
        wrong(
            "colleagues, by the end of their address; evilacme.com has it, too",
            rows("users", "record.email.endsWith('acme.com')"),
            Caught("loose-pattern", "'acme.com'"),
        ),
        wrong(
            "capital letters only; the record has small ones",
            rows("accounts", "record.region.matches('^EMEA$')"),
            Denied(anybody, r#""region":"emea""#, "unmatched"),
        ),
        wrong(
            "a region in any letters",
            rows("accounts", "record.region.lowerAscii() == 'EMEA'"),
            Caught("never-true", "record.region.lowerAscii() == 'EMEA'"),
        ),
        wrong(
            "what is granted for emea is hidden for legal reasons; the denial spells it otherwise",
            denial("accounts", "record.region == 'EMEA' || record.region == 'emea'"),
            Caught("letter-case", "'emea'"),
        ),
        wrong(
            "the office's network",
            rows("accounts", "request.ip.startsWith('10.1')"),
            Caught("loose-pattern", "'10.1'"),
        ),
        wrong(
            "a list where the record should hold a text",
            rows("accounts", "record.region == 'emea'"),
            Denied(anybody, r#""region":["emea"]"#, "unmatched"),
        ),
        // logic
        wrong(
            "won or lost",
            rows("contacts", "record.stage == 'won' && record.stage == 'lost'"),
            Caught("never-true", "record.stage == 'lost'"),
        ),
        wrong(
            "neither won nor lost",
            rows("contacts", "record.stage != 'won' || record.stage != 'lost'"),
            Caught("always-true", "record.stage != 'lost'"),
        ),
        wrong(
            "one's own or the region's, and only those that are won",
            rows("contacts", "record.owner_id == principal.id || record.region == 'emea' && record.stage == 'won'"),
            Caught("mixed-operators", "record.region == 'emea' && record.stage == 'won'"),
        ),
        wrong(
            "a named condition, which the variable hides",
            rows("accounts", "mine && record.scores.exists(mine, mine == 5)")
                .replace("grants:", "let: { mine: record.owner_id == principal.id }\ngrants:"),
            Caught("shadowed-name", "mine"),
        ),
        // rules
        wrong(
            "private contacts are hidden; this shows them",
            rows("contacts", "record.legal_hold").replace("name: it", "name: hide-held"),
            Caught("misleading-name", "hide-held"),
        ),
        wrong(
            "owners may; this forbids it to them",
            denial("contacts", "record.owner_id == principal.id").replace("name: stop", "name: allow-owners"),
            Caught("misleading-name", "allow-owners"),
        ),
        wrong(
            "reps delete their own; `check` is asked for no deletion",
            policy(
                "contacts",
                "sales_rep",
                "    actions: [update, delete]\n    rows: all\n    write: [name]\n    check: after.owner_id == principal.id\n",
            ),
            Caught("check-not-asked", "after.owner_id == principal.id"),
        ),
        wrong(
            "reps create contacts of their own",
            policy("contacts", "sales_rep", "    actions: [create]\n    write: [name, owner_id]\n"),
            Caught("owner-not-set", "create"),
        ),
        wrong(
            "contacts that are not held; to YAML the negation is a tag",
            rows("contacts", "?").replace("\"?\"", "!record.legal_hold"),
            Caught("yaml-tag", "!record.legal_hold"),
        ),
        wrong(
            "two conditions, of which YAML takes the second for a comment",
            rows("contacts", "?").replace("\"?\"", "record.owner_id == principal.id #&& record.legal_hold"),
            Caught("yaml-comment", "#&& record.legal_hold"),
        ),
    ]
}

/// Only denials are judged with a set that may hold doubts.
fn verdict(set: &PolicySet, who: &Principal, table: &str, members: &str) -> &'static str {
    match ask(set, who, table, "list") {
        Decision::Deny(crate::model::Reason::TableHidden, _) => "hidden",
        Decision::Deny(..) => "refused",
        decision => word(&judge(residual(&decision), &ours(members)).verdict),
    }
}

#[test]
fn what_is_wrong_is_caught_or_denies_the_record_that_was_forgotten() {
    let cases = cases();
    assert!(cases.len() >= 40);
    let mut differs = Vec::new();
    for Wrong { meant, policy, end } in &cases {
        let found = match compile(&[Source::new("p.yaml", policy.as_str())]) {
            Ok((_, warnings)) => warnings,
            Err(errors) => errors,
        };
        let at = |range: std::ops::Range<usize>| policy.get(range).unwrap_or_default();
        match end {
            Caught(code, place) => match found.as_slice() {
                [one] if one.code == *code && at(one.span.range.clone()) == *place => {}
                _ => differs.push(format!("{meant}: {}", crate::diagnostic::render(&found, false))),
            },
            Denied(who, record, wanted) => {
                let table = policy.lines().next().and_then(|line| line.strip_prefix("table: ")).expect("a table");
                let mut principal = rep();
                who(&mut principal);
                let given = verdict(&set(&[policy]), &principal, table, record);
                if given != *wanted {
                    differs.push(format!("{meant}: {given}, not {wanted}"));
                }
            }
        }
    }
    assert!(differs.is_empty(), "{}", differs.join("\n"));
}

/// Each record is denied for the reason that the sentence names: the same policy gives what was meant otherwise.
#[test]
fn what_the_authors_meant_is_granted() {
    for (condition, members) in [
        ("!has(record.custom.locked)", r#""custom":{}"#),
        ("record.custom.locked == false", r#""custom":{"locked":false}"#),
        ("!(record.custom.tier in ['free'])", r#""custom":{"tier":"gold"}"#),
        ("record.annual_revenue == 0.1", r#""annual_revenue":0.10"#),
        ("record.custom.level == '5'", r#""custom":{"level":"5"}"#),
        ("record.region.matches('^EMEA$')", r#""region":"EMEA""#),
        ("record.region in principal.attributes.regions", r#""region":"emea""#),
        ("principal.manages(record.owner_id)", r#""owner_id":"u2""#),
        ("principal.roles[0] == 'sales_rep'", r#""id":1"#),
    ] {
        assert_eq!(
            verdict(&set(&[&rows("accounts", condition)]), &rep(), "accounts", members),
            "visible",
            "{condition}"
        );
    }
    let denied = set(&[&denial("accounts", "record.region == principal.attributes.team")]);
    let mut who = rep();
    who.attributes.insert("team".into(), Value::string("apac"));
    assert_eq!(verdict(&denied, &who, "accounts", r#""region":"emea""#), "visible");
}
