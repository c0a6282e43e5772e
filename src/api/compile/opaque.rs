//! Opaque routes: what passes unread, for whom, and how its service is told whose it is.

use std::collections::HashMap;

use http::{HeaderName, Method};

use super::routes::{method_and_path, upstream_path};
use super::{Known, lax};
use crate::api::{Form, Live, Route, RouteKind, Sent, Template, raw};
use crate::model::Name;
use crate::yaml::{Reader, Text};

/// `None` only beside an error.
pub(super) fn route(
    known: &Known<'_>,
    described: &raw::Api,
    name: &Text,
    raw: &raw::Opaque,
    reader: &mut Reader,
) -> Option<Route> {
    let kind = RouteKind::Opaque {
        name: name.value.as_str().into(),
        roles: raw.roles.iter().map(|role| role.value.as_str().into()).collect(),
        media_types: raw.media_types.iter().filter_map(|text| media_type(text, reader)).collect(),
        request_headers: request_headers(known, &raw.request_headers, reader),
        live: live(raw, reader),
    };
    let text = raw.route.as_ref()?;
    let (method, path) = method_and_path(text, reader)?;
    if matches!(kind, RouteKind::Opaque { live: Some(_), .. }) && method != Method::GET {
        let message = format!("`{}` is asked for with GET", name.value);
        reader.error("bad-method", &text.span, message);
    }
    let upstream_path = upstream_path(known, &path, raw.upstream_path.as_ref(), text, reader)?;
    tenant(known, described, name, raw.tenant.as_ref(), &upstream_path, reader);
    Some(Route { method, path, upstream_path, kind, form: Form::Fields, sent: Sent::Alike })
}

/// That its service is told whose it is, or that it is said to be the same for all: of what passes unread nothing else keeps
/// one tenant from what is another's.
fn tenant(
    known: &Known<'_>,
    described: &raw::Api,
    name: &Text,
    said: Option<&Text>,
    upstream_path: &Template,
    reader: &mut Reader,
) {
    if let Some(word) = said {
        if word.value != "shared" {
            reader.error("unknown-word", &word.span, format!("`tenant` can't be `{}`", word.value)).help =
                Some("`tenant: shared` where it is the same for all tenants, or leave it out".to_owned());
        }
        return;
    }
    // A name that is unknown has an error of its own.
    let Some(service) = described.upstream.as_ref().and_then(|word| known.service(word)) else { return };
    let is_told = |dimension: &&Name| {
        service.shown.contains(dimension)
            || upstream_path.tenant_dimensions().any(|told| told == *dimension)
            || described.tenant_headers.iter().any(|(_, told)| *told.value == ***dimension)
    };
    let untold: Vec<&Name> = known.dimensions.iter().filter(|dimension| !is_told(dimension)).collect();
    let Some(first) = untold.first() else { return };
    let names = untold.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and ");
    let message = format!("the upstream of `{}` isn't told the tenant's {names}", name.value);
    let help = format!(
        "`{{tenant.{first}}}` in its `upstream_path`, `tenant_headers` of the API, or a credential of each tenant's own; \
         `tenant: shared` where it is the same for all tenants"
    );
    reader.error("tenant-not-told", &name.span, message).help = Some(help);
}

/// Of one route.
const MAX_HEADERS: usize = 16;

