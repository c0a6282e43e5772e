//! Walks through an upstream's list: its pages one after the other, until the client's own is full.
//!
//! A walk begins at the first page or, where an earlier one is known to have stopped, at the page that the last record shown
//! was on. If that record is no longer there, it is looked for from the first page on. What is shown then is what is behind
//! it, wherever it is; it is taken to be gone, and records are counted instead, where it is further off than it can have moved
//! by one page of the upstream. So what is shown never depends on how many hidden rows there are, or were.
//!
//! A page that `limits.refill` ended goes on behind the last record that was looked at, which may be a hidden one. Where not
//! all before it may be read again, it is looked for on the pages beside its own.

use super::export::Rows;
use super::records::{Step, broken, check_list, failed, link, pieces};
use super::reply::{Content, Reply};
use crate::cursor::{Anchor, Place};
use crate::dialect;
use crate::enforcement::{Asked, Onward, Walk};
use crate::exchange::Exchange;
use crate::model::{Reason, RecordKeys};
use crate::redact::{self, Frame, Redacted, Tally, Unreadable, parts, request};
use crate::upstream::Failure;

/// Where a walk begins.
#[derive(Clone, Copy)]
enum Start {
    First,
    /// On the page that the place is on.
    At(Place),
    /// On the first page, to look for the place's anchor.
    Search(Place, Anchor),
}

