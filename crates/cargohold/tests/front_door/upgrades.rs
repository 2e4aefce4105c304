//! Data that an earlier program wrote: it is brought up to date by the start, and nothing is lost.
//!
//! `upgrades/first` is the data folder of the first version that there was, written by it: two images, an index, a manifest with a
//! subject, tags, a mount, a blob that nothing refers to, and an upload under way, after a stop in order.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::{Value, json};

use crate::{
    content::{IMAGE, INDEX, digest, index, note},
    registry::{Registry, Settings, Signal, on, run, serve},
};

/// However old the upload is by now, it is not given up. What becomes of the blob that nothing refers to is up to the sweep.
const UPLOADS_STAY: Settings = &[("CARGOHOLD__STORAGE__MAINTENANCE__UPLOADPURGING__ENABLED", "false")];

const CONFIG: &str = r#"{"architecture":"amd64","os":"linux"}"#;
const FIRST_LAYER: &str = "the first layer";
const SECOND_LAYER: &str = "the second layer";
const UPLOAD: &str = "/v2/team/app/blobs/uploads/01a20066-ece8-748f-a433-d90f72cb6b10";
const RECEIVED: &str = "what came before ";

/// The present program, on a copy of what the first one left.
fn upgraded() -> Arc<Registry> {
    let folder = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/front_door/upgrades/first"), &folder.path().join("data"))
        .unwrap();
    Registry::start_in(folder, UPLOADS_STAY)
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry?.file_name()));
        if from.is_dir() { copy(&from, &to)? } else { fs::copy(&from, &to).map(drop)? }
    }
    Ok(())
}

#[test]
fn everything_that_the_first_program_wrote_is_there() {
    let registry = upgraded();
    let (app, other) = (registry.named("team/app"), registry.named("team/copy"));
    assert_eq!(registry.get("/v2/_catalog").expect(200).json()["repositories"], json!(["team/app", "team/copy"]));
    let tags = app.get("tags/list").expect(200).json()["tags"].clone();
    assert_eq!(tags, json!(["all", "latest", "sha256-signature", "v1", "v2"]));
    assert_eq!(other.get("tags/list").expect(200).json()["tags"], json!(["v1"]));

    for (tag, layer) in [("v1", FIRST_LAYER), ("v2", SECOND_LAYER), ("latest", SECOND_LAYER)] {
        let manifest = app.get(&format!("manifests/{tag}")).expect(200).with("Content-Type", IMAGE);
        let named = digest(&manifest.body);
        assert_eq!(manifest.json()["layers"][0]["digest"], json!(digest(layer)));
        app.get(&format!("manifests/{named}")).expect(200).brings(&manifest.body);
        app.pull(&digest(layer)).expect(200).brings(layer);
    }
    let all = app.get("manifests/all").expect(200).with("Content-Type", INDEX).json();
    for child in all["manifests"].as_array().unwrap() {
        app.get(&format!("manifests/{}", child["digest"].as_str().unwrap())).expect(200);
    }
    other.pull(&digest(CONFIG)).expect(200).brings(CONFIG);
    other.pull(&digest(SECOND_LAYER)).expect(404);

    let image = digest(app.get("manifests/v1").expect(200).body);
    let referrers = app.get(&format!("referrers/{image}")).expect(200).json();
    assert_eq!(referrers["manifests"][0]["artifactType"], json!("application/vnd.example.signature"));
}

#[test]
fn pushes_go_on_where_the_first_program_stopped() {
    let registry = upgraded();
    let app = registry.named("team/app");
    registry.get(UPLOAD).expect(204).with("Range", "0-16");
    let whole = format!("{RECEIVED}and what comes after");
    let closing = format!("{UPLOAD}?digest={}", digest(&whole));
    registry.request("PUT", &closing).body(&whole[RECEIVED.len()..]).send().expect(201);
    app.pull(&digest(&whole)).expect(200).brings(&whole);

    app.push_manifest("new", INDEX, index(&[]).to_string());
    app.push_manifest("latest", INDEX, note("moved"));
    app.request("DELETE", "manifests/v2").send().expect(202);
    registry.named("team/third").push_blob(FIRST_LAYER);
    registry.restart(Signal::KILL);
    app.get("manifests/latest").expect(200).brings(note("moved"));
    app.get("manifests/v2").expect(404);
}

#[test]
fn what_was_brought_up_to_date_is_whole() {
    let registry = upgraded();
    let found: Value = serde_json::from_str(&registry.command(&["fsck", "--json"])).unwrap();
    assert_eq!((&found["problems"], &found["uploads"]), (&json!(0), &json!(1)), "{found}");
    registry.restart(Signal::TERM);
    registry.command(&["fsck", "--quick"]);
}

/// What only reads does not bring it up to date: a server may be about to go back.
#[test]
fn only_a_server_brings_it_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/front_door/upgrades/first"), &data).unwrap();
    let output = run(on(&data).arg("fsck"));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("schema 1") && said.contains("start the server once"), "{said}");
}

#[test]
fn data_of_a_newer_program_is_left_alone_and_says_who_reads_it() {
    let registry = Registry::start();
    registry.signal(Signal::TERM);
    registry.wait();
    let database = registry.root().join("cargohold.db");
    let step = "insert into schema_migrations values (99, '0099_later.sql by Cargohold 7.8.9', 0)";
    rusqlite::Connection::open(&database).unwrap().execute_batch(step).unwrap();
    let before = written(&database);
    let mut commands = [serve(&registry.root()), on(&registry.root()), on(&registry.root())];
    commands[1].arg("fsck");
    commands[2].args(["sweep", "status"]);
    for command in &mut commands {
        let output = run(command);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("has schema 99") && said.contains("Start Cargohold 7.8.9"), "{said}");
        assert!(said.contains(env!("CARGO_PKG_VERSION")), "{said}");
    }
    assert!(written(&database) == before);
}

/// The tables of a database, without what an engine notes for itself.
fn written(database: &PathBuf) -> Vec<String> {
    let connection = rusqlite::Connection::open(database).unwrap();
    let mut tables = connection.prepare("select sql from sqlite_schema order by name").unwrap();
    let tables = tables.query_map([], |row| row.get::<_, Option<String>>(0)).unwrap();
    tables.map(|sql| sql.unwrap().unwrap_or_default()).collect()
}
