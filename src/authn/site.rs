//! Who made a browser send a request that bears nobody's name but the certificate of the connection.
//!
//! A browser shows its certificate whatever page asks for it, as it would a cookie: a page of another site could act for whoever
//! looks at it, and a POST without a body needs no leave from the gateway. Browsers say where a request comes from, and pages
//! can't change what they say; programs say nothing. Other pages may ask with credentials of their own: see `cors`.
//!
//! A page has the gateway's own origin if its browser came to the gateway by the page's name. Whoever may give names to addresses
//! for a certificate's wildcard, as under a domain that many share, could have it come to the gateway by a name of theirs. Where
//! it is said under which origins the gateway is reached, a browser that came by another name is a stranger.

use http::HeaderValue;

use super::Presented;
use crate::model::Name;

/// Whether a page of another origin had the request sent. What can't be told of a browser is taken to be so. `origins`: the
/// gateway's own, if they are said.
pub(super) fn is_foreign(presented: &Presented<'_>, origins: &[Name]) -> bool {
    let only = |name: &str| {
        let mut values = presented.headers.get_all(name).iter().map(HeaderValue::as_bytes);
        (values.next(), values.next().is_some())
    };
    // Of an address that somebody typed, it is `none`.
    let own_site = match only("sec-fetch-site") {
        (None, _) => None,
        (Some(b"same-origin" | b"none"), false) => Some(true),
        _ => Some(false),
    };
    let own_origin = match only("origin") {
        (None, _) => None,
        (Some(origin), false) => Some(is_own(origin, presented)),
        (Some(_), true) => Some(false),
    };
    let is_browser = own_site.is_some() || own_origin.is_some();
    let is_renamed = !origins.is_empty() && !origins.iter().any(|own| is_own(own.as_bytes(), presented));
    own_site == Some(false) || own_origin == Some(false) || (is_browser && is_renamed)
}

/// Whether an origin is the one that the request came to. It names a port only if it is not the scheme's own; a host may.
fn is_own(origin: &[u8], presented: &Presented<'_>) -> bool {
    let host = presented.request.host.as_str();
    let host = host.strip_suffix(":443").unwrap_or(host);
    origin.strip_prefix(b"https://").is_some_and(|own| own == host.as_bytes())
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName};

    use super::super::tests::get;
    use super::*;

    fn is_stranger(host: &str, headers: &[(&'static str, &'static str)], origins: &[Name]) -> bool {
        let mut request = get();
        request.host = host.to_owned();
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        is_foreign(&Presented { headers: &all, request: &request, peer: None, over_tls: true, since: None }, origins)
    }

    #[test]
    fn only_programs_and_pages_of_its_own_origin_are_no_strangers() {
        for (host, headers, foreign) in [
            ("crm.test", &[][..], false),
            ("crm.test", &[("sec-fetch-site", "same-origin")], false),
            ("crm.test", &[("sec-fetch-site", "none")], false),
            ("crm.test", &[("sec-fetch-site", "same-origin"), ("origin", "https://crm.test")], false),
            ("crm.test:443", &[("origin", "https://crm.test")], false),
            ("crm.test:8443", &[("origin", "https://crm.test:8443")], false),
            ("crm.test", &[("sec-fetch-site", "cross-site")], true),
            ("crm.test", &[("sec-fetch-site", "same-site")], true),
            ("crm.test", &[("sec-fetch-site", "Same-Origin")], true),
            ("crm.test", &[("sec-fetch-site", "")], true),
            ("crm.test", &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")], true),
            ("crm.test", &[("sec-fetch-site", "same-origin"), ("origin", "https://evil.test")], true),
            ("crm.test", &[("sec-fetch-site", "cross-site"), ("origin", "https://crm.test")], true),
            ("crm.test", &[("origin", "null")], true),
            ("crm.test", &[("origin", "https://evil.test")], true),
            ("crm.test", &[("origin", "http://crm.test")], true),
            ("crm.test", &[("origin", "https://crm.test.evil.test")], true),
            ("crm.test", &[("origin", "https://crm.test:8443")], true),
            ("crm.test", &[("origin", "https://crm.test"), ("origin", "https://evil.test")], true),
        ] {
            assert_eq!(is_stranger(host, headers, &[]), foreign, "{host} {headers:?}");
        }
    }

    /// The gateway's certificate may bear a wildcard, and somebody else a name below it that leads to the gateway.
    #[test]
    fn a_page_that_came_by_a_name_which_is_not_the_gateways_is_a_stranger() {
        let own: [Name; 2] = ["https://crm.example.com".into(), "https://crm.example.com:8443".into()];
        for (host, headers, foreign) in [
            ("crm.example.com", &[("sec-fetch-site", "same-origin")][..], false),
            ("crm.example.com:443", &[("origin", "https://crm.example.com")], false),
            ("crm.example.com:8443", &[("origin", "https://crm.example.com:8443")], false),
            ("evil.example.com", &[("sec-fetch-site", "same-origin"), ("origin", "https://evil.example.com")], true),
            ("evil.example.com", &[("origin", "https://evil.example.com")], true),
            ("evil.example.com", &[("sec-fetch-site", "same-origin")], true),
            ("evil.example.com", &[("sec-fetch-site", "none")], true),
            ("crm.example.com:9443", &[("origin", "https://crm.example.com:9443")], true),
            ("crm.example.com", &[("origin", "https://crm.example.com:8443")], true),
            // Programs call it what they like.
            ("10.0.0.1", &[], false),
        ] {
            assert_eq!(is_stranger(host, headers, &own), foreign, "{host} {headers:?}");
        }
    }
}
