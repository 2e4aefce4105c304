//! Several clients at once, at one session, one blob, one tag.

use std::{sync::Barrier, thread};

use crate::{
    client::Response,
    content::{INDEX, digest, noise, note},
    registry::Registry,
    waiting::eventually,
};

/// Does the same on so many threads at one moment.
fn at_once<T: Send>(count: usize, act: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(count);
    thread::scope(|scope| {
        let (act, barrier) = (&act, &barrier);
        let threads: Vec<_> = (0..count)
            .map(|n| {
                scope.spawn(move || {
                    barrier.wait();
                    act(n)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn the_newer_of_two_writers_wins_and_no_bytes_mix() {
    let registry = Registry::start();
    let repository = registry.repository();
    let upload = repository.start_upload();
    let (older, newer) = (noise(41, 4 << 20), noise(42, 3 << 20));
    let mut wire = registry.connect();
    wire.begin("PATCH", &upload.location, &[("Content-Length", &older.len().to_string())]);
    wire.send(&older[..3 << 20]);
    let staged = || registry.files("uploads").iter().any(|file| file.metadata().is_ok_and(|file| file.len() > 0));
    eventually("the older one writes", || staged().then_some(()));
    upload.patch(&newer).send().expect(202).with("Range", "0-3145727");
    wire.answer().with("Location", &upload.location).refused(416, "RANGE_INVALID");
    assert_eq!(upload.range(), "0-3145727");
    upload.put(&digest(&newer), "").send().expect(201);
    repository.pull(&digest(&newer)).expect(200).brings(&newer);
}

#[test]
fn a_put_takes_over_from_a_patch_that_hangs() {
    let registry = Registry::start();
    let repository = registry.repository();
    let upload = repository.start_upload();
    upload.patch("start ").send().expect(202);
    let mut wire = registry.connect();
    wire.begin("PATCH", &upload.location, &[("Transfer-Encoding", "chunked")]);
    wire.send_chunk(&noise(43, 3 << 20));
    eventually("the patch writes", || {
        registry.files("uploads").iter().any(|file| file.metadata().is_ok_and(|file| file.len() > 100)).then_some(())
    });
    upload.put(&digest("start end"), "end").send().expect(201);
    repository.pull(&digest("start end")).expect(200).brings("start end");
    assert!(wire.answer().status >= 400);
}

#[test]
fn a_session_is_cancelled_while_somebody_writes() {
    let registry = Registry::start();
    let upload = registry.repository().start_upload();
    let mut wire = registry.connect();
    wire.begin("PATCH", &upload.location, &[("Content-Length", "4000000")]);
    wire.send(noise(44, 3 << 20));
    eventually("bytes are staged", || (registry.files("uploads").len() == 1).then_some(()));
    upload.request("DELETE").send().expect(204);
    upload.status().refused(404, "BLOB_UPLOAD_UNKNOWN");
    eventually("the staged bytes are gone", || registry.files("uploads").is_empty().then_some(()));
    wire.answer().refused(404, "BLOB_UPLOAD_UNKNOWN");
}

#[test]
fn every_chunk_that_is_acknowledged_counts_and_no_other() {
    let repository = Registry::shared().repository();
    let upload = repository.start_upload();
    let statuses = at_once(8, |_| upload.patch([b'x'; 1000]).send().status);
    assert!(statuses.iter().all(|status| [202, 416].contains(status)), "{statuses:?}");
    let taken = statuses.iter().filter(|status| **status == 202).count() * 1000;
    assert!(taken > 0, "{statuses:?}");
    assert_eq!(upload.range(), format!("0-{}", taken - 1), "{statuses:?}");
    upload.put(&digest(vec![b'x'; taken]), "").send().expect(201);
}

#[test]
fn of_chunks_for_one_place_one_is_taken_and_the_others_are_told() {
    let repository = Registry::shared().repository();
    for round in 0..10 {
        let upload = repository.start_upload();
        let mut statuses = at_once(8, |_| upload.chunk(0, [b'x'; 1000]).send().status);
        statuses.sort_unstable();
        assert_eq!(statuses, [202, 416, 416, 416, 416, 416, 416, 416], "in round {round}");
        assert_eq!(upload.range(), "0-999");
        upload.put(&digest([b'x'; 1000]), "").send().expect(201);
    }
}

#[test]
fn of_many_who_close_a_session_one_succeeds() {
    let repository = Registry::shared().repository();
    for round in 0..10_u8 {
        let (content, upload) = (noise(round.into(), 30_000), repository.start_upload());
        let blob = digest(&content);
        let statuses = at_once(8, |_| upload.put(&blob, &content).send().status);
        assert!(statuses.contains(&201), "{statuses:?} in round {round}");
        assert!(statuses.iter().all(|status| [201, 404, 416].contains(status)), "{statuses:?} in round {round}");
        repository.pull(&blob).expect(200).brings(&content);
        upload.put(&blob, &content).send().expect(201);
    }
}

#[test]
fn one_blob_pushed_by_eight_at_once_is_kept_once() {
    let registry = Registry::start();
    let repository = registry.repository();
    let content = noise(45, 300_000);
    let blob = digest(&content);
    for answer in at_once(8, |_| repository.start_upload().put(&blob, &content).send()) {
        answer.expect(201).with("Docker-Content-Digest", &blob);
    }
    for answer in at_once(8, |_| registry.repository().post(&format!("?digest={blob}")).chunked(&content).send()) {
        answer.expect(201);
    }
    repository.pull(&blob).expect(200).brings(&content);
    eventually("one copy is left", || {
        (registry.files("docker").len() == 1 && registry.files("uploads").is_empty()).then_some(())
    });
}

#[test]
fn a_new_repository_is_made_once_by_many_at_once() {
    let registry = Registry::shared();
    let repository = registry.repository();
    let blobs = at_once(8, |n| repository.push_blob(format!("first of {n}")));
    for (n, blob) in blobs.iter().enumerate() {
        repository.pull(blob).expect(200).brings(format!("first of {n}"));
    }
    let other = registry.repository();
    at_once(8, |n| other.push_manifest(&format!("t{n}"), INDEX, note("first")));
    assert_eq!(other.get("tags/list").json()["tags"].as_array().unwrap().len(), 8);
}

#[test]
fn a_tag_that_many_move_at_once_names_one_of_theirs() {
    let repository = Registry::shared().repository();
    let pushed = at_once(8, |n| repository.push_manifest("latest", INDEX, note(&format!("by {n}"))));
    let answer = repository.get("manifests/latest").expect(200);
    let named = answer.header("Docker-Content-Digest").unwrap().to_owned();
    assert!(pushed.contains(&named) && digest(&answer.body) == named);
    for digest in pushed {
        repository.get(&format!("manifests/{digest}")).expect(200);
    }
}

#[test]
fn a_mount_by_many_at_once_succeeds_for_each() {
    let registry = Registry::shared();
    let (source, target) = (registry.repository(), registry.repository());
    let blob = source.push_blob("wanted by many");
    at_once(8, |_| drop(target.post(&format!("?mount={blob}&from={}", source.name)).send().expect(201)));
    target.pull(&blob).expect(200);
}

#[test]
fn readers_and_writers_of_one_tag_see_whole_manifests() {
    let repository = Registry::shared().repository();
    repository.push_manifest("latest", INDEX, note("0"));
    at_once(4, |n| {
        for round in 0..10 {
            if n % 2 == 0 {
                repository.push_manifest("latest", INDEX, note(&format!("{n} {round}")));
            } else {
                let answer: Response = repository.get("manifests/latest").expect(200);
                assert_eq!(Some(digest(&answer.body).as_str()), answer.header("Docker-Content-Digest"));
            }
        }
    });
}
