//! Which certificate is meant by a name: exact ones first, then a wildcard for one label (RFC 9525, section 6.3).
//!
//! Pure. A wildcard stands for the whole leftmost label and for nothing else; an address, a part of a label or a name with
//! the root's dot, which the library takes off a client's, is no name of a certificate.

use std::collections::HashMap;

use rustls_pki_types::DnsName;

/// Values by the names that certificates bear, in lower case.
#[derive(Debug)]
pub(super) struct Names<T> {
    exact: HashMap<String, T>,
    /// By what follows `*.`.
    wildcard: HashMap<String, T>,
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self { exact: HashMap::new(), wildcard: HashMap::new() }
    }
}

impl<T> Names<T> {
    /// Whose it is already, if it is taken. A name that no client can ask for is left out.
    pub(super) fn add(&mut self, name: &str, value: T) -> Option<&T> {
        let lower = name.to_ascii_lowercase();
        let (names, key) = match lower.strip_prefix("*.") {
            Some(parent) => (&mut self.wildcard, parent.to_owned()),
            None => (&mut self.exact, lower),
        };
        if !is_name(&key) {
            return None;
        }
        match names.entry(key) {
            std::collections::hash_map::Entry::Occupied(taken) => Some(taken.into_mut()),
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(value);
                None
            }
        }
    }

    pub(super) fn find(&self, name: &str) -> Option<&T> {
        let name = name.to_ascii_lowercase();
        if !is_name(&name) {
            return None;
        }
        self.exact.get(&name).or_else(|| self.wildcard.get(name.split_once('.')?.1))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.wildcard.is_empty()
    }
}

/// A DNS name without the root's dot.
fn is_name(text: &str) -> bool {
    DnsName::try_from(text).is_ok() && !text.ends_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_names_come_before_a_wildcard_for_one_label() {
        let mut names = Names::default();
        for (name, value) in [("crm.example", 1), ("*.crm.example", 2), ("A.crm.example", 3), ("*.internal", 4)] {
            assert_eq!(names.add(name, value), None, "{name}");
        }
        for (name, found) in [
            ("crm.example", Some(1)),
            ("CRM.Example", Some(1)),
            ("a.crm.example", Some(3)),
            ("b.crm.example", Some(2)),
            ("xn--bcher-kva.crm.example", Some(2)),
            ("db.internal", Some(4)),
            ("a.b.crm.example", None),
            ("internal", None),
            ("example", None),
            ("crm.example.", None),
            (".crm.example", None),
            ("*.crm.example", None),
            ("b*.crm.example", None),
            ("127.0.0.1", None),
            ("", None),
        ] {
            assert_eq!(names.find(name).copied(), found, "{name}");
        }
    }

    #[test]
    fn a_name_is_taken_once_and_what_is_no_name_never() {
        let mut names = Names::default();
        assert_eq!(names.add("*.crm.example", 1), None);
        assert_eq!(names.add("*.CRM.example", 2), Some(&1));
        for odd in ["f*.example", "*", "*.", "*.*.example", "a.*.example", "crm.example.", "10.0.0.1", "a b"] {
            assert_eq!(names.add(odd, 3), None, "{odd}");
            assert_eq!(names.add(odd, 3), None, "{odd}");
            assert_eq!(names.find(odd), None, "{odd}");
        }
        assert_eq!(names.find("foo.example"), None);
    }
}
