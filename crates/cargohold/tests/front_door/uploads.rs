//! Upload sessions, from POST to PUT, as clients go through them.

use crate::{
    content::{digest, noise},
    registry::Registry,
    waiting::eventually,
};

#[test]
fn a_session_begins_with_nothing_received() {
    let repository = Registry::shared().repository();
    let answer = repository.post("").send().expect(202).with("Range", "0-0").with("Content-Length", "0");
    let upload = repository.upload(&answer);
    assert!(upload.location.starts_with(&repository.path("blobs/uploads/")), "{answer}");
    answer.with("Docker-Upload-UUID", upload.id()).without("OCI-Chunk-Min-Length");
}

#[test]
fn every_session_is_its_own() {
    let repository = Registry::shared().repository();
    assert_ne!(repository.start_upload().location, repository.start_upload().location);
}

#[test]
fn old_tools_leave_out_the_last_slash() {
    let repository = Registry::shared().repository();
    repository.request("POST", "blobs/uploads").send().expect(202);
}

#[test]
fn what_comes_with_the_post_does_not_matter() {
    let repository = Registry::shared().repository();
    repository.post("").header("Content-Type", "application/json").body("").send().expect(202);
    repository.post("").chunked("").send().expect(202);
    repository.post("").body("{}").send().expect(202);
}

#[test]
fn a_blob_comes_in_one_put() {
    let repository = Registry::shared().repository();
    let blob = digest("monolithic");
    let answer =
        repository.start_upload().put(&blob, "monolithic").header("Content-Type", "application/octet-stream").send();
    let answer = answer.expect(201).with("Docker-Content-Digest", &blob).with("Content-Length", "0");
    assert_eq!(answer.location(), repository.path(&format!("blobs/{blob}")));
    repository.registry.get(answer.location()).expect(200).brings("monolithic");
}

#[test]
fn a_blob_comes_in_one_put_without_a_length() {
    let repository = Registry::shared().repository();
    let (content, upload) = (noise(1, 3_000_000), repository.start_upload());
    let blob = digest(&content);
    let answer = repository.registry.request("PUT", &upload.closing(&blob)).chunked(&content).send();
    answer.expect(201).with("Docker-Content-Digest", &blob);
    repository.pull(&blob).expect(200).brings(&content);
}

#[test]
fn a_blob_comes_in_the_post() {
    let repository = Registry::shared().repository();
    for (content, chunked) in [("in the post", false), ("in the post, of unknown length", true)] {
        let blob = digest(content);
        let post = repository.post(&format!("?digest={blob}"));
        let answer = if chunked { post.chunked(content) } else { post.body(content) }.send().expect(201);
        assert_eq!(answer.location(), repository.path(&format!("blobs/{blob}")));
        answer.with("Docker-Content-Digest", &blob);
        repository.pull(&blob).expect(200).brings(content);
    }
}

#[test]
fn a_post_that_names_a_digest_and_brings_nothing_begins_a_session() {
    let repository = Registry::shared().repository();
    let blob = digest("later");
    for post in
        [repository.post(&format!("?digest={blob}")).body(""), repository.post(&format!("?digest={blob}")).chunked("")]
    {
        let answer = post.send().expect(202).with("Range", "0-0");
        repository.upload(&answer).put(&blob, "later").send().expect(201);
    }
    repository.pull(&blob).expect(200).brings("later");
}

#[test]
fn docker_sends_one_patch_without_a_length_and_an_empty_put() {
    let repository = Registry::shared().repository();
    let (content, upload) = (noise(2, 2_500_000), repository.start_upload());
    let blob = digest(&content);
    let answer = upload.request("PATCH").chunked(&content).send().expect(202);
    let answer = answer.with("Range", "0-2499999").with("Docker-Upload-UUID", upload.id()).with("Content-Length", "0");
    repository.upload(&answer).put(&blob, "").send().expect(201);
    repository.pull(&blob).expect(200).brings(&content);
}

