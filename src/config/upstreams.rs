//! The services behind the gateway: where they are, how they are reached, and what they are shown.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::credential::{Credential, credential};
use super::own::{OwnCertificates, is_own, own_certificates};
use super::raw::{self, distinct, duration, path, text, warn};
use super::secrets::Secrets;
use super::{Coding, coding};
use crate::diagnostic::Span;
use crate::model::Name;
use crate::yaml::{Node, Reader};

/// How long a resolved name is used before it is looked up again.
const RESOLVE_EVERY: Duration = Duration::from_secs(30);
const EJECTION: Health = Health { failures: 5, time: Duration::from_secs(10) };
const BREAKER: Health = Health { failures: 20, time: Duration::from_secs(5) };
/// How often an address is asked whether it serves, how long its answer may take, and how many may be missing in a row.
const CHECK_EVERY: Duration = Duration::from_secs(10);
const CHECK_TIME: Duration = Duration::from_secs(1);
const CHECK_FAILURES: u32 = 3;

#[derive(Debug)]
pub struct Upstream {
    pub name: Name,
    pub scheme: Scheme,
    /// A host name or address, as in the URL but without brackets.
    pub host: String,
    /// What its certificate must bear. Never empty, which would turn verification off in the TLS stack.
    pub server_name: String,
    pub port: u16,
    /// A path in front of every route, without a trailing slash.
    pub base_path: String,
    /// With where the file names it. `None`: the system's authorities.
    pub ca: Option<(PathBuf, Span)>,
    /// What the gateway shows of itself.
    pub client_certificate: Option<Shown>,
    /// Whether HTTP/2 is offered beside HTTP/1.1.
    pub http2: bool,
    /// Empty: what the host's name resolves to.
    pub addresses: Vec<SocketAddr>,
    pub resolve_every: Duration,
    /// When an address is left alone, and for how long at first.
    pub health: Health,
    /// Whether its addresses are asked, without a caller's request, whether they serve.
    pub health_check: Option<HealthCheck>,
    /// When nothing more is asked of it, and for how long.
    pub breaker: Health,
    pub credential: Option<Credential>,
    /// What it is asked to compress its answers with. Empty: nothing.
    pub accept_encoding: Vec<Coding>,
    /// Where the file names the URL, for errors found when it is used.
    pub span: Span,
}

impl Upstream {
    /// The dimensions by which what it is shown is a tenant's own, and never another one's.
    pub fn shown(&self) -> Vec<Name> {
        let mut shown = self.credential.as_ref().map(|credential| credential.secret.own()).unwrap_or_default();
        if let Some(Shown::Own(own)) = &self.client_certificate {
            shown.extend(own.dimensions());
        }
        shown
    }
}

/// So many failures in a row, and for how long something is done about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    pub failures: u32,
    pub time: Duration,
}

/// What each address is asked now and then. It serves if it answers with a status of 2xx.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// With its query, from the root: not below the path of the URL.
    pub path: String,
    pub every: Duration,
    /// For connecting and the answer's head; no longer than `every`.
    pub time: Duration,
    /// In a row, before no request is sent there.
    pub failures: u32,
}

/// A certificate of the gateway's own, for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The same for all tenants.
    One(ClientCertificate),
    /// Each tenant's own.
    Own(OwnCertificates),
}

#[derive(Clone, Debug)]
pub struct ClientCertificate {
    pub cert: PathBuf,
    pub cert_span: Span,
    pub key: PathBuf,
    pub key_span: Span,
}

/// The same files, wherever they are named.
impl PartialEq for ClientCertificate {
    fn eq(&self, other: &Self) -> bool {
        self.cert == other.cert && self.key == other.key
    }
}

