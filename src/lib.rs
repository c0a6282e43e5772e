//! Scrim: a reverse proxy and policy enforcement gateway in front of an API that can't be changed.
//!
//! # The path of a request
//!
//! The modules below are declared in the order in which a request passes them; `proxy` shows them as one function.
//!
//! 1. [`listener`] accepts the connection and ends TLS.
//! 2. [`canonical`] refuses whatever two parsers could read differently.
//! 3. [`authn`] turns credentials into a [`Principal`](model::Principal).
//! 4. [`tenancy`] finds exactly one [`TenantScope`](model::TenantScope), and [`hierarchy`] whom the principal manages in it;
//!    [`admission`] says how much it may ask for.
//! 5. [`routing`] finds the table, the action and the record that are meant.
//! 6. [`policy`] decides; it is pure, and a failure inside it is a denial.
//! 7. [`enforcement`] turns decisions into permits, the only values that [`upstream`] sends.
//!    Documents about the tables ([`metadata`]) need none: they are made here.
//! 8. [`redact`] scans the answer once, drops rows, removes and masks fields. Where a list was read further than it was
//!    shown, [`cursor`] knows where it goes on.
//! 9. [`audit`] and [`metrics`] record exactly one exchange.
//!
//! # What never happens
//!
//! - No upstream call without a [`Permit`](enforcement::Permit), and no byte of a declared table's answer reaches a client
//!   unscanned.
//! - No policy, flag or header lifts the tenant scope.
//! - No decision on a prefix: what does not fit its limit is refused.
//! - No request is served under "no policy": what can't be loaded leaves the last good configuration in force, and at first
//!   start nothing is served.
//! - No unbounded queue, body, cache, expression or list; no secret in a log, a label, an error or a `Debug` print.

pub mod cli;
pub mod demo;
pub mod gateway;

pub mod admin;
pub mod exchange;
pub mod proxy;
pub mod rejection;
pub mod snapshot;

pub mod listener;

pub mod canonical;

pub mod authn;

pub mod tenancy;

pub mod admission;

pub mod hierarchy;

pub mod metadata;

pub mod routing;

pub mod policy;

pub mod enforcement;
pub mod upstream;

pub mod cursor;

pub mod redact;

pub mod audit;
pub mod metrics;

pub mod api;
pub mod clock;
pub mod config;
pub mod diagnostic;
pub mod dialect;
pub mod files;
pub mod model;
pub mod pki;
pub mod sealed;
pub mod secret;
pub mod yaml;
