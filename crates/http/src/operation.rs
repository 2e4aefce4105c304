//! What a request is about, told from its method and its path: few words, so that they can tell numbers apart.
//!
//! This looks at the words of the path alone and costs next to nothing. Whether names and digests in it are right is left to
//! [`oci::Path`](cargohold_oci::Path), which decides what the request means.

use http::Method;

use crate::token;

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Operation {
    Ping,
    Catalog,
    Discover,
    Tags,
    Referrers,
    Manifest,
    Blob,
    /// Where uploads begin, and mounts.
    Uploads,
    /// An upload session.
    Upload,
    Token,
    Metrics,
    /// Anything else.
    Other,
}

/// The name of the repository in a path, as it stands there.
pub(crate) fn repository(path: &str) -> Option<&str> {
    let behind = match Operation::of(path) {
        Operation::Tags | Operation::Referrers | Operation::Manifest | Operation::Blob => 2,
        Operation::Uploads if !path.ends_with('/') => 2,
        Operation::Uploads | Operation::Upload | Operation::Discover => 3,
        _ => return None,
    };
    path.strip_prefix("/v2/")?.rsplitn(behind + 1, '/').nth(behind)
}

/// A method, as far as numbers tell methods apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Verb {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
    /// Any other word.
    Other,
}

impl Operation {
    pub(crate) const ALL: [Self; 12] = [
        Self::Ping,
        Self::Catalog,
        Self::Discover,
        Self::Tags,
        Self::Referrers,
        Self::Manifest,
        Self::Blob,
        Self::Uploads,
        Self::Upload,
        Self::Token,
        Self::Metrics,
        Self::Other,
    ];

    pub(crate) fn of(path: &str) -> Self {
        match path {
            token::PATH => return Self::Token,
            "/v2" | "/v2/" => return Self::Ping,
            "/v2/_catalog" => return Self::Catalog,
            "/metrics" => return Self::Metrics,
            _ => {}
        }
        let Some(path) = path.strip_prefix("/v2/") else { return Self::Other };
        // From the right, as the path is read: a name may have these words too.
        let mut words = path.rsplit('/');
        match (words.next(), words.next(), words.next()) {
            (Some("discover"), Some("ext"), Some("_oci")) => Self::Discover,
            (Some("list"), Some("tags"), Some(_)) => Self::Tags,
            (Some(""), Some("uploads"), Some("blobs")) | (Some("uploads"), Some("blobs"), Some(_)) => Self::Uploads,
            (Some(_), Some("uploads"), Some("blobs")) => Self::Upload,
            (Some(_), Some("blobs"), Some(_)) => Self::Blob,
            (Some(_), Some("manifests"), Some(_)) => Self::Manifest,
            (Some(_), Some("referrers"), Some(_)) => Self::Referrers,
            _ => Self::Other,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Catalog => "catalog",
            Self::Discover => "discover",
            Self::Tags => "tags",
            Self::Referrers => "referrers",
            Self::Manifest => "manifest",
            Self::Blob => "blob",
            Self::Uploads => "uploads",
            Self::Upload => "upload",
            Self::Token => "token",
            Self::Metrics => "metrics",
            Self::Other => "other",
        }
    }
}

impl Verb {
    pub(crate) const ALL: [Self; 8] =
        [Self::Get, Self::Head, Self::Post, Self::Put, Self::Patch, Self::Delete, Self::Options, Self::Other];

    pub(crate) fn of(method: &Method) -> Self {
        match *method {
            Method::GET => Self::Get,
            Method::HEAD => Self::Head,
            Method::POST => Self::Post,
            Method::PUT => Self::Put,
            Method::PATCH => Self::Patch,
            Method::DELETE => Self::Delete,
            Method::OPTIONS => Self::Options,
            _ => Self::Other,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
            Self::Other => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use cargohold_oci::Path;

    use super::*;

    #[test]
    fn a_path_is_about_what_the_registry_takes_it_for() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let upload = "01a2007c-70d2-71e6-9beb-bb89cd98ff32";
        for path in [
            "/v2/".to_owned(),
            "/v2".to_owned(),
            "/v2/_catalog".to_owned(),
            "/v2/_oci/ext/discover".to_owned(),
            "/v2/a/b/_oci/ext/discover".to_owned(),
            "/v2/a/tags/list".to_owned(),
            "/v2/tags/list/tags/list".to_owned(),
            "/v2/a/manifests/latest".to_owned(),
            "/v2/a/blobs/manifests/latest".to_owned(),
            format!("/v2/a/manifests/{digest}"),
            format!("/v2/a/blobs/{digest}"),
            format!("/v2/a/blobs/uploads/blobs/{digest}"),
            "/v2/a/blobs/uploads/".to_owned(),
            "/v2/a/blobs/uploads".to_owned(),
            format!("/v2/a/blobs/uploads/{upload}"),
            format!("/v2/a/b/referrers/{digest}"),
        ] {
            let wanted = match Path::parse(&path).unwrap() {
                Path::Ping => Operation::Ping,
                Path::Catalog => Operation::Catalog,
                Path::Discover { .. } => Operation::Discover,
                Path::Tags { .. } => Operation::Tags,
                Path::Manifest { .. } => Operation::Manifest,
                Path::Blob { .. } => Operation::Blob,
                Path::Uploads { .. } => Operation::Uploads,
                Path::Upload { .. } => Operation::Upload,
                Path::Referrers { .. } => Operation::Referrers,
            };
            assert_eq!(Operation::of(&path), wanted, "{path}");
        }
        for path in ["/", "", "*", "/v1/", "/v2/a", "/v2/a/tags", "/v2/a/tags/lists"] {
            assert_eq!(Operation::of(path), Operation::Other, "{path}");
        }
    }

    #[test]
    fn the_repository_is_what_stands_before() {
        for (path, name) in [
            ("/v2/a/b/tags/list", Some("a/b")),
            ("/v2/a/manifests/latest", Some("a")),
            ("/v2/tags/list/blobs/sha256:0", Some("tags/list")),
            ("/v2/a/blobs/uploads/", Some("a")),
            ("/v2/a/b/blobs/uploads", Some("a/b")),
            ("/v2/a/blobs/uploads/x", Some("a")),
            ("/v2/a/_oci/ext/discover", Some("a")),
            ("/v2/_oci/ext/discover", None),
            ("/v2/", None),
            ("/v2/_catalog", None),
        ] {
            assert_eq!(repository(path), name, "{path}");
        }
    }

    #[test]
    fn all_are_there_in_their_order() {
        assert!(Operation::ALL.iter().enumerate().all(|(place, operation)| *operation as usize == place));
        assert!(Verb::ALL.iter().enumerate().all(|(place, verb)| *verb as usize == place));
    }
}
