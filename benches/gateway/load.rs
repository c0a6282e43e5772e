//! A closed loop of requests over connections that stay open. Every answer is compared with the one that is expected.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

pub(crate) const CONNECTIONS: usize = 16;

/// One answer takes no longer, or something hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is asked again and again, and the answer to it.
#[derive(Clone)]
pub(crate) struct Ask {
    pub(crate) target: String,
    pub(crate) token: String,
    pub(crate) expected: Bytes,
}

/// Asks until the time is over or the count is reached: how many answers came, in what time.
///
/// Errors: an answer that is not the expected one, or none.
pub(crate) async fn run(
    address: SocketAddr,
    ask: &Ask,
    length: Duration,
    max_requests: u64,
) -> Result<(u64, Duration), String> {
    let asked = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let mut connections = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (asked, ask) = (Arc::clone(&asked), ask.clone());
        connections.spawn(async move {
            let mut connection = connect(address).await?;
            let mut answers = 0;
            while started.elapsed() < length && asked.fetch_add(1, Ordering::Relaxed) < max_requests {
                if answer(&mut connection, address, &ask).await? != ask.expected {
                    return Err("an answer differs from the first".to_owned());
                }
                answers += 1;
            }
            Ok(answers)
        });
    }
    let mut answers: u64 = 0;
    while let Some(ended) = connections.join_next().await {
        answers += ended.map_err(|error| error.to_string())??;
    }
    Ok((answers, started.elapsed()))
}

/// One answer.
pub(crate) async fn once(address: SocketAddr, ask: &Ask) -> Result<Bytes, String> {
    answer(&mut connect(address).await?, address, ask).await
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Empty<Bytes>>, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| format!("cannot connect: {error}"))?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    // It ends with its sender; what goes wrong on it is told there.
    tokio::spawn(async { connection.await.unwrap_or_default() });
    Ok(sender)
}

async fn answer(sender: &mut SendRequest<Empty<Bytes>>, address: SocketAddr, ask: &Ask) -> Result<Bytes, String> {
    let request = Request::get(&ask.target)
        .header(header::HOST, address.to_string())
        .header(header::ACCEPT, "application/json")
        .header(header::AUTHORIZATION, &ask.token)
        .body(Empty::new())
        .map_err(|error| error.to_string())?;
    let exchange = async {
        sender.ready().await?;
        let (head, body) = sender.send_request(request).await?.into_parts();
        Ok::<_, hyper::Error>((head.status, body.collect().await?.to_bytes()))
    };
    let (status, body) = tokio::time::timeout(PATIENCE, exchange)
        .await
        .map_err(|_| "no answer in time".to_owned())?
        .map_err(|error| format!("no answer: {error}"))?;
    if status != StatusCode::OK {
        return Err(format!("answered {status}: {}", String::from_utf8_lossy(&body)));
    }
    Ok(body)
}
