//! Section 3: how manifests come and go.

use serde_json::{Value, json};

use super::clients::{ACCEPTED, Client, Content};
use crate::{
    content::{CONFIG, DOCKER_IMAGE, DOCKER_LIST, IMAGE, INDEX, LAYER, descriptor, digest, image, index, note},
    registry::Registry,
};

/// 3.1 to 3.3: what a client accepts, in one header, in many or in none, changes nothing, least of all between HEAD and GET.
#[test]
fn head_and_get_agree_whatever_a_client_accepts() {
    let repository = Registry::shared().repository();
    let manifest = repository.push_parts_of_image();
    let named = repository.push_manifest("latest", IMAGE, &manifest);
    let mut client = Client::containerd(&repository.registry);
    for (who, accepted) in ACCEPTED {
        for path in ["latest", &named].map(|reference| repository.path(&format!("manifests/{reference}"))) {
            let [head, get] = ["HEAD", "GET"].map(|method| client.manifest(method, &path, accepted).expect(200));
            for header in ["Content-Type", "Content-Length", "Docker-Content-Digest", "ETag"] {
                assert_eq!(head.header(header), get.header(header), "{header} for {who}");
            }
            get.with("Content-Type", IMAGE).with("Docker-Content-Digest", &named).brings(&manifest);
        }
    }
}

/// §1, 10.1: the digest that it prints, and keeps in `RepoDigests`, is the header of the HEAD.
#[test]
fn docker_asks_for_a_tag_by_head_and_then_for_the_digest_that_it_got() {
    let repository = Registry::shared().repository();
    let manifest = repository.push_parts_of_image();
    repository.push_manifest("v1", IMAGE, &manifest);
    let mut docker = Client::docker(&repository.registry);
    docker.get("/v2/").expect(200);
    let head = docker.manifest("HEAD", &repository.path("manifests/v1"), ACCEPTED[0].1).expect(200);
    let named = head.header("Docker-Content-Digest").unwrap();
    let got = docker.manifest("GET", &repository.path(&format!("manifests/{named}")), ACCEPTED[0].1).expect(200);
    assert_eq!(digest(&got.body), named);
    let parts: Value = serde_json::from_slice(&got.body).unwrap();
    for blob in [&parts["config"], &parts["layers"][0]].map(|part| part["digest"].as_str().unwrap()) {
        assert_eq!(digest(docker.get(&repository.path(&format!("blobs/{blob}"))).expect(200).body), blob);
    }
}

/// 3.14: a digest that it does not know the kind of; with a build cache it is a blob.
#[test]
fn containerd_looks_among_the_blobs_for_what_is_no_manifest() {
    let repository = Registry::shared().repository();
    let blob = repository.push_blob("a layer that a build cache lists");
    let mut containerd = Client::containerd(&repository.registry);
    let accepted = ["application/vnd.oci.image.layer.v1.tar+gzip, */*"];
    let manifest = repository.path(&format!("manifests/{blob}"));
    containerd.manifest("HEAD", &manifest, &accepted).expect(404);
    containerd.manifest("GET", &manifest, &accepted).refused(404, "MANIFEST_UNKNOWN");
    let found = containerd.manifest("GET", &repository.path(&format!("blobs/{blob}")), &accepted);
    found.expect(200).brings("a layer that a build cache lists");
}

