//! What was taken back before its end: tokens, people, signing keys and API keys, by a file that is read again and again.
//!
//! It is looked at for every credential, remembered or not, so that it takes effect as soon as it was read. A file that
//! can't be read any more leaves the last list in force, is said in the log, and counted.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use jiff::Timestamp;

use super::json::Json;
use super::{Refused, sha256};
use crate::diagnostic::{Diagnostic, Source, has_errors};
use crate::files;
use crate::metrics::Metrics;
use crate::model::{Name, Principal};
use crate::yaml::{self, Node, Reader};

/// A file of revocations and what it last said.
pub(super) struct Revocations {
    path: PathBuf,
    list: ArcSwap<List>,
    /// Of what was last read, good or bad: each text is read once.
    seen: Mutex<Option<[u8; 32]>>,
    metrics: Metrics,
}

/// By their kind and word.
#[derive(Debug, Default)]
struct List {
    tokens: HashMap<String, Vec<Of>>,
    subjects: HashMap<String, Vec<Of>>,
    keys: HashMap<String, Vec<Of>>,
    api_keys: HashMap<String, Vec<Of>>,
}

/// Whose it is, and up to when.
#[derive(Debug)]
struct Of {
    /// `None`: any issuer's.
    issuer: Option<Name>,
    /// `None`: whenever it was issued.
    before: Option<Timestamp>,
}

/// By what a verified token can be taken back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) issuer: Option<Name>,
    token: Option<String>,
    subject: Option<String>,
    /// What the subject became, where it was mapped.
    principal: Option<Name>,
    key: Option<String>,
    issued: Option<i64>,
}

impl Marks {
    /// `key`: the id of the key that signed it, where one did.
    pub(super) fn of(principal: &Principal, claims: &Json, key: Option<&str>) -> Self {
        let text = |name: &str| claims.member(name).and_then(Json::text).map(str::to_owned);
        let issued = match claims.member("iat") {
            Some(Json::Int(second)) => Some(*second),
            _ => None,
        };
        Self {
            issuer: Some(Name::clone(&principal.issuer)),
            token: text("jti"),
            subject: text("sub"),
            principal: Some(Name::clone(&principal.id)),
            key: key.map(str::to_owned),
            issued,
        }
    }
}

impl Revocations {
    /// Reads the file for the first time. Errors: every mistake in it; a list that can't be read revokes nothing.
    pub(super) fn load(path: &Path, metrics: &Metrics) -> Result<Self, Vec<Diagnostic>> {
        let source = files::source(path).map_err(|error| vec![error])?;
        let list = compile(&source)?;
        let this = Self {
            path: path.to_owned(),
            list: ArcSwap::from_pointee(list),
            seen: Mutex::new(Some(sha256(source.text.as_bytes()))),
            metrics: metrics.clone(),
        };
        this.tell(true);
        Ok(this)
    }

    /// Reads the file again, and puts what it says in force if it says something else.
    pub(super) fn read_again(&self) {
        let read = files::source(&self.path).map_err(|error| vec![error]);
        let hash = read.as_ref().ok().map(|source| sha256(source.text.as_bytes()));
        let Ok(mut seen) = self.seen.lock() else { return };
        if hash.is_some() && *seen == hash {
            return;
        }
        let was_readable = seen.is_some();
        *seen = hash;
        match read.and_then(|source| compile(&source)) {
            Ok(list) => {
                self.list.store(Arc::new(list));
                self.tell(true);
                tracing::info!(entries = self.list.load().len(), "the list of revocations was read");
            }
            // Once for each text, and once while there is none.
            Err(errors) => {
                if was_readable || hash.is_some() {
                    errors.iter().for_each(|error| tracing::error!("{error}"));
                    tracing::error!("the list of revocations can't be used: the last one stays in force");
                }
                self.tell(false);
            }
        }
    }

    fn tell(&self, holds: bool) {
        self.metrics.revocations_stale.set(i64::from(!holds));
        self.metrics.revocations.set(i64::try_from(self.list.load().len()).unwrap_or(i64::MAX));
    }

