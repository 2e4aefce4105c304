//! The answer to a request of plain HTTP on a port that speaks TLS: what to do instead.

use std::sync::Arc;

use cargohold_oci::ErrorCode;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::{activity::Activity, door::Peer, gentle_close::GentleClose};
use crate::error::ApiError;

const ADVICE: &str = "this port speaks TLS: use https://";

/// Tells a client that sent such a request, and closes the connection.
pub(super) async fn advise<T: AsyncRead + AsyncWrite + Unpin>(stream: T, peer: Peer) {
    let activity = Arc::new(Activity::default());
    // The rest of the request may still be on its way.
    let _request = activity.request(true);
    let mut stream = GentleClose::new(stream, activity);
    let body = ApiError::invalid(ErrorCode::Unsupported, ADVICE).json();
    let length = body.len();
    let head = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n\
                Docker-Distribution-Api-Version: registry/2.0\r\nConnection: close";
    tracing::info!(target: "access", %peer, "a request was refused, since it came without TLS");
    if stream.write_all(format!("{head}\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes()).await.is_ok() {
        let _ = stream.shutdown().await;
    }
}
