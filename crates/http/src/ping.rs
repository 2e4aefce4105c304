//! `/v2/`: is there a registry, and does it know me?

use http::{Response, header};

use crate::{Body, headers};

pub(crate) fn get() -> Response<Body> {
    let mut response = Response::new(Body::full("{}"));
    response.headers_mut().insert(header::CONTENT_TYPE, headers::JSON);
    response
}
