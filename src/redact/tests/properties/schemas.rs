//! The same for tables, rules, requests and documents that are all made by chance.
//!
//! A record's `g` says what becomes of it: 0 is hidden, 1 to 3 show under three plans, anything else is another tenant's.
//! Rules read into a nested value and into a related record. The oracle knows no more than that.

use super::*;

const THINGS: TableId = TableId(0);
const PARTS: TableId = TableId(1);

/// A value as it will be printed: members in order, and as often as they come.
#[derive(Clone, Debug)]
enum Node {
    Json(Json),
    Record(Vec<(String, Node)>),
    List(Vec<Node>),
}

struct World {
    catalog: Arc<Catalog>,
    /// By table, three each.
    plans: Vec<Vec<Arc<FieldPlan>>>,
    asked: Option<BTreeSet<FieldId>>,
    one: bool,
    many: bool,
    /// Whether a thing whose part in `one` is 0 is denied.
    denies: bool,
}

struct Chance {
    table: TableId,
    layout: Layout,
    plans: Vec<Arc<FieldPlan>>,
    denies: bool,
}

impl Judge for Chance {
    fn table(&self) -> TableId {
        self.table
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn judge(&self, record: &Slots<'_>) -> Judgement {
        let at = |path: &[&str]| {
            let path: Vec<Name> = path.iter().map(|name| Name::from(*name)).collect();
            self.layout.find(&path).map_or(Slot::Missing, |slot| record.get(slot))
        };
        let verdict = match at(&["g"]) {
            _ if self.denies && at(&["one", "g"]) == Slot::Raw(b"0") => Verdict::Denied("part".into()),
            Slot::Raw(b"0") => Verdict::Unmatched,
            Slot::Raw([class @ b'1'..=b'3']) => Verdict::Visible(Arc::clone(&self.plans[usize::from(class - b'1')])),
            _ => Verdict::Foreign,
        };
        Judgement { verdict, errors: 0 }
    }
}

impl World {
    fn new(dice: &mut Dice) -> Self {
        let mut things = fields(dice);
        things.insert(1, ("one".to_owned(), Shape::One { table: PARTS, by: FieldId(0) }));
        things.push(("many".to_owned(), Shape::Many { table: PARTS }));
        let tables = vec![table(THINGS, "things", things), table(PARTS, "parts", fields(dice))];
        let plans = tables.iter().map(|table| (0..3).map(|_| plan(dice, table)).collect()).collect();
        let asked =
            (dice.roll(3) == 0).then(|| tables[0].field_ids().filter(|_| dice.roll(2) == 0).collect::<BTreeSet<_>>());
        Self {
            catalog: Arc::new(Catalog::from_parts(Vec::new(), tables)),
            plans,
            asked,
            one: dice.roll(4) > 0,
            many: dice.roll(4) > 0,
            denies: dice.roll(2) == 0,
        }
    }

    fn judge(&self, id: TableId) -> Arc<dyn Judge> {
        let mut layout = Layout::default();
        layout.insert(&["g".into()]);
        let table = self.catalog.table(id);
        for field in table.fields.iter() {
            if field.shape == Shape::Plain(Type::Json) {
                layout.insert(&[Arc::clone(&field.name), "k0".into()]);
            }
        }
        let denies = self.denies && id == THINGS;
        if denies {
            layout.insert(&["one".into(), "g".into()]);
        }
        Arc::new(Chance { table: id, layout, plans: self.plans[usize::from(id.0)].clone(), denies })
    }

    fn job(&self, frame: &Frame) -> Job {
        let part = || View::of(&self.catalog, self.judge(PARTS), None::<std::iter::Empty<&FieldId>>, Vec::new());
        let table = self.catalog.table(THINGS);
        let relations = [("one", self.one), ("many", self.many)].into_iter().filter(|(_, asked)| *asked);
        let relations = relations.map(|(name, _)| (table.field_named(name).expect("declared"), part())).collect();
        let asked = self.asked.as_ref().map(|fields| fields.iter());
        let mut root = View::of(&self.catalog, self.judge(THINGS), asked, relations);
        root.count(0);
        let tenant = TenantScope::new(&["t".into()], |_| Some("acme")).expect("a tenant");
        Job {
            envelope: envelope::Envelope::new(frame),
            kit: Kit::new(&self.catalog, root, Keys::new(Arc::clone(&self.catalog), tenant, None)),
            catalog: Arc::clone(&self.catalog),
            depth: 32,
        }
    }

