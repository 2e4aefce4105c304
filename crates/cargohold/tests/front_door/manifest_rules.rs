//! Which manifests are taken and which are refused, by what they say they are.

use serde_json::{Value, json};

use crate::{
    content::{CONFIG, DOCKER_IMAGE, DOCKER_LIST, IMAGE, INDEX, LAYER, descriptor, image, index, note},
    registry::Registry,
    repository::Repository,
};

/// A repository with the content that the manifests here refer to.
fn repository() -> Repository {
    let repository = Registry::shared().repository();
    repository.push_blob("{}");
    repository
}

fn empty_image() -> Value {
    image(&descriptor(CONFIG, "{}"), &[])
}

fn without(mut manifest: Value, key: &str) -> Value {
    manifest.as_object_mut().unwrap().remove(key);
    manifest
}

fn with(mut manifest: Value, key: &str, value: Value) -> Value {
    manifest[key] = value;
    manifest
}

#[track_caller]
fn refused(media_type: &str, manifest: &Value) -> String {
    repository().put("latest", media_type, manifest.to_string()).send().refused(400, "MANIFEST_INVALID")
}

#[test]
fn all_four_types_are_taken_and_served_as_what_they_are() {
    let repository = repository();
    for (media_type, manifest) in
        [(IMAGE, empty_image()), (DOCKER_IMAGE, empty_image()), (INDEX, index(&[])), (DOCKER_LIST, index(&[]))]
    {
        let manifest = with(manifest, "mediaType", json!(media_type)).to_string();
        repository.push_manifest("latest", media_type, &manifest);
        repository.get("manifests/latest").expect(200).with("Content-Type", media_type).brings(manifest);
    }
}

#[test]
fn parameters_of_the_content_type_are_dropped() {
    let repository = repository();
    repository.put("latest", &format!("{INDEX}; charset=utf-8"), note("java")).send().expect(201);
    repository.get("manifests/latest").expect(200).with("Content-Type", INDEX);
}

#[test]
fn a_type_that_says_nothing_is_looked_up_in_the_body() {
    let repository = repository();
    let docker = with(empty_image(), "mediaType", json!(DOCKER_IMAGE)).to_string();
    for generic in ["application/octet-stream", "application/json", "application/json; charset=utf-8"] {
        repository.put("latest", generic, &docker).send().expect(201);
        repository.get("manifests/latest").expect(200).with("Content-Type", DOCKER_IMAGE);
    }
    repository.request("PUT", "manifests/none").body(&docker).send().expect(201);
    repository.get("manifests/none").expect(200).with("Content-Type", DOCKER_IMAGE);
}

#[test]
fn a_manifest_that_names_no_type_is_known_by_its_shape() {
    let repository = repository();
    for (manifest, media_type) in [(empty_image(), IMAGE), (index(&[]), INDEX)] {
        repository.put("latest", "application/json", without(manifest, "mediaType").to_string()).send().expect(201);
        repository.get("manifests/latest").expect(200).with("Content-Type", media_type);
    }
}

#[test]
fn an_oci_manifest_need_not_repeat_its_type() {
    let repository = repository();
    repository.push_manifest("latest", IMAGE, without(empty_image(), "mediaType").to_string());
    repository.get("manifests/latest").expect(200).with("Content-Type", IMAGE);
}

#[test]
fn two_types_that_differ_are_refused() {
    refused(INDEX, &with(index(&[]), "mediaType", json!(DOCKER_LIST)));
    refused(IMAGE, &with(empty_image(), "mediaType", json!(DOCKER_IMAGE)));
    refused(INDEX, &empty_image());
    refused(IMAGE, &index(&[]));
    refused(IMAGE, &without(index(&[]), "mediaType"));
    refused(INDEX, &without(empty_image(), "mediaType"));
}

#[test]
fn a_type_that_is_no_manifests_is_refused() {
    refused("text/plain", &empty_image());
    refused("application/vnd.example.manifest.v1+json", &empty_image());
    refused("application/json", &with(empty_image(), "mediaType", json!("application/vnd.example+json")));
    refused("application/json", &json!({ "schemaVersion": 2 }));
}

#[test]
fn a_document_that_could_be_either_is_refused() {
    refused(IMAGE, &with(empty_image(), "manifests", json!([])));
    refused(INDEX, &with(index(&[]), "layers", json!([])));
    refused(INDEX, &with(index(&[]), "config", descriptor(CONFIG, "{}")));
}

