//! The answer on its way to the client: held or streamed, complete or cut, and on record either way.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;

use super::extras::Extras;
use super::flow::Flow;
use super::reply::{Content, Reply};
use super::{client, unless_panicked, until_client_leaves};
use crate::config::Limits;
use crate::exchange::Exchange;
use crate::model::Reason;
use crate::snapshot::Snapshot;

/// Of an answer for which no place among the exchanges in flight is held.
const SHORT: usize = 16 * 1024;
/// For a refusal of somebody who had no turn, and where as many are waited for as may be.
const REFUSAL: Duration = Duration::from_secs(2);
const HURRY: Duration = Duration::from_millis(50);

/// How long an exchange, a streamed answer and a single write to the client may take.
pub(super) struct Times {
    pub exchange: Duration,
    stream: Duration,
    pub write: Duration,
    /// Clients that are waited for at a time although their exchanges hold no place any more.
    waited_for: usize,
}

impl Times {
    pub(super) fn new(snapshot: Option<&Snapshot>) -> Self {
        let limits = snapshot.map(|snapshot| &snapshot.config.limits);
        let time = |of: fn(&Limits) -> Duration| limits.map_or(client::FIRST_HEAD, of);
        Self {
            exchange: time(|limits| limits.exchange_time),
            stream: time(|limits| limits.stream_time),
            write: time(|limits| limits.client_write_time),
            waited_for: limits.map_or(Limits::default().in_flight, |limits| limits.in_flight),
        }
    }

    /// How long all of an answer may take that is there as a whole. A client that does not take it keeps nobody else from being
    /// served; one that had no turn may take a part of the places of those who had one, and one that nobody knows is not waited
    /// for long.
    fn for_all(&self, reply: &Reply<'_>, to_head: bool, exchange: &mut Exchange) -> Duration {
        if !reply.content.is_short(to_head) {
            return self.stream;
        }
        let (time, without_room, share) = match (exchange.has_its_turn(), exchange.is_known()) {
            (true, _) => (self.write, self.write, 1),
            (false, true) => (self.write, HURRY, 2),
            (false, false) => (REFUSAL, HURRY, 4),
        };
        let has_room = exchange.gives_way(self.waited_for.div_ceil(share));
        if has_room { time } else { without_room }.min(self.write)
    }
}

impl Content<'_> {
    /// Whether it holds no place while its client takes it.
    fn is_short(&self, to_head: bool) -> bool {
        match self {
            Self::Nothing => true,
            Self::Whole(body) => to_head || body.len() <= SHORT,
            Self::Flow(_) => to_head,
            Self::Live(..) => false,
        }
    }
}

/// Sends an answer, its head alone if the request was a HEAD. Errors: why it was cut short.
pub(super) async fn deliver(
    session: &mut ServerSession,
    reply: Reply<'_>,
    extras: &Extras,
    to_head: bool,
    times: &Times,
    exchange: &mut Exchange,
) -> Result<(), Reason> {
    let status = reply.status.as_u16();
    let mut head = reply.head(exchange, to_head).map_err(|_| Reason::Internal)?;
    extras.add(&mut head).map_err(|_| Reason::Internal)?;
    exchange.answers(status);
    // Also where no configuration is in force.
    session.set_write_timeout(Some(times.write));
    let for_all = times.for_all(&reply, to_head, exchange);
    if to_head || matches!(reply.content, Content::Nothing) {
        // What there was of it was judged; the upstream is let go.
        if let Content::Flow(flow) = reply.content {
            drop(Underway { flow, exchange });
        }
        let writing = async {
            client::write_head(session, head, times.write).await?;
            client::finish(session, times.write).await
        };
        return tokio::time::timeout(for_all, writing).await.unwrap_or(Err(Reason::ClientSlow));
    }
    match reply.content {
        // Is passed on by other means.
        Content::Live(..) => Err(Reason::Internal),
        Content::Nothing => Ok(()),
        Content::Whole(body) => {
            let length = body.len();
            let writing = async {
                client::write_head(session, head, times.write).await?;
                client::write_whole(session, body, times.write).await
            };
            tokio::time::timeout(for_all, writing).await.unwrap_or(Err(Reason::ClientSlow))?;
            exchange.passes(length);
            Ok(())
        }
        // Apart from all other answers, which would take its memory too.
        Content::Flow(flow) => Box::pin(pass(session, head, Underway { flow, exchange }, times)).await,
    }
}

/// Sends an answer at the pace of both sides.
async fn pass(
    session: &mut ServerSession,
    head: ResponseHeader,
    mut flow: Underway<'_, '_>,
    times: &Times,
) -> Result<(), Reason> {
    // Whom to blame for running out of time.
    let mut writes = true;
    let passing = async {
        client::write_head(session, head, times.write).await?;
        loop {
            writes = false;
            let Some(bytes) = until_client_leaves(session, pin!(flow.next())).await? else { break };
            writes = true;
            let length = bytes.len();
            client::write(session, bytes, false).await?;
            flow.exchange.passes(length);
        }
        writes = true;
        client::finish(session, times.write).await
    };
    let passed = tokio::time::timeout(times.stream, unless_panicked(pin!(passing))).await;
    let passed = passed.unwrap_or(Err(if writes { Reason::ClientSlow } else { Reason::UpstreamTimeout }));
    let end = if passed.is_ok() { "complete" } else { "cut" };
    flow.exchange.metrics().streams.with_label_values(&[end]).inc();
    passed
}

/// A flow on its way: whatever becomes of it, the exchange learns what has left.
struct Underway<'e, 'u> {
    flow: Box<Flow<'u>>,
    exchange: &'e mut Exchange,
}

impl Underway<'_, '_> {
    async fn next(&mut self) -> Result<Option<Bytes>, Reason> {
        self.flow.next().await.map_err(|cut| cut.told(self.exchange))
    }
}

impl Drop for Underway<'_, '_> {
    fn drop(&mut self) {
        self.flow.account(self.exchange);
    }
}
