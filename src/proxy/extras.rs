//! What every answer to a request bears besides its own: word to browsers of origins and of TLS (Fetch standard, section 3.2;
//! RFC 6797). Preflights are answered here: of what a page may do with a path, they tell nothing but what is declared for all.

use std::collections::BTreeSet;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use pingora::http::ResponseHeader;

use crate::api::Catalog;
use crate::config::{Config, Cors};
use crate::enforcement::write::once;

/// What a page may send beside what browsers send of their own accord. Clients of OData name its version in each request.
const REQUEST_HEADERS: [&str; 11] = [
    "accept",
    "authorization",
    "content-type",
    "dpop",
    "if-match",
    "if-none-match",
    "last-event-id",
    "odata-maxversion",
    "odata-version",
    "traceparent",
    "x-api-key",
];
/// What a page may read beside what it always may.
const RESPONSE_HEADERS: &str = "content-disposition, dpop-nonce, etag, link, odata-version, ratelimit, ratelimit-policy, \
                                retry-after, www-authenticate, x-request-id, x-scrim-incomplete";

#[derive(Default)]
pub(super) struct Extras {
    hsts: Option<HeaderValue>,
    /// Whether answers differ by origin at all.
    varies: bool,
    /// The origin of the page that asks, if it may.
    origin: Option<HeaderValue>,
}

impl Extras {
    pub(super) fn new(config: &Config, headers: &HeaderMap, by_tls: bool) -> Self {
        let hsts = by_tls.then(|| {
            let subdomains = if config.hsts.subdomains { "; includeSubDomains" } else { "" };
            HeaderValue::try_from(format!("max-age={}{subdomains}", config.hsts.max_age.as_secs())).ok()
        });
        let origin = config.cors.as_ref().and_then(|cors| origin(cors, headers));
        Self { hsts: hsts.flatten(), varies: config.cors.is_some(), origin: origin.cloned() }
    }

    pub(super) fn add(&self, head: &mut ResponseHeader) -> pingora::Result<()> {
        if let Some(hsts) = &self.hsts {
            head.insert_header(header::STRICT_TRANSPORT_SECURITY, hsts.clone())?;
        }
        if self.varies {
            head.append_header(header::VARY, HeaderValue::from_static("origin"))?;
        }
        if let Some(origin) = &self.origin {
            head.insert_header(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone())?;
            head.insert_header(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(RESPONSE_HEADERS))?;
        }
        Ok(())
    }
}

/// What an OPTIONS is told, if it is the preflight of a page that may ask. Whatever it names, it is told the same.
pub(super) fn preflight(
    config: &Config,
    catalog: &Catalog,
    headers: &HeaderMap,
) -> Option<Vec<(&'static str, String)>> {
    let cors = config.cors.as_ref()?;
    origin(cors, headers)?;
    headers.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
    let mut allowed = BTreeSet::from(REQUEST_HEADERS);
    allowed.extend(config.tenancy.choose_by.as_ref().map(|name| name.as_str()));
    for (_, api) in catalog.apis() {
        allowed.extend(api.idempotent.then_some(once::HEADER));
        allowed.extend(api.routes.iter().flat_map(|route| route.kind.request_headers()).map(HeaderName::as_str));
    }
    let allowed: Vec<&str> = allowed.into_iter().collect();
    Some(vec![
        ("access-control-allow-methods", "GET, HEAD, POST, PUT, PATCH, DELETE".to_owned()),
        ("access-control-allow-headers", allowed.join(", ")),
        ("access-control-max-age", cors.max_age.as_secs().to_string()),
    ])
}

fn origin<'h>(cors: &Cors, headers: &'h HeaderMap) -> Option<&'h HeaderValue> {
    headers.get(header::ORIGIN).filter(|origin| cors.origins.iter().any(|known| known.as_bytes() == origin.as_bytes()))
}
