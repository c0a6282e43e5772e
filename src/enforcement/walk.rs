//! Lists whose rows the upstream can't be trusted to choose: read page by page until the client's own page is full, and how
//! a client is told where the next one begins.
//!
//! A client counts the records that it sees; how many were read for them is nobody's business but the gateway's. Where a walk
//! goes on is told in a sealed text of one length (see [`cursor`](crate::cursor)), by a link of the dialect's own or in the
//! header `Link`, and is good for nobody else and for nothing else.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Asked, Case, Fetch, Permit};
use crate::api::template::Segment;
use crate::api::{Route, TableId};
use crate::cursor::{Binding, Place};
use crate::dialect::{self, Continuation, Language, PagedBy, Query, Resumption};
use crate::model::{Action, Reason, percent};
use crate::redact::{Plan, Tally};

/// Bytes of a link in the head of an answer. Nothing longer is taken as a request.
const MAX_LINK: usize = 8 * 1024;

/// Reads an upstream's pages one after the other and shows the client a window of what it may see.
#[derive(Debug)]
pub struct Walk {
    base: Permit<Fetch>,
    table: TableId,
    query: Box<Query>,
    /// Visible records before the client's page.
    pub skip: u64,
    /// Visible records on the client's page.
    pub take: u64,
    /// Records asked for at a time; `None` if the upstream has no paging and answers all at once.
    pub step: Option<u64>,
    binding: Binding,
    /// Where the client says that it goes on.
    pub told: Option<Place>,
    /// Whether its places can be found again: of longer pages, not all keys are noted.
    pub placed: bool,
    /// How it is told where the page after this one begins: by counting, or with a cursor.
    counted: Option<Next>,
    pointed: Option<Pointer>,
}

impl Walk {
    /// How each of its pages is redacted.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.base.purpose.plan
    }

    pub fn asked(&self) -> &Asked {
        &self.base.purpose.asked
    }

    /// The page after a full one, for a client that counts and is told how.
    pub fn counted(&self) -> Option<Onward> {
        self.counted.clone().map(Onward::Member)
    }
}

/// Where the page after a full one is: a member of the envelope whose text is a link, of characters that JSON needn't
/// escape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    pub member: &'static str,
    pub link: String,
    /// Records of a full page.
    pub full: u64,
}

/// Where a list goes on, for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Onward {
    /// In the envelope.
    Member(Next),
    /// The value of `Link` (RFC 8288).
    Head(String),
}

/// The client's own query without a place, and the parameter of one behind it.
#[derive(Debug)]
struct Pointer {
    /// `None`: it is told in the head.
    member: Option<&'static str>,
    link: String,
    /// Whether only a page that is cut needs it: of a full one, its client knows where the next one begins.
    cut_alone: bool,
}

/// What a client asked for of a list that is walked.
pub(super) struct Wanted<'a> {
    pub action: &'a Action,
    pub route: &'a Route,
    /// Without a cursor.
    pub pairs: &'a [(String, String)],
    pub query: Query,
    pub take: u64,
    pub cursor: Option<&'a str>,
}

/// Of a query, some of them taken out or none.
type Pairs<'p> = Cow<'p, [(String, String)]>;

/// A client's pairs without its cursor, which no dialect is ever shown and no upstream sent.
pub(super) fn named<'p>(language: &dyn Language, pairs: &'p [(String, String)]) -> (Option<&'p str>, Pairs<'p>) {
    let Some(Resumption { parameter, .. }) = language.resumes() else { return (None, Cow::Borrowed(pairs)) };
    let at = pairs.iter().position(|(name, _)| name == parameter);
    let Some((at, (_, cursor))) = at.and_then(|at| Some((at, pairs.get(at)?))) else {
        return (None, Cow::Borrowed(pairs));
    };
    // Invariant of `Canonical`, held here too: a second one stays, and is unknown to the dialect.
    let others = pairs.iter().enumerate().filter(|(number, _)| *number != at);
    (Some(cursor), others.map(|(_, pair)| pair.clone()).collect())
}

