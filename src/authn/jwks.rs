//! JSON Web Key Sets (RFC 7517): public keys of one issuer.
//!
//! A set is taken whole or not at all: a private or symmetric key, a weak one, or two keys of one id in it mean that
//! whoever wrote it made a mistake that must not be lived with. Keys for other uses and algorithms are left out. A set
//! without a usable key is a failure, never "no keys needed".

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;

use super::Refused;
use super::json::Json;
use crate::config::Algorithm;
use crate::model::Name;

const MAX_KEYS: usize = 100;

/// Why a key set is of no use. Says nothing of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unusable {
    #[error("it is no JSON Web Key Set")]
    Syntax,
    #[error("it holds a private or symmetric key; it must hold public keys only")]
    Private,
    #[error("it holds a key that is malformed or too weak; RSA keys need 2048 bits")]
    Weak,
    #[error("it holds two keys with the same `kid`")]
    Duplicate,
    #[error("it holds no key for the declared algorithms")]
    NoKeys,
}

pub(super) struct Key {
    pub(super) kid: Option<Name>,
    algorithm: Algorithm,
    verifier: DecodingKey,
}

impl Key {
    /// Whether it made the signature of a text, by an algorithm that must be its own.
    pub(super) fn verifies(&self, algorithm: Algorithm, signed: &str, signature: &str) -> bool {
        let named = match algorithm {
            Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
            Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
            Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        };
        algorithm == self.algorithm
            && jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &self.verifier, named).unwrap_or(false)
    }
}

/// A key that came with a proof of its own, and its thumbprint.
pub(super) struct ProofKey {
    /// RFC 7638, with SHA-256.
    pub(super) thumbprint: [u8; 32],
    pub(super) key: Key,
}

/// The keys of one issuer that verify signatures; never empty.
pub(super) struct KeySet {
    keys: Vec<Key>,
}

impl KeySet {
    /// Reads a set for an issuer that uses `algorithms`.
    pub(super) fn parse(bytes: &[u8], algorithms: &[Algorithm]) -> Result<Self, Unusable> {
        let json = Json::parse(bytes).ok_or(Unusable::Syntax)?;
        let Some(Json::List(items)) = json.member("keys") else { return Err(Unusable::Syntax) };
        if items.len() > MAX_KEYS {
            return Err(Unusable::Syntax);
        }
        if items.iter().any(is_secret) {
            return Err(Unusable::Private);
        }
        let mut keys: Vec<Key> = Vec::new();
        for item in items {
            let Some(key) = key(item)? else { continue };
            if key.kid.is_some() && keys.iter().any(|other| other.kid == key.kid) {
                return Err(Unusable::Duplicate);
            }
            keys.push(key);
        }
        keys.retain(|key| algorithms.contains(&key.algorithm));
        if keys.is_empty() { Err(Unusable::NoKeys) } else { Ok(Self { keys }) }
    }

    /// The key of that id, which must be of that algorithm; without an id, the only key of that algorithm.
    pub(super) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<&Key, Refused> {
        match kid {
            Some(kid) => {
                let key = self.keys.iter().find(|key| key.kid.as_deref() == Some(kid)).ok_or(Refused::Key)?;
                if key.algorithm == algorithm { Ok(key) } else { Err(Refused::Algorithm) }
            }
            None => {
                let mut fitting = self.keys.iter().filter(|key| key.algorithm == algorithm);
                match (fitting.next(), fitting.next()) {
                    (Some(only), None) => Ok(only),
                    _ => Err(Refused::Key),
                }
            }
        }
    }
}

/// Whether a key is private or symmetric.
fn is_secret(item: &Json) -> bool {
    item.member("kty").and_then(Json::text) == Some("oct")
        || ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"].iter().any(|part| item.member(part).is_some())
}

/// A public key that is sound and for signatures.
pub(super) fn proof_key(item: &Json) -> Option<ProofKey> {
    let key = key(item).ok().flatten().filter(|_| !is_secret(item))?;
    let part = |name: &str| item.member(name).and_then(Json::text);
    // The members that make the key, in the order of their names; their values need no escapes.
    let text = match key.algorithm {
        Algorithm::Es256 => format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, part("x")?, part("y")?),
        Algorithm::Rs256 => format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, part("e")?, part("n")?),
        Algorithm::EdDsa => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, part("x")?),
    };
    Some(ProofKey { thumbprint: super::sha256(text.as_bytes()), key })
}

