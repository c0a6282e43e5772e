//! Answers of a small CRM under a judge whose rules are written here: `crm` for what the attacks and the properties share.
//!
//! The caller belongs to `acme`. A record whose `state` is `held` is denied, one that is `closed` matches no grant; own
//! contacts (`owner_id` is `me`) show in clear but for `ssn`, others masked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use super::learned::Kit;
use super::mask::Keys;
use super::plan::FieldChange;
use super::view::{Judge, View};
use super::*;
use crate::api::{ApiId, Catalog, Field, FieldId, InexactPaging, Push, Race, Shape, Table, TableId, Tenancy};
use crate::model::value::Type;
use crate::model::{RecordKeys, TenantScope, Value};
use crate::policy::decision::Truncation;
use crate::policy::{FieldPlan, Judgement, Mask, Slot, Slots, Verdict, Visibility};
use crate::secret::Secret;

mod attacks;
mod corpus;
mod learned;
mod properties;

pub(super) const CONTACTS: TableId = TableId(0);
pub(super) const ACCOUNTS: TableId = TableId(1);
pub(super) const NOTES: TableId = TableId(2);

/// Made once: the properties ask for it tens of thousands of times.
pub(super) fn catalog() -> Arc<Catalog> {
    static CATALOG: LazyLock<Arc<Catalog>> = LazyLock::new(|| Arc::new(described()));
    Arc::clone(&CATALOG)
}

fn described() -> Catalog {
    let plain = |name: &str, kind: &str| (name.to_owned(), Shape::Plain(Type::parse(kind).expect("a type")));
    let contacts = vec![
        plain("id", "int"),
        plain("name", "string"),
        plain("email", "string"),
        plain("phone", "string"),
        plain("ssn", "string"),
        plain("amount", "decimal"),
        plain("created_at", "timestamp"),
        plain("tags", "list(string)"),
        plain("prefs", "json"),
        plain("state", "string"),
        plain("owner_id", "string"),
        plain("organization_id", "string"),
        plain("account_id", "int"),
        ("account".to_owned(), Shape::One { table: ACCOUNTS, by: FieldId(12) }),
        ("notes".to_owned(), Shape::Many { table: NOTES }),
        ("audit".to_owned(), Shape::Many { table: NOTES }),
    ];
    let accounts = vec![
        plain("id", "int"),
        plain("name", "string"),
        plain("margin", "int"),
        plain("state", "string"),
        plain("organization_id", "string"),
        ("contacts".to_owned(), Shape::Many { table: CONTACTS }),
    ];
    let notes = vec![
        plain("id", "int"),
        plain("body", "string"),
        plain("internal", "string"),
        plain("state", "string"),
        plain("organization_id", "string"),
    ];
    let tables = [(CONTACTS, "contacts", contacts), (ACCOUNTS, "accounts", accounts), (NOTES, "notes", notes)];
    Catalog::from_parts(Vec::new(), tables.into_iter().map(|(id, name, fields)| table(id, name, fields)).collect())
}

/// A table whose first field is its key; all fields but `name` are nullable.
pub(super) fn table(id: TableId, name: &str, fields: Vec<(String, Shape)>) -> Table {
    let field = |(name, shape): (String, Shape)| Field {
        nullable: name != "name",
        name: name.as_str().into(),
        shape,
        tags: Vec::new(),
        derived_from: Vec::new(),
        keys_of: None,
        default: None,
        push: (name == "amount").then_some(Push::Double),
    };
    Table {
        id,
        api: ApiId(0),
        name: name.into(),
        key: FieldId(0),
        owner: None,
        tenant: Tenancy::Shared,
        tenant_filter: Vec::new(),
        tenant_body: Vec::new(),
        fields: fields.into_iter().map(field).collect(),
        related: Arc::default(),
        absent_is_null: false,
        empty_is_null: false,
        container: None,
        in_place: false,
        race: Race::Accept,
        cascades: Vec::new(),
        client_keys: false,
        inexact_paging: InexactPaging::Short,
        search: Vec::new(),
    }
}

/// The fields of a plan by name; what isn't named is clear.
fn plan_of(table: &Table, shown: &[(&str, Visibility)], grant: &str) -> Arc<FieldPlan> {
    let visibility = |field: &Field| {
        let named = shown.iter().find(|(name, _)| *name == &*field.name);
        named.map_or(Visibility::Clear, |(_, visibility)| visibility.clone())
    };
    Arc::new(FieldPlan { fields: table.fields.iter().map(visibility).collect(), grants: vec![grant.into()] })
}

