use std::collections::HashSet;
use std::fs;
use std::io::Read as _;
use std::num::NonZeroU64;
use std::sync::{Weak, mpsc};

use bytes::Bytes;
use cargohold_oci::{Algorithm, Digest};
use rustix::io::Errno;

use super::*;
use crate::examine::examine;
use crate::file_system::watch::{self, Call};
use crate::testing::{STORE, Store, content, id, sha256};
use crate::{Examined, HashState, Pace};

/// Makes the store look as if its disk were not mounted.
fn unmount(store: &Store) {
    fs::rename(store.root().join("cargohold-store"), store.root().join("elsewhere")).unwrap();
}

#[test]
fn a_new_store_has_its_folders_and_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("some/data");
    LocalDisk::open(&root, STORE).unwrap();
    assert!(root.join(UPLOADS).is_dir() && root.join(BLOBS).is_dir());
    assert_eq!(fs::read(root.join("cargohold-store")).unwrap(), b"cargohold store 7\n");
    LocalDisk::open(&root, STORE).unwrap();
    LocalDisk::reopen(&root, STORE).unwrap();
}

#[test]
fn opening_leaves_nothing_unsynced_and_names_the_store_last() {
    let folder = tempfile::tempdir().unwrap();
    let watch = watch::record(folder.path());
    LocalDisk::open(&folder.path().join("data"), STORE).unwrap();
    let calls = watch.calls();
    let made = calls.iter().filter(|(call, _)| *call == Call::MakeFolder);
    let above = |path: &str| path.rsplit_once('/').map_or(String::new(), |(above, _)| above.to_owned());
    for (_, path) in made {
        assert!(calls.contains(&(Call::SyncFolder, above(path))), "{path}");
    }
    assert_eq!(
        calls[calls.len() - 3..],
        [
            (Call::SyncData, "data/cargohold-store.new".to_owned()),
            (Call::Rename, "data/cargohold-store".to_owned()),
            (Call::SyncFolder, "data".to_owned()),
        ]
    );
}

#[test]
fn the_folder_of_another_store_is_left_alone() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("cargohold-store"), "cargohold store 8\n").unwrap();
    let error = LocalDisk::open(root.path(), STORE).unwrap_err();
    assert!(matches!(error, Error::StoreAway { source: MarkerError::Other { found: 8, expected: 7 }, .. }));
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
}

