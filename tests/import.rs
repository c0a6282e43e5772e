//! `scrim import` on a small CRM as each kind of upstream describes it: the exact draft, what is said to be left out, and
//! that `scrim check` takes the draft as it is.
//!
//! `BLESS=1` writes what is drafted now; read it as an operator would before it is kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// (file, options, where the draft's dimensions come from)
const CASES: [(&str, &[&str]); 9] = [
    ("crm.openapi.yaml", &["--tenant", "organization_id=org_id", "--via", "notes=account", "--shared", "currencies"]),
    ("crm.openapi.json", &["--name", "deals", "--tenant", "organization_id=organization_id"]),
    ("crm.odata.xml", &["--root", "/odata/v4/crm", "--via", "tickets=account", "--shared=currencies"]),
    ("crm.odata.json", &["--root", "/", "--tenant", "organization_id=tenant_id"]),
    ("crm.pocketbase.json", &["--owner", "owner"]),
    ("old.pocketbase.json", &["--tenant", "organization_id=tenant"]),
    ("deletions.odata.xml", &["--root", "/odata", "--tenant", "organization_id=tenant"]),
    ("deletions.pocketbase.json", &["--tenant", "organization_id=tenant"]),
    ("deletions.directus.json", &["--tenant", "organization_id=tenant"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import")
}

fn scrim(folder: &Path, arguments: &[&str], stdin: Stdio) -> Output {
    Command::new(env!("CARGO_BIN_EXE_scrim"))
        .current_dir(folder)
        .args(arguments)
        .stdin(stdin)
        .output()
        .expect("it runs")
}

fn import(arguments: &[&str]) -> Output {
    scrim(&root(), &[&["import"], arguments].concat(), Stdio::null())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// What `scrim check` says of a whole configuration with this draft in it.
fn check(draft: &str) -> Output {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics/base/gateway.yaml");
    let mut gateway = fs::read_to_string(base).expect("the base");
    let name = draft.lines().find_map(|line| line.strip_prefix("upstream: ")).expect("an upstream");
    gateway = gateway.replace("upstreams: { crm:", &format!("upstreams: {{ {name}:"));
    if draft.contains("app_id") {
        gateway = gateway.replace("dimensions: [organization_id]", "dimensions: [organization_id, app_id]");
        gateway = gateway.replace("organization_id: claims.org", "organization_id: claims.org, app_id: claims.app");
    }
    fs::write(folder.path().join("gateway.yaml"), gateway).expect("written");
    fs::write(folder.path().join("api.yaml"), draft).expect("written");
    fs::create_dir(folder.path().join("policies")).expect("made");
    let made = rcgen::generate_simple_self_signed(vec!["crm.example".to_owned()]).expect("a certificate");
    fs::write(folder.path().join("tls.pem"), made.cert.pem()).expect("written");
    fs::write(folder.path().join("tls.key"), made.signing_key.serialize_pem()).expect("written");
    let alone = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(folder.path().join("tls.key"), alone).expect("set");
    scrim(folder.path(), &["check", "--config", "gateway.yaml"], Stdio::null())
}

#[test]
fn a_small_crm_is_drafted_from_each_kind_of_upstream_and_passes_check() {
    let bless = std::env::var_os("BLESS").is_some_and(|value| value == "1");
    let mut wrong = Vec::new();
    for (file, options) in CASES {
        let output = import(&[&[file], options].concat());
        assert!(output.status.success(), "{file}: {}", text(&output.stderr));
        let (draft, said) = (text(&output.stdout), text(&output.stderr));
        for (ending, shown) in [("draft.yaml", &draft), ("txt", &said)] {
            let path = root().join(format!("{file}.{ending}"));
            if bless {
                fs::write(&path, shown).expect("written");
            } else if fs::read_to_string(&path).ok().as_ref() != Some(shown) {
                wrong.push(format!("{}:\n{shown}", path.display()));
            }
        }
        let checked = check(&draft);
        let found = text(&checked.stderr);
        assert!(checked.status.success() && !found.contains("error["), "{file}: {found}\n{draft}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_draft_comes_from_stdin_and_never_overwrites_a_file_unasked() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let document = fs::File::open(root().join("crm.pocketbase.json")).expect("a file");
    let piped = scrim(folder.path(), &["import", "--owner", "owner"], document.into());
    let kept = fs::read_to_string(root().join("crm.pocketbase.json.draft.yaml")).expect("kept");
    assert_eq!(text(&piped.stdout), kept);

    let input = root().join("crm.pocketbase.json").display().to_string();
    let to = ["import", "--owner", "owner", "--out", "crm.yaml", &input];
    assert!(scrim(folder.path(), &to, Stdio::null()).status.success());
    let written = folder.path().join("crm.yaml");
    assert_eq!(fs::read_to_string(&written).expect("written"), kept);

    fs::write(&written, "mine").expect("written");
    let refused = scrim(folder.path(), &to, Stdio::null());
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("--force"), "{}", text(&refused.stderr));
    assert_eq!(fs::read_to_string(&written).expect("kept"), "mine");
    assert!(scrim(folder.path(), &[&to[..], &["--force"]].concat(), Stdio::null()).status.success());
    assert_eq!(fs::read_to_string(&written).expect("written"), kept);
}

#[test]
fn what_can_not_be_drafted_says_why_and_writes_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let entity = "<!DOCTYPE x [<!ENTITY a \"b\">]><edmx:Edmx Version=\"4.0\" xmlns:edmx=\"e\">&a;</edmx:Edmx>";
    let cases: [(&str, &[&str], &str); 11] = [
        ("", &[], "input: "),
        ("[]", &[], "say what it is with --from"),
        ("{\"a\": 1, \"a\": 2}", &[], "occurs twice"),
        ("a: &x 1\nb: *x\n", &[], ""),
        ("swagger: '2.0'\n", &[], "convert Swagger 2.0 first"),
        ("openapi: 4.0.0\n", &[], "only 3.0 and 3.1"),
        ("openapi: 3.1.0\npaths: {}\n", &[], "no table could be drafted"),
        (entity, &["--root", "/x"], "DTD"),
        ("<edmx:Edmx Version=\"3.0\" xmlns:edmx=\"e\"/>", &["--root", "/x"], "only OData 4"),
        ("<edmx:Edmx Version=\"4.0\" xmlns:edmx=\"e\"/>", &[], "--root"),
        ("<edmx:Edmx Version=\"4.0\" xmlns:edmx=\"e\"/>", &["--from", "openapi"], "say what it is with --from"),
    ];
    for (document, options, expected) in cases {
        fs::write(folder.path().join("input"), document).expect("written");
        let output =
            scrim(folder.path(), &[&["import", "--out", "out.yaml", "input"], options].concat(), Stdio::null());
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{document}: {said}");
        assert!(said.contains(expected), "{document}: {said}");
        assert!(!folder.path().join("out.yaml").exists(), "{document}");
    }
    for wrong in
        [["--tenant", "organization_id"], ["--via", "=x"], ["--root", "x"], ["--name", "a b"], ["--name", "a\nb: c"]]
    {
        let output = import(&[&wrong[..], &["crm.odata.xml"]].concat());
        assert_eq!(output.status.code(), Some(1), "{wrong:?}");
        assert!(output.stdout.is_empty());
    }
    assert_eq!(import(&["absent.yaml"]).status.code(), Some(1));
}

#[test]
fn a_directus_is_drafted_from_its_collections_fields_and_relations() {
    let files = ["crm.directus-collections.json", "crm.directus-fields.json", "crm.directus-relations.json"];
    let output = import(&files);
    let said = text(&output.stderr);
    if said.contains("unsupported-dialect") {
        println!("skipped: the dialect `directus` is not there");
        assert_eq!(output.status.code(), Some(1));
        return;
    }
    assert!(output.status.success(), "{said}");
    let draft = text(&output.stdout);
    for line in [
        "dialect: directus",
        "    tenant: { organization_id: organization_id, app_id: app_id }",
        "    routes: [list, read, create, update, delete]",
        "      id: int",
        "      name: { type: string, nullable: true, default: \"new: {x}\" }",
        "      token: { type: string, nullable: true, tags: [secret] }",
        "      contacts: { table: contacts, many: true }",
        "      account_record: { table: accounts, by: account }",
        "      email: { type: string, nullable: true, tags: [pii] }",
        "      active: { type: bool, default: true }",
    ] {
        assert!(draft.lines().any(|known| known == line), "{line}\n{draft}");
    }
    for missing in
        ["left out: settings", "left out: directus_users", "left out: contacts.odd", "left out: accounts.tags"]
    {
        assert!(said.contains(missing), "{missing}: {said}");
    }
    let checked = check(&draft);
    assert!(checked.status.success(), "{}", text(&checked.stderr));
}
