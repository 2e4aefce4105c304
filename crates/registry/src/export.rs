//! Writing what the registry has in the layout of the CNCF registry, so that that one serves it.
//!
//! Content comes first, then the link to it, then the tag, and children before their index: whatever a crash leaves is a tree that
//! can be served, and a run again goes on where it was. Nothing that is there is taken away, and a tag that was set there later than
//! here stays. Bytes are linked where the file system allows that, and copied elsewhere.

mod writer;

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use cargohold_access::OperatorPermit;
use cargohold_blobs::Key;
use cargohold_metadata::{BlobId, LinkedBlob, ManifestId, PushedManifest, TaggedManifest};
use cargohold_oci::{Algorithm, Digest, RepositoryName, Tag};

use writer::{Placed, Writer};

use crate::{Error, Registry, distribution};

/// Rows read, and files written, at once.
const PAGE: u16 = 500;

/// Where an export goes.
#[derive(Clone, Debug)]
pub struct ExportFolder {
    /// The root of the tree.
    pub root: PathBuf,
    /// A folder of the same file system, where files are until they are whole.
    pub unfinished: PathBuf,
    /// Whether bytes are copied even where they could be linked.
    pub copy: bool,
}

/// What an export tells while it runs.
#[derive(Debug)]
pub enum Exporting {
    /// So many repositories are to be written.
    Repositories(u64),
    /// One of them is done.
    Repository,
    /// The bytes of a blob are not there, so that only the other registry's answer to it is missing.
    Lost {
        /// A repository that has it.
        repository: RepositoryName,
        /// The blob.
        digest: Digest,
    },
    /// A tag of the tree was set later than ours, and stays.
    Newer {
        /// The repository.
        repository: RepositoryName,
        /// The tag.
        tag: Tag,
    },
}

/// How much was exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Repositories.
    pub repositories: u64,
    /// Manifests, counted in each repository.
    pub manifests: u64,
    /// Tags.
    pub tags: u64,
    /// Links to blobs, counted in each repository.
    pub blobs: u64,
    /// Blobs whose bytes this run linked to.
    pub linked: u64,
    /// The bytes of these.
    pub linked_bytes: u64,
    /// Blobs whose bytes this run copied.
    pub copied: u64,
    /// The bytes of these.
    pub copied_bytes: u64,
    /// Blobs whose bytes are not there.
    pub lost: u64,
    /// Tags of the tree that were set later than ours.
    pub newer: u64,
}

/// An export under way.
struct Export<'e> {
    registry: &'e Registry,
    writer: Arc<Writer>,
    tell: &'e (dyn Fn(Exporting) + Sync),
    exported: Exported,
}

impl Registry {
    /// Writes all that readers can have. The facts must stand still; bytes that they name must stay until it is done.
    pub async fn export(
        &self,
        _permit: &OperatorPermit,
        folder: ExportFolder,
        tell: &(dyn Fn(Exporting) + Sync),
    ) -> Result<Exported, Error> {
        let writer = Arc::new(Writer::new(folder));
        let mut export = Export { registry: self, writer, tell, exported: Exported::default() };
        let mut count = 0;
        export
            .each_repository(async |_, _| {
                count += 1;
                Ok(())
            })
            .await?;
        tell(Exporting::Repositories(count));
        export.each_repository(Export::repository).await?;
        Ok(export.exported)
    }
}

