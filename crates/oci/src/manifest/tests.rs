mod data_sets;
mod properties;

use serde_json::{Value, json};

use super::*;
use crate::media_type::{
    DOCKER_IMAGE_CONFIG, DOCKER_IMAGE_MANIFEST, DOCKER_MANIFEST_LIST, DOCKER_SCHEMA_1_SIGNED, OCI_IMAGE_CONFIG,
    OCI_IMAGE_INDEX, OCI_IMAGE_MANIFEST, OCTET_STREAM,
};
use crate::{Algorithm, Digest};

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

fn descriptor(media_type: &str, content: &str) -> Value {
    json!({
        "mediaType": media_type,
        "digest": Digest::of(Algorithm::Sha256, content.as_bytes()),
        "size": content.len(),
    })
}

fn image() -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE_MANIFEST,
        "config": descriptor(OCI_IMAGE_CONFIG, "config"),
        "layers": [descriptor(LAYER, "one"), descriptor(LAYER, "three")],
    })
}

fn index() -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE_INDEX,
        "manifests": [descriptor(OCI_IMAGE_MANIFEST, "amd64"), descriptor(OCI_IMAGE_MANIFEST, "arm64")],
    })
}

/// `value` with the keys of `change` in place of its own; `null` takes a key away.
fn with(mut value: Value, change: Value) -> Value {
    let Value::Object(change) = change else { panic!("not an object") };
    for (key, new) in change {
        if new.is_null() {
            value.as_object_mut().unwrap().remove(&key);
        } else {
            value[key] = new;
        }
    }
    value
}

fn parse(value: &Value) -> Result<Manifest, ManifestError> {
    Manifest::parse(value.to_string().as_bytes(), None)
}

fn parse_as(value: &Value, content_type: &str) -> Result<Manifest, ManifestError> {
    Manifest::parse(value.to_string().as_bytes(), Some(content_type))
}

fn parse_text(text: &str) -> Result<Manifest, ManifestError> {
    Manifest::parse(text.as_bytes(), None)
}

#[track_caller]
fn refused(value: &Value, expected: &str) {
    let message = parse(value).unwrap_err().to_string();
    assert!(message.contains(expected), "{message:?} does not tell of {expected:?}");
}

fn ambiguous(result: &Result<Manifest, ManifestError>) -> Option<&'static str> {
    match result {
        Err(ManifestError::Ambiguous { key, .. }) => Some(key),
        _ => None,
    }
}

fn incomplete_in(result: &Result<Manifest, ManifestError>) -> Option<&'static str> {
    match result {
        Err(ManifestError::Incomplete { key, .. }) => Some(key),
        _ => None,
    }
}

// What a manifest tells.

#[test]
fn an_image_refers_to_its_config_and_layers() {
    let value = image();
    let manifest = parse(&value).unwrap();
    assert_eq!(manifest.manifest_type(), ManifestType::OciImage);
    assert_eq!(manifest.media_type(), OCI_IMAGE_MANIFEST);
    assert_eq!(manifest.config().unwrap().media_type, OCI_IMAGE_CONFIG);
    assert_eq!(manifest.subject(), None);
    let references: Vec<_> = manifest.references().map(|found| (found.role, found.descriptor.digest)).collect();
    let digest = |content: &str| Digest::of(Algorithm::Sha256, content.as_bytes());
    let expected = [(Role::Config, digest("config")), (Role::Layer, digest("one")), (Role::Layer, digest("three"))];
    assert_eq!(references, expected);
    let own_bytes = u64::try_from(value.to_string().len()).unwrap();
    assert_eq!(manifest.total_size(), own_bytes + 6 + 3 + 5);
}

#[test]
fn an_index_refers_to_its_children() {
    let manifest = parse(&index()).unwrap();
    assert_eq!(manifest.manifest_type(), ManifestType::OciIndex);
    assert_eq!(manifest.config(), None);
    assert_eq!(manifest.artifact_type(), None);
    let references: Vec<_> = manifest.references().map(|found| (found.role, found.descriptor.size)).collect();
    assert_eq!(references, [(Role::Child, 5), (Role::Child, 5)]);
}

