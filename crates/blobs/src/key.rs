//! Where an object of bytes lies in its store: a path below the store's root, in the layout of the CNCF registry for finished
//! blobs and in `uploads/` for what is still arriving.
//!
//! A [`Key`] can neither leave the root nor name a file that lies directly in it (the facts and the marker do), so removing
//! what a damaged row names cannot reach anything but an object.

use std::fmt;

use cargohold_oci::{Digest, Excerpt, UploadId};
use thiserror::Error;

/// The folder of uploads in progress, below a store's root.
pub(crate) const UPLOADS: &str = "uploads";

/// The folder of finished blobs, below a store's root.
pub(crate) const BLOBS: &str = "docker/registry/v2/blobs";

const LONGEST_KEY: usize = 1024;
const LONGEST_COMPONENT: usize = 255;

/// The place of an object, relative to the root of its store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

/// Why a text is not the place of an object.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Longer than any key may be.
    #[error("the key {key} has {length} bytes: a key has at most {LONGEST_KEY}")]
    Length {
        /// The key that was given.
        key: Excerpt,
        /// Its length in bytes.
        length: usize,
    },
    /// It names a file directly in the root, or nothing.
    #[error("the key {key} is outside every folder: a key is a folder, a slash and a name")]
    Folder {
        /// The key that was given.
        key: Excerpt,
    },
    /// A part between two slashes is not the name of a file or folder.
    #[error(
        "the key {key} is invalid: what stands between its slashes is 1 to {LONGEST_COMPONENT} letters, digits, dots, \
         underscores and hyphens, and neither \".\" nor \"..\""
    )]
    Component {
        /// The key that was given.
        key: Excerpt,
    },
}

impl Key {
    /// Where the bytes of an upload lie until it is finished.
    pub fn staging(id: UploadId) -> Self {
        Self(format!("{UPLOADS}/{id}"))
    }

    /// Where the bytes of a blob lie: the path that every registry of this family knows.
    pub fn blob(digest: &Digest) -> Self {
        Self(format!("{}/data", blob_folder(digest)))
    }

    /// Where the bytes of a blob lie if [`Key::blob`] is taken: beside it, under the name of the upload that brought them.
    pub fn blob_beside(digest: &Digest, id: UploadId) -> Self {
        Self(format!("{}/data-{id}", blob_folder(digest)))
    }

    /// Reads a key that was stored.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let key = || Excerpt::of(text);
        if text.len() > LONGEST_KEY {
            return Err(KeyError::Length { key: key(), length: text.len() });
        }
        if !text.split('/').all(is_component) {
            return Err(KeyError::Component { key: key() });
        }
        if !text.contains('/') {
            return Err(KeyError::Folder { key: key() });
        }
        Ok(Self(text.to_owned()))
    }

    /// The path below the store's root, without a leading slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the place of a link, which only another registry's store has.
    pub(crate) fn is_link(&self) -> bool {
        self.0.ends_with("/link")
    }

    /// The path of the folder that the file is in.
    pub(crate) fn folder(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// Whether the folder is one that a blob has to itself, and that goes when its last file goes.
    pub(crate) fn has_own_folder(&self) -> bool {
        let levels = |path: &str| path.split('/').count();
        self.0.starts_with(BLOBS) && levels(self.folder()) == levels(BLOBS) + 3
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn blob_folder(digest: &Digest) -> String {
    let hex = digest.hex();
    format!("{BLOBS}/{}/{}/{hex}", digest.algorithm().as_str(), &hex[..2])
}

fn is_component(component: &str) -> bool {
    (1..=LONGEST_COMPONENT).contains(&component.len())
        && component.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
        && component != "."
        && component != ".."
}

#[cfg(test)]
mod tests {
    use cargohold_oci::Algorithm;
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "0190a2b3-1111-7222-8333-444455556666";

    fn id() -> UploadId {
        UploadId::parse(ID).unwrap()
    }

    #[test]
    fn spells_the_layout_of_the_family() {
        let digest = Digest::of(Algorithm::Sha256, b"");
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let folder = format!("docker/registry/v2/blobs/sha256/e3/{hex}");
        assert_eq!(Key::blob(&digest).as_str(), format!("{folder}/data"));
        assert_eq!(Key::blob_beside(&digest, id()).as_str(), format!("{folder}/data-{ID}"));
        assert_eq!(Key::staging(id()).as_str(), format!("uploads/{ID}"));
    }

    #[test]
    fn what_it_makes_it_reads() {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let digest = Digest::of(algorithm, b"some");
            for key in [Key::staging(id()), Key::blob(&digest), Key::blob_beside(&digest, id())] {
                assert_eq!(Key::parse(key.as_str()), Ok(key));
            }
        }
    }

    #[test]
    fn only_a_blob_has_its_own_folder() {
        let digest = Digest::of(Algorithm::Sha512, b"");
        assert!(Key::blob(&digest).has_own_folder());
        assert!(Key::blob_beside(&digest, id()).has_own_folder());
        assert!(!Key::staging(id()).has_own_folder());
        assert!(!Key::parse("docker/registry/v2/blobs/sha256/e3").unwrap().has_own_folder());
    }

    #[test]
    fn refuses_what_leaves_the_root_or_lies_in_it() {
        for text in
            ["", "/", "/etc/passwd", "uploads/", "uploads//a", "../a", "a/../../b", "a/.", "a/b\0", "a/ü", "a/b c"]
        {
            assert!(matches!(Key::parse(text), Err(KeyError::Component { .. })), "{text:?}");
        }
        assert!(matches!(Key::parse("cargohold.db"), Err(KeyError::Folder { .. })));
        assert!(matches!(Key::parse(&format!("a/{}", "b".repeat(256))), Err(KeyError::Component { .. })));
        assert!(matches!(Key::parse(&"a/".repeat(600)), Err(KeyError::Length { length: 1200, .. })));
    }

    proptest! {
        #[test]
        fn whatever_is_read_stays_below_the_root(text in "[a-z./\\-]{0,12}|.{0,20}") {
            if let Ok(key) = Key::parse(&text) {
                let path = std::path::Path::new(key.as_str());
                prop_assert!(path.components().all(|part| matches!(part, std::path::Component::Normal(_))));
                prop_assert!(path.components().count() >= 2);
                prop_assert_eq!(key.as_str(), text);
            }
        }
    }
}
