//! Deleting what was pushed, and that it is gone at once.
//!
//! Each deletion is two tests: the DELETE, and the HEAD that finds nothing after it. A DELETE that did not work makes the second a skip.

use ureq::http::Method;

use super::super::attempt::{Attempt, Trouble};
use super::super::client::Request;
use super::super::content::{Blob, Content};
use super::super::expectation::Expectation;
use super::super::outcome::Outcome;
use super::super::rules::Deletes;
use super::super::run::Run;
use super::super::target::Target;
use super::{ask, manifest_target};

/// What a registry may answer that does not delete this kind of thing.
const MANIFEST_REFUSALS: &[u16] = &[400, 405];
const BLOB_REFUSALS: &[u16] = &[405];

/// The tags that were pushed, the manifests in the reverse of the order in which they were pushed, the blobs.
pub(crate) fn all(run: &mut Run<'_>, content: &Content, pushed_tags: &[&str]) {
    run.group("delete", |run| {
        for tag in pushed_tags {
            delete(run, "tag", MANIFEST_REFUSALS, |attempt| manifest_target(attempt, tag));
        }
        for manifest in content.manifests.iter().rev() {
            delete(run, "manifest", MANIFEST_REFUSALS, |attempt| manifest_target(attempt, &manifest.digest));
        }
        for stored in &content.blobs {
            blob(run, &run.setting.repository, stored);
        }
    });
}

pub(crate) fn blob(run: &mut Run<'_>, repository: &str, blob: &Blob) {
    let path = format!("blobs/{}", blob.digest);
    delete(run, "blob", BLOB_REFUSALS, |attempt| attempt.target(repository, &path));
}

fn delete(run: &mut Run<'_>, what: &str, refusals: &[u16], target: impl Fn(&Attempt<'_>) -> Target) {
    let name = format!("DELETE {what}");
    if run.setting.rules.deletes == Deletes::Off {
        return run.record(&name, Outcome::Disabled, "");
    }
    let gone = format!("{what} is gone");
    match run.test(&name, |attempt| ask_to_delete(attempt, refusals, target(attempt))) {
        Ok(()) => {
            let _ = run.test(&gone, |attempt| {
                attempt.send(&ask(Method::HEAD, target(attempt)), &[Expectation::Status(&[404])])
            });
        }
        Err(_) => run.record(&gone, Outcome::Skip, "it was not deleted\n"),
    }
}

/// What is not there counts as deleted.
fn ask_to_delete(attempt: &mut Attempt<'_>, refusals: &[u16], target: Target) -> Result<(), Trouble> {
    let mut allowed = vec![202, 404];
    if attempt.rules().deletes == Deletes::Supported {
        allowed.extend_from_slice(refusals);
    }
    let answer = attempt.send(&Request::new(Method::DELETE, target), &[Expectation::Status(&allowed)])?;
    if refusals.contains(&answer.status()) {
        return Err(Trouble::Unsupported(format!("the registry does not delete this: {}", answer.status())));
    }
    Ok(())
}
