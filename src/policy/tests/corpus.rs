//! The conformance corpus of CEL: where it lies, and how it writes values.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use serde_json::Value as Json;

use crate::policy::value::Value;

/// Says plainly where there is none.
pub(in crate::policy) fn folder() -> Option<PathBuf> {
    let root = std::env::var_os("SCRIM_CORPORA").map(PathBuf::from);
    let root = root.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/corpora"));
    let folder = Some(root.join("cel")).filter(|folder| folder.is_dir());
    if folder.is_none() {
        println!("skipped: no conformance corpus beside this project");
    }
    folder
}

/// The cases of one file that need no messages.
pub(in crate::policy) fn cases(folder: &std::path::Path, file: &str) -> Vec<Json> {
    let text = fs::read_to_string(folder.join(format!("{file}.json"))).expect("a file of the corpus");
    let cases: Vec<Json> = serde_json::from_str(&text).expect("a list of cases");
    cases.into_iter().filter(|case| case["proto"] != true).collect()
}

/// The corpus' way to write a value. `None` for messages and enums.
pub(in crate::policy) fn read(json: &Json) -> Option<Value> {
    let (kind, of) = json.as_object()?.iter().next()?;
    let text = of.as_str();
    Some(match kind.as_str() {
        "null" => Value::Null,
        "bool" => Value::Bool(of.as_bool()?),
        "int" => Value::Int(text?.parse().ok()?),
        "uint" => Value::Uint(text?.parse().ok()?),
        "double" => Value::Double(text?.parse().ok()?),
        "string" => Value::String(text?.into()),
        "bytes" => Value::Bytes(base64::prelude::BASE64_STANDARD.decode(text?).ok()?.into()),
        "type" => Value::Type(text?.into()),
        "list" => Value::List(of.as_array()?.iter().map(read).collect::<Option<_>>()?),
        "map" => {
            let member = |pair: &Json| Some((read(&pair[0])?.to_key()?, read(&pair[1])?));
            Value::Map(Arc::new(of.as_array()?.iter().map(member).collect::<Option<_>>()?))
        }
        "timestamp" => Value::Timestamp(jiff::Timestamp::new(of["s"].as_i64()?, nanos(of)?).ok()?),
        "duration" => Value::Duration(jiff::SignedDuration::new(of["s"].as_i64()?, nanos(of)?)),
        _ => return None,
    })
}

fn nanos(json: &Json) -> Option<i32> {
    i32::try_from(json["n"].as_i64()?).ok()
}

/// Equal and of one kind; NaN is NaN, and zero has a sign.
pub(in crate::policy) fn is_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Double(a), Value::Double(b)) => a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()),
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| is_same(a, b)),
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|((ka, a), (kb, b))| ka == kb && is_same(a, b))
        }
        (Value::Optional(Some(a)), Value::Optional(Some(b))) => is_same(a, b),
        _ => std::mem::discriminant(a) == std::mem::discriminant(b) && crate::policy::functions::equal(a, b),
    }
}
