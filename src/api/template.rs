//! Path templates: `/contacts/{id}`, `/orgs/{tenant.organization_id}/contacts`, `/Contacts({ID})`, `/Users('{UPN}')`.
//!
//! Templates are matched against decoded path segments and printed percent-encoded; text is never spliced. A value that
//! would not be exactly one segment (empty, `.`, `..`) is never printed, so no key can climb out of its route.

use std::fmt::{self, Write};

use crate::model::percent::{self, is_unreserved};
use crate::model::{Name, TenantScope};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pub segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    Literal(Name),
    /// The record's key, or in an opaque route any one segment.
    Variable(Name),
    /// A tenant dimension: in a client's path it must equal the caller's.
    Tenant(Name),
    /// The record's key in parentheses behind a set's name, as OData addresses records (OData 4.01 URL conventions, 4.3.1):
    /// `Contacts(7)`, `Contacts(ID=7)`; in quotes where it is a text.
    Keyed {
        set: Name,
        variable: Name,
        quoted: bool,
    },
}

impl Template {
    /// Reads a template that begins with `/`. The error is a message for the operator.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix('/') else { return Err(format!("a path must begin with `/`: `{text}`")) };
        if rest.is_empty() {
            return Ok(Self { segments: Vec::new() });
        }
        let mut segments: Vec<Segment> = Vec::new();
        for part in rest.split('/') {
            let segment = Segment::parse(part)?;
            if segment.variable().is_some_and(|new| segments.iter().any(|known| known.variable() == Some(new))) {
                return Err(format!("the variable `{part}` occurs twice"));
            }
            segments.push(segment);
        }
        Ok(Self { segments })
    }

    /// The values of the variables if the decoded segments match; tenant segments match only the value of the scope.
    pub fn matches(&self, segments: &[String], tenant: &TenantScope) -> Option<Vec<(Name, String)>> {
        if segments.len() != self.segments.len() {
            return None;
        }
        let mut variables = Vec::new();
        for (pattern, value) in self.segments.iter().zip(segments) {
            match pattern {
                Segment::Literal(literal) => (**literal == *value.as_str()).then_some(())?,
                Segment::Tenant(dimension) => {
                    tenant.value(dimension).filter(|own| ***own == *value.as_str()).map(|_| ())?
                }
                Segment::Variable(name) => variables.push((name.clone(), value.clone())),
                Segment::Keyed { set, variable, quoted } => {
                    variables.push((variable.clone(), key_of(value, set, variable, *quoted)?));
                }
            }
        }
        Some(variables)
    }

    /// Whether some path matches both.
    pub fn overlaps(&self, other: &Self) -> bool {
        let meet = |(a, b): (&Segment, &Segment)| match (a, b) {
            (Segment::Literal(a), Segment::Literal(b)) => a == b,
            (Segment::Keyed { set: a, .. }, Segment::Keyed { set: b, .. }) => a == b,
            (Segment::Literal(word), Segment::Keyed { set, .. })
            | (Segment::Keyed { set, .. }, Segment::Literal(word)) => {
                word.strip_prefix(&**set).is_some_and(|rest| rest.starts_with('('))
            }
            _ => true,
        };
        self.segments.len() == other.segments.len() && self.segments.iter().zip(&other.segments).all(meet)
    }

    /// The path to send: variables and dimensions percent-encoded as single segments. `None` if one is missing, or would
    /// be read as something else than one segment.
    pub fn expand(&self, variables: &[(Name, String)], tenant: &TenantScope) -> Option<String> {
        if self.segments.is_empty() {
            return Some("/".to_owned());
        }
        let mut path = String::new();
        for segment in &self.segments {
            path.push('/');
            match segment {
                Segment::Literal(text) => {
                    percent::encode_keeping(text, &mut path, |b| is_unreserved(b) || is_literal(b))
                }
                Segment::Variable(name) => {
                    let (_, value) = variables.iter().find(|(known, _)| known == name)?;
                    percent::encode(one_segment(value)?, &mut path);
                }
                Segment::Tenant(dimension) => {
                    percent::encode(one_segment(tenant.value(dimension)?)?, &mut path);
                }
                Segment::Keyed { set, variable, quoted } => {
                    let (_, key) = variables.iter().find(|(known, _)| known == variable)?;
                    percent::encode(set, &mut path);
                    path.push('(');
                    if *quoted {
                        percent::encode(&format!("'{}'", key.replace('\'', "''")), &mut path);
                    } else {
                        percent::encode(bare_key(key)?, &mut path);
                    }
                    path.push(')');
                }
            }
        }
        Some(path)
    }

    /// The variables in the order of the path; tenant dimensions are not among them.
    pub fn variables(&self) -> impl Iterator<Item = &Name> {
        self.segments.iter().filter_map(Segment::variable)
    }

    pub fn tenant_dimensions(&self) -> impl Iterator<Item = &Name> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Tenant(name) => Some(name),
            _ => None,
        })
    }
}