#[test]
fn schema_1_is_refused_with_what_to_do_about_it() {
    let old =
        json!({ "schemaVersion": 1, "name": "a", "tag": "b", "architecture": "amd64", "fsLayers": [], "history": [] });
    for media_type in [
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        "application/json",
        "",
        IMAGE,
    ] {
        let message = refused(media_type, &old);
        assert!(message.contains("schema 1 not supported") && message.contains("push the image again"), "{message}");
    }
}

#[test]
fn what_is_not_json_or_lacks_what_it_needs_is_refused() {
    let repository = repository();
    for broken in ["", "{", "not json", "[]", "null", "{} {}", "\u{feff}{}"] {
        repository.put("latest", IMAGE, broken).send().refused(400, "MANIFEST_INVALID");
    }
    refused(IMAGE, &with(empty_image(), "schemaVersion", json!(3)));
    refused(IMAGE, &without(empty_image(), "schemaVersion"));
    refused(IMAGE, &without(empty_image(), "config"));
    refused(IMAGE, &without(empty_image(), "layers"));
    refused(INDEX, &without(index(&[]), "manifests"));
    refused(DOCKER_IMAGE, &without(empty_image(), "mediaType"));
    repository.get("manifests/latest").refused(404, "MANIFEST_UNKNOWN");
}

#[test]
fn a_descriptor_that_is_wrong_is_refused_and_named() {
    for (key, value) in [
        ("digest", json!("sha256:abc")),
        ("digest", json!("md5:d41d8cd98f00b204e9800998ecf8427e")),
        ("digest", json!(7)),
        ("size", json!(-1)),
        ("size", json!("2")),
        ("size", json!(1.5)),
        ("mediaType", json!(null)),
    ] {
        let layer = with(descriptor(LAYER, "{}"), key, value);
        let message = refused(IMAGE, &image(&descriptor(CONFIG, "{}"), &[descriptor(LAYER, "{}"), layer]));
        assert!(message.contains("layers[1]"), "{message}");
    }
}

#[test]
fn what_nests_without_end_is_refused() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let manifest = format!("{{\"schemaVersion\":2,\"manifests\":[],\"x\":{deep}}}");
    repository().put("latest", INDEX, manifest).send().refused(400, "MANIFEST_INVALID");
}

#[test]
fn artifacts_of_any_type_are_taken() {
    let repository = repository();
    let empty = descriptor("application/vnd.oci.empty.v1+json", "{}");
    let artifact =
        with(image(&empty, std::slice::from_ref(&empty)), "artifactType", json!("application/vnd.example.sbom"));
    repository.push_manifest("artifact", IMAGE, artifact.to_string());
    let odd = image(&descriptor("application/vnd.example.strange", "{}"), &[descriptor("text/strange; a=b", "{}")]);
    repository.push_manifest("odd", IMAGE, odd.to_string());
    let indexed =
        with(index(&[descriptor(IMAGE, odd.to_string())]), "artifactType", json!("application/vnd.example.set"));
    repository.push_manifest("index", INDEX, indexed.to_string());
}

#[test]
fn content_inside_a_descriptor_is_kept_as_it_is() {
    let repository = repository();
    let config = with(descriptor(CONFIG, "{}"), "data", json!("e30="));
    let manifest = with(image(&config, &[]), "org.example.unknown", json!({ "a": [1, { "b": null }] })).to_string();
    repository.push_manifest("latest", IMAGE, &manifest);
    repository.get("manifests/latest").expect(200).brings(manifest);
}

#[test]
fn one_byte_more_than_the_limit_is_too_large() {
    let repository = repository();
    let manifest = crate::manifests::large(4 * 1024 * 1024 + 1);
    for chunked in [false, true] {
        let mut wire = repository.registry.connect();
        let (length, announced) =
            (manifest.len().to_string(), if chunked { "Transfer-Encoding" } else { "Content-Length" });
        let value = if chunked { "chunked" } else { length.as_str() };
        wire.begin("PUT", &repository.path("manifests/latest"), &[("Content-Type", INDEX), (announced, value)]);
        if chunked {
            wire.send_chunk(&manifest);
            wire.send_chunk(b"");
        } else {
            wire.send(&manifest);
        }
        let message = wire.answer().refused(413, "SIZE_INVALID");
        assert!(message.contains("4194304"), "{message}");
    }
    repository.get("manifests/latest").refused(404, "MANIFEST_UNKNOWN");
}
