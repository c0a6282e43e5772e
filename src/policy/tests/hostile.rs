//! Conditions and records that would cost too much: refused when they are loaded, or an error where they are judged.

use super::support::*;
use crate::diagnostic::Source;
use crate::model::Value;
use crate::policy::Decision;
use crate::policy::evaluate;
use crate::policy::ir::Failure;
use crate::policy::residual::fold;
use crate::policy::slots::Layout;

/// The codes of what is wrong with a condition.
fn codes(rows: &str) -> Vec<&'static str> {
    let text = granting("samples", "list", rows, "");
    match compile(&[Source::new("p.yaml", text)]) {
        Ok(_) => Vec::new(),
        Err(wrong) => wrong.iter().map(|d| d.code).collect(),
    }
}

#[test]
fn what_is_too_deep_is_refused_before_it_is_parsed() {
    let open = |count: usize| "(".repeat(count);
    for rows in [
        format!("{}true{}", open(200), ")".repeat(200)),
        format!("{}true{}", open(25), ")".repeat(25)),
        format!("record.custom == {}1{}", "[".repeat(40), "]".repeat(40)),
        format!("record.custom == {}1{}", "{1:".repeat(40), "}".repeat(40)),
        format!("{}true", "true ? ".repeat(30)),
        format!("{}true", "!(".repeat(30)),
        // Entries of a map close nothing.
        format!("{}{{1: 1, 2: 1, 3: 1, 4: 1, 5: {}1", open(20), open(10)),
        // Brackets behind what only looks like the end of a text, or like its beginning.
        format!("'\\q' == {}", open(30)),
        format!("'a\r' == {}", open(30)),
        format!("rb'\\' == {}'", open(30)),
        format!("'''a' == {}", open(30)),
        format!("'a' // '\n == {}", open(30)),
        format!("\"a\" == {}", open(30)),
    ] {
        assert_eq!(codes(&rows), ["cel-syntax"], "{rows}");
    }
    // What lies in a text is no bracket.
    assert_eq!(codes(&format!("record.name == '{}'", open(200))), [""; 0]);
    assert_eq!(codes(&format!("record.name == r'\\{}' // {}", open(200), open(200))), [""; 0]);
}

#[test]
fn what_is_too_long_is_refused() {
    for rows in [
        format!("record.name == '{}'", "x".repeat(2100)),
        format!("record.qty == {}1", "1+".repeat(300)),
        format!("record.qty == {}1", "1+".repeat(60)),
        vec!["record.qty == 1"; 150].join(" && "),
    ] {
        assert_eq!(codes(&rows), ["cel-syntax"], "{rows}");
    }
    assert_eq!(codes(&vec!["record.qty == 1"; 60].join(" && ")).len(), 0, "sixty tests are no matter");
}

/// Each would double what is made a few times more, or go through all pairs.
const EXPENSIVE: [&str; 12] = [
    "record.tags.exists(a, record.tags.exists(b, a + b == 'no'))",
    "record.scores.map(a, record.scores.map(b, a * b)).size() == 0",
    "lists.range(50000).exists(n, n == -1)",
    "lists.range(60000).map(n, n).size() == 0",
    "cel.bind(a, record.name + record.name + record.name + record.name, cel.bind(b, a + a + a + a, cel.bind(c, b + b + b + b, cel.bind(d, c + c + c + c, cel.bind(e, d + d + d + d, e + e + e + e == '')))))",
    "cel.bind(a, [record.tags, record.tags], cel.bind(b, [a, a, a, a], cel.bind(c, [b, b, b, b], cel.bind(d, [c, c, c, c], [d, d, d, d] == [d, d, d, d]) || c + c + c + c == c)))",
    "record.tags.map(a, '%s%s%s%s'.format([record.tags, record.tags, record.tags, record.tags])).size() == 0",
    "record.tags.map(a, record.tags.join(a)).size() == 0",
    "record.name.split('').map(a, record.name.replace('', a)).size() == 0",
    "record.tags.exists(a, record.custom != record.extra)",
    "record.tags.map(a, record.tags.sort()).size() == 0",
    "record.tags.transformMapEntry(i, a, {a + string(i): record.tags.map(b, b + a)}).size() == 0",
];

