//! `cargohold export`: the layout of the CNCF registry, with all that a registry has.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde_json::Value;

use crate::{
    content::{INDEX, digest, index, sha512},
    distribution::{Tree, current, data, link},
    registry::{Registry, files},
    repository::Repository,
};

impl Registry {
    fn export(&self, folder: &Path, more: &[&str]) -> (Vec<String>, Value) {
        let said = self.command(&[&["export", "--json", folder.to_str().unwrap()], more].concat());
        let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let (whole, odd) = lines.split_last().unwrap();
        (odd.iter().map(|line| line["odd"].as_str().unwrap().to_owned()).collect(), whole.clone())
    }
}

/// What lies at a path of the layout.
fn read(folder: &Path, below: &str) -> String {
    fs::read_to_string(at(folder, below)).unwrap_or_else(|error| panic!("{below}: {error}"))
}

fn at(folder: &Path, below: &str) -> PathBuf {
    folder.join("docker/registry/v2").join(below)
}

fn fill(repository: &Repository) -> [String; 2] {
    let image = repository.push_image("v1");
    let child = repository.get("manifests/v1").body;
    let index = index(&[crate::content::descriptor(crate::content::IMAGE, child)]).to_string();
    [image, repository.push_manifest("all", INDEX, index)]
}

#[test]
fn all_that_readers_have_is_written_beside_a_running_server() {
    let registry = Registry::start();
    let [app, nested] = ["team/app", "team/app/nested"].map(|name| registry.named(name));
    let [image, index] = fill(&app);
    fill(&nested);
    let blob = "by another digest";
    app.start_upload().put(&sha512(blob), blob).send().expect(201);
    let note = crate::content::note("by another digest");
    app.put(&sha512(&note), INDEX, &note).send().expect(201);
    let gone = app.push_manifest("gone", INDEX, crate::content::note("deleted"));
    app.deletes(&format!("manifests/{gone}"));
    let unused = nested.push_blob("that no manifest refers to");
    registry.named("only/begun").start_upload();

    let folder = registry.root().join("../export");
    let (odd, whole) = registry.export(&folder, &[]);
    assert_eq!(odd, [""; 0]);
    assert_eq!((&whole["repositories"], &whole["manifests"], &whole["tags"]), (&2.into(), &5.into(), &4.into()));
    assert_eq!((&whole["blobs"], &whole["linked"]["files"]), (&6.into(), &6.into()), "{whole}");
    for (name, reference) in [("v1", &image), ("all", &index)] {
        let bytes = app.get(&format!("manifests/{name}")).body;
        assert_eq!(read(&folder, &data(reference)).into_bytes(), bytes);
        assert_eq!(read(&folder, &link("team/app", "_manifests/revisions", reference)), *reference);
        assert_eq!(read(&folder, &current("team/app", name)), *reference);
        assert_eq!(read(&folder, &link("team/app", &format!("_manifests/tags/{name}/index"), reference)), *reference);
    }
    let layer = app.layer();
    assert_eq!(read(&folder, &link("team/app", "_layers", &layer)), layer);
    assert_eq!(read(&folder, &link("team/app/nested", "_layers", &unused)), unused);
    assert_eq!(fs::metadata(at(&folder, &data(&layer))).unwrap().nlink(), 2);
    assert_eq!(read(&folder, &data(&sha512(blob))), blob);
    assert_eq!(read(&folder, &link("team/app", "_layers", &sha512(blob))), sha512(blob));
    assert_eq!(read(&folder, &link("team/app", "_manifests/revisions", &sha512(&note))), digest(&note));
    for missing in [link("team/app", "_manifests/revisions", &gone), current("team/app", "gone"), data(&gone)] {
        assert!(!at(&folder, &missing).exists(), "{missing}");
    }
    assert!(!at(&folder, "repositories/only").exists());
    assert!(fs::read_to_string(folder.join("cargohold-export")).unwrap().contains("finished"));
    let beside: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(beside.len(), 2, "{beside:?}");
    assert!(registry.command(&["fsck"]).contains("all is well"));
}

