//! A client's connection with a write buffer, so that the head and the body of an answer leave in one TLS record and one
//! system call. pingora flushes at the end of each answer; its own buffer can be sized only through its own listeners.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::{ALPN, SslDigest};
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, IO, Peek, Shutdown, SocketDigest, Ssl, Stream, TimingDigest,
    UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufWriter, ReadBuf};
use tokio::time::Sleep;

use super::frames::{Frames, PREFACE};
use super::messages::Messages;
use crate::metrics::Metrics;

/// As large as one TLS record can be.
const WRITE_BUFFER: usize = 16 * 1024;

pub(super) struct Buffered {
    stream: BufWriter<Stream>,
    /// Bytes that are missing of the preface of HTTP/2, which pingora waits for without a limit, and when they must be here.
    preface: Option<(usize, Pin<Box<Sleep>>)>,
    /// Of HTTP/2.
    frames: Option<Frames>,
    /// Of HTTP/1.
    messages: Option<Messages>,
    metrics: Metrics,
}

impl Buffered {
    /// `greeting`: how long an HTTP/2 client may take for its preface.
    pub(super) fn new(stream: Stream, greeting: Duration, metrics: &Metrics) -> Self {
        let is_http2 = matches!(stream.selected_alpn_proto(), Some(ALPN::H2));
        let preface = is_http2.then(|| (PREFACE, Box::pin(tokio::time::sleep(greeting))));
        let frames = is_http2.then(|| Frames::new(Instant::now()));
        let messages = (!is_http2).then(Messages::default);
        let stream = BufWriter::with_capacity(WRITE_BUFFER, stream);
        Self { stream, preface, frames, messages, metrics: metrics.clone() }
    }
}

impl Buffered {
    fn sent(&mut self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let (Some(frames), Poll::Ready(Ok(bytes))) = (&mut self.frames, &polled) {
            frames.sent(*bytes);
        }
        polled
    }
}

impl fmt::Debug for Buffered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Buffered")
    }
}

impl AsyncRead for Buffered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(messages) = &this.messages {
            messages.may_go_on()?;
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(context, buffer);
        if let Some((missing, deadline)) = &mut this.preface {
            if polled.is_pending() && deadline.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            *missing = missing.saturating_sub(buffer.filled().len() - before);
            if *missing == 0 {
                this.preface = None;
            }
        }
        if let Some(messages) = &mut this.messages {
            messages.received(buffer.filled_mut().get_mut(before..).unwrap_or_default());
        }
        let read = buffer.filled().get(before..).unwrap_or_default();
        if let Some(frames) = this.frames.as_mut().filter(|_| !read.is_empty())
            && let Err(flood) = frames.received(read, Instant::now())
        {
            this.metrics.floods.inc();
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, flood)));
        }
        polled
    }
}

impl AsyncWrite for Buffered {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.sent(polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.sent(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[async_trait]
impl Shutdown for Buffered {
    async fn shutdown(&mut self) {
        // A peer that is gone takes no more.
        self.stream.flush().await.ok();
        <dyn IO as Shutdown>::shutdown(self.stream.get_mut().as_mut()).await;
    }
}

impl UniqueID for Buffered {
    fn id(&self) -> UniqueIDType {
        self.stream.get_ref().id()
    }
}

impl Ssl for Buffered {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.stream.get_ref().get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.stream.get_ref().selected_alpn_proto()
    }
}

impl GetTimingDigest for Buffered {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.stream.get_ref().get_timing_digest()
    }
}

impl GetProxyDigest for Buffered {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.stream.get_ref().get_proxy_digest()
    }

    fn set_proxy_digest(&mut self, digest: ProxyDigest) {
        self.stream.get_mut().set_proxy_digest(digest);
    }
}

impl GetSocketDigest for Buffered {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.stream.get_ref().get_socket_digest()
    }

    fn set_socket_digest(&mut self, digest: SocketDigest) {
        self.stream.get_mut().set_socket_digest(digest);
    }
}

#[async_trait]
impl Peek for Buffered {}
