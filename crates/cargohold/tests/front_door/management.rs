//! The commands for whoever runs the registry: they ask the running server by its socket, and do without one where none runs.

use std::{
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    sync::Arc,
};

use serde_json::Value;

use crate::{
    content::{IMAGE, digest},
    registry::{Registry, Signal, on, run},
    repository::Repository,
    waiting::eventually,
};

fn start() -> (Arc<Registry>, Repository) {
    let registry = Registry::start();
    let repository = registry.named("team/app");
    (registry, repository)
}

/// Asks the management API; answers the status line and the body.
fn ask(registry: &Registry, request: &str) -> (String, String) {
    let mut stream = UnixStream::connect(registry.root().join("cargohold.sock")).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

#[test]
fn a_deleted_repository_is_gone_and_comes_back() {
    let (registry, repository) = start();
    repository.push_image("v1");
    let upload = repository.start_upload();
    let said = registry.command(&["repository", "delete", "team/app"]);
    assert!(said.contains("deleted team/app") && said.contains("cargohold repository undelete team/app"), "{said}");
    repository.get("manifests/v1").refused(404, "MANIFEST_UNKNOWN");
    repository.get("tags/list").refused(404, "NAME_UNKNOWN");
    repository.pull(&repository.layer()).refused(404, "BLOB_UNKNOWN");
    upload.patch("more").send().refused(404, "BLOB_UPLOAD_UNKNOWN");
    assert_eq!(registry.get("/v2/_catalog").json()["repositories"], Value::Array(vec![]));
    let refused = registry.failing_command(&["repository", "delete", "team/app"]);
    assert!(refused.contains("team/app is not known"), "{refused}");

    registry.command(&["repository", "undelete", "team/app"]);
    repository.get("manifests/v1").expect(200);
    repository.pull(&repository.layer()).expect(200);
    upload.patch("more").send().expect(202);
    let refused = registry.failing_command(&["repository", "undelete", "team/app"]);
    assert!(refused.contains("repository team/app is there"), "{refused}");
}

#[test]
fn a_deleted_name_is_free_and_the_new_repository_has_nothing_of_the_old() {
    let (registry, repository) = start();
    repository.push_image("v1");
    registry.command(&["repository", "delete", "team/app"]);
    repository.pull(&repository.layer()).expect(404);
    repository.push_image("v2");
    assert_eq!(repository.tags(), ["v2"]);
    let refused = registry.failing_command(&["repository", "undelete", "team/app"]);
    assert!(refused.contains("repository team/app is there"), "{refused}");
    registry.command(&["repository", "purge", "team/app"]);
    assert_eq!(repository.tags(), ["v2"]);
    repository.pull(&repository.layer()).expect(200);
}

#[test]
fn tags_and_manifests_come_back_by_command() {
    let (registry, repository) = start();
    let manifest = repository.push_image("v1");
    repository.deletes("manifests/v1");
    let said = registry.command(&["repository", "undelete", "team/app:v1"]);
    assert_eq!(said, "team/app:v1 is back: 1 tag\n");
    repository.get("manifests/v1").expect(200);

    let named = format!("team/app@{manifest}");
    let said = registry.command(&["repository", "delete", &named]);
    assert!(said.starts_with(&format!("deleted {named}, with 1 tag\nuntil 20")), "{said}");
    repository.get("manifests/v1").expect(404);
    let said = registry.command(&["repository", "undelete", &named, "--json"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&said["manifests"], &said["tags"]), (&Value::from(1), &Value::from(1)));
    repository.get("manifests/v1").expect(200);
    let refused = registry.failing_command(&["repository", "undelete", "team/app:v9"]);
    assert!(refused.contains("nothing that was deleted is called team/app:v9"), "{refused}");
}

#[test]
fn what_is_purged_is_gone_from_the_disk_in_a_moment_and_what_is_needed_stays() {
    let (registry, repository) = start();
    let shared = repository.push_parts_of_image();
    repository.push_manifest("kept", IMAGE, &shared);
    repository.push_blob("a secret");
    let secret = String::from_utf8(shared).unwrap().replace(&repository.layer(), &digest("a secret"));
    let secret = secret.replace(&format!("layer of {}", repository.name).len().to_string(), "8");
    let manifest = repository.push_manifest("leaked", IMAGE, secret);
    let named = format!("team/app@{manifest}");
    let refused = registry.failing_command(&["repository", "purge", &named]);
    assert!(refused.contains("is not deleted"), "{refused}");

    let before = registry.files("docker/registry/v2/blobs").len();
    registry.command(&["repository", "delete", &named]);
    let status = registry.command(&["sweep", "status"]);
    assert!(status.contains("manifest") && status.contains("deleted at"), "{status}");
    registry.command(&["repository", "purge", &named]);
    eventually("the secret's file is gone", || {
        (registry.files("docker/registry/v2/blobs").len() == before - 1).then_some(())
    });
    let refused = registry.failing_command(&["repository", "undelete", &named]);
    assert!(refused.contains("gone for good") || refused.contains("it was purged"), "{refused}");
    repository.get("manifests/kept").expect(200);
    repository.pull(&repository.layer()).expect(200);
    eventually("nothing is left to be deleted", || {
        registry.command(&["sweep", "status"]).contains("\n0 objects to delete\n").then_some(())
    });
}

#[test]
fn the_sweep_says_what_holds_what() {
    let (registry, repository) = start();
    let layer = repository.push_blob("waits for its manifest");
    let status: Value = serde_json::from_str(&registry.command(&["sweep", "status", "--json"])).unwrap();
    let next = status["next"].as_array().unwrap();
    let about = |kind: &str| next.iter().find(|candidate| candidate["kind"] == kind).unwrap();
    assert_eq!(about("link")["digest"], layer);
    assert_eq!(about("link")["bytes"], 22);
    assert!(about("link")["reason"].as_str().unwrap().starts_with("no manifest refers to it since 20"));
    assert!(about("repository")["reason"].as_str().unwrap().contains("no manifest came"));
    let table = registry.command(&["sweep", "status"]);
    assert!(table.contains("DUE") && table.contains("in 23h") && table.contains("team/app"), "{table}");

    let parts = repository.push_parts_of_image();
    repository.push_manifest("v1", IMAGE, &parts);
    let held = registry.command(&["sweep", "status"]);
    assert!(held.contains(&format!("held by manifest {}", digest(parts))), "{held}");
}

#[test]
fn commands_do_without_a_server() {
    let (registry, repository) = start();
    let manifest = repository.push_image("v1");
    repository.deletes(&format!("manifests/{manifest}"));
    for signal in [Signal::TERM, Signal::KILL] {
        registry.signal(signal);
        registry.wait();
        assert!(registry.command(&["sweep", "status"]).contains("deleted at"));
        registry.command(&["repository", "undelete", "team/app:v1"]);
        registry.start_again();
        repository.get("manifests/v1").expect(200);
        repository.deletes(&format!("manifests/{manifest}"));
    }
    registry.signal(Signal::TERM);
    registry.wait();
    registry.command(&["repository", "purge", &format!("team/app@{manifest}")]);
    assert_eq!(registry.files("docker/registry/v2/blobs").len(), 0, "nobody needs any of it");
}

#[test]
fn a_command_without_data_says_how_to_name_it() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(on(&folder.path().join("none")).args(["sweep", "status"]));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("there is no registry's data in") && said.contains("--config"), "{said}");
    assert!(!folder.path().join("none").exists());
    for wrong in ["Team/app", "team/app:", "team/app@sha256:1", "team/app:v1@"] {
        let output = run(on(folder.path()).args(["repository", "delete", wrong]));
        assert_eq!(output.status.code(), Some(2), "{wrong}");
    }
}

