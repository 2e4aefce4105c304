//! What the tests of this crate share: a store in a folder of its own, and uploads into it.

use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use cargohold_oci::{Algorithm, Digest, UploadId};

use crate::{HashState, Key, LocalDisk, Synced, UploadWriter};

pub(crate) const STORE: i64 = 7;

pub(crate) struct Store {
    root: tempfile::TempDir,
    pub(crate) disk: LocalDisk,
}

impl Store {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let disk = LocalDisk::open(root.path(), STORE).unwrap();
        Self { root, disk }
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(crate) fn path(&self, key: &Key) -> PathBuf {
        self.root().join(key.as_str())
    }

    pub(crate) fn read(&self, key: &Key) -> Vec<u8> {
        fs::read(self.path(key)).unwrap()
    }

    /// What the next process would open.
    pub(crate) fn restart(&mut self) {
        self.disk = LocalDisk::reopen(self.root(), STORE).unwrap();
    }

    /// Puts a file there that no row names.
    pub(crate) fn plant(&self, key: &Key, bytes: &[u8]) {
        fs::create_dir_all(self.path(key).parent().unwrap()).unwrap();
        fs::write(self.path(key), bytes).unwrap();
    }

    /// A writer for an upload that has nothing yet.
    pub(crate) async fn new_writer(&self, id: UploadId) -> UploadWriter {
        self.disk.claim(id).await.writer(&Key::staging(id), 0, HashState::new(Algorithm::Sha256))
    }

    /// A writer that goes on where `synced` ended.
    pub(crate) async fn resume(&self, id: UploadId, at: &Key, synced: &Synced) -> UploadWriter {
        let hash = HashState::from_bytes(&synced.hash.to_bytes()).unwrap();
        self.disk.claim(id).await.writer(at, synced.received, hash)
    }

    /// Uploads and publishes a blob.
    pub(crate) async fn push(&self, id: UploadId, bytes: &[u8]) -> Key {
        let mut writer = self.new_writer(id).await;
        writer.write(Bytes::copy_from_slice(bytes)).await.unwrap();
        let key = Key::blob(&writer.sync().await.unwrap().hash.finish());
        self.disk.publish(&writer.into_claim(), &key).await.unwrap();
        key
    }
}

pub(crate) fn id(number: u8) -> UploadId {
    UploadId::parse(&format!("0190a2b3-1111-7222-8333-4444555566{number:02x}")).unwrap()
}

pub(crate) fn sha256(bytes: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, bytes)
}

/// Bytes of which no two parts are alike.
pub(crate) fn content(length: usize) -> Vec<u8> {
    (0_u32..).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).take(length).collect()
}

/// What a future says when it is asked once. Nothing will wake it, so only what it waits for matters.
pub(crate) fn ask<T>(future: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
