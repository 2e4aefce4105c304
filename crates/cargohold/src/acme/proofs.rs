//! What the authority finds when it looks whether a host leads here.

use std::{pin::Pin, sync::Arc, time::Duration};

use cargohold_http::{
    Body, Listener, ServerOptions,
    tls::{Certificate, Challenges},
};
use http::{Response, StatusCode, header};
use tokio::net::TcpListener;

use super::store::Store;

/// Where it looks by plain HTTP (RFC 8555 §8.3).
const PATH: &str = "/.well-known/acme-challenge/";
/// Connections of plain HTTP at a time: an authority looks from a handful of places.
const CONNECTIONS: usize = 256;

/// The proofs that are expected.
#[derive(Debug)]
pub(crate) struct Proofs {
    store: Store,
    hosts: Vec<String>,
}

impl Proofs {
    pub(super) fn new(store: Store, hosts: Vec<String>) -> Self {
        Self { store, hosts }
    }

    /// What is to be said to whoever comes with this token.
    async fn answer(&self, token: &str) -> Option<String> {
        for host in &self.hosts {
            let proof = self.store.http_proof(host).await.ok().flatten();
            if let Some(proof) = proof.filter(|proof| proof.token == token) {
                return Some(proof.answer);
            }
        }
        None
    }
}

impl Challenges for Proofs {
    fn certificate(&self, name: String) -> Pin<Box<dyn Future<Output = Option<Certificate>> + Send + '_>> {
        Box::pin(async move {
            let host = self.hosts.iter().find(|host| host.eq_ignore_ascii_case(&name))?;
            let proof = self.store.tls_proof(host).await.ok()??;
            Certificate::from_pem(proof.certificate.as_bytes(), proof.key.as_bytes()).ok()
        })
    }
}

/// Gives proofs by plain HTTP, and nothing else.
pub(crate) async fn serve_proofs(listener: TcpListener, proofs: Arc<Proofs>) {
    let options = ServerOptions {
        idle: Duration::from_secs(30),
        connections: CONNECTIONS,
        h2c: false,
        ..ServerOptions::default()
    };
    let service = move |request: http::Request<_>, _| {
        let proofs = proofs.clone();
        async move { respond(&proofs, request.uri().path()).await }
    };
    let _ = cargohold_http::serve(Listener::Tcp(listener), service, std::future::pending(), options).await;
}

async fn respond(proofs: &Proofs, path: &str) -> Response<Body> {
    let token = path.strip_prefix(PATH);
    let found = match token {
        Some(token) => proofs.answer(token).await,
        None => None,
    };
    tracing::info!(path, found = found.is_some(), "somebody looked for a proof");
    let (status, text) = match found {
        Some(answer) => (StatusCode::OK, answer),
        None => (
            StatusCode::NOT_FOUND,
            "There is nothing here but proofs for a certificate authority: use https.\n".to_owned(),
        ),
    };
    let mut response = Response::new(Body::full(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/plain"));
    response
}
