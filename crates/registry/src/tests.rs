//! Uploads against a real database and a real folder, with crashes at the instructions where they would hurt.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use cargohold_access::{Caller, Gate, Permit, Pull, Push};
use cargohold_blobs::watch::{self, Call, Watch};
use cargohold_blobs::{Key, LocalDisk};
use cargohold_metadata::{AdvanceUpload, ClaimKey, EnsureStore, FinishUpload, Finished, Metadata, Seen, Timestamp};
use cargohold_oci::{Algorithm, Digest, RepositoryName, UploadId};
use futures_util::stream;
use tokio::sync::{mpsc, oneshot};

use crate::{Content, ContentError, Environment, Error, Lifetimes, Placement, Registry, Scrub, Stores, Validation};

/// A registry on a folder of its own; `restart` is what a crash leaves behind, opened again.
pub(crate) struct Home {
    pub(crate) registry: Registry,
    folder: Arc<tempfile::TempDir>,
    /// Microseconds; each look at it takes one.
    clock: Arc<AtomicI64>,
}

/// What lies in the folder of a store.
const STORE: [&str; 3] = ["uploads", "docker", "cargohold-store"];
/// So many bytes that some of them are written before the last one came.
const MUCH: usize = 600_000;

/// A store that is away.
struct Unmounted {
    root: PathBuf,
    away: tempfile::TempDir,
}

impl Unmounted {
    fn mount(self) {
        for name in STORE {
            std::fs::rename(self.away.path().join(name), self.root.join(name)).unwrap();
        }
    }
}

static UPLOADS: AtomicU64 = AtomicU64::new(1);

impl Home {
    pub(crate) async fn new() -> Self {
        Self::open(Arc::new(tempfile::tempdir().unwrap())).await
    }

    pub(crate) async fn restart(self) -> Self {
        Self::open(self.folder).await
    }

    async fn open(folder: Arc<tempfile::TempDir>) -> Self {
        let clock = Arc::new(AtomicI64::new(1));
        let metadata = Metadata::open(&folder.path().join("facts.db"), Timestamp::from_micros(0)).unwrap();
        let store =
            metadata.run(EnsureStore { kind: "filesystem", location: ".".to_owned(), random: 7 << 30 }).await.unwrap();
        let disk = LocalDisk::open(folder.path(), store.id.number()).unwrap();
        let environment = Environment::new(
            {
                let clock = clock.clone();
                move || Timestamp::from_micros(clock.fetch_add(1, Ordering::Relaxed))
            },
            || {
                UploadId::parse(&format!("00000000-0000-0000-0000-{:012}", UPLOADS.fetch_add(1, Ordering::Relaxed)))
                    .unwrap()
            },
        );
        Self {
            registry: Registry::new(
                metadata,
                Stores::new(store.id, disk),
                Lifetimes::default(),
                Scrub::default(),
                Validation::default(),
                environment,
            ),
            folder,
            clock,
        }
    }

    async fn start(&self) -> UploadId {
        self.registry.start_upload(&push("a"), Algorithm::Sha256).await.unwrap()
    }

    async fn append(&self, upload: UploadId, content: &'static str) -> Result<u64, Error> {
        self.registry.append(&push("a"), upload, Placement::default(), whole(content)).await
    }

    async fn finish(&self, upload: UploadId, digest: Digest) -> Result<(), Error> {
        self.finish_with(upload, digest, whole("")).await
    }

    async fn finish_with(&self, upload: UploadId, digest: Digest, rest: Content) -> Result<(), Error> {
        self.registry.finish_upload(&push("a"), upload, digest, Placement::default(), rest).await
    }

    async fn push_blob(&self, repository: &str, content: &'static str) {
        self.registry
            .upload_blob(&push(repository), digest(content), Placement::default(), whole(content))
            .await
            .unwrap();
    }

    async fn read(&self, repository: &str, digest: &Digest) -> Result<String, Error> {
        let blob = self.registry.pull_blob(&pull(repository), digest).await?;
        Ok(std::io::read_to_string(blob.file).unwrap())
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.folder.path().join(key.as_str())
    }

