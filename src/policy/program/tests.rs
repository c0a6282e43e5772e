//! A program means what the interpreter says, on every kind of condition and on hostile values.

mod generated;

use super::*;
use crate::model::value::{Decimal, Type};
use crate::policy::ir::{Each, EachKind, Field, Function, Operator};
use crate::policy::slots::Layout;
use crate::policy::value::Value;
use jiff::{SignedDuration, Timestamp};

const TYPES: [&str; 12] = [
    "int",
    "double",
    "decimal",
    "string",
    "bool",
    "timestamp",
    "date",
    "duration",
    "json",
    "list(string)",
    "list(int)",
    "map(string)",
];

/// Valid JSON, as hostile as an upstream can send it; ` | ` between values.
const RAWS: &str = r#"null | true | false | 0 | -0 | 1 | -1 | 2 | 7 | 10 | 42 | 1.0 | 1.00 | -1.0 | 1e0 | 1E0 | 10e-1 | 0.1 | 0.10
0.1000000000000000055 | 0.3 | 2.5 | 2.50 | -2.5 | 1250.00 | 0.000000000000000001 | 0.0000000000000000001
9007199254740992 | 9007199254740993 | -9007199254740993 | 9007199254740993.0 | 999999999999999999
1000000000000000000 | 9223372036854775807 | -9223372036854775808 | 9223372036854775808 | 18446744073709551615
123456789012345678901234567890 | 1e999 | -1e999 | 1e-400 | "" | "a" | "acme" | "ACME" | "acme " | "acm"
"acmee" | "\u0061cme" | "acm\u0065" | "acme\u0000" | "\u0061" | "\"a\"" | "a\\b" | "a\/b" | "a/b" | "\n" | "é"
"\u00e9" | "\u00E9" | "e\u0301" | "\ud83d\ude00" | "😀" | "null" | "true" | "1" | "1.5" | "2.50" | "-0" | "007"
"1." | "1e2" | "+1" | " 1" | "x@acme.com" | "x@acme.co\u006d" | "x@acme.com\\" | "acme.com" | "0061cme"
"\\0061cme" | "2025-01-02" | "2025-1-2" | "2025-02-29" | "2024-02-29" | "1900-02-29" | "2000-02-29"
"0001-01-01" | "9999-12-31" | "2025-01-02T03:04:05Z" | "2025-01-02T03:04:05z" | "2025-01-02t03:04:05Z"
"2025-01-02 03:04:05Z" | "2025-01-02T03:04:05.000Z" | "2025-01-02T03:04:05.0001Z"
"2025-01-02T03:04:05.000000001Z" | "2025-01-02T03:04:05.0000000001Z" | "2025-01-02T03:04:05.Z"
"2025-01-02T03:04:05,5Z" | "2025-01-02T04:04:05+01:00" | "2025-01-02T03:04:05+00:00"
"2025-01-02T03:04:05-00:00" | "2025-01-01T22:04:05-05:00" | "2025-01-02T03:04:05+25:00"
"2025-01-02T03:04:05+01" | "2025-01-02T03:04:05" | "2025-01-02T03:04Z" | "2025-01-02T24:00:00Z"
"2025-01-02T23:59:60Z" | "2025-13-02T03:04:05Z" | "2025-01-32T03:04:05Z" | "2025-06-31T03:04:05Z"
"9999-12-31T23:59:59Z" | "0001-01-01T00:00:00Z" | "1799-12-31T23:59:59Z" | "1800-01-01T00:00:00+14:00"
"2199-12-31T23:59:59.999999999Z" | "2025-01-02T03:04:05Z[UTC]" | "2025-01-02T03:04:05\u005a" | "１２３" | "90m"
"1h30m" | "5400s" | [] | ["acme"] | ["a", "acme"] | [null] | [1,2] | [1,"a"] | {} | {"tier":"gold"}
{"tier":null} | {"a":1,"a":2} | {"a":1,"\u0061":2} | [[[]]]"#;

fn raws() -> impl Iterator<Item = &'static str> {
    RAWS.lines().flat_map(|line| line.split(" | "))
}

const TEXTS: [&str; 17] = [
    "",
    "a",
    "acme",
    "acm",
    "é",
    "e\u{301}",
    "😀",
    "\"a\"",
    "a\\b",
    "a/b",
    "\n",
    "1",
    "-0",
    "@acme.com",
    "0061cme",
    "null",
    "x@acme.com\\",
];

