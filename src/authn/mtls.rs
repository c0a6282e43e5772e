//! Certificates of clients as identities: which principal is meant by a verified certificate's name.
//!
//! The listener has verified the certificate, and says which authority vouched for it. A name means somebody only under the
//! authority that the file says; a certificate that no entry names is nobody, and one that several name is refused.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::{Parts, Refused, api_key};
use crate::config::{ClientCertificates, Hierarchy};
use crate::diagnostic::{Diagnostic, Span, has_errors, nearest};
use crate::model::{Method, Name, Principal};
use crate::pki::{Attribute, Peer};
use crate::yaml::{self, Node, Reader, Text};

/// A certificate with more names is not read.
const MAX_NAMES: usize = 64;
/// The keys of a subject, as they are written.
const SUBJECT: [(&str, Attribute); 3] =
    [("common_name", Attribute::CommonName), ("organization", Attribute::Organization), ("unit", Attribute::Unit)];

/// The clients of one file.
#[derive(Debug, Default)]
pub(super) struct Clients {
    principals: Vec<Arc<Principal>>,
    /// By the authority that vouches and a name, or what a name lies below.
    named: HashMap<(Name, Kind, String), usize>,
    subjects: Vec<(Name, BTreeMap<Attribute, String>, usize)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Dns,
    /// One label below.
    BelowDns,
    Uri,
    /// One segment below.
    BelowUri,
    Email,
}

/// What an entry is matched by.
enum Pattern {
    Name(Kind, String),
    Subject(BTreeMap<Attribute, String>),
}

