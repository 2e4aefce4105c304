use std::fs;
use std::pin::pin;
use std::sync::{Mutex, mpsc};

use cargohold_oci::{Algorithm, Digest, UploadId};
use proptest::collection::vec;
use proptest::prelude::*;
use rustix::io::Errno;

use super::*;
use crate::file_system::watch::{self, Call, Watch};
use crate::testing::{Store, ask, content, id, sha256};

fn staging() -> Key {
    Key::staging(id(1))
}

async fn write(writer: &mut UploadWriter, bytes: &[u8]) {
    writer.write(Bytes::copy_from_slice(bytes)).await.unwrap();
}

/// Holds up the first call of a kind until it is let go.
struct Gate {
    is_reached: mpsc::Receiver<()>,
    go_on: mpsc::Sender<()>,
    _watch: Watch,
}

impl Gate {
    fn before(store: &Store, held: Call) -> Self {
        let (reached, is_reached) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel();
        let gate = Mutex::new(Some((reached, may_go_on)));
        let watch = watch::watch(store.root(), move |call, _| {
            if call == held
                && let Some((reached, may_go_on)) = gate.lock().unwrap().take()
            {
                reached.send(()).unwrap();
                may_go_on.recv().unwrap();
            }
            Ok(())
        });
        Self { is_reached, go_on, _watch: watch }
    }
}

#[tokio::test]
async fn what_was_written_is_synced_with_its_hash() {
    let store = Store::new();
    let mut writer = store.new_writer(id(1)).await;
    let bytes = content(3 * BATCH_BYTES + 17);
    let (head, rest) = bytes.split_at(1000);
    write(&mut writer, head).await;
    write(&mut writer, b"").await;
    write(&mut writer, rest).await;
    assert_eq!(writer.received(), bytes.len() as u64);
    let synced = writer.sync().await.unwrap();
    assert_eq!(synced.received, bytes.len() as u64);
    assert_eq!(synced.hash.finish(), sha256(&bytes));
    assert_eq!(store.read(&staging()), bytes);
}

#[tokio::test]
async fn an_empty_upload_has_a_file() {
    let store = Store::new();
    let mut writer = store.new_writer(id(1)).await;
    let synced = writer.sync().await.unwrap();
    assert_eq!((synced.received, synced.hash.finish()), (0, sha256(b"")));
    assert_eq!(store.read(&staging()), b"");
}

#[tokio::test]
async fn the_bytes_are_synced_before_the_entry_and_only_what_changed() {
    let store = Store::new();
    let mut writer = store.new_writer(id(1)).await;
    let watch = watch::record(store.root());
    let file = staging().as_str().to_owned();
    write(&mut writer, b"one").await;
    assert_eq!(watch.calls(), []);
    writer.sync().await.unwrap();
    writer.sync().await.unwrap();
    write(&mut writer, b"two").await;
    writer.sync().await.unwrap();
    assert_eq!(
        watch.calls(),
        [
            (Call::Open, file.clone()),
            (Call::Write, file.clone()),
            (Call::SyncData, file.clone()),
            (Call::SyncFolder, UPLOADS.to_owned()),
            (Call::Write, file.clone()),
            (Call::SyncData, file),
        ]
    );
}

#[tokio::test]
async fn what_is_published_next_is_synced_without_its_entry() {
    let store = Store::new();
    let mut writer = store.new_writer(id(1)).await;
    let watch = watch::record(store.root());
    write(&mut writer, b"whole").await;
    writer.sync_to_publish().await.unwrap();
    writer.sync_to_publish().await.unwrap();
    let file = staging().as_str().to_owned();
    assert_eq!(watch.calls(), [(Call::Open, file.clone()), (Call::Write, file.clone()), (Call::SyncData, file)]);
    // If it is not published after all, the entry is still owed.
    writer.sync().await.unwrap();
    assert_eq!(watch.calls().last(), Some(&(Call::SyncFolder, UPLOADS.to_owned())));
}

/// A file that was made by a writer which never came to its sync may have no entry on the disk.
#[tokio::test]
async fn until_something_was_acknowledged_the_entry_is_synced_again() {
    let store = Store::new();
    let mut first = store.new_writer(id(1)).await;
    write(&mut first, &content(BATCH_BYTES)).await;
    drop(first);
    let mut second = store.new_writer(id(1)).await;
    let watch = watch::record(store.root());
    second.sync().await.unwrap();
    assert_eq!(watch.calls().last(), Some(&(Call::SyncFolder, UPLOADS.to_owned())));
}

