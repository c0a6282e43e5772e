//! Who asks, with the fingerprints by which decisions are remembered.
//!
//! A fingerprint is SHA-256 over everything that a rule can read of a principal, in an encoding in which no two principals
//! are alike: every part is counted or has its length before it, so that a caller who chooses the words of a claim can't
//! make them look like another's. It holds no secret and can't be turned back. The order of lists is part of it, as a rule
//! can tell it (`principal.roles[0]`); so are the bits of a double.

use std::ops::Deref;
use std::sync::OnceLock;

use aws_lc_rs::digest::{SHA256, digest};

use crate::model::{Action, Name, Principal, Value};

/// A principal on its way through one exchange. It can't change meanwhile, so its fingerprints are made once.
#[derive(Debug)]
pub struct Caller<'p> {
    principal: &'p Principal,
    identity: OnceLock<Fingerprint>,
    reports: OnceLock<Fingerprint>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint([u8; 32]);

impl<'p> Caller<'p> {
    pub fn new(principal: &'p Principal) -> Self {
        Self { principal, identity: OnceLock::new(), reports: OnceLock::new() }
    }

    /// Of all that a rule can read of the caller: for what is kept or made for one caller alone.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut written = Written::new();
        for Fingerprint(part) in [self.identity(), self.reports()] {
            written.0.extend_from_slice(&part);
        }
        written.fingerprint().0
    }

    /// Of all but the reports, of which there may be thousands that few tables ask for.
    pub(super) fn identity(&self) -> Fingerprint {
        // Memberships are not here: a rule knows the one tenant that an exchange is in. What is new here must be thought of.
        let Principal {
            id,
            issuer,
            method,
            roles,
            groups,
            attributes,
            scopes,
            reports: _,
            memberships: _,
            overreaches: _,
        } = self.principal;
        *self.identity.get_or_init(|| {
            let mut written = Written::new();
            written.text(id);
            written.text(issuer);
            written.text(method.name());
            written.texts(roles);
            written.texts(groups);
            written.count(attributes.len());
            for (name, value) in attributes {
                written.text(name);
                written.value(value);
            }
            written.count(scopes.as_ref().map_or(0, |scopes| 1 + scopes.len()));
            for scope in scopes.iter().flat_map(|scopes| scopes.iter()) {
                written.text(&scope.table);
                // An action has no empty name.
                written.text(scope.action.as_ref().map_or("", Action::name));
            }
            written.fingerprint()
        })
    }

    pub(super) fn reports(&self) -> Fingerprint {
        *self.reports.get_or_init(|| {
            let mut written = Written::new();
            written.texts(&self.principal.reports);
            written.fingerprint()
        })
    }
}

impl Deref for Caller<'_> {
    type Target = Principal;

    fn deref(&self) -> &Principal {
        self.principal
    }
}

/// What is hashed.
struct Written(Vec<u8>);

impl Written {
    /// With room for most callers.
    fn new() -> Self {
        Self(Vec::with_capacity(512))
    }

