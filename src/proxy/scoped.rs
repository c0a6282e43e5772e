//! Writes of whatever a filter finds: what came of one, and why nothing did.
//!
//! Where the upstream found no record, the caller is told what a look at it now would tell: that it isn't there, that it may
//! not be written any more, or, if it still may, that somebody was faster. An upstream that knows no write by filter was
//! declared as what it isn't: of the record, that says nothing.

use http::StatusCode;

use super::changes::{Judged, shown, written};
use super::records::{Step, is_absent, is_json, ok_json};
use super::reply::Reply;
use crate::api::Dialect;
use crate::dialect;
use crate::enforcement::Write;
use crate::enforcement::write::{Refusal, Representation};
use crate::exchange::Exchange;
use crate::model::{Action, Reason};
use crate::redact::{self, parts, request};
use crate::upstream::Whole;

/// What a write has done.
enum Done {
    /// The record as it is now, raw.
    Changed(Vec<u8>),
    Nothing,
    /// The upstream doesn't say.
    Unknown,
}

impl<'u> Step<'u, '_> {
    /// Sends a write that was judged, and tells what it did.
    pub(super) async fn scoped(
        &self,
        action: &Action,
        key: Option<&str>,
        body: &[u8],
        answer: &Representation,
        judged: Judged,
        exchange: &mut Exchange,
    ) -> Result<Reply<'u>, Refusal> {
        let named = judged.key.as_deref().ok_or(Reason::Internal)?;
        let permit = &judged.permitted.permit;
        // Before it is sent: whatever its answer is, it may have been done.
        exchange.granted_by(judged.permitted.rules.iter().cloned());
        let told = self.fetch(permit, exchange).await?;
        let deletes = *action == Action::Delete;
        self.check_known(told.status, exchange)?;
        match self.done(named, &told)? {
            Done::Changed(record) => {
                let Write { plan: Some(plan), .. } = permit.purpose() else { return Ok(Reply::empty()) };
                let (out, tally) = self.redact(plan, &record, exchange)?;
                Ok(shown(judged.status, out, &tally))
            }
            // Whoever it was, there is none any more.
            Done::Unknown if deletes && self.is_gone(named, exchange).await? => Ok(Reply::empty()),
            Done::Unknown if deletes => self.too_late(action, key, body, answer, exchange).await,
            // It can't be told any more whether this record was changed.
            Done::Unknown => Err(Reason::UpstreamBroken.into()),
            Done::Nothing => self.too_late(action, key, body, answer, exchange).await,
        }
    }

    /// Why a write found nothing to write.
    async fn too_late(
        &self,
        action: &Action,
        key: Option<&str>,
        body: &[u8],
        answer: &Representation,
        exchange: &mut Exchange,
    ) -> Result<Reply<'u>, Refusal> {
        Box::pin(self.judged(action, key, body, answer, exchange)).await?;
        Err(Reason::PreconditionFailed.into())
    }

    /// Whether the upstream has no record of a key any more; one that is hidden from the caller is there.
    async fn is_gone(&self, key: &str, exchange: &mut Exchange) -> Result<bool, Reason> {
        let table = self.residual.table();
        let answer = self.fetch(&self.case.probe(table, key)?, exchange).await?;
        if is_absent(answer.status) {
            return Ok(true);
        }
        match self.record_of(ok_json(answer)?, table, key) {
            Ok(_) => Ok(false),
            Err(Reason::RecordHidden) => Ok(true),
            Err(other) => Err(other),
        }
    }

    /// Errors: the upstream knows no such write. It tells of no record with an empty list, or with nothing.
    fn check_known(&self, status: StatusCode, exchange: &mut Exchange) -> Result<(), Reason> {
        let is_unknown =
            is_absent(status) || matches!(status, StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED);
        if !is_unknown {
            return Ok(());
        }
        let api = self.snapshot.catalog.api(self.snapshot.catalog.table(self.residual.table()).api);
        match api.dialect {
            Dialect::Rest(_) => {
                exchange.detail(format_args!("a write by filter was answered with {status}: see `by_filter`"));
                Err(Reason::UpstreamCannotFilter)
            }
            // Of Directus it is known that there is one: this is a refusal of it.
            _ => Err(Reason::UpstreamFailed),
        }
    }

    /// Errors: it was not done, or not to this record.
    fn done(&self, key: &str, answer: &Whole) -> Result<Done, Reason> {
        let table = self.snapshot.catalog.table(self.residual.table());
        let api = self.snapshot.catalog.api(table.api);
        written(answer.status)?;
        if answer.status == StatusCode::NO_CONTENT || answer.body.is_empty() || !is_json(&answer.headers) {
            return Ok(Done::Unknown);
        }
        let envelope = dialect::of(api).envelope();
        let broken = |_| Reason::UpstreamBroken;
        let records = redact::records(&answer.body, envelope.list, self.case.depth).map_err(broken)?;
        match records[..] {
            [] => Ok(Done::Nothing),
            [record] => {
                let members = parts::members(record, self.case.depth).map_err(broken)?;
                let name = table.field(table.key).name.as_bytes();
                let named = members.iter().find(|(known, _)| known.as_ref() == name);
                let is_it = named.and_then(|(_, raw)| request::text(raw)).as_deref() == Some(key);
                // The filter names the record: what else was changed, it was not asked to.
                if is_it {
                    Ok(Done::Changed(redact::enclosed(envelope.record, record)))
                } else {
                    Err(Reason::UpstreamBroken)
                }
            }
            _ => Err(Reason::UpstreamBroken),
        }
    }
}
