//! `/auth/token`: exchanges a password, or none, for a token.
//!
//! Both forms that clients know: GET with Basic (the CNCF registry's token specification), and POST with a form (its OAuth 2 one).
//! There are no refresh tokens: clients keep the password, as they do for any registry that gives out none.

use std::time::{Duration, UNIX_EPOCH};

use cargohold_access::{Caller, Gate, Scope, TOKEN_LIFETIME};
use cargohold_oci::ErrorCode;
use http::{HeaderValue, Method, Request, Response, header};
use serde::Serialize;

use crate::{Body, HttpMetrics, error::ApiError, headers, query::Query, request_body::RequestBody};

pub(crate) const PATH: &str = "/auth/token";
pub(crate) const METHODS: &str = "GET, HEAD, POST";

/// The longest form, in bytes: a password and a few scopes.
const MOST_FORM: usize = 64 * 1024;

#[derive(Serialize)]
struct Answer {
    token: String,
    access_token: String,
    expires_in: u64,
    issued_at: String,
    scope: String,
}

pub(crate) async fn answer(
    gate: &Gate,
    metrics: &HttpMetrics,
    caller: &Caller,
    request: Request<RequestBody>,
) -> Result<Response<Body>, ApiError> {
    match *request.method() {
        Method::GET | Method::HEAD => {
            let query = Query::of(request.uri());
            let scopes: Vec<_> = query.all("scope").collect();
            grant(gate, caller, Scope::parse_all(scopes.iter().map(AsRef::as_ref)))
        }
        Method::POST => post(gate, metrics, caller, request).await,
        _ => Err(ApiError::method_not_allowed(request.method(), METHODS)),
    }
}

/// The form of OAuth 2 (RFC 6749 §4.3), in which the password stands among the fields.
async fn post(
    gate: &Gate,
    metrics: &HttpMetrics,
    caller: &Caller,
    request: Request<RequestBody>,
) -> Result<Response<Body>, ApiError> {
    let (_, body) = request.into_parts();
    let form = read(body).await?;
    let field = |name: &str| form.iter().find_map(|(key, value)| (key == name).then_some(value.as_str()));
    let scopes = Scope::parse_all(field("scope"));
    match field("grant_type") {
        Some("password") => {
            let (user, password) = (field("username").unwrap_or_default(), field("password").unwrap_or_default());
            let signed_in = gate.sign_in(user, password).await.inspect_err(|refusal| metrics.refused(refusal))?;
            grant(gate, &signed_in, scopes)
        }
        // As RFC 6749 has it, clients that have a password too then send that.
        Some("refresh_token") => Err(ApiError::invalid(
            ErrorCode::Unsupported,
            "this registry gives out no refresh tokens: sign in again with the password",
        )),
        Some(other) => {
            let message = format!("grant_type {other:.100} is not supported: send password");
            Err(ApiError::invalid(ErrorCode::Unsupported, message))
        }
        None => grant(gate, caller, scopes),
    }
}

fn grant(gate: &Gate, caller: &Caller, scopes: Vec<Scope>) -> Result<Response<Body>, ApiError> {
    let granted = gate.token(caller, scopes)?;
    let scopes: Vec<String> = granted.access.iter().map(Scope::to_string).collect();
    let since = granted.issued_at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let issued_at = jiff::Timestamp::from_second(since.as_secs().cast_signed()).unwrap_or(jiff::Timestamp::MAX);
    let answer = Answer {
        access_token: granted.token.clone(),
        token: granted.token,
        expires_in: TOKEN_LIFETIME.as_secs(),
        issued_at: issued_at.to_string(),
        scope: scopes.join(" "),
    };
    let mut response = Response::new(Body::full(serde_json::to_vec(&answer).expect("texts and numbers are JSON")));
    response.headers_mut().insert(header::CONTENT_TYPE, headers::JSON);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

async fn read(body: RequestBody) -> Result<Vec<(String, String)>, ApiError> {
    let form = body.whole(MOST_FORM).await.map_err(|broken| ApiError::broken_body(ErrorCode::Unsupported, broken))?;
    let form = form.ok_or_else(|| ApiError::too_large(format!("the form has more than {MOST_FORM} bytes")))?;
    Ok(form_urlencoded::parse(&form).into_owned().collect())
}
