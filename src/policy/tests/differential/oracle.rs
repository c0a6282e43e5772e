//! The `cel` crate's own interpreter, told the same facts.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use cel::objects::KeyRef;
use cel::{Context, Env, ExecutionError, Program, Value as Told};

use super::records::Record;
use crate::model::Principal;
use crate::policy::tests::support::NOW;
use crate::policy::value::{Key, Value};

/// Made once: it takes longer than most expressions.
static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    cel::extensions::strings(&mut env).expect("declared once");
    cel::extensions::lists(&mut env).expect("declared once");
    cel::extensions::math(&mut env).expect("declared once");
    Arc::new(env)
});

pub(super) fn compile(source: &str) -> Program {
    ENV.compile(source).unwrap_or_else(|wrong| panic!("{source}: {wrong}"))
}

/// `function("text")`, if it has a value.
pub(super) fn constant(function: &str, text: &str) -> Option<Told> {
    compile(&format!("{function}({text:?})")).execute(&Context::with_env(Arc::clone(&ENV))).ok()
}

/// All that an expression may read, with one record.
pub(super) fn context(record: &Told, principal: &Principal) -> Context<'static, 'static> {
    let texts = |names: &[Arc<str>]| Told::from(names.iter().map(|name| name.to_string()).collect::<Vec<_>>());
    let text = |text: &str| Told::from(text.to_owned());
    let map = |members: Vec<(&str, Told)>| {
        Told::from(members.into_iter().map(|(name, of)| (name.to_owned(), of)).collect::<HashMap<_, _>>())
    };
    let attributes = principal.attributes.iter().filter_map(|(name, value)| Some((&**name, attribute(value)?)));
    let mut context = Context::with_env(Arc::clone(&ENV));
    context.add_variable_from_value("record", record.clone());
    context.add_variable_from_value(
        "principal",
        map(vec![
            ("id", text(&principal.id)),
            ("issuer", text(&principal.issuer)),
            ("method", text(principal.method.name())),
            ("roles", texts(&principal.roles)),
            ("groups", texts(&principal.groups)),
            ("reports", texts(&principal.reports)),
            ("attributes", map(attributes.collect())),
        ]),
    );
    context.add_variable_from_value("tenant", map(vec![("organization_id", text("acme")), ("app_id", text("shop"))]));
    context.add_variable_from_value("request", map(vec![("method", text("GET")), ("ip", text("10.0.0.1"))]));
    context.add_variable_from_value("now", constant("timestamp", NOW).expect("an instant"));
    context
}

/// Null is not there: comparing it is an error.
fn attribute(value: &crate::model::Value) -> Option<Told> {
    match value {
        crate::model::Value::Bool(truth) => Some(Told::Bool(*truth)),
        crate::model::Value::String(text) => Some(Told::from(text.to_string())),
        crate::model::Value::List(items) => Some(Told::from(items.iter().map(attribute).collect::<Option<Vec<_>>>()?)),
        _ => None,
    }
}

pub(super) fn contexts(records: &[Record], principal: &Principal) -> Vec<Option<Context<'static, 'static>>> {
    records.iter().map(|record| record.oracle.as_ref().map(|told| context(told, principal))).collect()
}

/// Whether the two say the same: NaN is NaN, and zero has a sign.
pub(super) fn agree(own: &Value, told: &Told) -> bool {
    match (own, told) {
        (Value::Null, Told::Null) => true,
        (Value::Bool(a), Told::Bool(b)) => a == b,
        (Value::Int(a), Told::Int(b)) => a == b,
        (Value::Uint(a), Told::UInt(b)) => a == b,
        (Value::Double(a), Told::Float(b)) => a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan(),
        (Value::String(a), Told::String(b)) => **a == **b,
        (Value::Bytes(a), Told::Bytes(b)) => **a == ***b,
        (Value::Timestamp(a), Told::Timestamp(b)) => {
            let nanos = i128::from(b.timestamp()) * 1_000_000_000 + i128::from(b.timestamp_subsec_nanos());
            a.as_nanosecond() == nanos
        }
        (Value::Duration(a), Told::Duration(b)) => {
            let nanos = i128::from(b.num_seconds()) * 1_000_000_000 + i128::from(b.subsec_nanos());
            a.as_nanos() == nanos
        }
        (Value::List(a), Told::List(b)) => a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| agree(a, b)),
        (Value::Map(a), Told::Map(b)) => {
            let same = |(name, value)| b.get(&key(name)).is_some_and(|told| agree(value, told));
            a.len() == b.map.len() && a.iter().all(same)
        }
        _ => false,
    }
}

fn key(of: &Key) -> KeyRef<'_> {
    match of {
        Key::Bool(key) => KeyRef::Bool(*key),
        Key::Int(key) => KeyRef::Int(*key),
        Key::Uint(key) => KeyRef::Uint(*key),
        Key::String(key) => KeyRef::String(key),
    }
}

/// Where the oracle has an error that CEL has not: in the order of what is not a number.
pub(super) fn errs(wrong: &ExecutionError) -> bool {
    let ExecutionError::NoSuchOverload(wrong) = wrong else { return false };
    let wrong = format!("{wrong:?}");
    let numbers = [r#"["int", "double"]"#, r#"["double", "int"]"#, r#"["double", "double"]"#];
    ["\"_<_\"", "\"_<=_\"", "\"_>_\"", "\"_>=_\""].iter().any(|sign| wrong.contains(sign))
        && numbers.iter().any(|types| wrong.contains(types))
}
