//! What to do with an answer: where its records lie, by which residual each is judged, and what the caller asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::text;
use crate::api::{Catalog, FieldId, Place, TableId};
use crate::model::{Name, RecordKeys, TenantScope};
use crate::policy::Residual;
use crate::secret::Secret;

/// Everything needed to redact one answer.
#[derive(Debug)]
pub struct Plan {
    pub catalog: Arc<Catalog>,
    pub frame: Frame,
    pub root: Lens,
    pub tenant: TenantScope,
    /// Keys the masks `hash` and `tokenise`; without one they remove.
    pub masking_key: Option<Secret>,
    /// Nesting deeper than this is refused.
    pub depth: usize,
}

impl Plan {
    /// Whether what leaves may be sent before the whole answer was read.
    pub fn streams(&self) -> bool {
        match self.frame {
            Frame::List { .. } | Frame::Lines => true,
            Frame::Record(_) => false,
        }
    }
}

/// The envelope around the records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Records in an array at `records`. Numbers at `totals` and scalars at `keep` may speak of any record there is: they
    /// pass only if `exact` and while no record was dropped. Scalars at `echoes` say what was asked for, and pass. All other
    /// members are removed.
    List { records: Place, totals: Vec<Place>, keep: Vec<Place>, echoes: Vec<Place>, exact: bool },
    /// Records without an envelope, one a line (NDJSON).
    Lines,
    /// One record at the place.
    Record(Place),
}

impl Frame {
    pub fn media_type(&self) -> &'static str {
        match self {
            Self::List { .. } | Self::Record(_) => "application/json",
            Self::Lines => "application/x-ndjson",
        }
    }

    /// What stands before the records of an answer that holds nothing else.
    pub fn opening(&self) -> Vec<u8> {
        self.opening_with(&[])
    }

    /// As [`opening`](Self::opening), with numbers that lead the envelope, if there is one.
    pub fn opening_with(&self, lead: &[(&str, i64)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (depth, name) in self.place().iter().enumerate() {
            out.push(b'{');
            for (member, value) in lead.iter().filter(|_| depth == 0) {
                text::escape(member, &mut out);
                out.extend_from_slice(format!(":{value},").as_bytes());
            }
            text::escape(name, &mut out);
            out.push(b':');
        }
        if let Self::List { .. } = self {
            out.push(b'[');
        }
        out
    }

    /// What stands between two of them.
    pub fn between(&self) -> &'static [u8] {
        match self {
            Self::List { .. } | Self::Record(_) => b",",
            Self::Lines => b"\n",
        }
    }

    /// What stands after the last one, if there is any.
    pub fn closing(&self) -> Vec<u8> {
        let mut out = match self {
            Self::List { .. } => b"]".to_vec(),
            Self::Lines => b"\n".to_vec(),
            Self::Record(_) => Vec::new(),
        };
        out.extend(self.place().iter().map(|_| b'}'));
        out
    }

    fn place(&self) -> &[Name] {
        match self {
            Self::List { records: Place(names), .. } | Self::Record(Place(names)) => names,
            Self::Lines => &[],
        }
    }
}

/// One table as seen in this answer.
#[derive(Clone, Debug)]
pub struct Lens {
    pub residual: Arc<Residual>,
    /// What the client asked for; other fields are removed after they were read by rules. `None`: all.
    pub fields: Option<BTreeSet<FieldId>>,
    pub relations: Relations,
}

/// How expanded records are judged: by relation field. One that is not here is removed from the answer.
pub type Relations = BTreeMap<FieldId, Arc<Lens>>;

/// What was done to an answer, for audit and metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Root records in the answer.
    pub scanned: u64,
    /// Root records that were kept, and their keys (at most [`Tally::MAX_KEYS`]).
    pub kept: u64,
    pub keys: RecordKeys,
    /// Root and nested records dropped because no grant or a denial holds.
    pub dropped: u64,
    /// Root and nested records of other tenants, dropped.
    pub foreign: u64,
    /// Declared fields that were removed or masked: (table, field) -> (how, how often).
    pub fields: BTreeMap<(TableId, FieldId), (FieldChange, u64)>,
    /// Members that are not declared, removed.
    pub undeclared: u64,
    /// Grants that showed a record.
    pub granted: BTreeSet<Name>,
    /// Denials that hid one.
    pub denied: BTreeSet<Name>,
    /// Conditions that failed with an error.
    pub errors: u64,
}

impl Tally {
    pub const MAX_KEYS: usize = 1000;

    /// Root records that were dropped.
    pub fn root_dropped(&self) -> u64 {
        self.scanned.saturating_sub(self.kept)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FieldChange {
    Masked,
    Removed,
    /// Removed although it might show: it is not of its declared type.
    Mismatched,
}
