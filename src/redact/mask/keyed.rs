//! Hashes and tokens: what stands for a value under a key of its tenant, table and field.
//!
//! All keys are derived from the gateway's masking key, so that equal values can't be told across tenants and fields.
//! Within one field they are the same for the same value: whoever can guess a value and see its mask beside a known one
//! learns that they are equal.
//!
//! A hash (HMAC-SHA-256, hex) can't be turned back. A token is the value itself, encrypted deterministically (AES-SIV, RFC
//! 5297): `tok1_` and the base64url of the synthetic IV and the ciphertext. [`detokenise`] turns it back for whoever holds
//! the masking key, and refuses one that was made for another tenant, table or field. Its length tells the value's length
//! in steps of 16 bytes.

use std::sync::Arc;

use aes_siv::KeyInit;
use aes_siv::siv::Aes256Siv;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::number;
use crate::api::{Catalog, FieldId, TableId};
use crate::model::TenantScope;
use crate::model::value::Type;
use crate::redact::{kind, text};
use crate::secret::Secret;

/// How a token begins; the number changes with the way tokens are made.
const TOKEN: &str = "tok1_";
/// Values are padded to a multiple of this.
const STEP: usize = 16;

/// What a derived key is for; both masks of one field must not be comparable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Hash,
    Token,
}

/// Derives the keys of an answer's fields.
#[derive(Debug)]
pub(in crate::redact) struct Keys {
    catalog: Arc<Catalog>,
    tenant: TenantScope,
    secret: Option<Secret>,
}

impl Keys {
    pub(in crate::redact) fn new(catalog: Arc<Catalog>, tenant: TenantScope, secret: Option<Secret>) -> Self {
        Self { catalog, tenant, secret }
    }

    /// `None`: the gateway has no masking key.
    pub(super) fn hasher(&self, table: TableId, field: FieldId) -> Option<Hasher> {
        let key = self.derive::<32>(Purpose::Hash, table, field)?;
        Some(Hasher(hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &key))))
    }

    /// `None`: the gateway has no masking key.
    pub(super) fn tokeniser(&self, table: TableId, field: FieldId) -> Option<Tokeniser> {
        let key = self.derive::<64>(Purpose::Token, table, field)?;
        Some(Tokeniser(Box::new(Aes256Siv::new(&key.into()))))
    }

    /// HKDF-Expand (RFC 5869, section 2.3): the secret is a uniform key, the info names what for.
    fn derive<const LENGTH: usize>(&self, purpose: Purpose, table: TableId, field: FieldId) -> Option<[u8; LENGTH]> {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, self.secret.as_ref()?.expose());
        let purpose = match purpose {
            Purpose::Hash => "scrim mask hash v1",
            Purpose::Token => "scrim mask token v1",
        };
        let table = self.catalog.table(table);
        let tenant = self.tenant.dimensions().flat_map(|(name, value)| [&**name, &**value]);
        let mut info = Vec::new();
        for part in [purpose, &table.name, &table.field(field).name].into_iter().chain(tenant) {
            // Lengths go before the parts, so that no two lists of parts read the same.
            info.extend_from_slice(&(part.len() as u64).to_be_bytes());
            info.extend_from_slice(part.as_bytes());
        }
        let mut key = [0; LENGTH];
        let mut block: Option<hmac::Tag> = None;
        for (count, chunk) in (1..).zip(key.chunks_mut(32)) {
            let mut context = hmac::Context::with_key(&secret);
            context.update(block.as_ref().map_or(&[], AsRef::as_ref));
            context.update(&info);
            context.update(&[count]);
            let tag = context.sign();
            chunk.copy_from_slice(tag.as_ref().get(..chunk.len())?);
            block = Some(tag);
        }
        Some(key)
    }
}

/// Makes the hashes of one field; its keyed state is copied for each value.
pub(in crate::redact) struct Hasher(hmac::Context);

impl Hasher {
    /// Lower-case hex. `None`: the value is none of its type.
    pub(super) fn write(&self, of: &Type, raw: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let mut context = self.0.clone();
        context.update(&meaning(of, raw)?);
        out.push(b'"');
        for byte in context.sign().as_ref() {
            let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
            out.extend_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
        }
        out.push(b'"');
        Some(())
    }
}

/// Makes the tokens of one field.
pub(in crate::redact) struct Tokeniser(Box<Aes256Siv>);

impl Tokeniser {
    /// `None`: the value is none of its type, or too long to be encrypted.
    pub(super) fn write(&mut self, of: &Type, raw: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let mut plain = meaning(of, raw)?;
        // One bit and as many zeros as it takes (ISO/IEC 7816-4), so that it can be told from the value.
        plain.push(0x80);
        plain.resize(plain.len().next_multiple_of(STEP), 0);
        let sealed = self.0.encrypt([[0_u8; 0]; 0], &plain).ok()?;
        out.push(b'"');
        out.extend_from_slice(TOKEN.as_bytes());
        out.extend_from_slice(URL_SAFE_NO_PAD.encode(sealed).as_bytes());
        out.push(b'"');
        Some(())
    }
}

/// The JSON value for which a token stands that was made under this masking key for the tenant and the field. `None` if
/// it is no such token.
pub fn detokenise(
    catalog: &Arc<Catalog>,
    tenant: &TenantScope,
    masking_key: &Secret,
    table: TableId,
    field: FieldId,
    token: &str,
) -> Option<Vec<u8>> {
    let keys = Keys::new(Arc::clone(catalog), tenant.clone(), Some(masking_key.clone()));
    let mut siv = keys.tokeniser(table, field)?.0;
    let sealed = URL_SAFE_NO_PAD.decode(token.strip_prefix(TOKEN)?).ok()?;
    let plain = siv.decrypt([[0_u8; 0]; 0], &sealed).ok()?;
    let end = plain.iter().rposition(|byte| *byte != 0)?;
    match plain.get(..end)? {
        [b's', text @ ..] => {
            let mut raw = Vec::new();
            text::escape(std::str::from_utf8(text).ok()?, &mut raw);
            Some(raw)
        }
        [b'n', word @ ..] => (kind::is_number(word) || matches!(word, b"true" | b"false")).then(|| word.to_vec()),
        _ => None,
    }
}

/// What a scalar means. Its kind goes in, so that 1 and "1" differ, but not where a field holds numbers: there all that are
/// equal are one. Words go in as they are spelled.
fn meaning(of: &Type, raw: &[u8]) -> Option<Vec<u8>> {
    if number::is_of(of) {
        return Some([b"n", number::spelled(raw)?.as_bytes()].concat());
    }
    Some(match text::string(raw) {
        Some(text) => [b"s", text.as_bytes()].concat(),
        None => [b"n", raw].concat(),
    })
}
