//! Reading objects from a folder: what a store of ours and one that was adopted from another registry have in common.
//!
//! This type has no method that writes. A store of ours shows that it is there by its marker, an adopted one, in which nothing of
//! ours lies, by the folder that the layout of the CNCF registry begins with. Files are read on the pool for blocking work.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cargohold_oci::{Algorithm, Digest};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};

use crate::examine::examine;
use crate::file_system::{Context as _, Failure};
use crate::{Error, Examined, Key, MarkerError, Pace, link, marker};

/// What every registry of the family has in its root.
pub const LAYOUT: &str = "docker/registry/v2";

/// A folder with bytes in it that are only read. Cloning is cheap and gives the same store.
#[derive(Debug, Clone)]
pub struct ReadOnlyDisk {
    place: Arc<Place>,
}

/// An object that is open for reading. The file stays readable, whole and unchanged, even if the object is removed meanwhile.
#[derive(Debug)]
pub struct OpenBlob {
    /// The file, at its start.
    pub file: File,
    /// Its length in bytes.
    pub size: u64,
}

#[derive(Debug)]
struct Place {
    root: PathBuf,
    sign: Sign,
}

/// What shows that a store is there.
#[derive(Debug)]
enum Sign {
    /// The marker that names this id.
    Marker(i64),
    /// The folder of the layout. A key may be the path of a link then, which names the object that is meant.
    Layout,
}

impl ReadOnlyDisk {
    /// The store of another registry of the family, whose root is the absolute path `root`. It may be away at the moment.
    pub fn adopted(root: PathBuf) -> Self {
        Self { place: Arc::new(Place { root, sign: Sign::Layout }) }
    }

    pub(crate) fn ours(root: PathBuf, store_id: i64) -> Self {
        Self { place: Arc::new(Place { root, sign: Sign::Marker(store_id) }) }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.place.root
    }

    /// Fails with [`Error::StoreAway`] unless what shows that the store is there can be seen. Blocks.
    pub fn is_there(&self) -> Result<(), Error> {
        let Place { root, sign } = &*self.place;
        let seen = match sign {
            Sign::Marker(id) => marker::check(root, *id),
            Sign::Layout => check_layout(&root.join(LAYOUT)),
        };
        seen.map_err(|source| Error::StoreAway { root: root.clone(), source })
    }

    /// Opens an object for reading.
    ///
    /// Fails with [`Error::NotFound`] if it is not there though the store is.
    pub async fn open_blob(&self, key: &Key) -> Result<OpenBlob, Error> {
        if !self.is_link(key)
            && let Some(blob) = open_at_once(&self.place.root.join(key.as_str()))
        {
            return Ok(blob);
        }
        self.with(key, open_file).await
    }

