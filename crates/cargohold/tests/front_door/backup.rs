//! `cargohold backup` and `cargohold restore`: yesterday's facts over today's bytes.

use std::fs;

use serde_json::Value;

use crate::{
    content::noise,
    registry::{Registry, Settings, Signal, run, serve},
    waiting::eventually,
};

/// What is deleted is swept in a while that is long enough to push something.
const SOON: Settings = &[
    ("CARGOHOLD__SWEEP__GRACE", "4s"),
    ("CARGOHOLD__SWEEP__WINDOW", "0s"),
    ("CARGOHOLD__SWEEP__KEEP", "0s"),
    ("CARGOHOLD__SWEEP__INTERVAL", "10ms"),
];

fn count(registry: &Registry) -> usize {
    registry.files("docker/registry/v2/blobs").len()
}

#[test]
fn what_a_backup_names_is_there_when_it_is_restored_and_what_came_later_is_not() {
    let registry = Registry::start_in(tempfile::tempdir().unwrap(), SOON);
    let (old, new) = (registry.named("team/old"), registry.named("team/new"));
    let manifest = old.push_image("v1");
    let upload = old.start_upload();
    upload.patch("under way").send().expect(202);
    let backup = registry.root().join("../facts.db");
    let backup = backup.to_str().unwrap();
    let said = registry.command(&["backup", backup, "--keep", "1h"]);
    assert!(said.contains("has the facts") && said.contains("kept until 20"), "{said}");
    let refused = registry.failing_command(&["backup", backup]);
    assert!(refused.contains("is there already"), "{refused}");

    old.deletes(&format!("manifests/{manifest}"));
    eventually("its blobs are swept", || {
        registry.command(&["sweep", "status"]).contains("2 objects to delete").then_some(())
    });
    old.pull(&old.layer()).expect(404);
    new.push_image("v2");
    new.push_blob(noise(1, 100_000));
    upload.put(&crate::content::digest("under way"), "").send().expect(201);

    let refused = registry.failing_command(&["restore", backup]);
    assert!(refused.contains("another cargohold uses this data folder"), "{refused}");
    registry.signal(Signal::TERM);
    registry.wait();
    let said: Value = serde_json::from_str(&registry.command(&["restore", backup, "--json"])).unwrap();
    assert_eq!((&said["blobs"], &said["missing"]), (&Value::from(2), &Value::from(0)), "{said}");
    assert!(fs::exists(said["previous"].as_str().unwrap()).unwrap());
    registry.start_again();
    old.get("manifests/v1").expect(200);
    old.pull(&old.layer()).expect(200);
    upload.status().refused(404, "BLOB_UPLOAD_UNKNOWN");
    new.get("manifests/v2").expect(404);
    assert_eq!(said["newer_files"], 4);
    assert!(count(&registry) >= 6, "the backup may be restored once more, and so may what was set aside");
    assert!(registry.command(&["fsck"]).contains("all is well"));
    new.push_image("v2");
    new.get("manifests/v2").expect(200);
}

#[test]
fn a_backup_keeps_bytes_until_it_ends() {
    let registry = Registry::start_in(tempfile::tempdir().unwrap(), SOON);
    let [before, after] = ["team/before", "team/after"].map(|name| registry.named(name));
    let digest = before.push_image("v1");
    before.deletes(&format!("manifests/{digest}"));
    eventually("its bytes are deleted", || (count(&registry) == 0).then_some(()));

    let digest = after.push_image("v1");
    registry.command(&["backup", registry.root().join("facts.db").to_str().unwrap(), "--keep", "20s"]);
    after.deletes(&format!("manifests/{digest}"));
    eventually("its bytes are discarded, and kept", || {
        registry.command(&["sweep", "status"]).contains("2 objects to delete").then_some(())
    });
    eventually("the backup has ended", || (count(&registry) == 0).then_some(()));
}

