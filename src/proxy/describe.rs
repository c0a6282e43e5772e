//! Documents about the tables: whether the caller has one, in which form, and whether they have it already.
//!
//! In the order of every request: without a table to see there is no such document, then its query, then its form.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::client;
use super::negotiation::{self, Format};
use super::reply::{Content, Reply};
use crate::api::{ApiId, Document, Route};
use crate::canonical::Canonical;
use crate::enforcement::Case;
use crate::metadata::Seen;
use crate::model::Reason;

pub(super) fn document<'u>(
    case: &Case<'_>,
    api: ApiId,
    route: &Route,
    document: Document,
    request: &Canonical,
    headers: &HeaderMap,
) -> Result<Reply<'u>, Reason> {
    let seen = Seen::of(case, api).ok_or(Reason::TableHidden)?;
    if !request.query.is_empty() {
        return Err(Reason::QueryNotAllowed);
    }
    client::check_content_type(headers, request)?;
    let json = match document {
        Document::Csdl => negotiation::schema(headers)? == Format::Json,
        Document::Openapi | Document::Service => negotiation::format(headers, false).map(|_| true)?,
    };
    let written = seen.write(document, route, json);
    // Weak: compressed it is other bytes. Of this caller's document alone: whoever sees less has another.
    let hash = digest::digest(&digest::SHA256, &written.bytes);
    let tag = format!("W/\"{}\"", URL_SAFE_NO_PAD.encode(hash));
    let has_it = is_known(headers, &tag);
    let reply = if has_it {
        Reply::of(StatusCode::NOT_MODIFIED, HeaderValue::from_static("text/plain"), Content::Nothing)
    } else {
        let content = Content::Whole(written.bytes.into());
        Reply::of(StatusCode::OK, HeaderValue::from_static(written.media_type), content)
    };
    let version = (document != Document::Openapi).then(|| ("odata-version", "4.0".to_owned()));
    Ok(reply.tells([("etag", tag)].into_iter().chain(version)))
}

/// Whether a client has what this tag is of (RFC 9110, section 13.1.2).
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let opaque = tag.trim_start_matches("W/");
    let lines = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = lines.flat_map(|line| line.split(',')).map(|tag| tag.trim().trim_start_matches("W/"));
    tags.any(|known| known == "*" || known == opaque)
}