    pub(super) fn check_token(&self, marks: &Marks) -> Result<(), Refused> {
        let list = self.list.load();
        let is_in = |of: &HashMap<String, Vec<Of>>, word: Option<&str>| {
            let entries = word.and_then(|word| of.get(word));
            entries.is_some_and(|entries| entries.iter().any(|of| of.covers(marks.issuer.as_ref(), marks.issued)))
        };
        // Operators know people by what the gateway calls them, too.
        let revoked = is_in(&list.tokens, marks.token.as_deref())
            || is_in(&list.subjects, marks.subject.as_deref())
            || is_in(&list.subjects, marks.principal.as_deref())
            || is_in(&list.keys, marks.key.as_deref());
        if revoked { Err(Refused::Revoked) } else { Ok(()) }
    }

    /// Of somebody who comes without a token, who has no date of issue: only a revocation without one is meant.
    pub(super) fn check_principal(&self, principal: &Principal) -> Result<(), Refused> {
        let list = self.list.load();
        let entries = list.subjects.get(&*principal.id);
        let is_meant = |of: &Of| of.before.is_none() && of.covers(Some(&principal.issuer), None);
        if entries.is_some_and(|entries| entries.iter().any(is_meant)) { Err(Refused::Revoked) } else { Ok(()) }
    }

    pub(super) fn check_api_key(&self, id: &str) -> Result<(), Refused> {
        if self.list.load().api_keys.contains_key(id) { Err(Refused::Revoked) } else { Ok(()) }
    }
}

impl List {
    fn len(&self) -> usize {
        let all = [&self.tokens, &self.subjects, &self.keys, &self.api_keys];
        all.iter().flat_map(|of| of.values()).map(Vec::len).sum()
    }
}

impl Of {
    /// What does not say when it was issued may have been issued before.
    fn covers(&self, issuer: Option<&Name>, issued: Option<i64>) -> bool {
        let by = self.issuer.as_ref().is_none_or(|named| Some(named) == issuer);
        by && self.before.is_none_or(|before| issued.is_none_or(|second| second <= before.as_second()))
    }
}

fn compile(source: &Arc<Source>) -> Result<List, Vec<Diagnostic>> {
    let root = yaml::parse(source)?;
    let mut reader = Reader::default();
    let mut fields = reader.fields(&root, "the file of revocations");
    let entries = fields.require("revoked", &mut reader).map(|node| reader.list(node, "`revoked`")).unwrap_or_default();
    fields.finish(&mut reader);
    let mut list = List::default();
    for node in entries {
        entry(node, &mut list, &mut reader);
    }
    if has_errors(&reader.diagnostics) { Err(reader.diagnostics) } else { Ok(list) }
}

fn entry(node: &Node, list: &mut List, reader: &mut Reader) -> Option<()> {
    let mut fields = reader.fields(node, "a revocation");
    let words = [
        (fields.take("jti"), "`jti`", &mut list.tokens),
        (fields.take("sub"), "`sub`", &mut list.subjects),
        (fields.take("kid"), "`kid`", &mut list.keys),
        (fields.take("api_key"), "`api_key`", &mut list.api_keys),
    ];
    let issuer = fields.take("issuer");
    let before = fields.take("issued_before");
    fields.finish(reader);
    let mut named = words.into_iter().filter_map(|(node, what, of)| Some((node?, what, of)));
    let (Some((word, what, of)), None) = (named.next(), named.next()) else {
        let message = "a revocation needs one of `jti`, `sub`, `kid` and `api_key`";
        reader.error("bad-revocation", &node.span, message);
        return None;
    };
    let word = reader.text(word, what)?;
    if what == "`api_key`"
        && let Some(node) = issuer.or(before)
    {
        let message = "`issuer` and `issued_before` have no meaning with an `api_key`";
        reader.error("bad-revocation", &node.span, message);
    }
    let issuer = match issuer {
        None => None,
        Some(node) => Some(Name::from(reader.text(node, "`issuer`")?.value)),
    };
    let before = match before {
        None => None,
        Some(node) => Some(super::timestamp(node, "`issued_before`", reader)?),
    };
    of.entry(word.value).or_default().push(Of { issuer, before });
    Some(())
}

#[cfg(test)]
mod tests;
