//! What watches the registry and is no client of it: its numbers, and whether it is well.
//!
//! [`Debug`] answers on a listener of its own (`http.debug.addr`), which belongs where only those who run the registry reach it.
//! Without one, the numbers are told by the registry's own listener, to this machine alone ([`from_this_machine`]).

use std::{fmt, pin::Pin, sync::Arc};

use bytes::Bytes;
use cargohold_metrics::Page;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header};

use crate::{Body, Health, api, headers, server::ConnectionInfo, site::is_passed_on};

/// Where the numbers are on the registry's own listener.
pub(crate) const METRICS: &str = "/metrics";

/// What puts together the numbers of the moment.
#[derive(Clone)]
pub struct Numbers(Arc<dyn Fn() -> Answer<Page> + Send + Sync>);

type Answer<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What is answered on the listener for those who run the registry.
#[derive(Clone, Debug)]
pub struct Debug {
    /// The numbers, and at which path they are.
    pub numbers: Option<(String, Numbers)>,
    /// Whether it is well.
    pub health: Health,
}

impl Numbers {
    /// Asks `page` whenever somebody wants to know.
    pub fn new<F: Future<Output = Page> + Send + 'static>(page: impl Fn() -> F + Send + Sync + 'static) -> Self {
        Self(Arc::new(move || Box::pin(page())))
    }

    pub(crate) async fn answer(&self) -> Response<Body> {
        let page = (self.0)().await;
        text(StatusCode::OK, Page::MEDIA_TYPE, page.into_text())
    }
}

impl Debug {
    /// Answers one request.
    pub async fn handle<B>(&self, request: &Request<B>) -> Response<Body> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut refused =
                text(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD are answered here\n".to_owned());
            refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refused;
        }
        let answer = match (request.uri().path(), &self.numbers) {
            (path, Some((place, numbers))) if path == place => numbers.answer().await,
            ("/healthz", _) => text(StatusCode::OK, TEXT, "ok\n".to_owned()),
            // As the CNCF registry has it: the checks that fail, and nothing if all is well.
            ("/debug/health", _) => {
                let failing = self.health.failing();
                let status = if failing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                let body = serde_json::Value::from_iter(failing).to_string();
                text(status, headers::JSON_TYPE, body)
            }
            _ => text(StatusCode::NOT_FOUND, TEXT, "not found\n".to_owned()),
        };
        if request.method() == Method::HEAD { api::without_body(answer) } else { answer }
    }
}

const TEXT: &str = "text/plain; charset=utf-8";

fn text(status: StatusCode, media_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::full(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Whether a program on this machine asks for itself: not by a proxy, which may ask for anybody, and not by a browser that was
/// sent here under another name.
///
/// A proxy that adds nothing of its own and calls us by this machine's name is told apart by its HTTP/1.0, which nginx speaks
/// unless it is told otherwise.
pub(crate) fn from_this_machine<B>(request: &Request<B>, connection: &ConnectionInfo) -> bool {
    connection.peer.ip().is_loopback()
        && request.version() >= Version::HTTP_11
        && api::host(request).is_some_and(cargohold_access::names_this_machine)
        && !is_passed_on(request.headers())
}

impl fmt::Debug for Numbers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Numbers")
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn ask(debug: &Debug, method: &str, path: &str) -> (u16, String, String) {
        let request = Request::builder().method(method).uri(path).body(()).unwrap();
        let (head, body) = debug.handle(&request).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let media_type = head.headers[header::CONTENT_TYPE].to_str().unwrap().to_owned();
        (head.status.as_u16(), media_type, String::from_utf8(body.to_vec()).unwrap())
    }

    fn numbers() -> Numbers {
        Numbers::new(async || {
            let mut page = Page::default();
            page.counter("a_total", "A.", 1);
            page
        })
    }

    #[tokio::test]
    async fn the_numbers_are_where_the_operator_wants_them() {
        let debug = Debug { numbers: Some(("/numbers".to_owned(), numbers())), health: Health::default() };
        let (status, media_type, body) = ask(&debug, "GET", "/numbers").await;
        assert_eq!((status, media_type.as_str()), (200, "text/plain; version=0.0.4; charset=utf-8"));
        assert!(body.ends_with("\na_total 1\n"));
        assert_eq!(ask(&debug, "HEAD", "/numbers").await.2, "");
        assert_eq!(ask(&debug, "GET", "/metrics").await.0, 404);
        assert_eq!(ask(&debug, "POST", "/numbers").await.0, 405);
        assert_eq!(ask(&Debug { numbers: None, ..debug }, "GET", "/numbers").await.0, 404);
    }

    #[tokio::test]
    async fn the_checks_that_fail_are_told() {
        let well = Debug { numbers: None, health: Health::default() };
        assert_eq!(ask(&well, "GET", "/debug/health").await, (200, "application/json".to_owned(), "{}".to_owned()));
        let health = Health::default();
        health.check("storagedriver", 1, true).failed("it is away");
        let (status, _, body) = ask(&Debug { numbers: None, health }, "GET", "/debug/health").await;
        assert_eq!((status, body.as_str()), (503, r#"{"storagedriver":"it is away"}"#));
        assert_eq!(ask(&well, "GET", "/healthz").await.0, 200);
    }
}