#[test]
fn what_is_no_backup_is_refused_and_nothing_changes() {
    let registry = Registry::start();
    let repository = registry.named("team/app");
    repository.push_image("v1");
    let backup = registry.root().join("facts.db");
    registry.command(&["backup", backup.to_str().unwrap()]);
    registry.signal(Signal::TERM);
    registry.wait();
    let whole = fs::read(&backup).unwrap();
    let nothing = registry.root().join("nothing.db");
    let refused = registry.failing_command(&["restore", nothing.to_str().unwrap()]);
    assert!(refused.contains("nothing.db"), "{refused}");
    for bad in [Vec::new(), b"not a database, whatever it says it is".to_vec(), whole[..whole.len() / 2].to_vec()] {
        fs::write(&backup, bad).unwrap();
        let refused = registry.failing_command(&["restore", backup.to_str().unwrap()]);
        assert!(refused.contains("backup"), "{refused}");
    }
    fs::write(&backup, whole).unwrap();
    let marker = registry.root().join("cargohold-store");
    let named = fs::read(&marker).unwrap();
    fs::write(&marker, "cargohold store 7777\n").unwrap();
    let refused = registry.failing_command(&["restore", backup.to_str().unwrap()]);
    assert!(refused.contains("does not belong to the bytes"), "{refused}");
    fs::write(&marker, named).unwrap();
    registry.start_again();
    repository.get("manifests/v1").expect(200);
}

/// Their stores look alike, and their bytes have nothing to do with each other.
#[test]
fn the_facts_of_another_registry_are_not_taken_for_its_own() {
    let [one, other] = [Registry::start(), Registry::start()];
    for registry in [&one, &other] {
        registry.named("team/app").push_image("v1");
    }
    let backup = other.root().join("facts.db");
    other.command(&["backup", backup.to_str().unwrap()]);
    one.signal(Signal::TERM);
    one.wait();
    let refused = one.failing_command(&["restore", backup.to_str().unwrap()]);
    assert!(refused.contains("does not belong to the bytes"), "{refused}");
    let facts = ["cargohold.db", "cargohold.db-wal", "cargohold.db-shm"].map(|name| one.root().join(name));
    let own = fs::read(&facts[0]).unwrap();
    let have = |content: Option<&[u8]>| {
        for file in &facts {
            drop(fs::remove_file(file));
        }
        if let Some(content) = content {
            fs::write(&facts[0], content).unwrap();
        }
    };
    // Another registry's, or none, of which a new one would be made.
    for content in [Some(&*fs::read(&backup).unwrap()), None] {
        have(content);
        let output = run(&mut serve(&one.root()));
        let refused = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && refused.contains("are not those of the bytes beside it"), "{refused}");
    }
    have(Some(&own));
    one.start_again();
    one.named("team/app").get("manifests/v1").expect(200);
    assert!(one.command(&["fsck"]).contains("all is well"));
}

#[test]
fn the_log_of_lost_facts_is_not_taken_for_the_backups() {
    let registry = Registry::start();
    let [old, new] = ["team/old", "team/new"].map(|name| registry.named(name));
    old.push_image("v1");
    let backup = registry.root().join("facts.db");
    registry.command(&["backup", backup.to_str().unwrap()]);
    new.push_image("v1");
    registry.signal(Signal::KILL);
    registry.wait();
    assert!(registry.root().join("cargohold.db-wal").metadata().unwrap().len() > 0);
    fs::remove_file(registry.root().join("cargohold.db")).unwrap();
    registry.command(&["restore", backup.to_str().unwrap()]);
    registry.start_again();
    old.get("manifests/v1").expect(200);
    new.get("manifests/v1").expect(404);
    assert!(registry.command(&["fsck"]).contains("all is well"));
}

#[test]
fn facts_that_were_set_aside_are_whole() {
    let registry = Registry::start();
    let repository = registry.named("team/app");
    let backup = registry.root().join("facts.db");
    registry.command(&["backup", backup.to_str().unwrap()]);
    repository.push_image("v1");
    registry.signal(Signal::KILL);
    registry.wait();
    let said = registry.command(&["restore", backup.to_str().unwrap(), "--json"]);
    let aside = serde_json::from_str::<Value>(&said).unwrap()["previous"].as_str().unwrap().to_owned();
    registry.start_again();
    repository.get("manifests/v1").expect(404);
    registry.signal(Signal::TERM);
    registry.wait();
    registry.command(&["restore", &aside]);
    registry.start_again();
    repository.get("manifests/v1").expect(200);
    repository.pull(&repository.layer()).expect(200);
}

#[test]
fn what_came_after_a_backup_that_has_ended_is_deleted() {
    let registry = Registry::start_in(tempfile::tempdir().unwrap(), SOON);
    let repository = registry.named("team/app");
    let backup = registry.root().join("facts.db");
    registry.command(&["backup", backup.to_str().unwrap(), "--keep", "0s"]);
    repository.push_image("v1");
    registry.signal(Signal::TERM);
    registry.wait();
    registry.command(&["restore", backup.to_str().unwrap()]);
    registry.start_again();
    eventually("it is deleted", || (count(&registry) == 0).then_some(()));
}
