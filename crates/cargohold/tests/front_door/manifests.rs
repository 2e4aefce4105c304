//! Manifests: kept and served byte for byte, under tags and digests.

use serde_json::json;

use crate::{
    content::{CONFIG, DOCKER_IMAGE, DOCKER_LIST, IMAGE, INDEX, descriptor, digest, image, index, note, sha512},
    registry::Registry,
};

#[test]
fn an_image_is_pushed_and_pulled() {
    let repository = Registry::shared().repository();
    let manifest = repository.push_parts_of_image();
    let named = digest(&manifest);
    let answer = repository.put("v1", IMAGE, &manifest).send().expect(201).with("Docker-Content-Digest", &named);
    assert_eq!(answer.location(), repository.path(&format!("manifests/{named}")));
    let answer = answer.with("Content-Length", "0");
    repository.registry.get(answer.location()).expect(200).with("Content-Type", IMAGE).brings(&manifest);
    repository.get("manifests/v1").expect(200).with("Content-Type", IMAGE).brings(&manifest);
}

#[test]
fn a_head_tells_type_length_and_digest() {
    let repository = Registry::shared().repository();
    let manifest = note("heads");
    let named = repository.push_manifest("v1", INDEX, &manifest);
    for reference in ["v1", &named] {
        for method in ["GET", "HEAD"] {
            let answer = repository.request(method, &format!("manifests/{reference}")).send().expect(200);
            let answer = answer.with("Content-Type", INDEX).with("Content-Length", manifest.len().to_string());
            let answer = answer.with("Docker-Content-Digest", &named).with("ETag", format!("\"{named}\""));
            answer.without("Content-Encoding").brings(if method == "GET" { manifest.as_slice() } else { b"" });
        }
    }
}

#[test]
fn every_byte_is_kept() {
    let repository = Registry::shared().repository();
    let blob = repository.push_blob("{}");
    let written = format!(
        "\n {{\"x-unknown\": {{\"deep\":[1,2.50,1e3,null]}}, \"schemaVersion\":2,\t\"config\":{{\"size\":2,\"digest\":\"{blob}\",\
         \"mediaType\":\"application/vnd.example.config\",\"data\":\"e30=\",\"x\":\"\\u00fc\"}}, \"layers\":[ ],\r\n\
         \"annotations\":{{\"z\":\"1\",\"a\":\"\\/\"}} }} \n\n"
    );
    repository.push_manifest("odd", IMAGE, &written);
    repository.get("manifests/odd").expect(200).with("Docker-Content-Digest", digest(&written)).brings(&written);
    repository.push_manifest("odd", IMAGE, written.trim());
    repository.get("manifests/odd").expect(200).brings(written.trim());
    repository.get(&format!("manifests/{}", digest(&written))).expect(200).brings(&written);
}

#[test]
fn a_manifest_comes_without_a_length() {
    let repository = Registry::shared().repository();
    let manifest = repository.push_parts_of_image();
    let put = repository.request("PUT", "manifests/stream").header("Content-Type", IMAGE);
    put.chunked(&manifest).send().expect(201);
    repository.get("manifests/stream").expect(200).brings(&manifest);
}

#[test]
fn a_manifest_pushed_by_its_digest_has_no_tag() {
    let repository = Registry::shared().repository();
    let manifest = note("by digest");
    let named = digest(&manifest);
    repository.put(&named, INDEX, &manifest).send().expect(201).with("Docker-Content-Digest", &named);
    repository.get(&format!("manifests/{named}")).expect(200).brings(&manifest);
    assert_eq!(repository.get("tags/list").json()["tags"], json!([]));
}

#[test]
fn a_manifest_that_is_not_what_was_named_is_refused() {
    let repository = Registry::shared().repository();
    let (manifest, named) = (note("named"), digest(note("named")));
    let longer = [manifest.as_slice(), b"  "].concat();
    let message = repository.put(&named, INDEX, &longer).send().refused(400, "DIGEST_INVALID");
    assert!(message.contains(&named) && message.contains(&digest(&longer)), "{message}");
    repository.get(&format!("manifests/{named}")).refused(404, "MANIFEST_UNKNOWN");
    repository.get(&format!("manifests/{}", digest(&longer))).refused(404, "MANIFEST_UNKNOWN");
}

