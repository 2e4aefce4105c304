//! `cargohold adopt`: what another registry has is served from where it lies, and nothing there is ever changed.

use std::{fs, os::unix::fs::PermissionsExt, process::Command, sync::Arc};

use serde_json::Value;

use crate::{
    content::{CONFIG, INDEX, descriptor, digest, image, index, sha512},
    distribution::{Tree, current, data, link},
    registry::{Registry, Settings, on, run, serve},
    waiting::eventually,
};

const AT_ONCE: Settings = &[
    ("CARGOHOLD__SWEEP__GRACE", "0s"),
    ("CARGOHOLD__SWEEP__WINDOW", "0s"),
    ("CARGOHOLD__SWEEP__KEEP", "0s"),
    ("CARGOHOLD__SWEEP__INTERVAL", "10ms"),
];

fn stopped() -> Arc<Registry> {
    stopped_with(&[])
}

fn stopped_with(settings: Settings) -> Arc<Registry> {
    let registry = Registry::start_in(tempfile::tempdir().unwrap(), settings);
    registry.stop();
    registry
}

impl Registry {
    /// What an adoption tells: the kinds of what is odd, in order, its whole, and its exit status.
    fn adopt(&self, tree: &Tree, more: &[&str]) -> (Vec<String>, Value, Option<i32>) {
        let output = self.try_command(&[&["adopt", "--json", tree.text()], more].concat());
        let said = String::from_utf8(output.stdout).unwrap();
        assert_ne!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
        let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let (whole, odd) = lines.split_last().unwrap();
        let mut kinds: Vec<_> = odd.iter().map(|line| line["odd"].as_str().unwrap().to_owned()).collect();
        kinds.sort();
        let harmless = odd.iter().filter(|line| line["harmless"] == true).count();
        assert_eq!((&whole["harmless"], &whole["left_out"]), (&harmless.into(), &(odd.len() - harmless).into()));
        (kinds, whole.clone(), output.status.code())
    }
}

#[test]
fn what_is_adopted_is_served_and_never_changed() {
    let (tree, registry) = (Tree::new(), stopped_with(AT_ONCE));
    let shared = "a layer of many";
    let [one, other] = [("a", "v1"), ("a", "v2")].map(|(name, tag)| tree.image(name, tag, shared));
    let both = tree.index("a", "both", &[&one, &other]);
    let nested = tree.image("a/b", "v1", shared);
    let before = tree.fingerprint();
    let (odd, whole, status) = registry.adopt(&tree, &[]);
    assert_eq!((odd, status), (vec![], Some(0)), "{whole}");
    assert_eq!(whole["manifests"]["new"], 4);
    assert_eq!(whole["repositories"]["new"], 2);
    assert_eq!((&whole["tags"]["new"], &whole["blobs"]["new"]), (&4.into(), &4.into()));
    registry.start_again();
    let (a, b) = (registry.named("a"), registry.named("a/b"));
    assert_eq!(registry.get("/v2/_catalog").json()["repositories"], serde_json::json!(["a", "a/b"]));
    for (reference, digest) in [("v1", &one), ("v2", &other), ("both", &both)] {
        a.get(&format!("manifests/{reference}")).expect(200).brings(tree.content(digest));
        a.get(&format!("manifests/{digest}")).expect(200).brings(tree.content(digest));
    }
    assert_eq!(a.get("tags/list").json()["tags"], serde_json::json!(["both", "v1", "v2"]));
    for repository in [&a, &b] {
        repository.pull(&digest(shared)).expect(200).brings(shared);
    }
    a.pull(&one).refused(404, "BLOB_UNKNOWN");

    // New pushes are ours, what is there already is not stored again, and what goes leaves the other's files alone.
    assert_eq!(registry.files("docker").len(), 0);
    b.push_blob(shared);
    a.push_blob("our own");
    eventually("nothing is kept twice, and what nobody needs goes", || {
        registry.files("docker").is_empty().then_some(())
    });
    for digest in [&both, &one, &other] {
        a.deletes(&format!("manifests/{digest}"));
    }
    b.deletes(&format!("manifests/{nested}"));
    eventually("all of it is swept", || {
        let status = registry.command(&["sweep", "status"]);
        (status.starts_with("0 candidates") && status.contains("\n0 objects to delete")).then_some(())
    });
    b.pull(&digest(shared)).refused(404, "BLOB_UNKNOWN");
    assert!(registry.command(&["fsck"]).contains("all is well"));
    registry.stop();
    registry.command(&["fsck", "--repair"]);
    assert_eq!(tree.fingerprint(), before);
}