impl Eq for ClientCertificate {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

/// All names, and those upstreams that hold.
pub(super) fn upstreams(
    node: &Node,
    folder: &Path,
    dimensions: &[Name],
    secrets: &mut Secrets,
    reader: &mut Reader,
) -> (Vec<Name>, BTreeMap<Name, Upstream>) {
    let (mut names, mut upstreams) = (Vec::new(), BTreeMap::new());
    for (name, node) in reader.entries(node, "`upstreams`") {
        let name = Name::from(name.value.as_str());
        names.push(Name::clone(&name));
        if let Some(upstream) = upstream(Name::clone(&name), node, folder, dimensions, secrets, reader) {
            upstreams.insert(name, upstream);
        }
    }
    (names, upstreams)
}

fn upstream(
    name: Name,
    node: &Node,
    folder: &Path,
    dimensions: &[Name],
    secrets: &mut Secrets,
    reader: &mut Reader,
) -> Option<Upstream> {
    let mut fields = reader.fields(node, "an upstream");
    let word = text(fields.require("url", reader), "`url`", reader);
    let (server_name, ca) = (fields.take("server_name"), fields.take("ca"));
    let (own, protocols) = (fields.take("client_certificate"), fields.take("protocols"));
    let credential = fields.take("credential").map(|node| credential(node, dimensions, secrets, reader));
    let accept_encoding = fields
        .take("accept_encoding")
        .map_or_else(Vec::new, |node| coding::codings(node, "`accept_encoding`", &Coding::READ, reader));
    let addresses = fields.take("addresses");
    let resolve_every = fields.take("resolve_every");
    let ejection = fields.take("ejection").map(|node| in_a_row(node, "`ejection`", EJECTION, reader));
    let breaker = fields.take("breaker").map(|node| in_a_row(node, "`breaker`", BREAKER, reader));
    let checked = fields.take("health_check");
    let check = checked.map(|node| health_check(node, reader));
    fields.finish(reader);
    if let (Some(_), Some(node)) = (addresses, resolve_every) {
        let message = "`resolve_every` has no meaning with `addresses`, which are not looked up";
        reader.error("bad-upstream", &node.span, message);
    }
    let resolve_every = match resolve_every {
        None => Some(RESOLVE_EVERY),
        Some(node) => duration(node, "`resolve_every`", Duration::from_secs(1)..=Duration::from_secs(3600), reader),
    };
    let addresses = addresses.map_or_else(Vec::new, |node| socket_addresses(node, reader));
    let client_certificate = own.map(|node| client_certificate(node, folder, dimensions, reader));
    let http2 = protocols.map(|node| speaks_http2(node, reader));
    let ca_span = ca.map(|node| node.span.clone());
    let ca_file = path(ca, "`ca`", folder, reader);
    let server = server_name.and_then(|node| name_of_server(node, reader));
    let word = word?;
    let url = raw::url(&word, reader)?;
    if url.scheme == Scheme::Http {
        if !url.is_loopback() {
            let message = format!("the upstream `{name}` is reached in the clear");
            warn(reader, "plaintext-upstream", &word.span, message);
        }
        let secured = [(ca, "ca"), (own, "client_certificate"), (server_name, "server_name")];
        let meaningless = secured.into_iter().find(|(node, _)| node.is_some()).map(|(_, key)| key);
        if let Some(key) = meaningless.or(http2.filter(|http2| *http2).map(|_| "protocols: [h2]")) {
            reader.error("bad-upstream", &word.span, format!("`{key}` has no meaning with http://")).help =
                Some("write https://".to_owned());
        }
    }
    let credential = match credential {
        None => None,
        Some(found) => Some(found?),
    };
    let client_certificate = match client_certificate {
        None => None,
        Some(found) => Some(found?),
    };
    if let (Some(node), Some(Shown::Own(_))) = (checked, &client_certificate) {
        let message = "`health_check` is for no tenant, so there is no certificate that it could show";
        reader.error("bad-upstream", &node.span, message).help = Some("a certificate for all tenants".to_owned());
    }
    let health_check = match check {
        None => None,
        Some(found) => Some(found?),
    };
    Some(Upstream {
        name,
        scheme: url.scheme,
        server_name: server.unwrap_or_else(|| url.host.clone()),
        host: url.host,
        port: url.port,
        base_path: url.path,
        ca: ca_file.zip(ca_span),
        client_certificate,
        http2: http2.unwrap_or_default(),
        addresses,
        resolve_every: resolve_every?,
        health: ejection.unwrap_or(EJECTION),
        health_check,
        breaker: breaker.unwrap_or(BREAKER),
        credential,
        accept_encoding,
        span: word.span,
    })
}

/// So many failures in a row, and what then is done for how long.
fn in_a_row(node: &Node, what: &'static str, otherwise: Health, reader: &mut Reader) -> Health {
    let mut fields = reader.fields(node, what);
    let failures = fields.take("failures").and_then(|node| reader.integer(node, "`failures`", 1..=1_000_000));
    let range = Duration::from_millis(10)..=Duration::from_secs(3600);
    let time = fields.take("time").and_then(|node| duration(node, "`time`", range, reader));
    fields.finish(reader);
    Health {
        failures: failures.and_then(|count| count.try_into().ok()).unwrap_or(otherwise.failures),
        time: time.unwrap_or(otherwise.time),
    }
}

fn health_check(node: &Node, reader: &mut Reader) -> Option<HealthCheck> {
    let mut fields = reader.fields(node, "`health_check`");
    let path = text(fields.require("path", reader), "`path`", reader);
    let (every, time) = (fields.take("every"), fields.take("time"));
    let failures = fields.take("failures").and_then(|node| reader.integer(node, "`failures`", 1..=1000));
    fields.finish(reader);
    let range = |most| Duration::from_millis(10)..=Duration::from_secs(most);
    let every = every.map_or(Some(CHECK_EVERY), |node| duration(node, "`every`", range(3600), reader));
    let (every, least) = (every?, time.map(|node| &node.span));
    let time = time.map_or(Some(CHECK_TIME.min(every)), |node| duration(node, "`time`", range(60), reader))?;
    if let Some(span) = least.filter(|_| time > every) {
        reader.error("bad-upstream", span, "the next check would begin before this time is over").help =
            Some("a `time` of no more than `every`".to_owned());
    }
    let path = path?;
    let is_target = path.value.starts_with('/') && path.value.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
    if !is_target {
        reader.error("bad-upstream", &path.span, "this is not a path that can be asked for").help =
            Some("from the root, as it is sent, for example /server/health".to_owned());
        return None;
    }
    let failures = failures.and_then(|count| count.try_into().ok()).unwrap_or(CHECK_FAILURES);
    Some(HealthCheck { path: path.value, every, time, failures })
}

fn socket_addresses(node: &Node, reader: &mut Reader) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    for text in distinct(Some(node), "`addresses`", reader) {
        match text.value.parse::<SocketAddr>() {
            Ok(address) if address.port() != 0 && !address.ip().is_unspecified() => found.push(address),
            _ => {
                let message = format!("`{}` is not an address and a port", text.value);
                reader.error("bad-address", &text.span, message).help =
                    Some("in numbers, for example 10.0.0.1:8055 or [fd00::1]:8055".to_owned());
            }
        }
    }
    found
}

