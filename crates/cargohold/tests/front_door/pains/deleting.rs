//! Deleting and garbage collection.
//!
//! | complaint | here |
//! |---|---|
//! | dist#4351: collection needs a registry that is stopped or read-only | `deleting::the_sweep_runs_beside_pushes_and_pulls` |
//! | dist#1515: no way to start a collection | nothing is to be started: `deleting::the_sweep_runs_beside_pushes_and_pulls`; its progress: `management::the_sweep_says_what_holds_what` |
//! | dist#1844: are untagged manifests garbage? | `deleting::an_image_pinned_by_its_digest_outlives_its_tag`; a rule that deletes them waits for retention |
//! | dist#3178: the children of an index are collected | `deleting::the_sweep_takes_no_part_of_an_image_for_several_platforms` |
//! | dist#4461: a collection took 441 of 445 GB | `deleting::the_sweep_takes_no_part_of_an_image_for_several_platforms`, `deleting::what_was_deleted_by_mistake_comes_back_whole`; asking before much is deleted waits for retention |
//! | dist#4282: nobody can list untagged images | waits for a list of them |
//! | dist#3254, #3321, #1755, #1848, #2489, #2914, #2190: after delete and collection a push says that the layer exists, and a pull that it does not | `deleting::a_push_after_delete_and_sweep_is_whole`, `missing_bytes::a_push_heals_what_nobody_has_missed_yet` |
//! | dist#2747, #1859: no way to delete a repository or a tag | `deletes::a_deleted_tag_is_gone_and_its_manifest_stays`, `management::a_deleted_repository_is_gone_and_comes_back` |
//! | harbor#19991, #21919, #21443, #22739: collection takes days to months | a matter of size: measured, not replayed; that only candidates are read is a test of the query plans of `cargohold-metadata` |
//! | harbor#20431: a store is shrunk by copying what is used | `management::what_is_purged_is_gone_from_the_disk_in_a_moment_and_what_is_needed_stays`; usage by namespace waits for accounts |
//! | harbor#13154: no progress | `management::the_sweep_says_what_holds_what` |
//! | harbor#18701, #12948, #8835, #17538: deleting reads all tags, or a task table | a matter of size; there is no task table, and every statement is an index lookup, tested in `cargohold-metadata` |
//! | zot#4271: collection stops for good at the first missing blob | `deleting::the_sweep_goes_on_past_an_image_whose_bytes_are_lost` |
//! | zot#2598: 100 GB of uploads that nobody ends | `deleting::uploads_that_nobody_ends_are_cleared_away` |
//! | zot#2964: collection holds a lock that every client waits for | `deleting::the_sweep_runs_beside_pushes_and_pulls`; how long a request takes is measured, not asserted |
//! | zot#3086, agntcy/dir#2101: half of what is kept is about images that are gone | `deletes::a_subject_takes_its_referrers_and_the_tags_that_clients_keep_about_it` |
//! | zot, tried: an image named by digest is gone once its tag moves | `deleting::an_image_pinned_by_its_digest_outlives_its_tag` |
//! | olareg and docker-registry, tried: a kill forgets upload sessions | `deleting::every_session_outlives_a_kill` |
//! | GitLab: a clean-up policy frees a few hundred tags a day | waits for retention |
//! | clean-up actions for GHCR delete the children of images for several platforms | waits for retention; deleting the index is enough here: `deletes::an_index_takes_the_children_that_nothing_else_holds` |
//! | never again: a kill at any point of a collection loses nothing | the end-to-end suite's `kill-loop` |
//! | never again: a push that races the sweep of its blob wins | `deleting::a_push_that_races_the_sweep_of_its_blobs_wins`, and the races of `cargohold-metadata` |

use std::{fs, sync::Arc, thread};

use super::AT_ONCE;
use crate::{
    content::{IMAGE, INDEX, descriptor, digest, index, noise, note},
    registry::{Registry, Settings, Signal},
    waiting::eventually,
};

fn start() -> Arc<Registry> {
    Registry::start_in(tempfile::tempdir().unwrap(), AT_ONCE)
}