#[test]
fn a_patch_may_have_any_content_type_or_none() {
    let repository = Registry::shared().repository();
    let upload = repository.start_upload();
    upload.patch("a").send().expect(202);
    upload.patch("b").header("Content-Type", "application/octet-stream").send().expect(202);
    upload.patch("c").header("Content-Type", "text/plain; charset=utf-8").send().expect(202).with("Range", "0-2");
    upload.put(&digest("abcd"), "d").header("Content-Type", "application/json").send().expect(201);
}

#[test]
fn chunks_without_a_range_follow_each_other() {
    let repository = Registry::shared().repository();
    let upload = repository.start_upload();
    upload.patch("first ").send().expect(202).with("Range", "0-5");
    upload.request("PATCH").chunked("second ").send().expect(202).with("Range", "0-12");
    upload.put(&digest("first second third"), "third").send().expect(201);
    repository.pull(&digest("first second third")).expect(200).brings("first second third");
}

#[test]
fn an_empty_patch_changes_nothing() {
    let repository = Registry::shared().repository();
    let upload = repository.start_upload();
    upload.patch("").send().expect(202).with("Range", "0-0");
    upload.patch("abc").send().expect(202).with("Range", "0-2");
    upload.patch("").send().expect(202).with("Range", "0-2");
    upload.request("PATCH").chunked("").send().expect(202).with("Range", "0-2");
    upload.put(&digest("abc"), "").send().expect(201);
}

#[test]
fn status_tells_what_was_received() {
    let repository = Registry::shared().repository();
    let upload = repository.start_upload();
    let status = || {
        upload
            .status()
            .expect(204)
            .with("Location", &upload.location)
            .with("Docker-Upload-UUID", upload.id())
            .brings("")
    };
    status().with("Range", "0-0");
    upload.patch(noise(0, 512)).send().expect(202).with("Range", "0-511");
    status().with("Range", "0-511");
    upload.request("HEAD").send().expect(204).with("Range", "0-511");
    repository.registry.get(&upload.closing(&digest(""))).expect(204).with("Range", "0-511");
}

#[test]
fn a_status_ends_where_the_next_answer_begins() {
    let repository = Registry::shared().repository();
    let mut wire = repository.registry.connect();
    wire.begin("GET", &repository.start_upload().location, &[]);
    wire.answer_head().expect(204).without("Content-Length");
    wire.begin("GET", "/v2/", &[]);
    wire.answer().expect(200).brings("{}");
}

#[test]
fn a_cancelled_session_is_gone() {
    let repository = Registry::shared().repository();
    let upload = repository.start_upload();
    upload.patch("for nothing").send().expect(202);
    upload.request("DELETE").send().expect(204).brings("");
    upload.status().refused(404, "BLOB_UPLOAD_UNKNOWN");
    upload.patch("more").send().refused(404, "BLOB_UPLOAD_UNKNOWN");
    upload.put(&digest("for nothing"), "").send().refused(404, "BLOB_UPLOAD_UNKNOWN");
    upload.request("DELETE").send().refused(404, "BLOB_UPLOAD_UNKNOWN");
}

#[test]
fn a_cancelled_session_leaves_no_bytes() {
    let registry = Registry::start();
    let upload = registry.repository().start_upload();
    upload.patch(noise(0, 100_000)).send().expect(202);
    assert_eq!(registry.files("uploads").len(), 1);
    upload.request("DELETE").send().expect(204);
    eventually("the staged bytes are gone", || registry.files("uploads").is_empty().then_some(()));
}

