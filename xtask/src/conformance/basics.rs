//! What needs no content of its own: that the registry is there, that it knows what it does not have, and that it knows digests.

use ureq::http::Method;

use super::attempt::Attempt;
use super::client::Request;
use super::content::{Algorithm, Content, Layers, Manifest, Picture};
use super::expectation::Expectation;
use super::outcome::Outcome;
use super::run::Run;
use super::steps::{self, referrers, tags};
use super::target::Target;
use crate::e2e::random::Random;

/// A known algorithm, and something behind it that is no hash.
const NO_DIGEST: &str = "sha256:not-a-hash";

pub(crate) fn ping(run: &mut Run<'_>) {
    run.group("ping", |run| {
        // Any answer will do: which one it is depends on who asks.
        let _ = run.test("GET /v2/", |attempt| {
            attempt.send(&Request::new(Method::GET, attempt.setting.client.target("/v2/")), &[])
        });
    });
}

/// The repository has not been pushed to.
pub(crate) fn empty(run: &mut Run<'_>) {
    let subject = random_digest(&mut run.random);
    run.group("empty", |run| {
        let _ = run.test("tags", |attempt| tags::list(attempt, None));
        if run.setting.rules.referrers() {
            let _ = run.test("referrers", |attempt| referrers::list(attempt, &subject, None));
        } else {
            run.record("referrers", Outcome::Disabled, "");
        }
    });
}

pub(crate) fn missing_manifest(run: &mut Run<'_>) {
    let digest = random_digest(&mut run.random);
    let tag = format!("missing-{:016x}", run.random.next());
    run.group("missing-manifest", |run| {
        for (name, reference) in [("by digest", digest), ("by tag", tag)] {
            let _ = run.test(name, |attempt| {
                let target = steps::manifest_target(attempt, &reference);
                attempt.send(&steps::ask(Method::GET, target), &[Expectation::Status(&[404])])
            });
        }
    });
}

/// A manifest that would be welcome, under a digest that is none.
pub(crate) fn invalid_digest(run: &mut Run<'_>) {
    let mut content = Content::new(Algorithm::Sha256, Random::new(run.random.next()));
    let image = content.image(&Picture { layers: Layers::One, ..Picture::default() }, "amd64");
    run.group("invalid-digest-format", |run| {
        for blob in &content.blobs {
            run.upload_somehow(&run.setting.repository, blob);
        }
        let manifest: &Manifest = &content.manifests[image];
        let target = |attempt: &Attempt<'_>| -> Target { steps::manifest_target(attempt, NO_DIGEST) };
        let _ = run.test("PUT", |attempt| {
            attempt.send(&steps::put(target(attempt), manifest), &[Expectation::Status(&[400])])
        });
        let _ = run.test("GET", |attempt| {
            attempt.send(&steps::ask(Method::GET, target(attempt)), &[Expectation::Status(&[404, 400])])
        });
        steps::delete::all(run, &content, &[]);
    });
}

fn random_digest(random: &mut Random) -> String {
    Algorithm::Sha256.digest(&random.bytes(32))
}
