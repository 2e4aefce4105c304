//! A registry in this process, on a disk that can fail.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use cargohold_access::{Caller, Gate};
use cargohold_blobs::{LocalDisk, watch::Watch};
use cargohold_http::{Api, ApiOptions, ServerOptions};
use cargohold_metadata::{EnsureStore, Metadata, Timestamp};
use cargohold_oci::{Digest, UploadId};
use cargohold_registry::{Checking, Environment, HowToCheck, Lifetimes, Scrub, Stores, Validation};
use tempfile::TempDir;
use tokio::{net::TcpListener, runtime::Runtime};
use uuid::Uuid;

use crate::{
    PATIENCE,
    client::{Answer, Request},
    faults::{Faults, FileSystem},
};

pub(crate) struct Registry {
    pub(crate) disk: Arc<Faults>,
    addr: SocketAddr,
    inside: cargohold_registry::Registry,
    metadata: Metadata,
    gate: Gate,
    /// Seconds by which its clock is ahead.
    ahead: Arc<AtomicU64>,
    runtime: Option<Runtime>,
    _watch: Watch,
    folder: TempDir,
}

impl Registry {
    /// What `cargohold serve` is made of, with two workers, on an empty disk in a good mood. What is deleted goes at once.
    pub(crate) fn start(file_system: FileSystem) -> Self {
        // What goes wrong is told by a test that fails.
        let _ = tracing_subscriber::fmt().with_max_level(tracing::Level::ERROR).with_test_writer().try_init();
        let folder = folder();
        let (disk, watch) = Faults::below(folder.path(), file_system);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let ahead = Arc::new(AtomicU64::new(0));
        let clock = ahead.clone();
        let now = move || Timestamp::from(SystemTime::now() + Duration::from_secs(clock.load(Ordering::Relaxed)));
        let metadata = Metadata::open(&folder.path().join("cargohold.db"), now()).unwrap();
        let row = EnsureStore { kind: "filesystem", location: ".".to_owned(), random: 7 << 30 };
        let store = runtime.block_on(metadata.run(row)).unwrap();
        let lifetimes = Lifetimes {
            deleted: Duration::ZERO,
            swept_bytes: Duration::ZERO,
            between_sweeps: Duration::from_millis(5),
            ..Lifetimes::default()
        };
        let registry = cargohold_registry::Registry::new(
            metadata.clone(),
            Stores::new(store.id, LocalDisk::open(folder.path(), store.id.number()).unwrap()),
            lifetimes,
            Scrub::default(),
            Validation::default(),
            Environment::new(now, || UploadId::from_uuid(Uuid::now_v7())),
        );
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let addr = listener.local_addr().unwrap();
        let house = registry.clone();
        runtime.spawn(async move { house.keep_house().await });
        let gate = Gate::this_machine();
        let api = Arc::new(Api::new(registry.clone(), gate.clone(), ApiOptions::default(), "failing".to_owned()));
        let service = move |request, connection| {
            let api = api.clone();
            async move { api.handle(request, connection).await }
        };
        runtime.spawn(async move {
            let _ = cargohold_http::serve(listener, service, std::future::pending(), ServerOptions::default()).await;
        });
        Self { disk, addr, inside: registry, metadata, gate, ahead, runtime: Some(runtime), _watch: watch, folder }
    }

    pub(crate) fn send(&self, request: Request) -> Answer {
        request.send(self.addr)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send(Request::new("GET", path))
    }

    /// What must hold whenever nothing is under way: every file has its row, every row its bytes; what a live row names is on the
    /// disk, and what was removed is not.
    pub(crate) fn is_sound(&self, blobs: &[String]) {
        self.settle();
        let permit = self.gate.operator(&Caller::OPERATOR).expect("an operator's permit");
        let tell = |told: Checking| {
            if let Checking::Problem(problem) = told {
                panic!("{problem}")
            }
        };
        let how = HowToCheck { read: true, repair: false };
        self.block_on(self.inside.check(&permit, how, &tell)).unwrap();
        let audit = self.disk.audit.lock().unwrap();
        assert!(audit.lies().is_empty(), "{:#?}", audit.lies());
        assert!(audit.revenants().is_empty(), "not on the disk, and forgotten: {:#?}", audit.revenants());
        for digest in blobs {
            let live = self.block_on(self.metadata.live_object(&Digest::parse(digest).unwrap())).unwrap();
            let live = live.unwrap_or_else(|| panic!("{digest} was acknowledged, and is not live"));
            let doubts = audit.doubts(Path::new(&live.key));
            assert!(doubts.is_empty(), "{digest} was acknowledged: {doubts:#?}");
        }
    }

    /// Waits until all that was discarded is gone. What could not be deleted is tried again after minutes, which are let pass.
    fn settle(&self) {
        let (all, began) = (Timestamp::from_micros(i64::MAX), Instant::now());
        let is_done = || {
            let now = Timestamp::from(SystemTime::now() + Duration::from_secs(self.ahead.load(Ordering::Relaxed)));
            self.block_on(self.metadata.due_candidates(now, 1)).unwrap().is_empty()
                && self.block_on(self.metadata.discarded(all, 1)).unwrap().is_empty()
        };
        while !is_done() {
            assert!(began.elapsed() < PATIENCE, "what was discarded is not deleted");
            self.ahead.fetch_add(10, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.as_ref().expect("it runs").block_on(future)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.disk.set(crate::faults::Mood::Good);
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        if thread::panicking() {
            eprintln!(
                "the failed calls: {:#?}; the folder was {}",
                self.disk.take_strikes(),
                self.folder.path().display()
            );
        }
    }
}

/// Where syncs cost nothing, if there is such a place: what they are for is watched, not tried.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}
