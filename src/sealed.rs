//! Secrets at rest: one file that holds all of them, sealed with AES-256-GCM under a key that lies elsewhere.
//!
//! The file is an envelope. Each writing makes a data key of its own, which seals the values and is itself sealed with the
//! key of the operator: no nonce is ever used twice with one data key, and what is taken from one writing fits no other.
//! Names and dates are in clear and authenticated, each together with its place: a byte that differs, an entry that is
//! missing, doubled or exchanged makes the whole file unreadable. That a whole older file was put in its place can't be seen.
//!
//! ```text
//! "scrim-secrets" version:1 key-id:8 count:4 nonce:12 sealed(data key):48     the head; the first 26 bytes are authenticated
//! (name-length:2 name changed:8 sealed-length:4 sealed(value))*               by ascending name; numbers are big-endian
//! ```

pub mod store;

use std::collections::BTreeMap;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::model::Name;
use crate::secret::Secret;

const MAGIC: &[u8] = b"scrim-secrets";
const VERSION: u8 = 1;
const KEY_LEN: usize = 32;
const KEY_ID_LEN: usize = 8;
const TAG_LEN: usize = 16;
/// What stands before the first nonce, and is authenticated together with the data key.
const HEAD_LEN: usize = MAGIC.len() + 1 + KEY_ID_LEN + 4;
/// In one file.
pub const MAX_ENTRIES: usize = 10_000;
pub const MAX_VALUE: usize = 64 * 1024;
pub const MAX_NAME: usize = 256;
/// Keys of one key file: while one is replaced there are two.
const MAX_KEYS: usize = 4;

/// Why a file could not be opened. Never says what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsealed {
    #[error("it is not a file of sealed secrets")]
    Foreign,
    #[error("it has version {0}, and this program knows version {VERSION}")]
    Version(u8),
    #[error("it is sealed with another key")]
    Key,
    #[error("it was changed or cut since it was sealed")]
    Damaged,
}

/// Why secrets could not be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    #[error("the system gave no random bytes")]
    Random,
    #[error("there are more than {MAX_ENTRIES} secrets")]
    TooMany,
}

/// One secret and when it was last set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub value: Secret,
    pub changed: Timestamp,
}

/// All secrets of a file, by name.
pub type Entries = BTreeMap<Name, Entry>;

/// The keys that the operator keeps elsewhere. The first one seals, any opens.
pub struct Keys(Vec<Zeroizing<[u8; KEY_LEN]>>);

impl Keys {
    /// Reads keys as they are written: each 32 bytes in base64, apart by white space. The error is for the operator.
    pub fn parse(text: &[u8]) -> Result<Self, &'static str> {
        let text = std::str::from_utf8(text).map_err(|_| "it is not text")?;
        let mut keys: Vec<Zeroizing<[u8; KEY_LEN]>> = Vec::new();
        for word in text.split_ascii_whitespace() {
            let bytes = Zeroizing::new(STANDARD.decode(word).map_err(|_| "it is not base64")?);
            let key: [u8; KEY_LEN] = bytes.as_slice().try_into().map_err(|_| "a key has 32 bytes")?;
            let key = Zeroizing::new(key);
            if key.iter().all(|byte| Some(byte) == key.first()) {
                return Err("a key must be random");
            }
            if keys.contains(&key) {
                return Err("it holds one key twice");
            }
            keys.push(key);
        }
        match keys.len() {
            0 => Err("it holds no key"),
            1..=MAX_KEYS => Ok(Self(keys)),
            _ => Err("it holds more than four keys"),
        }
    }

    /// A new key as an operator keeps it.
    pub fn generate() -> Result<Zeroizing<String>, Failed> {
        let mut key = Zeroizing::new([0; KEY_LEN]);
        rand::fill(&mut *key).map_err(|_| Failed::Random)?;
        Ok(Zeroizing::new(STANDARD.encode(*key)))
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Seals everything anew, under a data key that was never used.
    pub fn seal(&self, entries: &Entries) -> Result<Vec<u8>, Failed> {
        let [key, ..] = self.0.as_slice() else { return Err(Failed::Random) };
        let count = Some(entries.len()).filter(|count| *count <= MAX_ENTRIES).ok_or(Failed::TooMany)?;
        let mut data_key = Zeroizing::new([0; KEY_LEN]);
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut *data_key).and_then(|()| rand::fill(&mut nonce)).map_err(|_| Failed::Random)?;
        let mut out = [MAGIC, &[VERSION], &key_id(key), &length(count)].concat();
        let wrapped = sealed(key, nonce, &out, &*data_key)?;
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&wrapped);
        for (index, (name, entry)) in entries.iter().enumerate() {
            let changed = entry.changed.as_second().to_be_bytes();
            let value =
                sealed(&data_key, counted(index), &place(index, changed, name.as_bytes()), entry.value.expose())?;
            let name_length = u16::try_from(name.len()).map_err(|_| Failed::TooMany)?;
            out.extend_from_slice(&name_length.to_be_bytes());
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(&changed);
            out.extend_from_slice(&length(value.len()));
            out.extend_from_slice(&value);
        }
        Ok(out)
    }

    /// Opens a file: all of it is as it was sealed, or nothing comes out.
    pub fn open(&self, bytes: &[u8]) -> Result<Entries, Unsealed> {
        let mut rest = Bytes(bytes);
        if rest.take(MAGIC.len()) != Some(MAGIC) {
            return Err(Unsealed::Foreign);
        }
        match rest.array() {
            Some([VERSION]) => {}
            Some([version]) => return Err(Unsealed::Version(version)),
            None => return Err(Unsealed::Damaged),
        }
        let id: [u8; KEY_ID_LEN] = rest.array().ok_or(Unsealed::Damaged)?;
        let key = self.0.iter().find(|key| key_id(key) == id).ok_or(Unsealed::Key)?;
        let entries = open_with(key, bytes, rest);
        entries.ok_or(Unsealed::Damaged)
    }
}

