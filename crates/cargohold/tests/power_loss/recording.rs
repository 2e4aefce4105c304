//! A registry in this process, driven over HTTP while everything that it does to its disk is noted, in order, with what it
//! committed and answered in between.

use std::{
    fs,
    io::Write,
    mem,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, SystemTime},
};

use cargohold_access::Gate;
use cargohold_blobs::{
    LocalDisk,
    watch::{self, Call, Watch},
};
use cargohold_http::{Api, ApiOptions, ServerOptions};
use cargohold_metadata::{EnsureStore, Metadata, Timestamp};
use cargohold_oci::UploadId;
use cargohold_registry::{Environment, Lifetimes, Registry, Scrub, Stores, Validation};
use tempfile::TempDir;
use tokio::{net::TcpListener, runtime::Runtime};
use uuid::Uuid;

use crate::{
    client::{Answer, Request},
    disk::{Change, Kind},
    world::{Content, Session, World, digest},
};

/// The data folder, on the disk that is recorded.
pub(crate) const DATA: &str = "data";

/// Longer than anything takes that is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// What happened, in order.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// The disk was changed.
    Change(Change),
    /// The request of that number was sent.
    Asked(usize),
    /// And answered.
    Answered(usize),
    /// A process begins to open the store.
    Started,
}

#[derive(Clone, Debug)]
pub(crate) struct Moment {
    pub(crate) event: Event,
    /// The length of the database's log when it had happened.
    pub(crate) log: usize,
}

/// All that happened.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) name: String,
    pub(crate) file_system: FileSystem,
    pub(crate) moments: Vec<Moment>,
    /// What was asked for, by number; the first is the start.
    pub(crate) asked: Vec<String>,
    /// What is there once a request has succeeded, by number.
    pub(crate) worlds: Vec<Arc<World>>,
    /// The database file, which nothing was folded into, and its log.
    pub(crate) database: Vec<u8>,
    pub(crate) log: Vec<u8>,
    /// The log's length when the recording began.
    pub(crate) first_log: usize,
}

/// A registry that is being recorded.
pub(crate) struct Run {
    name: String,
    file_system: FileSystem,
    process: Option<Process>,
    /// How many have died.
    pub(crate) deaths: usize,
    journal: Arc<Journal>,
    fate: Arc<Mutex<Fate>>,
    asked: Vec<String>,
    worlds: Vec<World>,
    /// The number of the last request that was answered.
    sure: usize,
    database: Vec<u8>,
    first_log: usize,
    _watch: Watch,
    folder: TempDir,
}

/// The disk and the way it is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileSystem {
    Usual,
    /// One that cannot rename without replacing.
    WithoutRename,
}

#[derive(Debug)]
struct Journal {
    moments: Mutex<Vec<Moment>>,
    log: PathBuf,
}

/// What becomes of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Lives,
    /// It makes so many calls to the file system, and dies before the next.
    Dies(usize),
    Dead,
}

struct Process {
    runtime: Runtime,
    metadata: Metadata,
    addr: SocketAddr,
}

impl Run {
    /// A registry on an empty disk.
    pub(crate) fn start(name: &str, file_system: FileSystem) -> Self {
        // What goes wrong is told by a test that fails.
        let _ = tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_test_writer().try_init();
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join(DATA);
        fs::create_dir(&data).unwrap();
        let journal = Arc::new(Journal { moments: Mutex::default(), log: data.join("cargohold.db-wal") });
        let fate = Arc::new(Mutex::new(Fate::Lives));
        journal.note(Event::Started);
        // Whoever makes the data folder leaves its entry to the store to sync.
        journal.note(Event::Change(Change { path: DATA.into(), kind: Kind::MakeFolder }));
        let watch = record(folder.path(), &journal, &fate, file_system);
        let (mut first_log, mut database) = (0, Vec::new());
        let process = Process::start(&data, |file| {
            first_log = journal.length();
            database = fs::read(file).unwrap();
        });
        let (name, asked, worlds) = (name.to_owned(), vec!["start".to_owned()], vec![World::default()]);
        Self {
            name,
            file_system,
            process: Some(process),
            deaths: 0,
            journal,
            fate,
            asked,
            worlds,
            sure: 0,
            database,
            first_log,
            _watch: watch,
            folder,
        }
    }