#[tokio::test]
async fn another_process_goes_on_where_one_stopped() {
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let mut store = Store::new();
        let bytes = content(1_200_345);
        let claim = store.disk.claim(id(1)).await;
        let mut writer = claim.writer(&staging(), 0, HashState::new(algorithm));
        write(&mut writer, &bytes[..700_001]).await;
        let synced = writer.sync().await.unwrap();
        drop(writer);

        store.restart();
        let mut writer = store.resume(id(1), &staging(), &synced).await;
        assert_eq!(writer.received(), 700_001);
        write(&mut writer, &bytes[700_001..]).await;
        let synced = writer.sync().await.unwrap();
        assert_eq!(synced.hash.finish(), Digest::of(algorithm, &bytes));
        assert_eq!(store.read(&staging()), bytes);
    }
}

#[tokio::test]
async fn what_was_never_acknowledged_is_written_over() {
    let store = Store::new();
    let mut writer = store.new_writer(id(1)).await;
    write(&mut writer, b"acknowledged").await;
    let synced = writer.sync().await.unwrap();
    write(&mut writer, &content(BATCH_BYTES)).await;
    drop(writer);

    let mut writer = store.resume(id(1), &staging(), &synced).await;
    write(&mut writer, b", and more").await;
    let synced = writer.sync().await.unwrap();
    assert_eq!((synced.received, synced.hash.finish()), (22, sha256(b"acknowledged, and more")));
    assert!(store.read(&staging()).starts_with(b"acknowledged, and more"));
}

/// One byte stays of what came: a length that is right would say that the disk has it.
#[tokio::test]
async fn the_room_that_a_request_took_is_given_back() {
    for (failing, left) in [(None, 13), (Some(Call::Write), 12), (Some(Call::SyncData), 13)] {
        let store = Store::new();
        let mut writer = store.new_writer(id(1)).await;
        write(&mut writer, b"acknowledged").await;
        writer.sync().await.unwrap();
        drop(writer);
        let hash = HashState::new(Algorithm::Sha256);
        let mut writer = store.resume(id(1), &staging(), &Synced { received: 12, hash }).await;
        let watch = failing.map(|call| watch::fail(store.root(), call, Errno::IO));
        write(&mut writer, &content(BATCH_BYTES)).await;
        if failing.is_some() {
            write(&mut writer, b"more").await;
            writer.sync().await.unwrap_err();
            assert!(writer.is_unsure());
        }
        drop(watch);
        // What it still writes is waited for.
        writer.cut_back().await.unwrap();
        assert_eq!(store.read(&staging()).len(), left, "{failing:?}");
        assert_eq!(writer.is_unsure(), failing.is_some());
    }
}

#[tokio::test]
async fn a_request_that_wrote_nothing_gives_nothing_back() {
    let store = Store::new();
    let mut writer = store.new_writer(id(1)).await;
    let watch = watch::record(store.root());
    write(&mut writer, b"gathered").await;
    writer.cut_back().await.unwrap();
    assert_eq!(watch.calls(), []);
}

/// The disk holds what it held: the upload can go on once it can be reached.
#[tokio::test]
async fn a_file_that_could_not_be_opened_is_as_it_was() {
    let store = Store::new();
    let mut writer = store.new_writer(id(1)).await;
    write(&mut writer, b"acknowledged").await;
    let synced = writer.sync().await.unwrap();
    drop(writer);
    let mut writer = store.resume(id(1), &staging(), &synced).await;
    write(&mut writer, b"more").await;
    let watch = watch::fail(store.root(), Call::Open, Errno::MFILE);
    writer.sync().await.unwrap_err();
    assert!(!writer.is_unsure());
    drop(watch);
    let watch = watch::record(store.root());
    writer.sync().await.unwrap_err();
    assert_eq!(watch.calls(), []);
}

#[tokio::test]
async fn a_write_that_fails_behind_a_body_that_broke_off_is_not_forgotten() {
    let store = Store::new();
    let mut writer = store.new_writer(id(1)).await;
    let _watch = watch::fail(store.root(), Call::Write, Errno::IO);
    write(&mut writer, &content(BATCH_BYTES)).await;
    writer.cut_back().await.unwrap_err();
    assert!(writer.is_unsure());
}

