//! Who made a browser send a request that bears nobody's name but the certificate of the connection.
//!
//! A browser shows its certificate whatever page asks for it, as it would a cookie: a page of another site could act for whoever
//! looks at it, and a POST without a body needs no leave from the gateway. Browsers say where a request comes from, and pages
//! can't change what they say; programs say nothing. Other pages may ask with credentials of their own: see `cors`.

use http::HeaderValue;

use super::Presented;

/// Whether a page of another origin had the request sent. What can't be told of a browser is taken to be so.
pub(super) fn is_foreign(presented: &Presented<'_>) -> bool {
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
    own_site == Some(false) || own_origin == Some(false)
}

/// An origin names a port only if it is not the scheme's own; a host may.
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

    #[test]
    fn only_programs_and_pages_of_its_own_origin_are_no_strangers() {
        let mut request = get();
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
            request.host = host.to_owned();
            let mut all = HeaderMap::new();
            for (name, value) in headers {
                all.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            let presented = Presented { headers: &all, request: &request, peer: None, over_tls: true, since: None };
            assert_eq!(is_foreign(&presented), foreign, "{host} {headers:?}");
        }
    }
}
