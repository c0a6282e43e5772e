//! What an upstream is shown in place of the client's credentials: one for all tenants, or to each tenant its own.
//!
//! A tenant's own secret is found by its name, in which the tenant's values stand percent-encoded, each for a whole part
//! between slashes: no value of a tenant can be written so that another's name comes out.

use http::HeaderName;

use super::raw::{header, text};
use super::secrets::Secrets;
use crate::diagnostic::Span;
use crate::model::{Name, TenantScope, percent};
use crate::secret::Secret;
use crate::yaml::{Node, Reader, Text};

#[derive(Debug)]
pub struct Credential {
    pub header: HeaderName,
    /// What stands before the secret.
    pub scheme: &'static str,
    pub secret: Choice,
    /// Where the file names the secret.
    pub span: Span,
}

/// Which secret is shown for a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The same for all.
    One(Name),
    /// Its own; else the one that is declared for all others, if one is.
    Own { pattern: Pattern, otherwise: Option<Name> },
}

/// The names of tenants' own secrets: `crm-token/{organization_id}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Word(Name),
    Dimension(Name),
}

impl Choice {
    /// By which dimensions tenants have their own, and nothing else.
    pub(super) fn own(&self) -> Vec<Name> {
        match self {
            Self::Own { pattern, otherwise: None } => pattern.dimensions().cloned().collect(),
            // Whoever has none is shown as all others are.
            Self::Own { otherwise: Some(_), .. } | Self::One(_) => Vec::new(),
        }
    }
}

impl Pattern {
    /// Reads a name with dimensions in braces, at least one.
    fn parse(word: &Text, dimensions: &[Name], reader: &mut Reader) -> Option<Self> {
        let mut parts = Vec::new();
        for part in word.value.split('/') {
            let inner = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
            match inner.unwrap_or(part) {
                "" => {
                    reader.error("bad-credential", &word.span, "a part of the secret's name is empty");
                    return None;
                }
                text if text.contains(['{', '}']) => {
                    let message = format!("a dimension must be all that stands between two slashes, not `{part}`");
                    reader.error("bad-credential", &word.span, message).help =
                        Some("for example crm-token/{organization_id}".to_owned());
                    return None;
                }
                name if inner.is_some() => {
                    // Without any, `tenancy` has a mistake of its own.
                    if !dimensions.is_empty() && !dimensions.iter().any(|known| **known == *name) {
                        let known = dimensions.iter().map(|name| &**name);
                        super::raw::unknown(
                            "dimension",
                            "unknown-dimension",
                            &word.meaning(name.to_owned()),
                            known,
                            reader,
                        );
                        return None;
                    }
                    parts.push(Part::Dimension(name.into()));
                }
                text => parts.push(Part::Word(text.into())),
            }
        }
        Some(Self(parts))
    }

    /// The name of a tenant's own. `None`: the tenant lacks a dimension.
    pub fn of(&self, tenant: &TenantScope) -> Option<String> {
        let mut name = String::new();
        for part in &self.0 {
            if !name.is_empty() {
                name.push('/');
            }
            match part {
                Part::Word(word) => name.push_str(word),
                Part::Dimension(dimension) => percent::encode(tenant.value(dimension)?, &mut name),
            }
        }
        Some(name)
    }

    fn dimensions(&self) -> impl Iterator<Item = &Name> {
        self.0.iter().filter_map(|part| match part {
            Part::Dimension(name) => Some(name),
            Part::Word(_) => None,
        })
    }

    /// Whether some tenant's own is called so.
    pub fn fits(&self, name: &str) -> bool {
        self.matches(name, |_, value| is_encoded(value))
    }

    /// Whether the own one of a tenant with that value in one dimension is called so.
    pub fn fits_with(&self, name: &str, dimension: &str, value: &str) -> bool {
        let mut encoded = String::new();
        percent::encode(value, &mut encoded);
        self.matches(name, |of, part| if of == dimension { part == encoded } else { is_encoded(part) })
    }

    fn matches(&self, name: &str, fits: impl Fn(&str, &str) -> bool) -> bool {
        let parts: Vec<&str> = name.split('/').collect();
        parts.len() == self.0.len()
            && self.0.iter().zip(parts).all(|(pattern, part)| match pattern {
                Part::Word(word) => **word == *part,
                Part::Dimension(dimension) => fits(dimension, part),
            })
    }
}

/// Whether a text is some value, encoded in the one way.
pub(super) fn is_encoded(text: &str) -> bool {
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let escaped = |digit: Option<u8>| {
            let digit = digit.filter(|digit| !digit.is_ascii_lowercase())?;
            char::from(digit).to_digit(16)
        };
        let stands = match byte {
            b'%' => escaped(rest.next())
                .zip(escaped(rest.next()))
                .and_then(|(high, low)| u8::try_from(high << 4 | low).ok())
                .is_some_and(|byte| !percent::is_unreserved(byte)),
            byte => percent::is_unreserved(byte),
        };
        if !stands {
            return false;
        }
    }
    !text.is_empty()
}