/// 3.9, 3.10, 10.16, 10.17: what makes an artifact an artifact is its config's type, or `artifactType`, or neither.
#[test]
fn artifacts_of_every_tool_are_taken_as_they_are() {
    let repository = Registry::shared().repository();
    repository.push_blob("{}");
    for (tool, config, layer) in [
        ("cosign", CONFIG, "application/vnd.dev.cosign.simplesigning.v1+json"),
        ("notation", "application/vnd.cncf.notary.signature", "application/jose+json"),
        ("oras", "application/vnd.oci.empty.v1+json", "text/plain"),
        ("helm", "application/vnd.cncf.helm.config.v1+json", "application/vnd.cncf.helm.chart.content.v1.tar+gzip"),
        ("flux", "application/vnd.cncf.flux.config.v1+json", "application/vnd.cncf.flux.content.v1.tar+gzip"),
        ("wasm", "application/vnd.wasm.config.v0+json", "application/wasm"),
        ("docker-model", "application/vnd.docker.ai.model.config.v0.1+json", "application/vnd.docker.ai.gguf.v3"),
        ("docker-compose", "application/vnd.docker.compose.project", "application/vnd.docker.compose.file+yaml"),
        ("buildkit", "application/vnd.buildkit.cacheconfig.v0", LAYER),
        ("unknown", "application/vnd.unknown.config.v1+json", "x-made-up/by+somebody; version=1"),
    ] {
        let manifest = image(&descriptor(config, "{}"), &[descriptor(layer, "{}")]).to_string();
        repository.push_manifest(tool, IMAGE, &manifest);
        repository.get(&format!("manifests/{tool}")).expect(200).with("Content-Type", IMAGE).brings(manifest);
    }
}

/// 10.16: a Docker manifest whose config is a plugin's.
#[test]
fn docker_pushes_plugins() {
    let repository = Registry::shared().repository();
    repository.push_blob("{}");
    let layer = descriptor("application/vnd.docker.image.rootfs.diff.tar.gzip", "{}");
    let mut plugin = image(&descriptor("application/vnd.docker.plugin.v1+json", "{}"), &[layer]);
    plugin["mediaType"] = json!(DOCKER_IMAGE);
    repository.push_manifest("latest", DOCKER_IMAGE, plugin.to_string());
    repository.head("manifests/latest").expect(200).with("Content-Type", DOCKER_IMAGE);
}