/// The name or address that the upstream's certificate must bear.
fn name_of_server(node: &Node, reader: &mut Reader) -> Option<String> {
    let text = reader.text(node, "`server_name`")?;
    if rustls_pki_types::ServerName::try_from(text.value.as_str()).is_err() {
        let message = format!("no certificate bears the name `{}`", text.value);
        reader.error("bad-upstream", &text.span, message).help = Some("for example crm.internal".to_owned());
        return None;
    }
    Some(text.value)
}

fn client_certificate(node: &Node, folder: &Path, dimensions: &[Name], reader: &mut Reader) -> Option<Shown> {
    let mut fields = reader.fields(node, "`client_certificate`");
    let cert = text(fields.require("cert", reader), "`cert`", reader);
    let key = text(fields.require("key", reader), "`key`", reader);
    fields.finish(reader);
    let (cert, key) = (cert?, key?);
    if is_own(&cert) || is_own(&key) {
        return own_certificates(cert, key, folder, dimensions, reader).map(Shown::Own);
    }
    Some(Shown::One(ClientCertificate {
        cert: folder.join(&cert.value),
        cert_span: cert.span,
        key: folder.join(&key.value),
        key_span: key.span,
    }))
}

/// Whether HTTP/2 is offered beside HTTP/1.1, which always is.
fn speaks_http2(node: &Node, reader: &mut Reader) -> bool {
    let words = distinct(Some(node), "`protocols`", reader);
    for word in words.iter().filter(|word| !["h2", "http/1.1"].contains(&&*word.value)) {
        reader.error("unknown-word", &word.span, format!("`protocols` can't name `{}`", word.value)).help =
            Some("[h2, http/1.1] or [http/1.1]".to_owned());
    }
    if !words.is_empty() && !words.iter().any(|word| word.value == "http/1.1") {
        reader
            .error("bad-upstream", &node.span, "`protocols` needs http/1.1, which every upstream can fall back to")
            .help = Some("[h2, http/1.1]".to_owned());
    }
    words.iter().any(|word| word.value == "h2")
}
