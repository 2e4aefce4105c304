//! The CNCF registry's configuration, on the folder where its data lies: it is served by the first start, and not a byte of it changes.

use std::{collections::BTreeMap, fs, os::unix::fs::symlink, path::Path, sync::Arc};

use crate::{
    distribution::Tree,
    registry::{Registry, Signal, files, run, serve},
};

const INHERITED: &str =
    "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: /is/in/the/environment\n  delete:\n    enabled: true\n";

/// Where the other registry's data lies, as its configuration says.
fn start_on(tree: &Tree) -> Arc<Registry> {
    let folder = tempfile::tempdir().unwrap();
    symlink(tree.root(), folder.path().join("data")).unwrap();
    Registry::configure(&folder, INHERITED);
    Registry::start_in(folder, &[])
}

/// What names the configuration on the command line.
fn configured(registry: &Registry) -> String {
    format!("--config={}", registry.root().with_file_name("configuration.yml").display())
}

/// The files of the other registry, which are all but ours.
fn theirs(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let ours = root.join("cargohold");
    let files = files(root).into_iter().filter(|file| !file.starts_with(&ours));
    files.map(|file| (file.strip_prefix(root).unwrap().display().to_string(), fs::read(&file).unwrap())).collect()
}

#[test]
fn the_first_start_serves_what_is_there_and_later_ones_all_that_came() {
    let tree = Tree::new();
    let old = tree.image("team/app", "v1", "an old layer");
    let before = theirs(tree.root());
    let registry = start_on(&tree);
    let app = registry.named("team/app");
    app.get("manifests/v1").expect(200).with("Docker-Content-Digest", &old);
    app.push_image("v2");
    app.deletes("manifests/v1");
    for _ in 0..2 {
        registry.restart(Signal::TERM);
        app.get("manifests/v1").expect(404);
        app.get("manifests/v2").expect(200);
        app.get(&format!("manifests/{old}")).expect(200);
    }
    registry.command(&["fsck", &configured(&registry)]);
    assert!(theirs(tree.root()) == before, "nothing is written there, and nothing deleted");
}

#[test]
fn what_the_old_registry_got_since_is_adopted_when_it_is_asked_for() {
    let tree = Tree::new();
    tree.image("a", "v1", "layer");
    let registry = start_on(&tree);
    registry.stop();
    tree.image("a", "v2", "layer");
    registry.command(&["adopt", &configured(&registry), tree.text()]);
    registry.start_again();
    registry.named("a").get("manifests/v2").expect(200);
}

/// A folder that is named in our own way is meant to be ours.
#[test]
fn without_the_inherited_configuration_the_start_is_refused() {
    let tree = Tree::new();
    tree.image("a", "v1", "layer");
    let refused = run(&mut serve(tree.root()));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(refused.status.code() == Some(1) && said.contains("cargohold adopt"), "{said}");
    assert!(!tree.root().join("cargohold").exists());
}
