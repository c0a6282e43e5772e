//! Scrim: a reverse proxy and policy enforcement gateway.
#![allow(dead_code, unused)]

pub mod api;
pub mod audit;
pub mod authn;
pub mod canonical;
pub mod clock;
pub mod config;
pub mod diagnostic;
pub mod dialect;
pub mod files;
pub mod metrics;
pub mod model;
pub mod policy;
pub mod redact;
pub mod rejection;
pub mod routing;
pub mod secret;
pub mod tenancy;
pub mod yaml;
