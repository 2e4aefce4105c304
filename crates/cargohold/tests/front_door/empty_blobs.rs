//! The blob of no bytes, in every way that clients have to push one. Each has a repository of its own, so that none of them
//! finds what another one pushed.

use crate::{
    client::Response,
    content::{digest, sha512},
    registry::Registry,
    repository::Repository,
};

#[track_caller]
fn pushed(repository: &Repository, answer: Response, blob: &str) {
    let answer = answer.expect(201).with("Docker-Content-Digest", blob);
    repository.registry.get(answer.location()).expect(200).with("Content-Length", "0").brings("");
    repository
        .head(&format!("blobs/{blob}"))
        .expect(200)
        .with("Content-Length", "0")
        .with("Docker-Content-Digest", blob);
}

fn empty_blobs() -> impl Iterator<Item = (Repository, String)> {
    [digest(""), sha512("")].into_iter().map(|blob| (Registry::shared().repository(), blob))
}

#[test]
fn in_a_post_with_the_length_0() {
    for (repository, blob) in empty_blobs() {
        pushed(&repository, repository.post(&format!("?digest={blob}")).body("").send(), &blob);
    }
}

#[test]
fn in_a_post_without_a_length() {
    for (repository, blob) in empty_blobs() {
        pushed(&repository, repository.post(&format!("?digest={blob}")).chunked("").send(), &blob);
    }
}

#[test]
fn in_a_post_that_has_no_body_at_all() {
    for (repository, blob) in empty_blobs() {
        let mut wire = repository.registry.connect();
        wire.begin("POST", &repository.path(&format!("blobs/uploads/?digest={blob}")), &[]);
        pushed(&repository, wire.answer(), &blob);
    }
}

#[test]
fn in_a_put_with_the_length_0() {
    for (repository, blob) in empty_blobs() {
        pushed(&repository, repository.start_upload().put(&blob, "").send(), &blob);
    }
}

#[test]
fn in_a_put_without_a_length() {
    for (repository, blob) in empty_blobs() {
        let put = repository.registry.request("PUT", &repository.start_upload().closing(&blob));
        pushed(&repository, put.chunked("").send(), &blob);
    }
}

#[test]
fn in_a_patch_with_the_length_0() {
    for (repository, blob) in empty_blobs() {
        let upload = repository.start_upload();
        upload.patch("").send().expect(202).with("Range", "0-0");
        pushed(&repository, upload.put(&blob, "").send(), &blob);
    }
}

#[test]
fn in_a_patch_without_a_length() {
    for (repository, blob) in empty_blobs() {
        let upload = repository.start_upload();
        upload.request("PATCH").chunked("").send().expect(202).with("Range", "0-0");
        pushed(&repository, upload.put(&blob, "").send(), &blob);
    }
}

#[test]
fn by_a_mount() {
    for (repository, blob) in empty_blobs() {
        let source = Registry::shared().repository();
        source.start_upload().put(&blob, "").send().expect(201);
        pushed(&repository, repository.post(&format!("?mount={blob}&from={}", source.name)).send(), &blob);
    }
}
