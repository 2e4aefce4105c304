//! A data folder of the CNCF registry, as that one writes it.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    time::SystemTime,
};

use serde_json::json;
use tempfile::TempDir;

use crate::content::{CONFIG, LAYER, descriptor, digest, image, index};

#[derive(Debug)]
pub(crate) struct Tree(TempDir);

/// What a folder has in it: each path with what can be seen of it.
pub(crate) type Fingerprint = BTreeMap<PathBuf, (u32, SystemTime, Vec<u8>)>;

impl Tree {
    pub(crate) fn new() -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(tree.path("repositories")).unwrap();
        fs::create_dir_all(tree.path("blobs")).unwrap();
        tree
    }

    pub(crate) fn root(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn text(&self) -> &str {
        self.root().to_str().unwrap()
    }

    /// A path below `docker/registry/v2`.
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.root().join("docker/registry/v2").join(below)
    }

    pub(crate) fn write(&self, below: &str, content: impl AsRef<[u8]>) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Has a file look as if it had been written so many seconds ago.
    pub(crate) fn age(&self, below: &str, seconds: u64) {
        let then = SystemTime::now() - std::time::Duration::from_secs(seconds);
        File::options().write(true).open(self.path(below)).unwrap().set_modified(then).unwrap();
    }

    pub(crate) fn blob(&self, content: impl AsRef<[u8]>) -> String {
        let digest = digest(&content);
        self.write(&data(&digest), content);
        digest
    }

    /// A blob that a repository has.
    pub(crate) fn layer(&self, repository: &str, content: impl AsRef<[u8]>) -> String {
        let digest = self.blob(content);
        self.write(&link(repository, "_layers", &digest), &digest);
        digest
    }

    pub(crate) fn manifest(&self, repository: &str, content: impl AsRef<[u8]>) -> String {
        let digest = self.blob(content);
        self.write(&link(repository, "_manifests/revisions", &digest), &digest);
        digest
    }

    pub(crate) fn tag(&self, repository: &str, tag: &str, digest: &str) {
        let folder = format!("_manifests/tags/{tag}/index");
        self.write(&link(repository, &folder, digest), digest);
        self.write(&current(repository, tag), digest);
    }

    /// An image whose layer several repositories may have; answers its manifest.
    pub(crate) fn image(&self, repository: &str, tag: &str, layer: &str) -> String {
        let config = json!({ "of": repository, "tag": tag }).to_string();
        self.layer(repository, &config);
        self.layer(repository, layer);
        let manifest = image(&descriptor(CONFIG, config), &[descriptor(LAYER, layer)]).to_string();
        let digest = self.manifest(repository, manifest);
        self.tag(repository, tag, &digest);
        digest
    }

    /// An index of manifests of the repository.
    pub(crate) fn index(&self, repository: &str, tag: &str, children: &[&str]) -> String {
        let children = children.iter().map(|child| descriptor(crate::content::IMAGE, self.content(child)));
        let digest = self.manifest(repository, index(&children.collect::<Vec<_>>()).to_string());
        self.tag(repository, tag, &digest);
        digest
    }

    pub(crate) fn content(&self, digest: &str) -> Vec<u8> {
        fs::read(self.path(&data(digest))).unwrap()
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        use std::os::unix::fs::MetadataExt;
        let mut found = BTreeMap::new();
        let mut folders = vec![self.root().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
                let (path, metadata) = (entry.path(), entry.metadata().unwrap());
                let content = if metadata.is_file() { fs::read(&path).unwrap_or_default() } else { Vec::new() };
                if metadata.is_dir() {
                    folders.push(path.clone());
                }
                found.insert(path, (metadata.mode(), metadata.modified().unwrap(), content));
            }
        }
        found
    }
}

/// Where the bytes of a digest lie.
pub(crate) fn data(digest: &str) -> String {
    let (algorithm, hex) = digest.split_once(':').unwrap();
    format!("blobs/{algorithm}/{}/{hex}/data", &hex[..2])
}

/// A repository's link to a digest.
pub(crate) fn link(repository: &str, folder: &str, digest: &str) -> String {
    format!("repositories/{repository}/{folder}/{}/link", digest.replace(':', "/"))
}

/// What a tag names.
pub(crate) fn current(repository: &str, tag: &str) -> String {
    format!("repositories/{repository}/_manifests/tags/{tag}/current/link")
}
