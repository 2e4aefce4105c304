//! The tree that the CNCF registry (distribution) keeps its content in, as a format that is read and written: which repositories
//! there are, what each has, and what its links are called. Blobs lie beside it, where ours lie too.
//!
//! ```text
//! docker/registry/v2/repositories/<name>/_layers/<algorithm>/<hex>/link
//!                                       /_manifests/revisions/<algorithm>/<hex>/link
//!                                       /_manifests/tags/<tag>/current/link
//!                                       /_manifests/tags/<tag>/index/<algorithm>/<hex>/link
//!                                       /_uploads/<uuid>/...
//! ```
//!
//! It is read by names, some at a time, however large it is: nothing here keeps a list of all.

mod walk;

use std::{fs, io, path::PathBuf};

use cargohold_blobs::LAYOUT;
use cargohold_oci::{Digest, RepositoryName, Tag};
use futures_util::{Stream, stream};
use tokio::sync::mpsc;

pub(crate) use walk::{Odd, Walked, walk};

/// Names that are told at once.
const BATCH: usize = 500;

/// The folder of all repositories, below the root.
pub(crate) fn repositories() -> String {
    format!("{LAYOUT}/repositories")
}

/// The folder of a repository, below the root.
pub(crate) fn repository(name: &RepositoryName) -> String {
    format!("{LAYOUT}/repositories/{name}")
}

/// The link by which a repository has a blob, below the root.
pub(crate) fn layer(name: &RepositoryName, digest: &Digest) -> String {
    format!("{}/_layers/{}/{}/link", repository(name), digest.algorithm(), digest.hex())
}

/// The link by which a repository has a manifest, below the root.
pub(crate) fn revision(name: &RepositoryName, digest: &Digest) -> String {
    format!("{}/_manifests/revisions/{}/{}/link", repository(name), digest.algorithm(), digest.hex())
}

/// The folder of a repository's tags, below the root.
pub(crate) fn tags(name: &RepositoryName) -> String {
    format!("{}/_manifests/tags", repository(name))
}

/// The link by which a tag names a manifest, below the root.
pub(crate) fn current(name: &RepositoryName, tag: &Tag) -> String {
    format!("{}/{tag}/current/link", tags(name))
}

/// The link that says that a tag named a manifest once, below the root.
pub(crate) fn index(name: &RepositoryName, tag: &Tag, digest: &Digest) -> String {
    format!("{}/{tag}/index/{}/{}/link", tags(name), digest.algorithm(), digest.hex())
}

/// The names in a folder, some at a time and in no order; none if there is no such folder. What is not UTF-8 is told with what
/// is not replaced.
pub(crate) fn list(folder: PathBuf) -> impl Stream<Item = io::Result<Vec<String>>> + Unpin {
    told(move |tell| {
        let mut names = Vec::with_capacity(BATCH);
        let listed = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(mut entries) => entries.try_for_each(|entry| {
                names.push(entry?.file_name().to_string_lossy().into_owned());
                if names.len() == BATCH {
                    tell.blocking_send(Ok(std::mem::take(&mut names))).map_err(io::Error::other)?;
                }
                Ok(())
            }),
        };
        tell.blocking_send(Ok(names)).ok();
        if let Err(error) = listed {
            tell.blocking_send(Err(error)).ok();
        }
    })
}

/// What something that blocks tells, as it comes.
fn told<T: Send + 'static>(tell: impl FnOnce(&mpsc::Sender<T>) + Send + 'static) -> impl Stream<Item = T> + Unpin {
    let (sender, receiver) = mpsc::channel(2);
    tokio::task::spawn_blocking(move || tell(&sender));
    Box::pin(stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver))))
}

#[cfg(test)]
mod tests {
    use cargohold_oci::Algorithm;
    use futures_util::TryStreamExt;

    use super::*;

    #[test]
    fn spells_the_layout() {
        let (name, tag) = (RepositoryName::parse("a/b").unwrap(), Tag::parse("v1").unwrap());
        let digest = Digest::of(Algorithm::Sha256, b"");
        let hex = digest.hex();
        let below = "docker/registry/v2/repositories/a/b";
        assert_eq!(layer(&name, &digest), format!("{below}/_layers/sha256/{hex}/link"));
        assert_eq!(revision(&name, &digest), format!("{below}/_manifests/revisions/sha256/{hex}/link"));
        assert_eq!(current(&name, &tag), format!("{below}/_manifests/tags/v1/current/link"));
        assert_eq!(index(&name, &tag, &digest), format!("{below}/_manifests/tags/v1/index/sha256/{hex}/link"));
    }

    #[tokio::test]
    async fn a_folder_is_listed_whole_and_one_that_is_not_there_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        let all: Vec<String> = (0..1234).map(|number| format!("{number:04}")).collect();
        for name in &all {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let mut names = list(folder.path().to_owned()).try_concat().await.unwrap();
        names.sort();
        assert_eq!(names, all);
        assert!(list(folder.path().join("none")).try_concat().await.unwrap().is_empty());
        list(folder.path().join("0000")).try_concat().await.unwrap_err();
    }
}
