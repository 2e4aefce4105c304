//! The body of a request, as it comes in.
//!
//! A client that sends nothing for [`STALL`] is not waited for any longer, so that none can hold a connection, an upload or a
//! file for ever by doing nothing. While the server itself works, nothing is asked of the client and no time runs.

use std::{error::Error, io, time::Duration};

use bytes::{Bytes, BytesMut};
use cargohold_registry::{Content, ContentError};
use futures_util::{StreamExt, stream};
use http_body_util::BodyDataStream;
use hyper::body::Incoming;
use tokio::time::timeout;

/// How long the next byte may take.
const STALL: Duration = Duration::from_mins(1);

/// The bytes of a body.
pub(crate) fn content(body: Incoming) -> Content {
    Box::pin(stream::unfold(BodyDataStream::new(body), async |mut body| {
        let chunk = match timeout(STALL, body.next()).await {
            Ok(chunk) => chunk?.map_err(ContentError::from),
            Err(_elapsed) => Err(stalled()),
        };
        Some((chunk, body))
    }))
}

/// The bytes of a body, if it has any: no header says so for sure, so the first one is waited for.
pub(crate) async fn content_if_any(body: Incoming) -> Option<Content> {
    let mut content = content(body);
    loop {
        match content.next().await? {
            Ok(chunk) if chunk.is_empty() => {}
            first => return Some(Box::pin(stream::iter([first]).chain(content))),
        }
    }
}

/// All of a body; none if it has more than `limit` bytes.
pub(crate) async fn whole(body: Incoming, limit: usize) -> Result<Option<Bytes>, ContentError> {
    let mut content = content(body);
    let mut bytes = BytesMut::new();
    while let Some(chunk) = content.next().await {
        let chunk = chunk?;
        if bytes.len() + chunk.len() > limit {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(bytes.freeze()))
}

/// Whether a body broke off because its client sent nothing.
pub(crate) fn is_stall(cause: &(dyn Error + Send + Sync + 'static)) -> bool {
    cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
}

fn stalled() -> ContentError {
    let message = format!("no byte came for {} seconds", STALL.as_secs());
    io::Error::new(io::ErrorKind::TimedOut, message).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_is_told_from_a_hang_up() {
        assert!(is_stall(stalled().as_ref()));
        assert!(!is_stall(ContentError::from("connection reset").as_ref()));
        assert!(!is_stall(ContentError::from(io::Error::from(io::ErrorKind::ConnectionReset)).as_ref()));
    }
}
