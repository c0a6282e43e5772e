//! Documents about the tables: whether the caller has one, in which form, and whether they have it already.
//!
//! In the order of every request: without a table to see there is no such document, then its query, then its form.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::client;
use super::conditions::Conditions;
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
        Document::Openapi | Document::Service => negotiation::format(headers, false, false).map(|_| true)?,
    };
    let written = seen.write(document, route, json);
    // Weak: compressed it is other bytes. Of this caller's document alone: whoever sees less has another.
    let hash = digest::digest(&digest::SHA256, &written.bytes);
    let tag = format!("W/\"{}\"", URL_SAFE_NO_PAD.encode(hash));
    let reply = if Conditions::of(headers).known(&tag).is_some() {
        Reply::of(StatusCode::NOT_MODIFIED, HeaderValue::from_static("text/plain"), Content::Nothing)
    } else {
        let content = Content::Whole(written.bytes.into());
        Reply::of(StatusCode::OK, HeaderValue::from_static(written.media_type), content)
    };
    let version = (document != Document::Openapi).then(|| ("odata-version", "4.0".to_owned()));
    Ok(reply.tells([("etag", tag)].into_iter().chain(version)))
}
