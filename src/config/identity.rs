//! Who may come in: the principal's schema, issuers, API keys, tenancy and the hierarchy.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::browsers::origins;
use super::raw::{self, claim_path, distinct, duration, identifier, name, path, text};
use super::secrets::Secrets;
use super::tokens::{Context, introspection, jwt_issuer};
use super::{ApiKeys, Authn, ClientCertificates, Hierarchy, HierarchyTable, Ids, JwtIssuer, PrincipalSchema, Tenancy};
use crate::diagnostic::{Diagnostic, Span};
use crate::model::Name;
use crate::yaml::{Node, Reader, Text};

pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);
pub(super) const MIN_REFRESH: Duration = Duration::from_secs(30);
pub(super) const DEFAULT_REFRESH: Duration = Duration::from_secs(300);

/// With the places of its roles.
pub(super) fn principal(node: &Node, reader: &mut Reader) -> (PrincipalSchema, Vec<Span>) {
    let mut fields = reader.fields(node, "`principal`");
    let roles = distinct(fields.require("roles", reader), "`roles`", reader);
    let mut attributes = BTreeMap::new();
    if let Some(node) = fields.take("attributes") {
        for (word, node) in reader.entries(node, "`attributes`") {
            let Some(of) = reader.text(node, "an attribute's type") else { continue };
            let Some(found) = reader.field_type(&of) else { continue };
            attributes.insert(identifier(word, reader), found);
        }
    }
    fields.finish(reader);
    let places = roles.iter().map(|role| role.span.clone()).collect();
    (PrincipalSchema { roles: roles.iter().map(|role| role.value.as_str().into()).collect(), attributes }, places)
}

pub(super) fn tenancy(node: &Node, reader: &mut Reader) -> Tenancy {
    let mut fields = reader.fields(node, "`tenancy`");
    let dimensions = distinct(fields.require("dimensions", reader), "`dimensions`", reader);
    let choose_by = text(fields.take("choose_by"), "`choose_by`", reader);
    fields.finish(reader);
    Tenancy {
        dimensions: dimensions.iter().map(|word| identifier(word, reader)).collect(),
        choose_by: choose_by.and_then(|word| raw::header(&word, &["authorization", "x-api-key", "accept"], reader)),
    }
}

pub(super) fn authn(
    node: &Node,
    folder: &Path,
    schema: &PrincipalSchema,
    dimensions: &[Name],
    secrets: &mut Secrets,
    reader: &mut Reader,
) -> Authn {
    let mut fields = reader.fields(node, "`authn`");
    let named = fields.take("origins");
    let context = Context { folder, schema, dimensions, has_origins: named.is_some() };
    let origins = origins(named, reader);
    let mut jwt: Vec<JwtIssuer> = Vec::new();
    let issuers = fields.take("jwt").map_or(&[][..], |node| reader.list(node, "`jwt`"));
    for node in issuers {
        let Some((issuer, organizations)) = jwt_issuer(node, context, secrets, reader) else {
            continue;
        };
        if jwt.iter().any(|other| other.issuer == issuer.issuer) {
            let message = format!("the issuer `{}` is declared twice", issuer.issuer);
            reader.error("duplicate-issuer", &node.span, message);
            continue;
        }
        warn_of_strangers(&issuer.ids, &organizations, &jwt, reader);
        jwt.push(issuer);
    }
    let keys = fields.take("api_keys");
    let api_keys = keys.and_then(|node| {
        let mut fields = reader.fields(node, "`api_keys`");
        let file = path(fields.require("file", reader), "`file`", folder, reader);
        let key = fields.require("hash_key", reader).and_then(|node| secrets.reference(node, "`hash_key`", reader));
        let ids = Ids(name(fields.take("ids"), "`ids`", reader));
        fields.finish(reader);
        Some(ApiKeys { file: file?, key: key?, ids })
    });
    let node = fields.take("introspection");
    let introspection = node.and_then(|node| introspection(node, context, &jwt, secrets, reader));
    let revocations = fields.take("revocations").and_then(|node| {
        let mut fields = reader.fields(node, "`revocations`");
        let file = path(fields.require("file", reader), "`file`", folder, reader);
        fields.finish(reader);
        file
    });
    let certificates = fields.take("certificates");
    if issuers.is_empty() && keys.is_none() && node.is_none() && certificates.is_none() {
        reader.error("nobody-comes-in", &fields.head(), "`authn` declares no way to prove who one is").help =
            Some("declare `jwt`, `introspection`, `api_keys` or `certificates`".to_owned());
    }
    let certificates = certificates.and_then(|node| {
        let mut fields = reader.fields(node, "`certificates`");
        let file = path(fields.require("file", reader), "`file`", folder, reader);
        let ids = Ids(name(fields.take("ids"), "`ids`", reader));
        fields.finish(reader);
        Some(ClientCertificates { file: file?, ids, authorities: Vec::new(), span: node.span.clone() })
    });
    fields.finish(reader);
    Authn { origins, jwt, api_keys, introspection, certificates, revocations }
}

/// Two issuers that may speak for one organization may give one id to two people, who then own each other's records.
pub(super) fn warn_of_strangers(ids: &Ids, organizations: &[Text], others: &[JwtIssuer], reader: &mut Reader) {
    for word in organizations {
        let speaks = |other: &&JwtIssuer| other.organizations.iter().any(|name| **name == *word.value);
        let stranger = others.iter().filter(speaks).find(|other| !ids.are_those_of(&other.ids));
        let Some(stranger) = stranger else { continue };
        let message = format!(
            "`{}` may speak for `{}` too, and owners of records are told apart by `principal.id` alone",
            stranger.issuer, word.value
        );
        let warning = Diagnostic::warning("shared-organization", word.span.clone(), message);
        reader.diagnostics.push(warning.help(Ids::HELP));
    }
}

pub(super) fn hierarchy(node: &Node, folder: &Path, reader: &mut Reader) -> Option<Hierarchy> {
    let mut fields = reader.fields(node, "`hierarchy`");
    let (claim, file, table) = (fields.take("claim"), fields.take("file"), fields.take("table"));
    let (manager, refresh) = (fields.take("manager"), fields.take("refresh"));
    fields.finish(reader);
    if let (None, Some(node)) = (table, manager.or(refresh)) {
        reader.error("bad-hierarchy", &node.span, "`manager` and `refresh` belong to a `table`");
    }
    match (claim, file, table) {
        (Some(node), None, None) => {
            reader.text(node, "`claim`").and_then(|text| claim_path(&text, reader)).map(Hierarchy::Claim)
        }
        (None, file @ Some(_), None) => path(file, "`file`", folder, reader).map(Hierarchy::File),
        (None, None, table @ Some(_)) => {
            if manager.is_none() {
                reader.error("missing-key", &node.span, "`hierarchy` with `table` needs `manager`");
            }
            let refresh = match refresh {
                None => Some(DEFAULT_REFRESH),
                Some(node) => duration(node, "`refresh`", MIN_REFRESH..=DAY, reader),
            };
            let table = text(table, "`table`", reader);
            let manager = text(manager, "`manager`", reader);
            let (table, manager) = (table?, manager?);
            Some(Hierarchy::Table(HierarchyTable {
                table: table.value.as_str().into(),
                manager: manager.value.as_str().into(),
                refresh: refresh?,
                table_span: table.span,
                manager_span: manager.span,
            }))
        }
        _ => {
            reader.error("bad-hierarchy", &node.span, "`hierarchy` needs one of `claim`, `file` and `table`");
            None
        }
    }
}
