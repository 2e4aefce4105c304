//! DELETE of tags, manifests and blobs: gone for readers with the answer, and back with the next push.

use crate::{
    client::Response,
    content::{CONFIG, IMAGE, INDEX, LAYER, descriptor, digest, image, index, note},
    registry::{Registry, Signal},
    repository::Repository,
};

impl Repository {
    #[track_caller]
    pub(crate) fn delete(&self, of: &str) -> Response {
        self.request("DELETE", of).send()
    }

    /// An accepted deletion has nothing to say.
    #[track_caller]
    pub(crate) fn deletes(&self, of: &str) -> Response {
        self.delete(of).expect(202).with("Content-Length", "0").brings("")
    }

    #[track_caller]
    pub(crate) fn push_image(&self, tag: &str) -> String {
        let manifest = self.push_parts_of_image();
        self.push_manifest(tag, IMAGE, manifest)
    }

    pub(crate) fn layer(&self) -> String {
        digest(format!("layer of {}", self.name))
    }

    pub(crate) fn tags(&self) -> Vec<String> {
        let tags = self.get("tags/list").expect(200).json();
        tags["tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap().to_owned()).collect()
    }

    fn referrers(&self, digest: &str) -> usize {
        self.get(&format!("referrers/{digest}")).json()["manifests"].as_array().unwrap().len()
    }
}

fn about(subject: &[u8], media_type: &str, text: &str) -> Vec<u8> {
    let mut manifest = serde_json::from_slice::<serde_json::Value>(&note(text)).unwrap();
    manifest["subject"] = descriptor(media_type, subject);
    manifest.to_string().into_bytes()
}

#[test]
fn a_deleted_tag_is_gone_and_its_manifest_stays() {
    let repository = Registry::shared().repository();
    let digest = repository.push_image("v1");
    repository.put("v2", IMAGE, repository.push_parts_of_image()).send().expect(201);
    repository.deletes("manifests/v1");
    repository.get("manifests/v1").refused(404, "MANIFEST_UNKNOWN");
    repository.head("manifests/v1").expect(404);
    assert_eq!(repository.tags(), ["v2"]);
    repository.get(&format!("manifests/{digest}")).expect(200);
    repository.delete("manifests/v1").refused(404, "MANIFEST_UNKNOWN");
}

#[test]
fn a_deleted_manifest_is_gone_with_all_of_its_tags() {
    let repository = Registry::shared().repository();
    let digest = repository.push_image("v1");
    repository.put("v2", IMAGE, repository.push_parts_of_image()).send().expect(201);
    repository.deletes(&format!("manifests/{digest}")).without("Warning");
    for reference in [digest.as_str(), "v1", "v2"] {
        repository.get(&format!("manifests/{reference}")).refused(404, "MANIFEST_UNKNOWN");
    }
    assert!(repository.tags().is_empty(), "the repository is there, and empty");
    repository.delete(&format!("manifests/{digest}")).refused(404, "MANIFEST_UNKNOWN");
    repository.pull(&repository.layer()).expect(200);
}

#[test]
fn what_is_not_there_cannot_be_deleted() {
    let repository = Registry::shared().repository();
    let nothing = digest("nothing");
    assert!(repository.delete(&format!("manifests/{nothing}")).refused(404, "MANIFEST_UNKNOWN").contains(&nothing));
    assert!(repository.delete("manifests/v1").refused(404, "MANIFEST_UNKNOWN").contains("v1"));
    assert!(repository.delete(&format!("blobs/{nothing}")).refused(404, "BLOB_UNKNOWN").contains(&nothing));
    repository.delete("manifests/sha256:short").refused(400, "DIGEST_INVALID");
    repository.delete("blobs/sha256:short").refused(400, "DIGEST_INVALID");
}

#[test]
fn a_deleted_blob_is_gone_from_one_repository_and_not_from_another() {
    let registry = Registry::shared();
    let (repository, other) = (registry.repository(), registry.repository());
    let blob = repository.push_blob("of two");
    other.push_blob("of two");
    repository.deletes(&format!("blobs/{blob}")).with("Docker-Content-Digest", &blob);
    repository.pull(&blob).refused(404, "BLOB_UNKNOWN");
    repository.head(&format!("blobs/{blob}")).expect(404);
    repository.delete(&format!("blobs/{blob}")).refused(404, "BLOB_UNKNOWN");
    other.pull(&blob).expect(200).brings("of two");
}

#[test]
fn a_blob_that_a_manifest_needs_is_not_deleted_and_the_answer_names_the_manifest() {
    let repository = Registry::shared().repository();
    let manifest = repository.push_image("v1");
    let blob = format!("blobs/{}", repository.layer());
    let refusal = repository.delete(&blob).with("Allow", "GET, HEAD");
    let message = refusal.refused(405, "UNSUPPORTED");
    assert!(message.contains(&manifest) && message.contains(&repository.layer()), "{message}");
    assert_eq!(refusal.json()["errors"][0]["detail"]["manifest"], manifest);
    repository.get(&blob).expect(200);
    repository.deletes("manifests/v1");
    repository.delete(&blob).refused(405, "UNSUPPORTED");
    repository.deletes(&format!("manifests/{manifest}"));
    repository.deletes(&blob);
}

#[test]
fn what_was_deleted_comes_back_with_the_next_push() {
    let repository = Registry::shared().repository();
    for _round in 0..3 {
        let manifest = repository.push_image("v1");
        repository.get("manifests/v1").expect(200).with("Docker-Content-Digest", &manifest);
        repository.pull(&repository.layer()).expect(200);
        repository.deletes(&format!("manifests/{manifest}"));
        repository.deletes(&format!("blobs/{}", repository.layer()));
    }
    let manifest = repository.push_parts_of_image();
    repository.deletes(&format!("blobs/{}", repository.layer()));
    repository.put("v1", IMAGE, manifest).send().refused(400, "MANIFEST_BLOB_UNKNOWN");
}

#[test]
fn a_deleted_blob_can_be_mounted_back_but_not_mounted_from() {
    let registry = Registry::shared();
    let (repository, other) = (registry.repository(), registry.repository());
    let blob = repository.push_blob("a layer");
    other.push_blob("a layer");
    repository.deletes(&format!("blobs/{blob}"));
    let mount = |target: &Repository, source: &Repository| {
        target.post(&format!("?mount={blob}&from={}", source.name)).send().status
    };
    assert_eq!(mount(&registry.repository(), &repository), 202);
    assert_eq!(mount(&repository, &other), 201);
    repository.pull(&blob).expect(200).brings("a layer");
}

#[test]
fn an_index_takes_the_children_that_nothing_else_holds() {
    let repository = Registry::shared().repository();
    let (alone, tagged, shared) = (note("alone"), note("tagged"), note("shared"));
    for child in [&alone, &shared] {
        repository.put(&digest(child), INDEX, child).send().expect(201);
    }
    repository.push_manifest("kept", INDEX, &tagged);
    let of = |children: &[&Vec<u8>]| {
        let children: Vec<_> = children.iter().map(|child| descriptor(INDEX, child)).collect();
        index(&children).to_string()
    };
    let doomed = repository.push_manifest("doomed", INDEX, of(&[&alone, &tagged, &shared]));
    repository.push_manifest("other", INDEX, of(&[&shared]));
    let along = "299 - \"1 manifest that only this one kept, and 1 tag, were deleted with it\"";
    repository.deletes(&format!("manifests/{doomed}")).with("Warning", along);
    repository.get(&format!("manifests/{}", digest(&alone))).expect(404);
    repository.get(&format!("manifests/{}", digest(&tagged))).expect(200);
    repository.get(&format!("manifests/{}", digest(&shared))).expect(200);
    assert_eq!(repository.tags(), ["kept", "other"]);
}

#[test]
fn a_subject_takes_its_referrers_and_the_tags_that_clients_keep_about_it() {
    let repository = Registry::shared().repository();
    let subject = note("subject");
    let named = repository.push_manifest("v1", INDEX, &subject);
    let untagged = about(&subject, INDEX, "untagged");
    repository.put(&digest(&untagged), INDEX, &untagged).send().expect(201);
    repository.push_manifest("kept", INDEX, about(&subject, INDEX, "tagged"));
    repository.push_manifest(&named.replace(':', "-"), INDEX, note("a fallback list"));
    repository.push_manifest(&format!("{}.sig", named.replace(':', "-")), INDEX, note("a signature"));
    assert_eq!(repository.referrers(&named), 2);
    repository.deletes(&format!("manifests/{named}"));
    assert_eq!(repository.tags(), ["kept"]);
    assert_eq!(repository.referrers(&named), 1, "the tagged one is still about it");
    repository.get(&format!("manifests/{}", digest(&untagged))).expect(404);
    repository.get(&format!("manifests/{}", digest(note("a signature")))).expect(404);
}

#[test]
fn a_deleted_referrer_is_listed_no_more() {
    let repository = Registry::shared().repository();
    let referrer = about(b"elsewhere", IMAGE, "about it");
    repository.push_manifest("sbom", INDEX, &referrer);
    assert_eq!(repository.referrers(&digest("elsewhere")), 1);
    repository.deletes(&format!("manifests/{}", digest(&referrer)));
    assert_eq!(repository.referrers(&digest("elsewhere")), 0);
}

#[test]
fn a_config_that_is_also_a_layer_is_needed_once_and_free_once() {
    let repository = Registry::shared().repository();
    let empty = format!("blobs/{}", repository.push_blob("{}"));
    let artifact = image(&descriptor(CONFIG, "{}"), &[descriptor(LAYER, "{}")]).to_string();
    let artifact = repository.push_manifest("artifact", IMAGE, artifact);
    repository.delete(&empty).refused(405, "UNSUPPORTED");
    repository.deletes(&format!("manifests/{artifact}"));
    repository.deletes(&empty);
}

#[test]
fn what_was_deleted_stays_deleted_when_the_program_dies() {
    let registry = Registry::start();
    let repository = registry.repository();
    let manifest = repository.push_image("v1");
    repository.put("v2", INDEX, note("another")).send().expect(201);
    repository.deletes(&format!("manifests/{manifest}"));
    repository.deletes(&format!("blobs/{}", repository.layer()));
    registry.restart(Signal::KILL);
    repository.get(&format!("manifests/{manifest}")).expect(404);
    repository.pull(&repository.layer()).expect(404);
    assert_eq!(repository.tags(), ["v2"]);
}

#[test]
fn a_deletion_over_a_tag_that_moved_leaves_the_tag() {
    let repository = Registry::shared().repository();
    let old = repository.push_manifest("latest", INDEX, note("old"));
    let new = repository.push_manifest("latest", INDEX, note("new"));
    repository.deletes(&format!("manifests/{old}"));
    repository.get("manifests/latest").expect(200).with("Docker-Content-Digest", &new);
}
