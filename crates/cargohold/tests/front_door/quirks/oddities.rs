//! Section 10, and what of section 7 a registry without accounts meets already.

use std::{sync::Barrier, thread};

use serde_json::{Value, json};

use super::clients::{ACCEPTED, Client, Content};
use crate::{
    content::{CONFIG, FOREIGN_LAYER, IMAGE, INDEX, LAYER, descriptor, digest, image, index, note},
    registry::Registry,
};

/// 10.4: who says what of himself, or nothing, decides nothing.
#[test]
fn a_user_agent_opens_and_closes_no_door() {
    let repository = Registry::shared().repository();
    let named = repository.push_manifest("latest", INDEX, note("for everybody"));
    let long = "x".repeat(4000);
    for agent in [
        "docker/1.9.1 go/go1.4.2",
        "containers/5.35.0 (github.com/containers/image)",
        "Mozilla/5.0",
        "",
        "\u{fc}ber/1",
        &long,
    ] {
        let mut wire = repository.registry.connect();
        wire.begin("GET", &repository.path("manifests/latest"), &[("User-Agent", agent)]);
        wire.answer().expect(200).with("Docker-Content-Digest", &named).brings(note("for everybody"));
    }
    let mut wire = repository.registry.connect();
    wire.begin("POST", &repository.path("blobs/uploads/"), &[]);
    wire.answer().expect(202);
}

/// 10.2: docker puts `library/` before a name for its Hub only.
#[test]
fn library_is_a_name_like_any_other() {
    let registry = Registry::start();
    registry.named("app").push_manifest("latest", INDEX, note("mine"));
    registry.named("library/app").push_manifest("latest", INDEX, note("the library's"));
    registry.get("/v2/app/manifests/latest").expect(200).brings(note("mine"));
    registry.get("/v2/library/app/manifests/latest").expect(200).brings(note("the library's"));
    registry.get("/v2/library/other/manifests/latest").refused(404, "MANIFEST_UNKNOWN");
}

/// 10.3: the list by its tag, and then each child by its digest.
#[test]
fn docker_manifest_inspect_looks_at_every_child() {
    let repository = Registry::shared().repository();
    repository.push_blob("{}");
    let children = ["one", "two"].map(|name| {
        let mut child = image(&descriptor(CONFIG, "{}"), &[]);
        child["annotations"] = json!({ "name": name });
        child.to_string()
    });
    for child in &children {
        repository.put(&digest(child), IMAGE, child).send().expect(201);
    }
    repository.push_manifest(
        "v1",
        INDEX,
        index(&children.each_ref().map(|child| descriptor(IMAGE, child))).to_string(),
    );
    let mut docker = Client::docker(&repository.registry);
    let list = docker.manifest("GET", &repository.path("manifests/v1"), ACCEPTED[0].1).expect(200);
    let list: Value = serde_json::from_slice(&list.body).unwrap();
    for (place, child) in children.iter().enumerate() {
        let path = format!("manifests/{}", list["manifests"][place]["digest"].as_str().unwrap());
        docker.manifest("GET", &repository.path(&path), ACCEPTED[0].1).expect(200).brings(child);
    }
}

/// 10.5, 10.6: it tells the API in its request, and would ask for signatures where the ping invites it to.
#[test]
fn podman_is_not_invited_to_ask_for_signatures() {
    let registry = Registry::shared();
    let mut podman = Client::skopeo(&registry);
    podman.get("/v2/").expect(200).without("X-Registry-Supports-Signatures");
    podman.get(&format!("/extensions/v2/team/app/signatures/{}", digest("signed"))).refused(404, "UNSUPPORTED");
}

/// 10.7: `docker search` and daemons of old ask for version 1.
#[test]
fn what_docker_asks_of_version_1_is_not_found() {
    let mut docker = Client::docker(&Registry::shared());
    for path in ["/v1/_ping", "/v1/search?n=25&q=alpine", "/v1/repositories/team/app/images", "/_ping"] {
        docker.get(path).refused(404, "UNSUPPORTED");
    }
}