/// As the operator writes it.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.segments.is_empty() {
            return f.write_char('/');
        }
        self.segments.iter().try_for_each(|segment| match segment {
            Segment::Literal(text) => write!(f, "/{text}"),
            Segment::Variable(name) => write!(f, "/{{{name}}}"),
            Segment::Tenant(name) => write!(f, "/{{tenant.{name}}}"),
            Segment::Keyed { set, variable, quoted: true } => write!(f, "/{set}('{{{variable}}}')"),
            Segment::Keyed { set, variable, quoted: false } => write!(f, "/{set}({{{variable}}})"),
        })
    }
}

impl Segment {
    fn variable(&self) -> Option<&Name> {
        match self {
            Self::Variable(name) | Self::Keyed { variable: name, .. } => Some(name),
            Self::Literal(_) | Self::Tenant(_) => None,
        }
    }

    fn parse(part: &str) -> Result<Self, String> {
        if let Some(keyed) = Self::keyed(part) {
            return Ok(keyed);
        }
        if let Some(name) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            let (name, tenant) = name.strip_prefix("tenant.").map_or((name, false), |name| (name, true));
            if !is_identifier(name) {
                return Err(format!("`{part}` is not a variable: write `{{id}}` or `{{tenant.dimension}}`"));
            }
            return Ok(if tenant { Self::Tenant(name.into()) } else { Self::Variable(name.into()) });
        }
        match part {
            "" => return Err("an empty segment: a path has no `//` and no `/` at its end".to_owned()),
            "." | ".." => return Err(format!("the segment `{part}` means another path")),
            _ => {}
        }
        if part.contains(['{', '}']) {
            return Err(format!("`{part}`: a variable must be a whole segment"));
        }
        match part.chars().find(|c| !u8::try_from(*c).is_ok_and(|b| is_unreserved(b) || is_literal(b))) {
            Some(wrong) => Err(format!("the character {wrong:?} can't stand in a path's segment")),
            None => Ok(Self::Literal(part.into())),
        }
    }
}

impl Segment {
    /// `Contacts({ID})` or `Contacts('{ID}')`.
    fn keyed(part: &str) -> Option<Self> {
        let (set, key) = part.strip_suffix(')')?.split_once('(')?;
        let inner = key.strip_prefix('\'').and_then(|key| key.strip_suffix('\''));
        let name = inner.unwrap_or(key).strip_prefix('{')?.strip_suffix('}')?;
        let keyed = Self::Keyed { set: set.into(), variable: name.into(), quoted: inner.is_some() };
        (is_identifier(set) && is_identifier(name)).then_some(keyed)
    }
}

/// The key in a segment of a client's path.
fn key_of(segment: &str, set: &str, variable: &str, quoted: bool) -> Option<String> {
    let key = segment.strip_prefix(set)?.strip_prefix('(')?.strip_suffix(')')?;
    let key = key.strip_prefix(variable).and_then(|rest| rest.strip_prefix('=')).unwrap_or(key);
    if !quoted {
        return bare_key(key).map(str::to_owned);
    }
    let text = key.strip_prefix('\'')?.strip_suffix('\'')?;
    // A quote of the text is written twice.
    (!text.is_empty() && !text.replace("''", "").contains('\'')).then(|| text.replace("''", "'"))
}

/// A key that stays one without quotes: a number, a date, a UUID.
fn bare_key(key: &str) -> Option<&str> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (!key.is_empty() && key.bytes().all(is_plain)).then_some(key)
}