impl<'u> Step<'u, '_> {
    pub(super) async fn walk(&self, walk: &Walk, exports: bool, exchange: &mut Exchange) -> Result<Reply<'u>, Reason> {
        let place = self.case.begins(walk);
        let by = if walk.told.is_some() { "cursor" } else { "memory" };
        if walk.told.is_none() && walk.skip > 0 && self.case.cursors.remembers() {
            let outcome = if place.is_some() { "hit" } else { "miss" };
            exchange.metrics().cache.with_label_values(&["walks", outcome]).inc();
        }
        let start = match place {
            None => Start::First,
            Some(place @ Place { page: 0, anchor: Some(anchor), .. }) => Start::Search(place, anchor),
            Some(place) => Start::At(place),
        };
        if place.is_some() {
            exchange.resumes(by);
        }
        let filled = self.fill(walk, start, exports, exchange).await?;
        if let Some(reply) = filled {
            return Ok(reply);
        }
        // All before it would be more than may be read.
        let far = |place: &Place| place.page >= self.snapshot.config.limits.refill as u64;
        if let Start::At(place) = start
            && place.anchor.is_some_and(|anchor| anchor.looked_at() || far(&place))
        {
            for page in [place.page.checked_add(1), place.page.checked_sub(1)].into_iter().flatten() {
                let filled = self.fill(walk, Start::At(Place { page, ..place }), exports, exchange).await?;
                if let Some(reply) = filled {
                    return Ok(reply);
                }
            }
        }
        // There is no such page any more, or the record isn't on it.
        let start = match place {
            Some(place @ Place { anchor: Some(anchor), .. }) => Start::Search(place, anchor),
            _ => Start::First,
        };
        self.fill(walk, start, exports, exchange).await?.ok_or(Reason::Internal)
    }

    /// Fills the client's page. `None`: the place is not where it was.
    async fn fill(
        &self,
        walk: &Walk,
        start: Start,
        exports: bool,
        exchange: &mut Exchange,
    ) -> Result<Option<Reply<'u>>, Reason> {
        let (plan, asked, limits) = (walk.plan(), walk.asked(), &self.snapshot.config.limits);
        let lead = self.case.lead(walk);
        let fresh = |skip: u64| Window::new(walk, skip, &lead, exports.then(|| Rows::new(plan)));
        let (first, skip) = match start {
            Start::First | Start::Search(..) => (0, walk.skip),
            Start::At(place) => (place.page, walk.skip.saturating_sub(place.position)),
        };
        let mut window = fresh(skip);
        let mut sought = match start {
            Start::Search(place, anchor) => Some((place, anchor)),
            Start::First | Start::At(_) => None,
        };
        // Where it was found before, it has not moved by more than one page; so far, it is looked for.
        let moved = walk.take.max(walk.step.unwrap_or(0));
        let reach = sought.map_or(0, |(place, _)| place.position.saturating_add(moved));
        let (mut scanned, mut visible) = (0, 0);
        // Of the pages that `refill` allows, those that bring something new.
        let mut fresh_from = first;
        for number in first.. {
            let permit = self.case.page(walk, number);
            let answer = self.fetch(&permit, exchange).await?;
            let resumed = match start {
                Start::At(place) if number == first => Some(place),
                _ => None,
            };
            // Some upstreams refuse pages behind the last one.
            if resumed.is_some() && answer.status.is_client_error() {
                return Ok(None);
            }
            check_list(answer.status, &answer.headers, answer.framed, plan)?;
            let mut page = self.judge(plan, &answer.body, exchange)?;
            if let Some(anchor) = resumed.and_then(|place| place.anchor) {
                let Some(passed) = self.passed(&anchor, &page, &answer.body) else { return Ok(None) };
                window.skip = window.skip.saturating_add(passed);
                fresh_from = first.saturating_add(1);
            }
            if let Some((place, anchor)) = sought
                && let Some(passed) = self.passed(&anchor, &page, &answer.body)
                && visible + passed <= reach
            {
                sought = None;
                let skip = walk.skip.saturating_sub(place.position).saturating_add(passed);
                window = fresh(skip);
                fresh_from = fresh_from.max(u64::from(number == first).saturating_add(first));
            }
            let spent = number.saturating_add(1).saturating_sub(fresh_from) >= limits.refill as u64 && !exports;
            let stop = if spent { self.stop(walk, &page, &answer.body) } else { None };
            let seen = page.tally.scanned;
            scanned += seen;
            visible += page.records.len() as u64;
            let full = window.add(number, &mut page).map_err(|unreadable| broken(unreadable, exchange))?;
            exchange.redacted(&page.tally, plan, asked);
            if window.out.len() > limits.response_body {
                return Err(failed(Failure::TooLarge, exchange));
            }
            let last = walk.step.is_none_or(|step| seen < step);
            let too_long = scanned >= limits.scanned_rows as u64;
            let is_settled = sought.is_none() || visible >= reach || too_long || spent;
            if full && is_settled || last {
                exchange.redacted(&window.shown(), plan, &Asked::default());
                let end = window.end.filter(|_| walk.placed);
                if let Some(end) = end {
                    self.case.remember(walk, end);
                }
                // Whoever has a full page is told of a next one, be there any or not: that there is none would tell, of one
                // that turns out to be empty, that hidden rows are behind this one.
                let pointed = end.and_then(|end| self.case.onward(walk, &end, false));
                let onward = pointed.or_else(|| walk.counted()).filter(|_| full);
                return Ok(Some(window.close(onward)));
            }
            if too_long {
                return Err(Reason::ListTooLong);
            }
            // A file says nothing of what is missing in it.
            if spent {
                exchange.redacted(&window.shown(), plan, &Asked::default());
                let onward = self.case.onward(walk, &window.stops(walk.skip, number, stop), true);
                return Ok(Some(window.close(onward).cut()));
            }
        }
        Err(Reason::ListTooLong)
    }

    /// How many of a page's visible records are not behind an anchor. `None`: it isn't on that page.
    fn passed(&self, anchor: &Anchor, page: &Redacted, body: &[u8]) -> Option<u64> {
        let shown = &page.tally.keys;
        if !anchor.looked_at() {
            return anchor.among(shown).map(|index| index + 1);
        }
        let all = self.keys(body)?;
        let index = usize::try_from(anchor.among(&all)?).ok()?;
        let mut shown = shown.iter().peekable();
        let passed = all.iter().take(index + 1).filter(|key| shown.next_if_eq(key).is_some());
        Some(passed.count() as u64)
    }

    /// What a walk goes on behind that a limit ends with this page.
    fn stop(&self, walk: &Walk, page: &Redacted, body: &[u8]) -> Option<Anchor> {
        let all = self.keys(body).filter(|_| walk.placed)?;
        let shown = &page.tally.keys;
        match shown.iter().last() == all.iter().last() {
            true => Anchor::nth(shown, (shown.len() as u64).checked_sub(1)?),
            false => Anchor::last(&all),
        }
    }

    /// The keys of all records of one of the upstream's pages. `None`: one of them has none.
    fn keys(&self, body: &[u8]) -> Option<RecordKeys> {
        let table = self.case.catalog.table(self.residual.table());
        let list = dialect::of(self.case.catalog.api(table.api)).envelope().list;
        let name = table.field(table.key).name.as_bytes();
        let mut keys = RecordKeys::default();
        for record in redact::records(body, list, self.case.depth).ok()? {
            let members = parts::members(record, self.case.depth).ok()?;
            let (_, raw) = members.iter().find(|(known, _)| known.as_ref() == name)?;
            keys.push(request::text(raw)?.as_bytes());
        }
        Some(keys)
    }
}

