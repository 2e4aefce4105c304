//! What a manifest refers to, and what of it has to be there.

use serde_json::{Value, json};

use crate::{
    client::Response,
    content::{CONFIG, FOREIGN_LAYER, IMAGE, INDEX, LAYER, descriptor, digest, image, index, note},
    registry::Registry,
};

/// The digests that a refusal names, in its order; each must be in its message too.
#[track_caller]
fn missing(answer: &Response) -> Vec<String> {
    answer.refused(400, "MANIFEST_BLOB_UNKNOWN");
    let errors = answer.json()["errors"].as_array().unwrap().clone();
    let named = errors.iter().map(|error| {
        let digest = error["detail"]["digest"].as_str().unwrap();
        assert!(error["message"].as_str().unwrap().contains(digest), "{answer}");
        digest.to_owned()
    });
    named.collect()
}

fn with_urls(mut descriptor: Value) -> Value {
    descriptor["urls"] = json!(["https://store.example.com/layer"]);
    descriptor
}

#[test]
fn a_manifest_whose_content_is_missing_names_each_piece() {
    let repository = Registry::shared().repository();
    repository.push_blob("there");
    let layers = ["one", "there", "two", "one"].map(|layer| descriptor(LAYER, layer));
    let manifest = image(&descriptor(CONFIG, "{\"not\":\"there\"}"), &layers).to_string();
    let answer = repository.put("latest", IMAGE, &manifest).send();
    assert_eq!(missing(&answer), [digest("{\"not\":\"there\"}"), digest("one"), digest("two")]);
    repository.get("manifests/latest").refused(404, "MANIFEST_UNKNOWN");
    for part in ["{\"not\":\"there\"}", "one", "two"] {
        repository.push_blob(part);
    }
    repository.push_manifest("latest", IMAGE, &manifest);
}

#[test]
fn a_refused_manifest_makes_no_repository() {
    let repository = Registry::shared().repository();
    let manifest = image(&descriptor(CONFIG, "nowhere"), &[]).to_string();
    missing(&repository.put("latest", IMAGE, manifest).send());
    repository.get("tags/list").refused(404, "NAME_UNKNOWN");
}

#[test]
fn content_of_another_repository_is_missing_until_it_is_mounted() {
    let registry = Registry::shared();
    let (source, target) = (registry.repository(), registry.repository());
    let config = source.push_blob("mount me");
    let manifest = image(&descriptor(CONFIG, "mount me"), &[]).to_string();
    assert_eq!(missing(&target.put("latest", IMAGE, &manifest).send()), [config.as_str()]);
    target.post(&format!("?mount={config}&from={}", source.name)).send().expect(201);
    target.push_manifest("latest", IMAGE, &manifest);
}

