//! What is done with every data set: push, list the tags, look, read, list the referrers, delete.

pub(crate) mod delete;
mod push;
pub(crate) mod read;
pub(crate) mod referrers;
pub(crate) mod tags;

use ureq::http::Method;

use super::attempt::Attempt;
use super::client::Request;
use super::content::{Content, IMAGE_INDEX, IMAGE_MANIFEST, Manifest};
use super::run::Run;
use super::target::Target;
use crate::e2e::registry::Payload;

/// All steps; a step that fails does not keep the next ones from being tried.
pub(crate) fn all(run: &mut Run<'_>, content: &Content) {
    let mut pushed = Vec::new();
    run.group("push", |run| pushed = push::all(run, content));
    tags::expect(run, content);
    run.group("head", |run| read::all_heads(run, content));
    run.group("pull", |run| read::all(run, content));
    referrers::expect(run, content);
    delete::all(run, content, &pushed);
}

/// Where a manifest is, by tag or digest.
pub(crate) fn manifest_target(attempt: &Attempt<'_>, reference: &str) -> Target {
    attempt.target(&attempt.setting.repository, &format!("manifests/{reference}"))
}

/// A request for a manifest of the OCI types, on two lines as the header allows it.
pub(crate) fn ask(method: Method, target: Target) -> Request<'static> {
    Request::new(method, target).header("Accept", IMAGE_INDEX).header("Accept", IMAGE_MANIFEST)
}

/// A manifest's PUT, of a length that the registry is not told.
pub(crate) fn put(target: Target, manifest: &Manifest) -> Request<'_> {
    Request::new(Method::PUT, target)
        .header("Content-Type", manifest.media_type)
        .body(Payload::Chunked(&manifest.bytes))
}
