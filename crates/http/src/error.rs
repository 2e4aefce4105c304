//! Errors as the protocol writes them. The one place that chooses status codes.
//!
//! Source: OCI distribution specification, "Error Codes". A message tells the client what to do; a cause inside goes to the log,
//! beside the request's id, and never to the client.

use std::time::Duration;

use bytes::Bytes;
use cargohold_access::{Denied, Refusal as Closed, Scope};
use cargohold_oci::{Digest, ErrorCode, PathError};
use cargohold_registry::{ContentError, Error as Refusal, Part};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{Body, headers, request_body};

/// Missing digests that one answer names; whoever is told of so many has forgotten to push at all.
const MOST_MISSING: usize = 100;

/// The body of an error response.
#[derive(Serialize)]
struct ErrorBody<'e> {
    errors: &'e [ProtocolError],
}

/// One error in it.
#[derive(Debug, Serialize)]
struct ProtocolError {
    code: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Value::is_null")]
    detail: Value,
}

/// What was wrong with the credentials that came, if any came.
#[derive(Debug)]
pub(crate) struct Lacking {
    /// What they would have to be good for; none where any will do.
    pub(crate) scope: Option<Scope>,
    /// The word for it, if a token came (RFC 6750 §3.1).
    pub(crate) error: Option<&'static str>,
}

/// A request that got no success.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    errors: Vec<ProtocolError>,
    headers: Vec<(HeaderName, HeaderValue)>,
    lacking: Option<Lacking>,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
    /// Where it comes from, if it is a failure.
    part: Option<Part>,
}

impl ApiError {
    fn new(status: StatusCode, code: ErrorCode, message: impl Into<String>) -> Self {
        let error = ProtocolError { code: code.as_str(), message: message.into(), detail: Value::Null };
        Self { status, errors: vec![error], headers: Vec::new(), lacking: None, cause: None, part: None }
    }