impl Clients {
    /// Warnings: clients that speak for an organization of an issuer.
    pub(super) fn load(
        file: &ClientCertificates,
        parts: &Parts<'_>,
    ) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        let source = super::read(&file.file)?;
        let root = yaml::parse(&source)?;
        let mut reader = Reader::default();
        let mut fields = reader.fields(&root, "the file of clients");
        let list =
            fields.require("clients", &mut reader).map(|node| reader.list(node, "`clients`")).unwrap_or_default();
        fields.finish(&mut reader);
        let (mut clients, mut tenants) = (Self::default(), Vec::new());
        for node in list {
            let Some((authority, pattern, place, principal)) = client(node, file, parts, &mut tenants, &mut reader)
            else {
                continue;
            };
            if !clients.add(authority, pattern, principal) {
                reader.error("duplicate-client", &place, "another entry names the same certificates");
            }
        }
        if has_errors(&reader.diagnostics) {
            return Err(reader.diagnostics);
        }
        reader.diagnostics.extend(api_key::strangers(&tenants, &file.ids, parts));
        Ok((clients, reader.diagnostics))
    }

    /// Values of the first dimension that any client speaks for.
    pub(super) fn organizations(&self) -> impl Iterator<Item = Name> {
        let memberships = self.principals.iter().flat_map(|principal| &principal.memberships);
        memberships.filter_map(|tenant| tenant.dimensions().next()).map(|(_, value)| Name::clone(value))
    }

    /// Who is meant by a certificate. Errors: nobody, or more than one.
    pub(super) fn authenticate(&self, peer: &Peer) -> Result<Arc<Principal>, Refused> {
        let facts = &peer.facts;
        if facts.dns.len() + facts.uris.len() + facts.emails.len() > MAX_NAMES {
            return Err(Refused::Certificate);
        }
        let mut found = BTreeSet::new();
        let mut look = |kind, name: &str| {
            found.extend(self.named.get(&(Name::clone(&peer.authority), kind, name.to_owned())));
        };
        for name in &facts.dns {
            let name = name.to_ascii_lowercase();
            look(Kind::Dns, &name);
            name.split_once('.').into_iter().for_each(|(_, parent)| look(Kind::BelowDns, parent));
        }
        for uri in &facts.uris {
            look(Kind::Uri, uri);
            let below = uri.rsplit_once('/').filter(|(_, segment)| is_segment(segment));
            below.into_iter().for_each(|(parent, _)| look(Kind::BelowUri, parent));
        }
        facts.emails.iter().for_each(|email| look(Kind::Email, email));
        let subjects = self.subjects.iter().filter(|(authority, wanted, _)| {
            let holds = |(attribute, value): (&Attribute, &String)| {
                // One of two values would be the choice of whoever asked for the certificate.
                let mut held = facts.subject.iter().filter(|(held, _)| held == attribute).map(|(_, value)| value);
                held.next() == Some(value) && held.next().is_none()
            };
            *authority == peer.authority && wanted.iter().all(holds)
        });
        found.extend(subjects.map(|(_, _, index)| index));
        let mut principals = found.into_iter().filter_map(|index: &usize| self.principals.get(*index));
        match (principals.next(), principals.next()) {
            (Some(principal), None) => Ok(Arc::clone(principal)),
            (None, _) => Err(Refused::Certificate),
            (Some(_), Some(_)) => Err(Refused::Several),
        }
    }

    /// False if a certificate could be meant by this and another entry.
    fn add(&mut self, authority: Name, pattern: Pattern, principal: Principal) -> bool {
        let index = self.principals.len();
        let free = match pattern {
            Pattern::Subject(wanted) => {
                let same = |(other, known, _): &&(Name, BTreeMap<Attribute, String>, usize)| {
                    let agrees =
                        |(attribute, value): (&Attribute, &String)| known.get(attribute).is_none_or(|k| k == value);
                    *other == authority && wanted.iter().all(agrees)
                };
                let free = self.subjects.iter().find(same).is_none();
                self.subjects.push((authority, wanted, index));
                free
            }
            Pattern::Name(kind, name) => {
                let taken =
                    |kind, name: &str| self.named.contains_key(&(Name::clone(&authority), kind, name.to_owned()));
                let among = |kind, separator: char| {
                    let below = |known: &str| match separator {
                        '.' => known.split_once('.').is_some_and(|(_, parent)| parent == name),
                        _ => known.rsplit_once('/').is_some_and(|(parent, _)| parent == name),
                    };
                    self.named.keys().any(|(other, known, text)| *other == authority && *known == kind && below(text))
                };
                let clashes = match kind {
                    Kind::Dns => name.split_once('.').is_some_and(|(_, parent)| taken(Kind::BelowDns, parent)),
                    Kind::Uri => name.rsplit_once('/').is_some_and(|(parent, _)| taken(Kind::BelowUri, parent)),
                    Kind::BelowDns => among(Kind::Dns, '.'),
                    Kind::BelowUri => among(Kind::Uri, '/'),
                    Kind::Email => false,
                };
                self.named.insert((authority, kind, name), index).is_none() && !clashes
            }
        };
        self.principals.push(Arc::new(principal));
        free
    }
}

/// `tenants`: takes those of the client, with their places.
fn client(
    node: &Node,
    file: &ClientCertificates,
    parts: &Parts<'_>,
    tenants: &mut Vec<(crate::model::TenantScope, Span)>,
    reader: &mut Reader,
) -> Option<(Name, Pattern, Span, Principal)> {
    let mut fields = reader.fields(node, "a client");
    let certificate = fields.require("certificate", reader);
    let pattern = certificate.and_then(|node| pattern(node, reader));
    let authority = fields.take("authority").and_then(|node| reader.text(node, "`authority`"));
    let principal = fields.require("principal", reader).and_then(|node| api_key::principal(node, parts, reader));
    let memberships = api_key::memberships(&mut fields, "a client", parts, reader);
    let reports = fields.take("reports").map(|node| {
        if !matches!(parts.hierarchy, Hierarchy::Claim(_)) {
            let message = "`reports` has no effect unless the hierarchy comes from a claim";
            reader.error("unused-reports", &node.span, message);
        }
        api_key::ids(node, "`reports`", reader)
    });
    fields.finish(reader);
    let (authority, place): (Name, &Span) = match &authority {
        None => (ClientCertificates::AUTHORITY.into(), &node.span),
        Some(text) => (text.value.as_str().into(), &text.span),
    };
    if !file.authorities.contains(&authority) {
        let known = file.authorities.iter().map(|name| &**name);
        let help = match nearest(&authority, known.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("authorities of listeners: {}", known.collect::<Vec<_>>().join(", ")),
        };
        let message = format!("no listener knows the authority `{authority}`");
        reader.error("unknown-authority", place, message).help = Some(help);
    }
    let scopes = memberships.iter().map(|(scope, _)| scope.clone()).collect();
    tenants.extend(memberships);
    let principal = Principal {
        issuer: format!("certificates:{authority}").into(),
        method: Method::Certificate,
        memberships: scopes,
        reports: reports.unwrap_or_default().into(),
        ..principal?
    };
    Some((authority, pattern?, certificate.map_or_else(|| node.span.clone(), |node| node.span.clone()), principal))
}