/// One key; `None` if it is for another use or algorithm.
fn key(item: &Json) -> Result<Option<Key>, Unusable> {
    let text = |name: &str| item.member(name).map(|value| value.text().ok_or(Unusable::Syntax)).transpose();
    let kid = text("kid")?;
    let kind = text("kty")?.ok_or(Unusable::Syntax)?;
    let (usage, alg, curve) = (text("use")?, text("alg")?, text("crv")?);
    let operations = item.member("key_ops").map(|value| value.texts().ok_or(Unusable::Syntax)).transpose()?;
    if usage.is_some_and(|usage| usage != "sig") || operations.is_some_and(|held| !held.contains(&"verify")) {
        return Ok(None);
    }
    let part = |name: &str| text(name)?.ok_or(Unusable::Weak);
    let (algorithm, verifier) = match (kind, curve, alg) {
        ("RSA", None, None | Some("RS256")) => {
            let (n, e) = (part("n")?, part("e")?);
            if !is_strong_rsa(&decode(n)?, &decode(e)?) {
                return Err(Unusable::Weak);
            }
            (Algorithm::Rs256, DecodingKey::from_rsa_components(n, e))
        }
        ("EC", Some("P-256"), None | Some("ES256")) => {
            let (x, y) = (part("x")?, part("y")?);
            let point = [vec![4], coordinate(x)?, coordinate(y)?].concat();
            ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| Unusable::Weak)?;
            (Algorithm::Es256, DecodingKey::from_ec_components(x, y))
        }
        ("OKP", Some("Ed25519"), None | Some("EdDSA" | "Ed25519")) => {
            let x = part("x")?;
            let point = coordinate(x)?;
            if is_small_order(&point) || ParsedPublicKey::new(&ED25519, point).is_err() {
                return Err(Unusable::Weak);
            }
            (Algorithm::EdDsa, DecodingKey::from_ed_components(x))
        }
        _ => return Ok(None),
    };
    let verifier = verifier.map_err(|_| Unusable::Weak)?;
    Ok(Some(Key { kid: kid.map(Name::from), algorithm, verifier }))
}

fn decode(text: &str) -> Result<Vec<u8>, Unusable> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Unusable::Weak)
}

fn coordinate(text: &str) -> Result<Vec<u8>, Unusable> {
    decode(text).and_then(|bytes| if bytes.len() == 32 { Ok(bytes) } else { Err(Unusable::Weak) })
}

/// 2048 to 8192 bits, an odd exponent above 2^16 of at most 32 bits (FIPS 186-5), and not made by the broken generator
/// of CVE-2017-15361.
fn is_strong_rsa(n: &[u8], e: &[u8]) -> bool {
    let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
    let exponent = if e.len() > 4 { None } else { Some(e.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte))) };
    let odd = n.last().is_some_and(|last| last & 1 == 1);
    n.first().is_some_and(|first| *first != 0)
        && (2048..=8192).contains(&bits)
        && odd
        && exponent.is_some_and(|e| e > 1 << 16 && e & 1 == 1)
        && !is_roca(n)
}

/// Moduli of that generator are powers of 65537 modulo each small prime; others are so once in 2^27 keys.
fn is_roca(n: &[u8]) -> bool {
    const PRIMES: [u64; 38] = [
        3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107,
        109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
    ];
    PRIMES.iter().all(|prime| {
        let rest = n.iter().fold(0, |rest, byte| (rest << 8 | u64::from(*byte)) % prime);
        let mut power = 1;
        (0..*prime).any(|_| {
            power = power * 65537 % prime;
            power == rest
        })
    })
}

/// Points of order 1, 2 and 4 verify signatures that nobody made: y is 0, 1 or -1 modulo p, whatever the sign bit.
/// Those of order 8 have no such short form and are listed (RFC 8032, section 5.1; y first byte to last).
fn is_small_order(point: &[u8]) -> bool {
    let Some((last, rest)) = point.split_last() else { return true };
    let (Some((first, middle)), last) = (rest.split_first(), last & 0x7f) else { return true };
    let low = *first <= 1 && middle.iter().all(|b| *b == 0) && last == 0;
    // p - 1, p and p + 1 are 2^255 - 20, - 19 and - 18.
    let high = (0xec..=0xee).contains(first) && middle.iter().all(|b| *b == 0xff) && last == 0x7f;
    const ORDER_8: [[u8; 8]; 2] =
        [[0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0], [0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f]];
    low || high || ORDER_8.iter().any(|start| point.starts_with(start))
}

#[cfg(test)]
mod tests;
