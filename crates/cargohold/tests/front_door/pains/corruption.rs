//! Corruption and crash safety.
//!
//! | complaint | here |
//! |---|---|
//! | dist#4489: empty manifests and links after a power loss | the tests of `power_loss`, and the end-to-end suite's `durability` |
//! | dist#2188: a truncated blob is served as good | `corruption::a_truncated_blob_is_never_served`, `missing_bytes::a_file_that_was_cut_is_as_good_as_gone` |
//! | zot#2625, #2910: the one copy that others share is deleted with its repository, and a new push cannot be pulled | `corruption::a_blob_that_others_share_outlives_the_repository_that_brought_it` |
//! | zot#3963: a full disk damages the index of a repository | the end-to-end suite's `full-disk`, the tests of `failing_disk`, `settings::on_a_disk_that_is_as_full_as_it_may_become_nothing_is_pushed_and_the_rest_goes_on` |
//! | zot#4337: two replicas overwrite each other's index | `corruption::pushes_at_once_lose_none_of_their_tags`; replicas wait for several machines |
//! | zot#2591: keys are lost at a restart | waits for accounts; what is there outlives it: `restart::an_image_outlives_the_process` |
//! | google/go-containerregistry#2124: a client sees digests that do not match | `corruption::what_a_digest_names_has_that_digest_while_tags_move`, `writers::readers_and_writers_of_one_tag_see_whole_manifests` |
//! | harbor: a backup that fits together needs a read-only registry | `corruption::a_backup_is_taken_beside_pushes_and_fits_together` |
//! | never again: a check, and a scrub all the time; a broken blob heals | `corruption::a_blob_that_rots_is_found_and_healed_by_the_next_push`, `fsck::what_is_wrong_is_found_and_put_right` |

use std::{
    fs,
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use super::AT_ONCE;
use crate::{
    content::{IMAGE, INDEX, digest, noise, note},
    registry::{Registry, Signal},
    waiting::eventually,
};

/// The file of the one blob that is there.
fn only_file(registry: &Registry) -> PathBuf {
    match registry.files("docker").as_slice() {
        [file] => file.clone(),
        files => panic!("{files:?}"),
    }
}

#[test]
fn a_truncated_blob_is_never_served() {
    let registry = Registry::start_in(tempfile::tempdir().unwrap(), AT_ONCE);
    let repository = registry.repository();
    let content = noise(81, 1 << 20);
    for length in [0, 1, content.len() - 1] {
        let blob = repository.push_blob(&content);
        fs::File::options().write(true).open(only_file(&registry)).unwrap().set_len(length as u64).unwrap();
        repository.pull(&blob).refused(404, "BLOB_UNKNOWN");
        repository.head(&format!("blobs/{blob}")).expect(404);
        repository.pull_range(&blob, "bytes=0-0").expect(404);
        repository.push_blob(&content);
        repository.pull(&blob).expect(200).brings(&content);
        repository.deletes(&format!("blobs/{blob}"));
        eventually("it is gone", || registry.files("docker").is_empty().then_some(()));
    }
}

#[test]
fn a_blob_that_others_share_outlives_the_repository_that_brought_it() {
    let registry = Registry::start_in(tempfile::tempdir().unwrap(), AT_ONCE);
    let (first, other, third) = (registry.repository(), registry.repository(), registry.repository());
    let manifest = first.push_parts_of_image();
    first.push_manifest("v1", IMAGE, &manifest);
    let config = serde_json::from_slice::<serde_json::Value>(&manifest).unwrap()["config"]["digest"].clone();
    for blob in [config.as_str().unwrap(), &first.layer()] {
        other.post(&format!("?mount={blob}&from={}", first.name)).send().expect(201);
    }
    other.push_manifest("v1", IMAGE, &manifest);
    registry.command(&["repository", "delete", &first.name]);
    // Nothing is to be purged: without windows the sweep takes it at once.
    eventually("it is swept", || {
        (first.request("GET", "tags/list").send().status == 404
            && registry.command(&["sweep", "status", "--json"]).contains("\"next\": []"))
        .then_some(())
    });
    other.get("manifests/v1").expect(200);
    other.pull(&first.layer()).expect(200).brings(format!("layer of {}", first.name));
    assert_eq!(registry.files("docker").len(), 2, "kept once");
    let layer = third.push_blob(format!("layer of {}", first.name));
    third.pull(&layer).expect(200).brings(format!("layer of {}", first.name));
    registry.command(&["fsck"]);
}

#[test]
fn pushes_at_once_lose_none_of_their_tags() {
    let registry = Registry::start();
    let repository = registry.repository();
    thread::scope(|scope| {
        for client in 0..8 {
            let repository = &repository;
            scope.spawn(move || {
                for number in 0..10 {
                    let tag = format!("t{client}-{number}");
                    repository.push_manifest(&tag, INDEX, note(&tag));
                }
            });
        }
    });
    registry.restart(Signal::KILL);
    assert_eq!(repository.tags().len(), 80);
    for tag in repository.tags() {
        repository.get(&format!("manifests/{tag}")).expect(200).brings(note(&tag));
    }
}

#[test]
fn what_a_digest_names_has_that_digest_while_tags_move() {
    let registry = Registry::start();
    let repository = registry.repository();
    repository.push_manifest("latest", INDEX, note("0"));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1..60 {
                repository.push_manifest("latest", INDEX, note(&number.to_string()));
            }
            done.store(true, Ordering::Relaxed);
        });
        while !done.load(Ordering::Relaxed) {
            let tagged = repository.get("manifests/latest").expect(200);
            let named = tagged.header("Docker-Content-Digest").unwrap().to_owned();
            assert_eq!(named, digest(&tagged.body));
            repository.get(&format!("manifests/{named}")).expect(200).brings(&tagged.body);
        }
    });
}