#[tokio::test]
async fn a_file_that_was_moved_before_a_crash_comes_home() {
    let mut store = Store::new();
    let key = store.push(id(1), b"bytes").await;
    store.restart();
    let mut hash = HashState::new(Algorithm::Sha256);
    hash.update(b"bytes");
    let mut writer = store.resume(id(1), &key, &Synced { received: 5, hash }).await;
    let watch = watch::record(store.root());
    writer.sync().await.unwrap();
    assert!(!store.path(&key).exists());
    let calls: Vec<_> = watch.calls().into_iter().map(|(call, _)| call).collect();
    // A process that was about to move it may have cut it, so its length is synced too.
    assert_eq!(calls, [Call::Rename, Call::Open, Call::SyncData, Call::SyncFolder]);
    write(&mut writer, b" and more").await;
    assert_eq!(writer.sync().await.unwrap().hash.finish(), sha256(b"bytes and more"));
    assert_eq!(store.read(&staging()), b"bytes and more");
}

#[tokio::test]
async fn acknowledged_bytes_that_are_gone_are_told() {
    let store = Store::new();
    let synced = Synced { received: 5, hash: HashState::new(Algorithm::Sha256) };
    let missing = store.resume(id(1), &staging(), &synced).await.sync().await.unwrap_err();
    assert!(matches!(missing, Error::NotFound { key } if key == staging()));
    assert!(!store.path(&staging()).exists());

    store.plant(&staging(), b"four");
    let short = store.resume(id(1), &staging(), &synced).await.sync().await.unwrap_err();
    assert!(matches!(short, Error::Truncated { key, received: 5, length: 4 } if key == staging()));
    assert_eq!(store.read(&staging()), b"four");
}

#[tokio::test]
async fn after_a_failure_everything_is_an_error() {
    for failing in [Call::Write, Call::SyncData, Call::SyncFolder] {
        let store = Store::new();
        let mut writer = store.new_writer(id(1)).await;
        write(&mut writer, b"bytes").await;
        let watch = watch::fail(store.root(), failing, Errno::IO);
        assert!(matches!(writer.sync().await, Err(Error::Io { .. })));
        drop(watch);
        let watch = watch::record(store.root());
        assert!(matches!(writer.write(Bytes::new()).await, Err(Error::Io { .. })));
        assert!(matches!(writer.write(Bytes::from_static(b"more")).await, Err(Error::Io { .. })));
        assert!(matches!(writer.sync().await, Err(Error::Io { .. })));
        let claim = writer.into_claim();
        let published = store.disk.publish(&claim, &Key::blob(&sha256(b"bytes"))).await;
        assert!(matches!(published, Err(Failed { error: Error::Unsynced { .. }, is_unsure: false })));
        assert_eq!(watch.calls(), [], "{failing:?}");
    }
}

#[tokio::test]
async fn a_batch_that_failed_on_its_way_fails_the_sync() {
    let store = Store::new();
    let mut writer = store.new_writer(id(1)).await;
    let watch = watch::fail(store.root(), Call::Write, Errno::IO);
    write(&mut writer, &content(BATCH_BYTES)).await;
    assert!(writer.sync().await.is_err());
    drop(watch);
    assert!(writer.sync().await.is_err());
}

/// `/dev/full` is a disk with no space left.
#[tokio::test]
async fn a_full_disk_is_no_space() {
    let store = Store::new();
    std::os::unix::fs::symlink("/dev/full", store.path(&staging())).unwrap();
    let mut writer = store.new_writer(id(1)).await;
    write(&mut writer, b"bytes").await;
    assert!(matches!(writer.sync().await, Err(Error::NoSpace)));
}

#[tokio::test]
async fn an_upload_takes_two_batches_of_memory() {
    let store = Store::new();
    let mut writer = store.new_writer(id(1)).await;
    let gate = Gate::before(&store, Call::Write);
    for byte in content(2 * BATCH_BYTES - 1).chunks(1013) {
        write(&mut writer, byte).await;
        assert!(writer.gathered.capacity() <= BATCH_BYTES);
    }
    gate.is_reached.recv().unwrap();
    // One batch is held up, the next is full: the one after that has to wait.
    let mut third = Box::pin(writer.write(Bytes::from_static(b"xy")));
    assert!(ask(third.as_mut()).is_none());
    gate.go_on.send(()).unwrap();
    third.await.unwrap();
    writer.sync().await.unwrap();
    let expected = [content(2 * BATCH_BYTES - 1).as_slice(), b"xy"].concat();
    assert_eq!(store.read(&staging()), expected);
}

