//! Everything that one exchange is judged by, loaded together and swapped together: all or nothing.
//!
//! A configuration that can't be loaded never replaces one that could. At first start there is none, and nothing is served.

use std::path::Path;
use std::sync::Arc;

use crate::api::Catalog;
use crate::authn::Authenticator;
use crate::clock::Clock;
use crate::config::Config;
use crate::diagnostic::Diagnostic;
use crate::policy::PolicySet;
use crate::upstream::Upstreams;

pub struct Snapshot {
    pub config: Config,
    pub catalog: Arc<Catalog>,
    pub policies: PolicySet,
    pub authenticator: Authenticator,
    pub upstreams: Upstreams,
}

impl Snapshot {
    /// Reads and checks the configuration, its API descriptions, its policies and its key files.
    ///
    /// Errors: every mistake of every file. Warnings come with the snapshot.
    pub fn load(_config: &Path, _clock: &Clock) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        todo!()
    }
}
