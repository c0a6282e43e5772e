//! The one form that is understood: a JSON document in a field of its own (RFC 7578), as PocketBase's client sends a batch.
//!
//! A form with anything else in it, a file above all, is no such form.

use http::{HeaderMap, header};

use crate::enforcement::write::batch::mixed;
use crate::model::Reason;

const FIELD: &[u8] = br#"form-data; name="@jsonPayload""#;
const DISPOSITION: &[u8] = b"content-disposition:";

pub(super) const MEDIA_TYPE: &str = "multipart/form-data";

/// What separates the parts of a body of this type. `None`: the request brings none. Errors: `MediaTypeUnsupported`.
pub(super) fn boundary(headers: &HeaderMap, multipart: &str) -> Result<Option<String>, Reason> {
    let declared = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let found = mixed::boundary(declared, multipart)?;
    if found.is_some() && headers.contains_key(header::CONTENT_ENCODING) {
        return Err(Reason::MediaTypeUnsupported);
    }
    Ok(found)
}

/// The document in a form that holds nothing else. Errors: `BodyMalformed`.
pub(super) fn document<'b>(form: &'b [u8], boundary: &str) -> Result<&'b [u8], Reason> {
    read(form, boundary).ok_or(Reason::BodyMalformed)
}

fn read<'b>(form: &'b [u8], boundary: &str) -> Option<&'b [u8]> {
    let delimiter = format!("--{boundary}");
    let rest = form.strip_prefix(delimiter.as_bytes())?.strip_prefix(b"\r\n")?;
    let rest = rest.strip_suffix(b"\r\n").unwrap_or(rest);
    let rest = rest.strip_suffix(b"--")?.strip_suffix(delimiter.as_bytes())?.strip_suffix(b"\r\n")?;
    let name = rest.get(..DISPOSITION.len())?;
    let rest = rest.get(DISPOSITION.len()..)?.trim_ascii_start();
    let document = rest.strip_prefix(FIELD)?.strip_prefix(b"\r\n\r\n")?;
    let other = memchr::memmem::find(document, delimiter.as_bytes());
    (name.eq_ignore_ascii_case(DISPOSITION) && other.is_none()).then_some(document)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn boundary_of(content_type: &'static str) -> Result<Option<String>, Reason> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        boundary(&headers, MEDIA_TYPE)
    }

    #[test]
    fn a_boundary_is_declared_in_one_way() {
        assert_eq!(boundary_of("application/json"), Ok(None));
        assert_eq!(boundary_of("multipart/form-data; boundary=ab-1"), Ok(Some("ab-1".to_owned())));
        assert_eq!(boundary_of("Multipart/Form-Data;boundary=\"ab\""), Ok(Some("ab".to_owned())));
        for wrong in [
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=a; boundary=b",
            "multipart/form-data; charset=utf-8",
            "multipart/form-data; boundary=\"a",
        ] {
            assert_eq!(boundary_of(wrong), Err(Reason::MediaTypeUnsupported), "{wrong}");
        }
    }

    #[test]
    fn a_form_holds_one_document_and_nothing_else() {
        let form = "--b\r\nContent-Disposition: form-data; name=\"@jsonPayload\"\r\n\r\n{\"a\":1}\r\n--b--\r\n";
        assert_eq!(document(form.as_bytes(), "b"), Ok(&b"{\"a\":1}"[..]));
        assert_eq!(document(form.trim_end().as_bytes(), "b"), Ok(&b"{\"a\":1}"[..]));
        let wrong = [
            form.replace("@jsonPayload", "file"),
            form.replace("\r\n\r\n{", "\r\nContent-Type: text/plain\r\n\r\n{"),
            form.replace("\r\n--b--", "\r\n--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n1\r\n--b--"),
            form.replace("name=\"@jsonPayload\"", "name=\"@jsonPayload\"; filename=\"a\""),
            form.replace("--b--", "--b"),
            format!("preamble{form}"),
            format!("{form}epilogue"),
            form.replace("\r\n", "\n"),
            String::new(),
            "--b\r\n--b--".to_owned(),
        ];
        for form in wrong {
            assert_eq!(document(form.as_bytes(), "b"), Err(Reason::BodyMalformed), "{form}");
        }
    }
}
