//! A scripted OData service at `/svc`: how queries are written to it and read back, and how it answers.

use serde_json::{Value, json};

use super::{Answer, World};

/// What every list of the tenant's is cut to.
pub const TENANT: &str = "organization_id eq 'acme' and app_id eq 'shop'";

/// A query as a client has to write it.
pub fn spelled(text: &str) -> String {
    [(" ", "%20"), ("'", "%27"), ("\"", "%22"), ("<", "%3C"), (">", "%3E")]
        .iter()
        .fold(text.to_owned(), |text, (plain, escaped)| text.replace(plain, escaped))
}

/// A query as people read it.
pub fn readable(text: &str) -> String {
    let escapes = [
        ("%20", " "),
        ("%22", "\""),
        ("%24", "$"),
        ("%27", "'"),
        ("%28", "("),
        ("%29", ")"),
        ("%2C", ","),
        ("%2F", "/"),
        ("%3A", ":"),
        ("%3D", "="),
        ("%40", "@"),
        ("%5B", "["),
        ("%5D", "]"),
        ("%7B", "{"),
        ("%7D", "}"),
        ("%25", "%"),
    ];
    escapes.iter().fold(text.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}

/// What the upstream was last asked, readable.
pub fn asked(world: &World) -> String {
    readable(&world.upstream.lines().pop().unwrap_or_default())
}

/// A parameter of what the upstream was last asked, readable.
pub fn sent(world: &World, name: &str) -> Option<String> {
    let line = world.upstream.lines().pop()?;
    let value = line.split(['?', '&']).find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    Some(readable(value))
}

/// How many there are.
pub fn count(text: &str) -> Answer {
    Answer::json(200, text).header("content-type", "text/plain; charset=utf-8")
}

/// Records, or groups of them, with what a service says besides.
pub fn list(values: &Value) -> Answer {
    Answer::json(200, json!({ "@odata.context": "$metadata#contacts(SECRET)", "value": values }).to_string())
}