/// One of `dns`, `uri`, `email` and `subject`.
fn pattern(node: &Node, reader: &mut Reader) -> Option<Pattern> {
    let mut fields = reader.fields(node, "`certificate`");
    let (dns, uri, email) = (fields.take("dns"), fields.take("uri"), fields.take("email"));
    let subject = fields.take("subject");
    fields.finish(reader);
    match (dns, uri, email, subject) {
        (Some(node), None, None, None) => {
            let text = reader.text(node, "`dns`")?;
            let lower = text.value.to_ascii_lowercase();
            let (kind, name) = match lower.strip_prefix("*.") {
                Some(parent) => (Kind::BelowDns, parent.to_owned()),
                None => (Kind::Dns, lower),
            };
            let sound = rustls_pki_types::DnsName::try_from(name.as_str()).is_ok() && !name.ends_with('.');
            named(sound, kind, name, &text, "for example crm.example.com or *.svc.example.com, one label", reader)
        }
        (None, Some(node), None, None) => {
            let text = reader.text(node, "`uri`")?;
            let (kind, name) = match text.value.strip_suffix("/*") {
                Some(parent) => (Kind::BelowUri, parent.to_owned()),
                None => (Kind::Uri, text.value.clone()),
            };
            let sound = name.split_once("://").is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty())
                && !name.contains(|c: char| c == '*' || c.is_whitespace() || c.is_control());
            named(
                sound,
                kind,
                name,
                &text,
                "for example spiffe://acme/crm, or spiffe://acme/crm/* for one segment",
                reader,
            )
        }
        (None, None, Some(node), None) => {
            let text = reader.text(node, "`email`")?;
            let sound = text.value.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty())
                && !text.value.contains('*');
            named(
                sound,
                Kind::Email,
                text.value.clone(),
                &text,
                "for example sync@example.com, letter for letter",
                reader,
            )
        }
        (None, None, None, Some(node)) => subject_pattern(node, reader),
        _ => {
            let message = "`certificate` needs one of `dns`, `uri`, `email` and `subject`";
            reader.error("bad-certificate", &node.span, message);
            None
        }
    }
}

fn named(sound: bool, kind: Kind, name: String, text: &Text, help: &str, reader: &mut Reader) -> Option<Pattern> {
    if !sound {
        let message = format!("no certificate bears the name `{}`", text.value);
        reader.error("bad-certificate", &text.span, message).help = Some(help.to_owned());
        return None;
    }
    Some(Pattern::Name(kind, name))
}

fn subject_pattern(node: &Node, reader: &mut Reader) -> Option<Pattern> {
    let mut fields = reader.fields(node, "`subject`");
    let mut wanted = BTreeMap::new();
    for (key, attribute) in SUBJECT {
        let text = fields.take(key).and_then(|node| reader.text(node, "a part of the subject"));
        wanted.extend(text.filter(|text| !text.value.is_empty()).map(|text| (attribute, text.value)));
    }
    fields.finish(reader);
    if !wanted.contains_key(&Attribute::CommonName) {
        let message = "`subject` needs `common_name`";
        reader.error("bad-certificate", &node.span, message).help =
            Some("subject: { common_name: sync, organization: Acme }".to_owned());
        return None;
    }
    Some(Pattern::Subject(wanted))
}

/// One segment of a path that means itself.
fn is_segment(text: &str) -> bool {
    !matches!(text, "" | "." | "..") && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
}

#[cfg(test)]
mod tests;
