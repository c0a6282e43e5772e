//! Who manages whom, and from that all reports of one principal, transitively.
//!
//! Edges come from a file when the configuration is loaded, or from a table's rows whenever the gateway has read them.
//! A loop in the edges hands ownership upwards as well; it is reported and not followed twice.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Source, Span, has_errors};
use crate::model::Name;
use crate::yaml::{self, Reader};

/// More edges than this are refused, and with them every longer list of reports.
const MAX_EDGES: usize = 50_000;

/// More edges than the gateway holds; the last accepted ones stay in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the hierarchy has more than {MAX_EDGES} edges")]
pub struct TooManyEdges;

/// Manager -> direct reports.
#[derive(Debug, Default)]
pub(super) struct Reports(HashMap<Name, Vec<Name>>);

impl Reports {
    /// From pairs of an id and its manager's id.
    pub(super) fn new(edges: impl IntoIterator<Item = (Name, Name)>) -> Result<Self, TooManyEdges> {
        let mut direct: HashMap<Name, Vec<Name>> = HashMap::new();
        for (count, (id, manager)) in edges.into_iter().enumerate() {
            if count == MAX_EDGES {
                return Err(TooManyEdges);
            }
            direct.entry(manager).or_default().push(id);
        }
        Ok(Self(direct))
    }

    /// Everybody below `manager`, nearest first, each once and never `manager` itself.
    pub(super) fn of(&self, manager: &Name) -> Vec<Name> {
        let mut seen = HashSet::from([manager]);
        let mut found: Vec<Name> = Vec::new();
        let mut level: Vec<&Name> = vec![manager];
        while !level.is_empty() {
            level = level.into_iter().filter_map(|id| self.0.get(id)).flatten().filter(|id| seen.insert(id)).collect();
            found.extend(level.iter().map(|id| Arc::clone(id)));
        }
        found
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

/// Reads a file that maps each manager to a list of direct reports. Warnings: loops.
pub(super) fn load(path: &Path) -> Result<(Reports, Vec<Diagnostic>), Vec<Diagnostic>> {
    let source = super::read(path)?;
    compile(&source)
}

fn compile(source: &Arc<Source>) -> Result<(Reports, Vec<Diagnostic>), Vec<Diagnostic>> {
    let root = yaml::parse(source)?;
    let mut reader = Reader::default();
    let mut edges: Vec<(Name, Name)> = Vec::new();
    let mut places: HashMap<Name, Span> = HashMap::new();
    for (manager, reports) in reader.entries(&root, "the hierarchy") {
        let name: Name = manager.value.as_str().into();
        places.insert(Arc::clone(&name), manager.span.clone());
        for report in reader.texts(reports, "the list of direct reports") {
            edges.push((report.value.as_str().into(), Arc::clone(&name)));
        }
    }
    if has_errors(&reader.diagnostics) {
        return Err(reader.diagnostics);
    }
    let reports = Reports::new(edges)
        .map_err(|error| vec![Diagnostic::error("hierarchy-too-large", Span::new(source, 0..0), error.to_string())])?;
    let warnings = reports.loops().into_iter().filter_map(|id| {
        let message = format!("`{id}` is, through others, among its own reports");
        let warning = Diagnostic::warning("hierarchy-loop", places.get(&id)?.clone(), message);
        Some(warning.help("on a loop everybody manages everybody"))
    });
    let warnings = warnings.collect();
    Ok((reports, warnings))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reports(text: &str) -> (Reports, Vec<Diagnostic>) {
        compile(&Source::new("hierarchy.yaml", text)).expect("a hierarchy")
    }

    fn of(reports: &Reports, id: &str) -> String {
        reports.of(&id.into()).join(" ")
    }

    #[test]
    fn reports_are_transitive_and_hold_everybody_once() {
        let (reports, warnings) =
            reports("ceo: [vp, cfo]\nvp: [lead]\nlead: [rep, rep2]\ncfo: [rep2]\norphan: [nobody]\n");
        assert!(warnings.is_empty(), "{warnings:?}");
        assert_eq!(of(&reports, "ceo"), "vp cfo lead rep2 rep");
        assert_eq!(of(&reports, "lead"), "rep rep2");
        assert_eq!(of(&reports, "rep"), "");
        assert_eq!(of(&reports, "unknown"), "");
    }

    #[test]
    fn loops_end_and_are_reported_where_they_are_written() {
        let (reports, warnings) = reports("top: [a]\na: [b]\nb: [c]\nc: [a, leaf]\nself: [self]\n");
        let shown: Vec<_> = warnings.iter().map(|w| (w.span.position().0, w.code)).collect();
        assert_eq!(shown, [(2, "hierarchy-loop"), (5, "hierarchy-loop")]);
        assert_eq!(of(&reports, "a"), "b c leaf");
        assert_eq!(of(&reports, "self"), "");
    }

    #[test]
    fn wrong_files_are_errors_in_their_place() {
        for (text, code) in
            [("- a\n", "expected-mapping"), ("a: b\n", "expected-list"), ("a: [null]\n", "expected-text")]
        {
            let errors = compile(&Source::new("hierarchy.yaml", text)).err().unwrap_or_default();
            assert_eq!(errors.first().map(|e| e.code), Some(code), "{text}");
        }
    }

    #[test]
    fn more_edges_than_the_limit_are_refused_whole() {
        let edges = |count: usize| (0..count).map(|n| (n.to_string().into(), "boss".into()));
        assert!(Reports::new(edges(MAX_EDGES)).is_ok());
        assert_eq!(Reports::new(edges(MAX_EDGES + 1)).err(), Some(TooManyEdges));
    }
}
