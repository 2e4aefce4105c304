//! Whether the suite is to be trusted: a registry that others wrote, whose shortcomings are known, is tested, and exactly these have to
//! be found.
//!
//! The registry is Debian's docker-registry, with deletes enabled; the findings are those of the official suite, by group.

use anyhow::Result;

use super::attempt::Setting;
use super::client::Client;
use super::outcome::{Counts, Outcome};
use super::plan;
use super::rules::{Deletes, Rules, Version};
use super::tree::Group;
use crate::e2e::docker_registry::DockerRegistry;
use crate::e2e::random::Random;
use crate::e2e::scratch::Scratch;

/// What has to be found in a group: how many tests there are, how many fail, how many are skipped.
type Finding = (&'static str, usize, usize, usize);

/// The official suite's findings on docker-registry 2.8.2 in the version dev with sparse manifests.
const FINDINGS: &[Finding] = &[
    ("ping", 1, 0, 0),
    ("empty", 2, 1, 0),
    ("sha256 blobs", 81, 4, 3),
    ("sha512 blobs", 75, 30, 7),
    ("image", 26, 0, 2),
    ("image-uncompressed", 26, 0, 2),
    ("large-manifest", 26, 0, 2),
    ("index", 51, 0, 2),
    ("nested-index", 91, 0, 2),
    ("empty-index", 11, 0, 2),
    ("artifact", 21, 0, 2),
    ("artifact-index", 36, 0, 2),
    ("artifact-without-layers", 16, 0, 2),
    ("artifacts-with-subject", 73, 7, 2),
    ("index-with-subject", 85, 6, 2),
    ("missing-subject", 20, 3, 0),
    ("data-field", 26, 0, 2),
    ("non-distributable-layers", 19, 7, 0),
    ("custom-fields", 51, 0, 2),
    ("no-layers", 16, 0, 2),
    ("sparse", 42, 13, 0),
    ("sha512", 64, 39, 6),
    ("tag-param-sha256", 66, 1, 11),
    ("tag-param-sha512", 76, 52, 6),
    ("bad-digest-image", 19, 1, 0),
    ("missing-manifest", 2, 0, 0),
    ("invalid-digest-format", 10, 2, 0),
];

/// The run against the peer.
pub(crate) fn run(scratch: &Scratch, seed: u64) -> Result<Group> {
    let folder = scratch.folder("docker-registry")?;
    let peer = DockerRegistry::start(&folder, &folder.join("data"))?;
    let setting = Setting {
        client: Client::new(peer.registry.address()),
        rules: Rules { version: Version::Dev, sparse: true, deletes: Deletes::Supported },
        repository: "conformance/target".to_owned(),
        source: "conformance/source".to_owned(),
    };
    let found = plan::carry_out("docker-registry", &setting, Random::new(seed));
    peer.stop()?;
    Ok(found)
}

/// Where the findings are not the known ones; empty if the suite is to be trusted.
pub(crate) fn differences(found: &Group) -> Vec<String> {
    compare(found, FINDINGS)
}

fn compare(found: &Group, findings: &[Finding]) -> Vec<String> {
    let unknown = found.groups().filter(|group| findings.iter().all(|(name, ..)| *name != group.name));
    let mut differences: Vec<String> =
        unknown.map(|group| format!("{}: nothing is known of this group", group.name)).collect();
    for (name, tests, failures, skips) in findings {
        let counts = found.groups().find(|group| group.name == *name).map(Group::counts).unwrap_or_default();
        let expected = told(*tests, *failures, *skips, 0);
        let received = of_counts(&counts);
        if expected != received {
            differences.push(format!("{name}: expected {expected}; found {received}"));
        }
    }
    differences
}

fn of_counts(counts: &Counts) -> String {
    let others = counts.of(Outcome::Error) + counts.of(Outcome::Disabled);
    told(counts.total(), counts.of(Outcome::Fail), counts.of(Outcome::Skip), others)
}

fn told(tests: usize, failures: usize, skips: usize, others: usize) -> String {
    format!("{tests} tests, {failures} failures, {skips} skips, {others} others")
}

#[cfg(test)]
mod tests {
    use super::super::tree::{Node, Test};
    use super::{Group, Outcome, compare};

    fn found(outcomes: &[Outcome]) -> Group {
        let tests = outcomes
            .iter()
            .map(|outcome| Node::Test(Test { name: String::new(), outcome: *outcome, story: String::new() }));
        let group = Group { name: "image".to_owned(), children: tests.collect() };
        Group { name: "run".to_owned(), children: vec![Node::Group(group)] }
    }

    #[test]
    fn the_known_findings_are_no_difference() {
        let found = found(&[Outcome::Pass, Outcome::Fail, Outcome::Skip, Outcome::Skip]);
        assert!(compare(&found, &[("image", 4, 1, 2)]).is_empty());
    }

    #[test]
    fn a_failure_too_many_or_too_few_and_another_number_of_tests_are_differences() {
        let found = found(&[Outcome::Pass, Outcome::Fail]);
        for finding in [("image", 2, 0, 0), ("image", 2, 2, 0), ("image", 3, 1, 0), ("image", 2, 1, 1)] {
            assert_eq!(compare(&found, &[finding]).len(), 1, "{finding:?}");
        }
    }

    #[test]
    fn a_failure_does_not_hide_behind_an_error() {
        assert_eq!(compare(&found(&[Outcome::Pass, Outcome::Error]), &[("image", 2, 0, 0)]).len(), 1);
    }

    #[test]
    fn a_group_that_is_missing_or_unknown_is_a_difference() {
        let found = found(&[Outcome::Pass]);
        assert_eq!(compare(&found, &[("image", 1, 0, 0), ("index", 5, 0, 0)]).len(), 1);
        assert_eq!(compare(&found, &[]), ["image: nothing is known of this group"]);
    }
}
