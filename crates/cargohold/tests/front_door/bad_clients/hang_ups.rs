//! Connections that end at every stage of a request, by a client that goes away and by one that crashes.

use std::sync::Arc;

use crate::{
    client::Response,
    content::{INDEX, digest, noise, note},
    registry::Registry,
    repository::Repository,
    waiting::eventually,
};

/// More than is written at once.
const BLOB: usize = 700_000;

/// A request, and what is there once it has succeeded.
struct Asked {
    method: &'static str,
    path: String,
    body: Vec<u8>,
    /// What answers 200 from then on.
    brings: String,
}

impl Asked {
    fn head(&self) -> Vec<u8> {
        let Self { method, path, body, .. } = self;
        let length = body.len();
        format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {INDEX}\r\nContent-Length: {length}\r\n\r\n"
        )
        .into_bytes()
    }

    /// As a proper client asks.
    fn again(&self, registry: &Registry) -> Response {
        registry.request(self.method, &self.path).header("Content-Type", INDEX).body(&self.body).send()
    }
}

/// A PUT of a session's end, a POST of a whole blob and a PUT of a manifest, of contents that nobody else has.
fn requests(repository: &Repository, number: u64) -> [Asked; 3] {
    let blob = |of: u64| noise(1000 * of + number, BLOB);
    let place = |content: &[u8]| format!("blobs/{}", digest(content));
    let (put, post, manifest) = (blob(1), blob(2), note(&format!("hang-up {number}")));
    let session = repository.start_upload();
    session.patch(&put[..1000]).send().expect(202);
    let by_digest = format!("manifests/{}", digest(&manifest));
    [
        Asked { method: "PUT", path: session.closing(&digest(&put)), brings: place(&put), body: put[1000..].to_vec() },
        Asked {
            method: "POST",
            path: repository.path(&format!("blobs/uploads/?digest={}", digest(&post))),
            brings: place(&post),
            body: post,
        },
        Asked { method: "PUT", path: repository.path(&by_digest), brings: by_digest, body: manifest },
    ]
}

fn start() -> (Arc<Registry>, Repository) {
    let registry = Registry::start_in(
        tempfile::tempdir().unwrap(),
        &[("CARGOHOLD__SWEEP__WINDOW", "0s"), ("CARGOHOLD__SWEEP__KEEP", "0s"), ("CARGOHOLD__SWEEP__INTERVAL", "50ms")],
    );
    let repository = registry.repository();
    (registry, repository)
}

/// Where a request is cut: in its head, at the edges of its body, in it, and before its last byte.
fn stages(head: usize, body: usize) -> Vec<usize> {
    vec![0, 1, head / 2, head - 1, head, head + 1, head + body / 2, head + body - 1]
}

#[test]
fn a_hang_up_at_any_stage_leaves_nothing_and_the_same_request_succeeds() {
    let (registry, repository) = start();
    for crashes in [false, true] {
        for stage in 0..8 {
            for asked in requests(&repository, 10 * stage + u64::from(crashes)) {
                let head = asked.head();
                let whole = [&head[..], &asked.body].concat();
                let cut = stages(head.len(), asked.body.len())[usize::try_from(stage).unwrap()];
                let mut wire = registry.connect();
                wire.send(&whole[..cut]);
                if crashes {
                    wire.reset();
                } else {
                    wire.hang_up();
                }
                registry.get("/v2/").expect(200);
                repository.get(&asked.brings).expect(404);
                // The cut request may be looked at after the whole one, and takes the session from that.
                eventually("it succeeds", || (asked.again(&registry).status != 416).then_some(()));
                asked.again(&registry).expect(201);
                repository.get(&asked.brings).expect(200);
            }
        }
    }
    eventually("nothing is staged", || registry.files("uploads").is_empty().then_some(()));
    registry.command(&["fsck"]);
    assert!(!registry.log().contains("panicked"), "{}", registry.log());
}

#[test]
fn what_was_sent_to_its_last_byte_is_finished_whoever_hangs_up() {
    let (registry, repository) = start();
    for number in 0..20 {
        for asked in requests(&repository, 100 + number) {
            let mut wire = registry.connect();
            wire.send([&asked.head()[..], &asked.body].concat());
            wire.hang_up();
            eventually("it is there", || (repository.get(&asked.brings).status == 200).then_some(()));
        }
    }
    eventually("nothing is staged", || registry.files("uploads").is_empty().then_some(()));
    registry.command(&["fsck"]);
}

/// Whether it happened or not: a client that crashes behind the last byte may have taken it with it.
#[test]
fn a_crash_behind_the_last_byte_is_a_whole_request_or_none() {
    let (registry, repository) = start();
    for number in 0..20 {
        for asked in requests(&repository, 200 + number) {
            let mut wire = registry.connect();
            wire.send([&asked.head()[..], &asked.body].concat());
            wire.reset();
            // While the first is being finished it has the session.
            eventually("it is done again", || (asked.again(&registry).status == 201).then_some(()));
            repository.get(&asked.brings).expect(200);
        }
    }
    registry.command(&["fsck"]);
}

#[test]
fn deletions_that_nobody_waits_for_happen() {
    let (registry, repository) = start();
    for number in 0..20 {
        let manifest = repository.push_manifest("latest", INDEX, note(&format!("deleted {number}")));
        let blob = repository.push_blob(format!("deleted {number}"));
        let session = repository.start_upload();
        for (path, gone) in [
            (repository.path(&format!("manifests/{manifest}")), repository.path(&format!("manifests/{manifest}"))),
            (repository.path(&format!("blobs/{blob}")), repository.path(&format!("blobs/{blob}"))),
            (session.location.clone(), session.location.clone()),
        ] {
            let mut wire = registry.connect();
            wire.begin("DELETE", &path, &[]);
            wire.hang_up();
            eventually("it is gone", || (registry.get(&gone).status == 404).then_some(()));
        }
    }
}