    /// Every file of bytes, as a path below the folder.
    fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        let mut folders = vec![self.folder.path().join("uploads"), self.folder.path().join("docker")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                } else {
                    let path = entry.path();
                    files.push(path.strip_prefix(self.folder.path()).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        files.sort();
        files
    }

    /// The length of the staged file of a session; none is 0.
    fn staged(&self, upload: UploadId) -> u64 {
        std::fs::metadata(self.path(&Key::staging(upload))).map_or(0, |file| file.len())
    }

    async fn until_much_is_staged(&self, upload: UploadId) {
        let waiting = async {
            while self.staged(upload) < MUCH as u64 / 2 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), waiting).await.unwrap();
    }

    /// Stages a file as a process does that dies before it says so.
    fn plant(&self, upload: UploadId, content: &str) -> PathBuf {
        let path = self.path(&Key::staging(upload));
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Takes the store away, as a disk that is not mounted any more.
    fn unmount(&self) -> Unmounted {
        let (root, away) = (self.folder.path().to_owned(), tempfile::tempdir_in(self.folder.path()).unwrap());
        for name in STORE {
            std::fs::rename(root.join(name), away.path().join(name)).unwrap();
        }
        Unmounted { root, away }
    }

    /// Runs the discard worker until it has nothing to do.
    async fn discard(&self) {
        while self.registry.discard_step().await.unwrap() {}
    }
}

fn push(repository: &str) -> Permit<Push> {
    Gate::open().permit(&Caller::ANONYMOUS, RepositoryName::parse(repository).unwrap()).unwrap()
}

fn pull(repository: &str) -> Permit<Pull> {
    Gate::open().permit(&Caller::ANONYMOUS, RepositoryName::parse(repository).unwrap()).unwrap()
}

fn digest(content: &str) -> Digest {
    Digest::of(Algorithm::Sha256, content.as_bytes())
}

fn whole(content: impl Into<Bytes>) -> Content {
    let content = content.into();
    Box::pin(stream::iter((!content.is_empty()).then_some(Ok(content))))
}

/// A body that breaks off behind `content`.
fn broken(content: impl Into<Bytes>) -> Content {
    Box::pin(stream::iter([Ok(content.into()), Err("connection reset".into())]))
}

/// A body that the test feeds.
struct Feed {
    chunks: mpsc::UnboundedSender<Result<Bytes, ContentError>>,
    /// Resolves when the body is first asked for: then its request has ended the older ones.
    asked_for: oneshot::Receiver<()>,
}

fn fed() -> (Feed, Content) {
    let (chunks, mut body) = mpsc::unbounded_channel();
    let (ask, asked_for) = oneshot::channel();
    let mut ask = Some(ask);
    let body = stream::poll_fn(move |context| {
        ask.take().map(|ask| ask.send(()).ok());
        body.poll_recv(context)
    });
    (Feed { chunks, asked_for }, Box::pin(body))
}

#[tokio::test]
async fn an_upload_in_chunks_becomes_a_blob_at_the_inherited_path() {
    let home = Home::new().await;
    let upload = home.start().await;
    assert_eq!(home.append(upload, "first, ").await.unwrap(), 7);
    assert_eq!(home.append(upload, "second").await.unwrap(), 13);
    let digest = digest("first, second");
    home.finish(upload, digest).await.unwrap();
    assert_eq!(home.read("a", &digest).await.unwrap(), "first, second");
    assert_eq!(home.files(), [Key::blob(&digest).as_str()]);
}

#[tokio::test]
async fn a_chunk_out_of_order_is_refused_and_the_session_goes_on() {
    let home = Home::new().await;
    let upload = home.start().await;
    home.append(upload, "first").await.unwrap();
    let placement = Placement { start: Some(9), length: Some(3) };
    let refused = home.registry.append(&push("a"), upload, placement, whole("xxx")).await.unwrap_err();
    assert!(matches!(refused, Error::OutOfOrder { received: 5 }), "{refused}");
    home.finish(upload, digest("first")).await.unwrap();
}

#[tokio::test]
async fn a_chunk_of_another_length_than_announced_is_not_kept() {
    let home = Home::new().await;
    let upload = home.start().await;
    for (length, content) in [(2, "abc"), (9, "abc")] {
        let placement = Placement { start: Some(0), length: Some(length) };
        let refused = home.registry.append(&push("a"), upload, placement, whole(content)).await.unwrap_err();
        assert!(matches!(refused, Error::WrongLength { .. }), "{refused}");
        assert_eq!(home.registry.upload_status(&push("a"), upload).await.unwrap(), 0);
    }
    home.append(upload, "xyz").await.unwrap();
    home.finish(upload, digest("xyz")).await.unwrap();
}

#[tokio::test]
async fn what_arrived_before_a_hang_up_is_kept_over_a_restart() {
    let home = Home::new().await;
    let upload = home.start().await;
    let refused = home.registry.append(&push("a"), upload, Placement::default(), broken("before")).await.unwrap_err();
    assert!(matches!(refused, Error::BrokenBody(_)), "{refused}");
    let home = home.restart().await;
    assert_eq!(home.registry.upload_status(&push("a"), upload).await.unwrap(), 6);
    home.append(upload, " and after").await.unwrap();
    home.finish(upload, digest("before and after")).await.unwrap();
}

#[tokio::test]
async fn what_a_finish_brought_before_a_hang_up_is_dropped_so_that_it_can_be_repeated() {
    for length in [10, MUCH] {
        let home = Home::new().await;
        let upload = home.start().await;
        home.append(upload, "chunk").await.unwrap();
        let rest = "rest".repeat(length);
        let all = digest(&format!("chunk{rest}"));
        let refused = home.finish_with(upload, all, broken(rest[..length].to_owned())).await.unwrap_err();
        assert!(matches!(refused, Error::BrokenBody(_)), "{refused}");
        assert!(home.staged(upload) <= 6, "the room is given back");
        home.finish_with(upload, all, whole(rest)).await.unwrap();
    }
}

#[tokio::test]
async fn a_finish_that_brings_nothing_publishes_nothing_of_one_that_broke_off() {
    let home = Home::new().await;
    let upload = home.start().await;
    home.append(upload, "chunk").await.unwrap();
    home.finish_with(upload, digest("other"), broken(vec![7; MUCH])).await.unwrap_err();
    home.finish(upload, digest("chunk")).await.unwrap();
    assert_eq!(home.read("a", &digest("chunk")).await.unwrap(), "chunk");
}

/// The length that it has in memory says nothing of the disk: whoever sees it next would not sync it.
#[tokio::test]
async fn a_cut_that_cannot_be_synced_ends_the_upload_in_nothing() {
    let home = Home::new().await;
    let upload = home.start().await;
    home.append(upload, "chunk").await.unwrap();
    home.finish_with(upload, digest("other"), broken(vec![7; MUCH])).await.unwrap_err();
    let disk = failing(&home, |call, _| call == Call::SyncData);
    let refused = home.finish(upload, digest("chunk")).await;
    assert!(matches!(refused, Err(Error::Store(_))), "{refused:?}");
    drop(disk);
    assert!(matches!(home.finish(upload, digest("chunk")).await, Err(Error::UploadUnknown { .. })));
}

#[tokio::test]
async fn what_a_request_left_that_broke_off_has_no_part_in_a_digest_of_another_algorithm() {
    let home = Home::new().await;
    let upload = home.start().await;
    home.append(upload, "chunk").await.unwrap();
    home.finish_with(upload, digest("other"), broken(vec![7; MUCH])).await.unwrap_err();
    let sha512 = Digest::of(Algorithm::Sha512, b"chunk");
    home.finish(upload, sha512).await.unwrap();
    assert_eq!(home.read("a", &sha512).await.unwrap(), "chunk");
}

/// Whoever waits for a request whose write failed is not to write to the same file.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_goes_on_behind_a_write_that_failed() {
    let home = Home::new().await;
    let upload = home.start().await;
    home.append(upload, "chunk").await.unwrap();
    let (reached, is_reached) = std::sync::mpsc::channel();
    let (go_on, may_go_on) = std::sync::mpsc::channel::<()>();
    let held = Mutex::new(Some((reached, may_go_on)));
    let disk = failing(&home, move |call, _| {
        let held = (call == Call::Write).then(|| held.lock().unwrap().take()).flatten();
        held.is_some_and(|(reached, may_go_on)| reached.send(()).is_ok() && may_go_on.recv().is_ok())
    });
    let append = |content: Content| {
        let registry = home.registry.clone();
        tokio::spawn(async move { registry.append(&push("a"), upload, Placement::default(), content).await })
    };
    let older = append(whole(vec![7; MUCH]));
    tokio::task::spawn_blocking(move || is_reached.recv().unwrap()).await.unwrap();
    let newer = append(whole("newer"));
    // Long enough for it to stand in line; if it comes later, it finds no session either.
    tokio::time::sleep(Duration::from_millis(100)).await;
    go_on.send(()).unwrap();
    older.await.unwrap().unwrap_err();
    let newer = newer.await.unwrap();
    assert!(matches!(newer, Err(Error::UploadUnknown { .. })), "{newer:?}");
    drop(disk);
}