#[test]
fn content_under_a_second_digest_is_served_under_both() {
    let (tree, registry) = (Tree::new(), stopped());
    tree.image("app", "v1", "layer");
    let blob = "pushed by its sha512";
    let by_512 = sha512(blob);
    let by_256 = tree.layer("app", blob);
    tree.write(&link("app", "_layers", &by_512), &by_256);
    let manifest = index(&[]).to_string();
    let revision = sha512(&manifest);
    let payload = tree.blob(&manifest);
    tree.write(&link("app", "_manifests/revisions", &revision), payload);
    assert_eq!(registry.adopt(&tree, &["--verify"]).0, [""; 0]);
    registry.start_again();
    let app = registry.named("app");
    for digest in [&by_512, &by_256] {
        app.pull(digest).expect(200).brings(blob);
    }
    app.get(&format!("manifests/{revision}")).expect(200).brings(manifest);
    assert_eq!(registry.fsck_kinds(), [""; 0]);
    fs::remove_file(tree.path(&link("app", "_layers", &by_512))).unwrap();
    app.pull(&by_512).refused(404, "BLOB_UNKNOWN");
    app.pull(&by_256).expect(200).brings(blob);
}

fn command(tree: &Tree, arguments: &[&str]) -> Command {
    let mut command = on(tree.root());
    command.args(arguments);
    command
}

impl Registry {
    fn fsck_kinds(&self) -> Vec<String> {
        let said = String::from_utf8(self.try_command(&["fsck", "--json"]).stdout).unwrap();
        let lines = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter_map(|line| line["problem"].as_str().map(str::to_owned)).collect()
    }
}

#[test]
fn what_is_odd_is_told_and_everything_else_is_adopted() {
    let (tree, registry) = (Tree::new(), stopped());
    let good = tree.image("good", "v1", "layer");
    let revisions = |content: &str| link("good", "_manifests/revisions", &digest(content));
    // Blobs.
    let lost = digest("a link without data");
    tree.write(&link("good", "_layers", &lost), &lost);
    let empty = tree.layer("good", "an empty file");
    tree.write(&data(&empty), "");
    let newline = tree.layer("good", "a newline behind the link");
    tree.write(&link("good", "_layers", &newline), format!("{newline}\n"));
    let rubbish = tree.layer("good", "no link");
    tree.write(&link("good", "_layers", &rubbish), "no link");
    let wrong = tree.layer("good", "a wrong link");
    tree.write(&link("good", "_layers", &wrong), digest("something else"));
    tree.write("repositories/good/_layers/sha256/abc/link", digest("abc"));
    tree.write("repositories/good/_layers/tarsum/abc/link", digest("abc"));
    tree.write("repositories/good/_layers/sha256/x.1234.tmp", "");
    let nothing = tree.layer("good", "");
    // Manifests.
    let schema_one = r#"{"schemaVersion":1,"name":"good","tag":"v0","fsLayers":[],"history":[]}"#;
    for bad in ["not JSON", schema_one, r#"{"schemaVersion":2}"#] {
        let digest = tree.manifest("good", bad);
        tree.tag("good", &format!("bad-{}", bad.len()), &digest);
    }
    for cut in ["cut to nothing", "changed"] {
        let digest = tree.manifest("good", cut);
        tree.write(&data(&digest), if cut == "changed" { "Changed" } else { "" });
    }
    tree.write(&revisions("without bytes"), digest("without bytes"));
    fs::create_dir_all(tree.path(&revisions("deleted")).parent().unwrap()).unwrap();
    let absent = image(&descriptor(CONFIG, "not there"), &[]).to_string();
    let absent = tree.manifest("good", absent);
    // Tags.
    tree.tag("good", "dangling", &digest("deleted"));
    fs::create_dir_all(tree.path("repositories/good/_manifests/tags/unfinished/index")).unwrap();
    tree.tag("good", "-refused", &good);
    tree.tag("good", "latest", &good);
    // Repositories.
    tree.image("Upper/Case", "v1", "layer");
    fs::create_dir_all(tree.path("repositories/empty/folder")).unwrap();
    fs::create_dir_all(tree.path("repositories/begun/_uploads/some-upload")).unwrap();
    tree.write("repositories/good/README", "hello");
    std::os::unix::fs::symlink(tree.path("repositories/good"), tree.path("repositories/link")).unwrap();

    let (odd, whole, status) = registry.adopt(&tree, &[]);
    assert_eq!(status, Some(3));
    let expected = [
        "blob damaged",
        "blob damaged",
        "blob damaged",
        "blob missing",
        "blob missing",
        "content missing",
        "deleted",
        "digest refused",
        "digest refused",
        "file unfinished",
        "file unknown",
        "folder empty",
        "link damaged",
        "link damaged",
        "manifest of schema 1",
        "manifest refused",
        "manifest refused",
        "repository refused",
        "repository without manifests",
        "symbolic link",
        "tag dangling",
        "tag dangling",
        "tag dangling",
        "tag dangling",
        "tag refused",
        "tag unfinished",
    ];
    assert_eq!(odd, expected, "{whole}");
    assert_eq!(whole["uploads"], 1);
    registry.start_again();
    let repository = registry.named("good");
    for reference in [good.as_str(), "v1", "latest", &absent] {
        repository.get(&format!("manifests/{reference}")).expect(200);
    }
    for blob in [&newline, &nothing] {
        repository.pull(blob).expect(200);
    }
    for blob in [&lost, &empty, &rubbish, &wrong] {
        repository.head(&format!("blobs/{blob}")).expect(404);
    }
    assert_eq!(registry.get("/v2/_catalog").json()["repositories"], serde_json::json!(["good"]));
    repository.push_blob("a link without data");
    repository.push_blob("an empty file");
    repository.pull(&empty).expect(200).brings("an empty file");
    assert_eq!(registry.fsck_kinds(), [""; 0]);
}

