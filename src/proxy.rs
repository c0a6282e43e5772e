//! The enforcement point: one request after the other through the steps of the path.
//!
//! `Proxy::serve` reads like the list of steps. It speaks to pingora's HTTP session directly and makes its own exchange with
//! the upstream, so that the status can still change after the body was looked at, and there is no filter to fall through.
//! An answer reaches its client once the whole of it was judged or, where it is a long list, record by record; one that
//! turns out to be broken by then is cut, so that it never looks complete.

mod batch;
mod changes;
mod client;
mod conditions;
mod connection;
mod delivery;
mod describe;
mod encode;
mod export;
mod extras;
mod figures;
mod flow;
mod form;
mod live;
mod negotiation;
mod property;
mod records;
mod reply;
mod scoped;
mod walks;
mod websocket;

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::Poll;

use arc_swap::ArcSwapOption;
use http::{HeaderValue, Method};
use pingora::apps::HttpServerOptions;
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use prometheus::IntGauge;

use conditions::Conditions;
pub use connection::Connections;
use connection::Then;
use delivery::{Times, deliver};
use extras::Extras;
use negotiation::Format;
use reply::Reply;

use crate::admission::turns::Turn;
use crate::api::{Form, Records, RouteKind};
use crate::audit::Log;
use crate::authn::{Authenticated, Presented, Refused};
use crate::canonical;
use crate::clock::Clock;
use crate::dialect::{self, Batches};
use crate::enforcement::write::Refusal;
use crate::enforcement::write::batch::mixed;
use crate::enforcement::{Case, Unread};
use crate::exchange::Exchange;
use crate::listener::tls::Withdrawn;
use crate::metrics::Metrics;
use crate::model::{Action, Reason, RequestFacts, TenantScope};
use crate::policy::{Caller, Decided, Decision};
use crate::redact::parts;
use crate::rejection::Rejection;
use crate::routing::{self, Kind};
use crate::snapshot::Snapshot;
use crate::tenancy;

/// What every exchange needs: the snapshot in force, the clock, the audit log, the metrics.
pub struct Proxy {
    pub in_force: Arc<ArcSwapOption<Snapshot>>,
    pub clock: Clock,
    pub log: Arc<Log>,
    pub metrics: Metrics,
    /// Whether idle connections are kept open while the gateway drains, up to their next answer.
    pub lingers: Arc<AtomicBool>,
    options: HttpServerOptions,
}

impl Proxy {
    pub fn new(in_force: Arc<ArcSwapOption<Snapshot>>, clock: Clock, log: Arc<Log>, metrics: Metrics) -> Self {
        // pingora keeps an HTTP/2 connection without streams for ever if it is not told otherwise.
        let idle = in_force.load().as_ref().map_or(client::FIRST_HEAD, |snapshot| snapshot.config.limits.idle_time);
        let mut options = HttpServerOptions::default();
        options.h2_idle_timeout = Some(idle);
        Self { in_force, clock, log, metrics, lingers: Arc::default(), options }
    }

