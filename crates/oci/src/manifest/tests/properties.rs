//! What holds for every manifest, and for bytes that are none.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{LAYER, descriptor, image, index, parse, with};
use crate::media_type::OCI_IMAGE_MANIFEST;
use crate::{Manifest, ManifestType, Role};

/// JSON of any shape, made of the keys and values of manifests.
fn any_document() -> impl Strategy<Value = Value> {
    let key = prop::sample::select(
        &["schemaVersion", "mediaType", "config", "layers", "manifests", "subject", "annotations", "digest", "size"][..],
    );
    let leaf = prop_oneof![
        Just(Value::Null),
        Just(json!(2)),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!(OCI_IMAGE_MANIFEST)),
        Just(descriptor(LAYER, "layer")),
        Just(image()),
        Just(index()),
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..6)
                .prop_map(|map| map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    #[test]
    fn parsing_never_panics(bytes: Vec<u8>, content_type: Option<String>) {
        let _ = Manifest::parse(&bytes, content_type.as_deref());
    }

    #[test]
    fn parsing_json_of_any_shape_never_panics(document in any_document(), version_2: bool) {
        let document = if version_2 && document.is_object() {
            with(document, json!({"schemaVersion": 2}))
        } else {
            document
        };
        if let Ok(manifest) = parse(&document) {
            prop_assert_eq!(manifest.config().is_some(), !manifest.manifest_type().is_index());
            prop_assert_eq!(ManifestType::from_media_type(manifest.media_type()), Some(manifest.manifest_type()));
            prop_assert!(i64::try_from(manifest.total_size()).is_ok());
        }
    }

    #[test]
    fn damaged_manifests_never_panic(position in any::<prop::sample::Index>(), byte: u8, cut: bool) {
        let mut bytes = with(image(), json!({"subject": descriptor(OCI_IMAGE_MANIFEST, "subject")})).to_string().into_bytes();
        let position = position.index(bytes.len());
        bytes[position] = byte;
        if cut {
            bytes.truncate(position);
        }
        let _ = Manifest::parse(&bytes, Some(OCI_IMAGE_MANIFEST));
    }

    #[test]
    fn what_was_put_in_comes_out(sizes in prop::collection::vec(0..1_u64 << 40, 0..20), is_index: bool) {
        let descriptors: Vec<Value> = sizes
            .iter()
            .map(|size| with(descriptor(LAYER, &size.to_string()), json!({"size": size})))
            .collect();
        let value = if is_index {
            with(index(), json!({"manifests": descriptors}))
        } else {
            with(image(), json!({"layers": descriptors}))
        };
        let manifest = parse(&value).unwrap();
        let found: Vec<u64> = manifest
            .references()
            .filter(|found| found.role != Role::Config)
            .map(|found| found.descriptor.size)
            .collect();
        prop_assert_eq!(found, sizes);
    }
}