/// 3.7, 10.10: `docker manifest push`, `podman manifest push --all`, crane and ko: children by digest, the tag last.
#[test]
fn the_children_of_a_list_come_first_and_by_digest() {
    let repository = Registry::shared().repository();
    let mut docker = Client::docker(&repository.registry);
    repository.push_blob("{}");
    let children = ["amd64", "arm64"].map(|architecture| {
        let mut child = image(&descriptor("application/vnd.docker.container.image.v1+json", "{}"), &[]);
        (child["mediaType"], child["architecture"]) = (json!(DOCKER_IMAGE), json!(architecture));
        child.to_string()
    });
    for child in &children {
        let path = repository.path(&format!("manifests/{}", digest(child)));
        docker.ask("PUT", &path, &[("Content-Type", DOCKER_IMAGE)], Content::Sized(child.as_bytes())).expect(201);
        docker.head(&path).expect(200);
    }
    docker
        .get(&repository.path("tags/list"))
        .expect(200)
        .brings(format!(r#"{{"name":"{}","tags":[]}}"#, repository.name));
    let mut list = index(&children.each_ref().map(|child| descriptor(DOCKER_IMAGE, child)));
    list["mediaType"] = json!(DOCKER_LIST);
    repository.push_manifest("latest", DOCKER_LIST, list.to_string());
}

/// 10.18, 10.19: an attestation is a child of no platform, and lately one that has the image as its subject.
#[test]
fn attestations_of_buildkit_are_children_and_referrers() {
    let repository = Registry::shared().repository();
    let pushed = repository.push_parts_of_image();
    let named = digest(&pushed);
    repository.put(&named, IMAGE, &pushed).send().expect(201).without("OCI-Subject");
    repository.push_blob("{}");
    let mut attestation = image(&descriptor(CONFIG, "{}"), &[descriptor("application/vnd.in-toto+json", "{}")]);
    attestation["subject"] = descriptor(IMAGE, &pushed);
    let attestation = attestation.to_string();
    repository.put(&digest(&attestation), IMAGE, &attestation).send().expect(201).with("OCI-Subject", &named);
    let mut child = descriptor(IMAGE, &attestation);
    child["platform"] = json!({ "architecture": "unknown", "os": "unknown" });
    child["annotations"] =
        json!({ "vnd.docker.reference.digest": named, "vnd.docker.reference.type": "attestation-manifest" });
    let parent = index(&[descriptor(IMAGE, &pushed), child]).to_string();
    repository.push_manifest("latest", INDEX, &parent);
    repository.get("manifests/latest").expect(200).brings(parent);
    let referrers = repository.get(&format!("referrers/{named}")).expect(200).json();
    assert_eq!(referrers["manifests"][0]["digest"], digest(attestation));
}

/// 3.15, 10.20: each signature more moves the tag of all of them, which is a tag like any other.
#[test]
fn cosign_moves_its_tag_with_every_signature() {
    let repository = Registry::shared().repository();
    let named = repository.push_manifest("v1", INDEX, note("signed"));
    let signatures = format!("{}.sig", named.replace(':', "-"));
    let kind = "application/vnd.dev.cosign.simplesigning.v1+json";
    repository.push_blob("{}");
    for count in 1..=3 {
        let manifest = image(&descriptor(CONFIG, "{}"), &vec![descriptor(kind, "{}"); count]).to_string();
        repository.push_manifest(&signatures, IMAGE, &manifest);
        repository.get(&format!("manifests/{signatures}")).expect(200).brings(manifest);
    }
    assert_eq!(repository.get("tags/list").expect(200).json()["tags"], json!([signatures, "v1"]));
}

/// 3.18: a notary's name of a repository begins with the host, port and all.
#[test]
fn docker_content_trust_finds_no_notary_here() {
    let mut docker = Client::docker(&Registry::shared());
    for name in ["localhost:5000/team/app", "registry.example.com/team/app", "team/app"] {
        for role in ["root.json", "timestamp.json", "targets/releases.json"] {
            docker.get(&format!("/v2/{name}/_trust/tuf/{role}")).refused(404, "UNSUPPORTED");
        }
    }
}

/// 3.16, 3.17: oras takes nothing but 202 for an answer, of any delete.
#[test]
fn every_delete_is_answered_202_and_never_204() {
    let repository = Registry::shared().repository();
    let blob = repository.push_blob("that nothing needs");
    let named = repository.push_manifest("v1", INDEX, note("deleted"));
    let mut oras = Client::oras(&repository.registry);
    for path in ["manifests/v1".to_owned(), format!("manifests/{named}"), format!("blobs/{blob}")] {
        let path = repository.path(&path);
        oras.ask("DELETE", &path, &[], Content::None).expect(202);
        oras.head(&path).expect(404);
    }
}

/// 3.16: where tags cannot be deleted it moves the tag to a manifest made for that and deletes this one by its digest.
#[test]
fn regclient_deletes_a_tag_by_way_of_a_dummy() {
    let repository = Registry::shared().repository();
    let named = repository.push_manifest("v1", INDEX, note("survives its tag"));
    let config = r##"{"created":"2026-11-21T12:00:00Z","architecture":"amd64","os":"linux","config":{"Labels":{"delete-tag":"v1"}},"rootfs":{"type":"layers","diff_ids":[]},"history":[{"created_by":"# regclient"}]}"##;
    repository.push_blob(config);
    repository.push_blob("{}");
    let dummy =
        image(&descriptor(CONFIG, config), &[descriptor("application/vnd.oci.image.layer.v1.tar", "{}")]).to_string();
    let replaced = repository.push_manifest("v1", IMAGE, &dummy);
    let mut regclient = Client::regclient(&repository.registry);
    regclient.ask("DELETE", &repository.path(&format!("manifests/{replaced}")), &[], Content::None).expect(202);
    regclient.get(&repository.path("manifests/v1")).refused(404, "MANIFEST_UNKNOWN");
    regclient.get(&repository.path(&format!("manifests/{named}"))).expect(200).brings(note("survives its tag"));
}
