//! `cargohold status`: how a running server is.

use serde_json::Value;

use crate::{
    content::IMAGE,
    registry::{Registry, Signal, on, run},
    waiting::eventually,
};

fn status(registry: &Registry) -> Value {
    serde_json::from_str(&registry.command(&["status", "--json"])).unwrap()
}

#[test]
fn it_tells_what_there_is_and_what_came_and_went() {
    let registry = Registry::start();
    let repository = registry.repository();
    let empty = status(&registry);
    assert_eq!(empty["data"]["blobs"], 0);
    repository.push_manifest("v1", IMAGE, repository.push_parts_of_image());
    repository.push_blob("0123456789");
    repository.start_upload();
    repository.get("manifests/none").expect(404);
    let told = eventually("all of it is counted", || {
        Some(status(&registry)).filter(|told| told["traffic"]["in_flight"] == 0 && told["traffic"]["requests"] == 9)
    });
    let data = &told["data"];
    assert_eq!((&data["repositories"], &data["manifests"], &data["blobs"]), (&1.into(), &1.into(), &3.into()));
    let config_and_layer = format!("{{\"of\":\"{0}\"}}layer of {0}", repository.name).len();
    assert_eq!(data["bytes"], 10 + config_and_layer);
    assert_eq!((&told["traffic"]["client_errors"], &told["traffic"]["server_errors"]), (&1.into(), &0.into()));
    assert!(told["traffic"]["received_bytes"].as_u64().unwrap() > 30);
    assert_eq!(told["uploads"]["count"], 1);
    assert_eq!(told["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(told["address"], registry.addr().to_string());
    assert!(told["disk"]["size_bytes"].as_u64() > told["disk"]["free_bytes"].as_u64());
    assert_eq!((&told["scrub"]["findings"], &told["stores_away"]), (&0.into(), &0.into()));
}

#[test]
fn people_read_a_table() {
    let registry = Registry::start();
    registry.repository().push_blob("0123456789");
    let said = registry.command(&["status"]);
    let lines: Vec<_> = said.lines().collect();
    let heads = ["Version", "Runs", "Listens on", "Has", "Traffic", "Right now", "Sweep", "Scrub", "Disk"];
    assert_eq!(lines.len(), heads.len(), "{said}");
    for (line, head) in lines.iter().zip(heads) {
        let (name, text) = line.split_at("Listens on  ".len());
        assert_eq!(name.trim_end(), head, "{said}");
        assert!(!text.starts_with(' '), "{said}");
    }
    assert!(said.contains("0 repositories, 0 manifests, 1 blob, 10 B, counted "), "{said}");
    assert!(said.contains("64.0 MiB of it kept free"), "{said}");
}

#[test]
fn without_a_server_it_says_so() {
    let registry = Registry::start();
    registry.signal(Signal::KILL);
    registry.wait();
    let folder = tempfile::tempdir().unwrap();
    for output in [registry.try_command(&["status"]), run(on(&folder.path().join("none")).arg("status"))] {
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(output.stdout.is_empty());
        assert!(said.contains("no server runs on the data folder") && said.contains("cargohold serve"), "{said}");
    }
    assert!(!folder.path().join("none").exists());
}