    /// The record as it may be seen, or `None`.
    fn seen(&self, record: &[(String, Node)], id: TableId) -> Option<Json> {
        let member = |name: &str| record.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        let number = |node: Option<&Node>| match node {
            Some(Node::Json(value)) => value.as_i64(),
            _ => None,
        };
        if self.denies
            && id == THINGS
            && let Some(Node::Record(part)) = member("one")
            && number(part.iter().find(|(name, _)| name == "g").map(|(_, value)| value)) == Some(0)
        {
            return None;
        }
        let class = number(member("g")).filter(|class| (1..=3).contains(class))?;
        let table = self.catalog.table(id);
        let plan = &self.plans[usize::from(id.0)][class as usize - 1];
        let mut shown = Map::new();
        for (name, value) in record {
            let Some(field) = table.field_named(name) else { continue };
            let related = match &*table.field(field).name {
                "one" if id == THINGS => Some(self.one),
                "many" if id == THINGS => Some(self.many),
                _ => None,
            };
            let asked = id == PARTS || self.asked.as_ref().is_none_or(|asked| asked.contains(&field));
            if !related.unwrap_or(asked) {
                continue;
            }
            let shape = &table.field(field).shape;
            let value = match (&plan.fields[usize::from(field.0)], shape, value) {
                (Visibility::Removed, ..) => None,
                (Visibility::Clear, Shape::One { .. }, Node::Json(Json::Null)) => Some(Json::Null),
                (Visibility::Clear, Shape::One { .. }, Node::Record(part)) => {
                    Some(self.seen(part, PARTS).unwrap_or(Json::Null))
                }
                // An object that says nothing of whose it is.
                (Visibility::Clear, Shape::One { .. }, Node::Json(Json::Object(_))) => Some(Json::Null),
                (Visibility::Clear, Shape::Many { .. }, Node::List(items)) => self.each(items),
                (Visibility::Clear, Shape::Many { .. }, Node::Json(Json::Array(items))) => {
                    items.iter().all(Json::is_object).then(|| json!([]))
                }
                (Visibility::Clear, Shape::Plain(of), value) => Some(json(value)).filter(|value| right(of, value)),
                (Visibility::Masked(Mask::Constant(_)), Shape::Plain(_), _) => Some(json!("hidden")),
                (Visibility::Masked(_), Shape::Plain(_), _) => Some(Json::Null),
                _ => None,
            };
            shown.extend(value.map(|value| (name.clone(), value)));
        }
        Some(shown.into())
    }