struct Rules {
    table: TableId,
    layout: Layout,
    own: Arc<FieldPlan>,
    others: Arc<FieldPlan>,
}

impl Rules {
    fn new(catalog: &Catalog, id: TableId) -> Self {
        let mut layout = Layout::default();
        for path in [&["id"][..], &["organization_id"], &["state"], &["owner_id"]] {
            layout.insert(&path.iter().map(|name| Name::from(*name)).collect::<Vec<_>>());
        }
        if id == CONTACTS {
            layout.insert(&["account".into(), "state".into()]);
            layout.insert(&["prefs".into(), "deep".into(), "flag".into()]);
        }
        let table = catalog.table(id);
        let removed = |name| (name, Visibility::Removed);
        let masked = |name, mask| (name, Visibility::Masked(mask));
        let own = plan_of(table, &[removed("ssn"), removed("margin"), removed("internal"), removed("audit")], "own");
        let others = plan_of(
            table,
            &[
                removed("ssn"),
                removed("margin"),
                removed("internal"),
                removed("audit"),
                removed("prefs"),
                masked("email", Mask::Partial),
                masked("phone", Mask::Constant(Value::string("hidden"))),
                masked("amount", Mask::Truncate(Truncation::Bucket(100))),
                masked("created_at", Mask::Truncate(Truncation::Month)),
                masked("tags", Mask::Null),
            ],
            "others-masked",
        );
        Self { table: id, layout, own, others }
    }

    fn text<'b>(&self, record: &Slots<'b>, path: &[&str]) -> Option<std::borrow::Cow<'b, str>> {
        let path: Vec<Name> = path.iter().map(|name| Name::from(*name)).collect();
        match record.get(self.layout.find(&path)?) {
            Slot::Raw(raw) => text::string(raw),
            Slot::Missing => None,
        }
    }
}

