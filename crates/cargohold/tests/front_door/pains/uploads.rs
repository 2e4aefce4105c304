//! Uploads, load balancers, object storage.
//!
//! | complaint | here |
//! |---|---|
//! | dist#2225, deis/registry#84: "blob upload unknown" behind a load balancer | `uploads::a_session_goes_on_over_another_connection_and_another_version_of_http`, `uploads::a_push_is_finished_though_the_server_dies_again_and_again`; another replica waits for several machines |
//! | dist#4074, #4406: stale uploads pile up, and every replica walks the store to find them | `deleting::uploads_that_nobody_ends_are_cleared_away`; replicas wait for several machines |
//! | dist#4572: a layer of 100 GiB needs too many parts | waits for object stores; on a disk there are no parts, and sizes are counted in 64 bits: `oddities::layers_of_more_than_fifty_gigabytes_are_counted` |
//! | dist#2814, #886: the last PUT copies all bytes once more | `uploads::the_end_of_an_upload_copies_no_bytes` |
//! | harbor#17651, quay#6885: parts of broken uploads stay in the bucket, paid for | waits for object stores; on a disk: `uploads::uploads_that_come_to_nothing_leave_no_bytes` |
//! | harbor#22063: a store that wants equal parts | waits for object stores |
//! | harbor#23005: a store that is busy becomes a 500 | waits for object stores; what a disk refuses is a 503 with `Retry-After`: the tests of `failing_disk`, `settings::on_a_disk_that_is_as_full_as_it_may_become_nothing_is_pushed_and_the_rest_goes_on` |
//! | harbor#17625, #9394: three proxies, each with a timeout | one process, with one timeout for a body that stops coming: `limits::a_body_that_stops_coming_is_not_waited_for`; one that comes slowly is waited for: `crowds::a_thousand_slow_readers_and_writers_stop_nobody_and_are_served` |
//! | openshift/mirror-registry: 50 GB at most | as dist#4572 |
//! | NORA: a PUT of more than 500 MB fails | `uploads::one_large_put_of_containerd_takes_little_memory`, `uploads::a_large_blob_takes_little_memory`: memory does not depend on the size |
//! | never again: kill any replica in the middle of a push, and the client finishes | `uploads::a_push_is_finished_though_the_server_dies_again_and_again`, with the one process that there is |

use std::os::unix::fs::MetadataExt;

use crate::{
    content::{digest, noise},
    registry::{Registry, Signal},
    waiting::eventually,
};

#[test]
fn a_push_is_finished_though_the_server_dies_again_and_again() {
    let registry = Registry::start();
    let repository = registry.repository();
    let (content, upload) = (noise(71, 8 << 20), repository.start_upload());
    let mut sent = 0;
    for part in 1..=7 {
        let end = part << 20;
        upload.chunk(sent, &content[sent..end]).send().expect(202);
        // It dies while it is sent more.
        let mut wire = registry.connect();
        wire.begin("PATCH", &upload.location, &[("Content-Length", "1048576")]);
        wire.send(&content[end..end + 700_000]);
        registry.restart(Signal::KILL);
        let range = upload.range();
        let last: usize = range.strip_prefix("0-").unwrap().parse().unwrap();
        assert!(last + 1 >= end, "{range} after {end} bytes were acknowledged");
        sent = last + 1;
        if sent > end {
            upload.chunk(sent, &content[sent..(part + 1) << 20]).send().expect(202);
            sent = (part + 1) << 20;
        }
    }
    upload.put(&digest(&content), &content[sent..]).send().expect(201);
    repository.pull(&digest(&content)).expect(200).brings(&content);
}

#[test]
fn the_end_of_an_upload_copies_no_bytes() {
    let registry = Registry::start();
    let repository = registry.repository();
    let (content, upload) = (noise(72, 3 << 20), repository.start_upload());
    upload.patch(&content).send().expect(202);
    let file = |below: &str| match registry.files(below).as_slice() {
        [file] => file.metadata().unwrap().ino(),
        files => panic!("{files:?}"),
    };
    let staged = file("uploads");
    upload.put(&digest(&content), "").send().expect(201);
    assert_eq!(file("docker"), staged, "the file itself was moved");
    assert!(registry.files("uploads").is_empty());
}

#[test]
fn uploads_that_come_to_nothing_leave_no_bytes() {
    let registry = Registry::start();
    let repository = registry.repository();
    let content = noise(73, 2 << 20);
    let (cancelled, wrong) = (repository.start_upload(), repository.start_upload());
    cancelled.patch(&content).send().expect(202);
    cancelled.request("DELETE").send().expect(204);
    wrong.put(&digest("something else"), &content).send().refused(400, "DIGEST_INVALID");
    let mut wire = registry.connect();
    let path = repository.path(&format!("blobs/uploads/?digest={}", digest(&content)));
    wire.begin("POST", &path, &[("Content-Length", &content.len().to_string())]);
    wire.send(&content[..1 << 20]);
    wire.hang_up();
    eventually("nothing is left", || {
        (registry.files("uploads").is_empty() && registry.files("docker").is_empty()).then_some(())
    });
    registry.command(&["fsck"]);
}