    fn each(&self, items: &[Node]) -> Option<Json> {
        let mut shown = Vec::new();
        for item in items {
            let Node::Record(part) = item else { return None };
            shown.extend(self.seen(part, PARTS));
        }
        Some(shown.into())
    }
}

/// From few fields to more than have a bit each in one word, under names of many lengths and spellings.
fn fields(dice: &mut Dice) -> Vec<(String, Shape)> {
    let count = if dice.roll(4) == 0 { 60 + dice.roll(30) } else { dice.roll(10) };
    let kinds = ["int", "decimal", "bool", "string", "list(string)", "json", "timestamp"];
    let mut fields = vec![("g".to_owned(), Shape::Plain(Type::Int))];
    for number in 0..count {
        let name = match dice.roll(7) {
            0 => format!("f{number}"),
            1 => format!("a_rather_long_name_of_field_{number}"),
            2 => format!("größe{number}"),
            3 => format!("x\"{number}\\"),
            4 => format!("cf_{number:04}"),
            5 => format!("{}{number}", "abcdefghijklmnop".split_at(dice.roll(16) as usize).0),
            _ => format!("{number} "),
        };
        fields.push((name, Shape::Plain(Type::parse(dice.pick(&kinds)).expect("a type"))));
    }
    fields
}

fn plan(dice: &mut Dice, table: &Table) -> Arc<FieldPlan> {
    let kept = dice.roll(6);
    let mut visibility = |_: &Field| match dice.roll(6 + kept) {
        0 | 1 => Visibility::Removed,
        2 => Visibility::Masked(Mask::Null),
        3 => Visibility::Masked(Mask::Constant(Value::string("hidden"))),
        _ => Visibility::Clear,
    };
    Arc::new(FieldPlan { fields: table.fields.iter().map(&mut visibility).collect(), grants: vec!["g".into()] })
}

/// Members in the declared order as a rule, some left out, some that are not declared and come more than once.
fn record(dice: &mut Dice, world: &World, id: TableId) -> Vec<(String, Node)> {
    let mut members = Vec::new();
    for field in world.catalog.table(id).fields.iter() {
        let name = field.name.to_string();
        let value = match (&*name, &field.shape) {
            ("g", _) => Node::Json(if dice.roll(9) == 0 { dice.any(1) } else { json!(dice.roll(4)) }),
            _ if dice.roll(5) == 0 => continue,
            (_, Shape::One { .. }) if dice.roll(3) > 0 => Node::Record(record(dice, world, PARTS)),
            (_, Shape::Many { .. }) if dice.roll(4) > 0 => {
                let mut items: Vec<Node> =
                    (0..dice.roll(4)).map(|_| Node::Record(record(dice, world, PARTS))).collect();
                if dice.roll(8) == 0 {
                    items.push(Node::Json(dice.any(0)));
                }
                Node::List(items)
            }
            (_, Shape::Plain(Type::List(_))) if dice.roll(2) == 0 => Node::Json(json!(["a", null])),
            (_, Shape::Plain(Type::Bool)) if dice.roll(2) == 0 => Node::Json(json!(true)),
            _ => Node::Json(dice.any(2)),
        };
        members.push((name, value));
    }
    for name in ["G", "x", "x", "one ", "\u{1F600}"] {
        if dice.roll(4) == 0 {
            let at = dice.roll(members.len() as u64 + 1) as usize;
            members.insert(at, (name.to_owned(), Node::Json(dice.any(2))));
        }
    }
    if dice.roll(4) == 0 && members.len() > 1 {
        let (one, other) = (dice.roll(members.len() as u64) as usize, dice.roll(members.len() as u64) as usize);
        members.swap(one, other);
    }
    members
}

fn print(dice: &mut Dice, node: &Node, out: &mut String) {
    match node {
        Node::Json(value) => dice.print(value, out),
        Node::List(items) => {
            out.push('[');
            for (number, item) in items.iter().enumerate() {
                if number > 0 {
                    out.push(',');
                }
                dice.space(out);
                print(dice, item, out);
            }
            dice.space(out);
            out.push(']');
        }
        Node::Record(members) => {
            out.push('{');
            dice.space(out);
            for (number, (name, value)) in members.iter().enumerate() {
                if number > 0 {
                    out.push(',');
                    dice.space(out);
                }
                dice.spell(name, out);
                dice.space(out);
                out.push(':');
                dice.space(out);
                print(dice, value, out);
                dice.space(out);
            }
            out.push('}');
        }
    }
}

/// The same as a tree; of what occurs more than once it doesn't matter which is left.
fn json(node: &Node) -> Json {
    match node {
        Node::Json(value) => value.clone(),
        Node::List(items) => items.iter().map(json).collect(),
        Node::Record(members) => {
            members.iter().map(|(name, value)| (name.clone(), json(value))).collect::<Map<_, _>>().into()
        }
    }
}

fn right(of: &Type, value: &Json) -> bool {
    match of {
        _ if value.is_null() => true,
        Type::Int | Type::Decimal => value.is_number(),
        Type::Bool => value.is_boolean(),
        Type::List(_) => value.as_array().is_some_and(|items| items.iter().all(|i| i.is_string() || i.is_null())),
        Type::Json => true,
        _ => value.is_string(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(500), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_declared_and_granted_the_oracle_agrees(
        seed: u64,
        cuts in prop::collection::vec(0usize..6000, 0..8),
    ) {
        let mut dice = Dice(seed);
        let world = World::new(&mut dice);
        let records: Vec<_> = (0..dice.roll(6)).map(|_| record(&mut dice, &world, THINGS)).collect();
        let lines = dice.roll(3) == 0;
        let frame = if lines {
            Frame::Lines
        } else {
            Frame::List { records: place(dice.pick(&["", "a.b"])), totals: Vec::new(), keep: Vec::new(), echoes: Vec::new(), exact: false }
        };
        let mut printed = Vec::new();
        for record in &records {
            let mut text = String::new();
            print(&mut dice, &Node::Record(record.clone()), &mut text);
            printed.push(if lines { text.replace(['\n', '\r'], " ") } else { text });
        }
        let body = match &frame {
            Frame::Lines => printed.join("\n"),
            _ => {
                let ends = [frame.opening(), frame.closing()].map(|end| String::from_utf8(end).expect("text"));
                format!("{} {} {}", ends[0], printed.join(" , "), ends[1])
            }
        };
        let expected: Vec<Json> = records.iter().filter_map(|record| world.seen(record, THINGS)).collect();

        let redacted = answer_to(&|| world.job(&frame), body.as_bytes(), body.len()).expect("readable");
        let found = redacted.records.iter().map(|range| serde_json::from_slice(&redacted.body[range.clone()]));
        let found: Vec<Json> = found.collect::<Result<_, _>>().expect("valid JSON");
        prop_assert_eq!(&found, &expected, "{}", body);
        let list = match &frame {
            Frame::List { records, .. } => Records::Array(records.clone()),
            _ => Records::Lines,
        };
        prop_assert_eq!(crate::redact::records(&redacted.body, &list, 32).expect("a list").len(), found.len());

        // With what it has learned, it says the same again.
        let limits = Limits { body: body.len() as u64, record: body.len() };
        let mut job = world.job(&frame);
        for _ in 0..3 {
            let mut stream = Stream::new(std::mem::replace(&mut job, world.job(&frame)), limits);
            let mut again = Vec::new();
            stream.push(body.as_bytes(), &mut again).expect("readable");
            stream.end(&mut again).expect("complete");
            let (tally, kit) = stream.settle();
            prop_assert_eq!((&again, &tally), (&redacted.body, &redacted.tally), "{}", body);
            job.kit = kit.expect("it has not failed");
        }

        let whole = (String::from_utf8(redacted.body).expect("text"), redacted.tally);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % (body.len() + 1)).collect();
        cuts.sort_unstable();
        prop_assert_eq!(&chunked(world.job(&frame), &frame, body.as_bytes(), &cuts), &Ok(whole.clone()), "{}", body);
        if body.len() < 500 {
            let each_byte: Vec<usize> = (0..body.len()).collect();
            prop_assert_eq!(chunked(world.job(&frame), &frame, body.as_bytes(), &each_byte), Ok(whole), "{}", body);
        }
    }
}
