//! Answers that tell no records: how many there are, and what they come to.

use http::{HeaderValue, StatusCode};

use super::records::{Step, broken, is, ok_json};
use super::reply::{Content, Reply};
use crate::enforcement::Permit;
use crate::enforcement::figures::Aggregate;
use crate::exchange::Exchange;
use crate::model::Reason;
use crate::redact::figures::{Figures, figures};

const PLAIN: &str = "text/plain";

impl<'u> Step<'u, '_> {
    /// How many records a list has, as a number and nothing else.
    pub(super) async fn count(&self, exchange: &mut Exchange) -> Result<Reply<'u>, Reason> {
        let permit = self.case.count(self.route, self.variables, self.residual, self.pairs)?;
        let answer = self.fetch(&permit, exchange).await?;
        if answer.status != StatusCode::OK {
            return Err(Reason::UpstreamFailed);
        }
        if !is(&answer.headers, PLAIN) {
            return Err(Reason::UpstreamMediaType);
        }
        let digits = std::str::from_utf8(&answer.body).ok();
        let number = digits.and_then(|digits| Some((digits, digits.parse::<i64>().ok()?)));
        // One spelling, and none below nothing.
        let number = number.filter(|(digits, number)| *number >= 0 && number.to_string() == *digits);
        let (_, number) = number.ok_or(Reason::UpstreamBroken)?;
        exchange.aggregated(&["count".to_owned()], 1, &permit.purpose().asked);
        let content = Content::Whole(number.to_string().into());
        Ok(Reply::of(StatusCode::OK, HeaderValue::from_static(PLAIN), content))
    }

    /// What the records of a list come to.
    pub(super) async fn aggregate(
        &self,
        permit: &Permit<Aggregate>,
        exchange: &mut Exchange,
    ) -> Result<Reply<'u>, Reason> {
        let Aggregate { expected, names, asked } = permit.purpose();
        let body = ok_json(self.fetch(permit, exchange).await?)?;
        match figures(expected, &body).map_err(|unreadable| broken(unreadable, exchange))? {
            Figures::Whole { body, groups } => {
                exchange.aggregated(names, groups, asked);
                Ok(Reply::json(StatusCode::OK, body))
            }
            Figures::TooMany => Err(Reason::ListTooLong),
        }
    }
}