impl Registry {
    /// Waits until the sweep has come to an end: what was pushed and deleted before is gone.
    #[track_caller]
    fn sweep(self: &Arc<Self>) {
        let garbage = self.repository();
        garbage.deletes(&format!("blobs/{}", garbage.push_blob(format!("garbage of {}", garbage.name))));
        let hash = digest(format!("garbage of {}", garbage.name))["sha256:".len()..].to_owned();
        let is_there = || self.files("docker").iter().any(|file| file.to_string_lossy().contains(&hash));
        eventually("garbage is swept", || (!is_there()).then_some(()));
    }
}

#[test]
fn the_sweep_runs_beside_pushes_and_pulls() {
    let registry = start();
    let kept = registry.repository();
    kept.push_image("kept");
    thread::scope(|scope| {
        for client in 0..3 {
            let registry = &registry;
            scope.spawn(move || {
                let repository = registry.repository();
                for round in 0..20 {
                    let manifest = repository.push_manifest("v", INDEX, note(&format!("{client}, {round}")));
                    let blob = repository.push_blob(noise(100 * client + round, 50_000));
                    repository.pull(&blob).expect(200);
                    repository.deletes(&format!("blobs/{blob}"));
                    repository.deletes(&format!("manifests/{manifest}"));
                }
            });
        }
        for _ in 0..30 {
            kept.get("manifests/kept").expect(200);
            kept.pull(&kept.layer()).expect(200);
        }
    });
    eventually("only what is kept is left", || (registry.files("docker").len() == 2).then_some(()));
    kept.pull(&kept.layer()).expect(200);
    registry.command(&["fsck"]);
}

#[test]
fn an_image_pinned_by_its_digest_outlives_its_tag() {
    let registry = start();
    let repository = registry.repository();
    let pinned = repository.push_image("latest");
    repository.push_manifest("latest", INDEX, note("newer"));
    let untagged = repository.push_manifest("gone", INDEX, note("untagged"));
    repository.deletes("manifests/gone");
    // Longer than what nothing refers to is left alone.
    let other = registry.repository();
    let forgotten = other.push_blob("nothing refers to it");
    eventually("the grace is over", || (other.pull(&forgotten).status == 404).then_some(()));
    registry.sweep();
    repository.get(&format!("manifests/{pinned}")).expect(200);
    repository.pull(&repository.layer()).expect(200);
    repository.get(&format!("manifests/{untagged}")).expect(200);
}

#[test]
fn the_sweep_takes_no_part_of_an_image_for_several_platforms() {
    let registry = start();
    let repository = registry.repository();
    let (one, other) = (repository.push_parts_of_image(), note("another platform"));
    // As clients do: the children without a tag.
    repository.put(&digest(&one), IMAGE, &one).send().expect(201);
    repository.put(&digest(&other), INDEX, &other).send().expect(201);
    let all = index(&[descriptor(IMAGE, &one), descriptor(INDEX, &other)]).to_string();
    repository.push_manifest("latest", INDEX, &all);
    let mut signature = serde_json::from_slice::<serde_json::Value>(&note("a signature")).unwrap();
    signature["subject"] = descriptor(INDEX, &all);
    let signature = signature.to_string();
    repository.put(&digest(&signature), INDEX, &signature).send().expect(201);
    registry.sweep();
    for part in [one.as_slice(), &other, all.as_bytes(), signature.as_bytes()] {
        repository.get(&format!("manifests/{}", digest(part))).expect(200).brings(part);
    }
    repository.pull(&repository.layer()).expect(200);
}

#[test]
fn what_was_deleted_by_mistake_comes_back_whole() {
    let registry = Registry::start_in(tempfile::tempdir().unwrap(), &[("CARGOHOLD__SWEEP__INTERVAL", "10ms")]);
    let repository = registry.named("team/app");
    let child = repository.push_parts_of_image();
    repository.put(&digest(&child), IMAGE, &child).send().expect(201);
    let all = index(&[descriptor(IMAGE, &child)]).to_string();
    let manifest = repository.push_manifest("latest", INDEX, &all);
    repository.deletes(&format!("manifests/{manifest}"));
    repository.get(&format!("manifests/{}", digest(&child))).expect(404);
    registry.restart(Signal::KILL);
    registry.command(&["repository", "undelete", &format!("team/app@{manifest}")]);
    repository.get("manifests/latest").expect(200).brings(&all);
    repository.get(&format!("manifests/{}", digest(&child))).expect(200).brings(&child);
    repository.pull(&repository.layer()).expect(200);
}

