//! Where a request goes, and where a `Location` leads from there (RFC 3986, section 5).

use ureq::http::Uri;

/// A URL of a registry that speaks plain HTTP, taken apart as far as the suite needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    authority: String,
    path: String,
    /// Without the question mark; empty if there is none.
    query: String,
}

/// A `Location` that leads nowhere.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TargetError {
    #[error("`{0}` is no URL")]
    Malformed(String),
    #[error("`{0}` is not plain http://, which is all that this suite speaks")]
    Scheme(String),
}

impl Target {
    /// A path of the registry at `host:port`.
    pub(crate) fn new(authority: &str, path: &str) -> Self {
        Self { authority: authority.to_owned(), path: path.to_owned(), query: String::new() }
    }

    /// What `location` means in an answer to a request that went here.
    pub(crate) fn resolve(&self, location: &str) -> Result<Self, TargetError> {
        let malformed = || TargetError::Malformed(location.to_owned());
        let absolute = if location.starts_with("//") {
            format!("http:{location}")
        } else if location.starts_with('/') {
            format!("http://{}{location}", self.authority)
        } else if location.starts_with('?') {
            format!("http://{}{}{location}", self.authority, self.path)
        } else if location.split(['/', '?']).next().is_some_and(|first| first.contains(':')) {
            location.to_owned()
        } else {
            let folder = self.path.rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("http://{}{folder}/{location}", self.authority)
        };
        let uri: Uri = absolute.parse().map_err(|_| malformed())?;
        if uri.scheme_str() != Some("http") {
            return Err(TargetError::Scheme(location.to_owned()));
        }
        Ok(Self {
            authority: uri.authority().ok_or_else(malformed)?.to_string(),
            path: uri.path().to_owned(),
            query: uri.query().unwrap_or_default().to_owned(),
        })
    }

    /// The same with one more parameter. All of them are sorted and encoded anew, as many clients do it.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut parameters: Vec<(String, String)> =
            form_urlencoded::parse(self.query.as_bytes()).into_owned().collect();
        parameters.push((name.to_owned(), value.to_owned()));
        // Stable: several values of one name keep their order.
        parameters.sort_by(|one, other| one.0.cmp(&other.0));
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        Self { query, ..self.clone() }
    }

    pub(crate) fn path_and_query(&self) -> String {
        if self.query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, self.query) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}{}", self.authority, self.path_and_query())
    }
}

#[cfg(test)]
mod tests {
    use super::{Target, TargetError};

    fn resolved(location: &str) -> String {
        let asked = Target::new("127.0.0.1:5000", "/v2/a/blobs/uploads/").with("mount", "x");
        asked.resolve(location).unwrap().url()
    }

    #[test]
    fn a_location_is_resolved_against_the_request() {
        assert_eq!(resolved("/v2/a/blobs/uploads/1?state=x"), "http://127.0.0.1:5000/v2/a/blobs/uploads/1?state=x");
        assert_eq!(resolved("http://other:1/v2/b"), "http://other:1/v2/b");
        assert_eq!(resolved("//other:1/v2/b"), "http://other:1/v2/b");
        assert_eq!(resolved("7?s=1"), "http://127.0.0.1:5000/v2/a/blobs/uploads/7?s=1");
        assert_eq!(resolved("?s=1"), "http://127.0.0.1:5000/v2/a/blobs/uploads/?s=1");
    }

    #[test]
    fn a_location_that_cannot_be_followed_is_an_error() {
        let asked = Target::new("127.0.0.1:5000", "/v2/");
        assert_eq!(asked.resolve("https://a/b"), Err(TargetError::Scheme("https://a/b".to_owned())));
        assert_eq!(asked.resolve("/a b"), Err(TargetError::Malformed("/a b".to_owned())));
    }

    #[test]
    fn parameters_are_sorted_and_encoded_anew() {
        let session = Target::new("h", "/").resolve("/u?state=a%2Fb&amount=3").unwrap();
        assert_eq!(session.with("digest", "sha256:0").path_and_query(), "/u?amount=3&digest=sha256%3A0&state=a%2Fb");
        let tags = Target::new("h", "/m").with("tag", "b").with("tag", "a");
        assert_eq!(tags.path_and_query(), "/m?tag=b&tag=a");
    }
}
