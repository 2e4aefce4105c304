//! The management API: what whoever runs the registry asks of it, in JSON.
//!
//! Whoever can hand it a request is the operator: it is reached by a Unix socket that only the registry's own user may open
//! ([`serve_management`]), or within a command that has opened the data folder itself. It has no other door.

mod backups;
mod notifications;
mod repositories;
mod socket;
mod status;
mod sweep;

use bytes::Bytes;
use cargohold_access::{Caller, Gate, OperatorPermit};
use cargohold_oci::PathError;
use cargohold_registry::{Origin, Registry, Timestamp};
use http::{Method, Request, Response, header};
use serde::Serialize;

pub use socket::serve_management;
pub use status::Running;

use crate::{error::ApiError, headers, query::Query};
use repositories::Wanted;

/// The largest body of a request, in bytes: a few names.
pub const MOST_BODY: usize = 64 * 1024;

/// The management API of one registry.
#[derive(Debug)]
pub struct Management {
    registry: Registry,
    gate: Gate,
    /// The server that this is a part of, if it is one of a server.
    running: Option<Running>,
}

impl Management {
    /// The API over a registry, behind a gate.
    pub fn new(registry: Registry, gate: Gate) -> Self {
        Self { registry, gate, running: None }
    }

    /// Has it tell how the server is that it is a part of.
    #[must_use]
    pub fn of_server(self, running: Running) -> Self {
        Self { running: Some(running), ..self }
    }

    /// Answers one request of the operator. Whatever happens is an answer.
    pub async fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
        let answer = self.route(&request).await;
        tracing::info!(method = %request.method(), path = request.uri().path(), succeeded = answer.is_ok(), "management");
        answer.unwrap_or_else(ApiError::into_bytes)
    }

    /// Does what a server does all the time, once: what was purged is gone then.
    pub async fn settle(&self) {
        if let Err(error) = self.registry.keep_house_once().await {
            tracing::error!(%error, cause = ?error, "what is due could not be deleted; a running server tries again");
        }
    }

    /// Ends what writes facts, once what was asked of it is done.
    pub async fn close(&self) {
        self.registry.close().await;
    }

    async fn route(&self, request: &Request<Bytes>) -> Result<Response<Bytes>, ApiError> {
        let caller = &Caller::OPERATOR;
        let operator: OperatorPermit = self.gate.operator(caller).ok_or_else(ApiError::operators_only)?;
        let registry = &self.registry.on_behalf_of(Origin {
            method: request.method().to_string(),
            agent: concat!("cargohold/", env!("CARGO_PKG_VERSION")).to_owned(),
            ..Origin::default()
        });
        let wanted = || Wanted::read(&self.gate, caller, request);
        match (request.uri().path(), request.method()) {
            ("/v1/status", &Method::GET) if let Some(running) = &self.running => {
                status::status(registry, &operator, running).await
            }
            ("/v1/health", &Method::GET) if let Some(running) = &self.running => Ok(json(&running.health.report())),
            ("/v1/sweep", &Method::GET) => sweep::status(registry, &operator, Query::of(request.uri())).await,
            ("/v1/repositories/delete", &Method::POST) => repositories::delete(registry, &wanted()?).await,
            ("/v1/repositories/undelete", &Method::POST) => repositories::undelete(registry, &wanted()?).await,
            ("/v1/repositories/purge", &Method::POST) => repositories::purge(registry, &wanted()?).await,
            ("/v1/backups", &Method::POST) => backups::record(registry, &operator, request).await,
            ("/v1/notifications", &Method::GET) => notifications::status(registry, &operator).await,
            ("/v1/notifications/failures", &Method::GET) => {
                notifications::failures(registry, &operator, Query::of(request.uri())).await
            }
            ("/v1/notifications/redeliver", &Method::POST) => {
                notifications::redeliver(registry, &operator, request).await
            }
            (
                "/v1/status" | "/v1/health" | "/v1/sweep" | "/v1/notifications" | "/v1/notifications/failures",
                method,
            ) => Err(ApiError::method_not_allowed(method, "GET")),
            (
                "/v1/notifications/redeliver"
                | "/v1/backups"
                | "/v1/repositories/delete"
                | "/v1/repositories/undelete"
                | "/v1/repositories/purge",
                method,
            ) => Err(ApiError::method_not_allowed(method, "POST")),
            _ => Err(PathError::NotFound.into()),
        }
    }
}

fn json(answer: &impl Serialize) -> Response<Bytes> {
    let mut body = serde_json::to_vec(answer).expect("strings, numbers and lists are JSON");
    body.push(b'\n');
    let mut response = Response::new(Bytes::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, headers::JSON);
    response
}

/// A time as RFC 3339 has it, in UTC, to the second.
fn time(time: Timestamp) -> String {
    jiff::Timestamp::from_second(time.micros() / 1_000_000).unwrap_or(jiff::Timestamp::MAX).to_string()
}