    /// One request: judged, sent on, answered, recorded. What fails on the way becomes a refusal here and nowhere else.
    /// What becomes of the connection or stream.
    async fn exchange(&self, session: &mut ServerSession, shutdown: &ShutdownWatch) -> Then {
        let snapshot = self.in_force.load_full();
        let headers = &session.req_header().headers;
        let peer = client::address(session);
        let trusted = snapshot.as_ref().and_then(|snapshot| snapshot.config.trusted_proxies.as_ref());
        let client = canonical::origin(peer, headers, trusted);
        let trace = headers.get("traceparent").map(HeaderValue::as_bytes);
        let known = client.unwrap_or(peer);
        let mut exchange = Exchange::begin(self.clock.now(), known, trace, &self.log, &self.metrics);
        let times = Times::new(snapshot.as_deref());
        let by_tls = client::is_tls(session);
        let extras =
            snapshot.as_ref().map(|snapshot| Extras::new(&snapshot.config, headers, by_tls)).unwrap_or_default();
        let served = match &snapshot {
            None => {
                session.set_keepalive(None);
                Err(Reason::NotReady)
            }
            Some(snapshot) if self.is_full(snapshot) => {
                client::canonical(session, snapshot, client).and(Err(Reason::Overloaded))
            }
            Some(snapshot) => {
                client::set_deadlines(session, &snapshot.config.limits);
                // Pinned where it lies: a future of this size costs more to move than many a request.
                let steps = pin!(self.serve(session, snapshot, client, &mut exchange));
                let in_time = tokio::time::timeout(times.exchange, unless_panicked(steps));
                in_time.await.unwrap_or(Err(Reason::UpstreamTimeout))
            }
        };
        // Even a refusal is answered only once it is on record.
        let served = match (served, exchange.announce().await) {
            (Ok(_), Err(unrecorded)) | (Err(_), Err(unrecorded)) => Err(unrecorded),
            (served, Ok(())) => served,
        };
        let reason = served.as_ref().err().copied();
        // Nobody is left to read an answer; and what a broken connection still holds is no request.
        if reason == Some(Reason::ClientGone) {
            exchange.cut(Reason::ClientGone).await;
            return Then::End;
        }
        let reply = served.unwrap_or_else(|reason| Reply::refused(&Rejection::from(reason)));
        let (id, status) = (exchange.id, reply.status);
        if let Some(reason) = reason.filter(|_| status.is_server_error()) {
            tracing::warn!(request_id = %id, status = status.as_u16(), reason = reason.label(), "an exchange failed");
        }
        client::close_unless_read(session);
        // The client is told: what it asks next is for another connection.
        if *shutdown.borrow() {
            session.set_keepalive(None);
        }
        let to_head = session.req_header().method == Method::HEAD;
        // An upgraded connection is no connection of HTTP any more.
        let ends = reply.is_live() && !session.is_http2();
        let delivered = match &snapshot {
            Some(snapshot) if reply.is_live() => {
                let work = live::deliver(self, snapshot, session, reply, &extras, &times, shutdown, &mut exchange);
                Box::pin(work).await
            }
            _ => deliver(session, reply, &extras, to_head, &times, &mut exchange).await,
        };
        match delivered {
            Ok(()) => exchange.end(status.as_u16(), reason).await,
            Err(reason) => {
                let usual = [Reason::ClientGone, Reason::ClientSlow, Reason::LiveTimeout, Reason::LiveWithdrawn];
                if !usual.contains(&reason) {
                    tracing::warn!(request_id = %id, status = status.as_u16(), reason = reason.label(), "an answer was cut");
                }
                exchange.cut(reason).await;
                return if reason == Reason::ClientSlow { Then::GiveUp } else { Then::End };
            }
        }
        if ends {
            return Then::End;
        }
        client::discard_rest(session).await;
        Then::GoOn
    }

    /// Whether there are more exchanges than may be. Those that only wait for their client to read hold no place.
    fn is_full(&self, snapshot: &Snapshot) -> bool {
        self.metrics.in_flight.get() - self.metrics.delivering.get() > snapshot.config.limits.in_flight as i64
    }

