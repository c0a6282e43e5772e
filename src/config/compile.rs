//! From a gateway file to a checked configuration.
//!
//! Every mistake is collected; a configuration exists only if there is none, a draft of it also beside mistakes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::raw::{distinct, path};
use super::secrets::Secrets;
use super::{Audit, Authn, Config, Draft, Fsync, Hierarchy, Limits, Listener, Paging, Places};
use super::{
    Coding, Hsts, browsers, coding, identity, limits, listeners, own, paging, proxies, rates, secrets, upstreams,
};
use crate::diagnostic::{self, Diagnostic};
use crate::files;
use crate::yaml::{self, Node, Reader};

const MIN_MASKING_KEY: usize = 16;

/// See [`Draft::read`].
pub(super) fn draft(path: &Path) -> (Option<Draft>, Vec<Diagnostic>) {
    let source = match files::source(path) {
        Ok(source) => source,
        Err(error) => return (None, vec![error]),
    };
    let mut reader = Reader::default();
    let draft = match yaml::parse(&source) {
        Ok(tree) => read(path, &tree, &source.text, &mut reader),
        Err(errors) => {
            reader.diagnostics = errors;
            None
        }
    };
    diagnostic::sort(&mut reader.diagnostics);
    (draft, reader.diagnostics)
}

/// `None` only beside an error, and so is each part that an empty one stands in for.
fn read(file: &Path, tree: &Node, source: &str, reader: &mut Reader) -> Option<Draft> {
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut fields = reader.fields(tree, "a gateway file");
    let sealed = fields.take("sealed_secrets").and_then(|node| secrets::sealed(node, folder, reader));
    let mut secrets = Secrets::read(fields.take("secrets"), sealed, folder, reader);
    let tenancy = fields.require("tenancy", reader).map(|node| identity::tenancy(node, reader));
    let dimensions = tenancy.as_ref().map_or(&[][..], |tenancy| &tenancy.dimensions);
    let listeners = fields.require("listeners", reader).map(|node| listeners::listeners(node, folder, reader));
    let admin =
        fields.take("admin").and_then(|node| listeners::admin(node, listeners.as_deref().unwrap_or_default(), reader));
    let trusted_proxies = fields.take("trusted_proxies").and_then(|node| proxies::trusted_proxies(node, reader));
    let upstreams = fields
        .require("upstreams", reader)
        .map(|node| upstreams::upstreams(node, folder, dimensions, &mut secrets, reader));
    let errors = reader.diagnostics.len();
    let principal = fields.require("principal", reader).map(|node| identity::principal(node, reader));
    let principal_holds = reader.diagnostics.len() == errors;
    let authn = fields.require("authn", reader).map(|node| {
        let none = super::PrincipalSchema::default();
        let schema = principal.as_ref().map_or(&none, |(schema, _)| schema);
        identity::authn(node, folder, schema, dimensions, &mut secrets, reader)
    });
    let authn = authn.map(|authn| whose_certificates(authn, listeners.as_deref().unwrap_or_default(), reader));
    let hierarchy = fields.take("hierarchy").map_or(Some(Hierarchy::None), |n| identity::hierarchy(n, folder, reader));
    let masking = fields.take("masking").map(|node| {
        let mut fields = reader.fields(node, "`masking`");
        let node = fields.require("key", reader);
        let key = node.and_then(|node| secrets.reference(node, "`key`", reader));
        // Who can try all keys can try all values behind a hash.
        if let (Some(node), Some(key)) = (node, &key)
            && key.expose().len() < MIN_MASKING_KEY
        {
            let message = format!("the secret that masks are made with needs at least {MIN_MASKING_KEY} bytes");
            reader.error("weak-secret", &node.span, message);
        }
        fields.finish(reader);
        key
    });
    let masks_with_key = masking.is_some();
    let limits = fields.take("limits").map_or_else(Limits::default, |node| limits::limits(node, reader));
    let paging = fields.take("paging").map_or_else(Paging::default, |node| paging::paging(node, &mut secrets, reader));
    let rates = fields.take("rates").map_or_else(Vec::new, |node| rates::rates(node, reader));
    let hsts = fields.take("hsts").map_or_else(Hsts::default, |node| browsers::hsts(node, reader));
    let cors = fields.take("cors").map(|node| browsers::cors(node, reader));
    let compression = fields
        .take("compression")
        .map_or_else(Vec::new, |node| coding::codings(node, "`compression`", &Coding::WRITTEN, reader));
    let audit = fields.require("audit", reader).and_then(|node| limits::audit(node, folder, reader));
    let apis = distinct(fields.require("apis", reader), "`apis`", reader);
    let policies = fields.require("policies", reader);
    let policies = path(policies, "`policies`", folder, reader);
    fields.finish(reader);
    let keyring = secrets.finish(reader);
    let (upstream_names, upstreams) = upstreams?;
    if let (Some(authn), Some(first)) = (&authn, dimensions.first()) {
        secrets::tenants_without(&upstreams, authn, first, &keyring, reader);
        own::tenants_without(&upstreams, authn, first, reader);
    }
    let none = Audit { file: PathBuf::new(), fsync: Fsync::Always, serve_without: false };
    let (principal, roles) = principal.unwrap_or_default();
    let described = apis.iter().map(|text| (folder.join(&text.value), text.span.clone()));
    let places = Places { roles, files: reader.named.drain(..).chain(described).collect() };
    let config = Config {
        path: file.to_owned(),
        listeners: listeners.unwrap_or_default(),
        admin,
        trusted_proxies,
        upstreams,
        keyring: Arc::new(keyring),
        principal,
        places,
        authn: authn.unwrap_or_default(),
        tenancy: tenancy.filter(|tenancy| !tenancy.dimensions.is_empty())?,
        hierarchy: hierarchy.unwrap_or(Hierarchy::None),
        apis: apis.iter().map(|text| folder.join(&text.value)).collect(),
        policies: policies.unwrap_or_default(),
        limits,
        paging,
        rates,
        hsts,
        cors,
        compression,
        audit: audit.unwrap_or(none),
        masking_key: masking.flatten(),
        hash: sha256(source),
    };
    Some(Draft { config, upstream_names, principal_holds, masks_with_key })
}