    /// Something in the request is not what the protocol allows there.
    pub(crate) fn invalid(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// A body that is larger than it may be.
    pub(crate) fn too_large(message: String) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::SizeInvalid, message)
    }

    /// More in the query than one request may ask for.
    pub(crate) fn asks_too_much(code: ErrorCode, message: String) -> Self {
        Self::new(StatusCode::URI_TOO_LONG, code, message)
    }

    /// A request whose head is longer than it may be. Nobody goes on on such a connection (in HTTP/2 the header is left out).
    pub(crate) fn head_too_long(message: String) -> Self {
        let error = Self::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, ErrorCode::SizeInvalid, message);
        error.with(header::CONNECTION, HeaderValue::from_static("close"))
    }

    /// More requests at a time than a client may have. It had better come back after `pause`.
    pub(crate) fn too_many_requests(message: String, pause: Duration) -> Self {
        let seconds = pause.as_secs() + u64::from(pause.subsec_nanos() > 0);
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, ErrorCode::TooManyRequests, message);
        error.with(header::RETRY_AFTER, seconds.max(1).into())
    }

    /// A range of bytes that is not there.
    pub(crate) fn not_satisfiable(message: String) -> Self {
        Self::new(StatusCode::RANGE_NOT_SATISFIABLE, ErrorCode::RangeInvalid, message)
    }

    /// A body that ended before it was complete: its client hung up, or sent nothing for too long.
    pub(crate) fn broken_body(code: ErrorCode, cause: ContentError) -> Self {
        let stalled = request_body::is_stall(cause.as_ref());
        let status = if stalled { StatusCode::REQUEST_TIMEOUT } else { StatusCode::BAD_REQUEST };
        Self::new(status, code, Refusal::BrokenBody(cause).to_string())
    }

    /// A method that the path does not have.
    pub(crate) fn method_not_allowed(method: &Method, allowed: &'static str) -> Self {
        let message = format!("{method:.20} is not supported here: this path answers {allowed}");
        let error = Self::new(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::Unsupported, message);
        error.with(header::ALLOW, HeaderValue::from_static(allowed))
    }

    /// The method is one of the protocol's, and this registry's operator has switched it off.
    pub(crate) fn switched_off(message: &str, allowed: &'static str) -> Self {
        let error = Self::new(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::Unsupported, message);
        error.with(header::ALLOW, HeaderValue::from_static(allowed))
    }

    /// Credentials are missing, or not good for this. Clients fetch a token for 401 alone, so it is that for both.
    fn unauthorized(message: String, lacking: Lacking) -> Self {
        Self { lacking: Some(lacking), ..Self::new(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized, message) }
    }

    /// What is wrong with the credentials, if that is what is wrong.
    pub(crate) fn lacking(&self) -> Option<&Lacking> {
        self.lacking.as_ref()
    }

    /// Where it comes from, if it is a failure of ours.
    pub(crate) fn part(&self) -> Option<Part> {
        self.part
    }

    /// What the registry stands on, or what its operator wants looked at, is down.
    pub(crate) fn unhealthy() -> Self {
        unavailable("a health check of the registry fails: its operator sees at /readyz which one".to_owned())
    }

    /// What only whoever runs the registry may ask.
    pub(crate) fn operators_only() -> Self {
        Self::new(StatusCode::FORBIDDEN, ErrorCode::Denied, "only the registry's operator may do this")
    }

    #[must_use]
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    #[must_use]
    fn about(mut self, detail: Value) -> Self {
        if let Some(error) = self.errors.first_mut() {
            error.detail = detail;
        }
        self
    }

    #[must_use]
    fn because(mut self, cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.cause = Some(Box::new(cause));
        self
    }

    /// The body of the answer.
    pub(crate) fn json(&self) -> String {
        serde_json::to_string(&ErrorBody { errors: &self.errors }).expect("strings and JSON values are JSON")
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        self.into_bytes().map(Body::full)
    }

    /// The answer, with its body as it is.
    pub(crate) fn into_bytes(self) -> Response<Bytes> {
        if let Some(cause) = &self.cause {
            // The request's id is on the span that this is logged in.
            tracing::error!(error = %chain(cause.as_ref()), "request failed");
        }
        let mut response = Response::new(Bytes::from(self.json()));
        *response.status_mut() = self.status;
        response.headers_mut().insert(header::CONTENT_TYPE, headers::JSON);
        response.headers_mut().extend(self.headers);
        response
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        use ErrorCode as Code;
        use StatusCode as Status;

        let (message, part) = (refusal.to_string(), refusal.part());
        let error = match refusal {
            Refusal::RepositoryUnknown(name) => {
                Self::new(Status::NOT_FOUND, Code::NameUnknown, message).about(json!({ "name": name.as_str() }))
            }
            Refusal::BlobUnknown { digest, .. } => {
                Self::new(Status::NOT_FOUND, Code::BlobUnknown, message).about(json!({ "digest": digest.to_string() }))
            }
            Refusal::BlobNeeded { digest, manifest, .. } => {
                let needed = json!({ "digest": digest.to_string(), "manifest": manifest.to_string() });
                Self::new(Status::METHOD_NOT_ALLOWED, Code::Unsupported, message)
                    .about(needed)
                    .with(header::ALLOW, HeaderValue::from_static("GET, HEAD"))
            }
            Refusal::ManifestUnknown { reference, .. } => Self::new(Status::NOT_FOUND, Code::ManifestUnknown, message)
                .about(json!({ "reference": reference.to_string() })),
            Refusal::NotDeleted { .. } => Self::new(Status::CONFLICT, Code::Unsupported, message),
            Refusal::EndpointUnknown(_) => Self::new(Status::NOT_FOUND, Code::Unsupported, message),
            Refusal::NothingDeleted { reference: None, .. } => Self::new(Status::NOT_FOUND, Code::NameUnknown, message),
            Refusal::NothingDeleted { .. } => Self::new(Status::NOT_FOUND, Code::ManifestUnknown, message),
            Refusal::WindowEnded { .. } => Self::new(Status::GONE, Code::Unsupported, message),
            Refusal::UploadUnknown { .. } => Self::new(Status::NOT_FOUND, Code::BlobUploadUnknown, message),
            Refusal::OutOfOrder { .. } | Refusal::Superseded { .. } => Self::not_satisfiable(message),
            Refusal::WrongLength { .. } => Self::invalid(Code::SizeInvalid, message),
            Refusal::BrokenBody(cause) => Self::broken_body(Code::BlobUploadInvalid, cause),
            Refusal::DigestMismatch { .. } => Self::invalid(Code::DigestInvalid, message),
            Refusal::NameTooLong { .. } => Self::invalid(Code::NameInvalid, message),
            Refusal::ManifestTooLarge { .. } => Self::too_large(message),
            Refusal::InvalidManifest(_)
            | Refusal::TooManyReferences { .. }
            | Refusal::ArtifactTypeTooLong { .. }
            | Refusal::UrlDenied { .. } => Self::invalid(Code::ManifestInvalid, message),
            Refusal::ContentUnknown { repository, missing } => Self::missing(&missing, repository.as_str()),
            Refusal::NoSpace => {
                unavailable("no space left on device: the registry's disk is as full as it may become".to_owned())
            }
            Refusal::ReadOnly(_) => {
                unavailable("the registry's disk can only be read at the moment".to_owned()).because(refusal)
            }
            Refusal::Busy => unavailable("the registry's database can record nothing at the moment".to_owned()),
            Refusal::StoreAway(_) => unavailable("the registry's store cannot be reached".to_owned()).because(refusal),
            Refusal::Store(_)
            | Refusal::StoreUnknown(_)
            | Refusal::ImpossibleKey(_)
            | Refusal::Metadata(_)
            | Refusal::Broken => failed(refusal),
        };
        Self { part, ..error }
    }
}

