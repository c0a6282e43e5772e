//! A client's connection as it is before and after TLS is done: what it sends is followed and counted before a parser has it,
//! heads have their time, and what leaves is gathered. pingora flushes at the end of each answer; its own buffer can be sized
//! only through its own listeners, and is held by idle connections, too.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::{ALPN, SslDigest};
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, IO, Peek, Shutdown, SocketDigest, Ssl, Stream, TimingDigest,
    UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, timeout};

use super::frames::{Cut, Frames, PREFACE};
use super::messages::Messages;
use super::newcomers::Newcomer;
use super::outgoing::Outgoing;
use super::places::Places;
use crate::metrics::Metrics;

/// For what is left to be done when a connection ends: whoever does not read is not waited for.
const CLOSE_TIME: Duration = Duration::from_secs(2);
/// What is read and dropped of a client that is still sending a head of which it was told that it is too long: it may lose the
/// answer if its connection is just closed.
const PASSED_OVER: usize = 1024 * 1024;

pub(super) struct Followed {
    stream: Stream,
    outgoing: Outgoing,
    /// Bytes that are missing of the preface of HTTP/2, which pingora waits for without a limit.
    preface: usize,
    speaks: Speaks,
    /// The first byte of what comes next, if somebody waited for it. It was followed already.
    peeked: Option<u8>,
    /// Until it has asked for something.
    newcomer: Option<Newcomer>,
    /// When what is awaited must be here: the preface of HTTP/2, the first head, or the rest of a later one.
    deadline: Option<Pin<Box<Sleep>>>,
    head_time: Duration,
    places: Arc<Places>,
    metrics: Metrics,
}

enum Speaks {
    Http1(Messages),
    Http2(Frames),
}

impl Followed {
    /// `greeting`: how long an HTTP/2 client may take for its preface; `head_time`: and any client for the head of a request;
    /// `untaken`: what an answer costs that it doesn't take.
    pub(super) fn new(
        stream: Stream,
        newcomer: Newcomer,
        greeting: Duration,
        head_time: Duration,
        places: &Arc<Places>,
        untaken: u32,
        metrics: &Metrics,
    ) -> Self {
        let is_http2 = matches!(stream.selected_alpn_proto(), Some(ALPN::H2));
        let speaks = if is_http2 {
            Speaks::Http2(Frames::new(Instant::now(), untaken))
        } else {
            Speaks::Http1(Messages::default())
        };
        Self {
            stream,
            outgoing: Outgoing::default(),
            preface: if is_http2 { PREFACE } else { 0 },
            speaks,
            peeked: None,
            newcomer: Some(newcomer),
            deadline: Some(Box::pin(tokio::time::sleep(if is_http2 { greeting } else { head_time }))),
            head_time,
            places: Arc::clone(places),
            metrics: metrics.clone(),
        }
    }

    /// The error with which a connection ends.
    fn cut(&self, cut: Cut) -> io::Error {
        if cut == Cut::Flood {
            self.metrics.floods.inc();
        }
        io::Error::new(io::ErrorKind::ConnectionAborted, cut)
    }

    /// Looks at what was read before a parser does. Errors: it goes no further.
    fn received(&mut self, read: &mut [u8]) -> io::Result<()> {
        let had_preface = self.preface == 0;
        self.preface = self.preface.saturating_sub(read.len());
        let (has_asked, in_head) = match &mut self.speaks {
            Speaks::Http1(messages) => {
                messages.received(read);
                messages.bound_head(|| self.places.longest_head());
                (messages.has_asked(), messages.in_head())
            }
            Speaks::Http2(frames) => {
                let received = frames.received(read, Instant::now());
                let known = (frames.has_asked(), frames.in_head());
                received.map_err(|cut| self.cut(cut))?;
                known
            }
        };
        if has_asked && self.newcomer.take().is_some_and(|newcomer| !newcomer.asks()) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        if self.newcomer.is_none() && !in_head {
            self.deadline = None;
        } else if self.deadline.is_none() || (!had_preface && self.preface == 0) {
            self.deadline = Some(Box::pin(tokio::time::sleep(self.head_time)));
        }
        Ok(())
    }
}

impl fmt::Debug for Followed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Followed")
    }
}

impl AsyncRead for Followed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Speaks::Http1(messages) = &this.speaks {
            messages.may_go_on()?;
        }
        let peeked = if buffer.remaining() == 0 { None } else { this.peeked.take() };
        buffer.put_slice(peeked.as_slice());
        let before = buffer.filled().len();
        let mut polled = Pin::new(&mut this.stream).poll_read(context, buffer);
        if polled.is_pending() && peeked.is_some() {
            polled = Poll::Ready(Ok(()));
        }
        let read = buffer.filled_mut().get_mut(before..).unwrap_or_default();
        if !read.is_empty() {
            this.received(read)?;
        }
        if polled.is_pending()
            && let Some(deadline) = &mut this.deadline
            && deadline.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        polled
    }
}

impl AsyncWrite for Followed {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let written = ready!(this.outgoing.poll_write(&mut this.stream, context, bytes))?;
        if let Speaks::Http2(frames) = &mut this.speaks {
            let sent = frames.sent(bytes.get(..written).unwrap_or_default(), Instant::now());
            sent.map_err(|cut| this.cut(cut))?;
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(this.outgoing.poll_empty(&mut this.stream, context))?;
        Pin::new(&mut this.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(this.outgoing.poll_empty(&mut this.stream, context))?;
        Pin::new(&mut this.stream).poll_shutdown(context)
    }
}

#[async_trait]
impl Shutdown for Followed {
    async fn shutdown(&mut self) {
        let ends = async {
            // A peer that is gone takes no more.
            poll_fn(|context| Pin::new(&mut *self).poll_flush(context)).await.ok();
            <dyn IO as Shutdown>::shutdown(self.stream.as_mut()).await;
            if matches!(&self.speaks, Speaks::Http1(messages) if messages.is_too_long()) {
                let mut passed = Vec::with_capacity(4096);
                let mut left = PASSED_OVER;
                while let Ok(read @ 1..) = self.stream.read_buf(&mut passed).await {
                    passed.clear();
                    let Some(rest) = left.checked_sub(read) else { return };
                    left = rest;
                }
            }
        };
        timeout(CLOSE_TIME, ends).await.ok();
    }
}

impl UniqueID for Followed {
    fn id(&self) -> UniqueIDType {
        self.stream.id()
    }
}

impl Ssl for Followed {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.stream.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.stream.selected_alpn_proto()
    }
}

impl GetTimingDigest for Followed {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.stream.get_timing_digest()
    }
}

impl GetProxyDigest for Followed {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.stream.get_proxy_digest()
    }

    fn set_proxy_digest(&mut self, digest: ProxyDigest) {
        self.stream.set_proxy_digest(digest);
    }
}

impl GetSocketDigest for Followed {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.stream.get_socket_digest()
    }

    fn set_socket_digest(&mut self, digest: SocketDigest) {
        self.stream.set_socket_digest(digest);
    }
}

#[async_trait]
impl Peek for Followed {
    /// Waits for one byte, which is read again.
    async fn try_peek(&mut self, first: &mut [u8]) -> io::Result<bool> {
        let mut byte = [0];
        self.read_exact(&mut byte).await?;
        if let Some(first) = first.first_mut() {
            [*first] = byte;
        }
        [self.peeked] = byte.map(Some);
        Ok(true)
    }
}
