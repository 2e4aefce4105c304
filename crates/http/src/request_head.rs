//! The head of a request: how long it may be.
//!
//! hyper bounds what it reads, but not to the byte, and h2 counts otherwise. What passed them is judged here, by one
//! measure for both, so that a client is told the rule.

use http::Request;

use crate::error::ApiError;

/// The bytes that a head takes in HTTP/1 without optional white space: never more than what came.
fn length<B>(request: &Request<B>) -> usize {
    let uri = request.uri();
    let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
    let target = path + uri.authority().map_or(0, |authority| authority.as_str().len());
    let line = request.method().as_str().len() + " ".len() + target + " HTTP/1.1\r\n".len();
    let headers = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + ":\r\n".len());
    line + headers.sum::<usize>() + "\r\n".len()
}

/// Refuses a head of more than `most` bytes.
pub(crate) fn check<B>(request: &Request<B>, most: usize) -> Result<(), ApiError> {
    match length(request) {
        bytes if bytes > most => Err(ApiError::head_too_long(format!(
            "the head of the request has {bytes} bytes, and at most {most} are allowed (http.limits.headers)"
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_as_long_as_its_shortest_spelling() {
        let spelling = "PUT /v2/a/manifests/b?tag=c HTTP/1.1\r\nhost:localhost\r\nx-a:\r\nx-a:b\r\n\r\n";
        let request = Request::put("/v2/a/manifests/b?tag=c")
            .header("host", "localhost")
            .header("x-a", "")
            .header("x-a", "b")
            .body(())
            .unwrap();
        assert_eq!(length(&request), spelling.len());
        assert!(check(&request, spelling.len()).is_ok());
        assert!(check(&request, spelling.len() - 1).is_err());
    }
}
