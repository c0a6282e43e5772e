//! Conditions judged by this engine and by the `cel` crate's own interpreter, on generated expressions and records.

use proptest::prelude::*;

use super::support::*;

/// Expressions over one record that mean the same in both: no decimals, and ints that JSON writes without a sign too.
fn expression() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        Just("record.qty".to_owned()),
        Just("record.id".to_owned()),
        (-3_i64..4).prop_map(|n| if n < 0 { format!("({n})") } else { n.to_string() }),
    ];
    let text = prop_oneof![
        Just("record.region".to_owned()),
        Just("record.name".to_owned()),
        "[ab]{0,2}".prop_map(|text| format!("'{text}'")),
    ];
    let number = (number.clone(), prop_oneof!["\\+", "-", "\\*", "/", "%"], number)
        .prop_map(|(a, o, b)| format!("({a} {o} {b})"));
    let leaf = prop_oneof![
        (number.clone(), prop_oneof!["==", "!=", "<", "<=", ">", ">="], number.clone())
            .prop_map(|(a, o, b)| format!("{a} {o} {b}")),
        (text.clone(), prop_oneof!["==", "!=", "<", ">"], text.clone()).prop_map(|(a, o, b)| format!("{a} {o} {b}")),
        (text.clone(), prop_oneof!["startsWith", "endsWith", "contains"], text.clone())
            .prop_map(|(a, f, b)| format!("{a}.{f}({b})")),
        (text.clone(), text.clone(), text.clone()).prop_map(|(a, b, c)| format!("{a} in [{b}, {c}]")),
        (text.clone(), text).prop_map(|(a, b)| format!("size({a} + {b}) > 2")),
        number.prop_map(|n| format!("[1, 2, 3].exists(x, x == {n})")),
        Just("record.custom.a == 1".to_owned()),
        Just("has(record.custom.a)".to_owned()),
        Just("record.custom != null".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            inner.clone().prop_map(|a| format!("!({a})")),
            (inner.clone(), inner.clone(), inner).prop_map(|(c, a, b)| format!("({c} ? {a} : {b})")),
        ]
    })
}

fn record() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let number = || prop_oneof![(-3_i64..4).prop_map(|n| n.to_string()), Just(i64::MAX.to_string())];
    let text = || "[ab]{0,3}".prop_map(|text| format!("\"{text}\""));
    let custom =
        prop_oneof![Just("null"), Just("{}"), Just("{\"a\":1}"), Just("{\"a\":\"x\"}")].prop_map(str::to_owned);
    (number(), number(), text(), text(), custom, any::<[bool; 5]>()).prop_map(
        |(qty, id, region, name, custom, there)| {
            let all = [("qty", qty), ("id", id), ("region", region), ("name", name), ("custom", custom)];
            all.into_iter().zip(there).filter(|(_, there)| *there).map(|(member, _)| member).collect()
        },
    )
}

/// `None`: an error, or no bool.
fn oracle(expression: &str, record: &[(&str, String)]) -> Option<bool> {
    let literal: Vec<String> =
        record.iter().map(|(name, value)| format!("'{name}': {}", value.replace('"', "'"))).collect();
    let program = cel::Env::stdlib().compile(&format!("{{{}}}", literal.join(", "))).expect("a map");
    let record = program.execute(&cel::Context::default()).expect("a value");
    let mut context = cel::Context::default();
    context.add_variable_from_value("record", record);
    match cel::Env::stdlib().compile(expression).expect("an expression").execute(&context) {
        Ok(cel::Value::Bool(truth)) => Some(truth),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn conditions_mean_what_cel_says(expression in expression(), record in record()) {
        let text = granting("things", "list", &expression, "");
        let members: Vec<String> = record.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let set = set(&[&text]);
        let negated = set_of_denial(&expression);
        let expected = oracle(&expression, &record);
        let body = ours(&members.join(","));
        let granted = match ask(&set, &rep(), "things", "list") {
            crate::policy::Decision::Deny(..) => false,
            decision => word(&judge(residual(&decision), &body).verdict) == "visible",
        };
        prop_assert_eq!(granted, expected == Some(true), "a grant: {} on {}", expression, body);
        let decision = ask(&negated, &rep(), "things", "list");
        let denied = word(&judge(residual(&decision), &body).verdict) == "denied";
        prop_assert_eq!(denied, expected != Some(false), "a denial: {} on {}", expression, body);
    }

    /// Facts substituted first or written into the expression as literals: the record is judged the same.
    #[test]
    fn residual_then_record_is_full_evaluation(expression in expression(), record in record()) {
        let with_fact = expression.replace("'a'", "principal.id");
        let with_value = expression.replace("'a'", "'u1'");
        let members: Vec<String> = record.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let body = ours(&members.join(","));
        let decision = ask(&set_of_denial(&with_fact), &rep(), "things", "list");
        let denied = word(&judge(residual(&decision), &body).verdict) == "denied";
        prop_assert_eq!(denied, oracle(&with_value, &record) != Some(false), "{} on {}", with_fact, body);
    }
}

fn set_of_denial(expression: &str) -> crate::policy::PolicySet {
    let text = granting("things", "list", "all", "");
    set(&[&format!("{text}denials:\n  - name: d\n    actions: [list]\n    rows: {expression:?}\n")])
}
