//! The body of a request, as it comes in.
//!
//! A client that sends nothing for too long is not waited for any longer, so that none can hold a connection, an upload
//! or a file for ever by doing nothing. While the server itself works, nothing is asked of the client and no time runs.

use std::{error::Error, io, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use cargohold_registry::{Content, ContentError};
use futures_util::{StreamExt, stream};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use tokio::time::timeout;

use crate::{
    server::{Activity, Unread},
    watched::Received,
};

/// A body that comes in, or does not.
pub(crate) struct RequestBody {
    incoming: Incoming,
    /// How long the next byte may take.
    stall: Duration,
    connection: Arc<Activity>,
    /// There, while bytes are still to come and nobody asks for them.
    unread: Option<Unread>,
    /// Its end was read.
    ended: bool,
    received: Option<Received>,
}

impl RequestBody {
    pub(crate) fn new(incoming: Incoming, stall: Duration, connection: Arc<Activity>) -> Self {
        let unread = (!incoming.is_end_stream()).then(|| connection.unread());
        let ended = incoming.is_end_stream();
        Self { incoming, stall, connection, unread, ended, received: None }
    }

    /// Has its bytes counted as they come.
    #[must_use]
    pub(crate) fn counted_by(mut self, received: Received) -> Self {
        self.received = Some(received);
        self
    }

    /// Bytes that will come at least, as far as the request's head says.
    pub(crate) fn announced(&self) -> u64 {
        self.incoming.size_hint().lower()
    }

    /// The bytes of the body.
    pub(crate) fn content(self) -> Content {
        Box::pin(stream::unfold(self, async |mut body| Some((body.chunk().await?, body))))
    }

    /// The bytes of the body, if it has any: no header says so for sure, so the first one is waited for.
    pub(crate) async fn content_if_any(self) -> Option<Content> {
        let mut content = self.content();
        loop {
            match content.next().await? {
                Ok(chunk) if chunk.is_empty() => {}
                first => return Some(Box::pin(stream::iter([first]).chain(content))),
            }
        }
    }

    /// All of the body; none if it has more than `limit` bytes.
    pub(crate) async fn whole(mut self, limit: usize) -> Result<Option<Bytes>, ContentError> {
        let mut bytes = BytesMut::new();
        while let Some(chunk) = self.chunk().await {
            let chunk = chunk?;
            if bytes.len() + chunk.len() > limit {
                return Ok(None);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Some(bytes.freeze()))
    }

    /// The next bytes.
    async fn chunk(&mut self) -> Option<Result<Bytes, ContentError>> {
        self.unread = None;
        let chunk = loop {
            match timeout(self.stall, self.incoming.frame()).await {
                Ok(None) => {
                    self.ended = true;
                    return None;
                }
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        if let Some(received) = &self.received {
                            received.count(data.len());
                        }
                        break Ok(data);
                    }
                }
                Ok(Some(Err(broken))) => break Err(broken.into()),
                // Over HTTP/2 the bodies of a connection share a window. One that the server does not read may fill it,
                // and then a client cannot send what it is asked for, however much it wants to.
                Err(_elapsed) if self.connection.has_unread() => {}
                Err(_elapsed) => return Some(Err(stalled(self.stall))),
            }
        };
        self.ended = self.incoming.is_end_stream();
        self.unread = (!self.ended).then(|| self.connection.unread());
        Some(chunk)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if !self.ended {
            self.connection.give_up_body();
        }
    }
}

/// Whether a body broke off because its client sent nothing.
pub(crate) fn is_stall(cause: &(dyn Error + Send + Sync + 'static)) -> bool {
    cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
}

fn stalled(stall: Duration) -> ContentError {
    let message = format!("no byte came for {stall:?} (http.limits.stall)");
    io::Error::new(io::ErrorKind::TimedOut, message).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_is_told_from_a_hang_up() {
        assert!(is_stall(stalled(Duration::from_mins(1)).as_ref()));
        assert!(!is_stall(ContentError::from("connection reset").as_ref()));
        assert!(!is_stall(ContentError::from(io::Error::from(io::ErrorKind::ConnectionReset)).as_ref()));
    }
}
