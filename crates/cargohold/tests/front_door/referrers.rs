//! `/v2/<name>/referrers/<digest>`: what was attached to a manifest.

use serde_json::{Value, json};

use crate::{
    client::{Response, next_page},
    content::{IMAGE, INDEX, digest, note},
    registry::Registry,
    repository::Repository,
};

const TYPE: &str = "application/vnd.oci.image.index.v1+json";

/// An image manifest about `subject`.
fn attached(repository: &Repository, kind: &str, subject: &str, annotations: &Value) -> Value {
    let empty = repository.push_blob("{}");
    json!({
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "artifactType": kind,
        "config": { "mediaType": "application/vnd.oci.empty.v1+json", "digest": empty, "size": 2 },
        "layers": [],
        "subject": { "mediaType": IMAGE, "digest": subject, "size": 7 },
        "annotations": annotations,
    })
}

fn attach(repository: &Repository, kind: &str, subject: &str, annotations: &Value) -> String {
    let manifest = attached(repository, kind, subject, annotations).to_string();
    let referrer = digest(&manifest);
    repository.put(&referrer, IMAGE, &manifest).send().expect(201).with("OCI-Subject", subject);
    referrer
}

#[track_caller]
fn digests(answer: &Response) -> Vec<String> {
    let manifests = answer.json()["manifests"].as_array().unwrap().clone();
    manifests.iter().map(|descriptor| descriptor["digest"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_was_attached_is_listed_as_an_index_whether_or_not_its_subject_is_there() {
    let repository = Registry::shared().repository();
    let subject = digest("never pushed");
    let notes = json!({ "org.example.note": "annotated" });
    let referrer = attach(&repository, "application/vnd.example.sbom", &subject, &notes);
    let answer = repository.get(&format!("referrers/{subject}")).expect(200).with("Content-Type", TYPE);
    let size = attached(&repository, "application/vnd.example.sbom", &subject, &notes).to_string().len();
    assert_eq!(
        answer.json(),
        json!({
            "schemaVersion": 2,
            "mediaType": TYPE,
            "manifests": [{
                "mediaType": IMAGE,
                "digest": referrer,
                "size": size,
                "artifactType": "application/vnd.example.sbom",
                "annotations": notes,
            }],
        })
    );
    answer.without("Link").without("OCI-Filters-Applied");
}

#[test]
fn nothing_attached_is_an_empty_list_and_never_not_found() {
    let registry = Registry::shared();
    let nobody = format!("sha256:{}", "0".repeat(64));
    for name in ["never/pushed", "library/alpine"] {
        let answer = registry.get(&format!("/v2/{name}/referrers/{nobody}")).expect(200).with("Content-Type", TYPE);
        assert_eq!(answer.json()["manifests"], json!([]));
    }
    registry.get("/v2/app/referrers/sha256:bad").refused(400, "DIGEST_INVALID");
}

#[test]
fn a_filter_keeps_one_type_and_says_that_it_did() {
    let repository = Registry::shared().repository();
    let subject = digest("filtered");
    attach(&repository, "application/vnd.example.sbom", &subject, &json!({}));
    let signature = attach(&repository, "application/vnd.example.signature+json", &subject, &json!({}));
    let path = format!("referrers/{subject}?artifactType=application%2Fvnd.example.signature%2Bjson");
    let answer = repository.get(&path).expect(200).with("OCI-Filters-Applied", "artifactType");
    assert_eq!(digests(&answer), [signature]);
}

#[test]
fn a_config_type_stands_for_an_artifact_type_and_an_index_needs_none() {
    let repository = Registry::shared().repository();
    let subject = digest("untyped");
    let config = repository.push_blob("config of its own type");
    let image = json!({
        "schemaVersion": 2, "mediaType": IMAGE, "layers": [],
        "config": { "mediaType": "application/vnd.example.config", "digest": config, "size": 22 },
        "subject": { "mediaType": IMAGE, "digest": subject, "size": 7 },
    });
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [], "subject": { "mediaType": IMAGE, "digest": subject, "size": 7 } });
    repository.put("image", IMAGE, image.to_string()).send().expect(201);
    repository.put("index", INDEX, index.to_string()).send().expect(201);
    let answer = repository.get(&format!("referrers/{subject}")).expect(200);
    let types: Vec<_> =
        answer.json()["manifests"].as_array().unwrap().iter().map(|it| it["artifactType"].clone()).collect();
    assert_eq!(types, [json!("application/vnd.example.config"), Value::Null]);
}

#[test]
fn a_list_that_is_too_long_for_one_answer_goes_on_behind_a_link() {
    let repository = Registry::shared().repository();
    let subject = digest("popular");
    let long = json!({ "org.example.note": "x".repeat(1_000_000) });
    let mut pushed: Vec<_> = (0..4)
        .map(|number| {
            let mut notes = long.clone();
            notes["number"] = json!(number.to_string());
            attach(&repository, "application/vnd.example.long", &subject, &notes)
        })
        .collect();
    let types = "artifactType=application%2Fvnd.example.long&artifactType=application%2Fvnd.example.other";
    let first = repository.get(&format!("referrers/{subject}?{types}")).expect(200);
    assert!(first.body.len() <= 4 * 1024 * 1024);
    assert_eq!(next_page(&first).unwrap().matches("artifactType=").count(), 2, "the filter goes on too");
    let second =
        repository.registry.get(&next_page(&first).unwrap()).expect(200).with("OCI-Filters-Applied", "artifactType");
    assert_eq!(next_page(&second), None);
    let mut listed = [digests(&first), digests(&second)].concat();
    assert!(digests(&second).len() < listed.len());
    pushed.sort();
    listed.sort();
    assert_eq!(listed, pushed);
}

#[test]
fn a_tag_that_lists_referrers_is_a_tag_like_any_other() {
    let repository = Registry::shared().repository();
    let image = repository.push_manifest("image", INDEX, note("subject"));
    let tag = image.replace(':', "-");
    repository.push_manifest(&tag, INDEX, note("kept by a client"));
    assert_eq!(repository.get(&format!("referrers/{image}")).expect(200).json()["manifests"], json!([]));
    repository.get(&format!("manifests/{tag}")).expect(200);
}