impl From<std::io::Error> for ApiError {
    fn from(error: std::io::Error) -> Self {
        failed(error)
    }
}

impl ApiError {
    /// One error for each digest that a manifest refers to in vain.
    fn missing(missing: &[Digest], repository: &str) -> Self {
        let error = |digest: &Digest| {
            let message =
                format!("the manifest refers to {digest}, which is not in repository {repository}: push it first");
            let detail = json!({ "digest": digest.to_string() });
            ProtocolError { code: ErrorCode::ManifestBlobUnknown.as_str(), message, detail }
        };
        let errors = missing.iter().take(MOST_MISSING).map(error).collect();
        Self { errors, ..Self::new(StatusCode::BAD_REQUEST, ErrorCode::ManifestBlobUnknown, "") }
    }
}

impl From<Closed> for ApiError {
    fn from(refusal: Closed) -> Self {
        let message = refusal.to_string();
        match refusal {
            Closed::ForeignHost { .. } | Closed::ForeignOrigin { .. } => {
                Self::new(StatusCode::FORBIDDEN, ErrorCode::Denied, message)
            }
            Closed::WrongPassword | Closed::Credentials(_) => {
                Self::unauthorized(message, Lacking { scope: None, error: None })
            }
            Closed::InvalidToken => Self::unauthorized(message, Lacking { scope: None, error: Some("invalid_token") }),
            Closed::Busy => Self::too_many_requests(message, Duration::from_secs(10)),
        }
    }
}

impl From<Denied> for ApiError {
    fn from(denied: Denied) -> Self {
        let message = denied.to_string();
        let error = denied.has_token.then_some("insufficient_scope");
        Self::unauthorized(message, Lacking { scope: denied.needed, error })
    }
}

impl From<PathError> for ApiError {
    fn from(error: PathError) -> Self {
        let (status, code) = match &error {
            PathError::NotFound => (StatusCode::NOT_FOUND, ErrorCode::Unsupported),
            PathError::Name(_) => (StatusCode::BAD_REQUEST, ErrorCode::NameInvalid),
            PathError::Digest(_) => (StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid),
            PathError::Tag(_) => (StatusCode::BAD_REQUEST, ErrorCode::TagInvalid),
            PathError::Upload(_) => (StatusCode::NOT_FOUND, ErrorCode::BlobUploadUnknown),
        };
        Self::new(status, code, error.to_string())
    }
}

/// Something is wrong inside.
fn failed(cause: impl std::error::Error + Send + Sync + 'static) -> ApiError {
    let message = "the registry failed; its log tells more beside this request's id";
    let error = ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Unknown, message).because(cause);
    ApiError { part: Some(Part::Other), ..error }
}

/// Nothing is wrong with the request, and it may succeed in a while.
fn unavailable(message: String) -> ApiError {
    let error = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable, message);
    error.with(header::RETRY_AFTER, HeaderValue::from_static("10"))
}

/// An error and what caused it, in one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
