//! What is known of a request while it is answered, for whoever watches the registry.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, OnceLock},
};

use cargohold_access::Caller;
use http::Response;
use tracing::Span;

use crate::{
    Body, access_log,
    access_log::{AccessLog, Entry},
    body::BodyOutcome,
    server::ConnectionInfo,
};

/// One request, from its head to the last byte of its answer.
pub(crate) struct Watched {
    id: String,
    /// What it is called in the logs: what is logged within it has its id.
    pub(crate) span: Span,
    peer: SocketAddr,
    client: IpAddr,
    entry: Option<access_log::Entry>,
    user: OnceLock<String>,
}

impl Watched {
    pub(crate) fn begin<B>(
        id: String,
        log: Option<&Arc<dyn AccessLog>>,
        request: &http::Request<B>,
        connection: &ConnectionInfo,
        client: IpAddr,
    ) -> Self {
        // At the level of errors, so that these have the id whatever else is logged.
        let span = tracing::error_span!("request", id);
        let entry = log.filter(|log| log.wanted()).map(|log| Entry::new(log.clone(), connection.peer, client, request));
        Self { id, span, peer: connection.peer, client, entry, user: OnceLock::new() }
    }

    /// What the answer calls it.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Whose request it is: that of the connection's other end, or of whom that one passes on.
    pub(crate) fn client(&self) -> IpAddr {
        self.client
    }

    /// Address and port, as far as they are known, of whom it came from.
    pub(crate) fn came_by(&self) -> String {
        if self.peer.ip() == self.client { self.peer.to_string() } else { self.client.to_string() }
    }

    /// It is known who sent it.
    pub(crate) fn came_from(&self, caller: &Caller) {
        if let Some(name) = caller.name() {
            self.user.set(name.to_owned()).ok();
        }
    }

    /// Has the answer tell how it ended, and drop what is to be kept until then.
    pub(crate) fn follow(self, response: Response<Body>, kept: impl Send + 'static) -> Response<Body> {
        let status = response.status().as_u16();
        response.map(|body| {
            body.observed(move |outcome| {
                self.end(status, outcome);
                drop(kept);
            })
        })
    }

    fn end(self, status: u16, outcome: BodyOutcome) {
        if let Some(entry) = self.entry {
            entry.end(&self.id, self.user.get().map(String::as_str), status, outcome);
        }
    }
}