/// What can't pass, and why not. A name that ends with `-` is the beginning of names.
const KEPT: [(&str, &[&str]); 6] = [
    (
        "it is about one connection, or about where a message ends",
        &[
            "connection",
            "content-length",
            "expect",
            "host",
            "http2-settings",
            "keep-alive",
            "proxy",
            "proxy-",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
        ],
    ),
    (
        "what a client proves itself by stays with the gateway; the upstream is shown its own `credential`",
        &[
            "authorization",
            "client-cert",
            "client-cert-chain",
            "cookie",
            "cookie2",
            "dpop",
            "x-api-key",
            "x-client-cert",
        ],
    ),
    (
        "an upstream would believe a client where it comes from, or what it asks for",
        &[
            "cf-connecting-ip",
            "forwarded",
            "true-client-ip",
            "via",
            "x-client-ip",
            "x-cluster-client-ip",
            "x-forwarded",
            "x-forwarded-",
            "x-http-method",
            "x-http-method-override",
            "x-method-override",
            "x-original-",
            "x-real-ip",
            "x-rewrite-url",
        ],
    ),
    (
        "the gateway says so itself, or has a use for it",
        &[
            "accept",
            "accept-encoding",
            "baggage",
            "idempotency-key",
            "last-event-id",
            "sec-",
            "traceparent",
            "tracestate",
            "user-agent",
            "x-request-id",
            "x-scrim-",
        ],
    ),
    ("it passes with a body without being named", &["content-type"]),
    (
        "an answer passes as a whole or not at all",
        &["if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "range"],
    ),
];

/// The client's headers that pass, in lower case.
fn request_headers(known: &Known<'_>, declared: &[Text], reader: &mut Reader) -> Vec<HeaderName> {
    let mut seen: HashMap<String, &Text> = HashMap::new();
    let mut found = Vec::new();
    for text in declared {
        let Ok(name) = HeaderName::try_from(text.value.as_str()) else {
            reader.error("bad-header", &text.span, format!("`{}` is not a header's name", text.value));
            continue;
        };
        let read_as = lax(name.as_str());
        let is = |kept: &&&str| if kept.ends_with('-') { read_as.starts_with(**kept) } else { **kept == read_as };
        let kept = KEPT.iter().find(|(_, names)| names.iter().any(|kept| is(&kept))).map(|(why, _)| *why);
        let identity =
            known.identity.contains(&read_as).then_some("it carries the tenant or a credential to an upstream");
        if let Some(why) = kept.or(identity) {
            let message = format!("`{}` can't be passed on", text.value);
            reader.error("bad-header", &text.span, message).help = Some(why.to_owned());
        } else if name.as_str() != text.value {
            let message = format!("`{}` is not in lower case", text.value);
            reader.error("bad-header", &text.span, message).help = Some(format!("write `{name}`"));
        } else if let Some(first) = seen.insert(read_as, text) {
            let message = format!("`{}` and `{}` are one header to many servers", first.value, text.value);
            reader.error("duplicate-header", &text.span, message);
        } else if found.len() == MAX_HEADERS {
            reader.error("too-many", &text.span, format!("more than {MAX_HEADERS} headers pass"));
            break;
        } else {
            found.push(name);
        }
    }
    found
}

/// What has no end of its own: events or a WebSocket.
fn live(raw: &raw::Opaque, reader: &mut Reader) -> Option<Live> {
    let mut word = |text: &Text, key: &str, known: &str| {
        if text.value != known {
            let message = format!("`{key}` can't be `{}`", text.value);
            reader.error("unknown-word", &text.span, message).help = Some(format!("`{key}: {known}`, or leave it out"));
        }
    };
    let found = match (&raw.stream, &raw.upgrade) {
        (None, None) => None,
        (Some(stream), None) => {
            word(stream, "stream", "sse");
            Some(Live::Events)
        }
        (stream, Some(upgrade)) => {
            word(upgrade, "upgrade", "websocket");
            if stream.is_some() {
                reader.error("bad-route", &upgrade.span, "a route has either `stream` or `upgrade`");
            }
            Some(Live::WebSocket { protocols: raw.protocols.iter().map(|text| text.value.as_str().into()).collect() })
        }
    };
    for text in &raw.protocols {
        let is_token = text.value.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
        if !is_token || !matches!(found, Some(Live::WebSocket { .. })) {
            let message = format!("`{}` is no protocol of a WebSocket", text.value);
            reader.error("bad-route", &text.span, message).help =
                Some("beside `upgrade: websocket`, for example chat".to_owned());
        }
    }
    found
}

/// A plain media type without parameters or wildcards (RFC 9110, section 8.3.1).
fn media_type(text: &Text, reader: &mut Reader) -> Option<Name> {
    let token =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b));
    let lower = text.value.to_ascii_lowercase();
    if lower.split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype)) {
        return Some(lower.into());
    }
    reader.error("bad-media-type", &text.span, format!("`{}` is not a media type", text.value)).help =
        Some("for example application/pdf; wildcards are not allowed".to_owned());
    None
}
