//! A request's body as the registry takes it in.

use cargohold_registry::{Content, ContentError};
use futures_util::{StreamExt, stream};
use http_body_util::BodyDataStream;
use hyper::body::Incoming;

/// The bytes of a body.
pub(super) fn content(body: Incoming) -> Content {
    Box::pin(BodyDataStream::new(body).map(|chunk| chunk.map_err(ContentError::from)))
}

/// The bytes of a body, if it has any: no header says so for sure, so the first one is waited for.
pub(super) async fn content_if_any(body: Incoming) -> Option<Content> {
    let mut content = content(body);
    loop {
        match content.next().await? {
            Ok(chunk) if chunk.is_empty() => {}
            first => return Some(Box::pin(stream::iter([first]).chain(content))),
        }
    }
}