#[tokio::test]
async fn a_write_that_was_given_up_loses_nothing_that_was_counted() {
    let store = Store::new();
    let mut writer = store.new_writer(id(1)).await;
    let gate = Gate::before(&store, Call::Write);
    let bytes = content(3 * BATCH_BYTES);
    write(&mut writer, &bytes[..BATCH_BYTES]).await;
    gate.is_reached.recv().unwrap();
    let mut second = Box::pin(writer.write(Bytes::copy_from_slice(&bytes[BATCH_BYTES..])));
    assert!(ask(second.as_mut()).is_none());
    drop(second);
    gate.go_on.send(()).unwrap();
    let received = usize::try_from(writer.received()).unwrap();
    write(&mut writer, &bytes[received..]).await;
    assert_eq!(writer.sync().await.unwrap().hash.finish(), sha256(&bytes));
    assert_eq!(store.read(&staging()), bytes);
}

#[tokio::test]
async fn a_newer_claim_stops_the_older_writer() {
    let store = Store::new();
    let mut older = store.new_writer(id(1)).await;
    write(&mut older, b"kept").await;
    let synced = older.sync().await.unwrap();
    write(&mut older, b"lost").await;
    let mut newer = Box::pin(store.disk.claim(id(1)));
    assert!(ask(newer.as_mut()).is_none());

    older.stopped().await;
    assert!(matches!(older.write(Bytes::from_static(b"x")).await, Err(Error::Stopped)));
    assert!(matches!(older.sync().await, Err(Error::Stopped)));
    assert!(ask(newer.as_mut()).is_none());
    drop(older);

    let claim = newer.await;
    assert!(ask(pin!(claim.stopped())).is_none());
    let mut writer = claim.writer(&staging(), synced.received, synced.hash);
    write(&mut writer, b" and new").await;
    assert_eq!(writer.sync().await.unwrap().hash.finish(), sha256(b"kept and new"));
}

#[tokio::test]
async fn a_claim_that_was_overtaken_opens_nothing() {
    let store = Store::new();
    let older = store.disk.claim(id(1)).await;
    let mut newer = Box::pin(store.disk.claim(id(1)));
    assert!(ask(newer.as_mut()).is_none());
    let mut writer = older.writer(&staging(), 0, HashState::new(Algorithm::Sha256));
    assert!(matches!(writer.sync().await, Err(Error::Stopped)));
    drop(writer);
    newer.await;
    assert!(!store.path(&staging()).exists());
}

/// The request is gone while its write is still to come, on the pool: whoever claims the upload next must not get it before.
#[tokio::test]
async fn a_claim_waits_for_a_write_whose_request_is_gone() {
    for held in [Call::Write, Call::SyncData] {
        let store = Store::new();
        let mut writer = store.new_writer(id(1)).await;
        let gate = Gate::before(&store, held);
        write(&mut writer, b"late").await;
        let mut sync = Box::pin(writer.sync());
        assert!(ask(sync.as_mut()).is_none());
        gate.is_reached.recv().unwrap();
        drop(sync);
        drop(writer);

        let mut newer = Box::pin(store.disk.claim(id(1)));
        assert!(ask(newer.as_mut()).is_none());
        gate.go_on.send(()).unwrap();
        let claim = newer.await;
        assert_eq!(store.read(&staging()), b"late", "the write ended before the claim was given");

        let mut writer = claim.writer(&staging(), 0, HashState::new(Algorithm::Sha256));
        write(&mut writer, b"new").await;
        assert_eq!(writer.sync().await.unwrap().received, 3);
        assert!(store.read(&staging()).starts_with(b"new"));
    }
}

/// The same while the file is being opened: making it is a write too.
#[tokio::test]
async fn a_claim_waits_for_an_opening_whose_request_is_gone() {
    let store = Store::new();
    let gate = Gate::before(&store, Call::Open);
    let mut writer = store.new_writer(id(1)).await;
    let mut opening = Box::pin(writer.sync());
    assert!(ask(opening.as_mut()).is_none());
    gate.is_reached.recv().unwrap();
    drop(opening);
    drop(writer);
    let mut newer = Box::pin(store.disk.claim(id(1)));
    assert!(ask(newer.as_mut()).is_none());
    gate.go_on.send(()).unwrap();
    newer.await;
    assert_eq!(store.read(&staging()), b"");
}

#[tokio::test]
async fn a_failed_write_ends_the_turn_of_a_request_that_is_gone() {
    let store = Store::new();
    let mut writer = store.new_writer(id(1)).await;
    write(&mut writer, b"bytes").await;
    let _watch = watch::fail(store.root(), Call::Write, Errno::IO);
    let mut sync = Box::pin(writer.sync());
    // It may have failed by now, or be about to.
    let _ = ask(sync.as_mut());
    drop(sync);
    drop(writer);
    store.disk.claim(id(1)).await;
}