/// Visible records of a walk: those before the client's page are counted, those on it are written.
struct Window<'p> {
    /// Visible records that are still before the client's page.
    skip: u64,
    take: u64,
    /// The client's count behind its page.
    behind: u64,
    kept: u64,
    keys: RecordKeys,
    /// Behind the last record of a full page.
    end: Option<Place>,
    frame: &'p Frame,
    rows: Option<Rows>,
    out: Vec<u8>,
}

impl<'p> Window<'p> {
    fn new(walk: &'p Walk, skip: u64, lead: &[(&str, i64)], rows: Option<Rows>) -> Self {
        let (take, behind, frame) = (walk.take, walk.skip.saturating_add(walk.take), &walk.plan().frame);
        let (keys, out) = (RecordKeys::default(), Vec::new());
        let mut window = Self { skip, take, behind, kept: 0, keys, end: None, frame, rows, out };
        match &window.rows {
            Some(rows) => rows.header(&mut window.out),
            None => window.out = frame.opening_with(lead),
        }
        window
    }

    /// Takes the records of one redacted page out of its tally: whether they are shown is known at the end. Whether the
    /// client's page is full.
    fn add(&mut self, number: u64, page: &mut Redacted) -> Result<bool, Unreadable> {
        let visible = page.records.len() as u64;
        let skipped = self.skip.min(visible);
        let shown = self.take.saturating_sub(self.kept).min(visible - skipped);
        let on_page = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let records = pieces(page).skip(on_page(skipped)).take(on_page(shown));
        match &self.rows {
            Some(rows) => rows.rows(records, &mut self.out)?,
            None => {
                self.out.reserve(page.body.len());
                for (number, record) in records.enumerate() {
                    if self.kept > 0 || number > 0 {
                        self.out.extend_from_slice(self.frame.between());
                    }
                    self.out.extend_from_slice(record);
                }
            }
        }
        self.skip -= skipped;
        self.kept += shown;
        let keys = std::mem::take(&mut page.tally.keys);
        page.tally.kept = 0;
        let room = Tally::MAX_KEYS.saturating_sub(self.keys.len());
        self.keys.extend(&keys, on_page(skipped), on_page(shown).min(room));
        let full = self.kept >= self.take;
        if let (true, Some(index)) = (full && shown > 0, (skipped + shown).checked_sub(1)) {
            let placed = |anchor| Place { page: number, position: self.behind, skip: 0, anchor: Some(anchor) };
            self.end = Anchor::nth(&keys, index).map(placed);
        }
        Ok(full)
    }

    /// The records that the client gets.
    fn shown(&mut self) -> Tally {
        Tally { kept: self.kept, keys: std::mem::take(&mut self.keys), ..Tally::default() }
    }

    /// Where the client's page ends although it isn't full: behind a record of this page of the upstream or, where that can't
    /// be told, behind the page. `from`: the client's count before its page.
    fn stops(&self, from: u64, page: u64, anchor: Option<Anchor>) -> Place {
        let position = from.saturating_sub(self.skip).saturating_add(self.kept);
        let page = if anchor.is_some() { page } else { page.saturating_add(1) };
        Place { page, position, skip: self.skip, anchor }
    }

    fn close<'u>(mut self, onward: Option<Onward>) -> Reply<'u> {
        // Lines without any have no end.
        if self.rows.is_none() && (self.kept > 0 || *self.frame != Frame::Lines) {
            self.out.extend_from_slice(&self.frame.closing());
        }
        let mut head = None;
        match onward {
            Some(Onward::Member(next)) => link(&mut self.out, &next),
            Some(Onward::Head(link)) => head = Some(("link", link)),
            None => {}
        }
        let reply = Reply::list(self.rows.as_ref(), self.frame.media_type(), Content::Whole(self.out.into()));
        reply.tells(head)
    }
}
