//! A client that keeps its connection and takes no answer but 200.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

pub(crate) type Connection = SendRequest<Empty<Bytes>>;

pub(crate) async fn connect(address: SocketAddr) -> Result<Connection, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| format!("cannot connect: {error}"))?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    // It ends with its sender; what goes wrong on it is told there.
    tokio::spawn(async { connection.await.unwrap_or_default() });
    Ok(sender)
}

/// The body of the answer. Errors: another status, or none within the time that it is given.
pub(crate) async fn ask(
    connection: &mut Connection,
    address: SocketAddr,
    target: &str,
    token: &str,
    patience: Duration,
) -> Result<Bytes, String> {
    let request = Request::get(target)
        .header(header::HOST, address.to_string())
        .header(header::ACCEPT, "application/json")
        .header(header::AUTHORIZATION, token)
        .body(Empty::new())
        .map_err(|error| error.to_string())?;
    let exchange = async {
        connection.ready().await?;
        let (head, body) = connection.send_request(request).await?.into_parts();
        Ok::<_, hyper::Error>((head.status, body.collect().await?.to_bytes()))
    };
    let (status, body) = tokio::time::timeout(patience, exchange)
        .await
        .map_err(|_| format!("{target}: no answer in time"))?
        .map_err(|error| format!("{target}: no answer: {error}"))?;
    if status != StatusCode::OK {
        return Err(format!("{target} was answered {status}: {}", String::from_utf8_lossy(&body)));
    }
    Ok(body)
}
