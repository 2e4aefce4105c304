//! What a blob is called, and what happens if it is something else.

use crate::{
    content::{digest, digest_by, noise, sha512},
    registry::Registry,
    repository::Repository,
    waiting::eventually,
};

#[test]
fn content_that_is_not_what_was_named_is_refused_and_its_session_ended() {
    let repository = Registry::shared().repository();
    let (good, upload) = (digest("what I meant"), repository.start_upload());
    let message = upload.put(&good, "what I meant\n").send().refused(400, "DIGEST_INVALID");
    assert!(message.contains(&good) && message.contains(&digest("what I meant\n")), "{message}");
    upload.status().refused(404, "BLOB_UPLOAD_UNKNOWN");
    repository.pull(&good).refused(404, "BLOB_UNKNOWN");
    repository.pull(&digest("what I meant\n")).refused(404, "BLOB_UNKNOWN");
}

#[test]
fn content_that_was_refused_leaves_no_bytes() {
    let registry = Registry::start();
    let repository = registry.repository();
    let wrong = digest("something else");
    let upload = repository.start_upload();
    upload.patch(noise(1, 100_000)).send().expect(202);
    assert_eq!(registry.files("uploads").len(), 1);
    upload.put(&wrong, "").send().refused(400, "DIGEST_INVALID");
    repository.post(&format!("?digest={wrong}")).body(noise(2, 100_000)).send().refused(400, "DIGEST_INVALID");
    repository.post(&format!("?digest={wrong}")).chunked(noise(3, 2_000_000)).send().refused(400, "DIGEST_INVALID");
    eventually("the staged bytes are gone", || registry.files("uploads").is_empty().then_some(()));
    assert!(registry.files("docker").is_empty());
}

#[test]
fn every_way_to_push_checks_the_digest() {
    let repository = Registry::shared().repository();
    let (content, wrong) = (noise(4, 512), digest("wrong"));
    let patched = repository.start_upload();
    patched.request("PATCH").chunked(&content).send().expect(202);
    patched.put(&wrong, "").send().refused(400, "DIGEST_INVALID");
    let chunked = repository.start_upload();
    chunked.chunk(0, &content).send().expect(202);
    chunked.put(&wrong, "").send().refused(400, "DIGEST_INVALID");
    repository.start_upload().put(&wrong, "").send().refused(400, "DIGEST_INVALID");
    repository.start_upload().put(&sha512("wrong"), &content).send().refused(400, "DIGEST_INVALID");
}

#[test]
fn a_put_that_names_no_digest_keeps_the_session() {
    let repository = Registry::shared().repository();
    let upload = repository.start_upload();
    upload.patch("part").send().expect(202);
    let bad = [
        "",
        "?digest=",
        "?digest=sha256:abc",
        "?digest=sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "?digest=md5",
        "?other=1",
    ];
    for query in bad {
        let put = repository.registry.request("PUT", &format!("{}{query}", upload.location));
        put.body("more").send().refused(400, "DIGEST_INVALID");
        assert_eq!(upload.range(), "0-3", "{query}");
    }
    upload.put(&digest("part"), "").send().expect(201);
}

#[test]
fn a_post_that_names_no_digest_is_refused() {
    let repository = Registry::shared().repository();
    for query in ["?digest=", "?digest=sha256:abc", "?digest=blake3:00"] {
        repository.post(query).body("content").send().refused(400, "DIGEST_INVALID");
    }
}

#[test]
fn sha512_blobs_are_pushed_in_every_way_and_pulled() {
    let repository = Registry::shared().repository();
    let ways: [fn(&Repository, &[u8], &str); 4] = [
        |repository, content, blob| drop(repository.post(&format!("?digest={blob}")).body(content).send().expect(201)),
        |repository, content, blob| drop(repository.start_upload().put(blob, content).send().expect(201)),
        |repository, content, blob| {
            let upload = repository.start_upload();
            upload.request("PATCH").chunked(content).send().expect(202);
            upload.put(blob, "").send().expect(201).with("Docker-Content-Digest", blob);
        },
        |repository, content, blob| {
            let upload = repository.start_upload();
            upload.chunk(0, &content[..200]).send().expect(202);
            upload.put(blob, &content[200..]).header("Content-Range", "200-511").send().expect(201);
        },
    ];
    for (seed, push) in (0..).zip(ways) {
        let content = noise(seed, 512);
        let blob = sha512(&content);
        push(&repository, &content, &blob);
        repository
            .pull(&blob)
            .expect(200)
            .with("Docker-Content-Digest", &blob)
            .with("ETag", format!("\"{blob}\""))
            .brings(&content);
        repository
            .head(&format!("blobs/{blob}"))
            .expect(200)
            .with("Content-Length", "512")
            .with("Docker-Content-Digest", &blob);
        repository.pull(&digest(&content)).refused(404, "BLOB_UNKNOWN");
    }
}

#[test]
fn the_algorithm_of_a_session_is_only_a_hint() {
    let repository = Registry::shared().repository();
    for hint in ["?digest-algorithm=sha512", "?digest-algorithm=sha256", ""] {
        for algorithm in ["sha256", "sha512"] {
            let content = format!("{hint} {algorithm} {}", "x".repeat(2_000_000));
            let blob = digest_by(algorithm, &content);
            let upload = repository.upload(&repository.post(hint).send().expect(202));
            upload.patch(&content[..1_500_000]).send().expect(202);
            upload.put(&blob, &content[1_500_000..]).send().expect(201).with("Docker-Content-Digest", &blob);
            repository.pull(&blob).expect(200).brings(&content);
        }
    }
}

#[test]
fn a_session_of_an_unknown_algorithm_is_refused() {
    let repository = Registry::shared().repository();
    for algorithm in ["md5", "", "SHA256", "sha256:"] {
        repository.post(&format!("?digest-algorithm={algorithm}")).send().refused(400, "DIGEST_INVALID");
    }
}

#[test]
fn one_content_by_two_algorithms_is_pulled_by_both() {
    let repository = Registry::shared().repository();
    let content = "by two names";
    repository.push_blob(content);
    repository.start_upload().put(&sha512(content), content).send().expect(201);
    repository.pull(&digest(content)).expect(200).brings(content);
    repository.pull(&sha512(content)).expect(200).brings(content);
}