#[test]
fn a_manifest_is_pushed_by_its_sha512_digest() {
    let repository = Registry::shared().repository();
    let manifest = repository.push_parts_of_image();
    let named = sha512(&manifest);
    let answer = repository.put(&named, IMAGE, &manifest).send().expect(201).with("Docker-Content-Digest", &named);
    repository.registry.get(answer.location()).expect(200).with("Docker-Content-Digest", &named).brings(&manifest);
    repository.head(&format!("manifests/{named}")).expect(200).with("Docker-Content-Digest", &named);
    repository.get(&format!("manifests/{}", digest(&manifest))).refused(404, "MANIFEST_UNKNOWN");
}

#[test]
fn a_sha512_manifest_may_name_sha512_content() {
    let repository = Registry::shared().repository();
    let config = sha512("{}");
    repository.start_upload().put(&config, "{}").send().expect(201);
    let child = image(&json!({ "mediaType": CONFIG, "digest": config, "size": 2 }), &[]).to_string();
    repository.put(&sha512(&child), IMAGE, &child).send().expect(201);
    let parent = index(&[json!({ "mediaType": IMAGE, "digest": sha512(&child), "size": child.len() })]).to_string();
    repository.put(&sha512(&parent), INDEX, &parent).send().expect(201);
    let by_another_name = index(&[descriptor(IMAGE, &child)]).to_string();
    repository.put("latest", INDEX, by_another_name).send().refused(400, "MANIFEST_BLOB_UNKNOWN");
}

#[test]
fn pushing_the_same_again_succeeds() {
    let repository = Registry::shared().repository();
    for _ in 0..3 {
        repository.push_manifest("same", INDEX, note("same"));
        repository.put(&digest(note("same")), INDEX, note("same")).send().expect(201);
    }
    repository.get("manifests/same").expect(200).brings(note("same"));
}

#[test]
fn a_tag_moves_to_what_was_pushed_last() {
    let repository = Registry::shared().repository();
    let old = repository.push_manifest("latest", INDEX, note("old"));
    let new = repository.push_manifest("latest", INDEX, note("new"));
    repository.head("manifests/latest").expect(200).with("Docker-Content-Digest", &new);
    repository.get(&format!("manifests/{old}")).expect(200).brings(note("old"));
    repository.push_manifest("latest", INDEX, note("old"));
    repository.head("manifests/latest").expect(200).with("Docker-Content-Digest", &old);
}

#[test]
fn several_tags_may_name_one_manifest() {
    let repository = Registry::shared().repository();
    for tag in ["1", "1.2", "1.2.3", "latest"] {
        repository.push_manifest(tag, INDEX, note("tagged"));
    }
    repository.push_manifest("latest", INDEX, note("newer"));
    repository.get("manifests/1.2").expect(200).brings(note("tagged"));
}

#[test]
fn a_manifest_is_unknown_in_a_repository_that_it_was_not_pushed_to() {
    let registry = Registry::shared();
    let (one, other) = (registry.repository(), registry.repository());
    let named = one.push_manifest("latest", INDEX, note("elsewhere"));
    other.get("manifests/latest").refused(404, "MANIFEST_UNKNOWN");
    other.get(&format!("manifests/{named}")).refused(404, "MANIFEST_UNKNOWN");
    other.push_manifest("latest", INDEX, note("something"));
    other.get(&format!("manifests/{named}")).refused(404, "MANIFEST_UNKNOWN");
    assert_eq!(other.head(&format!("manifests/{named}")).status, 404);
}

#[test]
fn the_same_bytes_in_two_repositories_are_two_manifests() {
    let registry = Registry::shared();
    let (one, other) = (registry.repository(), registry.repository());
    for repository in [&one, &other] {
        repository.push_manifest("latest", INDEX, note("both"));
    }
    one.push_manifest("latest", INDEX, note("only one moves"));
    one.get("manifests/latest").expect(200).brings(note("only one moves"));
    other.get("manifests/latest").expect(200).brings(note("both"));
    one.get(&format!("manifests/{}", digest(note("both")))).expect(200).brings(note("both"));
}