/// 7.7, 7.11: credentials that are left over from another time, or of another scheme, are nobody's business while there are no
/// accounts.
#[test]
fn credentials_that_nobody_asked_for_are_ignored() {
    let repository = Registry::shared().repository();
    for credentials in [
        "Basic dXNlcjpwYSVzcyB3OnJk",
        "Basic not base64",
        "Basic",
        "Bearer undefined",
        "Bearer eyJhbGciOiJub25lIn0.e30.",
        "",
        "Negotiate YII=",
    ] {
        let mut wire = repository.registry.connect();
        for (method, path, status) in [("GET", "/v2/", 200), ("POST", &*repository.path("blobs/uploads/"), 202)] {
            wire.begin(method, path, &[("Authorization", credentials), ("Content-Length", "0")]);
            wire.answer().expect(status).without("WWW-Authenticate");
        }
    }
}

/// 10.13: replication in Jenkins, Spinnaker or Harbor.
#[test]
fn more_than_a_hundred_heads_at_once_are_answered() {
    let repository = Registry::shared().repository();
    let named = repository.push_manifest("latest", INDEX, note("replicated"));
    let (count, path) = (120, repository.path("manifests/latest"));
    let connected = Barrier::new(count);
    thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(|| {
                let mut wire = repository.registry.connect();
                connected.wait();
                wire.begin("HEAD", &path, &[("Accept", IMAGE), ("Accept", INDEX)]);
                wire.answer_head().expect(200).with("Docker-Content-Digest", &named);
            });
        }
    });
}

/// 10.14: scanners read the same layers again and again, and a cache before us may spare them that; a tag may move.
#[test]
fn a_layer_may_be_cached_for_good_and_a_tag_may_not() {
    let repository = Registry::shared().repository();
    let blob = repository.push_blob("scanned");
    repository.push_manifest("latest", INDEX, note("moves"));
    let lasting = "max-age=31536000";
    repository.get(&format!("blobs/{blob}")).expect(200).with("Cache-Control", lasting);
    let tagged = repository.get("manifests/latest").expect(200);
    assert!(!tagged.header("Cache-Control").unwrap_or_default().contains(lasting), "{tagged}");
}

/// 10.15: the layers of Windows, which docker leaves out or pushes, depending on its age.
#[test]
fn foreign_layers_may_be_pushed_and_may_be_left_out() {
    let repository = Registry::shared().repository();
    repository.push_blob("{}");
    let mut layer = descriptor(FOREIGN_LAYER, "a layer of Windows");
    layer["urls"] = json!(["https://mcr.microsoft.com/v2/windows/blobs/layer"]);
    let manifest = image(&descriptor(CONFIG, "{}"), &[layer]).to_string();
    repository.push_manifest("left-out", IMAGE, &manifest);
    let blob = repository.push_blob("a layer of Windows");
    repository.push_manifest("pushed", IMAGE, &manifest);
    repository.pull(&blob).expect(200).brings("a layer of Windows");
}

/// 10.17: models have layers of more than 50 GB; numbers of that size are numbers.
#[test]
fn layers_of_more_than_fifty_gigabytes_are_counted() {
    let repository = Registry::shared().repository();
    repository.push_blob("{}");
    let mut layer = descriptor(LAYER, "{}");
    layer["size"] = json!(64_424_509_440_u64);
    repository.push_manifest("model", IMAGE, image(&descriptor(CONFIG, "{}"), &[layer]).to_string());
    let upload = repository.start_upload();
    let range = [("Content-Range", "64424509440-64424509443")];
    let refused =
        Client::regclient(&repository.registry).ask("PATCH", &upload.location, &range, Content::Sized(b"tail"));
    refused.with("Range", "0-0").refused(416, "RANGE_INVALID");
}

/// Section 9: containers/image reads 64 KiB of an error for its user, whatever an image lacks.
#[test]
fn the_body_of_a_refusal_is_as_short_as_skopeo_reads() {
    let repository = Registry::shared().repository();
    repository.push_blob("{}");
    let layers: Vec<_> = (0..5000).map(|number| descriptor(LAYER, format!("missing layer {number}"))).collect();
    let manifest = image(&descriptor(CONFIG, "{}"), &layers).to_string();
    let mut skopeo = Client::skopeo(&repository.registry);
    let path = repository.path("manifests/v1");
    let put = skopeo.ask("PUT", &path, &[("Content-Type", IMAGE)], Content::Sized(manifest.as_bytes()));
    put.refused(400, "MANIFEST_BLOB_UNKNOWN");
    assert!(put.body.len() <= 64 * 1024, "{} bytes", put.body.len());
}