#[test]
fn what_cannot_be_read_is_told_and_taken_later() {
    let (tree, registry) = (Tree::new(), stopped());
    tree.image("open", "v1", "layer");
    let closed = tree.image("closed", "v1", "layer");
    let folder = tree.path("repositories/closed/_manifests");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o000)).unwrap();
    // Whoever may read everything is not stopped by modes.
    let privileged = fs::read_dir(&folder).is_ok();
    let (odd, _, status) = registry.adopt(&tree, &[]);
    if !privileged {
        assert!(odd.contains(&"unreadable".to_owned()) && status == Some(3), "{odd:?}");
    }
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(registry.adopt(&tree, &[]).2, Some(0));
    registry.start_again();
    registry.named("closed").get(&format!("manifests/{closed}")).expect(200);
}

#[test]
fn only_left_overs_are_no_failure() {
    let (tree, registry) = (Tree::new(), stopped());
    let image = tree.image("app", "v1", "layer");
    fs::remove_file(tree.path(&link("app", "_manifests/revisions", &image))).unwrap();
    tree.image("app", "v2", "layer");
    let (odd, whole, status) = registry.adopt(&tree, &[]);
    assert_eq!((odd, status), (vec!["deleted".to_owned(), "tag dangling".to_owned()], Some(0)), "{whole}");
}

#[test]
fn a_later_run_takes_what_is_new_and_leaves_what_was_changed_here() {
    let (tree, registry) = (Tree::new(), stopped());
    let [one, two, gone] = ["v1", "v2", "gone"].map(|tag| tree.image("app", tag, "layer"));
    for tag in ["moved", "untagged", "theirs"] {
        tree.tag("app", tag, &one);
    }
    for tag in ["v1", "v2", "gone", "moved", "untagged", "theirs"] {
        tree.age(&current("app", tag), 100);
    }
    for manifest in [&one, &two, &gone] {
        tree.age(&link("app", "_manifests/revisions", manifest), 100);
    }
    registry.adopt(&tree, &[]);
    let (odd, whole, _) = registry.adopt(&tree, &[]);
    assert_eq!(odd, [""; 0]);
    for what in ["repositories", "manifests", "tags", "blobs", "bytes"] {
        assert_eq!(whole[what]["new"], 0, "{whole}");
        assert_ne!(whole[what]["all"], 0, "{whole}");
    }

    registry.start_again();
    let app = registry.named("app");
    app.put("moved", crate::content::IMAGE, tree.content(&two)).send().expect(201);
    app.deletes("manifests/untagged");
    app.deletes(&format!("manifests/{gone}"));
    registry.stop();
    let new = tree.image("app", "v3", "another layer");
    tree.tag("app", "theirs", &new);
    let (_, whole, _) = registry.adopt(&tree, &[]);
    assert_eq!((&whole["manifests"]["new"], &whole["tags"]["new"]), (&1.into(), &2.into()), "{whole}");
    registry.start_again();
    for (tag, manifest) in [("v1", &one), ("v2", &two), ("v3", &new), ("theirs", &new), ("moved", &two)] {
        app.get(&format!("manifests/{tag}")).expect(200).brings(tree.content(manifest));
    }
    for reference in ["untagged", "gone", &gone] {
        app.get(&format!("manifests/{reference}")).expect(404);
    }
    app.pull(&digest("another layer")).expect(200);

    registry.command(&["repository", "delete", "app"]);
    registry.stop();
    assert_eq!(registry.adopt(&tree, &[]).0, ["repository deleted here"]);
    registry.start_again();
    app.get("tags/list").expect(404);
}