    /// The steps of the path, in order. Nothing is sent to the client here. What asks an upstream lies apart from it and takes
    /// its memory only then: whoever sends a body slowly should hold little.
    async fn serve<'u>(
        &self,
        session: &mut ServerSession,
        snapshot: &'u Snapshot,
        client: Result<IpAddr, Reason>,
        exchange: &mut Exchange,
    ) -> Result<Reply<'u>, Reason> {
        let config = &snapshot.config;
        exchange.under(snapshot.policies.hash(), &config.hash);
        let request = client::canonical(session, snapshot, client);
        let client = client?;
        exchange.admitted(snapshot.admission.arrive(client))?;
        let request = request?;
        exchange.asks(&request);
        let headers = &session.req_header().headers;
        if request.method == Method::OPTIONS {
            return extras::preflight(config, &snapshot.catalog, headers)
                .map(Reply::told)
                .ok_or(Reason::MethodNotSupported);
        }

        let timer = self.phase("authenticate");
        let authenticated = match client::peer(session, exchange.now) {
            Ok(peer) => {
                let over_tls = client::is_tls(session);
                let presented = Presented { headers, request: &request, peer: peer.as_deref(), over_tls, since: None };
                snapshot.authenticator.authenticate(&presented).await
            }
            Err(Withdrawn) => Err(Refused::Withdrawn),
        };
        let Authenticated { principal, remembered, nonce, key: api_key } = authenticated.map_err(|refused| {
            if let Refused::Nonce(nonce) = refused {
                exchange.tells(nonce);
            }
            self.metrics.credentials_refused.with_label_values(&[refused.label()]).inc();
            exchange.detail(refused);
            exchange.challenges(refused.challenge());
            refused.reason()
        })?;
        self.count_remembered("credentials", remembered);
        nonce.into_iter().for_each(|nonce| exchange.tells(nonce));
        exchange.by(&principal);
        drop(timer);

        let choice = config.tenancy.choose_by.as_ref().and_then(|name| headers.get(name));
        // A choice that is no text names no tenant; it is not the same as none.
        let chosen = choice.map(|value| value.to_str().unwrap_or_default());
        let tenant = tenancy::scope(&principal, chosen, &config.tenancy)?;
        exchange.for_tenant(&tenant);

        exchange.admitted(snapshot.admission.identify(&principal, api_key.as_ref(), &tenant))?;
        let turn = self.turn(session, snapshot, &tenant).await?;
        exchange.has_turn(turn);

        let known = Arc::clone(&principal);
        // Before anything is looked for: what does not exist and what is hidden are refused alike, also while this fails.
        let principal = snapshot.hierarchy.in_tenant(principal, &tenant, &snapshot.upstreams, &self.metrics).await;
        let principal = principal.map_err(|unread| {
            exchange.detail(unread);
            Reason::HierarchyUnavailable
        })?;

        let target = routing::resolve(&snapshot.catalog, &request, &tenant)?;
        let api = snapshot.catalog.api(target.api);
        let route = api.routes.get(target.route).ok_or(Reason::RouteUnknown)?;
        // Whatever else there may be, there is no such thing.
        if request.websocket != route.kind.is_websocket() {
            return Err(Reason::RouteUnknown);
        }

        let facts = RequestFacts { method: request.judged_as().clone(), ip: client };
        let caller = Caller::new(&principal);
        let idempotency_key = client::idempotency_key(&session.req_header().headers)?;
        let case = Case {
            catalog: &snapshot.catalog,
            policies: &snapshot.policies,
            principal: &caller,
            tenant: &tenant,
            request: &facts,
            request_id: exchange.id,
            trace: exchange.trace,
            now: exchange.now,
            masking_key: config.masking_key.as_ref(),
            cursors: &snapshot.cursors,
            idempotency_key: idempotency_key.as_ref().map(HeaderValue::as_bytes),
            depth: config.limits.json_depth,
        };

        if target.kind == Kind::Batch {
            let (api, request) = (target.api, &request);
            let outer = batch::Outer { snapshot, case: &case, api, route, request, client, mixed: None };
            outer.check()?;
            let headers = &session.req_header().headers;
            let (boundary, mixed) = match outer.batches()? {
                Batches::Pocketbase => (form::boundary(headers, form::MEDIA_TYPE)?, None),
                Batches::Odata => (None, form::boundary(headers, mixed::MEDIA_TYPE)?),
            };
            if boundary.is_none() && mixed.is_none() {
                client::check_content_type(headers, request)?;
            }
            match mixed {
                Some(_) => negotiation::mixed(headers)?,
                None => negotiation::format(headers, false, false).map(drop)?,
            }
            let outer = batch::Outer { mixed: mixed.as_deref(), ..outer };
            let compression = negotiation::compression(headers, &config.compression)?;
            // Of which of its records would that be?
            Conditions::of(headers).check_absent()?;
            let body = client::body(session, request, &config.limits).await?;
            let document = boundary.map_or(Ok(&body[..]), |boundary| form::document(&body, &boundary))?;
            let parts = outer.parts(document, exchange)?;
            // As many requests as it holds.
            for _ in parts.iter().skip(1) {
                exchange.admitted(snapshot.admission.identify(&known, api_key.as_ref(), &tenant))?;
            }
            exchange.announce().await?;
            let work = async {
                let served = outer.serve(&parts, exchange).await;
                served.map_err(|refusal| refuse(exchange, refusal))
            };
            let mut reply = until_client_leaves(session, Box::pin(work).as_mut()).await?;
            reply.compress(compression, !config.compression.is_empty()).await?;
            return Ok(reply);
        }
        if let Kind::Metadata(document) = target.kind {
            exchange.about_metadata(&api.name, document.name());
            let headers = &session.req_header().headers;
            let mut reply = describe::document(&case, target.api, route, document, &request, headers)?;
            let compression = negotiation::compression(headers, &config.compression)?;
            client::body(session, &request, &config.limits).await?;
            exchange.announce().await?;
            reply.compress(compression, !config.compression.is_empty()).await?;
            return Ok(reply);
        }
        let Kind::Table { table, action, key } = &target.kind else {
            let RouteKind::Opaque { name, live, .. } = &route.kind else { return Err(Reason::RouteUnknown) };
            exchange.about_opaque(&api.name, name);
            let (variables, pairs) = (&target.variables[..], &request.query[..]);
            let asked = Unread { api, route, variables, pairs, headers: &session.req_header().headers };
            if live.is_some() {
                let asking = live::Asking::new(&case, &asked, &request, snapshot, session)?;
                let admitted = live::Admitted::new(session, &request, &known, exchange);
                exchange.lives(snapshot.admission.live_turn(&tenant).await.ok_or(Reason::Overloaded)?);
                exchange.announce().await?;
                let mut work = Box::pin(asking.ask(snapshot, exchange));
                return until_client_leaves(session, work.as_mut()).await.map(|reply| reply.admits(admitted));
            }
            let permit = case.opaque(&asked)?;
            let permit = permit.carrying(client::body(session, &request, &config.limits).await?);
            exchange.announce().await?;
            let mut work = Box::pin(records::opaque(snapshot, &permit, exchange));
            return until_client_leaves(session, work.as_mut()).await;
        };
        let headers = &session.req_header().headers;
        let counts = matches!(route.kind, RouteKind::Count { .. });
        let property = target.property.as_ref();
        let format = match property {
            // What counts has one form, whatever is accepted (OData 4.01, part 1, section 11.2.10).
            _ if counts => Ok(Format::Json),
            Some(property) if property.raw => negotiation::text(headers).map(|()| Format::Json),
            _ => {
                let of_lines = || *dialect::of(api).envelope().list == Records::Lines;
                negotiation::format(headers, *action == Action::List, *action == Action::List && of_lines())
            }
        };
        let compression = negotiation::compression(headers, &config.compression);
        let action = if format == Ok(Format::Csv) { &Action::Export } else { action };
        exchange.about(&api.name, &snapshot.catalog.table(*table).name, action, key.as_deref());

        let timer = self.phase("decide");
        let Decided { decision, remembered } = case.decided(*table, action);
        drop(timer);
        self.count_remembered("decisions", remembered);
        if let Decision::Deny(Reason::TableHidden, _) = decision {
            return Err(Reason::TableHidden);
        }
        // Not before: which types a table takes would tell that it exists.
        client::check_content_type(headers, &request)?;
        format?;
        let compression = compression?;
        let conditions = Conditions::of(headers);
        let residual = match decision {
            Decision::Allow(residual) | Decision::Conditional(residual) => residual,
            Decision::Deny(reason, rule) => {
                case.check_refused_query(*table, action, &request.query)?;
                exchange.denied_by(rule);
                return Err(reason);
            }
        };

        let body = client::body(session, &request, &config.limits).await?;
        if let Form::Many(most) = route.form
            && parts::is_array(&body)
        {
            // As many requests as there are records. What is no such array is refused where it is read.
            let records = parts::elements(&body, most, config.limits.json_depth).map_or(0, |records| records.len());
            for _ in 1..records {
                exchange.admitted(snapshot.admission.identify(&known, api_key.as_ref(), &tenant))?;
            }
        }
        exchange.announce().await?;
        let step = records::Step {
            snapshot,
            case: &case,
            route,
            variables: &target.variables,
            residual: &residual,
            pairs: &request.query,
            conditions: &conditions,
            held: false,
        };
        let work = async {
            match (action, key) {
                (Action::List, _) if counts => step.count(exchange).await,
                (Action::List | Action::Export, _) => step.list(action, exchange).await,
                (Action::Read, Some(key)) => match property {
                    Some(property) => step.property(key, property, exchange).await,
                    None => step.read(key, exchange).await,
                },
                (Action::Read, None) => Err(Reason::RouteUnknown),
                (action, key) => {
                    let written = step.write(action, key.as_deref(), &body, exchange).await;
                    written.map_err(|refusal| refuse(exchange, refusal))
                }
            }
        };
        let served = until_client_leaves(session, Box::pin(work).as_mut()).await;
        if let Err(reason) = &served {
            exchange.blames(case.blamed(*reason, action, &residual, &request.query, &body));
        }
        let mut reply = served?;
        reply.compress(compression, !config.compression.is_empty()).await?;
        Ok(reply)
    }

    /// Waits until it is this exchange's turn.
    async fn turn(
        &self,
        session: &mut ServerSession,
        snapshot: &Snapshot,
        tenant: &TenantScope,
    ) -> Result<Turn, Reason> {
        let timer = self.phase("queue");
        let waits = Counted::new(&self.metrics.waiting);
        let turn = async { snapshot.admission.turn(tenant).await.ok_or(Reason::Overloaded) };
        let turn = until_client_leaves(session, pin!(turn)).await;
        drop((timer, waits));
        turn
    }

    fn count_remembered(&self, what: &str, remembered: bool) {
        self.metrics.cache.with_label_values(&[what, if remembered { "hit" } else { "miss" }]).inc();
    }

    fn phase(&self, name: &str) -> prometheus::HistogramTimer {
        self.metrics.phase_seconds.with_label_values(&[name]).start_timer()
    }
}

