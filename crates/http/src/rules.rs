//! What clients may do at all, whoever they are.

use cargohold_oci::Path;
use http::Method;

use crate::error::ApiError;

/// What is switched off for everybody but the operator's own commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Whether tags, manifests and blobs may be deleted.
    pub deletes: bool,
    /// Whether nothing may be changed at all.
    pub read_only: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self { deletes: true, read_only: false }
    }
}

impl Rules {
    /// Whether a request is let through, by what it is about to do.
    pub(crate) fn check(self, path: &Path, method: &Method) -> Result<(), ApiError> {
        let deletes = *method == Method::DELETE && !matches!(path, Path::Upload { .. });
        let safe = method.is_safe() || *method == Method::OPTIONS;
        if self.read_only && !safe {
            let message =
                "this registry can only be read at present: its operator has set storage.maintenance.readonly";
            return Err(ApiError::switched_off(message, allowed_when_read_only(path)));
        }
        if deletes && !self.deletes {
            let message = "deletions are switched off: the operator of this registry can set storage.delete.enabled";
            return Err(ApiError::switched_off(message, allowed_without_deletes(path)));
        }
        Ok(())
    }
}

fn allowed_when_read_only(path: &Path) -> &'static str {
    if matches!(path, Path::Uploads { .. }) { "" } else { "GET, HEAD" }
}

fn allowed_without_deletes(path: &Path) -> &'static str {
    if matches!(path, Path::Manifest { .. }) { "GET, HEAD, PUT" } else { "GET, HEAD" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(rules: Rules, method: &Method, path: &str) -> bool {
        rules.check(&Path::parse(path).unwrap(), method).is_ok()
    }

    #[test]
    fn without_deletes_uploads_can_still_be_cancelled() {
        let rules = Rules { deletes: false, ..Rules::default() };
        let upload = "/v2/a/blobs/uploads/00000000-0000-7000-8000-000000000000";
        assert!(passes(rules, &Method::DELETE, upload) && passes(rules, &Method::PUT, "/v2/a/manifests/x"));
        assert!(!passes(rules, &Method::DELETE, "/v2/a/manifests/x"));
        assert!(passes(Rules::default(), &Method::DELETE, "/v2/a/manifests/x"));
    }

    #[test]
    fn read_only_lets_nothing_through_that_changes_something() {
        let rules = Rules { read_only: true, ..Rules::default() };
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            assert!(!passes(rules, &method, "/v2/a/manifests/x"), "{method}");
        }
        assert!(passes(rules, &Method::GET, "/v2/a/manifests/x") && passes(rules, &Method::HEAD, "/v2/"));
    }
}