#[test]
fn a_second_run_adds_what_is_new_and_leaves_what_is_newer() {
    let registry = Registry::start();
    let app = registry.named("app");
    let [image, index] = fill(&app);
    let folder = registry.root().join("../export");
    let (_, whole) = registry.export(&folder, &["--copy"]);
    assert_eq!((&whole["copied"]["files"], &whole["linked"]["files"]), (&2.into(), &0.into()));
    let before: Vec<PathBuf> = files(&folder.join("docker"));
    let (_, whole) = registry.export(&folder, &[]);
    assert_eq!(
        (&whole["copied"]["files"], &whole["linked"]["files"], &whole["blobs"]),
        (&0.into(), &0.into(), &2.into())
    );
    assert_eq!(files(&folder.join("docker")).len(), before.len());

    // The other registry sets a tag; here another one moves.
    let theirs = at(&folder, &current("app", "v1"));
    fs::write(&theirs, &index).unwrap();
    let file = fs::File::options().write(true).open(&theirs).unwrap();
    file.set_modified(SystemTime::now() + Duration::from_mins(1)).unwrap();
    app.put("all", crate::content::IMAGE, app.get(&format!("manifests/{image}")).body).send().expect(201);
    // As a copy that was cut off leaves it.
    fs::write(at(&folder, &data(&app.layer())), "lay").unwrap();
    fs::write(folder.join("cargohold-export"), "cargohold export, under way\n").unwrap();
    let (odd, whole) = registry.export(&folder, &[]);
    assert_eq!((odd, &whole["newer"], &whole["tags"]), (vec!["tag newer".to_owned()], &1.into(), &1.into()));
    assert_eq!(read(&folder, &current("app", "v1")), index);
    assert_eq!(read(&folder, &current("app", "all")), image);
    assert_eq!(fs::read(at(&folder, &data(&app.layer()))).unwrap(), app.pull(&app.layer()).body);
}

#[test]
fn what_was_adopted_is_exported_and_adopted_again() {
    let (tree, registry) = (Tree::new(), Registry::start());
    let image = tree.image("app", "v1", "layer");
    let by_512 = sha512("layer");
    tree.write(&link("app", "_layers", &by_512), digest("layer"));
    tree.age(&current("app", "v1"), 1000);
    let before = tree.fingerprint();
    registry.stop();
    registry.command(&["adopt", tree.text()]);
    registry.start_again();
    let [app, new] = ["app", "new"].map(|name| registry.named(name));
    let [pushed, _] = fill(&new);
    registry.stop();
    let folder = registry.root().join("../export");
    let (odd, whole) = registry.export(&folder, &[]);
    assert_eq!((odd, &whole["blobs"]), (vec![], &5.into()), "without a server");
    assert_eq!(read(&folder, &data(&by_512)), "layer");
    let aged = |root: &Path| fs::metadata(at(root, &current("app", "v1"))).unwrap().modified().unwrap();
    let apart = aged(&folder).duration_since(aged(tree.root())).unwrap_or_else(|error| error.duration());
    assert!(apart < Duration::from_millis(1), "when a tag was set is told on");
    assert_eq!(tree.fingerprint(), before);

    let other = Registry::start();
    other.stop();
    other.command(&["adopt", "--verify", folder.to_str().unwrap()]);
    other.start_again();
    let app = other.named(&app.name);
    app.get("manifests/v1").expect(200).brings(tree.content(&image));
    app.pull(&by_512).expect(200).brings("layer");
    other.named("new").get(&format!("manifests/{pushed}")).expect(200);
}

#[test]
fn lost_bytes_are_told() {
    let registry = Registry::start();
    let app = registry.named("app");
    app.push_image("v1");
    fs::remove_file(registry.root().join("docker/registry/v2").join(data(&app.layer()))).unwrap();
    let folder = registry.root().join("../export");
    let output = registry.try_command(&["export", folder.to_str().unwrap()]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains(&app.layer()) && said.contains("1 blob has no bytes"), "{said}");
    assert!(!at(&folder, &link("app", "_layers", &app.layer())).exists());
    assert!(at(&folder, &current("app", "v1")).exists());
}

#[test]
fn only_a_folder_of_its_own_is_written_to() {
    let (tree, registry) = (Tree::new(), Registry::start());
    tree.image("app", "v1", "layer");
    registry.stop();
    registry.command(&["adopt", tree.text()]);
    let busy = tempfile::tempdir().unwrap();
    fs::write(busy.path().join("file"), "").unwrap();
    let before = tree.fingerprint();
    for (folder, why) in [
        (registry.root(), "lies in, the data folder"),
        (registry.root().join("new/folder"), "lies in, the data folder"),
        (tree.root().to_owned(), "lies in, a folder that was adopted"),
        (tree.root().join("new"), "lies in, a folder that was adopted"),
        (busy.path().to_owned(), "is not empty, and no export wrote it"),
    ] {
        let refused = registry.failing_command(&["export", folder.to_str().unwrap()]);
        assert!(refused.contains(why), "{refused}");
    }
    assert_eq!(tree.fingerprint(), before);
    assert!(!registry.root().join("new").exists());
    assert_eq!(files(busy.path()).len(), 1);
}