/// Whether a secret can be called so: parts of plain characters between slashes, as [`NAMES`] says.
pub fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%@:+".contains(&byte);
    name.len() <= MAX_NAME && name.split('/').all(|part| !part.is_empty() && part.bytes().all(plain))
}

/// What a name is made of.
pub const NAMES: &str = "parts of letters, digits and `-._~%@:+`, apart by `/`";

fn open_with(key: &[u8; KEY_LEN], whole: &[u8], mut rest: Bytes<'_>) -> Option<Entries> {
    let count = rest.length()?;
    let nonce = rest.array()?;
    let head = whole.get(..HEAD_LEN)?;
    let data_key = opened(key, nonce, head, rest.take(KEY_LEN + TAG_LEN)?)?;
    let data_key = Zeroizing::new(<[u8; KEY_LEN]>::try_from(data_key.expose()).ok()?);
    let mut entries = Entries::new();
    for index in 0..count {
        let length = u16::from_be_bytes(rest.array()?);
        let name = rest.take(length.into())?;
        let changed = rest.array()?;
        let length = rest.length().filter(|length| *length <= MAX_VALUE + TAG_LEN)?;
        let value = opened(&data_key, counted(index), &place(index, changed, name), rest.take(length)?)?;
        let name = std::str::from_utf8(name).ok().filter(|name| is_name(name))?;
        // One order, so that one name has one value.
        if entries.last_key_value().is_some_and(|(last, _)| **last >= *name) {
            return None;
        }
        let changed = Timestamp::from_second(i64::from_be_bytes(changed)).ok()?;
        entries.insert(name.into(), Entry { value, changed });
    }
    rest.0.is_empty().then_some(entries)
}

/// Names a key without telling anything of it.
fn key_id(key: &[u8; KEY_LEN]) -> [u8; KEY_ID_LEN] {
    let named = Zeroizing::new([&b"scrim-secrets key id"[..], key].concat());
    let hash = digest(&SHA256, &named);
    hash.as_ref().first_chunk().copied().unwrap_or_default()
}

/// What is authenticated with a value: where it stands, when it was set, and its name.
fn place(index: usize, changed: [u8; 8], name: &[u8]) -> Vec<u8> {
    [&length(index)[..], &changed, name].concat()
}

/// Nonces of a data key, which seals each place once and then nothing more.
fn counted(index: usize) -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    if let Some(end) = nonce.last_chunk_mut() {
        *end = length(index);
    }
    nonce
}

fn length(count: usize) -> [u8; 4] {
    // Invariant: entries and values are bounded far below.
    u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes()
}

fn cipher(key: &[u8; KEY_LEN]) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, key).ok().map(LessSafeKey::new)
}

fn sealed(key: &[u8; KEY_LEN], nonce: [u8; NONCE_LEN], with: &[u8], text: &[u8]) -> Result<Vec<u8>, Failed> {
    let mut out = Vec::with_capacity(text.len() + TAG_LEN);
    out.extend_from_slice(text);
    let cipher = cipher(key).ok_or(Failed::Random)?;
    let nonce = Nonce::assume_unique_for_key(nonce);
    cipher.seal_in_place_append_tag(nonce, Aad::from(with), &mut out).map_err(|_| Failed::Random)?;
    Ok(out)
}

fn opened(key: &[u8; KEY_LEN], nonce: [u8; NONCE_LEN], with: &[u8], sealed: &[u8]) -> Option<Secret> {
    let mut text = Zeroizing::new(sealed.to_vec());
    let nonce = Nonce::assume_unique_for_key(nonce);
    let length = cipher(key)?.open_in_place(nonce, Aad::from(with), &mut text).ok()?.len();
    text.truncate(length);
    Some(Secret::from(text))
}

/// What is left to read.
struct Bytes<'b>(&'b [u8]);

impl<'b> Bytes<'b> {
    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(u32::from_be_bytes(self.array()?)).ok()
    }
}

#[cfg(test)]
mod tests;
