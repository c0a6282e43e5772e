//! What a condition with guards says of a record, compared with what it would say of one whose hidden values differ.

use proptest::prelude::*;

use super::*;
use crate::api::Operator;

/// Of the fields of these tests, 0 is clear everywhere; 1 and 2 are under one guard each, and 3 is under that of 1.
const GUARDS: [(u16, usize); 3] = [(1, 0), (2, 1), (3, 0)];

fn is(field: u16, value: &str) -> Condition {
    Condition::Is(Comparison {
        through: None,
        field: FieldId(field),
        operator: Operator::Equal,
        value: value.to_owned(),
    })
}

fn not(condition: Condition) -> Condition {
    Condition::Not(Box::new(condition))
}

/// A guard is a comparison of a field of its own.
fn guard(number: usize) -> Condition {
    is(100 + number as u16, "true")
}

fn sent(client: &Condition) -> Condition {
    let of: HashMap<Column, Option<usize>> = (0..4)
        .map(|field| {
            let guard = GUARDS.iter().find(|(guarded, _)| *guarded == field).map(|(_, guard)| *guard);
            ((None, FieldId(field)), guard)
        })
        .collect();
    let guards = [guard(0), guard(1)];
    let conditions: Vec<&Condition> = guards.iter().collect();
    let rewriting = Rewriting { of: &of, conditions: &conditions };
    let whole = rewriting.part(client, true);
    rewriting.closed(whole)
}

#[test]
fn a_guard_stands_beside_what_it_guards_and_never_under_a_negation() {
    let or = |parts: &[Condition]| Condition::Or(parts.to_vec());
    let and = |parts: &[Condition]| Condition::And(parts.to_vec());
    let (free, one, two, three) = (is(0, "a"), is(1, "b"), is(2, "c"), is(3, "d"));
    for (client, expected) in [
        (free.clone(), free.clone()),
        (one.clone(), and(&[one.clone(), guard(0)])),
        (not(one.clone()), and(&[not(one.clone()), guard(0)])),
        (not(not(one.clone())), and(&[one.clone(), guard(0)])),
        // What has no guard in it stays as it is.
        (not(or(&[free.clone(), free.clone()])), not(or(&[free.clone(), free.clone()]))),
        (or(&[free.clone(), one.clone()]), or(&[free.clone(), and(&[one.clone(), guard(0)])])),
        (not(and(&[free.clone(), one.clone()])), or(&[not(free.clone()), and(&[not(one.clone()), guard(0)])])),
        (not(or(&[free.clone(), one.clone()])), and(&[not(free.clone()), not(one.clone()), guard(0)])),
        // What two have over them is said once.
        (or(&[one.clone(), three.clone()]), and(&[or(&[one.clone(), three.clone()]), guard(0)])),
        (
            or(&[and(&[one.clone(), two.clone()]), three.clone()]),
            and(&[or(&[and(&[one.clone(), two.clone(), guard(1)]), three.clone()]), guard(0)]),
        ),
    ] {
        assert_eq!(sent(&client), expected, "{client:?}");
    }
}

/// What an upstream makes of a condition: `None` is its unknown.
fn truth(of: &Condition, row: &[Option<u8>], guards: [bool; 2]) -> Option<bool> {
    let joined = |parts: &[Condition], decisive: bool| {
        let parts: Vec<Option<bool>> = parts.iter().map(|part| truth(part, row, guards)).collect();
        let unknown = parts.contains(&None);
        if parts.contains(&Some(decisive)) { Some(decisive) } else { (!unknown).then_some(!decisive) }
    };
    match of {
        Condition::And(parts) => joined(parts, false),
        Condition::Or(parts) => joined(parts, true),
        Condition::Not(part) => truth(part, row, guards).map(|truth| !truth),
        Condition::Is(comparison) => match comparison.field {
            FieldId(field @ 100..) => guards.get(usize::from(field) - 100).copied(),
            FieldId(field) => {
                let held = row.get(usize::from(field)).copied().flatten();
                held.map(|held| held.to_string() == comparison.value)
            }
        },
    }
}

fn conditions() -> impl Strategy<Value = Condition> {
    let leaf = (0_u16..4, 0_u8..3).prop_map(|(field, value)| is(field, &value.to_string()));
    leaf.prop_recursive(5, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Condition::And),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Condition::Or),
            inner.prop_map(not),
        ]
    })
}

fn rows() -> impl Strategy<Value = [Option<u8>; 4]> {
    prop::array::uniform4(prop::option::of(0_u8..3))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn hidden_values_make_no_difference_and_clear_ones_all_of_it(
        client in conditions(),
        row in rows(),
        other in rows(),
        guards in prop::array::uniform2(any::<bool>()),
    ) {
        let sent = sent(&client);
        let passes = |row: &[Option<u8>]| truth(&sent, row, guards) == Some(true);
        let mut changed = row;
        for (field, guard) in GUARDS {
            if !guards[guard] {
                changed[usize::from(field)] = other[usize::from(field)];
            }
        }
        prop_assert_eq!(passes(&row), passes(&changed), "{:?} of {:?} and {:?}", sent, row, changed);
        if guards == [true, true] {
            prop_assert_eq!(passes(&row), truth(&client, &row, guards) == Some(true), "{:?}", sent);
        }
    }
}