#[test]
fn an_adoption_that_is_killed_goes_on() {
    let (tree, registry) = (Tree::new(), stopped());
    let images: Vec<String> =
        (0..60).map(|number| tree.image(&format!("r{}", number % 7), &format!("v{number}"), "layer")).collect();
    for pause in [0, 20, 40, 80] {
        let mut killed = on(&registry.root()).args(["adopt", tree.text()]).spawn().unwrap();
        // Wherever it is by then.
        std::thread::sleep(std::time::Duration::from_millis(pause));
        killed.kill().unwrap();
        killed.wait().unwrap();
    }
    let (odd, whole, status) = registry.adopt(&tree, &[]);
    assert_eq!((odd, status), (vec![], Some(0)));
    assert_eq!((&whole["manifests"]["all"], &whole["tags"]["all"]), (&60.into(), &60.into()));
    assert_eq!((&whole["blobs"]["all"], &whole["repositories"]["all"]), (&61.into(), &7.into()));
    registry.start_again();
    for (number, digest) in images.iter().enumerate() {
        let repository = registry.named(&format!("r{}", number % 7));
        repository.get(&format!("manifests/v{number}")).expect(200).brings(tree.content(digest));
    }
}

#[test]
fn a_store_that_is_away_is_not_empty() {
    let (tree, registry) = (Tree::new(), stopped());
    tree.image("app", "v1", "layer");
    registry.adopt(&tree, &[]);
    registry.start_again();
    let app = registry.named("app");
    let (here, away) = (tree.path(""), tree.root().join("away"));
    fs::rename(&here, &away).unwrap();
    app.get("manifests/v1").expect(200);
    let answer = app.pull(&digest("layer"));
    answer.refused(503, "UNAVAILABLE");
    app.push_blob("ours goes on");
    assert_eq!(registry.fsck_kinds(), ["store away"]);
    registry.stop();
    let repaired = registry.try_command(&["fsck", "--repair"]);
    assert_eq!(repaired.status.code(), Some(3), "no repair brings it back, and none marks anything");
    registry.start_again();
    eventually("the operator is told", || registry.log().contains("an adopted store is away").then_some(()));
    registry.stop();
    fs::rename(&away, &here).unwrap();
    registry.start_again();
    app.pull(&digest("layer")).expect(200).brings("layer");

    registry.stop();
    let elsewhere = Tree::new();
    fs::remove_dir_all(elsewhere.path("")).unwrap();
    fs::rename(&here, elsewhere.path("")).unwrap();
    let refused = registry.failing_command(&["adopt", elsewhere.text(), "--moved-from", "/nowhere"]);
    assert!(refused.contains("nothing was adopted from /nowhere"), "{refused}");
    let (_, whole, _) = registry.adopt(&elsewhere, &["--moved-from", tree.text()]);
    assert_eq!(whole["blobs"], serde_json::json!({ "all": 2, "new": 0 }));
    registry.start_again();
    app.pull(&digest("layer")).expect(200).brings("layer");
}

#[test]
fn bytes_are_trusted_by_their_name_until_they_were_read() {
    let (tree, registry) = (Tree::new(), stopped_with(&[("CARGOHOLD__SCRUB__EVERY", "0s")]));
    tree.image("app", "v1", "layer");
    tree.image("app", "v2", "a longer layer");
    tree.write(&data(&digest("layer")), "LAYER");
    // A manifest says how long it is: then it is read at once.
    tree.write(&data(&digest("a longer layer")), "a longer");
    let (odd, _, status) = registry.adopt(&tree, &[]);
    assert_eq!((odd, status), (vec!["blob damaged".to_owned(), "content missing".to_owned()], Some(3)));
    registry.start_again();
    let app = registry.named("app");
    app.pull(&digest("layer")).expect(200).brings("LAYER");
    app.pull(&digest("a longer layer")).refused(404, "BLOB_UNKNOWN");
    app.push_blob("a longer layer");
    app.pull(&digest("a longer layer")).expect(200).brings("a longer layer");
    registry.stop();

    let (odd, whole, status) = registry.adopt(&tree, &["--verify"]);
    assert_eq!((odd, status), (vec!["blob damaged".to_owned()], Some(3)));
    assert_eq!(whole["verified"], 2);
    registry.start_again();
    app.pull(&digest("layer")).refused(404, "BLOB_UNKNOWN");
    registry.stop();
    tree.write(&data(&digest("layer")), "layer");
    let (odd, whole, _) = registry.adopt(&tree, &["--verify"]);
    assert_eq!((odd, &whole["verified"]), (vec![], &0.into()), "it was read when it was found again");
    registry.start_again();
    app.pull(&digest("layer")).expect(200).brings("layer");
}