#[test]
fn references_keep_the_order_of_the_roles_whatever_the_order_of_the_keys() {
    let text = format!(
        r#"{{"layers":[{}],"config":{},"schemaVersion":2}}"#,
        descriptor(LAYER, "layer"),
        descriptor(OCI_IMAGE_CONFIG, "config")
    );
    let manifest = parse_text(&text).unwrap();
    assert!(manifest.references().map(|found| found.role).eq([Role::Config, Role::Layer]));
}

#[test]
fn the_artifact_type_of_an_image_falls_back_on_its_config() {
    let artifact_type = |value: &Value| parse(value).unwrap().artifact_type().map(str::to_owned);
    assert_eq!(artifact_type(&image()).as_deref(), Some(OCI_IMAGE_CONFIG));
    assert_eq!(artifact_type(&with(image(), json!({"artifactType": "text/x"}))).as_deref(), Some("text/x"));
    assert_eq!(artifact_type(&with(image(), json!({"artifactType": ""}))).as_deref(), Some(OCI_IMAGE_CONFIG));
    assert_eq!(artifact_type(&with(index(), json!({"artifactType": "text/x;a=b"}))).as_deref(), Some("text/x;a=b"));
    assert_eq!(artifact_type(&with(index(), json!({"artifactType": ""}))), None);
    assert_eq!(artifact_type(&with(image(), json!({"config": descriptor("", "{}")}))), None);
}

#[test]
fn sizes_add_up_to_what_a_column_holds() {
    let huge = json!({"mediaType": LAYER, "digest": Digest::of(Algorithm::Sha256, b""), "size": i64::MAX});
    let manifest = parse(&with(image(), json!({"layers": [huge, huge, huge]}))).unwrap();
    assert_eq!(manifest.total_size(), i64::MAX as u64);
}

