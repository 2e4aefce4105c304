//! OPTIONS: what a path can be asked. Browsers ask it beforehand, without credentials, when the page of another site wants
//! something (the Fetch standard's CORS-preflight fetch); what lets the page in are headers that the operator sets.

use cargohold_oci::{Path, PathError};
use http::{HeaderValue, Response, header};

use crate::{Body, api, error::ApiError, token};

/// Of the server itself, in the words of RFC 9110 §9.3.7.
const SERVER: &str = "*";

pub(crate) fn answer(path: &str) -> Result<Response<Body>, ApiError> {
    let methods = match path {
        SERVER => "GET, HEAD, POST, PUT, PATCH, DELETE",
        "/" => "GET, HEAD",
        token::PATH => token::METHODS,
        path => match Path::parse(path) {
            Ok(path) => api::methods(&path),
            Err(error @ PathError::NotFound) => return Err(error.into()),
            // The request that follows is told what is wrong.
            Err(_) => "GET, HEAD",
        },
    };
    let mut response = Response::new(Body::empty());
    let allow = HeaderValue::try_from(format!("{methods}, OPTIONS")).expect("names of methods are text");
    response.headers_mut().insert(header::ALLOW, allow);
    Ok(response)
}