/// A crash has left the bytes of a whole upload in their place, of which nothing was acknowledged.
#[tokio::test]
async fn what_a_crash_left_in_its_place_is_not_lost_sight_of() {
    for length in [7, MUCH] {
        let home = Home::new().await;
        let upload = home.start().await;
        let content = "content".repeat(length);
        claim_final_key(&home, upload, &content).await;
        let place = home.path(&Key::blob(&digest(&content)));
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::rename(home.plant(upload, &content), &place).unwrap();
        let home = home.restart().await;
        home.finish_with(upload, digest(&content), broken(content[..length].to_owned())).await.unwrap_err();
        home.finish_with(upload, digest(&content), whole(content.clone())).await.unwrap();
        home.discard().await;
        assert_eq!(home.files(), [Key::blob(&digest(&content)).as_str()]);
    }
}

#[tokio::test]
async fn while_the_disk_cannot_be_reached_no_upload_ends() {
    let home = Home::new().await;
    let upload = home.start().await;
    home.append(upload, "content").await.unwrap();
    let away = home.unmount();
    assert!(matches!(home.append(upload, "more").await, Err(Error::StoreAway(_))));
    assert!(matches!(home.finish(upload, digest("content")).await, Err(Error::StoreAway(_))));
    away.mount();
    let no_more_files = failing(&home, |call, _| call == Call::Open);
    assert!(matches!(home.append(upload, ", more").await, Err(Error::Store(_))));
    drop(no_more_files);
    assert_eq!(home.append(upload, ", more").await.unwrap(), 13);
    for refused in [Call::MakeFolder, Call::Rename] {
        let disk = failing(&home, move |call, _| call == refused);
        assert!(matches!(home.finish(upload, digest("content, more")).await, Err(Error::Store(_))), "{refused:?}");
        drop(disk);
    }
    home.finish(upload, digest("content, more")).await.unwrap();
    assert_eq!(home.read("a", &digest("content, more")).await.unwrap(), "content, more");
}