/// Puts on record by which rule something was refused.
fn refuse(exchange: &mut Exchange, Refusal { reason, rule }: Refusal) -> Reason {
    exchange.denied_by(rule);
    reason
}

/// Counts one more for as long as it lives.
struct Counted<'g>(&'g IntGauge);

impl<'g> Counted<'g> {
    fn new(gauge: &'g IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Cancels work (and with it the upstream request) when the client closes the connection or resets the stream.
async fn until_client_leaves<T>(
    session: &mut ServerSession,
    work: Pin<&mut impl Future<Output = Result<T, Reason>>>,
) -> Result<T, Reason> {
    tokio::select! {
        biased;
        done = work => done,
        // Bytes of a pipelined request are kept for their turn; anything else is the end of the client.
        _ = session.read_body_or_idle(true) => Err(Reason::ClientGone),
    }
}

/// A panic while a request is judged is that request's failure, recorded as such, and nobody else's.
async fn unless_panicked<T>(mut work: Pin<&mut impl Future<Output = Result<T, Reason>>>) -> Result<T, Reason> {
    std::future::poll_fn(|context| {
        let polled = std::panic::catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        polled.unwrap_or(Poll::Ready(Err(Reason::Internal)))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_the_failure_of_its_own_request() {
        let work = async {
            tokio::task::yield_now().await;
            panic!("a bug");
        };
        let found: Result<(), Reason> = unless_panicked(pin!(work)).await;
        assert_eq!(found, Err(Reason::Internal));
        assert_eq!(Rejection::from(Reason::Internal).status, http::StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(unless_panicked(pin!(async { Ok(1) })).await, Ok(1));
    }
}
