//! One line for each request, written when its last byte is gone.

use std::{
    net::{IpAddr, SocketAddr},
    time::Instant,
};

use http::{HeaderMap, Method, Response, header};

use crate::{Body, headers};

/// What is known of a request before it is answered.
pub(crate) struct Entry {
    id: String,
    peer: SocketAddr,
    /// Whose request the peer passes on, if it does.
    client: Option<IpAddr>,
    method: Method,
    target: String,
    agent: String,
    began: Instant,
}

impl Entry {
    pub(crate) fn new(
        id: String,
        peer: SocketAddr,
        client: IpAddr,
        method: &Method,
        uri: &http::Uri,
        request: &HeaderMap,
    ) -> Self {
        // Visible ASCII only and bounded: what a stranger sends cannot forge or flood a log.
        let agent: String = headers::text(request, header::USER_AGENT).unwrap_or("-").chars().take(200).collect();
        let target = uri.path_and_query().map_or("-", |target| target.as_str()).chars().take(1000).collect();
        let client = Some(client).filter(|client| *client != peer.ip());
        Self { id, peer, client, method: method.clone(), target, agent, began: Instant::now() }
    }

    /// Has the response write the line once it was sent or given up, and drop what is to be kept until then.
    pub(crate) fn follow(self, response: Response<Body>, kept: impl Send + 'static) -> Response<Body> {
        let status = response.status().as_u16();
        response.map(|body| {
            body.observed(move |outcome| {
                tracing::info!(
                    target: "access",
                    id = self.id,
                    peer = %self.peer,
                    client = self.client.map(tracing::field::display),
                    status,
                    bytes = outcome.bytes,
                    complete = outcome.complete,
                    duration = ?self.began.elapsed(),
                    agent = self.agent,
                    "{} {}",
                    self.method,
                    self.target,
                );
                drop(kept);
            })
        })
    }
}
