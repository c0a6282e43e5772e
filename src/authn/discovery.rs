//! Where an issuer's keys are, as its own metadata says (OpenID Connect Discovery 1.0; RFC 8414).
//!
//! The metadata must be that of the declared issuer, to the letter: else one provider could speak for another. Nothing of
//! it is believed but the place of the keys.

use http::Uri;

use super::fetch::is_fetchable;
use super::json::Json;

/// Why metadata is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Misled {
    #[error("the issuer's metadata is no JSON object")]
    Syntax,
    #[error("the metadata is that of another issuer")]
    Issuer,
    #[error("the metadata names no place of keys that can be trusted")]
    Keys,
}

/// The place of the keys. `from`: where the metadata came from.
pub(super) fn keys(metadata: &[u8], issuer: &str, from: &Uri) -> Result<Uri, Misled> {
    let metadata = Json::parse(metadata).filter(|json| matches!(json, Json::Map(_))).ok_or(Misled::Syntax)?;
    if metadata.member("issuer").and_then(Json::text) != Some(issuer) {
        return Err(Misled::Issuer);
    }
    let named = metadata.member("jwks_uri").and_then(Json::text).ok_or(Misled::Keys)?;
    // An `http::Uri` has no fragment: it would be dropped without a word.
    let url: Uri = named.parse().ok().filter(|_| !named.contains(['#', '@'])).ok_or(Misled::Keys)?;
    // What came over TLS does not send us to where anybody may have put keys.
    if is_fetchable(&url) && url.scheme() == from.scheme() { Ok(url) } else { Err(Misled::Keys) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://id.example.com";

    fn found(metadata: &str) -> Result<String, Misled> {
        let from = "https://id.example.com/.well-known/openid-configuration".parse().expect("a URL");
        keys(metadata.as_bytes(), ISSUER, &from).map(|url| url.to_string())
    }

    fn metadata(issuer: &str, jwks_uri: &str) -> String {
        format!(r#"{{"issuer":{issuer:?},"jwks_uri":{jwks_uri:?},"token_endpoint":"https://evil.example/token"}}"#)
    }

    #[test]
    fn keys_lie_where_the_declared_issuer_says() {
        for url in ["https://id.example.com/jwks", "https://keys.example.net/v1?tenant=a"] {
            assert_eq!(found(&metadata(ISSUER, url)), Ok(url.to_owned()));
        }
    }

    #[test]
    fn metadata_of_another_issuer_is_refused() {
        for issuer in [
            "https://id.example.com/",
            "https://ID.example.com",
            "https://id.example.com:443",
            "http://id.example.com",
            "https://id.example.com.evil.example",
            "https://id.example.com ",
            "",
        ] {
            assert_eq!(found(&metadata(issuer, "https://id.example.com/jwks")), Err(Misled::Issuer), "{issuer}");
        }
        assert_eq!(found(r#"{"jwks_uri":"https://id.example.com/jwks"}"#), Err(Misled::Issuer));
        assert_eq!(found(&format!(r#"{{"issuer":[{ISSUER:?}],"jwks_uri":"https://a/b"}}"#)), Err(Misled::Issuer));
    }

    #[test]
    fn keys_are_not_fetched_from_where_anybody_may_have_put_them() {
        for url in [
            "http://id.example.com/jwks",
            "http://127.0.0.1/jwks",
            "http://localhost:8080/jwks",
            "file:///etc/keys",
            "/jwks",
            "//id.example.com/jwks",
            "https://user:pass@id.example.com/jwks",
            "https://id.example.com/jwks#other",
            "https://",
            "",
            "data:application/json,{}",
        ] {
            assert_eq!(found(&metadata(ISSUER, url)), Err(Misled::Keys), "{url}");
        }
        assert_eq!(found(&format!(r#"{{"issuer":{ISSUER:?}}}"#)), Err(Misled::Keys));
        assert_eq!(found(&format!(r#"{{"issuer":{ISSUER:?},"jwks_uri":null}}"#)), Err(Misled::Keys));
    }

    #[test]
    fn what_can_be_read_two_ways_says_nothing() {
        for text in
            ["", "[]", "null", "{", &format!(r#"{{"issuer":"x","issuer":{ISSUER:?},"jwks_uri":"https://a/b"}}"#)]
        {
            assert_eq!(found(text), Err(Misled::Syntax), "{text}");
        }
    }
}
