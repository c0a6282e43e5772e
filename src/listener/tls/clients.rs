//! Certificates of clients: by what they are verified, and whether one that a connection began with still holds.
//!
//! A connection may live longer than what it was admitted by. So it remembers its client's chain, and the chain is judged
//! again, before a request is, whenever authorities or revocation lists have changed or a date in them has passed. Nothing is
//! resumed where certificates are asked for: a ticket would stand in for a certificate that is no longer looked at.

use std::any::Any;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use pingora::listeners::TlsAccept;
use pingora::protocols::tls::TlsRef;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::config::ClientAuth;
use crate::diagnostic::Diagnostic;
use crate::model::Name;
use crate::pki::{self, Facts, Named, Peer};

/// What certificates of clients are verified by.
pub(super) struct Clients {
    pub(super) verifier: Arc<dyn ClientCertVerifier>,
    required: bool,
    authority: Name,
    /// When the first of its revocation lists ends: from then on nobody is known not to be revoked.
    until: Option<Timestamp>,
}

impl Clients {
    /// Errors: all that is wrong with the files. Warnings: what ends soon.
    pub(super) fn load(auth: &ClientAuth, now: Timestamp) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        let ca = Named { path: &auth.ca, span: &auth.ca_span };
        let lists = auth.crl.as_ref().map(|path| Named { path, span: &auth.crl_span });
        let lists = lists.map(|file| pki::revocations(file, now).map_err(|wrong| vec![wrong])).transpose();
        let ((roots, warnings), lists) = pki::both(pki::authorities(ca, now), lists)?;
        let (lists, until) = lists.map_or_else(Default::default, |(lists, until)| (lists, Some(until)));
        let mut builder =
            WebPkiClientVerifier::builder(Arc::new(roots)).with_crls(lists).enforce_revocation_expiration();
        if !auth.required {
            builder = builder.allow_unauthenticated();
        }
        let verifier = builder.build().map_err(|error| {
            let message = format!("clients can't be verified by these files: {error}");
            vec![Diagnostic::error("tls-certificate", auth.ca_span.clone(), message)]
        })?;
        Ok((Self { verifier, required: auth.required, authority: Name::clone(&auth.authority), until }, warnings))
    }

    /// When the revocation lists end, with what they are called in a metric.
    pub(super) fn ends(&self) -> Option<(String, Timestamp)> {
        self.until.map(|until| (format!("revocations of {}", self.authority), until))
    }

    fn admits(&self, chain: &[CertificateDer<'_>], now: Timestamp) -> bool {
        let Some((own, others)) = chain.split_first() else { return false };
        let Ok(seconds) = u64::try_from(now.as_second()) else { return false };
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        self.verifier.verify_client_cert(own, others, now).is_ok()
    }
}

/// Who is at the other end of a connection, as far as its certificate tells. Kept by the connection, asked by each request.
pub struct Connection {
    /// What is in force on its listener.
    current: Arc<ArcSwapOption<Clients>>,
    shown: Option<Shown>,
}

struct Shown {
    chain: Vec<CertificateDer<'static>>,
    /// `None` if the certificate can't be read.
    peer: Option<Arc<Peer>>,
    /// When the first of the chain ends.
    until: Timestamp,
    /// What it was last found good by.
    judged_by: ArcSwap<Clients>,
}

/// The certificate with which a connection began no longer holds, or one is wanted now and there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Withdrawn;

impl Connection {
    /// The client's certificate, if it showed one and it holds now.
    pub fn peer(&self, now: Timestamp) -> Result<Option<Arc<Peer>>, Withdrawn> {
        let current = self.current.load();
        match (&*current, &self.shown) {
            (Some(clients), None) if clients.required => Err(Withdrawn),
            (_, None) => Ok(None),
            (None, Some(_)) => Err(Withdrawn),
            (Some(clients), Some(shown)) => shown.judged(clients, now).map(Some),
        }
    }
}

impl Shown {
    fn new(chain: &[CertificateDer<'static>], judged_by: &Arc<Clients>) -> Self {
        let facts: Option<Vec<Facts>> = chain.iter().map(|certificate| Facts::of(certificate).ok()).collect();
        let until = facts.iter().flatten().map(|facts| facts.not_after).min().unwrap_or(Timestamp::MIN);
        let peer = chain.first().zip(facts.and_then(|facts| facts.into_iter().next())).map(|(own, facts)| {
            let mut thumbprint = [0; 32];
            thumbprint.iter_mut().zip(digest(&SHA256, own).as_ref()).for_each(|(to, from)| *to = *from);
            Arc::new(Peer { authority: Name::clone(&judged_by.authority), thumbprint, facts })
        });
        Self { chain: chain.to_vec(), peer, until, judged_by: ArcSwap::from(Arc::clone(judged_by)) }
    }

    fn judged(&self, clients: &Arc<Clients>, now: Timestamp) -> Result<Arc<Peer>, Withdrawn> {
        let peer = self.peer.as_ref().ok_or(Withdrawn)?;
        let in_time = now <= self.until && clients.until.is_none_or(|until| now <= until);
        // Another authority of the same name may know the certificate, too; one of another name vouches for others.
        if peer.authority != clients.authority || !in_time {
            return Err(Withdrawn);
        }
        if !Arc::ptr_eq(&self.judged_by.load(), clients) {
            if !clients.admits(&self.chain, now) {
                return Err(Withdrawn);
            }
            self.judged_by.store(Arc::clone(clients));
        }
        Ok(Arc::clone(peer))
    }
}

/// Remembers at the end of a handshake what the client showed.
pub(super) struct Remember {
    pub(super) clients: Option<Arc<Clients>>,
    pub(super) current: Arc<ArcSwapOption<Clients>>,
}

#[async_trait]
impl TlsAccept for Remember {
    async fn handshake_complete_callback(&self, tls: &TlsRef) -> Option<Arc<dyn Any + Send + Sync>> {
        let chain = tls.peer_cert_chain_der().filter(|chain| !chain.is_empty());
        let shown = self.clients.as_ref().zip(chain).map(|(clients, chain)| Shown::new(chain, clients));
        Some(Arc::new(Connection { current: Arc::clone(&self.current), shown }))
    }
}