#[test]
fn a_session_belongs_to_its_repository() {
    let registry = Registry::shared();
    let (mine, other) = (registry.repository(), registry.repository());
    other.push_blob("so that it is there");
    let upload = mine.start_upload();
    let elsewhere = upload.location.replace(&mine.name, &other.name);
    registry.get(&elsewhere).refused(404, "BLOB_UPLOAD_UNKNOWN");
    registry.request("PATCH", &elsewhere).body("x").send().refused(404, "BLOB_UPLOAD_UNKNOWN");
    let close = format!("{elsewhere}?digest={}", digest("x"));
    registry.request("PUT", &close).body("x").send().refused(404, "BLOB_UPLOAD_UNKNOWN");
    registry.request("DELETE", &elsewhere).send().refused(404, "BLOB_UPLOAD_UNKNOWN");
    upload.status().expect(204).with("Range", "0-0");
}

#[test]
fn a_finished_session_is_gone() {
    let repository = Registry::shared().repository();
    let upload = repository.start_upload();
    upload.put(&digest("done"), "done").send().expect(201);
    upload.status().refused(404, "BLOB_UPLOAD_UNKNOWN");
    upload.patch("x").send().refused(404, "BLOB_UPLOAD_UNKNOWN");
}

#[test]
fn a_put_that_is_repeated_succeeds_again() {
    let repository = Registry::shared().repository();
    let (blob, upload) = (digest("twice"), repository.start_upload());
    for _ in 0..3 {
        upload.put(&blob, "twice").send().expect(201).with("Docker-Content-Digest", &blob);
    }
    upload.put(&digest("another"), "another").send().refused(404, "BLOB_UPLOAD_UNKNOWN");
}

#[test]
fn the_digest_may_stand_anywhere_in_the_query() {
    let repository = Registry::shared().repository();
    for query in ["?digest={}", "?ns=a&digest={}", "?digest={}&state=x%2Fy", "?&a&digest={}&"] {
        let (content, upload) = (format!("query {query}"), repository.start_upload());
        let path = upload.location.clone() + &query.replace("{}", &digest(&content));
        repository.registry.request("PUT", &path).body(&content).send().expect(201);
    }
}

#[test]
fn a_blob_that_is_there_is_pushed_again_without_fuss() {
    let registry = Registry::start();
    let repository = registry.repository();
    for _ in 0..3 {
        repository.push_blob("again");
    }
    repository.pull(&digest("again")).expect(200).brings("again");
    eventually("one copy is left", || {
        (registry.files("").iter().filter(|file| file.starts_with(registry.root().join("docker"))).count() == 1)
            .then_some(())
    });
    eventually("nothing is staged", || registry.files("uploads").is_empty().then_some(()));
}

#[test]
fn a_blob_lies_where_every_registry_of_the_family_keeps_it() {
    let registry = Registry::start();
    let blob = registry.repository().push_blob("familiar");
    let hex = &blob["sha256:".len()..];
    let path = registry.root().join(format!("docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2]));
    assert_eq!(std::fs::read(path).unwrap(), b"familiar");
    assert!(registry.files("uploads").is_empty());
}

#[test]
fn two_repositories_with_one_blob_keep_it_once() {
    let registry = Registry::start();
    let (one, other) = (registry.repository(), registry.repository());
    let blob = one.push_blob("shared");
    other.push_blob("shared");
    one.pull(&blob).expect(200);
    other.pull(&blob).expect(200);
    eventually("one copy is left", || (registry.files("docker").len() == 1).then_some(()));
}

#[test]
fn a_large_blob_takes_little_memory() {
    let registry = Registry::start();
    let (part, parts) = (noise(9, 1 << 20), 96);
    let upload = registry.repository().start_upload();
    let before = registry.most_memory();
    let mut wire = registry.connect();
    wire.begin("PATCH", &upload.location, &[("Transfer-Encoding", "chunked")]);
    for _ in 0..parts {
        wire.send_chunk(&part);
    }
    wire.send_chunk(b"");
    wire.answer().expect(202);
    upload.put(&digest(part.repeat(parts)), "").send().expect(201);
    let more = registry.most_memory() - before;
    assert!(more < 32 << 20, "{more} bytes");
}
