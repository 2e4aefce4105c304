//! What was acknowledged is there after the process ended, however it ended.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use crate::{
    content::{IMAGE, INDEX, digest, digest_by, noise, note},
    registry::{Registry, Signal},
    waiting::eventually,
};

const ENDS: [Signal; 2] = [Signal::TERM, Signal::KILL];

#[test]
fn an_image_outlives_the_process() {
    for end in ENDS {
        let registry = Registry::start();
        let repository = registry.repository();
        let (layer, manifest) = (noise(51, 2_000_000), repository.push_parts_of_image());
        let blob = repository.push_blob(&layer);
        let named = repository.push_manifest("v1", IMAGE, &manifest);
        registry.restart(end);
        repository.pull(&blob).expect(200).brings(&layer);
        repository
            .get("manifests/v1")
            .expect(200)
            .with("Content-Type", IMAGE)
            .with("Docker-Content-Digest", &named)
            .brings(&manifest);
        assert_eq!(repository.get("tags/list").json()["tags"], serde_json::json!(["v1"]));
        repository.push_manifest("v2", INDEX, note("goes on"));
    }
}

#[test]
fn a_session_outlives_the_process() {
    for (end, algorithm) in ENDS.into_iter().zip(["sha256", "sha512"]) {
        let registry = Registry::start();
        let repository = registry.repository();
        let (content, upload) = (noise(52, 2_000_000), repository.start_upload());
        upload.patch(&content[..1_500_001]).send().expect(202);
        registry.restart(end);
        upload.status().expect(204).with("Range", "0-1500000");
        upload.chunk(1_500_001, &content[1_500_001..1_600_000]).send().expect(202).with("Range", "0-1599999");
        registry.restart(end);
        let blob = digest_by(algorithm, &content);
        upload.put(&blob, &content[1_600_000..]).send().expect(201);
        repository.pull(&blob).expect(200).brings(&content);
    }
}

#[test]
fn bytes_that_were_not_acknowledged_do_not_count_after_a_crash() {
    let registry = Registry::start();
    let repository = registry.repository();
    let (content, upload) = (noise(53, 4 << 20), repository.start_upload());
    upload.patch(&content[..1000]).send().expect(202);
    let mut wire = registry.connect();
    wire.begin("PATCH", &upload.location, &[("Transfer-Encoding", "chunked")]);
    wire.send_chunk(&noise(54, 3 << 20));
    let staged = || registry.files("uploads").iter().any(|file| file.metadata().is_ok_and(|file| file.len() > 1000));
    eventually("more is staged than was acknowledged", || staged().then_some(()));
    registry.restart(Signal::KILL);
    assert_eq!(upload.range(), "0-999");
    upload.chunk(1000, &content[1000..]).send().expect(202);
    upload.put(&digest(&content), "").send().expect(201);
    repository.pull(&digest(&content)).expect(200).brings(&content);
}

#[test]
fn a_crash_in_the_midst_of_pushes_loses_nothing_that_was_acknowledged() {
    let registry = Registry::start();
    let repository = registry.repository();
    let content = |n: u64| noise(n, 1000 + usize::try_from(n).unwrap() * 37 % 5000);
    let (next, stopping, acknowledged) = (AtomicU64::new(0), AtomicBool::new(false), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stopping.load(Ordering::SeqCst) {
                    let n = next.fetch_add(1, Ordering::SeqCst);
                    let post = repository.post(&format!("?digest={}", digest(content(n)))).body(content(n));
                    if post.try_send().is_ok_and(|answer| answer.status == 201) {
                        acknowledged.lock().unwrap().push(n);
                    }
                }
            });
        }
        eventually("some pushes were acknowledged", || (acknowledged.lock().unwrap().len() >= 40).then_some(()));
        registry.signal(Signal::KILL);
        stopping.store(true, Ordering::SeqCst);
    });
    registry.restart(Signal::KILL);
    for n in acknowledged.into_inner().unwrap() {
        repository.pull(&digest(content(n))).expect(200).brings(content(n));
    }
    for n in 0..next.into_inner() {
        repository.push_blob(content(n));
        repository.pull(&digest(content(n))).expect(200).brings(content(n));
    }
}

#[test]
fn what_was_cancelled_is_gone_after_a_crash_too() {
    let registry = Registry::start();
    let upload = registry.repository().start_upload();
    upload.patch(noise(55, 2_000_000)).send().expect(202);
    upload.request("DELETE").send().expect(204);
    registry.restart(Signal::KILL);
    upload.status().refused(404, "BLOB_UPLOAD_UNKNOWN");
    eventually("the staged bytes are gone", || registry.files("uploads").is_empty().then_some(()));
}

#[test]
fn a_folder_may_be_moved() {
    let registry = Registry::start();
    let blob = registry.repository().push_blob("moves");
    registry.signal(Signal::TERM);
    registry.wait();
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::rename(registry.root(), elsewhere.path().join("data")).unwrap();
    let moved = Registry::start_in(elsewhere, &[]);
    let files = moved.files("docker");
    assert_eq!(files.len(), 1, "{files:?}");
    assert!(files[0].to_string_lossy().contains(&blob["sha256:".len()..]));
}