/// Reads `credential`.
pub(super) fn credential(
    node: &Node,
    dimensions: &[Name],
    secrets: &mut Secrets,
    reader: &mut Reader,
) -> Option<Credential> {
    let mut fields = reader.fields(node, "`credential`");
    let (bearer, own_header) = (fields.take("bearer"), fields.take("header"));
    fields.finish(reader);
    let (mut fields, header) = match (bearer, own_header) {
        (Some(node), None) => (reader.fields(node, "`bearer`"), None),
        (None, Some(node)) => {
            let mut fields = reader.fields(node, "`header`");
            let name = text(fields.require("name", reader), "`name`", reader);
            (fields, Some(name.and_then(|name| header(&name, &[], reader))))
        }
        _ => {
            reader.error("bad-credential", &node.span, "`credential` needs one of `bearer` and `header`");
            return None;
        }
    };
    let secret = text(fields.require("secret", reader), "`secret`", reader);
    let otherwise = fields.take("default");
    fields.finish(reader);
    let secret = secret?;
    let choice = choice(&secret, otherwise, dimensions, secrets, reader);
    let (header, scheme) = match header {
        None => (http::header::AUTHORIZATION, "Bearer "),
        Some(name) => (name?, ""),
    };
    Some(Credential { header, scheme, secret: choice?, span: secret.span })
}

fn choice(
    word: &Text,
    otherwise: Option<&Node>,
    dimensions: &[Name],
    secrets: &mut Secrets,
    reader: &mut Reader,
) -> Option<Choice> {
    let mut one = |word: &Text, reader: &mut Reader| {
        let secret = secrets.named(word, reader)?;
        sendable(&word.value, &secret, &word.span, reader).then(|| Name::from(word.value.as_str()))
    };
    if !word.value.contains(['{', '}']) {
        if let Some(node) = otherwise {
            let message = "`default` has no meaning where all tenants have the same secret";
            reader.error("bad-credential", &node.span, message).help =
                Some("name the tenants' own by a dimension, for example crm-token/{organization_id}".to_owned());
        }
        return one(word, reader).map(Choice::One);
    }
    let otherwise = otherwise.map(|node| reader.text(node, "`default`").and_then(|word| one(&word, reader)));
    let pattern = Pattern::parse(word, dimensions, reader)?;
    let own = secrets.own(&pattern, word);
    let unsendable = own.iter().filter(|(name, secret)| !sendable(name, secret, &word.span, reader)).count();
    if unsendable > 0 {
        return None;
    }
    match otherwise {
        None => Some(Choice::Own { pattern, otherwise: None }),
        Some(name) => Some(Choice::Own { pattern, otherwise: Some(name?) }),
    }
}

/// Whether a secret can be the value of a header; if not, that is a mistake.
fn sendable(name: &str, secret: &Secret, span: &Span, reader: &mut Reader) -> bool {
    let plain = is_plain(secret);
    if !plain {
        let message = format!("the secret `{name}` can't be sent in a header: it has other than plain characters");
        reader.error("bad-secret", span, message);
    }
    plain
}

/// Of what alone the value of a header is made here.
pub fn is_plain(secret: &Secret) -> bool {
    !secret.expose().is_empty() && secret.expose().iter().all(|byte| (b'!'..=b'~').contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dimensions() -> Vec<Name> {
        vec!["organization_id".into(), "app_id".into()]
    }

    fn pattern(text: &str) -> Pattern {
        let mut reader = Reader::default();
        Pattern::parse(&Text::whole(text), &dimensions(), &mut reader).expect("it parses")
    }

    fn tenant(organization: &str, app: &str) -> TenantScope {
        let value = |name: &str| Some(if name == "app_id" { app } else { organization });
        TenantScope::new(&dimensions(), value).expect("a tenant")
    }

    #[test]
    fn no_two_tenants_come_to_one_name() {
        let both = pattern("crm/{organization_id}/{app_id}");
        let values = ["a", "b", "a/b", "b/c", "/", "%", "a%2Fb", "a b", "é", "..", ".", "A", "{app_id}", "a/", "*"];
        let mut names = std::collections::BTreeSet::new();
        for organization in values {
            for app in values {
                let name = both.of(&tenant(organization, app)).expect("a name");
                assert!(both.fits(&name) && both.fits_with(&name, "organization_id", organization), "{name}");
                assert!(!pattern("crm/{organization_id}").fits(&name), "{name}");
                assert!(names.insert(name), "{organization:?} and {app:?} have another's name");
            }
        }
        assert_eq!(both.of(&tenant("a/b", "c")).as_deref(), Some("crm/a%2Fb/c"));
    }

    #[test]
    fn only_what_a_tenant_can_come_to_fits() {
        let own = pattern("crm/{organization_id}");
        for name in ["crm/acme", "crm/a%2Fb", "crm/a-b._~", "crm/%C3%A9"] {
            assert!(own.fits(name), "{name}");
        }
        for name in
            ["crm", "crm/", "crm/a/b", "other/acme", "crm/a%2fb", "crm/%41", "crm/a%", "crm/a%2", "crm/a b", "crm/é"]
        {
            assert!(!own.fits(name), "{name}");
        }
        assert!(!own.fits_with("crm/acme", "organization_id", "acm"));
    }

    #[test]
    fn a_name_that_can_be_read_in_two_ways_is_refused() {
        for text in [
            "crm-{organization_id}",
            "{organization_id}{app_id}",
            "{organization}",
            "{}",
            "{app_id",
            "a}",
            "a//{app_id}",
            "{{app_id}}",
        ] {
            let mut reader = Reader::default();
            assert_eq!(Pattern::parse(&Text::whole(text), &dimensions(), &mut reader), None, "{text}");
            assert_eq!(reader.diagnostics.len(), 1, "{text}");
        }
    }
}
