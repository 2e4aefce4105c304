//! Blobs for readers.

use crate::{
    content::{digest, noise, sha512},
    registry::Registry,
};

#[test]
fn a_blob_comes_with_all_that_clients_look_for() {
    let repository = Registry::shared().repository();
    let blob = repository.push_blob("a layer");
    for method in ["GET", "HEAD"] {
        let answer = repository.request(method, &format!("blobs/{blob}")).send().expect(200);
        let answer =
            answer.with("Content-Length", "7").with("Docker-Content-Digest", &blob).with("ETag", format!("\"{blob}\""));
        let answer = answer.with("Content-Type", "application/octet-stream").with("Accept-Ranges", "bytes");
        let answer =
            answer.with("Cache-Control", "max-age=31536000").without("Content-Encoding").without("Transfer-Encoding");
        answer.brings(if method == "GET" { "a layer" } else { "" });
    }
}

#[test]
fn a_blob_comes_back_byte_for_byte_whatever_its_length() {
    let repository = Registry::shared().repository();
    for length in [1, 2, 4095, 4096, 262_143, 262_144, 262_145, 1 << 20, (3 << 20) + 7] {
        let content = noise(1, length);
        let blob = repository.push_blob(&content);
        repository.pull(&blob).expect(200).with("Content-Length", length.to_string()).brings(&content);
        repository.head(&format!("blobs/{blob}")).expect(200).with("Content-Length", length.to_string());
    }
}

#[test]
fn the_answer_to_a_head_has_no_body() {
    let repository = Registry::shared().repository();
    let blob = repository.path(&format!("blobs/{}", repository.push_blob("headless")));
    let mut wire = repository.registry.connect();
    wire.begin("HEAD", &blob, &[]);
    wire.answer_head().expect(200).with("Content-Length", "8");
    wire.begin("GET", &blob, &[]);
    wire.answer().expect(200).brings("headless");
}

#[test]
fn a_blob_is_unknown_in_a_repository_that_it_was_not_pushed_to() {
    let registry = Registry::shared();
    let blob = registry.repository().push_blob("elsewhere");
    let other = registry.repository();
    other.pull(&blob).refused(404, "BLOB_UNKNOWN");
    assert_eq!(other.head(&format!("blobs/{blob}")).status, 404);
    other.push_blob("something");
    other.pull(&blob).refused(404, "BLOB_UNKNOWN");
}

#[test]
fn the_same_bytes_by_another_algorithm_are_another_blob() {
    let repository = Registry::shared().repository();
    repository.push_blob("one content");
    repository.pull(&sha512("one content")).refused(404, "BLOB_UNKNOWN");
}

#[test]
fn whoever_has_the_blob_is_not_sent_it_again() {
    let repository = Registry::shared().repository();
    let blob = repository.push_blob("cached");
    for tag in
        [format!("\"{blob}\""), blob.clone(), format!("W/\"{blob}\""), format!("\"x\", \"{blob}\""), "*".to_owned()]
    {
        let answer = repository.request("GET", &format!("blobs/{blob}")).header("If-None-Match", tag).send();
        answer.expect(304).with("ETag", format!("\"{blob}\"")).brings("");
    }
    let answer = repository.request("GET", &format!("blobs/{blob}")).header("If-None-Match", "\"other\"").send();
    answer.expect(200).brings("cached");
}

#[test]
fn a_head_of_a_blob_that_the_client_has_is_not_modified() {
    let repository = Registry::shared().repository();
    let blob = repository.push_blob("cached heads");
    let head = |tag: &str| repository.request("HEAD", &format!("blobs/{blob}")).header("If-None-Match", tag).send();
    head(&blob).expect(304).with("Docker-Content-Digest", &blob);
    head("\"other\"").expect(200).with("Content-Length", "12");
}

#[test]
fn an_answer_of_not_modified_ends_where_the_next_one_begins() {
    let repository = Registry::shared().repository();
    let blob = repository.push_blob("not modified");
    let mut wire = repository.registry.connect();
    wire.begin("GET", &repository.path(&format!("blobs/{blob}")), &[("If-None-Match", &blob)]);
    wire.answer_head().expect(304);
    wire.begin("GET", "/v2/", &[]);
    wire.answer().expect(200).brings("{}");
}

#[test]
fn a_blob_is_never_compressed_on_its_way() {
    let repository = Registry::shared().repository();
    let content = "compress me ".repeat(1000);
    let blob = repository.push_blob(&content);
    let answer = repository
        .request("GET", &format!("blobs/{blob}"))
        .header("Accept-Encoding", "zstd;q=1.0, gzip;q=0.8, deflate;q=0.5")
        .send();
    answer.expect(200).without("Content-Encoding").with("Content-Length", content.len().to_string()).brings(&content);
}

#[test]
fn a_client_that_hangs_up_does_no_harm() {
    let repository = Registry::shared().repository();
    let content = noise(2, 8 << 20);
    let blob = repository.push_blob(&content);
    for _ in 0..4 {
        let mut wire = repository.registry.connect();
        wire.begin("GET", &repository.path(&format!("blobs/{blob}")), &[]);
        wire.answer_head().expect(200);
        wire.hang_up();
    }
    repository.pull(&blob).expect(200).brings(&content);
}

#[test]
fn many_readers_of_one_blob_all_get_it() {
    let repository = Registry::shared().repository();
    let content = noise(3, 1 << 20);
    let blob = repository.push_blob(&content);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(digest(repository.pull(&blob).expect(200).body), blob));
        }
    });
}