#[test]
fn foreign_layers_and_those_with_urls_may_be_absent() {
    let with_urls = |media_type| with(descriptor(media_type, "layer"), json!({"urls": ["https://store.example.com/"]}));
    let manifest = parse(&json!({
        "schemaVersion": 2,
        "config": with_urls(OCI_IMAGE_CONFIG),
        "layers": [
            descriptor(LAYER, "layer"),
            with_urls(LAYER),
            descriptor("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "layer"),
        ],
    }))
    .unwrap();
    assert!(manifest.references().map(|found| found.may_be_absent()).eq([false, false, true, true]));
    let manifest = parse(&with(index(), json!({"manifests": [with_urls(OCI_IMAGE_MANIFEST)]}))).unwrap();
    assert!(!manifest.references().next().unwrap().may_be_absent());
}

// Which type it is.

#[test]
fn docker_manifests_are_read() {
    let config = descriptor(DOCKER_IMAGE_CONFIG, "config");
    let value = with(image(), json!({"mediaType": DOCKER_IMAGE_MANIFEST, "config": config}));
    let manifest = parse_as(&value, DOCKER_IMAGE_MANIFEST).unwrap();
    assert_eq!(manifest.manifest_type(), ManifestType::DockerImage);
    assert_eq!(manifest.artifact_type(), Some(DOCKER_IMAGE_CONFIG));
    let value = with(index(), json!({"mediaType": DOCKER_MANIFEST_LIST}));
    assert_eq!(parse_as(&value, DOCKER_MANIFEST_LIST).unwrap().manifest_type(), ManifestType::DockerList);
}

#[test]
fn the_content_type_decides_where_the_body_is_silent() {
    let value = with(image(), json!({"mediaType": null}));
    assert_eq!(parse_as(&value, OCI_IMAGE_MANIFEST).unwrap().media_type(), OCI_IMAGE_MANIFEST);
    let value = with(image(), json!({"mediaType": ""}));
    assert_eq!(parse_as(&value, OCI_IMAGE_MANIFEST).unwrap().media_type(), OCI_IMAGE_MANIFEST);
    // Docker's types must say it themselves.
    let value = with(image(), json!({"mediaType": null}));
    assert_eq!(incomplete_in(&parse_as(&value, DOCKER_IMAGE_MANIFEST)), Some("mediaType"));
    let value = with(index(), json!({"mediaType": null}));
    assert_eq!(incomplete_in(&parse_as(&value, DOCKER_MANIFEST_LIST)), Some("mediaType"));
}

#[test]
fn a_generic_content_type_leaves_it_to_the_body_and_to_its_shape() {
    for generic in ["", " ", OCTET_STREAM, "application/json", "Application/JSON; charset=utf-8"] {
        let value = with(image(), json!({"mediaType": DOCKER_IMAGE_MANIFEST}));
        assert_eq!(parse_as(&value, generic).unwrap().manifest_type(), ManifestType::DockerImage);
        let value = with(image(), json!({"mediaType": null}));
        assert_eq!(parse_as(&value, generic).unwrap().media_type(), OCI_IMAGE_MANIFEST);
        let value = with(index(), json!({"mediaType": null}));
        assert_eq!(parse_as(&value, generic).unwrap().media_type(), OCI_IMAGE_INDEX);
        assert_eq!(parse_as(&json!({"schemaVersion": 2}), generic), Err(ManifestError::Untyped));
    }
}

#[test]
fn parameters_are_dropped_and_case_is_kept() {
    let manifest = parse_as(&image(), "application/vnd.oci.image.manifest.v1+json; charset=utf-8").unwrap();
    assert_eq!(manifest.media_type(), OCI_IMAGE_MANIFEST);
    let upper = OCI_IMAGE_MANIFEST.to_uppercase();
    assert_eq!(parse_as(&image(), &upper).unwrap().media_type(), upper);
}

#[test]
fn the_body_must_not_contradict_the_content_type() {
    let message = parse_as(&image(), DOCKER_IMAGE_MANIFEST).unwrap_err().to_string();
    let expected = format!(
        "manifest media type mismatch: the Content-Type is \"{DOCKER_IMAGE_MANIFEST}\", but mediaType in the body is \
         \"{OCI_IMAGE_MANIFEST}\""
    );
    assert_eq!(message, expected);
    let result = parse_as(&with(image(), json!({"mediaType": "text/plain"})), OCI_IMAGE_MANIFEST);
    assert!(matches!(result, Err(ManifestError::MediaTypeMismatch { .. })));
}

#[test]
fn other_types_are_refused() {
    for content_type in ["text/plain", "*/*", "application/vnd.oci.artifact.manifest.v1+json", OCI_IMAGE_CONFIG] {
        let result = parse_as(&image(), content_type);
        assert!(matches!(result, Err(ManifestError::UnsupportedMediaType { .. })), "{content_type}");
        let result = parse(&with(image(), json!({"mediaType": content_type})));
        assert!(matches!(result, Err(ManifestError::UnsupportedMediaType { .. })), "{content_type}");
    }
}

#[test]
fn schema_1_is_refused_in_words_that_docker_knows() {
    let old = json!({"schemaVersion": 1, "name": "a", "tag": "b", "fsLayers": [], "history": [], "signatures": []});
    let as_schema_1 = Err(ManifestError::SchemaOne);
    assert_eq!(parse(&old), as_schema_1);
    assert_eq!(parse_as(&old, OCI_IMAGE_MANIFEST), as_schema_1);
    assert_eq!(parse(&with(old.clone(), json!({"schemaVersion": null}))), as_schema_1);
    assert_eq!(parse(&with(old, json!({"fsLayers": null}))), as_schema_1);
    assert_eq!(parse(&with(image(), json!({"schemaVersion": 1}))), as_schema_1);
    assert_eq!(parse(&with(image(), json!({"fsLayers": []}))), as_schema_1);
    assert_eq!(parse(&with(image(), json!({"mediaType": DOCKER_SCHEMA_1_SIGNED}))), as_schema_1);
    assert_eq!(Manifest::parse(b"not even JSON", Some(DOCKER_SCHEMA_1_SIGNED)), as_schema_1);
    let message = ManifestError::SchemaOne.to_string();
    assert!(message.contains("schema 1 not supported"), "{message}");
    assert!(message.contains("manifest schema version 1 is not supported"), "{message}");
    // Beside version 2 these are keys like any other unknown one.
    assert!(parse(&with(image(), json!({"history": [], "signatures": []}))).is_ok());
}

// What it must have, and must not have.

#[test]
fn images_and_indexes_are_not_confused() {
    let children = json!({"manifests": []});
    assert_eq!(ambiguous(&parse(&with(image(), children.clone()))), Some("manifests"));
    assert_eq!(ambiguous(&parse_as(&with(image(), children.clone()), OCI_IMAGE_MANIFEST)), Some("manifests"));
    assert_eq!(ambiguous(&parse(&with(with(image(), children), json!({"mediaType": null})))), Some("manifests"));
    assert_eq!(ambiguous(&parse(&with(index(), json!({"layers": []})))), Some("layers"));
    let config = json!({"config": descriptor(OCI_IMAGE_CONFIG, "config")});
    assert_eq!(ambiguous(&parse(&with(index(), config.clone()))), Some("config"));
    assert_eq!(
        ambiguous(&parse(&with(with(index(), config), json!({"mediaType": DOCKER_MANIFEST_LIST})))),
        Some("config")
    );
    assert_eq!(ambiguous(&parse_as(&with(image(), json!({"mediaType": null})), OCI_IMAGE_INDEX)), Some("config"));
    // Some readers see a key whose value is null.
    let text = image().to_string().replacen('{', r#"{"manifests":null,"#, 1);
    assert_eq!(ambiguous(&parse_text(&text)), Some("manifests"));
}

#[test]
fn the_keys_of_a_type_are_required() {
    assert_eq!(incomplete_in(&parse(&with(image(), json!({"config": null})))), Some("config"));
    assert_eq!(incomplete_in(&parse(&with(image(), json!({"layers": null})))), Some("layers"));
    assert_eq!(incomplete_in(&parse(&with(index(), json!({"manifests": null})))), Some("manifests"));
    let message = parse(&with(image(), json!({"layers": null}))).unwrap_err().to_string();
    assert_eq!(message, format!("manifest is incomplete: {OCI_IMAGE_MANIFEST} must have the key layers"));
}

#[test]
fn null_is_what_go_writes_for_empty() {
    let config = descriptor(OCI_IMAGE_CONFIG, "config");
    let nothing = r#""subject":null,"annotations":null,"artifactType":null,"mediaType":null"#;
    let manifest = parse_text(&format!(r#"{{"schemaVersion":2,"config":{config},"layers":null,{nothing}}}"#)).unwrap();
    assert_eq!(manifest.references().count(), 1);
    let manifest = parse_text(&format!(r#"{{"schemaVersion":2,"manifests":null,{nothing}}}"#)).unwrap();
    assert_eq!(manifest.references().count(), 0);
    let result = parse_text(r#"{"schemaVersion":2,"config":null,"layers":[]}"#);
    assert_eq!(incomplete_in(&result), Some("config"));
    let descriptor = config.to_string().replacen('{', r#"{"urls":null,"annotations":null,"artifactType":null,"#, 1);
    assert!(parse_text(&format!(r#"{{"schemaVersion":2,"config":{descriptor},"layers":[]}}"#)).is_ok());
}

#[test]
fn only_version_2_exists() {
    for (version, expected) in [
        (json!(null), "manifest schemaVersion must be 2"),
        (json!(3), "manifest schemaVersion must be 2, not 3"),
        (json!("2"), "schemaVersion: invalid type: string \"2\""),
        (json!(2.0), "schemaVersion: invalid type: floating point"),
        (json!(-2), "schemaVersion: invalid value: integer `-2`"),
    ] {
        refused(&with(image(), json!({"schemaVersion": version})), expected);
    }
}

#[test]
fn descriptors_are_read_strictly() {
    let layer = descriptor(LAYER, "layer");
    for (change, expected) in [
        (json!({"size": null}), "layers[1]: size is missing"),
        (json!({"digest": null}), "layers[1]: digest is missing"),
        (json!({"mediaType": null}), "layers[1]: mediaType is missing"),
        (json!({"size": -1}), "layers[1]: size: invalid value: integer `-1`, expected a whole number"),
        (json!({"size": 1.5}), "layers[1]: size: invalid type: floating point `1.5`, expected a whole number"),
        (json!({"size": 1e3}), "expected a whole number"),
        (json!({"size": "5"}), "expected a whole number"),
        (json!({"size": i64::MAX as u64 + 1}), "expected a whole number"),
        (json!({"digest": "sha256:0"}), r#"layers[1]: digest "sha256:0" is invalid: sha256 takes exactly 64"#),
        (json!({"digest": "blake3:00"}), r#"layers[1]: digest "blake3:00" is not supported"#),
        (json!({"digest": 5}), "expected a digest"),
        (json!({"mediaType": 5}), "layers[1]: mediaType: invalid type: integer `5`"),
        (json!({"mediaType": "a\u{0}"}), r#"layers[1]: mediaType: "a\0" is no media type"#),
        (json!({"mediaType": "a".repeat(1025)}), "(1025 bytes) is no media type: at most 1024 bytes"),
        (json!({"artifactType": "a\n"}), r#"layers[1]: artifactType: "a\n" is no media type"#),
        (json!({"urls": "https://store.example.com/"}), "layers[1]: urls: invalid type: string"),
        (json!({"annotations": {"a": 1}}), "layers[1]: annotations: invalid type: integer `1`, expected a string"),
    ] {
        let layers = json!([layer, with(layer.clone(), change)]);
        refused(&with(image(), json!({"layers": layers})), expected);
    }
    refused(&with(image(), json!({"config": []})), "config: invalid type: sequence, expected a descriptor");
    refused(&with(image(), json!({"config": [LAYER, layer["digest"], 5]})), "config: invalid type: sequence");
    refused(&with(image(), json!({"layers": [null]})), "layers[0]: invalid type: null, expected a descriptor");
    refused(&with(image(), json!({"layers": layer})), "layers to be a list of descriptors");
    refused(&with(index(), json!({"manifests": [layer, 1]})), "manifests[1]: invalid type: integer `1`");
    refused(&with(image(), json!({"subject": {"digest": "x"}})), r#"subject: digest "x" is invalid"#);
}

#[test]
fn descriptors_are_read_leniently_where_formats_are_open() {
    let odd =
        json!({"size": 0, "mediaType": "no type; at all", "platform": "moon", "data": 7, "other": [{}], "urls": []});
    let manifest = parse(&with(image(), json!({"layers": [with(descriptor(LAYER, "layer"), odd)]}))).unwrap();
    let layer = manifest.references().nth(1).unwrap();
    assert_eq!(layer.descriptor.media_type, "no type; at all");
    assert_eq!(layer.descriptor.size, 0);
    assert!(!layer.may_be_absent());
}

#[test]
fn keys_that_matter_come_once_and_in_their_own_spelling() {
    let insert = |more: &str| parse_text(&image().to_string().replacen('{', &format!("{{{more},"), 1));
    let refused = |more: &str, expected: &str| {
        let message = insert(more).unwrap_err().to_string();
        assert!(message.contains(expected), "{message:?} does not tell of {expected:?}");
    };
    refused(r#""layers":[]"#, "key layers is there twice");
    refused(r#""la\u0079ers":[]"#, "key layers is there twice");
    refused(r#""schemaVersion":2"#, "key schemaVersion is there twice");
    refused(r#""Layers":[]"#, r#"key "Layers" must be written "layers""#);
    refused(r#""MANIFESTS":[]"#, r#"key "MANIFESTS" must be written "manifests""#);
    refused(r#""manifeſtſ":[]"#, r#"key "manifeſtſ" must be written "manifests""#);
    refused(r#""mediatype":"""#, r#"key "mediatype" must be written "mediaType""#);
    assert!(insert(r#""layer":[],"org.example.config":1,"org.example.config":2,"":0"#).is_ok());
    let in_subject = |more: &str| {
        let subject = descriptor(LAYER, "layer").to_string().replacen('{', &format!("{{{more},"), 1);
        format!(r#""subject":{subject}"#)
    };
    refused(&in_subject(r#""size":1"#), "subject: key size is there twice");
    refused(&in_subject(r#""Digest":"""#), r#"subject: key "Digest" must be written "digest""#);
}

#[test]
fn annotations_are_texts() {
    let value = with(image(), json!({"annotations": {"org.opencontainers.image.title": "a", "": ""}}));
    let manifest = parse(&value).unwrap();
    assert_eq!(manifest.annotations()["org.opencontainers.image.title"], "a");
    refused(&with(image(), json!({"annotations": {"a": 1}})), "annotations: invalid type: integer `1`");
    refused(&with(image(), json!({"annotations": ["a"]})), "annotations: invalid type: sequence");
}

#[test]
fn annotations_can_be_read_alone() {
    let of = |value: &serde_json::Value| Manifest::annotations_of(value.to_string().as_bytes());
    let annotated = with(image(), json!({"annotations": {"a": "b"}}));
    assert_eq!(of(&annotated), Some(BTreeMap::from([("a".to_owned(), "b".to_owned())])));
    assert_eq!(of(&with(image(), json!({"annotations": null}))), Some(BTreeMap::new()));
    assert_eq!(of(&image()), Some(BTreeMap::new()));
    assert_eq!(Manifest::annotations_of(b"{"), None);
}

// What is not even a document.

#[test]
fn other_bytes_are_not_json() {
    for bytes in
        [&b""[..], b" ", b"{", b"{}}", b"{\"a\":}", b"\xff", b"{\"a\":\"\xff\"}", b"\xef\xbb\xbf{}", b"{'a':1}"]
    {
        let result = Manifest::parse(bytes, None);
        assert!(matches!(result, Err(ManifestError::NotJson { .. })), "{result:?}");
    }
    for text in ["null", "1", "\"\"", "[]", "[2]"] {
        let message = parse_text(text).unwrap_err().to_string();
        assert!(message.contains("expected a JSON object"), "{message}");
    }
    let text = image().to_string();
    assert!(matches!(parse_text(&(text.clone() + "x")), Err(ManifestError::NotJson { .. })));
    assert!(parse_text(&format!("\n{text} \n\n")).is_ok());
}

#[test]
fn an_error_tells_where_it_is() {
    let message = parse_text("{\n\"schemaVersion\": 2,\n\"config\" 1}").unwrap_err().to_string();
    assert_eq!(message, "manifest is not valid JSON: expected `:` at line 3 column 10");
}

#[test]
fn nesting_is_bounded_wherever_it_is() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let insert = |value: &str| parse_text(&image().to_string().replacen('{', &format!("{{\"x\":{value},"), 1));
    assert!(insert(&nested(MAX_NESTING - 1)).is_ok());
    assert_eq!(insert(&nested(MAX_NESTING)), Err(ManifestError::TooDeep));
    assert_eq!(insert(&nested(1_000_000)), Err(ManifestError::TooDeep));
    assert_eq!(parse_text(&"{\"a\":".repeat(500_000)), Err(ManifestError::TooDeep));
    // Brackets in texts nest nothing.
    assert!(insert(&format!(r#""\"{}\\\"""#, "[{".repeat(1000))).is_ok());
}

#[test]
fn messages_are_bounded_and_without_control_characters() {
    let long = "x\u{1b}\n".repeat(10_000);
    for value in [
        with(image(), json!({"schemaVersion": long})),
        with(image(), json!({"mediaType": long})),
        with(image(), json!({"config": long})),
        with(image(), json!({"config": with(descriptor(LAYER, ""), json!({"digest": long}))})),
        with(image(), json!({"config": with(descriptor(LAYER, ""), json!({"size": long}))})),
    ] {
        let message = parse(&value).unwrap_err().to_string();
        assert!(message.len() < 1000, "{message}");
        assert!(!message.contains(char::is_control), "{message:?}");
    }
    let message = parse_as(&image(), &long).unwrap_err().to_string();
    assert!(message.len() < 1000, "{message}");
}