#[test]
fn whoever_has_the_manifest_is_not_sent_it_again() {
    let repository = Registry::shared().repository();
    let named = repository.push_manifest("latest", INDEX, note("cached"));
    for method in ["GET", "HEAD"] {
        for reference in ["latest", &named] {
            let ask = |tag: &str| {
                repository.request(method, &format!("manifests/{reference}")).header("If-None-Match", tag).send()
            };
            ask(&format!("\"{named}\"")).expect(304).with("Docker-Content-Digest", &named).brings("");
            ask(&named).expect(304);
            ask("\"other\"").expect(200);
        }
    }
}

#[test]
fn what_is_stored_is_served_whatever_the_client_accepts() {
    let repository = Registry::shared().repository();
    let named = repository.push_manifest("latest", INDEX, note("accepted"));
    for accept in [
        IMAGE,
        DOCKER_IMAGE,
        "*/*",
        "application/json",
        "",
        "text/html;q=0.1",
        "application/vnd.oci.image.index.v1+json;q=0.5",
    ] {
        for method in ["GET", "HEAD"] {
            let answer = repository.request(method, "manifests/latest").header("Accept", accept).send();
            answer.expect(200).with("Content-Type", INDEX).with("Docker-Content-Digest", &named);
        }
    }
    let many = repository.request("GET", "manifests/latest").header("Accept", DOCKER_LIST).header("Accept", IMAGE);
    many.send().expect(200).with("Content-Type", INDEX);
}

#[test]
fn a_manifest_that_is_large_but_not_too_large_is_taken() {
    let registry = Registry::shared();
    let repository = registry.repository();
    let largest = large(4 * 1024 * 1024);
    repository.push_manifest("sized", INDEX, &largest);
    repository.request("PUT", "manifests/chunked").header("Content-Type", INDEX).chunked(&largest).send().expect(201);
    repository.get("manifests/sized").expect(200).with("Content-Length", largest.len().to_string()).brings(&largest);
    repository.get("manifests/chunked").expect(200).brings(&largest);
}

/// A manifest of that length. No part of it is long, as in the conformance suite.
pub(crate) fn large(length: usize) -> Vec<u8> {
    let with = |count: usize, last: usize| {
        let mut manifest = index(&[]);
        let notes = (0..count).map(|n| (format!("note{n:05}"), json!("x".repeat(10_000))));
        manifest["annotations"] = notes.chain([("last".to_owned(), json!("x".repeat(last)))]).collect();
        manifest.to_string().into_bytes()
    };
    let count = length / 10_100;
    let fixed = with(count, 0).len();
    let manifest = with(count, length - fixed);
    assert_eq!(manifest.len(), length);
    manifest
}

#[test]
fn a_manifest_put_by_its_digest_gets_the_tags_that_the_request_names() {
    let repository = Registry::shared().repository();
    let manifest = note("tagged");
    for digest in [digest(&manifest), sha512(&manifest)] {
        let answer = repository.put(&format!("{digest}?tag=first&tag=v1.0%2D1&tag=first"), INDEX, &manifest).send();
        assert_eq!(answer.expect(201).values("OCI-Tag"), ["first", "v1.0-1"]);
        for tag in ["first", "v1.0-1"] {
            repository.get(&format!("manifests/{tag}")).expect(200).with("Docker-Content-Digest", &digest);
        }
    }
}

#[test]
fn a_bad_tag_among_several_or_too_many_of_them_refuse_the_manifest() {
    let repository = Registry::shared().repository();
    let manifest = note("refused");
    let digest = digest(&manifest);
    repository.put(&format!("{digest}?tag=good&tag=-bad"), INDEX, &manifest).send().refused(400, "TAG_INVALID");
    let many = (0..101).map(|number| format!("tag=t{number}")).collect::<Vec<_>>().join("&");
    repository.put(&format!("{digest}?{many}"), INDEX, &manifest).send().refused(414, "TAG_INVALID");
    repository.get("manifests/good").refused(404, "MANIFEST_UNKNOWN");
    repository.get(&format!("manifests/{digest}")).refused(404, "MANIFEST_UNKNOWN");
}
