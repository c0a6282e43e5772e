//! Nonces that proofs must repeat where an issuer says so (RFC 9449, section 8): nobody can make a proof long before it is used.
//!
//! Nothing is remembered of them. Each is a keyed hash of the stretch of time in which it is told, and is accepted in that
//! stretch and in the next one. The key is this process' own and is never shown, so one that another process told, or that was
//! made up, is as good as none: whoever sends it is told a new one and asks again.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;

use super::Refused;

const BYTES: usize = 32;
/// As it is written.
const LENGTH: usize = BYTES.div_ceil(3) * 4 - 1;

/// What a client's next proof should repeat.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Nonce([u8; BYTES]);

/// As it is told.
impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce")
    }
}

/// Makes them. Without random numbers for a key, none is accepted.
pub(super) struct Nonces(Option<hmac::Key>);

impl Default for Nonces {
    fn default() -> Self {
        let mut key = zeroize::Zeroizing::new([0; BYTES]);
        let filled = rand::fill(&mut *key).is_ok();
        Self(filled.then(|| hmac::Key::new(hmac::HMAC_SHA256, &*key)))
    }
}

impl Nonces {
    /// Whether a proof repeats one that was told within this time or the same again, and what to tell its client then: the
    /// one of now, if that is another. Errors: it doesn't, with the one to repeat.
    pub(super) fn check(&self, shown: Option<&str>, time: Duration, now: i64) -> Result<Option<Nonce>, Refused> {
        let Some(key) = &self.0 else { return Err(Refused::Proof) };
        let stretch = now.div_euclid(i64::try_from(time.as_secs()).unwrap_or(i64::MAX).max(1));
        let (own, before) = (of(key, time, stretch), of(key, time, stretch.saturating_sub(1)));
        let shown = shown.filter(|text| text.len() == LENGTH).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let is = |known: &Nonce| shown.as_ref().is_some_and(|shown| bool::from(shown.as_slice().ct_eq(&known.0)));
        match (is(&own), is(&before)) {
            (true, _) => Ok(None),
            (false, true) => Ok(Some(own)),
            (false, false) => Err(Refused::Nonce(own)),
        }
    }
}

/// Of issuers that tell theirs for another time, it is another one.
fn of(key: &hmac::Key, time: Duration, stretch: i64) -> Nonce {
    let tag = hmac::sign(key, &[time.as_secs().to_be_bytes(), stretch.to_be_bytes()].concat());
    let mut bytes = [0; BYTES];
    bytes.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
    Nonce(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(60);
    /// At the beginning of a stretch.
    const NOW: i64 = 1_800_000_000;

    fn told(nonces: &Nonces, shown: Option<&str>, now: i64) -> Nonce {
        match nonces.check(shown, TIME, now) {
            Err(Refused::Nonce(nonce)) => nonce,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_nonce_is_good_for_its_time_and_the_same_again() {
        let nonces = Nonces::default();
        let first = told(&nonces, None, NOW);
        let text = first.to_string();
        assert_eq!(text.len(), LENGTH);
        for after in [0, 1, 59] {
            assert_eq!(nonces.check(Some(&text), TIME, NOW + after), Ok(None), "{after}");
        }
        let next = told(&nonces, None, NOW + 60);
        assert_ne!(first, next);
        for after in [60, 119] {
            assert_eq!(nonces.check(Some(&text), TIME, NOW + after), Ok(Some(next)), "{after}: a new one is told");
        }
        for after in [120, 3600, -1, -60] {
            assert_ne!(told(&nonces, Some(&text), NOW + after), first, "{after}");
        }
    }

    #[test]
    fn what_this_process_did_not_tell_for_this_is_none() {
        let nonces = Nonces::default();
        let own = told(&nonces, None, NOW);
        let text = own.to_string();
        let foreign = told(&Nonces::default(), None, NOW).to_string();
        let shifted: String = text.chars().rev().collect();
        let padded = format!("{text}=");
        let long = text.repeat(1000);
        let last = text.chars().next_back().map(|last| if last == 'A' { "B" } else { "A" });
        let other_end = format!("{}{}", text.get(..LENGTH - 1).expect("ASCII"), last.expect("a character"));
        for shown in
            ["", "0", &foreign, &shifted, &padded, &long, &other_end, &text.to_uppercase(), &"A".repeat(LENGTH)]
        {
            assert_eq!(told(&nonces, Some(shown), NOW), own, "{shown}");
        }
        // Told for another issuer's time, which begins at the same moment.
        let longer = nonces.check(Some(&text), Duration::from_secs(120), NOW);
        assert!(matches!(longer, Err(Refused::Nonce(_))), "{longer:?}");
        assert!(!format!("{own:?}").contains(&text));
        assert_eq!(Nonces(None).check(Some(&text), TIME, NOW), Err(Refused::Proof), "without a key there are none");
    }
}