impl Judge for Rules {
    fn table(&self) -> TableId {
        self.table
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn judge(&self, record: &Slots<'_>) -> Judgement {
        let is = |path: &[&str], value: &str| self.text(record, path).as_deref() == Some(value);
        let verdict = if !is(&["organization_id"], "acme") {
            Verdict::Foreign
        } else if is(&["state"], "held") || is(&["account", "state"], "lost") {
            Verdict::Denied("legal-hold".into())
        } else if is(&["state"], "closed") {
            Verdict::Unmatched
        } else if self.table != CONTACTS || is(&["owner_id"], "me") {
            Verdict::Visible(Arc::clone(&self.own))
        } else {
            Verdict::Visible(Arc::clone(&self.others))
        };
        Judgement { verdict, errors: u16::from(self.text(record, &["state"]).is_none()) }
    }
}

/// What a client asks for: fields of contacts (all if none are named) with their notes, and their account with its contacts and
/// once more the account of these.
fn root(catalog: &Catalog, fields: Option<&[&str]>) -> View {
    let judge = |id| -> Arc<dyn Judge> { Arc::new(Rules::new(catalog, id)) };
    let all = None::<std::iter::Empty<&FieldId>>;
    let leaf = |id| View::of(catalog, judge(id), all.clone(), Vec::new());
    let field = |table, name| catalog.table(table).field_named(name).expect("declared");
    let accounts = vec![(field(CONTACTS, "account"), leaf(ACCOUNTS))];
    let contacts = View::of(catalog, judge(CONTACTS), all.clone(), accounts);
    let account = View::of(catalog, judge(ACCOUNTS), all.clone(), vec![(field(ACCOUNTS, "contacts"), contacts)]);
    let relations = vec![
        (field(CONTACTS, "account"), account),
        (field(CONTACTS, "notes"), leaf(NOTES)),
        (field(CONTACTS, "audit"), leaf(NOTES)),
    ];
    let asked: Option<Vec<FieldId>> = fields.map(|names| names.iter().map(|name| field(CONTACTS, name)).collect());
    let mut root = View::of(catalog, judge(CONTACTS), asked.as_ref().map(|fields| fields.iter()), relations);
    root.count(0);
    root
}

pub(super) fn place(path: &str) -> Place {
    Place(path.split('.').filter(|name| !name.is_empty()).map(Name::from).collect())
}

fn list(exact: bool) -> Frame {
    let (keep, echoes) = (vec![place("next")], vec![place("meta.page")]);
    Frame::List { records: place("data"), totals: vec![place("meta.total")], keep, echoes, exact }
}

fn job(frame: &Frame, fields: Option<&[&str]>) -> Job {
    let catalog = catalog();
    let tenant = TenantScope::new(&["organization_id".into()], |_| Some("acme")).expect("a tenant");
    Job {
        envelope: envelope::Envelope::new(frame),
        kit: Kit::new(
            &catalog,
            root(&catalog, fields),
            Keys::new(Arc::clone(&catalog), tenant, Some(Secret::new("key"))),
        ),
        catalog,
        depth: 32,
    }
}

fn run(frame: &Frame, fields: Option<&[&str]>, body: &[u8]) -> Result<Redacted, Unreadable> {
    answer_to(&|| job(frame, fields), body, body.len())
}

/// The same in chunks, the ends of which are given.
fn in_chunks(frame: &Frame, body: &[u8], cuts: &[usize]) -> Result<(String, Tally), Unreadable> {
    chunked(job(frame, None), frame, body, cuts)
}

/// The records that it says it has appended are there.
fn chunked(job: Job, frame: &Frame, body: &[u8], cuts: &[usize]) -> Result<(String, Tally), Unreadable> {
    let limits = Limits { body: body.len() as u64, record: body.len() };
    let mut redactor = Redactor { stream: Stream::new(job, limits) };
    let (mut all, mut out, mut from, mut records) = (Vec::new(), Vec::new(), 0, Vec::new());
    for cut in cuts.iter().copied().chain([body.len()]) {
        redactor.push(&body[from..cut], &mut out)?;
        records.extend(redactor.records().iter().map(|range| out[range.clone()].to_vec()));
        all.append(&mut out);
        from = cut;
    }
    let tally = redactor.finish(&mut all)?;
    let list = match frame {
        Frame::List { records, .. } => Some(Records::Array(records.clone())),
        Frame::Lines => Some(Records::Lines),
        Frame::Record(_) => None,
    };
    if let Some(list) = list {
        assert_eq!(super::records(&all, &list, 32).expect("a list"), records);
    }
    Ok((String::from_utf8(all).expect("text"), tally))
}

fn redact(frame: &Frame, body: &[u8]) -> Result<(String, Tally), Unreadable> {
    let Redacted { body, tally, records: placed } = run(frame, None, body)?;
    if let Frame::List { records: at, .. } = frame {
        let found = records(&body, &Records::Array(at.clone()), 32).expect("a list");
        let placed: Vec<&[u8]> = placed.into_iter().map(|range| &body[range]).collect();
        assert_eq!(placed, found, "its records lie where it says");
    }
    Ok((String::from_utf8(body).expect("text"), tally))
}

/// One record of the caller's own in a bare array.
fn shown(record: &str) -> Result<String, Unreadable> {
    let frame =
        Frame::List { records: place(""), totals: Vec::new(), keep: Vec::new(), echoes: Vec::new(), exact: false };
    redact(&frame, format!("[{record}]").as_bytes()).map(|(out, _)| out)
}

const OWN: &str = r#""organization_id":"acme","state":"open","owner_id":"me""#;

#[test]
fn a_page_is_judged_record_by_record_and_told_in_the_tally() {
    let body = r#"{ "meta": {"total": 5, "page": 1, "sql": "SECRET"}, "data": [
      {"id":1,"organization_id":"globex","state":"open","name":"SECRET"},
      {"id":2,"organization_id":"acme","state":"held","name":"SECRET"},
      {"id":3,"organization_id":"acme","state":"open","owner_id":"me","name":"Ann","ssn":"SECRET","x":"SECRET"} ,
      {"id":4,"organization_id":"acme","state":"closed","name":"SECRET"},
      {"id":5,"organization_id":"acme","owner_id":"you","email":"bob@example.com","phone":"SECRET","amount":-150.5}
    ], "next": "abc", "debug": ["SECRET"] }"#;
    let (out, tally) = redact(&list(false), body.as_bytes()).expect("readable");
    assert_eq!(
        out,
        r#"{ "meta": {"page": 1}, "data": [
      {"id":3,"organization_id":"acme","state":"open","owner_id":"me","name":"Ann"},
      {"id":5,"organization_id":"acme","owner_id":"you","email":"b***@example.com","phone":"hidden","amount":-200}
    ] }"#
    );
    let field = |name| (CONTACTS, catalog().table(CONTACTS).field_named(name).expect("declared"));
    assert_eq!(
        tally,
        Tally {
            scanned: 5,
            kept: 2,
            keys: RecordKeys::from_iter(["3", "5"]),
            dropped: 2,
            foreign: 1,
            fields: BTreeMap::from([
                (field("ssn"), (FieldChange::Removed, 1)),
                (field("email"), (FieldChange::Masked, 1)),
                (field("phone"), (FieldChange::Masked, 1)),
                (field("amount"), (FieldChange::Masked, 1)),
            ]),
            undeclared: 1,
            granted: BTreeSet::from(["own".into(), "others-masked".into()]),
            denied: BTreeSet::from(["legal-hold".into()]),
            errors: 1,
        }
    );
}