    /// Whether an object is there with a length of `size` bytes.
    pub async fn holds(&self, key: &Key, size: u64) -> Result<bool, Error> {
        match self.metadata(key).await {
            Ok(found) => Ok(found.is_file() && found.len() == size),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reads the first `length` bytes of an object and computes their digest. Dropping the future ends the reading soon.
    ///
    /// Fails with [`Error::NotFound`] if it is not there though the store is, and [`Error::Truncated`] if it is shorter.
    pub async fn digest_of(&self, key: &Key, length: u64, algorithm: Algorithm) -> Result<Digest, Error> {
        match self.examine_first(key, length, algorithm, Pace::Fast).await? {
            Examined { digest, size } if size == length => Ok(digest),
            Examined { size, .. } => Err(Error::Truncated { key: key.clone(), received: length, length: size }),
        }
    }

    /// Reads an object to its end, at a pace. Dropping the future ends the reading soon.
    ///
    /// Fails with [`Error::NotFound`] if it is not there though the store is.
    pub async fn examine(&self, key: &Key, algorithm: Algorithm, pace: Pace) -> Result<Examined, Error> {
        self.examine_first(key, u64::MAX, algorithm, pace).await
    }

    async fn examine_first(&self, key: &Key, most: u64, algorithm: Algorithm, pace: Pace) -> Result<Examined, Error> {
        let wanted = Arc::new(());
        let still_wanted = Arc::downgrade(&wanted);
        self.with(key, move |path| examine(path, most, algorithm, pace, &still_wanted)).await
    }

    /// The length of an object.
    ///
    /// Fails with [`Error::NotFound`] if it is not there though the store is.
    pub async fn length(&self, key: &Key) -> Result<u64, Error> {
        Ok(self.metadata(key).await?.len())
    }

    /// The file that an object lies in: of a key that is a link, the one that the link names. Blocks.
    ///
    /// Fails with [`Error::NotFound`] if that cannot be said though the store is there; the file itself may be missing.
    pub fn file_of(&self, key: &Key) -> Result<PathBuf, Error> {
        self.resolve(key).map_err(|failure| self.explain(key, failure))
    }

    async fn metadata(&self, key: &Key) -> Result<Metadata, Error> {
        self.with(key, |path| fs::metadata(path).at(path)).await
    }

    /// Runs what blocks away from the tasks, on the file that `key` means, and says what a failure means for the object.
    async fn with<T, F>(&self, key: &Key, act: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Path) -> Result<T, Failure> + Send + 'static,
    {
        let (disk, key) = (self.clone(), key.clone());
        let task = tokio::task::spawn_blocking(move || {
            let done = disk.resolve(&key).and_then(|path| act(&path));
            done.map_err(|failure| disk.explain(&key, failure))
        });
        task.await.unwrap_or_else(|ended| Err(Error::Io { path: self.place.root.clone(), source: ended.into() }))
    }

    fn resolve(&self, key: &Key) -> Result<PathBuf, Failure> {
        let path = self.place.root.join(key.as_str());
        if !self.is_link(key) {
            return Ok(path);
        }
        let named = link::read(&path).map_err(|error| match error {
            link::LinkError::Unreadable(source) => Failure::new(&path, source),
            // It names nothing.
            link::LinkError::Digest(_) | link::LinkError::Length(_) => Failure::new(&path, io::ErrorKind::NotFound),
        })?;
        Ok(self.place.root.join(Key::blob(&named).as_str()))
    }

    /// Whether a key is that of a file that names the object which is meant.
    fn is_link(&self, key: &Key) -> bool {
        matches!(self.place.sign, Sign::Layout) && key.is_link()
    }

    /// What a failed call means for the object at `key`. Blocks.
    pub(crate) fn explain(&self, key: &Key, failure: Failure) -> Error {
        let error = match failure.kind() {
            io::ErrorKind::NotFound => Error::NotFound { key: key.clone() },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => return Error::NoSpace,
            _ => failure.into(),
        };
        // A file that is missing or unreadable where the whole store is says nothing about the file.
        self.is_there().err().unwrap_or(error)
    }
}

fn check_layout(folder: &Path) -> Result<(), MarkerError> {
    match fs::metadata(folder) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(MarkerError::NoLayout),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(MarkerError::NoLayout),
        Err(error) => Err(MarkerError::UnreadableLayout(error)),
    }
}

fn open_file(path: &Path) -> Result<OpenBlob, Failure> {
    let file = File::open(path).at(path)?;
    let metadata = file.metadata().at(path)?;
    if metadata.is_dir() {
        return Err(Failure::new(path, io::ErrorKind::IsADirectory));
    }
    Ok(OpenBlob { file, size: metadata.len() })
}

/// Opens a file all of whose path the kernel has in memory: then there is nothing to wait for, and to go to the pool for blocking
/// work and back costs more than to open it (openat2(2), `RESOLVE_CACHED`). Nothing if it has not, or anything else is the matter.
fn open_at_once(path: &Path) -> Option<OpenBlob> {
    // With NONBLOCK what is no file is not waited for either; for a file it means nothing.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = File::from(openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED).ok()?);
    let metadata = file.metadata().ok().filter(Metadata::is_file)?;
    Some(OpenBlob { file, size: metadata.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Adopted {
        root: tempfile::TempDir,
        disk: ReadOnlyDisk,
    }

    impl Adopted {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            let disk = ReadOnlyDisk::adopted(root.path().to_owned());
            Self { root, disk }
        }

        fn write(&self, path: &str, content: impl AsRef<[u8]>) {
            let path = self.root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }

    fn digest(algorithm: Algorithm) -> Digest {
        Digest::of(algorithm, b"layer")
    }

    #[tokio::test]
    async fn without_the_layout_an_adopted_store_is_away() {
        let store = Adopted::new();
        let key = Key::blob(&digest(Algorithm::Sha256));
        let away = |error| matches!(error, Error::StoreAway { source: MarkerError::NoLayout, .. });
        assert!(away(store.disk.is_there().unwrap_err()));
        assert!(away(store.disk.open_blob(&key).await.unwrap_err()));
        assert!(away(store.disk.holds(&key, 5).await.unwrap_err()));
        store.write(key.as_str(), "layer");
        assert!(store.disk.holds(&key, 5).await.unwrap());
        store.disk.is_there().unwrap();
        fs::remove_file(store.root.path().join(key.as_str())).unwrap();
        assert!(matches!(store.disk.open_blob(&key).await, Err(Error::NotFound { .. })));
    }

    #[tokio::test]
    async fn a_key_that_is_a_link_is_what_the_link_names() {
        let store = Adopted::new();
        let named = digest(Algorithm::Sha256);
        store.write(Key::blob(&named).as_str(), "layer");
        let hex = digest(Algorithm::Sha512).hex();
        let link = format!("{LAYOUT}/repositories/a/_layers/sha512/{hex}/link");
        store.write(&link, named.to_string());
        let key = Key::parse(&link).unwrap();
        let seen = store.disk.examine(&key, Algorithm::Sha512, Pace::Fast).await.unwrap();
        assert_eq!(seen, Examined { digest: digest(Algorithm::Sha512), size: 5 });
        assert_eq!(store.disk.file_of(&key).unwrap(), store.root.path().join(Key::blob(&named).as_str()));
        store.write(&link, "no digest");
        assert!(matches!(store.disk.length(&key).await, Err(Error::NotFound { .. })));
    }
}