/// Certificates mean somebody only where a listener asks for them.
fn whose_certificates(mut authn: Authn, listeners: &[Listener], reader: &mut Reader) -> Authn {
    if let Some(certificates) = &mut authn.certificates {
        certificates.authorities = listeners::authorities(listeners);
        if certificates.authorities.is_empty() {
            let message = "no listener asks for certificates";
            reader.error("unknown-authority", &certificates.span, message).help =
                Some("give one `client_auth: { mode: optional, ca: clients.pem }`".to_owned());
        }
    }
    authn
}

fn sha256(text: &str) -> String {
    use std::fmt::Write;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a string takes all text");
        hex
    })
}

/// See [`super::policy_files`].
pub(super) fn policy_files(folder: &Path) -> Result<Vec<std::sync::Arc<diagnostic::Source>>, Vec<Diagnostic>> {
    let entries = fs::read_dir(folder).map_err(|error| vec![files::unreadable(folder, &error)])?;
    let mut paths: Vec<PathBuf> = Vec::new();
    let mut diagnostics = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| vec![files::unreadable(folder, &error)])?;
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        // Editors leave hidden files beside the one they edit.
        if name.starts_with('.') || path.is_dir() || name.ends_with("_test.yaml") {
            continue;
        }
        if name.ends_with(".yaml") {
            paths.push(path);
        } else if name.ends_with(".yml") {
            // A denial in it would be missing without a word.
            diagnostics.push(files::at(&path, "policy-name", "a policy's file must end in .yaml").help("rename it"));
        }
    }
    paths.sort();
    let mut sources = Vec::new();
    for path in paths {
        match files::source(&path) {
            Ok(source) => sources.push(source),
            Err(error) => diagnostics.push(error),
        }
    }
    diagnostic::sort(&mut diagnostics);
    if diagnostics.is_empty() { Ok(sources) } else { Err(diagnostics) }
}

#[cfg(test)]
mod tests;
