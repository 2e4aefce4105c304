//! Tests only: a process that ends before any one of its calls to the file system, and the one after it, which must lose nothing
//! that was acknowledged and trip over nothing that was left.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use cargohold_oci::Algorithm;
use rustix::io::Errno;

use crate::file_system::watch::{self, Call, Watch};
use crate::testing::{STORE, content, id, sha256};
use crate::{Error, HashState, Key, LocalDisk};

/// What the facts say about one upload.
#[derive(Debug, Clone)]
struct Row {
    key: Key,
    received: u64,
    hash: Vec<u8>,
    is_live: bool,
}

impl Row {
    fn new() -> Self {
        Self {
            key: Key::staging(id(1)),
            received: 0,
            hash: HashState::new(Algorithm::Sha256).to_bytes(),
            is_live: false,
        }
    }
}

/// Uploads what is missing of `bytes` in two requests, and publishes it in a fourth, which brings nothing; a third brought more
/// and broke off. The row is what was committed when it ended.
async fn upload(root: &Path, row: &mut Row, bytes: &[u8]) -> Result<(), Error> {
    let disk = LocalDisk::open(root, STORE)?;
    for (end, is_last) in [(bytes.len() / 2, false), (bytes.len(), false), (bytes.len(), true)] {
        if row.is_live || row.received > end as u64 || (row.received == end as u64 && !is_last) {
            continue;
        }
        if is_last {
            break_off(&disk, row).await?;
        }
        let claim = disk.claim(id(1)).await;
        let hash = HashState::from_bytes(&row.hash).unwrap();
        let mut writer = claim.writer(&row.key, row.received, hash);
        let start = usize::try_from(writer.received()).unwrap();
        writer.write(Bytes::copy_from_slice(&bytes[start..end])).await?;
        let synced = if is_last { writer.sync_to_publish().await? } else { writer.sync().await? };
        row.received = synced.received;
        row.hash = synced.hash.to_bytes();
        if is_last {
            let digest = synced.hash.finish();
            assert_eq!(digest, sha256(bytes));
            row.key = Key::blob(&digest);
            disk.publish(&writer.into_claim(), &row.key).await.map_err(|failed| failed.error)?;
            row.is_live = true;
        }
    }
    Ok(())
}

/// Brings more than counts, and gives back what that took.
async fn break_off(disk: &LocalDisk, row: &Row) -> Result<(), Error> {
    let hash = HashState::from_bytes(&row.hash).unwrap();
    let mut writer = disk.claim(id(1)).await.writer(&row.key, row.received, hash);
    writer.write(content(600_000).into()).await?;
    writer.cut_back().await
}

/// A process that makes `calls` calls and no more.
fn dies_after(root: &Path, calls: usize, without_rename: bool) -> (Watch, Arc<AtomicUsize>) {
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    let watch = watch::watch(root, move |call, _| {
        if count.fetch_add(1, Ordering::Relaxed) >= calls {
            return Err(io::Error::other("the process is dead"));
        }
        if without_rename && call == Call::Rename { Err(Errno::INVAL.into()) } else { Ok(()) }
    });
    (watch, made)
}

async fn every_crash_is_survived(without_rename: bool) {
    let bytes = content(700_000);
    for calls in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("data");
        let mut row = Row::new();
        let (process, made) = dies_after(folder.path(), calls, without_rename);
        let first = upload(&root, &mut row, &bytes).await;
        drop(process);
        if made.load(Ordering::Relaxed) <= calls {
            first.unwrap();
            assert!(calls > 20, "the calls are seen");
            return;
        }
        first.unwrap_err();

        let (_process, _) = dies_after(folder.path(), usize::MAX, without_rename);
        upload(&root, &mut row, &bytes).await.unwrap();
        let key = Key::blob(&sha256(&bytes));
        assert_eq!(std::fs::read(root.join(key.as_str())).unwrap(), bytes, "after {calls} calls");
        assert_eq!(std::fs::read_dir(root.join("uploads")).unwrap().count(), 0, "after {calls} calls");
    }
}

#[tokio::test]
async fn every_crash_is_survived_with_renames() {
    every_crash_is_survived(false).await;
}

#[tokio::test]
async fn every_crash_is_survived_with_links() {
    every_crash_is_survived(true).await;
}

#[tokio::test]
async fn every_crash_of_a_removal_is_survived() {
    for calls in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let mut row = Row::new();
        upload(folder.path(), &mut row, b"bytes").await.unwrap();
        let disk = LocalDisk::reopen(folder.path(), STORE).unwrap();
        let (process, made) = dies_after(folder.path(), calls, false);
        let first = disk.remove(&row.key).await;
        drop(process);
        let watch = watch::record(folder.path());
        LocalDisk::reopen(folder.path(), STORE).unwrap().remove(&row.key).await.unwrap();
        assert_eq!(watch.calls().last().map(|(call, _)| *call), Some(Call::SyncFolder));
        assert!(!folder.path().join(row.key.as_str()).parent().unwrap().exists());
        if made.load(Ordering::Relaxed) <= calls {
            first.unwrap();
            return;
        }
        first.unwrap_err();
    }
}
