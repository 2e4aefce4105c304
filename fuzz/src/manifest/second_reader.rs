//! A manifest as JSON of any shape, in which the last of equal keys counts: what it says must be what the manifest holds, and no
//! reader that does not tell upper from lower case may see anything else.

use std::collections::BTreeMap;

use cargohold_oci::{Descriptor, Manifest, Role};
use serde_json::Value;

const KEYS: [&str; 9] = [
    "schemaVersion",
    "mediaType",
    "artifactType",
    "config",
    "layers",
    "manifests",
    "subject",
    "annotations",
    "fsLayers",
];
const DESCRIPTOR_KEYS: [&str; 6] = ["mediaType", "digest", "size", "artifactType", "urls", "annotations"];

/// Holds a manifest against what it was read from.
pub(super) fn check(manifest: &Manifest, value: &Value) {
    check_keys(value, &KEYS);
    assert_eq!(value["schemaVersion"].as_u64(), Some(2));
    let list = |key| value[key].as_array().map(Vec::as_slice).unwrap_or_default();
    let config = Some(&value["config"]).filter(|config| !config.is_null());
    let seen = config.into_iter().map(|config| (Role::Config, config));
    let seen = seen.chain(list("layers").iter().map(|layer| (Role::Layer, layer)));
    let seen: Vec<_> = seen.chain(list("manifests").iter().map(|child| (Role::Child, child))).collect();
    assert_eq!(manifest.references().count(), seen.len());
    for (found, (role, value)) in manifest.references().zip(seen) {
        assert_eq!(found.role, role);
        check_descriptor(found.descriptor, value);
    }
    assert_eq!(manifest.subject().is_some(), !value["subject"].is_null());
    manifest.subject().into_iter().for_each(|subject| check_descriptor(subject, &value["subject"]));
    assert_eq!(manifest.annotations(), &annotations(value));
    let of_config = manifest.config().and_then(|_| text(&value["config"], "mediaType"));
    assert_eq!(manifest.artifact_type(), text(value, "artifactType").or(of_config));
}

fn check_descriptor(descriptor: &Descriptor, value: &Value) {
    check_keys(value, &DESCRIPTOR_KEYS);
    assert_eq!(Some(descriptor.media_type.as_str()), value["mediaType"].as_str());
    assert_eq!(Some(descriptor.digest.to_string().as_str()), value["digest"].as_str());
    assert_eq!(Some(descriptor.size), value["size"].as_u64());
    assert_eq!(descriptor.artifact_type.as_deref(), text(value, "artifactType"));
    let urls = value["urls"].as_array().map(Vec::as_slice).unwrap_or_default();
    assert!(descriptor.urls.iter().map(|url| Some(url.as_str())).eq(urls.iter().map(Value::as_str)));
    assert_eq!(descriptor.annotations, annotations(value));
}

/// No key is there in a spelling that another reader takes for it.
fn check_keys(value: &Value, known: &[&str]) {
    // What Go's reader folds beside the case of letters (`strings.EqualFold`): the long s; the sign of the kelvin is lower-cased.
    let folded = |key: &str| key.to_lowercase().replace('ſ', "s");
    for key in value.as_object().expect("it was read as an object").keys() {
        let taken_for = known.iter().find(|known| folded(known) == folded(key));
        assert!(taken_for.is_none_or(|known| known == key), "{key:?} is taken for {taken_for:?}");
    }
}

fn annotations(value: &Value) -> BTreeMap<String, String> {
    let entries = value["annotations"].as_object().into_iter().flatten();
    entries.map(|(key, value)| (key.clone(), value.as_str().expect("annotations are text").to_owned())).collect()
}

/// Some writers put the empty text for "none".
fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value[key].as_str().filter(|text| !text.is_empty())
}