/// Whether a text is a name of ASCII letters, digits and `_`.
pub(crate) fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// A value that stays one segment in every parser, once it is encoded.
fn one_segment(value: &str) -> Option<&str> {
    (!matches!(value, "" | "." | "..")).then_some(value)
}

/// What a literal may hold besides: RFC 3986's pchar without `;`, which some servers cut at, and without encodings.
fn is_literal(byte: u8) -> bool {
    matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn template(text: &str) -> Template {
        Template::parse(text).expect("a template")
    }

    fn tenant(organization: &str) -> TenantScope {
        TenantScope::new(&["organization_id".into()], |_| Some(organization)).expect("a tenant")
    }

    fn segments(path: &str) -> Vec<String> {
        path.split('/').skip(1).map(str::to_owned).collect()
    }

    #[test]
    fn templates_print_as_they_were_written() {
        for text in ["/", "/v1/contacts", "/v1/contacts/{id}", "/o/{tenant.organization_id}/c/{id}/close", "/a(b)/x:y"]
        {
            assert_eq!(template(text).to_string(), text);
        }
    }

    #[test]
    fn paths_that_two_parsers_could_read_differently_are_not_templates() {
        let wrong = [
            "",
            "contacts",
            "//",
            "/a/",
            "/a//b",
            "/./a",
            "/a/..",
            "/a%2fb",
            "/a;b",
            "/a\\b",
            "/a b",
            "/a?b",
            "/a#b",
            "/é",
            "/{id",
            "/a{id}",
            "/{id}.json",
            "/{}",
            "/{a b}",
            "/{tenant.}",
            "/{tenant.a.b}",
            "/{id}/{id}",
            "/a\0b",
        ];
        for text in wrong {
            assert!(Template::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_foreign_tenant_in_the_path_does_not_match() {
        let route = template("/o/{tenant.organization_id}/c/{id}");
        let path = segments("/o/acme/c/7");
        assert_eq!(route.matches(&path, &tenant("acme")), Some(vec![("id".into(), "7".to_owned())]));
        assert_eq!(route.matches(&path, &tenant("globex")), None);
        assert_eq!(route.matches(&segments("/o/acme/c"), &tenant("acme")), None);
        assert_eq!(template("/o/{tenant.app_id}").matches(&segments("/o/acme"), &tenant("acme")), None);
    }

    #[test]
    fn templates_overlap_where_one_path_can_mean_both() {
        let cases = [
            ("/a/{id}", "/a/me", true),
            ("/a/{id}", "/{x}/b", true),
            ("/a/{tenant.organization_id}", "/a/b", true),
            ("/a/{id}", "/a/{id}/b", false),
            ("/a/b", "/a/c", false),
            ("/", "/", true),
        ];
        for (a, b, expected) in cases {
            assert_eq!(template(a).overlaps(&template(b)), expected, "{a} {b}");
            assert_eq!(template(b).overlaps(&template(a)), expected, "{b} {a}");
        }
    }

    #[test]
    fn keys_in_parentheses_are_read_and_written_as_the_text_that_they_are() {
        let key = |route: &str, path: &str| {
            let found = template(route).matches(&segments(path), &tenant("acme"));
            found.map(|variables| variables.into_iter().map(|(_, key)| key).collect::<String>())
        };
        for (route, path, expected) in [
            ("/s/C({id})", "/s/C(7)", Some("7")),
            ("/s/C({id})", "/s/C(id=7)", Some("7")),
            ("/s/C('{id}')", "/s/C('a')", Some("a")),
            ("/s/C('{id}')", "/s/C(id='a=b(c)')", Some("a=b(c)")),
            ("/s/C('{id}')", "/s/C('O''Neil')", Some("O'Neil")),
            ("/s/C('{id}')", "/s/C('''')", Some("'")),
            ("/s/C({id})", "/s/C('7')", None),
            ("/s/C({id})", "/s/C()", None),
            ("/s/C({id})", "/s/C(7", None),
            ("/s/C({id})", "/s/C(7))", None),
            ("/s/C({id})", "/s/C(7,x=1)", None),
            ("/s/C({id})", "/s/C(key=7)", None),
            ("/s/C({id})", "/s/C(ID=7)", None),
            ("/s/C({id})", "/s/c(7)", None),
            ("/s/C({id})", "/s/C(id=id=7)", None),
            ("/s/C({id})", "/s/C(7)x", None),
            ("/s/C({id})", "/s/C/7", None),
            ("/s/C({id})", "/s/C( 7)", None),
            ("/s/C({id})", "/s/CC(7)", None),
            ("/s/C('{id}')", "/s/C(a)", None),
            ("/s/C('{id}')", "/s/C('')", None),
            ("/s/C('{id}')", "/s/C(''')", None),
            ("/s/C('{id}')", "/s/C('a'b')", None),
            ("/s/C('{id}')", "/s/C('a','b')", None),
        ] {
            assert_eq!(key(route, path).as_deref(), expected, "{route} {path}");
        }
        let expand = |route: &str, key: &str| template(route).expand(&[("id".into(), key.to_owned())], &tenant("acme"));
        assert_eq!(expand("/C({id})", "7").as_deref(), Some("/C(7)"));
        assert_eq!(expand("/C('{id}')", "O'Neil (1)/..").as_deref(), Some("/C(%27O%27%27Neil%20%281%29%2F..%27)"));
        for hostile in ["", "1)", "1,x=2", "1)/note", "'1'", "1 or 1", "a=1"] {
            assert_eq!(expand("/C({id})", hostile), None, "{hostile}");
        }
        for (a, b, expected) in [
            ("/C({id})", "/C('{key}')", true),
            ("/C({id})", "/D({id})", false),
            ("/C({id})", "/C(1)", true),
            ("/C({id})", "/C", false),
            ("/C({id})", "/{x}", true),
        ] {
            assert_eq!(template(a).overlaps(&template(b)), expected, "{a} {b}");
            assert_eq!(template(b).overlaps(&template(a)), expected, "{b} {a}");
        }
        for wrong in
            ["/C({id", "/C{id}", "/C({})", "/C({id})x", "/C({id},{b})", "/({id})", "/C(\"{id}\")", "/C({a})/D({a})"]
        {
            assert!(Template::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(template("/C('{id}')/close").to_string(), "/C('{id}')/close");
    }

    #[test]
    fn a_key_never_climbs_out_of_its_route() {
        let route = template("/c/{id}");
        let expand = |key: &str| route.expand(&[("id".into(), key.to_owned())], &tenant("acme"));
        assert_eq!(expand("../users/1").as_deref(), Some("/c/..%2Fusers%2F1"));
        assert_eq!(expand("a?b#c;d%2f").as_deref(), Some("/c/a%3Fb%23c%3Bd%252f"));
        for refused in ["", ".", ".."] {
            assert_eq!(expand(refused), None, "{refused:?}");
        }
        assert_eq!(route.expand(&[], &tenant("acme")), None);
        assert_eq!(template("/o/{tenant.organization_id}").expand(&[], &tenant("..")), None);
        assert_eq!(template("/o/{tenant.app_id}").expand(&[], &tenant("acme")), None);
    }

    fn decode(segment: &str) -> String {
        let bytes = segment.as_bytes();
        let mut out = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            if bytes[at] == b'%' {
                out.push(
                    u8::from_str_radix(segment.get(at + 1..at + 3).expect("two digits"), 16).expect("two hex digits"),
                );
                at += 3;
            } else {
                out.push(bytes[at]);
                at += 1;
            }
        }
        String::from_utf8(out).expect("what was encoded was UTF-8")
    }

    proptest! {
        #[test]
        fn what_is_expanded_splits_and_decodes_to_what_matches(key in any::<String>(), organization in ".+") {
            let route = template("/v1/{tenant.organization_id}/c(x)/{id}/close");
            let tenant = tenant(&organization);
            let variables = vec![(Name::from("id"), key.clone())];
            match route.expand(&variables, &tenant) {
                Some(path) => {
                    prop_assert!(path.bytes().all(|b| b == b'/' || b == b'%' || is_unreserved(b) || is_literal(b)));
                    let decoded: Vec<String> = path.split('/').skip(1).map(decode).collect();
                    prop_assert_eq!(route.matches(&decoded, &tenant), Some(variables));
                }
                None => prop_assert!(one_segment(&key).is_none() || one_segment(&organization).is_none()),
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic_and_what_it_accepts_prints_back(text in "[/{}a.%; ]{0,12}") {
            if let Ok(template) = Template::parse(&text) {
                prop_assert_eq!(template.to_string(), text);
            }
        }
    }
}
