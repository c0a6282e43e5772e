//! Expansions within expansions, through a whole gateway: on every level what the other table's policy shows, what isn't there
//! and what may not be seen are one, and the upstream is asked for what is shown and what rules read. That real servers mean the
//! same is held by `tests/e2e`.

mod spoken;

use serde_json::{Value, json};

use crate::support::Answer;
use crate::support::world::Setup;
use spoken::{ALL, Asks, Directus, Odata, Pocketbase, Spoken, asked, get};

const NAMES: &[&str] = &["id", "name"];
const OWNERS: Asks = Asks { fields: NAMES, below: &[("owner", Asks { fields: NAMES, below: &[] })] };
const NESTED: Asks = Asks { fields: &["id"], below: &[("account", OWNERS)] };

#[tokio::test(flavor = "multi_thread")]
async fn on_every_level_records_show_as_their_own_tables_policy_says() {
    for spoken in ALL {
        let world = spoken.world().await;
        let (ann, stranger) = (spoken.person(1, "acme", "Ann"), spoken.person(2, "globex", "SECRET-G"));
        let hidden = spoken.person(3, "acme", "SECRET-CHILD");
        let rows = [
            Some((spoken.account(1, "acme", ("north", "One")), &ann)),
            // The owner is another tenant's; then the account may not be seen, is another tenant's, or is denied, whatever is in it.
            Some((spoken.account(2, "acme", ("north", "Two")), &stranger)),
            Some((spoken.account(3, "acme", ("south", "SECRET")), &hidden)),
            Some((spoken.account(4, "globex", ("north", "SECRET")), &hidden)),
            Some((spoken.account(5, "acme", ("north", "Frozen")), &hidden)),
            None,
        ];
        let rows: Vec<Value> = (1..)
            .zip(rows)
            .map(|(id, related)| {
                let account = related.map(|(account, owner)| spoken.with(account, &[("owner", owner.clone())]));
                spoken.with(spoken.contact(id), &[("account", account.unwrap_or_default())])
            })
            .collect();
        let page = spoken.page(&rows);
        world.upstream.answers(move |_| Some(Answer::json(200, page.clone())));
        let got = get(&world, "rep", &format!("{}?{}", spoken.list(), spoken.query(&NESTED))).await;
        let named = |id: u32, name: &str| json!({ "id": spoken.key(id), "name": name });
        let one = spoken.shown(named(1, "One"), &[("owner", Some(named(1, "Ann")))]);
        let two = spoken.shown(named(2, "Two"), &[("owner", None)]);
        let accounts = [Some(one), Some(two), None, None, None, None];
        let shown = |(id, account): (u32, &Option<Value>)| {
            spoken.shown(json!({ "id": spoken.key(id) }), &[("account", account.clone())])
        };
        let expected: Vec<Value> = (1..).zip(&accounts).map(shown).collect();
        assert_eq!((got.status, spoken.rows(&got)), (200, json!(expected)), "{spoken:?}");
        let asked = asked(&world);
        let (text, withheld) = match spoken {
            Odata => ("$expand=account($select=id,name,", true),
            Pocketbase => ("expand=account_id.owner_id", true),
            Directus => (r#"alias={"account":"account_id","owner":"owner_id"}"#, true),
        };
        assert!(asked.contains(text) && asked.contains("region"), "{asked}");
        assert_eq!(asked.contains("secret") || asked.contains("email"), !withheld, "{asked}");
        let (_, outcome) = world.last_audit().await;
        assert_eq!((&outcome["result"], &outcome["rows_returned"]), (&json!("allowed"), &json!(6)), "{spoken:?}");
        // As OData's clients send it.
        let bare = spoken.query(&NESTED).replace("%3B", ";");
        let again = get(&world, "rep", &format!("{}?{bare}", spoken.list())).await;
        assert_eq!((again.status, again.text()), (got.status, got.text()), "{spoken:?}");
        world.gateway.shutdown().await;
    }
}

type Unseen = (Spoken, &'static str, &'static [(&'static str, &'static str)]);

/// Pairs of queries: what the first one names is declared and may not be seen, what the second one names is not there.
const UNSEEN: [Unseen; 3] = [
    (
        Odata,
        "$expand=",
        &[
            ("account($expand=vault)", "account($expand=nothing)"),
            ("account($select=name;$expand=vault)", "account($select=name;$expand=nothing)"),
            ("account($select=secret)", "account($select=nothing)"),
            ("account($expand=owner($select=email))", "account($expand=owner($select=nothing))"),
            ("account($expand=owner($expand=desk))", "account($expand=owner($expand=nothing))"),
            (
                "account($expand=owner($expand=home($select=secret)))",
                "account($expand=owner($expand=home($select=nothing)))",
            ),
            (
                "account($expand=contacts($expand=note($select=of_id)))",
                "account($expand=contacts($expand=note($select=nothing)))",
            ),
        ],
    ),
    (
        Pocketbase,
        "expand=",
        &[
            ("account_id.vault_id", "account_id.nothing_id"),
            ("account_id,account_id.vault_id", "account_id,account_id.nothing_id"),
            ("account_id&fields=id,expand.account_id.secret", "account_id&fields=id,expand.account_id.nothing"),
            ("account_id.owner_id.desk_id", "account_id.owner_id.nothing_id"),
            (
                "account_id.owner_id&fields=expand.account_id.expand.owner_id.email",
                "account_id.owner_id&fields=expand.account_id.expand.owner_id.nothing",
            ),
        ],
    ),
    (
        Directus,
        "fields=",
        &[
            ("account_id.vault_id.id", "account_id.nothing_id.id"),
            ("account_id.vault_id.*", "account_id.nothing_id.*"),
            ("account_id.secret", "account_id.nothing"),
            ("account_id.owner_id.email", "account_id.owner_id.nothing"),
            ("account_id.owner_id.desk_id.name", "account_id.owner_id.nothing_id.name"),
            ("account_id.owner_id.desk_id", "account_id.owner_id.nothing_id"),
            ("*.*,account_id.vault_id.*", "*.*,account_id.nothing_id.*"),
            ("account_id.contacts.note_id.of_id", "account_id.contacts.note_id.nothing"),
        ],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_seen_on_any_level_is_refused_byte_for_byte_as_what_is_not_there() {
    for (spoken, parameter, pairs) in UNSEEN {
        let world = spoken.world().await;
        let mut told = Vec::new();
        for (hidden, nothing) in pairs {
            for query in [hidden, nothing] {
                // A key that is none of the table's, too: whether it is looked at must not tell one from the other.
                let odd = spoken.one().replace('1', "x");
                for target in [spoken.list(), spoken.one(), &odd] {
                    let target = format!("{target}?{parameter}{}", query.replace(';', "%3B"));
                    let got = get(&world, "rep", &target).await;
                    assert_eq!(got.status, 400, "{target}: {}", got.text());
                    assert_eq!(world.upstream.seen().len(), 0, "{target}");
                    told.push(got.told());
                }
            }
        }
        assert!(told.iter().all(|one| *one == told[0]), "{spoken:?}: {told:?}");
        // To the operator it is told.
        let (hidden, _) = pairs[0];
        get(&world, "rep", &format!("{}?{parameter}{}", spoken.list(), hidden.replace(';', "%3B"))).await;
        let (_, outcome) = world.last_audit().await;
        let named = (outcome["reason"].clone(), outcome["refused_for"].clone());
        assert_eq!(named, (json!("query_not_allowed"), json!("account.vault")), "{spoken:?}");
        world.gateway.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn depth_and_number_are_bounded_and_a_circle_with_them() {
    for (spoken, parameter, allowed, refused) in [
        (
            Odata,
            "$expand=",
            "account($expand=owner($expand=home($expand=owner)))",
            vec![
                "account($expand=owner($expand=home($expand=owner($expand=home))))".to_owned(),
                format!("{}account{}", "account($expand=owner($expand=".repeat(60), "))".repeat(60)),
                "account($expand=".repeat(400),
            ],
        ),
        (
            Pocketbase,
            "expand=",
            "account_id.owner_id.home_id.owner_id",
            vec!["account_id.owner_id.home_id.owner_id.home_id".to_owned(), ["account_id.owner_id"; 200].join(".")],
        ),
        (
            Directus,
            "fields=",
            "account_id.owner_id.home_id.owner_id.name",
            vec![
                "account_id.owner_id.home_id.owner_id.home_id.name".to_owned(),
                ["account_id.owner_id"; 200].join("."),
                "*.*.*.*.*.*".to_owned(),
            ],
        ),
    ] {
        let world = spoken.world().await;
        let page = spoken.page(&[]);
        world.upstream.answers(move |_| Some(Answer::json(200, page.clone())));
        let got = get(&world, "rep", &format!("{}?{parameter}{allowed}", spoken.list())).await;
        assert_eq!(got.status, 200, "{spoken:?}: {}", got.text());
        for query in refused {
            let got = get(&world, "rep", &format!("{}?{parameter}{query}", spoken.list())).await;
            assert_eq!((got.status, world.upstream.seen().len()), (400, 0), "{query}: {}", got.text());
        }
        world.gateway.shutdown().await;
    }
}

/// Six relations that lead back to their own table, two of which some may not see.
#[tokio::test(flavor = "multi_thread")]
async fn what_counts_are_the_relations_that_the_caller_may_see() {
    let relations: String = (1..=6)
        .map(|n| format!("      c{n}: {{ type: int, nullable: true }}\n      r{n}: {{ table: hubs, by: c{n} }}\n"))
        .collect();
    for (dialect, list) in
        [("directus\ndirectus: { texts: exact }", "/items/hubs"), ("odata\nodata: { root: /svc }", "/svc/hubs")]
    {
        let api = format!(
            "api: crm\nupstream: crm\ndialect: {dialect}\ntables:\n  hubs:\n    key: id\n    \
             tenant: {{ organization_id: organization_id, app_id: app_id }}\n    routes: [list]\n    fields:\n      \
             id: int\n      organization_id: string\n      app_id: string\n{relations}",
        );
        let policy = "table: hubs
grants:
  - { name: all, roles: [rep], actions: [list, read], rows: all, read: { clear: all } }
  - { name: some, roles: [support], actions: [list, read], rows: all, read: { clear: [id, r1, r2, r3, r4] } }
";
        let world = Setup { api, ..Setup::default() }.policy("hubs", policy).start().await;
        world.upstream.answers(|_| Some(Answer::json(200, r#"{"data":[],"value":[]}"#)));
        let all = |below: &str| (1..=6).map(|n| format!("r{n}{below}")).collect::<Vec<_>>().join(",");
        let cases: Vec<(&str, String, u16)> = match list {
            "/items/hubs" => vec![
                ("rep", "fields=*.*".to_owned(), 200),
                // Six, and six of each.
                ("rep", "fields=*.*.*".to_owned(), 400),
                ("support", "fields=*.*.*".to_owned(), 200),
                ("support", "fields=*.*.*.*".to_owned(), 400),
                ("support", "fields=*.*,c5.*".to_owned(), 400),
            ],
            _ => vec![
                ("rep", format!("$expand={}", all("($expand=r1,r2,r3,r4)")), 200),
                ("rep", format!("$expand={}", all(&format!("($expand={})", all("")))), 400),
                ("rep", format!("$expand={}", all("($expand=r1,r2,r3,r4,r5)")), 400),
            ],
        };
        for (role, query, status) in cases {
            let got = get(&world, role, &format!("{list}?{query}")).await;
            assert_eq!(got.status, status, "{role} {query}: {}", got.text());
            assert_eq!(world.upstream.seen().len(), usize::from(status == 200), "{role} {query}");
        }
        world.gateway.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rules_of_related_tables_read_is_asked_for_and_leaves_no_trace() {
    for spoken in ALL {
        let world = spoken.world().await;
        // Whose a note is, its account says, and whether it shows.
        let rows: Vec<Value> = (1..)
            .zip([("acme", "north"), ("acme", "south"), ("globex", "north")])
            .map(|(id, (organization, region))| {
                let of = spoken.account(id, organization, (region, "SECRET"));
                let note = json!({ "id": spoken.key(id), "text": if id == 1 { "seen" } else { "SECRET" } });
                spoken.with(spoken.contact(id), &[("note", spoken.with(note, &[("of", of)]))])
            })
            .collect();
        let page = spoken.page(&rows);
        world.upstream.answers(move |_| Some(Answer::json(200, page.clone())));
        let asks = Asks { fields: &["id"], below: &[("note", Asks { fields: &["text"], below: &[] })] };
        let got = get(&world, "rep", &format!("{}?{}", spoken.list(), spoken.query(&asks))).await;
        let note = |id: u32| (id == 1).then(|| json!({ "text": "seen" }));
        let shown = |id: u32| spoken.shown(json!({ "id": spoken.key(id) }), &[("note", note(id))]);
        assert_eq!((got.status, spoken.rows(&got)), (200, json!([shown(1), shown(2), shown(3)])), "{spoken:?}");
        let asked = asked(&world);
        let text = match spoken {
            Odata => "$expand=of($select=",
            Pocketbase => "expand=note_id.of_id",
            Directus => "note.of.region",
        };
        assert!(asked.contains(text) && !asked.contains("secret"), "{asked}");
        world.gateway.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_reads_through_two_relations_can_be_judged() {
    for spoken in ALL {
        let world = spoken.world().await;
        let row = |id: u32, name: &str| {
            let owner = spoken.person(id, "globex", name);
            let account = spoken.with(spoken.account(id, "globex", ("south", "SECRET")), &[("owner", owner)]);
            spoken.with(spoken.contact(id), &[("account", account)])
        };
        let page = spoken.page(&[row(1, "Ann"), row(2, "SECRET")]);
        world.upstream.answers(move |_| Some(Answer::json(200, page.clone())));
        // Where one container lies in another it fails, whatever a client asks for besides.
        let (queries, rows) = match spoken {
            Pocketbase => (&["", "?expand=account_id"][..], json!([])),
            Odata | Directus => (&[""][..], json!([{ "id": 1 }])),
        };
        for query in queries {
            let got = get(&world, "manager", &format!("{}{query}", spoken.list())).await;
            assert_eq!((got.status, spoken.rows(&got)), (200, rows.clone()), "{spoken:?} {query}");
        }
        world.gateway.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wildcard_is_every_relation_that_may_be_seen_and_no_other() {
    let world = Directus.world().await;
    let row = |id: u32| {
        let vault = json!({ "id": 9, "organization_id": "acme", "app_id": "shop", "code": "SECRET-V" });
        let others = json!([{ "id": 7, "organization_id": "acme", "app_id": "shop", "name": "C7", "note_id": null, "account_id": 1 }]);
        let account = Directus.account(id, "acme", ("north", "One"));
        let related = [("owner", Directus.person(1, "acme", "Ann")), ("vault", vault), ("contacts", others)];
        Directus.with(Directus.contact(id), &[("account", Directus.with(account, &related)), ("note", Value::Null)])
    };
    let page = Directus.page(&[row(1)]);
    world.upstream.answers(move |_| Some(Answer::json(200, page.clone())));

    let got = get(&world, "rep", "/items/contacts?fields=*.*").await;
    let own = |name: &str| json!({ "id": 1, "organization_id": "acme", "app_id": "shop", "name": name });
    let mut account = own("One");
    account["region"] = json!("north");
    (account["owner_id"], account["vault_id"]) = (json!(1), json!(9));
    let mut contact = own("C1");
    (contact["account_id"], contact["note_id"]) = (account.clone(), Value::Null);
    assert_eq!((got.status, Directus.rows(&got)), (200, json!([contact])));

    // Of accounts, the vault's column holds its key: the relation may not be seen.
    let got = get(&world, "rep", "/items/contacts?fields=id,account_id.*.*").await;
    account["owner_id"] = json!({ "id": 1, "name": "Ann" });
    account["contacts"] = json!([{ "id": 7, "organization_id": "acme", "app_id": "shop", "name": "C7", "note_id": null, "account_id": 1 }]);
    assert_eq!((got.status, Directus.rows(&got)), (200, json!([{ "id": 1, "account_id": account }])));
    assert!(!asked(&world).contains("vault."), "{}", asked(&world));

    // To somebody else fewer are there.
    let got = get(&world, "support", "/items/contacts?fields=*.*.*").await;
    let ann = json!({ "id": 1, "name": "Ann" });
    let expected = json!([{ "id": 1, "name": "C1", "account_id": { "id": 1, "name": "One", "owner_id": ann } }]);
    assert_eq!((got.status, Directus.rows(&got)), (200, expected));
    let seen = asked(&world);
    assert!(
        !["note", "vault", "secret", "email", "contacts."].iter().any(|word| seen.contains(&format!(".{word}"))),
        "{seen}"
    );
    world.gateway.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_to_a_write_nests_as_that_to_a_read_does() {
    for spoken in [Pocketbase, Directus] {
        let world = spoken.world().await;
        let account = |id: u32, of: &str| {
            let owner = spoken.person(id, of, if of == "acme" { "Ann" } else { "SECRET" });
            spoken.with(spoken.account(1, "acme", ("north", "One")), &[("owner", owner)])
        };
        for (organization, shown) in [("acme", true), ("globex", false)] {
            let mut record = spoken.with(spoken.contact(1), &[("account", account(1, organization))]);
            record["note_id"] = if spoken == Pocketbase { json!("") } else { Value::Null };
            let body = if spoken == Directus { json!({ "data": record }) } else { record };
            world.upstream.answers(move |_| Some(Answer::json(200, body.to_string())));
            world.upstream.forget();
            let target = format!("{}?{}", spoken.one(), spoken.query(&NESTED));
            let client = world.person("ana", &json!({ "roles": ["rep"] }));
            let got = client.send("PATCH", &target, Some(r#"{"name":"C1"}"#)).await;
            assert!(got.status == 200 && !got.everything().contains("SECRET"), "{}", got.everything());
            let named = |name: &str| json!({ "id": spoken.key(1), "name": name });
            let account = spoken.shown(named("One"), &[("owner", shown.then(|| named("Ann")))]);
            let expected = spoken.shown(json!({ "id": spoken.key(1) }), &[("account", Some(account))]);
            let expected = if spoken == Directus { json!({ "data": expected }) } else { expected };
            assert_eq!(got.json(), expected, "{spoken:?} {organization}");
        }
        // What a read refuses is refused before anything is looked at.
        let (_, parameter, pairs) = UNSEEN.iter().find(|(of, ..)| *of == spoken).expect("it is there");
        for (hidden, nothing) in *pairs {
            for query in [hidden, nothing] {
                world.upstream.forget();
                let target = format!("{}?{parameter}{query}", spoken.one());
                let client = world.person("ana", &json!({ "roles": ["rep"] }));
                let got = client.send("PATCH", &target, Some(r#"{"name":"C1"}"#)).await;
                assert_eq!((got.status, world.upstream.seen().len()), (400, 0), "{target}: {}", got.text());
            }
        }
        world.gateway.shutdown().await;
    }
}
