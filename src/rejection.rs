//! Every refusal as the client sees it: status, stable public code and title, as problem+json (RFC 9457).
//!
//! One match from [`Reason`] to what is said, without a wildcard. Reasons that would tell what exists share one answer,
//! byte for byte: a hidden table, an undeclared route and a hidden record are all `not_found`; a wrong and an expired
//! token are both `unauthenticated`. Nothing internal is ever put into a body.

use http::StatusCode;

use crate::model::Reason;

/// What the client is told. Several reasons may share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection {
    pub status: StatusCode,
    pub code: &'static str,
    pub title: &'static str,
}

const fn says(status: StatusCode, code: &'static str, title: &'static str) -> Rejection {
    Rejection { status, code, title }
}

impl From<Reason> for Rejection {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::MalformedRequest => says(StatusCode::BAD_REQUEST, "malformed_request", "The request is malformed."),
            Reason::AmbiguousPath => {
                says(StatusCode::BAD_REQUEST, "ambiguous_path", "The path can be read in more than one way.")
            }
            Reason::AmbiguousQuery => {
                says(StatusCode::BAD_REQUEST, "ambiguous_query", "The query can be read in more than one way.")
            }
            Reason::AmbiguousHeader => says(
                StatusCode::BAD_REQUEST,
                "ambiguous_header",
                "A header is repeated or can be mistaken for another.",
            ),
            Reason::AmbiguousFraming => says(
                StatusCode::BAD_REQUEST,
                "ambiguous_framing",
                "The length of the body can be read in more than one way.",
            ),
            Reason::VersionNotSupported => {
                says(StatusCode::HTTP_VERSION_NOT_SUPPORTED, "version_not_supported", "HTTP/1.1 or HTTP/2 is needed.")
            }
            Reason::MethodUnknown => {
                says(StatusCode::NOT_IMPLEMENTED, "method_unknown", "The method is not known here.")
            }
            Reason::MethodNotSupported => {
                says(StatusCode::BAD_REQUEST, "method_not_supported", "The method is not supported.")
            }
            Reason::UpgradeNotDeclared => {
                says(StatusCode::BAD_REQUEST, "upgrade_not_supported", "The connection cannot be upgraded.")
            }
            Reason::TargetTooLong => {
                says(StatusCode::URI_TOO_LONG, "target_too_long", "The request target is too long.")
            }
            Reason::TooManyHeaders => says(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "headers_too_large",
                "The request has too many or too long headers.",
            ),
            Reason::CredentialsMissing | Reason::CredentialsInvalid => {
                says(StatusCode::UNAUTHORIZED, "unauthenticated", "Valid credentials are required.")
            }
            Reason::TenantMissing | Reason::TenantNotAMember => says(
                StatusCode::FORBIDDEN,
                "tenant_forbidden",
                "No tenant was chosen that these credentials belong to.",
            ),
            Reason::RateLimited | Reason::UpstreamRateLimited => {
                says(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "Too many requests; ask again later.")
            }
            Reason::RouteUnknown | Reason::TableHidden | Reason::RecordHidden | Reason::RecordForeign => {
                says(StatusCode::NOT_FOUND, "not_found", "There is nothing here.")
            }
            Reason::MediaTypeUnsupported => {
                says(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type_unsupported", "The body must be application/json.")
            }
            Reason::CodingUnsupported | Reason::UpstreamRefusedType => says(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "body_not_supported",
                "The body is of a type, or compressed in a way, that is not taken here.",
            ),
            Reason::NotAcceptable => says(
                StatusCode::NOT_ACCEPTABLE,
                "not_acceptable",
                "None of the accepted types or encodings can be answered.",
            ),
            Reason::ActionNotGranted
            | Reason::Denied
            | Reason::RequirementUnmet
            | Reason::FieldNotWritable
            | Reason::TenantNotWritable
            | Reason::OwnerNotTransferable
            | Reason::CheckFailed
            | Reason::BudgetExceeded
            | Reason::OriginForeign
            | Reason::CascadeNotGranted
            | Reason::ReferenceNotReadable => says(StatusCode::FORBIDDEN, "forbidden", "This is not allowed."),
            Reason::QueryNotAllowed => {
                says(StatusCode::BAD_REQUEST, "query_not_allowed", "The query uses something that is not available.")
            }
            // One answer for whatever is wrong with it: what it was made for is nobody's business but its owner's.
            Reason::CursorExpired => {
                says(StatusCode::BAD_REQUEST, "cursor_expired", "The cursor is not valid here; begin the list anew.")
            }
            Reason::ListTooLong => {
                says(StatusCode::BAD_REQUEST, "list_too_long", "This page lies too deep in the list; narrow it down.")
            }
            Reason::BodyMalformed => {
                says(StatusCode::BAD_REQUEST, "body_malformed", "The body is not valid JSON of the expected form.")
            }
            Reason::BodyTooLarge | Reason::UpstreamRefusedSize => {
                says(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "The body is too large.")
            }
            Reason::BodyTimeout => {
                says(StatusCode::REQUEST_TIMEOUT, "body_timeout", "The body did not arrive in time.")
            }
            Reason::BodyExpected => says(
                StatusCode::BAD_REQUEST,
                "body_not_expected",
                "This request must have a body only where one is declared.",
            ),
            // One answer for whatever the service disliked: a conflict would tell that a hidden record holds the same value.
            Reason::UpstreamRefused => says(
                StatusCode::UNPROCESSABLE_ENTITY,
                "not_accepted",
                "The service behind this gateway did not accept the change.",
            ),
            // Of opaque routes alone: what their service says of a request is all that is to be known of it.
            Reason::UpstreamMisunderstood => says(
                StatusCode::BAD_REQUEST,
                "not_understood",
                "The service behind this gateway did not understand the request.",
            ),
            Reason::UpstreamConflict => says(
                StatusCode::CONFLICT,
                "conflict",
                "The service behind this gateway says that it conflicts with what is there.",
            ),
            // Nobody is left to read these.
            Reason::ClientGone => says(StatusCode::BAD_REQUEST, "client_gone", "The client closed the connection."),
            Reason::LiveTimeout | Reason::LiveWithdrawn | Reason::LiveRefused => {
                says(StatusCode::BAD_REQUEST, "ended", "The gateway ended it.")
            }
            Reason::ClientSlow => says(StatusCode::BAD_REQUEST, "client_slow", "The client read too slowly."),
            Reason::PreconditionFailed => {
                says(StatusCode::PRECONDITION_FAILED, "precondition_failed", "The record was changed by somebody else.")
            }
            Reason::UpstreamUnreachable
            | Reason::UpstreamFailed
            | Reason::UpstreamBroken
            | Reason::UpstreamMediaType
            | Reason::UpstreamTooLarge
            | Reason::UpstreamCannotGuard
            | Reason::UpstreamCannotFilter => says(
                StatusCode::BAD_GATEWAY,
                "upstream_failed",
                "The service behind this gateway did not answer properly.",
            ),
            Reason::UpstreamTimeout => says(
                StatusCode::GATEWAY_TIMEOUT,
                "upstream_timeout",
                "The service behind this gateway did not answer in time.",
            ),
            Reason::UpstreamCircuitOpen
            | Reason::IdentityUnavailable
            | Reason::HierarchyUnavailable
            | Reason::AuditUnavailable
            | Reason::NotReady
            | Reason::Overloaded => {
                says(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "The gateway cannot serve this now.")
            }
            // Not the caller's doing, and not over by itself.
            Reason::UpstreamCredentialMissing => says(
                StatusCode::SERVICE_UNAVAILABLE,
                "tenant_not_served",
                "The service behind this gateway is not set up for this tenant.",
            ),
            Reason::Internal => says(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The gateway failed."),
        }
    }
}

impl Rejection {
    /// The body. It holds nothing of the request and no id, so that equal refusals are equal bytes.
    pub fn body(&self) -> String {
        format!(
            r#"{{"type":"about:blank","status":{},"code":"{}","title":"{}"}}"#,
            self.status.as_u16(),
            self.code,
            self.title
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_foreign_and_unknown_are_the_same_bytes() {
        let unknown = Rejection::from(Reason::RouteUnknown);
        for reason in [Reason::TableHidden, Reason::RecordHidden, Reason::RecordForeign] {
            assert_eq!(Rejection::from(reason), unknown);
        }
        assert_eq!(
            unknown.body(),
            r#"{"type":"about:blank","status":404,"code":"not_found","title":"There is nothing here."}"#
        );
    }

    #[test]
    fn absent_and_wrong_credentials_differ_only_inside() {
        assert_eq!(Rejection::from(Reason::CredentialsMissing), Rejection::from(Reason::CredentialsInvalid));
        assert_ne!(Reason::CredentialsMissing.label(), Reason::CredentialsInvalid.label());
    }
}