#[test]
fn a_known_store_without_its_marker_is_away() {
    let root = tempfile::tempdir().unwrap();
    let error = LocalDisk::reopen(root.path(), STORE).unwrap_err();
    assert!(matches!(error, Error::StoreAway { source: MarkerError::Missing, .. }));
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn what_was_pushed_is_read() {
    let store = Store::new();
    let bytes = content(1_500_000);
    let key = store.push(id(1), &bytes).await;
    assert_eq!(key, Key::blob(&sha256(&bytes)));

    let mut blob = store.disk.reader().open_blob(&key).await.unwrap();
    assert_eq!(blob.size, 1_500_000);
    let mut read = Vec::new();
    blob.file.read_to_end(&mut read).unwrap();
    assert_eq!(read, bytes);
    assert!(!store.path(&Key::staging(id(1))).exists());
}

#[tokio::test]
async fn an_open_blob_outlives_its_removal() {
    let store = Store::new();
    let key = store.push(id(1), b"bytes").await;
    let mut blob = store.disk.reader().open_blob(&key).await.unwrap();
    store.disk.remove(&key).await.unwrap();
    let mut read = String::new();
    blob.file.read_to_string(&mut read).unwrap();
    assert_eq!(read, "bytes");
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let store = Store::new();
    let missing = Key::blob(&sha256(b""));
    assert!(matches!(store.disk.reader().open_blob(&missing).await, Err(Error::NotFound { key }) if key == missing));
    let digest = store.disk.reader().digest_of(&missing, 0, Algorithm::Sha256).await;
    assert!(matches!(digest, Err(Error::NotFound { key }) if key == missing));
    assert!(!store.disk.reader().holds(&missing, 0).await.unwrap());
}

#[tokio::test]
async fn a_folder_is_no_object() {
    let store = Store::new();
    let folder = Key::parse("docker/registry").unwrap();
    assert!(matches!(store.disk.reader().open_blob(&folder).await, Err(Error::Io { .. })));
    assert!(!store.disk.reader().holds(&folder, 4096).await.unwrap());
}

#[tokio::test]
async fn while_the_store_is_away_nothing_is_missing_removed_or_made() {
    let store = Store::new();
    let key = store.push(id(1), b"bytes").await;
    let missing = Key::blob(&sha256(b""));
    let mut writer = store.new_writer(id(2)).await;
    writer.sync().await.unwrap();
    let claim = writer.into_claim();
    unmount(&store);
    fs::remove_dir_all(store.root().join(UPLOADS)).unwrap();

    let is_away = |error: Error| matches!(error, Error::StoreAway { source: MarkerError::Missing, .. });
    let disk = &store.disk;
    assert!(is_away(disk.reader().open_blob(&missing).await.unwrap_err()));
    assert!(is_away(disk.reader().holds(&missing, 0).await.unwrap_err()));
    assert!(is_away(disk.reader().digest_of(&missing, 0, Algorithm::Sha256).await.unwrap_err()));
    assert!(is_away(disk.remove(&missing).await.unwrap_err()));
    assert!(is_away(disk.remove(&key).await.unwrap_err()));
    assert!(is_away(left(disk.publish(&claim, &missing).await)));
    let mut new = store.new_writer(id(3)).await;
    assert!(is_away(new.sync().await.unwrap_err()));
    assert!(store.path(&key).exists());
}

#[tokio::test]
async fn holds_what_has_the_right_length() {
    let store = Store::new();
    let key = store.push(id(1), b"bytes").await;
    assert!(store.disk.reader().holds(&key, 5).await.unwrap());
    assert!(!store.disk.reader().holds(&key, 4).await.unwrap());
}

#[tokio::test]
async fn computes_a_digest_of_what_lies_there() {
    let store = Store::new();
    let bytes = content(crate::examine::READ_BYTES + 1);
    let key = store.push(id(1), &bytes).await;
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        assert_eq!(
            store.disk.reader().digest_of(&key, bytes.len() as u64, algorithm).await.unwrap(),
            Digest::of(algorithm, &bytes)
        );
        assert_eq!(
            store.disk.reader().digest_of(&key, 7, algorithm).await.unwrap(),
            Digest::of(algorithm, &bytes[..7])
        );
        let longer = store.disk.reader().digest_of(&key, bytes.len() as u64 + 1, algorithm).await;
        assert!(matches!(longer, Err(Error::Truncated { .. })));
    }
}

#[test]
fn reading_ends_when_nobody_wants_the_digest() {
    let store = Store::new();
    let key = Key::blob(&sha256(b""));
    store.plant(&key, b"bytes");
    let failure = examine(&store.path(&key), u64::MAX, Algorithm::Sha256, Pace::Fast, &Weak::new()).unwrap_err();
    assert_eq!(failure.kind(), io::ErrorKind::Interrupted);
}

#[tokio::test]
async fn a_gentle_reader_sees_the_same() {
    let store = Store::new();
    let bytes = vec![7; 300_000];
    let key = store.push(id(1), &bytes).await;
    let gentle = Pace::Gentle(NonZeroU64::new(1 << 40).unwrap());
    let seen = store.disk.reader().examine(&key, Algorithm::Sha256, gentle).await.unwrap();
    assert_eq!(seen, Examined { digest: sha256(&bytes), size: 300_000 });
    assert_eq!(store.disk.reader().length(&key).await.unwrap(), 300_000);
}

#[tokio::test]
async fn a_walk_tells_every_file_and_nothing_else() {
    let store = Store::new();
    let mut keys = Vec::new();
    for number in 0..3 {
        keys.push(store.push(id(number), format!("blob {number}").as_bytes()).await);
    }
    keys.push(Key::staging(id(9)));
    store.plant(&keys[3], b"staged");
    keys.push(Key::parse("docker/registry/v2/blobs/stray").unwrap());
    store.plant(&keys[4], b"stray");
    let (mut walk, mut told) = (store.disk.walk(), Vec::new());
    while let Some(files) = walk.recv().await {
        told.extend(files.unwrap());
    }
    told.sort();
    let mut keys: Vec<_> = keys.iter().map(|key| key.as_str().to_owned()).collect();
    keys.sort();
    assert_eq!(told, keys);
}

#[tokio::test]
async fn removing_twice_is_removing() {
    let store = Store::new();
    let key = store.push(id(1), b"bytes").await;
    store.disk.remove(&key).await.unwrap();
    store.disk.remove(&key).await.unwrap();
    assert!(!store.path(&key).parent().unwrap().exists());
    store.push(id(2), b"bytes").await;
    assert_eq!(store.read(&key), b"bytes");
}

