//! Looking at what was pushed (HEAD) and reading it (GET).

use ureq::http::Method;

use super::super::attempt::{Attempt, Trouble};
use super::super::client::Request;
use super::super::content::{Blob, Content, Manifest};
use super::super::expectation::Expectation;
use super::super::run::Run;
use super::{ask, manifest_target};

pub(super) fn all_heads(run: &mut Run<'_>, content: &Content) {
    each_manifest(run, content, &Method::HEAD);
    content.blobs.iter().for_each(|blob| blob_head(run, blob));
}

pub(super) fn all(run: &mut Run<'_>, content: &Content) {
    each_manifest(run, content, &Method::GET);
    content.blobs.iter().for_each(|stored| blob(run, stored));
}

pub(crate) fn blob_head(run: &mut Run<'_>, blob: &Blob) {
    let _ = run.test("HEAD blob", |attempt| read_blob(attempt, Method::HEAD, blob));
}

pub(crate) fn blob(run: &mut Run<'_>, blob: &Blob) {
    let _ = run.test("GET blob", |attempt| read_blob(attempt, Method::GET, blob));
}

/// By tag and by digest. What was refused is not there to be read.
fn each_manifest(run: &mut Run<'_>, content: &Content, method: &Method) {
    for (tag, place) in &content.tags {
        let name = format!("{method} manifest by tag");
        let manifest = &content.manifests[*place];
        let _ = run.test(&name, |attempt| read_manifest(attempt, method.clone(), tag, manifest));
    }
    for manifest in content.manifests.iter().filter(|manifest| manifest.honest) {
        let name = format!("{method} manifest by digest");
        let _ = run.test(&name, |attempt| read_manifest(attempt, method.clone(), &manifest.digest, manifest));
    }
}

fn read_blob(attempt: &mut Attempt<'_>, method: Method, blob: &Blob) -> Result<(), Trouble> {
    let target = attempt.target(&attempt.setting.repository, &format!("blobs/{}", blob.digest));
    let expectations = [
        Expectation::Status(&[200]),
        Expectation::length(&blob.bytes),
        Expectation::Digest { digest: &blob.digest, required: attempt.rules().digest_header() },
        Expectation::Body(body_of(&method, &blob.bytes)),
    ];
    attempt.send(&Request::new(method, target), &expectations).map(drop)
}

fn read_manifest(
    attempt: &mut Attempt<'_>,
    method: Method,
    reference: &str,
    manifest: &Manifest,
) -> Result<(), Trouble> {
    let target = manifest_target(attempt, reference);
    let expectations = [
        Expectation::Status(&[200]),
        Expectation::Header("Content-Type", manifest.media_type.to_owned()),
        Expectation::length(&manifest.bytes),
        Expectation::Digest { digest: &manifest.digest, required: attempt.rules().digest_header() },
        Expectation::Body(body_of(&method, &manifest.bytes)),
    ];
    attempt.send(&ask(method, target), &expectations).map(drop)
}

fn body_of<'a>(method: &Method, bytes: &'a [u8]) -> &'a [u8] {
    if *method == Method::HEAD { b"" } else { bytes }
}
