//! A record that an upstream holds and that writes change, and what policies of writes have in common.

use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::upstream::Seen;

/// Held by an upstream and looked at by its test.
#[derive(Clone, Debug)]
pub struct Record(Arc<Mutex<Value>>);

impl Record {
    pub fn new(value: Value) -> Self {
        Self(Arc::new(Mutex::new(value)))
    }

    /// As it is now; null if there is none.
    pub fn now(&self) -> Value {
        self.0.lock().expect("no panic holds it").clone()
    }

    pub fn set(&self, field: &str, value: impl Into<Value>) {
        self.0.lock().expect("no panic holds it")[field] = value.into();
    }

    pub fn merge(&self, changes: Value) {
        merge(&mut self.0.lock().expect("no panic holds it"), changes);
    }

    /// Does what a request says in its body.
    pub fn change(&self, seen: &Seen) {
        self.merge(serde_json::from_slice(&seen.body).expect("JSON"));
    }
}

/// Members take the place of those of their names; what is no object takes that of the record.
pub fn merge(record: &mut Value, changes: Value) {
    let Value::Object(changes) = changes else { return *record = changes };
    for (name, value) in changes {
        record[name] = value;
    }
}

/// A policy, grant by grant.
pub fn policy(table: &str, grants: &[String]) -> String {
    let grants: String = grants.iter().map(|grant| format!("  - {{ {grant} }}\n")).collect();
    format!("table: {table}\ngrants:\n{grants}")
}

/// What may be done with records by whom they belong to. `rest`: what of them shows, and what may be written.
pub fn own(roles: &str, actions: &str, rest: &str) -> String {
    format!("name: own, roles: [{roles}], actions: [{actions}], rows: record.owner_id == principal.id, {rest}")
}

/// Who makes a record owns it. `rest`: what may be written.
pub fn make(rest: &str) -> String {
    format!("name: make, roles: [rep], actions: [create], presets: {{ owner_id: principal.id }}, {rest}")
}
