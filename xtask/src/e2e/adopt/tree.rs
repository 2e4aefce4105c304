//! A tree of the CNCF registry with several thousand manifests, written as that registry writes it, but faster than by pushes; and
//! what a folder is, to see whether somebody changed it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::{Value, json};

use super::answers::Content;
use crate::e2e::digest;
use crate::e2e::images::{OCI_INDEX, OCI_MANIFEST};
use crate::e2e::random::Random;

/// Repositories; each third is nested in the one before it.
const REPOSITORIES: usize = 90;
/// Images of each.
const IMAGES: usize = 34;
/// Layers that the images of a repository choose from; its neighbours have some of them too.
const LAYERS: usize = 12;

/// The folder of another registry.
pub(super) struct Tree<'t> {
    root: &'t Path,
    content: &'t mut Content,
}

/// What a folder has in it: each path with its mode, the time of its last change, and the digest of what is in it.
pub(super) type Fingerprint = BTreeMap<PathBuf, (u32, i64, i64, String)>;

impl<'t> Tree<'t> {
    /// Writes the bulk into `root`, and adds what it is to `content`.
    pub(super) fn fill(root: &'t Path, content: &'t mut Content, random: &mut Random) -> Result<()> {
        let mut tree = Self { root, content };
        let layers: Vec<(String, usize)> = (0..REPOSITORIES + LAYERS)
            .map(|_| {
                let size = random.between(1, 4000);
                Ok((tree.blob(&random.bytes(size))?, size))
            })
            .collect::<Result<_>>()?;
        let mut above = String::new();
        for number in 0..REPOSITORIES {
            let name = if number % 3 == 2 { format!("{above}/nested") } else { format!("bulk/r{number}") };
            tree.repository(&name, &layers[number..number + LAYERS], random)?;
            above = name;
        }
        Ok(())
    }

    fn repository(&mut self, name: &str, layers: &[(String, usize)], random: &mut Random) -> Result<()> {
        let mut images = Vec::new();
        for number in 0..IMAGES {
            let config = json!({ "of": name, "number": number, "salt": random.next() }).to_string().into_bytes();
            let mut of_image = Vec::new();
            for _ in 0..3 {
                let (layer, size) = &layers[random.below(layers.len())];
                self.link(name, "_layers", layer, layer)?;
                self.content.blob(name, layer);
                of_image.push(json!({
                    "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": layer, "size": size,
                }));
            }
            let digest = self.blob(&config)?;
            self.link(name, "_layers", &digest, &digest)?;
            self.content.blob(name, &digest);
            let manifest = json!({
                "schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": of_image,
                "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": config.len() },
            });
            // Most have a tag, some two, and some none any more.
            let tags: Vec<String> = (0..[1, 1, 2, 0][number % 4]).map(|tag| format!("v{number}.{tag}")).collect();
            images.push(self.manifest(name, &manifest, &tags)?);
        }
        let children: Vec<Value> = images[..2]
            .iter()
            .map(|(digest, size)| json!({ "mediaType": OCI_MANIFEST, "digest": digest, "size": size }))
            .collect();
        let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children });
        self.manifest(name, &index, &["latest".to_owned()])?;
        Ok(())
    }

    fn manifest(&mut self, name: &str, manifest: &Value, tags: &[String]) -> Result<(String, usize)> {
        let bytes = manifest.to_string().into_bytes();
        let digest = self.blob(&bytes)?;
        self.link(name, "_manifests/revisions", &digest, &digest)?;
        self.content.manifest(name, &digest, None);
        for tag in tags {
            self.link(name, &format!("_manifests/tags/{tag}/index"), &digest, &digest)?;
            self.write(&format!("repositories/{name}/_manifests/tags/{tag}/current/link"), digest.as_bytes())?;
            self.content.manifest(name, &digest, Some(tag));
        }
        Ok((digest, bytes.len()))
    }

    fn blob(&self, bytes: &[u8]) -> Result<String> {
        let digest = digest::sha256(bytes);
        let hash = digest::hash(&digest);
        self.write(&format!("blobs/sha256/{}/{hash}/data", &hash[..2]), bytes)?;
        Ok(digest)
    }

    fn link(&self, name: &str, folder: &str, digest: &str, named: &str) -> Result<()> {
        self.write(&format!("repositories/{name}/{folder}/{}/link", digest.replace(':', "/")), named.as_bytes())
    }

    fn write(&self, below: &str, bytes: &[u8]) -> Result<()> {
        let path = self.root.join("docker/registry/v2").join(below);
        if !path.exists() {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(path, bytes)?;
        }
        Ok(())
    }
}

/// What a folder is now.
pub(super) fn fingerprint(root: &Path) -> Result<Fingerprint> {
    let (mut found, mut folders) = (Fingerprint::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let metadata = path.symlink_metadata()?;
            let content = if metadata.is_file() { digest::sha256(&fs::read(&path)?) } else { String::new() };
            if metadata.is_dir() {
                folders.push(path.clone());
            }
            found.insert(path, (metadata.mode(), metadata.mtime(), metadata.mtime_nsec(), content));
        }
    }
    Ok(found)
}