#[test]
fn a_push_after_delete_and_sweep_is_whole() {
    let registry = start();
    let repository = registry.repository();
    for round in 0..5 {
        let manifest = repository.push_image("latest");
        let (layer, other) = (format!("blobs/{}", repository.layer()), registry.repository());
        repository.get("manifests/latest").expect(200);
        repository.deletes(&format!("manifests/{manifest}"));
        if round % 2 == 0 {
            repository.deletes(&layer);
            eventually("the bytes are swept", || (registry.files("docker").len() < 2).then_some(()));
        }
        // What a HEAD says is what a pull gets.
        let head = repository.head(&layer).status;
        assert_eq!(repository.get(&layer).status, head, "in round {round}");
        let mounted = other.post(&format!("?mount={}&from={}", repository.layer(), repository.name)).send();
        assert_eq!(mounted.status, if head == 200 { 201 } else { 202 }, "in round {round}");
    }
    repository.push_image("latest");
    repository.get("manifests/latest").expect(200);
    repository.pull(&repository.layer()).expect(200);
    registry.command(&["fsck"]);
}

#[test]
fn the_sweep_goes_on_past_an_image_whose_bytes_are_lost() {
    let registry = start();
    let (broken, other) = (registry.repository(), registry.repository());
    let manifest = broken.push_image("v1");
    for file in registry.files("docker") {
        fs::remove_file(file).unwrap();
    }
    broken.deletes(&format!("manifests/{manifest}"));
    let blob = other.push_blob("garbage");
    other.deletes(&format!("blobs/{blob}"));
    registry.sweep();
    eventually("all of it is gone", || {
        let status: serde_json::Value =
            serde_json::from_str(&registry.command(&["sweep", "status", "--json"])).unwrap();
        status["next"].as_array().is_some_and(Vec::is_empty).then_some(())
    });
    eventually("the bytes are gone too", || registry.files("docker").is_empty().then_some(()));
    registry.command(&["fsck"]);
}

#[test]
fn uploads_that_nobody_ends_are_cleared_away() {
    let settings: Settings = &[("CARGOHOLD__UPLOADS__EXPIRY", "1s"), ("CARGOHOLD__SWEEP__INTERVAL", "10ms")];
    let registry = Registry::start_in(tempfile::tempdir().unwrap(), settings);
    let repository = registry.repository();
    let sessions: Vec<_> = (0..20).map(|_| repository.start_upload()).collect();
    for session in &sessions {
        session.patch(noise(1, 100_000)).send();
    }
    eventually("their bytes are gone", || registry.files("uploads").is_empty().then_some(()));
    for session in sessions {
        eventually("the session is gone", || (session.status().status == 404).then_some(()));
    }
    registry.command(&["fsck"]);
}

#[test]
fn every_session_outlives_a_kill() {
    let registry = Registry::start();
    let repository = registry.repository();
    let sessions: Vec<_> = (0..15).map(|number| (repository.start_upload(), noise(number, 50_000))).collect();
    for (session, content) in &sessions {
        session.patch(&content[..20_000]).send().expect(202);
    }
    registry.restart(Signal::KILL);
    for (session, content) in &sessions {
        assert_eq!(session.range(), "0-19999");
        session.put(&digest(content), &content[20_000..]).send().expect(201);
        repository.pull(&digest(content)).expect(200).brings(content);
    }
}

#[test]
fn a_push_that_races_the_sweep_of_its_blobs_wins() {
    let registry = start();
    let repository = registry.repository();
    for round in 0..30 {
        let parts = repository.push_parts_of_image();
        let manifest = repository.push_manifest("latest", IMAGE, &parts);
        repository.deletes(&format!("manifests/{manifest}"));
        repository.request("DELETE", &format!("blobs/{}", repository.layer())).send();
        // While that is swept, the same is pushed.
        let again = repository.push_parts_of_image();
        repository.push_manifest("latest", IMAGE, &again);
        repository.get("manifests/latest").expect(200).brings(&again);
        assert_eq!(repository.pull(&repository.layer()).status, 200, "in round {round}");
    }
    registry.sweep();
    repository.pull(&repository.layer()).expect(200);
    registry.command(&["fsck"]);
}
