//! What is to be sent to a client, so that the head and the body of an answer leave in one TLS record and one system call.
//! It takes memory only while there is something in it: most connections are idle most of the time.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pingora::protocols::Stream;
use tokio::io::AsyncWrite;

/// As large as one TLS record can be.
const SIZE: usize = 16 * 1024;

/// Bytes that have not left yet.
#[derive(Default)]
pub(super) struct Outgoing {
    bytes: Vec<u8>,
    /// Of those, what has left.
    sent: usize,
}

impl Outgoing {
    /// Takes bytes, or passes them on where they are many.
    pub(super) fn poll_write(
        &mut self,
        stream: &mut Stream,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.bytes.len() + bytes.len() > SIZE {
            ready!(self.poll_empty(stream, context))?;
        }
        if bytes.len() >= SIZE {
            return Pin::new(stream).poll_write(context, bytes);
        }
        if self.bytes.capacity() == 0 {
            self.bytes.reserve_exact(SIZE);
        }
        self.bytes.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    /// Sends all there is, and holds no memory then.
    pub(super) fn poll_empty(&mut self, stream: &mut Stream, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest @ [_, ..]) = self.bytes.get(self.sent..) {
            match ready!(Pin::new(&mut *stream).poll_write(context, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.sent += sent,
            }
        }
        *self = Self::default();
        Poll::Ready(Ok(()))
    }
}