/// The client's own query for the page after this one, where the dialect links to it and the client leaves its size to the
/// server.
pub(super) fn next(
    language: &dyn Language,
    route: &Route,
    pairs: &[(String, String)],
    offset: u64,
    take: u64,
) -> Option<Next> {
    let Continuation { member, limit, offset: name } = language.continues()?;
    if pairs.iter().any(|(named, _)| *named == limit) {
        return None;
    }
    let offset = offset.checked_add(take)?.to_string();
    let mut link = link(list_name(route)?, pairs, &[name], name);
    percent::encode(&offset, &mut link);
    Some(Next { member, link, full: take })
}

/// What a link to a list begins with, relative to its own path.
fn list_name(route: &Route) -> Option<&str> {
    match route.path.segments.last() {
        Some(Segment::Literal(set)) => Some(set),
        _ => None,
    }
}

/// The client's pairs but for some, and a parameter that waits for its value.
fn link(path: &str, pairs: &[(String, String)], without: &[&str], last: &str) -> String {
    let mut link = format!("{path}?");
    let keep = |byte| percent::is_unreserved(byte) || byte == b'$';
    for (name, value) in pairs.iter().filter(|(name, _)| !without.contains(&name.as_str())) {
        percent::encode_keeping(name, &mut link, keep);
        link.push('=');
        percent::encode(value, &mut link);
        link.push('&');
    }
    percent::encode_keeping(last, &mut link, keep);
    link.push('=');
    link
}

impl Pointer {
    fn new(language: &dyn Language, wanted: &Wanted<'_>) -> Option<Self> {
        let Resumption { parameter, in_place_of, in_head } = language.resumes()?;
        let without: Vec<&str> = in_place_of.into_iter().flatten().collect();
        if in_head {
            // Relative to the request, of which only the query changes.
            let link = link("", wanted.pairs, &without, parameter);
            return (link.len() <= MAX_LINK).then_some(Self { member: None, link, cut_alone: false });
        }
        let Continuation { member, limit, .. } = language.continues()?;
        if wanted.pairs.iter().any(|(named, _)| *named == limit) {
            let link = link("", wanted.pairs, &without, parameter);
            return (link.len() <= MAX_LINK).then_some(Self { member: None, link, cut_alone: true });
        }
        let link = link(list_name(wanted.route)?, wanted.pairs, &without, parameter);
        Some(Self { member: Some(member), link, cut_alone: false })
    }
}

