//! Places as texts: encrypted and authenticated, of one length, each with an end.
//!
//! ```text
//! base64url(version:1 nonce:12 sealed(page:8 position:8 skip:8 until:8 kind:1 anchor:16) tag:16)     big-endian
//! ```
//!
//! AES-256-GCM-SIV (RFC 8452) with a random nonce: with keys that several instances share for years, two equal nonces must
//! not matter. What a place is bound to is authenticated and not in the text.

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::{ANCHOR_LEN, Anchor, Place};
use crate::secret::Secret;

/// Changes with the way places are sealed.
const VERSION: u8 = 2;
/// What a place is behind.
const NOTHING: u8 = 0;
const SHOWN: u8 = 1;
const LOOKED_AT: u8 = 2;
const PLAIN_LEN: usize = 4 * 8 + 1 + ANCHOR_LEN;
const TAG_LEN: usize = 16;
const SEALED_LEN: usize = 1 + NONCE_LEN + PLAIN_LEN + TAG_LEN;
/// Of every text.
pub(super) const TEXT_LEN: usize = SEALED_LEN / 3 * 4;

pub(super) struct Seal {
    /// `None`: the system gave no random bytes, so nothing is sealed.
    key: Option<Arc<LessSafeKey>>,
    /// Whether the operator chose it.
    given: bool,
}

impl Seal {
    pub(super) fn new(secret: Option<&Secret>) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        let made = match secret {
            Some(secret) => {
                let label = b"scrim cursor v1";
                let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.expose()), label);
                key.copy_from_slice(tag.as_ref());
                true
            }
            None => rand::fill(&mut *key).is_ok(),
        };
        let key = made.then(|| UnboundKey::new(&AES_256_GCM_SIV, &*key).ok()).flatten();
        Self { key: key.map(|key| Arc::new(LessSafeKey::new(key))), given: secret.is_some() }
    }

    /// A key that nobody has chosen lasts as long as the process.
    pub(super) fn inherit(&mut self, old: &Self) {
        if !self.given && !old.given {
            self.key.clone_from(&old.key);
        }
    }

    pub(super) fn close(&self, place: &Place, until: i64, bound: &[u8; 32]) -> Option<String> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        let mut text = Vec::with_capacity(PLAIN_LEN + TAG_LEN);
        for number in [place.page, place.position, place.skip] {
            text.extend_from_slice(&number.to_be_bytes());
        }
        text.extend_from_slice(&until.to_be_bytes());
        let (kind, hash) = match place.anchor {
            None => (NOTHING, [0; ANCHOR_LEN]),
            Some(Anchor { hash, looked_at: false }) => (SHOWN, hash),
            Some(Anchor { hash, looked_at: true }) => (LOOKED_AT, hash),
        };
        text.push(kind);
        text.extend_from_slice(&hash);
        let with = Aad::from(with(bound));
        self.key.as_ref()?.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), with, &mut text).ok()?;
        Some(URL_SAFE_NO_PAD.encode([&[VERSION][..], &nonce, &text].concat()))
    }

    /// A place and when it ends.
    pub(super) fn open(&self, text: &str, bound: &[u8; 32]) -> Option<(Place, i64)> {
        // Whatever else there is, it was not made here.
        if text.len() != TEXT_LEN {
            return None;
        }
        let sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (nonce, sealed) = sealed.strip_prefix(&[VERSION])?.split_first_chunk::<NONCE_LEN>()?;
        let mut text = sealed.to_vec();
        let with = Aad::from(with(bound));
        let plain = self.key.as_ref()?.open_in_place(Nonce::assume_unique_for_key(*nonce), with, &mut text).ok()?;
        let (page, rest) = number(plain)?;
        let (position, rest) = number(rest)?;
        let (skip, rest) = number(rest)?;
        let (until, rest) = rest.split_first_chunk::<8>()?;
        let (kind, hash) = rest.split_first()?;
        let hash = hash.try_into().ok()?;
        let anchor = match *kind {
            NOTHING => None,
            SHOWN => Some(Anchor { hash, looked_at: false }),
            LOOKED_AT => Some(Anchor { hash, looked_at: true }),
            _ => return None,
        };
        Some((Place { page, position, skip, anchor }, i64::from_be_bytes(*until)))
    }
}

fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    bytes.split_first_chunk::<8>().map(|(number, rest)| (u64::from_be_bytes(*number), rest))
}

/// What is authenticated besides.
fn with(bound: &[u8; 32]) -> [u8; 33] {
    let mut with = [VERSION; 33];
    with.iter_mut().skip(1).zip(bound).for_each(|(to, from)| *to = *from);
    with
}
