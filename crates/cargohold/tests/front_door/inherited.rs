//! A registry on a configuration of the CNCF registry (`version: 0.1`): what its keys change for clients.

use serde_json::json;

use crate::{
    content::{CONFIG, IMAGE, INDEX, LAYER, descriptor, image, index, note},
    registry::{Registry, Signal},
};

fn inherited(more: &str) -> std::sync::Arc<Registry> {
    Registry::configured(&format!("version: 0.1\nstorage:\n  filesystem: {{}}\n{more}"))
}

#[test]
fn deletions_are_off_until_they_are_enabled() {
    let repository = inherited("").repository();
    let digest = repository.push_manifest("latest", INDEX, note("kept"));
    let blob = repository.push_blob("a blob");
    for path in ["manifests/latest".to_owned(), format!("manifests/{digest}"), format!("blobs/{blob}")] {
        let answer = repository.delete(&path);
        assert!(answer.header("Allow").unwrap().starts_with("GET, HEAD"));
        let message = answer.refused(405, "UNSUPPORTED");
        assert!(message.contains("storage.delete.enabled"), "{message}");
    }
    repository.get("manifests/latest").expect(200);
    let repository = inherited("  delete:\n    enabled: true\n").repository();
    repository.push_manifest("latest", INDEX, note("gone"));
    repository.delete("manifests/latest").expect(202);
}

#[test]
fn read_only_is_for_reading_only() {
    let registry = inherited("");
    registry.named("facts/read-only").push_manifest("latest", INDEX, note("kept"));
    registry.reconfigure("version: 0.1\nstorage: {filesystem: {}, maintenance: {readonly: {enabled: true}}}\n");
    registry.restart(Signal::TERM);
    let repository = registry.named("facts/read-only");
    repository.get("manifests/latest").expect(200);
    repository.put("other", INDEX, note("refused")).send().refused(405, "UNSUPPORTED");
    repository.request("POST", "blobs/uploads/").send().refused(405, "UNSUPPORTED");
    repository.delete("manifests/latest").refused(405, "UNSUPPORTED");
}

#[test]
fn the_pages_of_lists_are_as_long_as_it_says() {
    let registry = inherited("catalog: {maxentries: 2}\ntags: {maxtags: 2}\n");
    for name in ["facts/a", "facts/b", "facts/c"] {
        for tag in ["x", "y", "z"] {
            registry.named(name).push_manifest(tag, INDEX, note(tag));
        }
    }
    for query in ["", "?n=100"] {
        let catalog = registry.get(&format!("/v2/_catalog{query}")).expect(200);
        assert_eq!(catalog.json()["repositories"], json!(["facts/a", "facts/b"]), "{query}");
        let tags = registry.get(&format!("/v2/facts/a/tags/list{query}")).expect(200);
        assert_eq!(tags.json()["tags"], json!(["x", "y"]), "{query}");
        assert!(tags.header("Link").unwrap().contains("last=y&n=2"));
    }
}

/// An image whose layer says that it is at an address.
fn elsewhere(url: &str) -> String {
    let mut layer = descriptor(LAYER, "somewhere else");
    layer["urls"] = json!([url]);
    image(&descriptor(CONFIG, "{}"), &[layer]).to_string()
}

#[test]
fn layers_elsewhere_are_taken_where_the_file_allows_them() {
    let example = r"validation: {manifests: {urls: {allow: ['^https?://([^/]+\.)*example\.com/'], deny: ['^https?://www\.example\.com/']}}}";
    for (configuration, url, allowed) in [
        ("", "https://example.com/layer", false),
        ("validation: {disabled: true}", "https://example.com/layer", true),
        (example, "https://files.example.com/layer", true),
        (example, "https://www.example.com/layer", false),
        (example, "https://elsewhere.org/layer", false),
        (example, "https://example.com/layer#part", false),
        (example, "ftp://example.com/layer", false),
        ("validation: {manifests: {urls: {deny: ['^http:']}}}", "https://anywhere.org/layer", true),
        ("validation: {manifests: {urls: {deny: ['^http:']}}}", "http://anywhere.org/layer", false),
    ] {
        let repository = inherited(configuration).repository();
        repository.push_blob("{}");
        let answer = repository.put("latest", IMAGE, elsewhere(url)).send();
        if allowed {
            answer.expect(201);
        } else {
            let message = answer.refused(400, "MANIFEST_INVALID");
            assert!(message.contains(url), "{message}");
        }
    }
}

#[test]
fn an_index_needs_the_children_for_the_platforms_that_it_says() {
    let child = |platform: serde_json::Value| {
        let mut child = descriptor(IMAGE, platform.to_string());
        child["platform"] = platform;
        child
    };
    let (amd, arm) = (json!({"architecture": "amd64", "os": "linux"}), json!({"architecture": "arm64", "os": "linux"}));
    let amd = index(&[child(amd)]).to_string();
    let arm = index(&[child(arm)]).to_string();
    for (configuration, index, taken) in [
        ("", &arm, false),
        ("validation: {manifests: {indexes: {platforms: none}}}", &arm, true),
        (
            "validation: {manifests: {indexes: {platforms: list, platformlist: [{architecture: amd64, os: linux}]}}}",
            &arm,
            true,
        ),
        (
            "validation: {manifests: {indexes: {platforms: list, platformlist: [{architecture: amd64, os: linux}]}}}",
            &amd,
            false,
        ),
    ] {
        let answer = inherited(configuration).repository().put("latest", INDEX, index.clone()).send();
        if taken {
            answer.expect(201);
        } else {
            answer.refused(400, "MANIFEST_BLOB_UNKNOWN");
        }
    }
}