/// Another process finishes a session that a request here has looked at, and waits for its first byte.
#[tokio::test]
async fn a_request_that_has_brought_nothing_takes_no_session_from_a_newer_one() {
    let home = Home::new().await;
    let upload = home.start().await;
    home.append(upload, "content").await.unwrap();
    let (feed, body) = fed();
    let older = tokio::spawn({
        let registry = home.registry.clone();
        async move { registry.append(&push("a"), upload, Placement::default(), body).await }
    });
    feed.asked_for.await.unwrap();
    let seen = claim_final_key(&home, upload, "content").await;
    let place = home.path(&Key::blob(&digest("content")));
    std::fs::create_dir_all(place.parent().unwrap()).unwrap();
    std::fs::rename(home.path(&Key::staging(upload)), &place).unwrap();
    feed.chunks.send(Ok(Bytes::from_static(b"late"))).unwrap();
    drop(feed.chunks);
    assert!(matches!(older.await.unwrap(), Err(Error::Superseded { received: 7 })));
    let grace = home.registry.grace();
    let finish = FinishUpload { seen, digest: digest("content"), size: 7, winner: None, grace };
    assert_eq!(home.registry.0.metadata.run(finish).await.unwrap(), Finished::Live);
}

/// What another process received since is not what this request was about.
#[tokio::test]
async fn a_wrong_digest_of_what_was_seen_discards_nothing_that_came_since() {
    let home = Home::new().await;
    let upload = home.start().await;
    home.append(upload, "content").await.unwrap();
    let metadata = home.registry.0.metadata.clone();
    let row = metadata.upload(&RepositoryName::parse("a").unwrap(), upload).await.unwrap().unwrap();
    let (feed, body) = fed();
    let wrong = tokio::spawn({
        let registry = home.registry.clone();
        async move { registry.finish_upload(&push("a"), upload, digest("other"), Placement::default(), body).await }
    });
    feed.asked_for.await.unwrap();
    let hash_state = row.hash_state;
    let advance = AdvanceUpload { upload, epoch: row.epoch, received: 9, hash_state, now: Timestamp::from_micros(1) };
    assert!(metadata.run(advance).await.unwrap());
    drop(feed.chunks);
    assert!(matches!(wrong.await.unwrap(), Err(Error::Superseded { received: 9 })));
}