#[test]
fn the_scrub_reads_what_was_adopted() {
    let (tree, registry) = (Tree::new(), stopped_with(&[("CARGOHOLD__SWEEP__INTERVAL", "10ms")]));
    tree.image("app", "v1", "layer");
    tree.write(&data(&digest("layer")), "LAYER");
    registry.adopt(&tree, &[]);
    registry.start_again();
    let app = registry.named("app");
    eventually("readers are told", || (app.head(&format!("blobs/{}", digest("layer"))).status == 404).then_some(()));
    app.push_blob("layer");
    app.pull(&digest("layer")).expect(200).brings("layer");
    assert_eq!(tree.content(&digest("layer")), b"LAYER");
}

#[test]
fn our_own_data_is_not_adopted() {
    let registry = stopped();
    let root = registry.root();
    fs::create_dir_all(root.join("docker/registry/v2/repositories")).unwrap();
    fs::create_dir_all(root.join("inside/docker/registry/v2/repositories")).unwrap();
    let above = root.parent().unwrap();
    std::os::unix::fs::symlink(&root, above.join("alias")).unwrap();
    let around = tempfile::tempdir().unwrap();
    fs::create_dir_all(above.join("registry/v2/repositories")).unwrap();
    std::os::unix::fs::symlink(above, around.path().join("docker")).unwrap();
    for (folder, why) in [
        (root.clone(), "is the data folder itself"),
        (above.join("alias"), "is the data folder itself"),
        (root.join("inside"), "lies in the data folder"),
        (around.path().to_owned(), "has the data folder in its tree"),
    ] {
        let refused = registry.failing_command(&["adopt", folder.to_str().unwrap()]);
        assert!(refused.contains(why) && refused.contains("storage.filesystem.rootdirectory"), "{refused}");
    }
    let tree = Tree::new();
    let refused = registry.failing_command(&["adopt", tree.path("repositories").to_str().unwrap()]);
    assert!(refused.contains(&format!("cargohold adopt {}", tree.text())), "{refused}");
    registry.start_again();
    let refused = registry.failing_command(&["adopt", tree.text()]);
    assert!(refused.contains("another cargohold uses this data folder"), "{refused}");
}

#[test]
fn another_registrys_data_folder_is_not_taken_for_an_empty_one() {
    let tree = Tree::new();
    tree.image("app", "v1", "layer");
    let before = tree.fingerprint();
    for mut command in [serve(tree.root()), command(&tree, &["fsck", "--repair"])] {
        let output = run(&mut command);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        let adopt = format!("cargohold adopt {}", tree.root().canonicalize().unwrap().display());
        assert!(said.contains(&adopt) && said.contains("ROOTDIRECTORY="), "{said}");
    }
    assert_eq!(tree.fingerprint(), before);
}

#[test]
fn what_arrives_later_completes_what_was_adopted() {
    let (tree, registry) = (Tree::new(), stopped());
    let child = image(&descriptor(CONFIG, "{}"), &[]).to_string();
    let parent = index(&[descriptor(crate::content::IMAGE, &child)]).to_string();
    let parent = tree.manifest("app", parent);
    tree.tag("app", "all", &parent);
    assert_eq!(registry.adopt(&tree, &[]).0, ["content missing"]);
    tree.manifest("app", &child);
    assert_eq!(registry.adopt(&tree, &[]).0, ["content missing"], "now it is the configuration");
    tree.layer("app", "{}");
    assert_eq!(registry.adopt(&tree, &[]).0, [""; 0]);
    registry.start_again();
    let app = registry.named("app");
    app.request("DELETE", &format!("blobs/{}", digest("{}"))).send().refused(405, "UNSUPPORTED");
    app.get(&format!("manifests/{parent}")).expect(200).with("Content-Type", INDEX);
}
