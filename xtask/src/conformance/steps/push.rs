//! Pushing a data set: its blobs in whichever way works, each manifest by its digest, then the tags that are not there yet.

use ureq::http::Method;

use super::super::attempt::{Attempt, Trouble, follow};
use super::super::content::{Content, Manifest};
use super::super::expectation::Expectation;
use super::super::run::Run;
use super::super::target::Target;
use super::{ask, manifest_target, put};

/// Pushes everything and tells which tags the registry has then taken.
pub(super) fn all<'a>(run: &mut Run<'_>, content: &'a Content) -> Vec<&'a str> {
    for blob in &content.blobs {
        run.upload_somehow(&run.setting.repository, blob);
    }
    let mut pushed: Vec<&str> = Vec::new();
    for (place, manifest) in content.manifests.iter().enumerate() {
        let tags: Vec<&str> = if content.tag_parameters { content.tags_of(place).collect() } else { Vec::new() };
        let _ = run.test("PUT manifest by digest", |attempt| by_digest(attempt, manifest, &tags, &mut pushed));
    }
    for (tag, place) in &content.tags {
        if pushed.contains(&tag.as_str()) {
            continue;
        }
        let manifest = &content.manifests[*place];
        let end = run.test("PUT manifest by tag", |attempt| {
            let target = manifest_target(attempt, tag);
            store(attempt, &target, manifest).map(drop)
        });
        if end.is_ok() {
            pushed.push(tag);
        }
    }
    pushed
}

/// Puts a manifest with all `tags`, and notes those that were taken.
fn by_digest<'a>(
    attempt: &mut Attempt<'_>,
    manifest: &Manifest,
    tags: &[&'a str],
    pushed: &mut Vec<&'a str>,
) -> Result<(), Trouble> {
    let target = tags.iter().fold(manifest_target(attempt, &manifest.digest), |target, tag| target.with("tag", tag));
    let told = store(attempt, &target, manifest)?;
    let (taken, left): (Vec<&str>, Vec<&str>) = tags.iter().partition(|tag| told.iter().any(|told| told == *tag));
    pushed.extend(taken);
    if left.is_empty() {
        return Ok(());
    }
    Err(Trouble::Unsupported(format!("OCI-Tag does not name {}", left.join(", "))))
}

/// Puts a manifest and looks at what `Location` serves; one that is not honest has to be refused. Tells the items of `OCI-Tag`.
fn store(attempt: &mut Attempt<'_>, target: &Target, manifest: &Manifest) -> Result<Vec<String>, Trouble> {
    let request = put(target.clone(), manifest);
    if !manifest.honest {
        return attempt.send(&request, &[Expectation::Status(&[400])]).map(|_| Vec::new());
    }
    // No version demands the digest's header here, but where it is there it has to be right.
    let mut expectations =
        vec![Expectation::Status(&[201]), Expectation::Digest { digest: &manifest.digest, required: false }];
    if let (Some(subject), true) = (&manifest.subject, attempt.rules().referrers()) {
        expectations.push(Expectation::Header("OCI-Subject", subject.clone()));
    }
    let answer = attempt.send(&request, &expectations)?;
    let place = follow(target, &answer)?;
    attempt.send(
        &ask(Method::GET, place),
        &[
            Expectation::Status(&[200]),
            Expectation::Header("Content-Type", manifest.media_type.to_owned()),
            Expectation::length(&manifest.bytes),
            Expectation::Body(&manifest.bytes),
        ],
    )?;
    Ok(answer.header_items("OCI-Tag").map(str::to_owned).collect())
}