    /// From now on the process makes so many calls to the file system, and dies before the next.
    pub(crate) fn dies_after(&self, calls: usize) {
        *self.fate.lock().unwrap() = Fate::Dies(calls);
    }

    /// Takes that back; false if it has died.
    pub(crate) fn lives_on(&self) -> bool {
        let mut fate = self.fate.lock().unwrap();
        let lives = *fate != Fate::Dead;
        if lives {
            *fate = Fate::Lives;
        }
        lives
    }

    /// A new process on the same disk, which has not lost anything: its power never failed.
    pub(crate) fn restart(&mut self) {
        if let Some(process) = self.process.take() {
            process.end();
        }
        *self.fate.lock().unwrap() = Fate::Lives;
        self.deaths += 1;
        self.journal.note(Event::Started);
        self.process = Some(Process::start(&self.folder.path().join(DATA), |_| {}));
    }

    /// What is there, as far as answers tell.
    pub(crate) fn world(&self) -> &World {
        &self.worlds[self.sure]
    }

    /// Sends a request after whose success `next` is there; no answer if the process dies before.
    pub(crate) fn ask(&mut self, what: &str, request: Request, next: World) -> Option<Answer> {
        let number = self.asked(what, next);
        let (done, either) = mpsc::channel();
        let addr = self.process().addr;
        thread::spawn(move || done.send(request.send(addr)));
        let answer = self.wait_for(what, || either.try_recv().ok())?.unwrap();
        self.answered(number);
        Some(answer)
    }

    fn asked(&mut self, what: &str, next: World) -> usize {
        let number = self.worlds.len();
        self.asked.push(what.to_owned());
        self.worlds.push(next);
        self.journal.note(Event::Asked(number));
        number
    }

    fn answered(&mut self, number: usize) {
        self.journal.note(Event::Answered(number));
        self.sure = number;
    }

    /// A blob in one request.
    pub(crate) fn push_blob(&mut self, repository: &str, content: &Content) -> Option<()> {
        let mut next = self.world().clone();
        next.blobs.insert((repository.to_owned(), digest(content)), content.clone());
        let path = format!("/v2/{repository}/blobs/uploads/?digest={}", digest(content));
        expect(201, &self.ask("POST with a blob", Request::new("POST", path).with(content), next)?);
        Some(())
    }

    /// A session to upload that content; answers its path.
    pub(crate) fn start_upload(&mut self, repository: &str, content: &Content) -> Option<String> {
        let next = self.world().clone();
        let answer = self.ask("POST", Request::new("POST", format!("/v2/{repository}/blobs/uploads/")), next)?;
        expect(202, &answer);
        let session = Session { repository: repository.to_owned(), content: content.clone(), received: 0 };
        self.worlds[self.sure].sessions.insert(answer.location.clone(), session);
        Some(answer.location)
    }

    /// A chunk, up to the position `end`.
    pub(crate) fn append(&mut self, session: &str, end: usize) -> Option<()> {
        let mut next = self.world().clone();
        let row = next.sessions.get_mut(session).unwrap();
        let request = Request::new("PATCH", session).with(&row.content[row.received..end]);
        row.received = end;
        expect(202, &self.ask("PATCH", request, next)?);
        Some(())
    }

    /// The end of an upload, with what is missing, under that digest.
    pub(crate) fn finish(&mut self, session: &str, digest: &str) -> Option<()> {
        self.finish_as("PUT", session, digest)
    }