#[test]
fn what_costs_too_much_on_a_record_is_an_error_there() {
    let texts: Vec<String> = (0..300).map(|n| format!("\"tag-{n}\"")).collect();
    let numbers: Vec<String> = (0..300).map(|n| n.to_string()).collect();
    let (texts, numbers) = (texts.join(","), numbers.join(","));
    let name = "x".repeat(4000);
    let record = ours(&format!(
        r#""tags":[{texts}],"scores":[{numbers}],"name":"{name}","custom":[{numbers},[{texts}]],"extra":[{numbers},[{texts}]]"#
    ));
    for source in EXPENSIVE {
        let mut layout = Layout::default();
        let expr = checked("samples", source, &mut layout).expect("an expression").expr;
        let slots = slots(&layout, &record);
        assert_eq!(evaluate::of_record(&expr, &slots).err(), Some(Failure::Budget), "{source}");
        let set = set(&[&granting("samples", "list", source, "read: { clear: all }")]);
        let judgement = match ask(&set, &rep(), "samples", "list") {
            Decision::Deny(..) => continue,
            decision => judge(residual(&decision), &record),
        };
        assert_eq!((word(&judgement.verdict), judgement.errors), ("unmatched", 1), "{source}");
    }
}

#[test]
fn what_is_known_of_a_caller_makes_no_residual_without_end() {
    let mut principal = rep();
    let regions: Vec<Value> = (0..20_000).map(|n| Value::string(format!("r{n}"))).collect();
    principal.attributes.insert("regions".into(), Value::List(regions.into()));
    for source in [
        "principal.attributes.regions.exists(r, principal.attributes.regions.exists(q, r + q == record.name))",
        "principal.attributes.regions.exists(r, r + 'x' == record.name)",
        "principal.attributes.regions.map(r, r + record.name).size() == 0",
        "principal.attributes.regions.filter(r, r == record.name).size() == 0",
        "principal.attributes.regions.all(r, r != record.name)",
        "principal.attributes.regions.exists(r, principal.attributes.regions.exists(q, r == q && r == record.name))",
    ] {
        let mut layout = Layout::default();
        let expr = checked("samples", source, &mut layout).expect("an expression").expr;
        let mut nodes = 0;
        put(&principal, "samples", "list", |question| fold::fold(&expr, question)).any(&mut |_| {
            nodes += 1;
            false
        });
        assert!(nodes < 4096, "{source}: {nodes} nodes");
    }
}

#[test]
fn documents_as_deep_as_they_may_be_are_judged_and_deeper_ones_are_errors() {
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    for (depth, expected) in [(60, Ok(true)), (70, Err(Failure::Budget)), (20_000, Err(Failure::Budget))] {
        let mut layout = Layout::default();
        let source = "record.custom == record.extra && record.custom != [] && size(record.custom) == 1";
        let expr = checked("samples", source, &mut layout).expect("an expression").expr;
        let raw = nested(depth);
        let mut slots = crate::policy::Slots::empty(&layout);
        for field in ["custom", "extra"] {
            assert!(slots.fill(layout.find(&[field.into()]).expect("read"), raw.as_bytes()));
        }
        let truth = evaluate::holds(&expr, Some(&slots), None, &mut { evaluate::MAX_STEPS });
        assert_eq!(truth, expected, "{depth}");
    }
}

#[test]
fn values_that_are_shared_are_not_looked_at_without_end() {
    let source = "cel.bind(a, [record.tags, record.tags], cel.bind(b, [a, a, a, a, a, a, a, a], cel.bind(c, [b, b, b, b, b, b, b, b], \
                  cel.bind(d, [c, c, c, c, c, c, c, c], cel.bind(e, [d, d, d, d, d, d, d, d], [e] == [e] || e in [e])))))";
    let mut layout = Layout::default();
    let expr = checked("samples", source, &mut layout).expect("an expression").expr;
    let record = ours(r#""tags":["a","b","c","d"]"#);
    let slots = slots(&layout, &record);
    assert_eq!(evaluate::of_record(&expr, &slots).err(), Some(Failure::Budget));
}
