//! Path templates: `/contacts/{id}`, `/orgs/{tenant.organization_id}/contacts`.
//!
//! Templates are matched against decoded path segments and printed percent-encoded; text is never spliced.

use crate::model::{Name, TenantScope};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pub segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    Literal(Name),
    /// The record's key, or in an opaque route any one segment.
    Variable(Name),
    /// A tenant dimension: in a client's path it must equal the caller's.
    Tenant(Name),
}
impl Template {
    /// Reads a template that begins with `/`. The error is a message for the operator.
    pub fn parse(_text: &str) -> Result<Self, String> {
        todo!()
    }

    /// The values of the variables if the decoded segments match; tenant segments match only the value of the scope.
    pub fn matches(&self, _segments: &[String]) -> Option<Vec<(Name, String)>> {
        todo!()
    }

    /// The names of the variables, in order.
    pub fn variables(&self) -> impl Iterator<Item = &Name> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Variable(name) => Some(name),
            Segment::Literal(_) | Segment::Tenant(_) => None,
        })
    }

    /// Whether some path matches both.
    pub fn overlaps(&self, _other: &Self) -> bool {
        todo!()
    }

    /// The path to send: variables and dimensions percent-encoded as single segments. `None` if one is missing.
    pub fn expand(&self, _variables: &[(Name, String)], _tenant: &TenantScope) -> Option<String> {
        todo!()
    }
}