    /// The same under a name of its own: what it syncs is told apart.
    pub(crate) fn finish_as(&mut self, what: &str, session: &str, digest: &str) -> Option<()> {
        let mut next = self.world().clone();
        let row = next.sessions.remove(session).unwrap();
        next.blobs.insert((row.repository, digest.to_owned()), row.content.clone());
        let request = Request::new("PUT", format!("{session}?digest={digest}")).with(&row.content[row.received..]);
        expect(201, &self.ask(what, request, next)?);
        Some(())
    }

    /// A request for the end of an upload that brings much that is something else, and breaks off.
    pub(crate) fn break_off(&mut self, session: &str) -> Option<()> {
        let what = "PUT that breaks off";
        let next = self.world().clone();
        let received = next.sessions[session].received as u64;
        let staged = self.folder.path().join(DATA).join("uploads").join(session.rsplit('/').next().unwrap());
        let number = self.asked(what, next);
        let mut stream = TcpStream::connect(self.process().addr).unwrap();
        let digest = digest(b"something else");
        let head =
            format!("PUT {session}?digest={digest} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&vec![7; 800_000]).unwrap();
        let length = || fs::metadata(&staged).map_or(0, |file| file.len());
        self.wait_for(what, || (length() > 100_000).then_some(()))?;
        drop(stream);
        self.wait_for(what, || (length() == received + 1).then_some(()))?;
        self.answered(number);
        Some(())
    }

    /// Ends a session in nothing, by cancelling it or by naming a digest that is not its content's.
    pub(crate) fn discard(&mut self, session: &str, by_digest: bool) -> Option<()> {
        let mut next = self.world().clone();
        next.sessions.remove(session).unwrap();
        if by_digest {
            let wrong = Request::new("PUT", format!("{session}?digest={}", digest(b"something else")));
            expect(400, &self.ask("PUT that is wrong", wrong, next)?);
        } else {
            expect(204, &self.ask("DELETE of an upload", Request::new("DELETE", session), next)?);
        }
        Some(())
    }

    /// Asks the server what there is after a process died that was asked to change it.
    pub(crate) fn look_again(&mut self) {
        let (mut found, maybe) = (self.world().clone(), self.worlds.last().expect("the start").clone());
        let either: World = [&found, &maybe].into_iter().fold(World::default(), |mut either, world| {
            either.add(world);
            either
        });
        let addr = self.process().addr;
        let look = |path: &str| Request::new("GET", path).send(addr).unwrap();
        let number = self.asked("look again", maybe);
        for (path, session) in &either.sessions {
            let answer = look(path);
            found.sessions.remove(path);
            if answer.status == 204 {
                found.sessions.insert(path.clone(), Session { received: answer.received(), ..session.clone() });
            }
        }
        for (name, content) in &either.blobs {
            found.blobs.remove(name);
            if look(&format!("/v2/{}/blobs/{}", name.0, name.1)).status == 200 {
                found.blobs.insert(name.clone(), content.clone());
            }
        }
        self.answered(number);
        self.worlds[number] = found;
    }

    pub(crate) fn push_manifest(&mut self, repository: &str, tag: &str, manifest: &Content) -> Option<()> {
        let mut next = self.world().clone();
        for reference in [tag.to_owned(), digest(manifest)] {
            next.manifests.insert((repository.to_owned(), reference), manifest.clone());
        }
        let path = format!("/v2/{repository}/manifests/{tag}");
        let request = Request::new("PUT", path).with(manifest).of_type(crate::IMAGE);
        expect(201, &self.ask("PUT of a manifest", request, next)?);
        Some(())
    }

    /// DELETE of a manifest with all its tags, or of one tag.
    pub(crate) fn delete_manifest(&mut self, repository: &str, reference: &str) -> Option<()> {
        let mut next = self.world().clone();
        let manifest = next.manifests[&(repository.to_owned(), reference.to_owned())].clone();
        let is_tag = !reference.contains(':');
        next.manifests.retain(|(name, one), content| {
            let other = name != repository || *content != manifest;
            other || (is_tag && one != reference)
        });
        let request = Request::new("DELETE", format!("/v2/{repository}/manifests/{reference}"));
        expect(202, &self.ask("DELETE of a manifest", request, next)?);
        Some(())
    }

    pub(crate) fn delete_blob(&mut self, repository: &str, content: &Content) -> Option<()> {
        let mut next = self.world().clone();
        next.blobs.remove(&(repository.to_owned(), digest(content))).unwrap();
        let request = Request::new("DELETE", format!("/v2/{repository}/blobs/{}", digest(content)));
        expect(202, &self.ask("DELETE of a blob", request, next)?);
        Some(())
    }

    /// Waits until so many files of bytes are left, and no row of any that was discarded.
    pub(crate) fn settle(&mut self, files: usize) -> Option<()> {
        let all = Timestamp::from_micros(i64::MAX);
        let data = self.folder.path().join(DATA);
        let process = self.process();
        self.wait_for("what was discarded is gone", || {
            let discarded = process.runtime.block_on(process.metadata.discarded(all, 1)).unwrap();
            let left = count(&data.join("uploads")) + count(&data.join("docker"));
            (discarded.is_empty() && left == files).then_some(())
        })?;
        // So that what came to rest is told apart from what comes next.
        let next = self.world().clone();
        expect(200, &self.ask("GET", Request::new("GET", "/v2/"), next)?);
        Some(())
    }

    fn process(&self) -> &Process {
        self.process.as_ref().expect("one was started")
    }

    /// Waits for something; nothing comes from the dead.
    fn wait_for<T>(&self, what: &str, come: impl Fn() -> Option<T>) -> Option<T> {
        let waiting = SystemTime::now();
        loop {
            if let Some(come) = come() {
                return Some(come);
            }
            if *self.fate.lock().unwrap() == Fate::Dead {
                return None;
            }
            assert!(waiting.elapsed().unwrap() < PATIENCE, "{}: in vain: {what}", self.name);
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Ends the recording.
    pub(crate) fn stop(self) -> Recording {
        // The process goes on. What it commits behind the last moment may rest on changes of the disk that are not in the recording.
        let (moments, length) = {
            let moments = self.journal.moments.lock().unwrap();
            (moments.clone(), self.journal.length())
        };
        let data = self.folder.path().join(DATA);
        let mut log = fs::read(data.join("cargohold.db-wal")).unwrap();
        log.truncate(length);
        let database = fs::read(data.join("cargohold.db")).unwrap();
        assert!(database == self.database, "so much was written that the log was folded into the database");
        if let Some(process) = self.process {
            process.runtime.shutdown_background();
        }
        Recording {
            name: self.name,
            file_system: self.file_system,
            moments,
            asked: self.asked,
            worlds: self.worlds.into_iter().map(Arc::new).collect(),
            database,
            log,
            first_log: self.first_log,
        }
    }
}

impl Process {
    /// What `cargohold serve` is made of, on a folder that is there. `opened` is told when the database is.
    fn start(data: &Path, opened: impl FnOnce(&Path)) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let now = || Timestamp::from(SystemTime::now());
        let file = data.join("cargohold.db");
        let (registry, metadata) = runtime.block_on(async {
            let metadata = Metadata::open(&file, now()).unwrap();
            let store = metadata.run(store()).await.unwrap();
            opened(&file);
            let open = if store.in_use { LocalDisk::reopen } else { LocalDisk::open };
            let disk = open(data, store.id.number()).unwrap();
            let environment = Environment::new(now, || UploadId::from_uuid(Uuid::now_v7()));
            let lifetimes = Lifetimes {
                deleted: Duration::ZERO,
                swept_bytes: Duration::ZERO,
                between_sweeps: Duration::from_millis(5),
                ..Lifetimes::default()
            };
            let validation = Validation::default();
            (
                Registry::new(
                    metadata.clone(),
                    Stores::new(store.id, disk),
                    lifetimes,
                    Scrub::default(),
                    validation,
                    environment,
                ),
                metadata,
            )
        });
        // The last handle would fold the log into the database, which no process does that dies.
        mem::forget(metadata.clone());
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let addr = listener.local_addr().unwrap();
        let house = registry.clone();
        runtime.spawn(async move { house.keep_house().await });
        let gate = Gate::this_machine();
        let api = Arc::new(Api::new(registry, gate, ApiOptions::default(), "recorded".to_owned()));
        let service = move |request, connection| {
            let api = api.clone();
            async move { api.handle(request, connection).await }
        };
        runtime.spawn(async move {
            let _ = cargohold_http::serve(listener, service, std::future::pending(), ServerOptions::default()).await;
        });
        Self { runtime, metadata, addr }
    }
}

impl Process {
    /// Ends it, once what was handed to the database is there: the dead commit nothing.
    fn end(self) {
        let Self { runtime, metadata, .. } = self;
        runtime.shutdown_background();
        let waiting = tokio::runtime::Builder::new_current_thread().build().unwrap();
        waiting.block_on(metadata.run(store())).unwrap();
    }
}

/// The store whose bytes are recorded.
fn store() -> EnsureStore {
    EnsureStore { kind: "filesystem", location: ".".to_owned(), random: 7 << 30 }
}

impl Journal {
    fn note(&self, event: Event) {
        let mut moments = self.moments.lock().unwrap();
        moments.push(Moment { event, log: self.length() });
    }

    fn length(&self) -> usize {
        fs::metadata(&self.log).map_or(0, |log| usize::try_from(log.len()).unwrap())
    }
}

/// Returns if a call may be made. Nothing returns to the dead.
fn befall(fate: &Mutex<Fate>) {
    let mut held = fate.lock().unwrap();
    *held = match *held {
        Fate::Lives => return,
        Fate::Dies(calls) if calls > 0 => {
            *held = Fate::Dies(calls - 1);
            return;
        }
        Fate::Dies(_) | Fate::Dead => Fate::Dead,
    };
    drop(held);
    loop {
        thread::park();
    }
}

fn record(root: &Path, journal: &Arc<Journal>, fate: &Arc<Mutex<Fate>>, file_system: FileSystem) -> Watch {
    let (journal, fate, whole) = (journal.clone(), fate.clone(), root.to_owned());
    let before = move |call, _: &Path| {
        befall(&fate);
        let refused = file_system == FileSystem::WithoutRename && call == Call::Rename;
        if refused { Err(rustix::io::Errno::INVAL.into()) } else { Ok(()) }
    };
    let after = move |change: watch::Change<'_>, path: &Path| {
        let below = |from: &Path| from.strip_prefix(&whole).unwrap().to_owned();
        let kind = match change {
            watch::Change::Open => Kind::Open,
            watch::Change::Cut { length } => Kind::Cut { length },
            watch::Change::Write { bytes, offset } => Kind::Write { bytes: bytes.to_vec(), offset },
            watch::Change::SyncData => Kind::SyncData,
            watch::Change::SyncFolder => Kind::SyncFolder,
            watch::Change::MakeFolder => Kind::MakeFolder,
            watch::Change::Rename { from } => Kind::Rename { from: below(from) },
            watch::Change::Link { from } => Kind::Link { from: below(from) },
            watch::Change::RemoveFile | watch::Change::RemoveFolder => Kind::Remove,
        };
        journal.note(Event::Change(Change { path: path.to_owned(), kind }));
    };
    watch::follow(root, before, after)
}

#[track_caller]
fn expect(status: u16, answer: &Answer) {
    assert_eq!(answer.status, status, "{}", String::from_utf8_lossy(&answer.body));
}

fn count(folder: &Path) -> usize {
    crate::inspection::files(folder).len()
}
