//! Hostile documents: whatever becomes of the bytes of a good one, there is a draft that loads or a reason, and no panic.

use super::*;
use crate::diagnostic;

const DOCUMENTS: [(&str, &str); 8] = [
    ("openapi.yaml", include_str!("../../../tests/import/crm.openapi.yaml")),
    ("openapi.json", include_str!("../../../tests/import/crm.openapi.json")),
    ("odata.xml", include_str!("../../../tests/import/crm.odata.xml")),
    ("odata.json", include_str!("../../../tests/import/crm.odata.json")),
    ("pocketbase.json", include_str!("../../../tests/import/crm.pocketbase.json")),
    ("old.json", include_str!("../../../tests/import/old.pocketbase.json")),
    ("deletions.xml", include_str!("../../../tests/import/deletions.odata.xml")),
    ("deletions.json", include_str!("../../../tests/import/deletions.pocketbase.json")),
];

/// Names and values that mean something to YAML, to a path or to a terminal.
const HOSTILE: [&str; 14] = [
    "x: {y: z}",
    "a\nopaque: {}",
    "- x",
    "\"",
    "'",
    "# x",
    "&a",
    "*a",
    "!t",
    "{id}",
    "../..",
    "\u{1b}[31m",
    "\u{2028}",
    "null",
];

fn options() -> Options {
    let columns = ["org_id", "organizationId", "organization_id", "TenantId", "tenant"].map(str::to_owned).to_vec();
    Options {
        name: "crm".to_owned(),
        upstream: "crm".to_owned(),
        tenant: vec![("organization_id".to_owned(), columns)],
        via: vec![("notes".to_owned(), "account".to_owned())],
        shared: vec!["currencies".to_owned()],
        owner: Vec::new(),
        root: Some("/odata".to_owned()),
    }
}

/// `None`: there is none, for a reason that is not that the loader refuses it.
fn try_draft(text: String) -> Option<String> {
    match draft(&[Input { name: "x".to_owned(), text }], None, &options()) {
        Ok((draft, _)) => Some(draft),
        Err(Failed::Draft(found)) => panic!("{}", diagnostic::render(&found, false)),
        Err(_) => None,
    }
}

/// Numbers that look random and are the same each time (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}

#[test]
fn mutated_documents_give_a_draft_that_loads_or_a_reason() {
    let seed = 0x5EED_0001;
    println!("seed {seed:#x}");
    let mut random = Random(seed);
    let (mut drafted, mut refused) = (0, 0);
    for round in 0..600 {
        let (_, text) = DOCUMENTS[round % DOCUMENTS.len()];
        let mut text: Vec<char> = text.chars().collect();
        for _ in 0..=random.below(4) {
            let (at, length) = (random.below(text.len()), random.below(40));
            let end = (at + length).min(text.len());
            match random.below(4) {
                0 => drop(text.drain(at..end)),
                1 => text[at] = ['"', '{', '}', '[', ']', ':', ',', '<', '>', '\n', '0', 'é'][random.below(12)],
                2 => {
                    let copy: Vec<char> = text[at..end].to_vec();
                    let to = random.below(text.len());
                    text.splice(to..to, copy);
                }
                _ => {
                    let word = HOSTILE[random.below(HOSTILE.len())];
                    text.splice(at..at, word.chars());
                }
            }
        }
        match try_draft(text.into_iter().collect()) {
            Some(_) => drafted += 1,
            None => refused += 1,
        }
    }
    assert!(drafted > 50 && refused > 50, "{drafted} drafted, {refused} refused");
}

/// Every word of a good document in turn is another one: a name, a type, a reference, a path.
#[test]
fn hostile_words_never_become_more_than_words() {
    let (_, json) = DOCUMENTS[4];
    let words = ["contacts", "accounts", "account", "phone", "pbc_1", "relation", "organization_id", "text"];
    for word in words {
        for hostile in HOSTILE {
            let quoted = serde_json::to_string(hostile).expect("JSON");
            let changed = json.replace(&format!("\"{word}\""), &quoted);
            let Some(draft) = try_draft(changed) else { continue };
            assert!(!draft.contains('\u{1b}'), "{word}: {hostile}: {draft}");
            let top: Vec<&str> =
                draft.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_alphabetic())).collect();
            assert_eq!(top, ["api: crm", "upstream: crm", "dialect: pocketbase", "tables:"], "{word}: {hostile}");
        }
    }
}

#[test]
fn documents_without_an_end_end() {
    let schema = |name: &str, body: &str| format!("\"{name}\": {body}");
    let openapi = |schemas: &[String]| {
        let paths = r##""/t": {"get": {"responses": {"200": {"content": {"application/json": {"schema":
            {"type": "array", "items": {"$ref": "#/components/schemas/S0"}}}}}}}}"##;
        format!(
            "{{\"openapi\": \"3.1.0\", \"paths\": {{{paths}}}, \"components\": {{\"schemas\": {{{}}}}}}}",
            schemas.join(",")
        )
    };
    let reference = |to: usize| format!("{{\"$ref\": \"#/components/schemas/S{to}\"}}");
    // Twice the one below, forty times: 2^40 schemas.
    let twice: Vec<String> =
        (0..40).map(|at| schema(&format!("S{at}"), &format!("{{\"allOf\": [{0}, {0}]}}", reference(at + 1)))).collect();
    assert!(try_draft(openapi(&twice)).is_none());
    let wide: Vec<String> = (0..15)
        .map(|at| schema(&format!("S{at}"), &format!("{{\"allOf\": [{}]}}", vec![reference(at + 1); 8].join(","))))
        .collect();
    assert!(matches!(
        draft(&[Input { name: "x".to_owned(), text: openapi(&wide) }], None, &options()),
        Err(Failed::Intricate)
    ));
    for own in [
        reference(0),
        format!("{{\"allOf\": [{}]}}", reference(0)),
        format!("{{\"properties\": {{\"id\": {}, \"org_id\": {{\"type\": \"string\"}}}}}}", reference(0)),
    ] {
        assert!(try_draft(openapi(&[schema("S0", &own)])).is_none(), "{own}");
    }
    let base = |name: &str, of: &str| {
        format!("<EntityType Name=\"{name}\" BaseType=\"n.{of}\"><Key><PropertyRef Name=\"i\"/></Key></EntityType>")
    };
    let xml = format!(
        "<Edmx Version=\"4.0\"><DataServices><Schema Namespace=\"n\"><EntityContainer Name=\"c\"><EntitySet Name=\"s\" EntityType=\"n.a\"/></EntityContainer>{}{}</Schema></DataServices></Edmx>",
        base("a", "b"),
        base("b", "a")
    );
    assert!(matches!(draft(&[Input { name: "x".to_owned(), text: xml }], None, &options()), Err(Failed::Intricate)));
    assert!(try_draft("<a>".repeat(300_000)).is_none());
}

#[test]
fn of_many_things_left_out_the_rest_is_counted() {
    let fields: Vec<String> = (0..1000).map(|at| format!("{{\"name\": \"f {at}\", \"type\": \"text\"}}")).collect();
    let text = format!(
        "[{{\"name\": \"t\", \"type\": \"base\", \"fields\": [{{\"name\": \"tenant\", \"type\": \"text\"}},{}]}}]",
        fields.join(",")
    );
    let (draft, notes) = draft(&[Input { name: "x".to_owned(), text }], None, &options()).expect("a draft");
    assert_eq!(notes.all.len() + notes.more, 1000);
    assert!(draft.contains(&format!("# - and {} more", notes.more)), "{draft}");
}
