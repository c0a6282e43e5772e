//! Who reports to whom in one tenant, and from that all reports of one manager.
//!
//! Built once and never changed. Whoever manages themselves, or is managed by nobody who is known, hands nothing down; a
//! loop hands ownership to everybody on it. All three are reported, and no edge is followed twice.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::model::Name;

/// Manager -> direct reports, each sorted and once.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Edges(HashMap<Name, Vec<Name>>);

/// What is odd about a hierarchy: ids, sorted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Faults {
    /// One id on each loop.
    pub(super) loops: Vec<Name>,
    /// They manage themselves.
    pub(super) selves: Vec<Name>,
    /// Their manager is nobody in this tenant.
    pub(super) orphans: Vec<Name>,
}

impl Faults {
    pub(super) fn is_empty(&self) -> bool {
        self.loops.is_empty() && self.selves.is_empty() && self.orphans.is_empty()
    }
}

impl Edges {
    /// From everybody in a tenant and their manager, where they have one.
    pub(super) fn of_people(people: &BTreeMap<Name, Option<Name>>) -> (Self, Faults) {
        let mut faults = Faults::default();
        let edges = people.iter().filter_map(|(id, manager)| {
            let manager = manager.as_ref()?;
            if manager == id {
                faults.selves.push(Arc::clone(id));
            } else if people.contains_key(manager) {
                return Some((Arc::clone(manager), Arc::clone(id)));
            } else {
                faults.orphans.push(Arc::clone(id));
            }
            None
        });
        let edges = Self::new(edges);
        faults.loops = edges.loops();
        (edges, faults)
    }

    /// From pairs of a manager and a report.
    pub(super) fn new(pairs: impl IntoIterator<Item = (Name, Name)>) -> Self {
        let mut direct: HashMap<Name, Vec<Name>> = HashMap::new();
        for (manager, report) in pairs {
            direct.entry(manager).or_default().push(report);
        }
        for reports in direct.values_mut() {
            reports.sort();
            reports.dedup();
        }
        Self(direct)
    }

    /// Everybody below `manager`, nearest first, each once and never `manager` itself.
    pub(super) fn reports(&self, manager: &Name) -> Arc<[Name]> {
        let mut seen = HashSet::from([manager]);
        let mut found: Vec<Name> = Vec::new();
        let mut level: Vec<&Name> = vec![manager];
        while !level.is_empty() {
            level = level.into_iter().flat_map(|id| self.direct(id)).filter(|id| seen.insert(id)).collect();
            found.extend(level.iter().map(|id| Arc::clone(id)));
        }
        found.into()
    }

    /// An id on each loop, sorted; empty for a forest. Depth first without recursion: an edge to an id that is still
    /// open closes a loop.
    pub(super) fn loops(&self) -> Vec<Name> {
        let mut open: HashMap<&Name, bool> = HashMap::new();
        let mut loops = Vec::new();
        let mut starts: Vec<&Name> = self.0.keys().collect();
        starts.sort();
        for start in starts {
            if open.contains_key(start) {
                continue;
            }
            open.insert(start, true);
            let mut path = vec![(start, self.direct(start).iter())];
            while let Some((id, reports)) = path.last_mut() {
                let Some(report) = reports.next() else {
                    open.insert(id, false);
                    path.pop();
                    continue;
                };
                match open.get(report) {
                    Some(true) => loops.push(Arc::clone(report)),
                    Some(false) => {}
                    None => {
                        open.insert(report, true);
                        path.push((report, self.direct(report).iter()));
                    }
                }
            }
        }
        loops.sort();
        loops.dedup();
        loops
    }

    fn direct(&self, manager: &Name) -> &[Name] {
        self.0.get(manager).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `id<manager`, or an id alone.
    fn people(text: &str) -> (Edges, Faults) {
        let person = |word: &str| match word.split_once('<') {
            Some((id, manager)) => (Name::from(id), Some(Name::from(manager))),
            None => (Name::from(word), None),
        };
        Edges::of_people(&text.split(' ').map(person).collect())
    }

    fn of(edges: &Edges, id: &str) -> String {
        edges.reports(&id.into()).join(" ")
    }

    #[test]
    fn reports_are_transitive_and_hold_everybody_once() {
        let (edges, faults) = people("ceo vp<ceo cfo<ceo lead<vp rep<lead rep2<lead");
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(of(&edges, "ceo"), "cfo vp lead rep rep2");
        assert_eq!(of(&edges, "lead"), "rep rep2");
        assert_eq!(of(&edges, "rep"), "");
        assert_eq!(of(&edges, "unknown"), "");
        let pair = |manager: &str, report: &str| (Name::from(manager), Name::from(report));
        let two = Edges::new([pair("a", "c"), pair("b", "c"), pair("top", "a"), pair("top", "b"), pair("a", "c")]);
        assert_eq!(of(&two, "top"), "a b c");
    }

    #[test]
    fn loops_end_and_everybody_on_one_manages_everybody() {
        let (edges, faults) = people("top a<c b<a c<b leaf<c x<y y<x");
        let names = |list: &[&str]| -> Vec<Name> { list.iter().map(|name| Name::from(*name)).collect() };
        assert_eq!(faults.loops, names(&["a", "x"]));
        assert_eq!(of(&edges, "a"), "b c leaf");
        assert_eq!(of(&edges, "c"), "a leaf b");
        assert_eq!(of(&edges, "leaf"), "");
    }

    #[test]
    fn who_manages_themselves_or_is_nobody_here_manages_nobody() {
        let (edges, faults) = people("self<self under<self lost<gone below<lost");
        assert_eq!((faults.selves.join(" "), faults.orphans.join(" ")), ("self".to_owned(), "lost".to_owned()));
        assert_eq!(of(&edges, "self"), "under");
        assert_eq!(of(&edges, "gone"), "", "an id that is not in the tenant would reach into it");
        assert_eq!(of(&edges, "lost"), "below");
    }

    #[test]
    fn a_chain_of_fifty_thousand_is_followed_without_recursion() {
        let id = |n: usize| Name::from(format!("{n:05}"));
        let chain = (0..50_000).map(|n| (id(n), (n > 0).then(|| id(n - 1)))).collect();
        let (edges, faults) = Edges::of_people(&chain);
        assert!(faults.is_empty());
        assert_eq!(edges.reports(&id(0)).len(), 49_999);
    }
}