#[test]
fn layers_that_are_to_be_had_elsewhere_need_not_be_there() {
    let repository = Registry::shared().repository();
    repository.push_blob("{}");
    let config = descriptor(CONFIG, "{}");
    for layer in [
        with_urls(descriptor(FOREIGN_LAYER, "windows")),
        descriptor(FOREIGN_LAYER, "windows"),
        with_urls(descriptor("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "windows")),
        with_urls(descriptor(LAYER, "windows")),
    ] {
        repository.push_manifest("latest", IMAGE, image(&config, &[layer]).to_string());
    }
    let other = image(&config, &[with_urls(descriptor(FOREIGN_LAYER, "windows")), descriptor(LAYER, "a normal one")]);
    assert_eq!(missing(&repository.put("latest", IMAGE, other.to_string()).send()), [digest("a normal one")]);
}

#[test]
fn a_foreign_layer_that_comes_after_all_is_had() {
    let repository = Registry::shared().repository();
    repository.push_blob("{}");
    let manifest = image(&descriptor(CONFIG, "{}"), &[with_urls(descriptor(FOREIGN_LAYER, "late"))]).to_string();
    repository.push_manifest("latest", IMAGE, &manifest);
    let layer = repository.push_blob("late");
    repository.pull(&layer).expect(200).brings("late");
    repository.push_manifest("again", IMAGE, &manifest);
}

#[test]
fn an_image_without_layers_is_taken() {
    let repository = Registry::shared().repository();
    repository.push_blob("{}");
    repository.push_manifest("latest", IMAGE, image(&descriptor(CONFIG, "{}"), &[]).to_string());
}

#[test]
fn an_index_of_nothing_is_taken() {
    let repository = Registry::shared().repository();
    repository.push_manifest("latest", INDEX, index(&[]).to_string());
}

#[test]
fn an_index_needs_its_children() {
    let repository = Registry::shared().repository();
    let (one, two) = (note("child one"), note("child two"));
    let parent = index(&[descriptor(INDEX, &one), descriptor(INDEX, &two)]).to_string();
    assert_eq!(missing(&repository.put("latest", INDEX, &parent).send()), [digest(&one), digest(&two)]);
    repository.put(&digest(&one), INDEX, &one).send().expect(201);
    assert_eq!(missing(&repository.put("latest", INDEX, &parent).send()), [digest(&two)]);
    repository.put(&digest(&two), INDEX, &two).send().expect(201);
    repository.push_manifest("latest", INDEX, &parent);
}

#[test]
fn a_child_of_another_repository_is_missing() {
    let registry = Registry::shared();
    registry.repository().push_manifest("latest", INDEX, note("far away"));
    let parent = index(&[descriptor(INDEX, note("far away"))]).to_string();
    assert_eq!(missing(&registry.repository().put("latest", INDEX, parent).send()), [digest(note("far away"))]);
}

#[test]
fn an_index_may_list_indexes() {
    let repository = Registry::shared().repository();
    let image = repository.push_parts_of_image();
    repository.put(&digest(&image), IMAGE, &image).send().expect(201);
    let inner = index(&[descriptor(IMAGE, &image)]).to_string();
    repository.put(&digest(&inner), INDEX, &inner).send().expect(201);
    let outer = index(&[descriptor(INDEX, &inner), descriptor(IMAGE, &image)]).to_string();
    repository.push_manifest("latest", INDEX, &outer);
    repository.get("manifests/latest").expect(200).brings(&outer);
}

#[test]
fn an_index_may_list_blobs_as_build_caches_do() {
    let repository = Registry::shared().repository();
    repository.push_blob("cached layer");
    repository.push_blob("cache config");
    let cache = index(&[
        descriptor(LAYER, "cached layer"),
        descriptor("application/vnd.buildkit.cacheconfig.v0", "cache config"),
    ]);
    repository.push_manifest("cache", INDEX, cache.to_string());
    let missing_one = index(&[descriptor(LAYER, "cached layer"), descriptor(LAYER, "never pushed")]);
    assert_eq!(missing(&repository.put("cache", INDEX, missing_one.to_string()).send()), [digest("never pushed")]);
}

#[test]
fn an_images_layer_is_a_blob_and_not_a_manifest() {
    let repository = Registry::shared().repository();
    repository.push_blob("{}");
    repository.push_manifest("inner", INDEX, note("a manifest"));
    let manifest = image(&descriptor(CONFIG, "{}"), &[descriptor(LAYER, note("a manifest"))]).to_string();
    assert_eq!(missing(&repository.put("latest", IMAGE, manifest).send()), [digest(note("a manifest"))]);
}

#[test]
fn a_subject_need_not_be_there() {
    let repository = Registry::shared().repository();
    repository.push_blob("{}");
    for (tag, media_type, mut manifest) in
        [("image", IMAGE, image(&descriptor(CONFIG, "{}"), &[])), ("index", INDEX, index(&[]))]
    {
        manifest["subject"] = descriptor(IMAGE, "never pushed");
        repository.push_manifest(tag, media_type, manifest.to_string());
        repository.get(&format!("manifests/{tag}")).expect(200).brings(manifest.to_string());
    }
}

#[test]
fn one_piece_of_content_may_be_named_many_times() {
    let repository = Registry::shared().repository();
    repository.push_blob("{}");
    let layers = vec![descriptor(LAYER, "{}"); 200];
    repository.push_manifest("latest", IMAGE, image(&descriptor(CONFIG, "{}"), &layers).to_string());
}

#[test]
fn sizes_that_are_wrong_are_not_compared() {
    let repository = Registry::shared().repository();
    repository.push_blob("{}");
    let mut config = descriptor(CONFIG, "{}");
    config["size"] = json!(i64::MAX);
    repository.push_manifest("latest", IMAGE, image(&config, &[config.clone()]).to_string());
}
