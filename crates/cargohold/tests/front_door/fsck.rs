//! `cargohold fsck`: what it finds, what it takes for the work of others, and what it puts right.

use std::{fs, path::PathBuf, sync::Arc};

use serde_json::Value;

use crate::{
    content::{digest, noise},
    registry::{Registry, Settings, Signal},
    repository::Repository,
    waiting::eventually,
};

const AT_ONCE: Settings = &[("CARGOHOLD__SWEEP__KEEP", "0s"), ("CARGOHOLD__SWEEP__INTERVAL", "10ms")];

fn start(settings: Settings) -> (Arc<Registry>, Repository) {
    let registry = Registry::start_in(tempfile::tempdir().unwrap(), settings);
    let repository = registry.named("team/app");
    repository.push_image("v1");
    (registry, repository)
}

impl Registry {
    /// What the check finds, by kind, and its exit status.
    fn fsck(&self, arguments: &[&str]) -> (Vec<String>, Option<i32>) {
        let output = self.try_command(&[&["fsck", "--json"], arguments].concat());
        let said = String::from_utf8(output.stdout).unwrap();
        assert_ne!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
        let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let (whole, problems) = lines.split_last().unwrap();
        assert_eq!(whole["problems"], problems.len());
        let mut kinds: Vec<_> = problems.iter().map(|line| line["problem"].as_str().unwrap().to_owned()).collect();
        kinds.sort();
        (kinds, output.status.code())
    }

    pub(crate) fn stop(&self) {
        self.signal(Signal::TERM);
        self.wait();
    }

    pub(crate) fn file_of(&self, digest: &str) -> PathBuf {
        let (algorithm, hash) = digest.split_once(':').unwrap();
        self.root().join(format!("docker/registry/v2/blobs/{algorithm}/{}/{hash}/data", &hash[..2]))
    }
}

#[test]
fn a_registry_in_use_is_well() {
    let (registry, repository) = start(&[]);
    let upload = repository.start_upload();
    upload.patch("half of something").send().expect(202);
    let pushing = {
        let repository = repository.clone();
        std::thread::spawn(move || {
            for number in 0..40 {
                repository.push_blob(noise(number, 200_000));
            }
        })
    };
    while !pushing.is_finished() {
        assert_eq!(registry.fsck(&[]), (vec![], Some(0)));
    }
    pushing.join().unwrap();
    let said = registry.command(&["fsck"]);
    assert!(
        said.contains("42 blobs with ")
            && said.contains("1 manifest, 1 upload under way")
            && said.contains("all is well"),
        "{said}"
    );
}

#[test]
fn what_is_wrong_is_found_and_put_right() {
    let (registry, repository) = start(AT_ONCE);
    let [lost, damaged, shorter] = ["lost", "damaged", "shorter"].map(|content| repository.push_blob(content));
    let upload = repository.start_upload();
    upload.patch("acknowledged").send().expect(202);
    fs::remove_file(registry.file_of(&lost)).unwrap();
    fs::write(registry.file_of(&damaged), "dAmaged").unwrap();
    fs::write(registry.file_of(&shorter), "short").unwrap();
    fs::write(registry.root().join("uploads").join(upload.id()), "ack").unwrap();
    let stray = registry.file_of(&digest("stray"));
    fs::create_dir_all(stray.parent().unwrap()).unwrap();
    fs::write(&stray, "stray").unwrap();

    let all = ["blob damaged", "blob damaged", "blob missing", "file unnamed", "upload truncated"].map(str::to_owned);
    assert_eq!(registry.fsck(&[]), (all.to_vec(), Some(3)));
    let quick = ["blob damaged", "blob missing", "file unnamed", "upload truncated"].map(str::to_owned);
    assert_eq!(registry.fsck(&["--quick"]), (quick.to_vec(), Some(3)), "the length is right");
    let refused = registry.failing_command(&["fsck", "--repair"]);
    assert!(refused.contains("another cargohold uses this data folder"), "{refused}");

    registry.stop();
    assert_eq!(registry.fsck(&["--repair"]), (all.to_vec(), Some(0)));
    registry.start_again();
    eventually("the stray file is deleted", || (!stray.exists()).then_some(()));
    for (digest, content) in [(&lost, "lost"), (&damaged, "damaged"), (&shorter, "shorter")] {
        repository.pull(digest).refused(404, "BLOB_UNKNOWN");
        repository.head(&format!("blobs/{digest}")).expect(404);
        repository.push_blob(content);
        repository.pull(digest).expect(200).brings(content);
    }
    upload.patch("more").send().refused(404, "BLOB_UPLOAD_UNKNOWN");
    repository.get("manifests/v1").expect(200);
    eventually("what was damaged is deleted, and all is well", || {
        (registry.fsck(&[]) == (vec![], Some(0)) && !registry.root().join("uploads").join(upload.id()).exists())
            .then_some(())
    });
}

#[test]
fn bytes_that_are_found_again_are_live_again() {
    let (registry, repository) = start(&[]);
    let blob = repository.push_blob("moved away");
    let (file, away) = (registry.file_of(&blob), registry.root().join("away"));
    fs::rename(&file, &away).unwrap();
    repository.pull(&blob).refused(404, "BLOB_UNKNOWN");
    assert_eq!(registry.fsck(&[]), (vec![], Some(0)), "it is known to be missing");
    let said = registry.command(&["fsck"]);
    assert!(said.contains("nothing new\n1 blob is marked as missing") && !said.contains("all is well"), "{said}");
    fs::rename(&away, &file).unwrap();
    assert_eq!(registry.fsck(&[]), (vec!["blob found".to_owned()], Some(3)));
    registry.stop();
    registry.fsck(&["--repair"]);
    registry.start_again();
    repository.pull(&blob).expect(200).brings("moved away");
    assert!(registry.command(&["fsck"]).contains("all is well"));
}

/// Only a backup of the facts has the bytes of a manifest.
#[test]
fn what_cannot_be_put_right_is_not_said_to_be() {
    let (registry, repository) = start(&[]);
    let manifest = repository.push_image("v1");
    registry.stop();
    let database = registry.root().join("cargohold.db");
    registry.command(&["sweep", "status"]);
    let facts = fs::read(&database).unwrap();
    let part = repository.layer();
    let at =
        facts.windows(part.len()).position(|bytes| bytes == part.as_bytes()).expect("the manifest's bytes are in it");
    let mut damaged = facts;
    // Still text of the same length, and another one.
    damaged[at + part.len() - 1] ^= 1;
    fs::write(&database, damaged).unwrap();
    for arguments in [&[][..], &["--repair"], &["--repair"]] {
        assert_eq!(registry.fsck(arguments), (vec!["manifest damaged".to_owned()], Some(3)), "{manifest}");
    }
    let output = registry.try_command(&["fsck", "--repair"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("1 problem\nno repair puts it right"), "{said}");
}

#[test]
fn the_scrub_finds_what_is_damaged_before_somebody_needs_it() {
    let (registry, repository) = start(&[("CARGOHOLD__SCRUB__EVERY", "1ms"), ("CARGOHOLD__SWEEP__INTERVAL", "10ms")]);
    let blob = repository.push_blob("whole");
    fs::write(registry.file_of(&blob), "wrong").unwrap();
    eventually("readers are told", || (repository.head(&format!("blobs/{blob}")).status == 404).then_some(()));
    eventually("and so is the operator", || registry.log().contains("marked as missing").then_some(()));
    repository.push_blob("whole");
    repository.pull(&blob).expect(200).brings("whole");
    repository.pull(&repository.layer()).expect(200);
}