#[test]
fn a_total_passes_only_where_nothing_was_dropped() {
    let page = |records: &str| format!(r#"{{"meta":{{"total":5,"page":1}},"data":[{records}]}}"#);
    let whole = page(&format!(r#"{{"id":1,{OWN}}}"#));
    assert_eq!(redact(&list(true), whole.as_bytes()).expect("readable").0, whole);
    let dropped = page(&format!(r#"{{"id":1,{OWN}}},{{"id":2,"organization_id":"globex","state":"open"}}"#));
    let (out, tally) = redact(&list(true), dropped.as_bytes()).expect("readable");
    assert_eq!(out, format!(r#"{{"meta":{{"page":1}},"data":[{{"id":1,{OWN}}}]}}"#));
    assert_eq!((tally.scanned, tally.kept, tally.foreign), (2, 1, 1), "told once");
}

#[test]
fn what_nobody_changes_is_the_same_bytes() {
    let body =
        format!("{{ \"data\" : [ {{ {OWN} , \"amount\" : 1.0e+02, \"na\\u006de\":\"\\u0041\\/\" }} ,{{{OWN}}}\n] }}\n");
    assert_eq!(redact(&list(false), body.as_bytes()).expect("readable").0, body);
}

#[test]
fn what_is_known_of_arrays_that_are_not_of_records_alone_is_given_back() {
    let records = "{},".repeat(30_000);
    let accounts = format!(r#"[{records}1]"#);
    let contacts: Vec<String> = (0..4).map(|id| format!(r#"{{"id":{id},{OWN},"notes":{accounts}}}"#)).collect();
    let account = format!(r#"{{"id":9,"contacts":[{}]}}"#, contacts.join(","));
    // More than may be known of one record, were all of it kept.
    let body = format!(r#"{{"data":[{{"id":1,{OWN},"account":{account}}}]}}"#);
    let (_, tally) = redact(&list(false), body.as_bytes()).expect("readable");
    assert_eq!(tally.kept, 1);
}

#[test]
fn a_kept_member_that_is_a_link_of_the_upstream_does_not_pass() {
    let listed = |next: &str| format!(r#"{{"next":{next},"data":[{{"id":1,{OWN}}}]}}"#);
    for link in [
        r#""http://crm.internal/contacts?org=acme""#,
        r#""/contacts?org=acme&owner_id=ana""#,
        r#""?after=x\u003dy\u0026owner=ana""#,
        r#""organization_id=acme&owner_id=ana&cursor=9""#,
    ] {
        let out = redact(&list(true), listed(link).as_bytes()).expect("readable").0;
        assert!(!out.contains("next"), "{link}: {out}");
    }
    for scalar in ["3", "null", r#""eyJpZCI6/3f=""#, "true"] {
        assert_eq!(redact(&list(true), listed(scalar).as_bytes()).expect("readable").0, listed(scalar));
    }
}

#[test]
fn of_lines_each_is_a_record_or_goes_with_its_end() {
    let (ours, theirs) = (format!(r#"{{"id":1,{OWN},"ssn":"SECRET"}}"#), r#"{"id":2,"organization_id":"globex"}"#);
    let kept = format!(r#"{{"id":1,{OWN}}}"#);
    for (body, expected) in [
        (String::new(), String::new()),
        ("\n \r\n\n".to_owned(), String::new()),
        (format!("{ours}\n{theirs}\n{ours}\n"), format!("{kept}\n{kept}\n")),
        (format!("  {theirs}  \r\n\t{ours} \r\n\n"), format!("{kept}\n")),
        (format!("{theirs}\n{ours}"), kept.clone()),
        (format!("{ours}\n{theirs}"), format!("{kept}\n")),
    ] {
        let (out, tally) = redact(&Frame::Lines, body.as_bytes()).expect("readable");
        assert_eq!(out, expected, "{body:?}");
        let each_byte: Vec<usize> = (0..body.len()).collect();
        assert_eq!(in_chunks(&Frame::Lines, body.as_bytes(), &each_byte), Ok((out, tally)), "{body:?}");
    }
    for (body, why) in [
        (format!("[{ours}]"), Unreadable::Shape),
        ("null\n".to_owned(), Unreadable::Shape),
        (format!("{ours} {ours}"), Unreadable::Trailing),
        (format!("{ours},\n{ours}"), Unreadable::Trailing),
        (ours.replacen(',', ",\n", 1), Unreadable::Syntax),
        (ours.replacen(',', ",\r", 1), Unreadable::Syntax),
        (format!("{ours}\n{}", ours.split_at(9).0), Unreadable::Incomplete),
        (format!("\u{feff}{ours}"), Unreadable::Encoding),
    ] {
        assert_eq!(redact(&Frame::Lines, body.as_bytes()).unwrap_err(), why, "{body}");
    }
}

#[test]
fn a_total_that_has_left_is_not_taken_back_in_silence() {
    let foreign = r#"{"id":2,"organization_id":"globex"}"#;
    let body = format!(r#"{{"meta":{{"total":2}},"data":[{{"id":1,{OWN}}},{foreign}]}}"#);
    assert_eq!(in_chunks(&list(true), body.as_bytes(), &[]), Err(Unreadable::Count));
    let whole = redact(&list(true), body.as_bytes()).expect("readable").0;
    assert_eq!(whole, format!(r#"{{"meta":{{}},"data":[{{"id":1,{OWN}}}]}}"#));
    let behind = format!(r#"{{"data":[{{"id":1,{OWN}}},{foreign}],"meta":{{"total":2}}}}"#);
    let (out, _) = in_chunks(&list(true), behind.as_bytes(), &[]).expect("it is known by then");
    assert_eq!(out, format!(r#"{{"data":[{{"id":1,{OWN}}}],"meta":{{}}}}"#));
}

#[test]
fn no_more_is_held_than_one_record_or_member() {
    let limits = Limits { body: 1 << 20, record: 100 };
    let pushed = |frame: &Frame, body: &str, size: usize| {
        let mut redactor = Redactor { stream: Stream::new(job(frame, None), limits) };
        let mut out = Vec::new();
        let done = body.as_bytes().chunks(size).try_for_each(|chunk| redactor.push(chunk, &mut out));
        done.and_then(|()| redactor.finish(&mut out)).map(|_| ())
    };
    let record = |name: usize| format!(r#"{{{OWN},"name":"{}"}}"#, "x".repeat(name));
    let (least, space) = (record(0).len(), " ".repeat(101));
    let fits = record(100 - least);
    for size in [1, 7, 64, 1 << 20] {
        for (body, done) in [
            (format!(r#"{{"data":[{}]}}"#, vec![fits.clone(); 50].join(",")), Ok(())),
            (format!(r#"{{"data":[{}]}}"#, record(101 - least)), Err(Unreadable::TooLarge)),
            (format!(r#"{{"x":"{}","data":[]}}"#, "x".repeat(99)), Err(Unreadable::TooLarge)),
            (format!(r#"{{"{}":1,"data":[]}}"#, "x".repeat(99)), Err(Unreadable::TooLarge)),
            (format!(r#"{{"data":[{fits},{space}{fits}]}}"#), Err(Unreadable::TooLarge)),
        ] {
            assert_eq!(pushed(&list(false), &body, size), done, "{size}: {body}");
        }
        let single = format!(r#"{{"data":{fits}}}{space}"#);
        assert_eq!(pushed(&Frame::Record(place("data")), &single, size), Ok(()), "{size}");
    }
}

#[test]
fn a_single_record_that_may_not_be_seen_leaves_nothing() {
    let frame = Frame::Record(place("data"));
    let hidden = [
        r#"{"data":{"id":1,"organization_id":"globex"},"x":1}"#,
        r#"{"data":{"id":1,"organization_id":"acme","state":"held"}}"#,
        r#"{"data":null}"#,
    ];
    for body in hidden {
        let (out, tally) = redact(&frame, body.as_bytes()).expect("readable");
        assert_eq!((out.as_str(), tally.kept), ("", 0), "{body}");
        let each_byte: Vec<usize> = (0..body.len()).collect();
        assert_eq!(in_chunks(&frame, body.as_bytes(), &each_byte), Ok((out, tally)), "{body}");
    }
    let (out, tally) =
        redact(&frame, format!(r#"{{"x":1,"data":{{"id":"k1",{OWN},"ssn":"SECRET"}}}}"#).as_bytes()).unwrap();
    assert_eq!(out, format!(r#"{{"data":{{"id":"k1",{OWN}}}}}"#).replace(r#""id":"k1","#, ""));
    assert_eq!((tally.kept, tally.keys), (1, RecordKeys::from_iter(["k1"])));
    let hidden_but_broken = br#"{"data":{"id":1,"organization_id":"globex"}} x"#;
    assert_eq!(redact(&frame, hidden_but_broken).unwrap_err(), Unreadable::Trailing);
}

#[test]
fn related_records_are_judged_by_their_own_rules() {
    let note = |id, tenant| format!(r#"{{"id":{id},"organization_id":"{tenant}","internal":"SECRET"}}"#);
    let (ours, theirs) = (note(1, "acme"), note(2, "globex"));
    for (given, shown_as) in [
        (format!(r#""notes":[{theirs},{ours},{theirs}]"#), r#","notes":[{"id":1,"organization_id":"acme"}]"#),
        (format!(r#""notes":[{theirs}]"#), r#","notes":[]"#),
        (format!(r#""notes":[{ours},7]"#), ""),
        (r#""notes":[1,2]"#.to_owned(), ""),
        (r#""notes":null"#.to_owned(), ""),
        (format!(r#""audit":[{ours}]"#), ""),
        (format!(r#""account":{theirs}"#), r#","account":null"#),
        (r#""account":null"#.to_owned(), r#","account":null"#),
        (r#""account":"SECRET""#.to_owned(), ""),
        (format!(r#""account":[{ours}]"#), ""),
        (
            format!(
                r#""account":{{"organization_id":"acme","margin":1,"contacts":[{{{OWN},"ssn":"SECRET","notes":[{ours}]}}]}}"#
            ),
            r#","account":{"organization_id":"acme","contacts":[{"organization_id":"acme","state":"open","owner_id":"me"}]}"#,
        ),
    ] {
        assert_eq!(shown(&format!("{{{OWN},{given}}}")).as_deref(), Ok(&*format!("[{{{OWN}{shown_as}}}]")), "{given}");
    }
}

#[test]
fn rules_read_into_related_records_and_nested_objects() {
    assert_eq!(shown(&format!(r#"{{{OWN},"account":{{"st\u0061te":"lost"}}}}"#)).as_deref(), Ok("[]"));
    let layout = Rules::new(&catalog(), CONTACTS).layout;
    let record = br#"{"prefs":{"a":[{"deep":1}],"deep":{"flag": true }},"account":7}"#;
    let filled = slots(record, &layout, 8).expect("readable");
    let find = |path: &[&str]| layout.find(&path.iter().map(|n| Name::from(*n)).collect::<Vec<_>>()).expect("laid out");
    assert_eq!(filled.get(find(&["prefs", "deep", "flag"])), Slot::Raw(b"true"));
    assert_eq!(filled.get(find(&["account", "state"])), Slot::Missing);
    assert_eq!(slots(br#"{"prefs":{"deep":{"flag":1},"deep":2}}"#, &layout, 8).unwrap_err(), Unreadable::Duplicate);
    assert_eq!(slots(b"[]", &layout, 8).unwrap_err(), Unreadable::Shape);
    assert_eq!(slots(b"{} x", &layout, 8).unwrap_err(), Unreadable::Trailing);
}

#[test]
fn a_projection_removes_fields_after_rules_have_read_them() {
    let frame =
        Frame::List { records: place(""), totals: Vec::new(), keep: Vec::new(), echoes: Vec::new(), exact: false };
    let body = format!(r#"[{{{OWN},"id":1,"ssn":"SECRET","account":null}}]"#);
    let Redacted { body: out, tally, .. } = run(&frame, Some(&["id"]), body.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), r#"[{"id":1,"account":null}]"#);
    assert!(tally.fields.is_empty(), "what was not asked for is no redaction");
}

#[test]
fn a_record_is_located_in_a_document_that_is_read_whole() {
    let found = |document: &'static str, at: &str| locate(document.as_bytes(), &place(at), 8);
    assert_eq!(found(r#"{"a":1,"d\u0061ta": {"id":1} }"#, "data"), Ok(Some(&br#"{"id":1}"#[..])));
    assert_eq!(found(r#" {"id":1} "#, ""), Ok(Some(&br#"{"id":1}"#[..])));
    assert_eq!(found(r#"{"a":{"b":null}}"#, "a.b"), Ok(None));
    assert_eq!(found(r#"{"data":{},"data":{}}"#, "data"), Err(Unreadable::Duplicate));
    assert_eq!(found(r#"{"data":[]}"#, "data"), Err(Unreadable::Shape));
    assert_eq!(found(r#"{"x":{}}"#, "data"), Err(Unreadable::Shape));
    assert_eq!(found(r#"[1"#, "data"), Err(Unreadable::Incomplete));
    assert_eq!(found(r#"{"data":{}} {}"#, "data"), Err(Unreadable::Trailing));
    assert_eq!(found(r#"{"data":{},"x":[}"#, "data"), Err(Unreadable::Syntax));
}

#[test]
fn records_are_found_in_an_array_or_one_a_line() {
    let found = |document: &'static str, list: &Records| records(document.as_bytes(), list, 8);
    let array = Records::Array(place("data"));
    assert_eq!(found(r#"{"data":[{"a":1}, {} ]}"#, &array), Ok(vec![&br#"{"a":1}"#[..], b"{}"]));
    assert_eq!(found(r#"{"data":[1]}"#, &array), Err(Unreadable::Shape));
    let lines = |document| found(document, &Records::Lines);
    assert_eq!(lines("{\"a\":1}\r\n {} \n"), Ok(vec![&br#"{"a":1}"#[..], b"{}"]));
    assert_eq!(lines(""), Ok(Vec::new()));
    assert_eq!(lines("{}\n\n \t\r\n{}"), Ok(vec![&b"{}"[..], b"{}"]));
    assert_eq!(lines("{\"a\":\n1}"), Err(Unreadable::Incomplete));
    assert_eq!(lines("{}{}\n"), Err(Unreadable::Trailing));
    assert_eq!(lines("[{}]"), Err(Unreadable::Shape));
}

#[test]
fn an_answer_made_of_records_is_framed_as_declared() {
    let made = |frame: Frame| {
        let records = [&b"{}"[..], b"{}"].join(frame.between());
        String::from_utf8([frame.opening(), records, frame.closing()].concat()).expect("text")
    };
    assert_eq!(made(list(true)), r#"{"data":[{},{}]}"#);
    assert_eq!(made(Frame::Lines), "{}\n{}\n");
}

#[test]
fn a_redactor_may_move_between_threads() {
    fn moves<T: Send>() {}
    moves::<Redactor>();
}

#[test]
fn no_more_keys_are_noted_than_the_tally_holds() {
    let records: Vec<String> = (0..Tally::MAX_KEYS + 5).map(|id| format!(r#"{{"id":{id},{OWN}}}"#)).collect();
    let (_, tally) =
        redact(&list(true), format!(r#"{{"data":[{}]}}"#, records.join(",")).as_bytes()).expect("readable");
    assert_eq!((tally.kept as usize, tally.keys.len()), (Tally::MAX_KEYS + 5, Tally::MAX_KEYS));
}

#[test]
fn keys_are_noted_whether_or_not_they_show() {
    let frame = Frame::Record(place("data"));
    let body = format!(r#"{{"data":{{"id":17,{OWN}}}}}"#);
    let tally = run(&frame, Some(&["name"]), body.as_bytes()).expect("readable").tally;
    assert_eq!(tally.keys, RecordKeys::from_iter(["17"]));
}

#[test]
fn a_body_beyond_the_limit_is_refused_and_stays_refused() {
    let mut out = Vec::new();
    let mut redactor = Redactor { stream: Stream::new(job(&list(false), None), Limits { body: 12, record: 12 }) };
    assert_eq!(redactor.push(br#"{"data":[]}"#, &mut out), Ok(()));
    assert_eq!(redactor.push(b"  ", &mut out), Err(Unreadable::TooLarge));
    assert_eq!(redactor.push(b"", &mut out), Err(Unreadable::TooLarge));
    assert_eq!(redactor.finish(&mut out), Err(Unreadable::TooLarge));
    assert_eq!(out, br#"{"data":[]}"#);
}
