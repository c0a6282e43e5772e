//! What an upstream is shown for a tenant, and how that changes while the gateway runs.
//!
//! Headers are made once, when secrets are read. A tenant gets its own or, where one is declared, what is for all others;
//! with neither there is no request. A sealed file that can't be read, or lacks what the configuration names, leaves what
//! was read before in force.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use http::{HeaderName, HeaderValue};

use super::Upstreams;
use crate::config::{Choice, Credential, Fingerprint, Keyring, is_plain};
use crate::model::{Name, TenantScope};
use crate::secret::Secret;

/// Of one upstream.
pub(super) struct Credentials {
    header: HeaderName,
    scheme: &'static str,
    choice: Choice,
    values: ArcSwap<Values>,
}

type Values = HashMap<Name, HeaderValue>;

/// A secret that is missing, or can't be sent in a header.
#[derive(Debug)]
pub(super) struct Unfit(Name);

impl Credentials {
    pub(super) fn new(credential: &Credential, keyring: &Keyring) -> Result<Self, Unfit> {
        let (header, scheme, choice) = (credential.header.clone(), credential.scheme, credential.secret.clone());
        let values = ArcSwap::from_pointee(values(&choice, scheme, keyring)?);
        Ok(Self { header, scheme, choice, values })
    }

    /// The header for a tenant. `None`: it has no credential.
    pub(super) fn of(&self, tenant: &TenantScope) -> Option<(HeaderName, HeaderValue)> {
        let values = self.values.load();
        let value = match &self.choice {
            Choice::One(name) => values.get(name),
            Choice::Own { pattern, otherwise } => {
                let own = pattern.of(tenant).and_then(|name| values.get(name.as_str()));
                own.or_else(|| values.get(otherwise.as_ref()?))
            }
        };
        value.map(|value| (self.header.clone(), value.clone()))
    }
}

/// The values of all headers that may be asked for.
fn values(choice: &Choice, scheme: &str, keyring: &Keyring) -> Result<Values, Unfit> {
    let value = |name: &Name, secret: &Secret| {
        let text = zeroize::Zeroizing::new([scheme.as_bytes(), secret.expose()].concat());
        let value = Some(secret).filter(|secret| is_plain(secret)).and_then(|_| HeaderValue::from_bytes(&text).ok());
        let mut value = value.ok_or_else(|| Unfit(Name::clone(name)))?;
        value.set_sensitive(true);
        Ok((Name::clone(name), value))
    };
    let one = |name: &Name| value(name, keyring.get(name).ok_or_else(|| Unfit(Name::clone(name)))?);
    match choice {
        Choice::One(name) => one(name).map(|only| HashMap::from([only])),
        Choice::Own { pattern, otherwise } => {
            let own = keyring.iter().filter(|(name, _)| pattern.fits(name)).map(|(name, secret)| value(name, secret));
            own.chain(otherwise.iter().map(one)).collect()
        }
    }
}

/// What was read of secrets, and what was last seen of their file.
pub(super) struct Kept {
    keyring: Arc<Keyring>,
    seen: Mutex<Seen>,
}

struct Seen {
    fingerprint: Option<Fingerprint>,
    /// Whether it is in force.
    holds: bool,
}

impl Kept {
    pub(super) fn new(keyring: &Arc<Keyring>) -> Self {
        let seen = Mutex::new(Seen { fingerprint: keyring.fingerprint(), holds: true });
        Self { keyring: Arc::clone(keyring), seen }
    }
}

impl Upstreams {
    /// Whether there is a sealed file that may change.
    pub fn has_sealed_secrets(&self) -> bool {
        self.secrets.keyring.fingerprint().is_some()
    }

    /// Reads the sealed file if it changed, and puts all of what it says in force or nothing.
    pub fn read_secrets_again(&self) {
        let Some(found) = self.secrets.keyring.look() else { return };
        let Ok(mut seen) = self.secrets.seen.lock() else { return };
        if seen.fingerprint != Some(found) {
            // Each content is tried once.
            let replaced = self.replace_credentials();
            *seen = Seen { fingerprint: Some(found), holds: replaced.is_ok() };
            match replaced {
                Ok(()) => tracing::info!("the sealed secrets were read again"),
                Err(reason) => {
                    tracing::error!("the sealed secrets can't be used, those in force stay: {reason}");
                }
            }
        }
        self.metrics.sealed_secrets_stale.set(i64::from(!seen.holds));
    }

    fn replace_credentials(&self) -> Result<(), String> {
        let keyring = self.secrets.keyring.read_again().map_err(|wrong| wrong.to_string())?;
        let credentials = || self.by_name.values().filter_map(|peer| peer.credentials.as_ref());
        let made: Result<Vec<Values>, Unfit> =
            credentials().map(|of| values(&of.choice, of.scheme, &keyring)).collect();
        let made = made.map_err(|Unfit(name)| format!("`{name}` is missing, or can't be sent in a header"))?;
        for (credentials, values) in credentials().zip(made) {
            credentials.values.store(Arc::new(values));
        }
        Ok(())
    }
}
