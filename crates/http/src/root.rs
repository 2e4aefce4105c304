//! `/`: for the person who opens the registry's address in a browser.

use http::{HeaderValue, Response, header};

use crate::Body;

const TEXT: &str = concat!(
    "Cargohold ",
    env!("CARGO_PKG_VERSION"),
    " is running.\n\n\
     This is a container registry; there is no website yet. Push an image to it:\n\n  \
     docker tag <image> <this address>/<name>:<tag>\n  \
     docker push <this address>/<name>:<tag>\n"
);

pub(crate) fn get() -> Response<Body> {
    let mut response = Response::new(Body::full(TEXT));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