fn constants() -> Vec<Value> {
    let decimal = |text: &str| Value::Decimal(Decimal::parse(text).expect("a number"));
    let time = |text: &str| Value::Timestamp(text.parse::<Timestamp>().expect("an instant"));
    let mut all = vec![Value::Null, Value::Bool(true), Value::Bool(false)];
    all.extend([0, 1, -1, 7, 9_007_199_254_740_993, 999_999_999_999_999_999, i64::MAX, i64::MIN].map(Value::Int));
    let doubles = [
        0.0,
        -0.0,
        1.0,
        0.1,
        0.3,
        2.5,
        9_007_199_254_740_992.0,
        123_456_789_012_345_680.0,
        9_223_372_036_854_775_807.0,
        1e300,
        5e-324,
    ];
    all.extend(doubles.map(Value::Double));
    all.extend([f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(Value::Double));
    all.extend([Value::Uint(1), Value::Uint(u64::MAX)]);
    let decimals = ["0", "1", "0.1", "0.1000000000000000055", "2.50", "-2.5", "1e-18", "1e-19", "1e30", "1250", "1e17"];
    all.extend(decimals.map(decimal));
    all.extend(TEXTS.map(Value::string));
    all.extend(
        [
            "2025-01-02T00:00:00Z",
            "2025-01-02T03:04:05Z",
            "2025-01-02T03:04:05.000000001Z",
            "1969-12-31T23:59:59.5Z",
            "1799-12-31T23:59:59Z",
            "9999-12-30T00:00:00Z",
        ]
        .map(time),
    );
    all.extend([0, 1, -1, 5400, 86_400, 10_000_000_000].map(|n| Value::Duration(SignedDuration::from_secs(n))));
    all.push(Value::List([Value::string("acme")].into()));
    all
}

/// A record of one field, in slot 1 below slot 0.
struct Case {
    layout: Layout,
    slot: SlotId,
    parent: SlotId,
}

impl Case {
    fn new() -> Self {
        let mut layout = Layout::default();
        let parent = layout.insert(&["x".into()]);
        let slot = layout.insert(&["x".into(), "y".into()]);
        Self { layout, slot, parent }
    }

    fn field(&self, of: &str, nullable: bool, absent_is_null: bool) -> Field {
        Field {
            subject: Subject::Record,
            path: ["x".into(), "y".into()].into(),
            slot: self.slot,
            of: Type::parse(of).expect("a type"),
            nullable,
            absent_is_null,
            by: None,
        }
    }

    fn slots<'b>(&self, raw: Option<&'b str>, parent: Option<&'b str>) -> Slots<'b> {
        let mut slots = Slots::empty(&self.layout);
        for (slot, raw) in [(self.slot, raw), (self.parent, parent)] {
            assert!(raw.is_none_or(|raw| slots.fill(slot, raw.as_bytes())));
        }
        slots
    }
}

/// `None`: out of steps, in which a program gets further.
fn interpreted(expr: &Expr, slots: &Slots<'_>) -> Option<Result<bool, Failure>> {
    let mut steps = MAX_STEPS;
    let outcome = evaluate::holds(expr, Some(slots), None, &mut steps);
    (outcome != Err(Failure::Budget)).then_some(outcome)
}

fn check(expr: &Expr, condition: &Condition, slots: &Slots<'_>) -> Result<(), String> {
    match interpreted(expr, slots) {
        Some(expected) if condition.holds(Some(slots), None) != expected => Err(format!(
            "`{expr}` on {slots:?}: {:?}, the interpreter says {expected:?}",
            condition.holds(Some(slots), None)
        )),
        _ => Ok(()),
    }
}

fn known(value: Value) -> Box<Expr> {
    Expr::Constant(value).into()
}

const COMPARISONS: [Operator; 6] = [
    Operator::Equal,
    Operator::NotEqual,
    Operator::Less,
    Operator::LessOrEqual,
    Operator::Greater,
    Operator::GreaterOrEqual,
];

/// Fields of each type, and what functions and sums make of them.
fn operands(case: &Case, of: &str, nullable: bool) -> Vec<Expr> {
    let field = || Expr::Field(case.field(of, nullable, nullable));
    let instant = Value::Timestamp("2025-01-02T03:04:05Z".parse().expect("an instant"));
    let hour = || known(Value::Duration(SignedDuration::from_hours(1)));
    let minus = |a: Box<Expr>, b: Box<Expr>| Expr::Binary(Operator::Subtract, a, b);
    vec![
        field(),
        Expr::call("string", false, vec![field()]),
        Expr::call("timestamp", false, vec![field()]),
        minus(known(instant.clone()), field().into()),
        minus(field().into(), known(instant)),
        minus(field().into(), hour()),
        Expr::Binary(Operator::Add, field().into(), hour()),
        Expr::Binary(Operator::Add, hour(), Expr::call("timestamp", false, vec![field()]).into()),
    ]
}

/// Everything of one comparison: each type, each value, each operator, both sides.
#[test]
fn every_comparison_is_what_the_interpreter_says() {
    let case = Case::new();
    let constants = constants();
    let records: Vec<Slots<'_>> =
        raws().map(|raw| case.slots(Some(raw), Some("{}"))).chain([case.slots(None, Some("{}"))]).collect();
    for of in TYPES {
        for nullable in [false, true] {
            for (number, part) in operands(&case, of, nullable).into_iter().enumerate() {
                for value in &constants {
                    for operator in COMPARISONS {
                        // The rest of the operators differ by their comparison only.
                        if number > 0 && !matches!(operator, Operator::Equal | Operator::Less) {
                            continue;
                        }
                        let right = Expr::Binary(operator, part.clone().into(), known(value.clone()));
                        let left = Expr::Binary(operator, known(value.clone()), part.clone().into());
                        for expr in [right, left] {
                            let condition = Condition::new(expr.clone());
                            if matches!(condition.root, Node::Tree(_)) {
                                continue;
                            }
                            for slots in &records {
                                check(&expr, &condition, slots).unwrap_or_else(|wrong| panic!("{of}, {wrong}"));
                            }
                        }
                    }
                }
            }
        }
    }
}

fn lists() -> Vec<Value> {
    let texts = |texts: &[&str]| texts.iter().map(|text| Value::string(*text)).collect::<Vec<_>>();
    let numbers = |range: std::ops::Range<i64>| range.map(Value::Int).collect::<Vec<_>>();
    let many = (0..40).map(|n| Value::string(format!("u{n}"))).chain(texts(&TEXTS));
    let mixed = vec![Value::Null, Value::Int(1), Value::string("acme"), Value::Double(2.5), Value::Bool(true)];
    let lists = [vec![], texts(&["acme"]), texts(&TEXTS), many.collect(), numbers(-1..3), numbers(0..50), mixed];
    lists.into_iter().map(|list| Value::List(list.into())).collect()
}

#[test]
fn lists_functions_and_presence_are_what_the_interpreter_says() {
    let case = Case::new();
    let pattern = Arc::new(regex::Regex::new("^a.*e$").expect("a pattern"));
    for of in TYPES {
        for nullable in [false, true] {
            let mut exprs = Vec::new();
            for part in operands(&case, of, nullable) {
                for list in lists() {
                    exprs.push(Expr::Binary(Operator::In, part.clone().into(), known(list)));
                }
                exprs.push(Expr::Condition(part.clone().into()));
                exprs.push(part);
            }
            let field = || Expr::Field(case.field(of, nullable, nullable));
            for text in TEXTS {
                for function in ["startsWith", "endsWith", "contains"] {
                    exprs.push(Expr::call(function, true, vec![field(), *known(Value::string(text))]));
                }
            }
            exprs.push(Expr::Call(Function::Matches(Arc::clone(&pattern)), vec![field()]));
            exprs.push(Expr::HasField { field: case.field(of, nullable, nullable), parent: case.parent });
            for expr in exprs.into_iter().flat_map(|expr| [Expr::Not(expr.clone().into()), expr]) {
                let condition = Condition::new(expr.clone());
                let parents = [None, Some("{}"), Some("null"), Some("[]")];
                let missing = parents.map(|parent| case.slots(None, parent));
                let there = raws().map(|raw| case.slots(Some(raw), Some("{}")));
                for slots in there.chain(missing) {
                    check(&expr, &condition, &slots).unwrap_or_else(|wrong| panic!("{of}, {wrong}"));
                }
            }
        }
    }
}

/// Conditions as policies have them are judged without the interpreter on the values that records have.
#[test]
fn the_common_shapes_need_no_interpreter() {
    let case = Case::new();
    let field = |of: &str| Box::new(Expr::Field(case.field(of, true, false)));
    let now = || known(Value::Timestamp("2025-06-15T12:00:00Z".parse().expect("an instant")));
    let days = |n: i64| known(Value::Duration(SignedDuration::from_hours(24 * n)));
    let binary = |operator, a, b| Expr::Binary(operator, a, b);
    let texts = |n: usize| known(Value::List((0..n).map(|n| Value::string(format!("u{n}"))).collect()));
    let age = binary(Operator::Subtract, now(), field("timestamp"));
    let call =
        |function, of: &str, text: &str| Expr::call(function, true, vec![*field(of), *known(Value::string(text))]);
    let exact = Value::Decimal(Decimal::parse("1250.50").expect("a number"));
    for (expr, raws) in [
        (binary(Operator::Equal, field("string"), known(Value::string("u1"))), ["\"u1\"", "\"u2\"", "\"é\""]),
        (binary(Operator::NotEqual, known(Value::string("u1")), field("json")), ["\"u1\"", "\"other\"", "null"]),
        (binary(Operator::In, field("string"), texts(3)), ["\"u1\"", "\"x\"", "null"]),
        (binary(Operator::In, field("string"), texts(500)), ["\"u1\"", "\"x\"", "null"]),
        (binary(Operator::In, field("int"), known(Value::List([Value::Int(1)].into()))), ["1", "2", "null"]),
        (binary(Operator::Less, field("decimal"), known(exact)), ["1250.5", "\"1250.49\"", "-3"]),
        (binary(Operator::GreaterOrEqual, field("double"), known(Value::Double(0.5))), ["0.5", "1", "-2.25"]),
        (binary(Operator::Greater, field("int"), known(Value::Int(-5))), ["0", "-17", "123456789012"]),
        (
            binary(Operator::Greater, age.into(), days(30)),
            ["\"2025-06-15T12:00:00Z\"", "\"2024-01-01T00:00:00.123456Z\"", "\"2025-05-16T14:00:00+02:00\""],
        ),
        (binary(Operator::LessOrEqual, field("date"), now()), ["\"2025-06-15\"", "\"1950-01-31\"", "\"2100-12-01\""]),
        (binary(Operator::Equal, field("bool"), known(Value::Bool(true))), ["true", "false", "null"]),
        (binary(Operator::Equal, field("json"), known(Value::Null)), ["null", "{\"a\":1}", "1"]),
        (Expr::Condition(field("json")), ["true", "false", "true"]),
        (call("endsWith", "string", "@acme.com"), ["\"x@acme.com\"", "\"x@acme.co\"", "\"\""]),
        (call("startsWith", "string", "ab"), ["\"abc\"", "\"a\"", "\"xab\""]),
        (call("contains", "json", "ab"), ["\"xabx\"", "\"ba\"", "\"\""]),
        (
            binary(
                Operator::Equal,
                Expr::call("string", false, vec![*field("int")]).into(),
                known(Value::string("17")),
            ),
            ["17", "18", "-17"],
        ),
    ] {
        let condition = Condition::new(expr.clone());
        let Node::Leaf(leaf) = &condition.root else { panic!("`{expr}` is not tested") };
        for raw in raws {
            let certain = leaf.test.passes(raw.as_bytes()).is_some() || (raw == "null" && leaf.null.is_some());
            assert!(certain, "`{expr}` on {raw} is left to the interpreter");
            let slots = case.slots(Some(raw), None);
            assert_eq!(check(&expr, &condition, &slots), Ok(()));
        }
    }
}

#[test]
fn conjunctions_are_flat_and_parts_that_need_the_interpreter_stay_few() {
    let case = Case::new();
    let own = || {
        Expr::Binary(Operator::Equal, Expr::Field(case.field("string", false, false)).into(), known(Value::string("a")))
    };
    let odd =
        || Expr::Binary(Operator::Equal, Expr::Field(case.field("duration", false, false)).into(), known(Value::Null));
    let expr = Expr::And(Expr::And(own().into(), odd().into()).into(), Expr::And(own().into(), own().into()).into());
    let Condition { root: Node::All(parts), .. } = Condition::new(expr) else { panic!("a conjunction") };
    let kinds: Vec<bool> = parts.iter().map(|part| matches!(part, Node::Leaf(_))).collect();
    assert_eq!(kinds, [true, false, true, true]);
}

#[test]
fn long_values_run_out_of_steps_however_they_are_tested() {
    let case = Case::new();
    let text = format!("\"{}\"", "x".repeat(3 << 20));
    let slots = case.slots(Some(&text), None);
    let one = Expr::call(
        "contains",
        true,
        vec![Expr::Field(case.field("string", false, false)), Expr::Constant(Value::string("y"))],
    );
    assert_eq!(Condition::new(one.clone()).holds(Some(&slots), None), Ok(false), "once is no matter");
    let two = Expr::Or(one.clone().into(), one.into());
    assert_eq!(Condition::new(two).holds(Some(&slots), None), Err(Failure::Budget));
}

#[test]
fn a_record_that_is_not_there_is_an_error() {
    let case = Case::new();
    let slots = case.slots(Some("\"a\""), None);
    let mut field = case.field("string", false, false);
    field.subject = Subject::After;
    let expr = Expr::Binary(Operator::Equal, Expr::Field(field).into(), known(Value::string("a")));
    let condition = Condition::new(expr);
    assert_eq!(condition.holds(Some(&slots), None), Err(Failure::Unknown));
    assert_eq!(condition.holds(None, Some(&slots)), Ok(true));
}