#[tokio::test]
async fn an_upload_that_nobody_goes_on_with_expires() {
    let home = Home::new().await;
    let upload = home.start().await;
    home.append(upload, "content").await.unwrap();
    home.registry.expire_step().await.unwrap();
    assert_eq!(home.registry.upload_status(&push("a"), upload).await.unwrap(), 7);
    home.clock.fetch_add(8 * 24 * 3_600_000_000, Ordering::Relaxed);
    home.registry.expire_step().await.unwrap();
    assert!(matches!(home.append(upload, "more").await, Err(Error::UploadUnknown { .. })));
    home.discard().await;
    assert!(home.files().is_empty());
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_cut_an_upload_off() {
    let home = Home::new().await;
    let upload = home.start().await;
    let (feed, body) = fed();
    let caller = tokio::spawn({
        let registry = home.registry.clone();
        async move { registry.append(&push("a"), upload, Placement::default(), body).await }
    });
    feed.asked_for.await.unwrap();
    caller.abort();
    feed.chunks.send(Ok(Bytes::from_static(b"all of it"))).unwrap();
    drop(feed.chunks);
    while home.registry.upload_status(&push("a"), upload).await.unwrap() != 9 {
        tokio::task::yield_now().await;
    }
    home.finish(upload, digest("all of it")).await.unwrap();
}

#[tokio::test]
async fn a_newer_writer_takes_over_and_their_bytes_never_mix() {
    let home = Home::new().await;
    let upload = home.start().await;
    let (feed, body) = fed();
    let older = tokio::spawn({
        let registry = home.registry.clone();
        async move { registry.append(&push("a"), upload, Placement::default(), body).await }
    });
    feed.asked_for.await.unwrap();
    feed.chunks.send(Ok(Bytes::from(vec![b'o'; MUCH]))).unwrap();
    home.until_much_is_staged(upload).await;
    home.append(upload, "newer").await.unwrap();
    let older = older.await.unwrap().unwrap_err();
    assert!(matches!(older, Error::Superseded { .. }), "{older}");
    home.finish(upload, digest("newer")).await.unwrap();
    assert_eq!(home.read("a", &digest("newer")).await.unwrap(), "newer");
}

#[tokio::test]
async fn the_wrong_digest_discards_the_upload() {
    let home = Home::new().await;
    let upload = home.start().await;
    home.append(upload, "content").await.unwrap();
    let refused = home.finish(upload, digest("other")).await.unwrap_err();
    assert!(matches!(refused, Error::DigestMismatch { .. }), "{refused}");
    assert!(matches!(home.finish(upload, digest("content")).await, Err(Error::UploadUnknown { .. })));
    home.discard().await;
    assert!(home.files().is_empty());
}

#[tokio::test]
async fn a_digest_of_another_algorithm_than_was_hashed_is_computed_from_the_bytes() {
    let home = Home::new().await;
    let upload = home.start().await;
    home.append(upload, "content").await.unwrap();
    let sha512 = Digest::of(Algorithm::Sha512, b"content");
    home.finish(upload, sha512).await.unwrap();
    assert_eq!(home.read("a", &sha512).await.unwrap(), "content");
}

#[tokio::test]
async fn the_same_blob_pushed_again_is_stored_once() {
    let home = Home::new().await;
    home.push_blob("a", "same").await;
    home.push_blob("b", "same").await;
    home.discard().await;
    assert_eq!(home.files(), [Key::blob(&digest("same")).as_str()]);
    assert_eq!(home.read("b", &digest("same")).await.unwrap(), "same");
}

#[tokio::test]
async fn finishing_again_after_a_success_is_a_success() {
    let home = Home::new().await;
    let upload = home.start().await;
    home.append(upload, "content").await.unwrap();
    home.finish(upload, digest("content")).await.unwrap();
    home.finish(upload, digest("content")).await.unwrap();
    assert!(matches!(home.finish(upload, digest("other")).await, Err(Error::UploadUnknown { .. })));
}

#[tokio::test]
async fn a_crash_after_the_key_was_claimed_is_resumed() {
    let home = Home::new().await;
    let upload = home.start().await;
    home.append(upload, "content").await.unwrap();
    claim_final_key(&home, upload, "content").await;
    let home = home.restart().await;
    home.append(upload, ", more").await.unwrap();
    home.finish(upload, digest("content, more")).await.unwrap();
    assert_eq!(home.files(), [Key::blob(&digest("content, more")).as_str()]);
}

#[tokio::test]
async fn a_crash_after_the_rename_is_resumed() {
    let home = Home::new().await;
    for (content, more) in [("one", ""), ("two", " and more")] {
        let upload = home.start().await;
        home.append(upload, content).await.unwrap();
        claim_final_key(&home, upload, content).await;
        let published = home.path(&Key::blob(&digest(content)));
        std::fs::create_dir_all(published.parent().unwrap()).unwrap();
        std::fs::rename(home.path(&Key::staging(upload)), published).unwrap();
        // The session goes on as if nothing had happened, whether it is finished as it was or grows first.
        if !more.is_empty() {
            home.append(upload, more).await.unwrap();
        }
        home.finish(upload, digest(&format!("{content}{more}"))).await.unwrap();
    }
    let mut expected =
        [Key::blob(&digest("one")), Key::blob(&digest("two and more"))].map(|key| key.as_str().to_owned());
    expected.sort();
    assert_eq!(home.files(), expected);
}

/// Names the place of that content in the row of a session, as a request does that is about to move it there.
async fn claim_final_key(home: &Home, upload: UploadId, content: &str) -> Seen {
    let metadata = &home.registry.0.metadata;
    let row = metadata.upload(&RepositoryName::parse("a").unwrap(), upload).await.unwrap().unwrap();
    let seen = Seen { upload, epoch: row.epoch, received: row.received };
    let keys = vec![Key::blob(&digest(content)).as_str().to_owned()];
    let claim = ClaimKey { seen, keys, now: Timestamp::from_micros(1) };
    Seen { epoch: metadata.run(claim).await.unwrap().unwrap().epoch, ..seen }
}

#[tokio::test]
async fn a_file_that_no_row_names_is_left_alone() {
    let home = Home::new().await;
    let stranger = home.path(&Key::blob(&digest("content")));
    std::fs::create_dir_all(stranger.parent().unwrap()).unwrap();
    std::fs::write(&stranger, "something else").unwrap();
    home.push_blob("a", "content").await;
    assert_eq!(home.read("a", &digest("content")).await.unwrap(), "content");
    assert_eq!(std::fs::read_to_string(stranger).unwrap(), "something else");
}

#[tokio::test]
async fn bytes_that_are_gone_are_not_promised_and_the_next_push_heals_them() {
    for truncated in [false, true] {
        let home = Home::new().await;
        home.push_blob("a", "content").await;
        let path = home.path(&Key::blob(&digest("content")));
        if truncated {
            std::fs::write(&path, "cont").unwrap();
        } else {
            std::fs::remove_file(&path).unwrap();
        }
        let gone = home.read("a", &digest("content")).await.unwrap_err();
        assert!(matches!(gone, Error::BlobUnknown { .. }), "{gone}");
        let head = home.registry.stat_blob(&pull("a"), Some(&push("a")), &digest("content")).await;
        assert!(matches!(head, Err(Error::BlobUnknown { .. })));
        home.push_blob("b", "content").await;
        assert_eq!(home.read("a", &digest("content")).await.unwrap(), "content");
    }
}

#[tokio::test]
async fn a_push_notices_by_itself_that_the_bytes_are_gone() {
    let home = Home::new().await;
    home.push_blob("a", "content").await;
    std::fs::remove_file(home.path(&Key::blob(&digest("content")))).unwrap();
    home.push_blob("b", "content").await;
    assert_eq!(home.read("a", &digest("content")).await.unwrap(), "content");
}

#[tokio::test]
async fn a_store_that_is_away_is_not_an_empty_one() {
    let home = Home::new().await;
    home.push_blob("a", "content").await;
    let away = home.unmount();
    let refused = home.read("a", &digest("content")).await.unwrap_err();
    assert!(matches!(refused, Error::StoreAway(_)), "{refused}");
    away.mount();
    assert_eq!(home.read("a", &digest("content")).await.unwrap(), "content");
}

#[tokio::test]
async fn a_cancelled_upload_leaves_nothing() {
    let home = Home::new().await;
    let upload = home.start().await;
    home.append(upload, "content").await.unwrap();
    home.registry.cancel_upload(&push("a"), upload).await.unwrap();
    assert!(matches!(home.append(upload, "more").await, Err(Error::UploadUnknown { .. })));
    home.discard().await;
    assert!(home.files().is_empty());
}

/// The same sync could succeed for the next who tries, without anything being on the disk.
#[tokio::test]
async fn a_sync_that_fails_while_a_blob_is_moved_ends_the_upload_in_nothing() {
    let key = Key::blob(&digest("content"));
    // The blob's own folder and those above it, up to `blobs`, whose own entry was synced at the start.
    for folder in Path::new(key.as_str()).ancestors().skip(1).take(4).map(Path::to_owned) {
        let home = Home::new().await;
        let upload = home.start().await;
        home.append(upload, "content").await.unwrap();
        let failing_folder = folder.clone();
        let disk = failing(&home, move |call, path| call == Call::SyncFolder && path == failing_folder);
        let refused = home.finish(upload, digest("content")).await;
        assert!(matches!(refused, Err(Error::Store(_))), "{folder:?}: {refused:?}");
        drop(disk);
        let again = home.finish(upload, digest("content")).await;
        assert!(matches!(again, Err(Error::UploadUnknown { .. })), "{folder:?}: {again:?}");
        assert!(matches!(home.read("a", &digest("content")).await, Err(Error::BlobUnknown { .. })));
        home.discard().await;
        assert!(home.files().is_empty(), "{folder:?}");
        home.push_blob("a", "content").await;
        assert_eq!(home.read("a", &digest("content")).await.unwrap(), "content");
    }
}

/// A disk on which these calls fail, until this is dropped.
fn failing(home: &Home, fails: impl Fn(Call, &Path) -> bool + Send + Sync + 'static) -> Watch {
    watch::watch(home.folder.path(), move |call, path| {
        if fails(call, path) { Err(std::io::Error::other("the disk failed")) } else { Ok(()) }
    })
}