#[tokio::test]
async fn a_taken_place_is_left_for_the_one_beside_it() {
    let store = Store::new();
    let digest = sha256(b"bytes");
    let key = Key::blob(&digest);
    store.plant(&key, b"stranger");
    let mut writer = store.new_writer(id(1)).await;
    writer.write(Bytes::from_static(b"bytes")).await.unwrap();
    writer.sync().await.unwrap();
    let claim = writer.into_claim();
    assert!(matches!(left(store.disk.publish(&claim, &key).await), Error::Occupied { key: taken } if taken == key));
    let beside = Key::blob_beside(&digest, id(1));
    store.disk.publish(&claim, &beside).await.unwrap();
    assert_eq!(store.read(&key), b"stranger");
    assert_eq!(store.read(&beside), b"bytes");
}

#[tokio::test]
async fn only_what_was_synced_is_published() {
    let store = Store::new();
    let key = Key::blob(&sha256(b"bytes"));
    let is_refused = async |claim: &UploadClaim| {
        let published = store.disk.publish(claim, &key).await;
        matches!(left(published), Error::Unsynced { id: of } if of == id(1))
    };

    assert!(is_refused(&store.disk.claim(id(1)).await).await);
    let mut writer = store.new_writer(id(1)).await;
    writer.sync().await.unwrap();
    writer.write(Bytes::from_static(b"bytes")).await.unwrap();
    assert!(is_refused(&writer.into_claim()).await);
    writer = store.new_writer(id(1)).await;
    writer.sync().await.unwrap();
    let again = writer.into_claim().writer(&Key::staging(id(1)), 0, HashState::new(Algorithm::Sha256));
    assert!(is_refused(&again.into_claim()).await);
    assert!(!store.path(&key).exists());
}

/// A request broke off behind what was acknowledged, and the next one that comes brings nothing more.
#[tokio::test]
async fn what_was_never_acknowledged_is_not_published() {
    let store = Store::new();
    let mut writer = store.new_writer(id(1)).await;
    writer.write(Bytes::from_static(b"acknowledged")).await.unwrap();
    let synced = writer.sync().await.unwrap();
    drop(writer);
    let (staging, key) = (Key::staging(id(1)), Key::blob(&sha256(b"acknowledged")));
    store.plant(&staging, b"acknowledged, and more");

    let mut writer = store.disk.claim(id(1)).await.writer(&staging, synced.received, synced.hash);
    let watch = watch::record(store.root());
    writer.sync_to_publish().await.unwrap();
    assert_eq!(watch.calls(), [], "nothing is opened for a request that brings nothing");
    store.disk.publish(&writer.into_claim(), &key).await.unwrap();
    let calls: Vec<_> = watch.calls().into_iter().map(|(call, _)| call).take(3).collect();
    assert_eq!(calls, [Call::Open, Call::Cut, Call::SyncData], "the length is on the disk before the file is moved");
    assert_eq!(store.read(&key), b"acknowledged");
}

#[tokio::test]
async fn less_than_was_acknowledged_is_not_published() {
    let store = Store::new();
    let (staging, key) = (Key::staging(id(1)), Key::blob(&sha256(b"five")));
    for planted in [None, Some(b"four")] {
        if let Some(bytes) = planted {
            store.plant(&staging, bytes);
        }
        let mut writer = store.disk.claim(id(1)).await.writer(&staging, 5, HashState::new(Algorithm::Sha256));
        writer.sync_to_publish().await.unwrap();
        let refused = left(store.disk.publish(&writer.into_claim(), &key).await);
        match planted {
            None => assert!(matches!(&refused, Error::NotFound { key } if *key == staging), "{refused}"),
            Some(_) => assert!(matches!(&refused, Error::Truncated { received: 5, length: 4, .. }), "{refused}"),
        }
        assert!(!store.path(&key).exists());
    }
}

#[tokio::test]
async fn a_stopped_claim_publishes_nothing() {
    let store = Store::new();
    let mut writer = store.new_writer(id(1)).await;
    writer.sync().await.unwrap();
    let claim = writer.into_claim();
    let newer = tokio::spawn({
        let disk = store.disk.clone();
        async move { disk.claim(id(1)).await }
    });
    claim.stopped().await;
    assert!(matches!(left(store.disk.publish(&claim, &Key::blob(&sha256(b""))).await), Error::Stopped));
    assert!(store.path(&Key::staging(id(1))).exists());
    drop(claim);
    newer.await.unwrap();
}

