//! Conditions on content that is named by its digest (RFC 9110 §13).

use cargohold_oci::Digest;
use http::{HeaderMap, header};

/// Whether the client says that it has the content already: `If-None-Match` names its digest, quoted or bare, strong or weak.
pub(crate) fn client_has(request: &HeaderMap, digest: &Digest) -> bool {
    let values = request.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|tag| tag.trim() == "*" || names(tag, digest))
}

/// Whether a `Range` counts: it does not if `If-Range` names other content, or a date. A tag may have bytes that are no text.
pub(crate) fn range_counts(request: &HeaderMap, digest: &Digest) -> bool {
    request.get(header::IF_RANGE).is_none_or(|tag| tag.to_str().is_ok_and(|tag| names(tag, digest)))
}

/// Whether an entity tag is the digest, quoted or bare, strong or weak.
fn names(tag: &str, digest: &Digest) -> bool {
    let tag = tag.trim();
    // A digest has one spelling, so what reads as it is it.
    Digest::parse(tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"')).as_ref() == Ok(digest)
}

#[cfg(test)]
mod tests {
    use cargohold_oci::Algorithm;
    use http::HeaderValue;

    use super::*;

    fn request(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn a_digest_matches_quoted_bare_weak_and_in_a_list() {
        let digest = Digest::of(Algorithm::Sha256, b"content");
        for value in
            [format!("\"{digest}\""), digest.to_string(), format!("W/\"{digest}\""), format!("\"a\", \"{digest}\"")]
        {
            assert!(client_has(&request(header::IF_NONE_MATCH, &value), &digest), "{value}");
        }
        assert!(client_has(&request(header::IF_NONE_MATCH, "*"), &digest));
        assert!(!client_has(&request(header::IF_NONE_MATCH, "\"something\""), &digest));
        assert!(!client_has(&HeaderMap::new(), &digest));
    }

    #[test]
    fn a_range_of_other_content_does_not_count() {
        let digest = Digest::of(Algorithm::Sha256, b"content");
        assert!(range_counts(&HeaderMap::new(), &digest));
        assert!(range_counts(&request(header::IF_RANGE, &format!("\"{digest}\"")), &digest));
        assert!(!range_counts(&request(header::IF_RANGE, "\"other\""), &digest));
        assert!(!range_counts(&request(header::IF_RANGE, "Sat, 21 Nov 2026 09:00:00 GMT"), &digest));
        let not_text = HeaderValue::from_bytes(b"\"\xe9\"").unwrap();
        assert!(!range_counts(&HeaderMap::from_iter([(header::IF_RANGE, not_text)]), &digest));
    }
}
