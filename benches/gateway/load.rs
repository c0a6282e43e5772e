//! A closed loop of requests over connections that stay open. Every answer is compared with the one that is expected.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::JoinSet;

use crate::client::{self, Connection, connect};

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

async fn answer(connection: &mut Connection, address: SocketAddr, ask: &Ask) -> Result<Bytes, String> {
    client::ask(connection, address, &ask.target, &ask.token, PATIENCE).await
}