#[test]
fn only_the_registrys_own_user_reaches_the_management_api() {
    let (registry, _) = start();
    let mode = registry.root().join("cargohold.sock").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for path in ["/v1/sweep", "/v1/repositories/delete"] {
        assert_eq!(registry.get(path).status, 404, "not by any other door");
    }
}

#[test]
fn the_management_api_refuses_with_a_reason() {
    let (registry, _) = start();
    let post = |path: &str, body: &str| {
        ask(
            &registry,
            &format!(
                "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ),
        )
    };
    for (path, body, status, message) in [
        ("/v1/repositories/delete", "{}", 400, "missing field `repository`"),
        ("/v1/repositories/delete", r#"{"repository": "A"}"#, 400, "must be lower-case"),
        ("/v1/repositories/undelete", r#"{"repository": "a", "reference": "-"}"#, 400, "tag"),
        ("/v1/repositories/purge", r#"{"repository": "a", "tag": "v1"}"#, 400, "unknown field"),
        ("/v1/repositories/purge", r#"{"repository": "a"}"#, 404, "nothing that was deleted is called repository a"),
        ("/v1/sweep", "", 405, "answers GET"),
        ("/v1/other", "", 404, ""),
        ("/v1/repositories/delete", &"x".repeat(70_000), 413, "more than 65536 bytes"),
    ] {
        let (line, answer) = post(path, body);
        assert!(line.contains(&format!(" {status} ")), "{path}: {line}");
        assert!(answer.contains(message), "{path}: {answer}");
    }
}