impl Export<'_> {
    async fn each_repository(
        &mut self,
        mut act: impl AsyncFnMut(&mut Self, &RepositoryName) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut last = String::new();
        loop {
            let page = self.registry.0.metadata.repositories(&last, PAGE.into()).await?;
            let Some(end) = page.last() else { return Ok(()) };
            end.as_str().clone_into(&mut last);
            for name in &page {
                act(self, name).await?;
            }
        }
    }

    async fn repository(&mut self, name: &RepositoryName) -> Result<(), Error> {
        self.blobs(name).await?;
        self.manifests(name).await?;
        self.tags(name).await?;
        self.exported.repositories += 1;
        (self.tell)(Exporting::Repository);
        Ok(())
    }

    async fn blobs(&mut self, name: &RepositoryName) -> Result<(), Error> {
        let mut after: Option<BlobId> = None;
        loop {
            let page = self.registry.0.metadata.linked_blobs(name, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id);
            for (digest, size, placed) in self.place(name, page).await? {
                match placed {
                    None => {
                        self.exported.lost += 1;
                        (self.tell)(Exporting::Lost { repository: name.clone(), digest });
                        continue;
                    }
                    Some(Placed::There) => {}
                    Some(Placed::Linked) => {
                        self.exported.linked += 1;
                        self.exported.linked_bytes += size;
                    }
                    Some(Placed::Copied) => {
                        self.exported.copied += 1;
                        self.exported.copied_bytes += size;
                    }
                }
                self.exported.blobs += 1;
            }
        }
    }

    /// Has the tree have the bytes of some blobs, and a repository the links to them; tells how each came there.
    async fn place(
        &self,
        name: &RepositoryName,
        page: Vec<LinkedBlob>,
    ) -> Result<Vec<(Digest, u64, Option<Placed>)>, Error> {
        let (registry, writer, name) = (self.registry.clone(), self.writer.clone(), name.clone());
        blocking(move || {
            let place = |blob: LinkedBlob| {
                let placed = match registry.file_of(&blob)? {
                    Some(file) => writer.bytes(&file, &blob.digest, blob.size)?,
                    None => None,
                };
                if placed.is_some() {
                    writer.link(&distribution::layer(&name, &blob.digest), &blob.digest, blob.linked_at)?;
                }
                Ok((blob.digest, blob.size, placed))
            };
            page.into_iter().map(place).collect()
        })
        .await
    }

    async fn manifests(&mut self, name: &RepositoryName) -> Result<(), Error> {
        let (mut done, mut after) = (HashSet::new(), ManifestId::FIRST);
        loop {
            let page = self.registry.0.metadata.live_manifests(name, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = *last;
            for manifest in page {
                self.with_children(name, manifest, &mut done).await?;
            }
        }
    }

    /// Writes a manifest behind all that it refers to.
    async fn with_children(
        &mut self,
        name: &RepositoryName,
        manifest: ManifestId,
        done: &mut HashSet<ManifestId>,
    ) -> Result<(), Error> {
        let (metadata, mut path) = (&self.registry.0.metadata, vec![(manifest, false)]);
        while let Some((manifest, below_is_done)) = path.pop() {
            if below_is_done {
                let Some(found) = metadata.pushed_manifest(manifest).await? else { continue };
                self.put(name, found).await?;
                self.exported.manifests += 1;
            } else if done.insert(manifest) {
                path.push((manifest, true));
                path.extend(metadata.live_children(manifest).await?.into_iter().map(|child| (child, false)));
            }
        }
        Ok(())
    }

    /// The CNCF registry keeps every payload by its sha256; a revision of another algorithm is a link to that.
    async fn put(&self, name: &RepositoryName, manifest: PushedManifest) -> Result<(), Error> {
        let (writer, name) = (self.writer.clone(), name.clone());
        blocking(move || {
            let PushedManifest { digest, bytes, pushed_at } = manifest;
            let payload = Digest::of(Algorithm::Sha256, &bytes);
            writer.payload(&payload, &bytes)?;
            writer.link(&distribution::revision(&name, &digest), &payload, pushed_at)
        })
        .await
    }

    async fn tags(&mut self, name: &RepositoryName) -> Result<(), Error> {
        let (writer, folder) = (self.writer.clone(), distribution::tags(name));
        // Without it the other registry does not know the repository.
        blocking(move || writer.folder(&folder)).await?;
        let mut last = String::new();
        loop {
            let page = self.registry.0.metadata.tagged_manifests(name, &last, PAGE).await?;
            let Some(end) = page.last() else { return Ok(()) };
            end.tag.as_str().clone_into(&mut last);
            let (writer, repository) = (self.writer.clone(), name.clone());
            let tags = blocking(move || {
                let tags = page.into_iter().map(|tag| Ok((tag.tag.clone(), set(&writer, &repository, &tag)?)));
                tags.collect::<Result<Vec<_>, Error>>()
            });
            for (tag, is_set) in tags.await? {
                if is_set {
                    self.exported.tags += 1;
                } else {
                    self.exported.newer += 1;
                    (self.tell)(Exporting::Newer { repository: name.clone(), tag });
                }
            }
        }
    }
}

/// Has a tag name a manifest; false if it was set there later than here. Blocks.
fn set(writer: &Writer, name: &RepositoryName, tag: &TaggedManifest) -> Result<bool, Error> {
    let TaggedManifest { tag, manifest, pushed_at } = tag;
    let current = distribution::current(name, tag);
    if writer.is_newer(&current, manifest, *pushed_at) {
        return Ok(false);
    }
    writer.link(&distribution::index(name, tag, manifest), manifest, *pushed_at)?;
    writer.link(&current, manifest, *pushed_at)?;
    Ok(true)
}

impl Registry {
    /// The file that a blob lies in; none if its bytes are lost. Blocks.
    fn file_of(&self, blob: &LinkedBlob) -> Result<Option<PathBuf>, Error> {
        let Some((store, key)) = &blob.object else { return Ok(None) };
        match self.0.stores.reader(*store)?.file_of(&Key::parse(key)?) {
            Ok(file) => Ok(Some(file)),
            Err(cargohold_blobs::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Runs what blocks away from the tasks.
async fn blocking<T: Send + 'static>(act: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(act).await.map_err(|_| Error::Broken)?
}

/// What a failed call means for whoever asked for the export.
fn failed(path: &Path, source: std::io::Error) -> Error {
    match source.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Error::NoSpace,
        _ => cargohold_blobs::Error::Io { path: path.to_owned(), source }.into(),
    }
}