#[test]
fn a_backup_is_taken_beside_pushes_and_fits_together() {
    let registry = Registry::start();
    let repository = registry.repository();
    repository.push_image("before");
    let backup = registry.root().join("../facts.db");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let pushing = scope.spawn(|| {
            let mut number = 0;
            while !done.load(Ordering::Relaxed) {
                number += 1;
                repository.push_blob(noise(number, 20_000));
                repository.push_manifest(&format!("t{number}"), INDEX, note(&number.to_string()));
            }
            number
        });
        registry.command(&["backup", backup.to_str().unwrap(), "--keep", "1h"]);
        done.store(true, Ordering::Relaxed);
        assert!(pushing.join().unwrap() > 0, "pushes went on");
    });
    registry.signal(Signal::TERM);
    registry.wait();
    registry.command(&["restore", backup.to_str().unwrap()]);
    registry.start_again();
    repository.get("manifests/before").expect(200);
    repository.pull(&repository.layer()).expect(200);
    for tag in repository.tags() {
        repository.get(&format!("manifests/{tag}")).expect(200);
    }
    registry.command(&["fsck"]);
}

#[test]
fn a_blob_that_rots_is_found_and_healed_by_the_next_push() {
    let settings = &[("CARGOHOLD__SCRUB__EVERY", "1s"), ("CARGOHOLD__SWEEP__INTERVAL", "10ms")];
    let registry = Registry::start_in(tempfile::tempdir().unwrap(), settings);
    let repository = registry.repository();
    let content = noise(82, 300_000);
    let blob = repository.push_blob(&content);
    let file = fs::File::options().write(true).open(only_file(&registry)).unwrap();
    file.write_all_at(&[!content[1000]], 1000).unwrap();
    eventually("the scrub finds it", || (repository.head(&format!("blobs/{blob}")).status == 404).then_some(()));
    repository.pull(&blob).refused(404, "BLOB_UNKNOWN");
    repository.push_blob(&content);
    repository.pull(&blob).expect(200).brings(&content);
    registry.command(&["fsck"]);
}
