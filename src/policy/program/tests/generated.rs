//! Generated conditions on generated values, and on bytes that are no JSON.

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

fn raw() -> impl Strategy<Value = String> {
    let digits = "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?";
    let time = "\"(1[789]|20|21|22)[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9](\\.[0-9]{1,10})?(Z|[+-][01][0-9]:[0-5][0-9])\"";
    let escaped = "\"(a|c|m|e|\\\\u006[1-5]|\\\\\\\\|\\\\\"|é|\\\\u00[eE]9|/){0,6}\"";
    prop_oneof![
        4 => select(raws().collect::<Vec<_>>()).prop_map(str::to_owned),
        2 => digits,
        2 => time,
        2 => escaped,
        1 => "\"-?[0-9]{1,20}(\\.[0-9]{1,20})?\"",
        1 => Just(format!("\"{}acme\"", "x".repeat(700))),
    ]
}

fn constant() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => select(constants()),
        1 => any::<i64>().prop_map(Value::Int),
        1 => any::<f64>().prop_map(Value::Double),
        1 => "-?[0-9]{1,12}(\\.[0-9]{1,8})?".prop_map(|text| Value::Decimal(Decimal::parse(&text).expect("a number"))),
        1 => "[acmeé/]{0,4}".prop_map(Value::string),
        1 => (-6_000_000_000_i64..8_000_000_000, 0..1_000_000_000).prop_map(|(second, nano)| {
            Value::Timestamp(Timestamp::new(second, nano).expect("in range"))
        }),
    ]
}

fn leaf() -> impl Strategy<Value = Expr> {
    let part = (select(&TYPES[..]), any::<[bool; 2]>(), 0_usize..9).prop_map(|(of, [nullable, absent], number)| {
        let case = Case::new();
        let bare = Expr::Field(case.field(of, nullable, absent));
        operands(&case, of, nullable).into_iter().nth(number).unwrap_or(bare)
    });
    let case = Case::new();
    let has = Expr::HasField { field: case.field("json", true, false), parent: case.parent };
    prop_oneof![
        6 => (select(&COMPARISONS[..]), part.clone(), constant())
            .prop_map(|(operator, part, value)| Expr::Binary(operator, part.into(), known(value))),
        2 => (select(&COMPARISONS[..]), constant(), part.clone())
            .prop_map(|(operator, value, part)| Expr::Binary(operator, known(value), part.into())),
        2 => (part.clone(), select(lists())).prop_map(|(part, list)| Expr::Binary(Operator::In, part.into(), known(list))),
        1 => (part.clone(), part.clone()).prop_map(|(a, b)| Expr::Binary(Operator::Equal, a.into(), b.into())),
        1 => part.clone().prop_map(|part| Expr::call("getFullYear", true, vec![part]))
            .prop_map(|year| Expr::Binary(Operator::Equal, year.into(), known(Value::Int(2025)))),
        1 => (part.clone(), select(lists())).prop_map(|(part, list)| {
            let body = Expr::Binary(Operator::Equal, Expr::Variable(0).into(), part.into());
            Expr::Each(Each { kind: EachKind::Exists, range: *known(list), variable: 0, pairs: false, filter: None, body }.into())
        }),
        1 => part.prop_map(|part| Expr::Condition(part.into())),
        1 => Just(has),
        1 => any::<bool>().prop_map(|truth| Expr::Constant(Value::Bool(truth))),
        1 => select(vec![Failure::Missing, Failure::Type, Failure::Division]).prop_map(Expr::Fails),
    ]
}

fn condition() -> impl Strategy<Value = Expr> {
    leaf().prop_recursive(5, 32, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Expr::And(a.into(), b.into())),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Expr::Or(a.into(), b.into())),
            inner.clone().prop_map(|of| Expr::Not(of.into())),
            (inner.clone(), inner.clone(), inner).prop_map(|(c, a, b)| Expr::Choice([c, a, b].into())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is combined with whatever, the first error is the same too.
    #[test]
    fn any_condition_is_what_the_interpreter_says(
        expr in condition(),
        raws in proptest::collection::vec(proptest::option::weighted(0.9, raw()), 4),
        parent in select(vec![None, Some("{}"), Some("null"), Some("7")]),
    ) {
        let case = Case::new();
        let condition = Condition::new(expr.clone());
        for raw in &raws {
            let slots = case.slots(raw.as_deref(), parent);
            prop_assert_eq!(check(&expr, &condition, &slots), Ok(()));
        }
    }

    /// What no scanner lets through is an error or an answer, never a panic.
    #[test]
    fn bytes_that_are_no_json_do_not_panic(expr in condition(), raw in proptest::collection::vec(any::<u8>(), 0..24)) {
        let case = Case::new();
        let mut slots = Slots::empty(&case.layout);
        prop_assert!(slots.fill(case.slot, &raw));
        let condition = Condition::new(expr);
        prop_assert!(matches!(condition.holds(Some(&slots), None), Ok(_) | Err(_)));
    }
}