/// The request that publishes is gone while the rename is still to come: a newer claimant must not get the file before it.
#[tokio::test]
async fn a_claim_waits_for_a_publication_whose_request_is_gone() {
    let store = Store::new();
    let mut writer = store.new_writer(id(1)).await;
    writer.write(Bytes::from_static(b"bytes")).await.unwrap();
    writer.sync().await.unwrap();
    let claim = writer.into_claim();
    let key = Key::blob(&sha256(b"bytes"));

    let (reached, is_reached) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let may_go_on = std::sync::Mutex::new(may_go_on);
    let _watch = watch::watch(store.root(), move |call, _| {
        if call == Call::Rename {
            reached.send(()).unwrap();
            may_go_on.lock().unwrap().recv().unwrap();
        }
        Ok(())
    });
    let mut publication = Box::pin(store.disk.publish(&claim, &key));
    assert!(crate::testing::ask(publication.as_mut()).is_none());
    is_reached.recv().unwrap();
    drop(publication);
    drop(claim);

    let mut newer = Box::pin(store.disk.claim(id(1)));
    assert!(crate::testing::ask(newer.as_mut()).is_none());
    assert!(!store.path(&key).exists());
    go_on.send(()).unwrap();
    newer.await;
    assert!(store.path(&key).exists());
}

#[tokio::test]
async fn a_full_disk_is_no_space() {
    for (call, errno, is_unsure) in [
        (Call::MakeFolder, Errno::NOSPC, false),
        (Call::Rename, Errno::DQUOT, false),
        (Call::SyncFolder, Errno::NOSPC, true),
    ] {
        let store = Store::new();
        let mut writer = store.new_writer(id(1)).await;
        writer.sync().await.unwrap();
        let _watch = watch::fail(store.root(), call, errno);
        let published = store.disk.publish(&writer.into_claim(), &Key::blob(&sha256(b""))).await;
        let failed = published.unwrap_err();
        assert!(matches!(failed.error, Error::NoSpace), "{call:?}");
        assert_eq!(failed.is_unsure, is_unsure, "{call:?}");
    }
}

#[tokio::test]
async fn a_failing_disk_is_named_with_the_path() {
    let store = Store::new();
    let mut writer = store.new_writer(id(1)).await;
    writer.sync().await.unwrap();
    let _watch = watch::fail(store.root(), Call::SyncFolder, Errno::IO);
    let key = Key::blob(&sha256(b""));
    let error = store.disk.publish(&writer.into_claim(), &key).await.unwrap_err();
    assert!(
        matches!(error, Failed { error: Error::Io { path, .. }, is_unsure: true } if path.starts_with(store.root()))
    );
}

/// Why a file is where it was.
fn left(published: Result<(), Failed>) -> Error {
    let Failed { error, is_unsure } = published.unwrap_err();
    assert!(!is_unsure, "{error:?}");
    error
}

/// Uploads of the same few blobs, published and removed at once, on a pool of threads: everything that was published and not
/// removed is there, and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn publishing_and_removing_one_blob_at_once() {
    let store = Store::new();
    let digest = sha256(b"bytes");
    let tasks: Vec<_> = (0..40)
        .map(|number| {
            let disk = store.disk.clone();
            tokio::spawn(async move {
                let claim = disk.claim(id(number)).await;
                let hash = HashState::new(Algorithm::Sha256);
                let mut writer = claim.writer(&Key::staging(id(number)), 0, hash);
                writer.write(Bytes::from_static(b"bytes")).await.unwrap();
                writer.sync().await.unwrap();
                let key = Key::blob_beside(&digest, id(number));
                disk.publish(&writer.into_claim(), &key).await.unwrap();
                if number % 4 == 0 {
                    return Some(key);
                }
                disk.remove(&key).await.unwrap();
                None
            })
        })
        .collect();
    let mut kept = HashSet::new();
    for task in tasks {
        kept.extend(task.await.unwrap());
    }
    let folder = store.root().join(Key::blob(&digest).folder());
    let found: HashSet<Key> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|name| Key::parse(&format!("{}/{name}", Key::blob(&digest).folder())).unwrap())
        .collect();
    assert_eq!(found, kept);
    assert_eq!(kept.len(), 10);
}