    fn count(&mut self, count: usize) {
        self.0.extend_from_slice(&(count as u64).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    fn texts(&mut self, texts: &[Name]) {
        self.count(texts.len());
        texts.iter().for_each(|text| self.text(text));
    }

    /// Recursion is bounded by the declared type of an attribute, and by the depth of a credential.
    fn value(&mut self, value: &Value) {
        let kind = match value {
            Value::Null => 0,
            Value::Bool(false) => 1,
            Value::Bool(true) => 2,
            Value::Int(_) => 3,
            Value::Double(_) => 4,
            Value::Decimal(_) => 5,
            Value::String(_) => 6,
            Value::Timestamp(_) => 7,
            Value::Duration(_) => 8,
            Value::List(_) => 9,
            Value::Map(_) => 10,
        };
        self.0.push(kind);
        match value {
            Value::Null | Value::Bool(_) => {}
            Value::Int(number) => self.0.extend_from_slice(&number.to_le_bytes()),
            Value::Double(number) => self.0.extend_from_slice(&number.to_bits().to_le_bytes()),
            // Equal decimals are printed alike.
            Value::Decimal(number) => self.text(&number.to_string()),
            Value::String(text) => self.text(text),
            Value::Timestamp(instant) => self.0.extend_from_slice(&instant.as_nanosecond().to_le_bytes()),
            Value::Duration(duration) => self.0.extend_from_slice(&duration.as_nanos().to_le_bytes()),
            Value::List(items) => {
                self.count(items.len());
                items.iter().for_each(|item| self.value(item));
            }
            Value::Map(members) => {
                self.count(members.len());
                for (name, member) in &**members {
                    self.text(name);
                    self.value(member);
                }
            }
        }
    }

    fn fingerprint(&self) -> Fingerprint {
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(digest(&SHA256, &self.0).as_ref()).for_each(|(to, from)| *to = *from);
        Fingerprint(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::model::value::Decimal;
    use crate::model::{Method, Scope, TenantScope};

    fn names(words: &[&str]) -> Vec<Name> {
        words.iter().map(|word| Name::from(*word)).collect()
    }

    fn principal() -> Principal {
        Principal {
            id: "u1".into(),
            issuer: "test".into(),
            method: Method::Jwt,
            roles: names(&["a", "b"]),
            groups: names(&["c"]),
            attributes: BTreeMap::from([("team".into(), Value::string("x"))]),
            reports: names(&["u2"]).into(),
            memberships: Vec::new(),
            overreaches: false,
            scopes: None,
        }
    }

    fn of(change: impl FnOnce(&mut Principal)) -> (Fingerprint, Fingerprint) {
        let mut principal = principal();
        change(&mut principal);
        let caller = Caller::new(&principal);
        let both = (caller.identity(), caller.reports());
        let other = self::principal();
        let other = Caller::new(&other);
        let is_same = both == (other.identity(), other.reports());
        assert_eq!(caller.fingerprint() == other.fingerprint(), is_same, "it is of both");
        both
    }

    fn with(value: Value) -> (Fingerprint, Fingerprint) {
        of(|principal| {
            principal.attributes.insert("team".into(), value);
        })
    }

    /// Every pair of these is of two callers, however alike they look when they are written one after the other.
    #[test]
    fn no_two_callers_look_alike() {
        let list = |items: Vec<Value>| with(Value::List(items.into()));
        let text = |text: &str| Value::string(text);
        let decimal = |digits: &str| with(Value::Decimal(Decimal::parse(digits).expect("a number")));
        let map = |members: &[(&str, Value)]| {
            let members: BTreeMap<Name, Value> =
                members.iter().map(|(name, value)| ((*name).into(), value.clone())).collect();
            with(Value::Map(Arc::new(members)))
        };
        let scopes = |words: &[(&str, Option<Action>)]| {
            let scope =
                |(table, action): &(&str, Option<Action>)| Scope { table: (*table).into(), action: action.clone() };
            let scopes = words.iter().map(scope).collect();
            of(|p| p.scopes = Some(scopes))
        };
        let all = [
            of(|_| {}),
            scopes(&[]),
            scopes(&[("a", None)]),
            scopes(&[("a", Some(Action::List))]),
            scopes(&[("a", Some(Action::Read))]),
            scopes(&[("a", None), ("list", None)]),
            scopes(&[("b", None)]),
            of(|p| p.id = "u1t".into()),
            of(|p| (p.id, p.issuer) = ("u1t".into(), "est".into())),
            of(|p| p.issuer = "other".into()),
            of(|p| p.method = Method::ApiKey),
            of(|p| p.roles = names(&["ab"])),
            of(|p| p.roles = names(&["a", "b", ""])),
            of(|p| p.roles = names(&["b", "a"])),
            of(|p| (p.roles, p.groups) = (names(&["a"]), names(&["b", "c"]))),
            of(|p| (p.roles, p.groups) = (names(&["a", "b", "c"]), names(&[]))),
            of(|p| p.attributes.clear()),
            of(|p| p.attributes = BTreeMap::from([("te".into(), text("amx"))])),
            of(|p| p.attributes = BTreeMap::from([("team".into(), text("x")), ("".into(), Value::Null)])),
            with(Value::Null),
            with(text("null")),
            with(text("")),
            with(text("x\0")),
            with(Value::Bool(true)),
            with(Value::Bool(false)),
            with(Value::Int(1)),
            with(Value::Int(-1)),
            with(Value::Int(i64::from_le_bytes(*b"aaaaaaaa"))),
            with(text("aaaaaaaa")),
            with(Value::Double(1.0)),
            with(Value::Double(0.0)),
            with(Value::Double(-0.0)),
            with(Value::Double(f64::NAN)),
            with(Value::Double(f64::INFINITY)),
            decimal("1"),
            decimal("1.01"),
            decimal("-1"),
            with(Value::Timestamp(jiff::Timestamp::UNIX_EPOCH)),
            with(Value::Duration(jiff::SignedDuration::ZERO)),
            list(vec![]),
            list(vec![Value::Null]),
            list(vec![text("x")]),
            list(vec![text("x"), text("y")]),
            list(vec![text("y"), text("x")]),
            list(vec![text("xy")]),
            list(vec![Value::List([text("x")].into()), text("y")]),
            list(vec![Value::List([text("x"), text("y")].into())]),
            map(&[]),
            map(&[("x", Value::Null)]),
            map(&[("x", text("y"))]),
            map(&[("xy", text(""))]),
        ];
        for (at, one) in all.iter().enumerate() {
            for other in &all[at + 1..] {
                assert_ne!(one.0, other.0);
            }
            assert_eq!(one.1, all[0].1, "the reports are the same");
        }
    }

    #[test]
    fn reports_have_a_fingerprint_of_their_own() {
        let all = [
            of(|_| {}),
            of(|p| p.reports = names(&[]).into()),
            of(|p| p.reports = names(&["u", "2"]).into()),
            of(|p| p.reports = names(&["u2", "u3"]).into()),
            of(|p| p.reports = names(&["u3", "u2"]).into()),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(all[at + 1..].iter().all(|other| other.1 != one.1));
            assert_eq!(one.0, all[0].0);
        }
    }

    #[test]
    fn the_same_caller_looks_the_same_whatever_it_is_a_member_of() {
        let tenant = TenantScope::new(&names(&["org"]), |_| Some("acme")).expect("whole");
        assert_eq!(of(|_| {}), of(|p| p.memberships = vec![tenant]));
        let decimal = |digits: &str| with(Value::Decimal(Decimal::parse(digits).expect("a number")));
        assert_eq!(decimal("1.50"), decimal("15e-1"), "equal values");
        assert_eq!(with(Value::Double(f64::NAN)), with(Value::Double(f64::NAN)));
    }
}
