//! A blob of one repository becomes one of another without being sent.

use crate::{
    content::{digest, sha512},
    registry::Registry,
};

#[test]
fn a_mount_gives_the_blob_without_its_bytes() {
    let registry = Registry::shared();
    let (source, target) = (registry.repository(), registry.repository());
    let blob = source.push_blob("mounted");
    let answer = target.post(&format!("?mount={blob}&from={}", source.name)).send().expect(201);
    assert_eq!(answer.location(), target.path(&format!("blobs/{blob}")));
    answer.with("Docker-Content-Digest", &blob).with("Content-Length", "0");
    target.pull(&blob).expect(200).brings("mounted");
    source.pull(&blob).expect(200).brings("mounted");
}

#[test]
fn a_mounted_blob_is_kept_once() {
    let registry = Registry::start();
    let (source, target) = (registry.repository(), registry.repository());
    let blob = source.push_blob("once");
    target.post(&format!("?mount={blob}&from={}", source.name)).send().expect(201);
    assert_eq!(registry.files("docker").len(), 1);
}

#[test]
fn a_mount_is_repeated_without_fuss() {
    let registry = Registry::shared();
    let (source, target) = (registry.repository(), registry.repository());
    let blob = source.push_blob("mounted twice");
    for _ in 0..2 {
        target.post(&format!("?mount={blob}&from={}", source.name)).send().expect(201);
    }
    target.post(&format!("?mount={blob}&from={}", target.name)).send().expect(201);
}

#[test]
fn a_sha512_blob_is_mounted() {
    let registry = Registry::shared();
    let (source, target) = (registry.repository(), registry.repository());
    let blob = sha512("long name");
    source.start_upload().put(&blob, "long name").send().expect(201);
    let encoded = blob.replace(':', "%3A");
    target
        .post(&format!("?from={}&mount={encoded}", source.name))
        .send()
        .expect(201)
        .with("Docker-Content-Digest", &blob);
}

#[test]
fn a_mount_that_cannot_be_done_is_a_session() {
    let registry = Registry::shared();
    let (source, target) = (registry.repository(), registry.repository());
    let elsewhere = registry.repository().push_blob("in a third one");
    source.push_blob("so that it is there");
    let nobodys = digest("nobody has this");
    for (blob, from) in [
        (&nobodys, source.name.as_str()),
        (&elsewhere, source.name.as_str()),
        (&elsewhere, "no/such/repository"),
        (&elsewhere, target.name.as_str()),
        (&elsewhere, "Not/A/Name"),
        (&elsewhere, ""),
    ] {
        let answer = target.post(&format!("?mount={blob}&from={from}")).send().expect(202).with("Range", "0-0");
        target.upload(&answer).status().expect(204);
    }
    let answer = target.post(&format!("?mount={nobodys}&from={}", source.name)).send();
    target.upload(&answer).put(&nobodys, "nobody has this").send().expect(201);
    target.pull(&nobodys).expect(200).brings("nobody has this");
}

#[test]
fn a_mount_that_names_no_source_takes_any() {
    let registry = Registry::shared();
    let (source, target) = (registry.repository(), registry.repository());
    let blob = source.push_blob("anonymous");
    let answer = target.post(&format!("?mount={blob}")).send().expect(201);
    assert_eq!(answer.location(), target.path(&format!("blobs/{blob}")));
    target.pull(&blob).expect(200).brings("anonymous");
    target.post(&format!("?mount={}", digest("nobody has this"))).send().expect(202);
}

#[test]
fn a_mount_of_no_digest_is_refused() {
    let registry = Registry::shared();
    let (source, target) = (registry.repository(), registry.repository());
    source.push_blob("so that it is there");
    target.post(&format!("?mount=sha256:abc&from={}", source.name)).send().refused(400, "DIGEST_INVALID");
}

#[test]
fn a_mount_wins_over_a_digest() {
    let registry = Registry::shared();
    let (source, target) = (registry.repository(), registry.repository());
    let blob = source.push_blob("both");
    target.post(&format!("?mount={blob}&from={}&digest={blob}", source.name)).send().expect(201);
    target.pull(&blob).expect(200).brings("both");
}