impl Case<'_> {
    /// A walk, of which `base` would be the client's own page, with its query as it is sent.
    pub(super) fn walk(&self, mut base: Permit<Fetch>, mut sent: Query, wanted: Wanted<'_>) -> Result<Walk, Reason> {
        let table = self.catalog.table(base.purpose.plan.root.residual.table());
        let language = dialect::of(self.catalog.api(table.api));
        let paging = language.paging();
        let take = wanted.take;
        let counted = base.purpose.next.take();
        // Of how many there are in all, the upstream can only tell what isn't so.
        sent.count = false;
        let step = paging.limit.filter(|_| paging.by.is_some()).map(|limit| limit.max);
        let skip = match (wanted.query.offset, wanted.query.page) {
            (Some(offset), _) => offset,
            (None, Some(page)) => page.saturating_sub(1).saturating_mul(take),
            (None, None) => 0,
        };
        let exports = *wanted.action == Action::Export;
        let placed = step.is_some_and(|step| step <= Tally::MAX_KEYS as u64);
        let pointed = Pointer::new(language, &wanted).filter(|_| placed && !exports);
        let (query, binding, told) = (Box::new(sent), Binding::default(), None);
        let mut walk = Walk { base, table: table.id, query, skip, take, step, binding, told, placed, counted, pointed };
        walk.binding = self.binding(&walk, &wanted);
        if let Some(cursor) = wanted.cursor {
            let place = self.cursors.opened(cursor, &walk.binding, self.now).ok_or(Reason::CursorExpired)?;
            (walk.skip, walk.told) = (place.position.saturating_add(place.skip), Some(place));
            // The envelope may say which page this is.
            walk.query.page = (paging.by == Some(PagedBy::Page)).then(|| walk.skip / take.max(1) + 1);
            // It would count from the first record.
            walk.counted = next(language, wanted.route, wanted.pairs, walk.skip, take).filter(|_| !exports);
        }
        Ok(walk)
    }

    /// All that a place in a walk depends on, but for how large the client's pages are: who asks what of whom, under which
    /// policies and descriptions. What the policies add to the question follows from these, but for the time of day.
    fn binding(&self, walk: &Walk, wanted: &Wanted<'_>) -> Binding {
        let table = self.catalog.table(walk.table);
        let pageless = Query { limit: None, offset: None, page: None, count: false, ..wanted.query.clone() };
        let asked = format!("{pageless:?}");
        let path = walk.base.outgoing.target.split('?').next().unwrap_or_default();
        let tenant = self.tenant.dimensions().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        let parts: [&[u8]; 7] = [
            self.policies.hash().as_bytes(),
            self.catalog.hash(),
            self.catalog.api(table.api).name.as_bytes(),
            table.name.as_bytes(),
            wanted.action.name().as_bytes(),
            path.as_bytes(),
            asked.as_bytes(),
        ];
        Binding::of(self.principal.fingerprint(), parts.into_iter().chain(tenant))
    }

    /// Numbers that lead the envelope of a walk's answer.
    pub fn lead(&self, walk: &Walk) -> Vec<(&'static str, i64)> {
        dialect::of(self.catalog.api(self.catalog.table(walk.table).api)).lead(&walk.query)
    }

    /// The permit for one of the upstream's pages, from 0.
    pub fn page(&self, walk: &Walk, page: u64) -> Permit<Fetch> {
        let table = self.catalog.table(walk.table);
        let language = dialect::of(self.catalog.api(table.api));
        let mut query = walk.query.clone();
        query.limit = walk.step;
        (query.offset, query.page) = (None, None);
        if let Some(step) = walk.step {
            match language.paging().by {
                Some(PagedBy::Offset) => query.offset = Some(page.saturating_mul(step)),
                Some(PagedBy::Page) | None => query.page = Some(page.saturating_add(1)),
            }
        }
        let mut outgoing = walk.base.outgoing.clone();
        let path = outgoing.target.split('?').next().unwrap_or_default().to_owned();
        outgoing.target = format!("{path}?{}", language.print(table, &query, self.tenant, true));
        let purpose = walk.base.purpose.clone();
        Permit { upstream: Arc::clone(&walk.base.upstream), outgoing, purpose }
    }

    /// How the client of a walk is told that it goes on at a place, where its page is full or was `cut`. `None`: it can't be
    /// told, and counts.
    pub fn onward(&self, walk: &Walk, place: &Place, cut: bool) -> Option<Onward> {
        let pointer = walk.pointed.as_ref().filter(|pointer| cut || !pointer.cut_alone)?;
        let link = format!("{}{}", pointer.link, self.cursors.sealed(place, &walk.binding, self.now)?);
        Some(match pointer.member {
            Some(member) => Onward::Member(Next { member, link, full: walk.take }),
            None => Onward::Head(format!("<{link}>; rel=\"next\"")),
        })
    }

    /// Where a walk begins that has something to skip: where its client says or, as far as it is known, not long before.
    pub fn begins(&self, walk: &Walk) -> Option<Place> {
        // No place is kept that is before the first record.
        let kept = || if walk.skip > 0 { self.cursors.recalled(&walk.binding, walk.skip, self.now) } else { None };
        walk.told.or_else(kept)
    }

    pub fn remember(&self, walk: &Walk, place: Place) {
        self.cursors.remember(place, &walk.binding, self.now);
    }
}