/// Many requests write one upload at once, each behind what it finds acknowledged; whoever is stopped gives up. What is
/// acknowledged in the end is what is on the disk, and the newest claimant's piece is in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_requests_for_one_upload() {
    let store = Store::new();
    let row = tokio::sync::Mutex::new((0_u64, Vec::new(), HashState::new(Algorithm::Sha256)));
    let row = Arc::new(row);
    let tasks: Vec<_> = (0..60_u8)
        .map(|number| {
            let (disk, row) = (store.disk.clone(), Arc::clone(&row));
            tokio::spawn(async move {
                let claim = disk.claim(id(1)).await;
                let (epoch, acknowledged, hash) = {
                    let mut row = row.lock().await;
                    row.0 += 1;
                    row.clone()
                };
                let mut writer = claim.writer(&staging(), acknowledged.len() as u64, hash);
                let piece = [number; 1000];
                writer.write(Bytes::copy_from_slice(&piece)).await?;
                let synced = writer.sync().await?;
                let mut row = row.lock().await;
                if row.0 == epoch {
                    row.1 = [acknowledged.as_slice(), &piece].concat();
                    row.2 = synced.hash;
                }
                Ok::<(), Error>(())
            })
        })
        .collect();
    for task in tasks {
        assert!(matches!(task.await.unwrap(), Ok(()) | Err(Error::Stopped)));
    }
    let (_, acknowledged, hash) = row.lock().await.clone();
    assert!(!acknowledged.is_empty());
    let synced = Synced { received: acknowledged.len() as u64, hash };
    let mut writer = store.resume(id(1), &staging(), &synced).await;
    assert_eq!(writer.sync().await.unwrap().hash.finish(), sha256(&acknowledged));
    // What came too late may lie behind it.
    assert!(store.read(&staging()).starts_with(&acknowledged));
}

#[derive(Debug, Clone)]
enum Step {
    Write(usize),
    Sync,
    /// The process ends, with whatever was not synced, and another goes on.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop_oneof![0..5000_usize, 0..BATCH_BYTES * 2].prop_map(Step::Write),
        2 => Just(Step::Sync),
        1 => Just(Step::Restart),
    ]
}

async fn run(steps: Vec<Step>, algorithm: Algorithm) {
    const ID: u8 = 1;
    let upload: UploadId = id(ID);
    let mut store = Store::new();
    let bytes = content(steps.len() * BATCH_BYTES * 2);
    let mut synced = Synced { received: 0, hash: HashState::new(algorithm) };
    let mut writer = store.resume(upload, &staging(), &synced).await;
    for step in steps {
        match step {
            Step::Write(length) => {
                let start = usize::try_from(writer.received()).unwrap();
                write(&mut writer, &bytes[start..start + length]).await;
            }
            Step::Sync => synced = writer.sync().await.unwrap(),
            Step::Restart => {
                drop(writer);
                // The claim waits for the last write of this process, as the end of a process does.
                drop(store.disk.claim(upload).await);
                store.restart();
                writer = store.resume(upload, &staging(), &synced).await;
            }
        }
    }
    let end = writer.sync().await.unwrap();
    let written = &bytes[..usize::try_from(end.received).unwrap()];
    assert!(fs::read(store.path(&staging())).unwrap().starts_with(written));
    assert_eq!(end.hash.clone().finish(), Digest::of(algorithm, written));
    let place = Key::blob(&Digest::of(algorithm, written));
    store.disk.publish(&writer.into_claim(), &place).await.unwrap();
    assert_eq!(store.read(&place), written);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_pieces_the_digest_is_that_of_the_file(steps in vec(step(), 1..10), sha512: bool) {
        let algorithm = if sha512 { Algorithm::Sha512 } else { Algorithm::Sha256 };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(run(steps, algorithm));
    }
}

#[tokio::test]
async fn what_would_use_the_reserve_is_refused_as_on_a_full_disk() {
    let store = Store::new();
    let mut writer = store.new_writer(id(1)).await;
    writer.write(content(10).into()).await.unwrap();
    writer.sync().await.unwrap();
    store.disk.require_room(10).await.unwrap();
    store.disk.keep_free(u64::MAX - 100);
    assert!(matches!(store.disk.require_room(0).await, Err(Error::NoSpace)));
    writer.write(content(10).into()).await.unwrap();
    assert!(matches!(writer.sync().await, Err(Error::NoSpace)));
    assert!(!writer.is_unsure());
    assert_eq!(store.disk.reader().length(&Key::staging(id(1))).await.unwrap(), 10, "nothing more was written");
}
