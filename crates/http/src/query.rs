//! The query of a request. What nobody knows in it is ignored.

use std::borrow::Cow;

/// A query, still encoded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<'r>(&'r str);

impl<'r> Query<'r> {
    pub(crate) fn of(uri: &'r http::Uri) -> Self {
        Self(uri.query().unwrap_or_default())
    }

    /// The first value of a parameter, decoded.
    pub(crate) fn first(self, name: &str) -> Option<Cow<'r, str>> {
        form_urlencoded::parse(self.0.as_bytes()).find_map(|(key, value)| (key == name).then_some(value))
    }
}
