//! The management API's door: a Unix socket. Who may open it is decided by the file system.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use bytes::Bytes;
use cargohold_oci::ErrorCode;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::Semaphore,
};

use super::{MOST_BODY, Management};
use crate::error::ApiError;

/// Connections at a time; the next ones wait.
const CONNECTIONS: usize = 64;
/// How long the head and the body of a request may take to come.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pause after a failed `accept`, for others to give back what there is too little of.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers the requests that come by `listener`, until dropped.
pub async fn serve_management(listener: UnixListener, management: Arc<Management>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let management = management.clone();
                tokio::spawn(async move {
                    if let Err(error) = connection(stream, management).await {
                        tracing::debug!(%error, "a connection to the management API ended early");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the management API cannot be reached, trying again");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: UnixStream, management: Arc<Management>) -> hyper::Result<()> {
    let service = service_fn(move |request| {
        let management = management.clone();
        async move { Ok::<_, Infallible>(answer(request, &management).await.map(Full::new)) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    http.serve_connection(TokioIo::new(stream), service).await
}

async fn answer(request: Request<Incoming>, management: &Management) -> Response<Bytes> {
    let (head, body) = request.into_parts();
    let body = tokio::time::timeout(PATIENCE, Limited::new(body, MOST_BODY).collect()).await;
    match body.map_err(|_| io::Error::from(io::ErrorKind::TimedOut).into()).flatten() {
        Ok(body) => management.handle(Request::from_parts(head, body.to_bytes())).await,
        Err(error) => unreadable(&*error).into_bytes(),
    }
}

fn unreadable(error: &(dyn std::error::Error + Send + Sync + 'static)) -> ApiError {
    if error.is::<http_body_util::LengthLimitError>() {
        return ApiError::too_large(format!("the body of the request has more than {MOST_BODY} bytes"));
    }
    ApiError::invalid(ErrorCode::Unsupported, format!("the body of the request did not come whole: {error}"))
}
