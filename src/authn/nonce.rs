//! Nonces that proofs must repeat where an issuer says so (RFC 9449, section 8): nobody can make a proof long before it is used.
//!
//! Nothing is remembered of them. Each is a keyed hash of the stretch of time in which it is told, and is accepted in that
//! stretch and in the next one. The key is this process' own, or what an operator's secret makes that several gateways share,
//! and is never shown: one that was made up, or told by whoever has another key, is as good as none. Whoever sends it is told a
//! new one and asks again.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;

use super::Refused;
use crate::config;
use crate::secret::Secret;

const BYTES: usize = 32;
/// What the clock of another gateway with the same secret may be ahead, in seconds.
const AHEAD: i64 = 5;
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

/// What an issuer's proofs must repeat.
#[derive(Clone)]
pub(super) struct Repeated {
    time: Duration,
    /// `None`: what the process tells by itself.
    shared: Option<Arc<Nonces>>,
}

impl fmt::Debug for Repeated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Repeated")
    }
}

impl Repeated {
    pub(super) fn new(config: &config::Nonces) -> Self {
        let shared = (!config.secrets.is_empty()).then(|| Arc::new(Nonces::shared(&config.secrets)));
        Self { time: config.time, shared }
    }

    /// See [`Nonces::check`]. `own`: those of the process.
    pub(super) fn check(&self, own: &Nonces, shown: Option<&str>, now: i64) -> Result<Option<Nonce>, Refused> {
        self.shared.as_deref().unwrap_or(own).check(shown, self.time, now)
    }
}

/// Makes them with its first key, and knows those of all. Without a key, as where there are no random numbers for one, none
/// is accepted.
pub(super) struct Nonces {
    keys: Vec<hmac::Key>,
    /// What may have been told by another one's clock, in seconds from now.
    ahead: i64,
}

impl Default for Nonces {
    fn default() -> Self {
        let mut key = zeroize::Zeroizing::new([0; BYTES]);
        let filled = rand::fill(&mut *key).is_ok();
        Self { keys: filled.then(|| hmac::Key::new(hmac::HMAC_SHA256, &*key)).into_iter().collect(), ahead: 0 }
    }
}

impl Nonces {
    fn shared(secrets: &[Secret]) -> Self {
        let key = |secret: &Secret| {
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.expose()), b"scrim dpop nonce v1");
            hmac::Key::new(hmac::HMAC_SHA256, tag.as_ref())
        };
        Self { keys: secrets.iter().map(key).collect(), ahead: AHEAD }
    }

    /// Whether a proof repeats one that was told within this time or the same again, and what to tell its client then: the
    /// one of now, if that is newer. Errors: it doesn't, with the one to repeat.
    fn check(&self, shown: Option<&str>, time: Duration, now: i64) -> Result<Option<Nonce>, Refused> {
        let Some(first) = self.keys.first() else { return Err(Refused::Proof) };
        let length = i64::try_from(time.as_secs()).unwrap_or(i64::MAX).max(1);
        let stretch = now.div_euclid(length);
        let shown = shown.filter(|text| text.len() == LENGTH).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let is = |known: Nonce| shown.as_ref().is_some_and(|shown| bool::from(shown.as_slice().ct_eq(&known.0)));
        let own = of(first, time, stretch);
        if is(own) || is(of(first, time, now.saturating_add(self.ahead).div_euclid(length))) {
            return Ok(None);
        }
        let told = |key| [stretch.saturating_sub(1), stretch].into_iter().any(|stretch| is(of(key, time, stretch)));
        if self.keys.iter().any(told) { Ok(Some(own)) } else { Err(Refused::Nonce(own)) }
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
        let none = Nonces { keys: Vec::new(), ahead: 0 };
        assert_eq!(none.check(Some(&text), TIME, NOW), Err(Refused::Proof), "without a key there are none");
    }

    const SECRETS: [&str; 2] = ["0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"];

    fn sharing(secrets: &[&str]) -> Nonces {
        Nonces::shared(&secrets.iter().copied().map(Secret::new).collect::<Vec<_>>())
    }

    #[test]
    fn whoever_has_the_same_secret_tells_and_takes_the_same() {
        let (one, two, other) = (sharing(&SECRETS[..1]), sharing(&SECRETS[..1]), sharing(&SECRETS[1..]));
        let nonce = told(&one, None, NOW);
        let text = nonce.to_string();
        assert_eq!(told(&two, None, NOW), nonce);
        assert_eq!(two.check(Some(&text), TIME, NOW + 59), Ok(None));
        assert_eq!(two.check(Some(&text), TIME, NOW + 119), Ok(Some(told(&one, None, NOW + 60))));
        assert_ne!(told(&two, Some(&text), NOW + 120), nonce, "for as long and no longer");
        for foreign in [&other, &Nonces::default()] {
            assert_ne!(told(foreign, Some(&text), NOW), nonce);
        }
        assert_ne!(told(&Nonces::default(), Some(&text), NOW), nonce);
        // The secret itself is no key, and its hash is none that anything else is made with.
        let bare = Nonces { keys: vec![hmac::Key::new(hmac::HMAC_SHA256, SECRETS[0].as_bytes())], ahead: 0 };
        assert_ne!(told(&bare, None, NOW), nonce);
    }

    #[test]
    fn a_gateway_whose_clock_is_a_little_ahead_tells_what_the_others_take() {
        let (one, two) = (sharing(&SECRETS[..1]), sharing(&SECRETS[..1]));
        let next = told(&one, None, NOW + 60).to_string();
        assert_eq!(two.check(Some(&next), TIME, NOW + 55), Ok(None), "and it is told no older one");
        assert!(matches!(two.check(Some(&next), TIME, NOW + 54), Err(Refused::Nonce(_))), "not more than a little");
        let own = Nonces::default();
        let next = told(&own, None, NOW + 60).to_string();
        assert!(matches!(own.check(Some(&next), TIME, NOW + 59), Err(Refused::Nonce(_))), "its own clock is its own");
    }

    #[test]
    fn a_secret_takes_the_place_of_another_without_a_client_that_is_told_anew() {
        let (old, both, new) = (sharing(&SECRETS[..1]), sharing(&[SECRETS[1], SECRETS[0]]), sharing(&SECRETS[1..]));
        let (before, after) = (told(&old, None, NOW).to_string(), told(&new, None, NOW));
        assert_eq!(both.check(Some(&before), TIME, NOW), Ok(Some(after)), "what was told before is good, and replaced");
        assert_eq!(both.check(Some(&after.to_string()), TIME, NOW), Ok(None));
        assert_eq!(told(&new, Some(&before), NOW), after, "it is over with the last of them");
        // A gateway that has not been told of the new one yet.
        let known = sharing(&[SECRETS[0], SECRETS[1]]);
        assert!(matches!(known.check(Some(&after.to_string()), TIME, NOW), Ok(Some(_))));
    }
}
