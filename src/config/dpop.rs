//! Which tokens need a proof of their client's key (DPoP, RFC 9449), and what proofs must repeat.

use std::time::Duration;

use super::raw::{distinct, duration};
use super::secrets::Secrets;
use crate::secret::Secret;
use crate::yaml::{Node, Reader, Text, Value};

/// Who can try all keys can make nonces.
const MIN_SECRET: usize = 32;

/// Whether tokens must be bound to a key of whoever sends them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Proofs {
    /// A token that is bound to a key is refused.
    #[default]
    Unused,
    /// Those that are bound need a proof.
    Checked,
    /// All are bound.
    Required,
}

/// What proofs must repeat.
#[derive(Clone, Debug)]
pub struct Nonces {
    /// For how long it is good.
    pub time: Duration,
    /// What it is made with, and then what else it may have been made with. Empty: a random key of the process.
    pub secrets: Vec<Secret>,
}

/// `dpop`. `has_origins`: it is said elsewhere whose URLs proofs may be for. What a request calls its host is no measure: whoever
/// got a proof for a host of theirs would call this one so.
pub(super) fn proofs(
    node: Option<&Node>,
    has_origins: bool,
    secrets: &mut Secrets,
    reader: &mut Reader,
) -> Option<(Proofs, Option<Nonces>)> {
    let Some(node) = node else { return Some((Proofs::Unused, None)) };
    if !has_origins {
        let message = "`dpop` needs `origins` in `authn`: proofs are for URLs of the gateway's own";
        reader.error("missing-key", &node.span, message).help = Some(
            "origins: [\"https://crm.example.com\"], as clients write it, beside `jwt` or `introspection`".to_owned(),
        );
    }
    if !matches!(node.value, Value::Map(_)) {
        return word(node, "`dpop`", reader).map(|proofs| (proofs, None));
    }
    let mut fields = reader.fields(node, "`dpop`");
    let (tokens, nonce, named) = (fields.take("tokens"), fields.take("nonce"), fields.take("secret"));
    fields.finish(reader);
    let range = Duration::from_secs(10)..=Duration::from_secs(3600);
    let proofs = tokens.map_or(Some(Proofs::Checked), |node| word(node, "`tokens`", reader));
    let secrets = named.map_or_else(Vec::new, |node| shared(node, secrets, reader));
    let time = nonce.map(|node| duration(node, "`nonce`", range, reader));
    match (time, named) {
        (None, None) => Some((proofs?, None)),
        (None, Some(node)) => {
            let message = "`secret` has no meaning without `nonce`, which is made with it";
            reader.error("bad-dpop", &node.span, message).help =
                Some("dpop: { tokens: required, nonce: 5m, secret: name }".to_owned());
            None
        }
        (Some(time), _) => Some((proofs?, Some(Nonces { time: time?, secrets }))),
    }
}

fn word(node: &Node, what: &'static str, reader: &mut Reader) -> Option<Proofs> {
    let word = reader.text(node, what)?;
    match word.value.as_str() {
        "checked" => Some(Proofs::Checked),
        "required" => Some(Proofs::Required),
        other => {
            reader.error("unknown-word", &word.span, format!("{what} can't be `{other}`")).help =
                Some("checked, or required; without it, tokens that are bound to a key are refused".to_owned());
            None
        }
    }
}

/// One, or several while one takes the place of another.
fn shared(node: &Node, secrets: &mut Secrets, reader: &mut Reader) -> Vec<Secret> {
    let words: Vec<Text> = match &node.value {
        Value::List(_) => distinct(Some(node), "`secret`", reader),
        _ => reader.text(node, "`secret`").into_iter().collect(),
    };
    let mut found = Vec::new();
    for word in &words {
        let Some(secret) = secrets.named(word, reader) else { continue };
        if secret.expose().len() < MIN_SECRET {
            let message = format!("the secret that nonces are made with needs at least {MIN_SECRET} bytes");
            reader.error("weak-secret", &word.span, message);
        }
        found.push(secret);
    }
    found
}
