//! Manifests like those of the OCI conformance suite, each pushed with its Content-Type, and those of clients that go their own
//! way. All of them are to be accepted.

use serde_json::{Value, json};

use super::{LAYER, descriptor, image, index, parse, parse_as, with};
use crate::media_type::{DOCKER_MANIFEST_LIST, OCI_EMPTY, OCI_IMAGE_CONFIG, OCI_IMAGE_INDEX, OCI_IMAGE_MANIFEST};
use crate::{Algorithm, Digest, Manifest, Role};

const ARTIFACT: &str = "application/vnd.example.oci.conformance.v1";

#[track_caller]
fn accepted(value: &Value) -> Manifest {
    parse_as(value, value["mediaType"].as_str().unwrap()).unwrap()
}

fn empty() -> Value {
    descriptor(OCI_EMPTY, "{}")
}

fn artifact() -> Value {
    with(image(), json!({"artifactType": ARTIFACT, "config": empty(), "layers": [descriptor(ARTIFACT, "payload")]}))
}

#[test]
fn image_uncompressed() {
    accepted(&with(image(), json!({"layers": [descriptor("application/vnd.oci.image.layer.v1.tar", "layer")]})));
}

#[test]
fn large_manifest() {
    let annotations: Value =
        (0..390).map(|number| (format!("org.example.{number}"), json!("x".repeat(10_000)))).collect();
    let value = with(image(), json!({"annotations": annotations}));
    assert!((3_900_000..4 * 1024 * 1024).contains(&value.to_string().len()));
    assert_eq!(accepted(&value).annotations().len(), 390);
}

#[test]
fn index_of_platforms() {
    let platform = json!({"platform": {"os": "linux", "architecture": "amd64"}});
    accepted(&with(index(), json!({"manifests": [with(descriptor(OCI_IMAGE_MANIFEST, "image"), platform)]})));
}

#[test]
fn nested_index() {
    let children = json!([descriptor(OCI_IMAGE_INDEX, "one"), descriptor(OCI_IMAGE_INDEX, "other")]);
    let manifest = accepted(&with(index(), json!({"manifests": children})));
    assert!(manifest.references().map(|found| found.role).eq([Role::Child, Role::Child]));
}

#[test]
fn empty_index() {
    assert_eq!(accepted(&with(index(), json!({"manifests": []}))).references().count(), 0);
}

#[test]
fn artifacts() {
    assert_eq!(accepted(&artifact()).artifact_type(), Some(ARTIFACT));
    assert_eq!(accepted(&with(index(), json!({"artifactType": ARTIFACT}))).artifact_type(), Some(ARTIFACT));
}

#[test]
fn artifact_without_layers() {
    let manifest = accepted(&with(artifact(), json!({"layers": [empty()]})));
    let of_nothing = Digest::of(Algorithm::Sha256, b"{}");
    let references: Vec<_> = manifest.references().map(|found| (found.role, found.descriptor.digest)).collect();
    assert_eq!(references, [(Role::Config, of_nothing), (Role::Layer, of_nothing)]);
}

#[test]
fn artifacts_with_subject() {
    let subject = descriptor(OCI_IMAGE_MANIFEST, "subject");
    let attached = json!({"subject": subject, "annotations": {"org.example.key": "value"}});
    for value in [artifact(), image(), with(image(), json!({"config": descriptor(ARTIFACT, "{}")})), index()] {
        let manifest = accepted(&with(value, attached.clone()));
        assert_eq!(manifest.subject().unwrap().digest, Digest::of(Algorithm::Sha256, b"subject"));
        assert!(manifest.references().all(|found| found.descriptor.digest != manifest.subject().unwrap().digest));
        assert_eq!(manifest.annotations()["org.example.key"], "value");
    }
}

#[test]
fn data_field() {
    let with_data = |media_type| with(descriptor(media_type, "{}"), json!({"data": "e30="}));
    accepted(&with(image(), json!({"config": with_data(OCI_IMAGE_CONFIG), "layers": [with_data(LAYER)]})));
    accepted(&with(index(), json!({"manifests": [with_data(OCI_IMAGE_MANIFEST)]})));
}

#[test]
fn non_distributable_layers() {
    let urls = json!({"urls": ["https://store.example.com/blobs/sha256/abc"]});
    let foreign = descriptor("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "foreign");
    let manifest = accepted(&with(image(), json!({"layers": [with(foreign, urls), descriptor(LAYER, "layer")]})));
    assert!(manifest.references().map(|found| found.may_be_absent()).eq([false, true, false]));
}

#[test]
fn custom_fields() {
    let custom = json!({"org.7XKQ5ZC2": "value", "other": {"a": [1.5e300, true, null]}});
    let layer = with(descriptor(LAYER, "layer"), custom.clone());
    accepted(&with(with(image(), custom.clone()), json!({"layers": [layer]})));
    accepted(&with(index(), custom));
}

#[test]
fn no_layers() {
    assert_eq!(accepted(&with(image(), json!({"layers": []}))).references().count(), 1);
}

#[test]
fn sha512() {
    let digest = Digest::of(Algorithm::Sha512, b"layer");
    let layer = json!({"mediaType": LAYER, "digest": digest, "size": 5});
    let manifest = accepted(&with(image(), json!({"layers": [layer]})));
    assert_eq!(manifest.references().last().unwrap().descriptor.digest, digest);
}

#[test]
fn build_caches_have_layers_for_children() {
    let children = json!([descriptor(LAYER, "layer"), descriptor("application/vnd.buildkit.cacheconfig.v0", "{}")]);
    let manifest = accepted(&with(index(), json!({"manifests": children})));
    assert_eq!(manifest.references().count(), 2);
}

#[test]
fn old_manifest_lists_have_wrong_sizes() {
    let platform = json!({"size": 0, "platform": {"os": "windows", "architecture": "amd64", "os.version": "10.0"}});
    let child = with(descriptor(OCI_IMAGE_MANIFEST, "image"), platform);
    accepted(&with(index(), json!({"mediaType": DOCKER_MANIFEST_LIST, "manifests": [child]})));
}

#[test]
fn old_builders_leave_out_the_media_type() {
    let value = with(image(), json!({"mediaType": null}));
    assert_eq!(parse(&value).unwrap().media_type(), OCI_IMAGE_MANIFEST);
    assert_eq!(parse_as(&value, OCI_IMAGE_MANIFEST).unwrap().media_type(), OCI_IMAGE_MANIFEST);
}
