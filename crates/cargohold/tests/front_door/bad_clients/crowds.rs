//! Many at once: sessions that nobody ends, readers that hardly read and writers that hardly write. Memory is counted.
//!
//! `CARGOHOLD_CROWD=20` makes them so many times larger.

use std::{
    env,
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    sync::Arc,
    thread,
    time::Duration,
};

use rustix::{
    net::sockopt::set_socket_recv_buffer_size,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};
use tempfile::TempDir;

use crate::{
    content::{INDEX, digest, noise, note},
    registry::Registry,
    repository::Repository,
    waiting::{DEADLINE, eventually},
};

const MIB: u64 = 1 << 20;
/// More than the buffers of both ends of a connection hold.
const LARGE: usize = 32 << 20;

#[test]
fn ten_thousand_open_sessions_cost_next_to_no_memory() {
    let registry = Registry::start_in(folder(), &[]);
    let (sessions, threads) = (10_000 * larger(), 16);
    let repository = registry.repository();
    let manifest = repository.push_manifest("latest", INDEX, note("beside sessions"));
    let before = registry.memory();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut wire = registry.connect();
                for number in 0..sessions / threads {
                    wire.begin("POST", &repository.path("blobs/uploads/"), &[("Content-Length", "0")]);
                    let location = wire.answer().expect(202).location().to_owned();
                    if number % 20 == 0 {
                        wire.begin("PATCH", &location, &[("Content-Length", "4")]);
                        wire.send("some");
                        wire.answer().expect(202);
                    }
                }
            });
        }
    });
    let more = registry.memory().saturating_sub(before);
    println!("{sessions} open sessions take {} KiB", more / 1024);
    assert!(more < 64 * MIB, "{sessions} open sessions take {more} bytes");
    let begun = threads * (sessions / threads).div_ceil(20);
    assert_eq!(registry.files("uploads").len(), begun, "a session without a byte has no file");
    repository.get("tags/list").expect(200);
    repository.head(&format!("manifests/{manifest}")).expect(200);
    registry.get("/v2/_catalog").expect(200);
    let blob = repository.push_blob("beside sessions");
    repository.pull(&blob).expect(200);
    registry.restart(crate::registry::Signal::KILL);
    repository.pull(&blob).expect(200);
    repository.upload(&repository.post("").send().expect(202)).put(&digest("again"), "again").send().expect(201);
}

#[test]
fn a_thousand_slow_readers_and_writers_stop_nobody_and_are_served() {
    let crowd = 1000 * larger();
    // However busy this machine is, none of them has stalled.
    let (registry, repository) = crowded("1h", 3 * crowd);
    let content = noise(91, LARGE);
    let blob = repository.push_blob(&content);
    let before = registry.memory();

    let path = repository.path(&format!("blobs/{blob}"));
    let (mut readers, mut writers) = (Vec::new(), Vec::new());
    for number in 1..=crowd {
        readers.push(Slow::reader(&registry, &path));
        writers.push(Slow::writer(&registry, &repository.start_upload().location));
        if number % 50 == 0 {
            readers.iter_mut().for_each(Slow::read_some);
            writers.iter_mut().for_each(Slow::write_some);
        }
    }
    for round in 0..3 {
        readers.iter_mut().for_each(Slow::read_some);
        writers.iter_mut().for_each(Slow::write_some);
        registry.get("/v2/").expect(200);
        let other = repository.push_blob(format!("beside a crowd, {round}"));
        repository.pull(&other).expect(200);
        repository.push_manifest("latest", INDEX, note(&format!("round {round}")));
        repository.get("tags/list").expect(200);
    }
    assert!(repository.pull(&blob).expect(200).body == content, "a quick reader gets the same blob meanwhile");
    let (memory, open) = (registry.memory().saturating_sub(before), registry.open_files());
    println!("{crowd} slow readers and {crowd} slow writers take {} KiB and {open} open files", memory / 1024);
    assert!(memory < crowd as u64 * 2 * MIB / 10, "{memory} bytes");
    assert!(open >= 2 * crowd, "all are there: {open}");

    let (patient, quick) = (readers.pop().unwrap(), writers.pop().unwrap());
    assert!(patient.rest() == content[content.len() - 1000..], "slow, and whole");
    quick.finish();
}

#[test]
fn a_thousand_who_do_nothing_any_more_are_let_go() {
    let crowd = 1000 * larger();
    let (registry, repository) = crowded("1s", 3 * crowd);
    let blob = repository.push_blob(noise(92, LARGE));
    let files = registry.open_files();

    let path = repository.path(&format!("blobs/{blob}"));
    let readers: Vec<_> = (0..crowd).map(|_| Slow::reader(&registry, &path)).collect();
    let writers: Vec<_> = (0..crowd).map(|_| Slow::writer(&registry, &repository.start_upload().location)).collect();
    eventually("the stalled ones are let go", || (registry.open_files() <= files + 10).then_some(()));
    for writer in writers {
        let answer = String::from_utf8_lossy(&writer.take()).into_owned();
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    }
    // Readers are not told: the kernel gives up without a word on a client whose window is shut.
    drop(readers);
    registry.get("/v2/").expect(200);
    assert!(!registry.log().contains("panicked"));
}

/// A registry that gives up on who stalls for so long, for a crowd with that many connections.
fn crowded(patience: &'static str, connections: usize) -> (Arc<Registry>, Repository) {
    raise_file_limit(connections as u64 + 500);
    let settings = vec![
        ("CARGOHOLD__HTTP__LIMITS__REQUESTS", "1000000"),
        ("CARGOHOLD__HTTP__LIMITS__STALL", patience),
        ("CARGOHOLD__HTTP__LIMITS__UNREAD", patience),
    ];
    let registry = Registry::start_in(folder(), settings.leak());
    let repository = registry.repository();
    (registry, repository)
}

/// A connection of which next to nothing comes.
struct Slow {
    stream: TcpStream,
    sent: usize,
}

/// What a slow writer has announced.
const ANNOUNCED: usize = 1 << 20;

impl Slow {
    fn connect(registry: &Registry) -> Self {
        let stream = TcpStream::connect(registry.addr()).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, sent: 0 }
    }

    fn reader(registry: &Registry, path: &str) -> Self {
        let mut slow = Self::connect(registry);
        set_socket_recv_buffer_size(&slow.stream, 64 << 10).unwrap();
        write!(slow.stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        slow.read_some();
        slow
    }

    fn writer(registry: &Registry, path: &str) -> Self {
        let mut slow = Self::connect(registry);
        let head = format!(
            "PATCH {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {ANNOUNCED}\r\n\r\n"
        );
        // At once: between two writes it could count as stalled.
        slow.stream.write_all(&[head.as_bytes(), &[b'x'; 16 << 10]].concat()).unwrap();
        slow.sent = 16 << 10;
        slow
    }

    fn read_some(&mut self) {
        self.stream.read_exact(&mut [0; 100]).unwrap();
    }

    fn write_some(&mut self) {
        self.stream.write_all(&[b'x'; 10]).unwrap();
        self.sent += 10;
    }

    /// The last bytes of what is still to come.
    fn rest(mut self) -> Vec<u8> {
        let mut all = Vec::new();
        self.stream.read_to_end(&mut all).unwrap();
        all.split_off(all.len() - 1000)
    }

    fn finish(mut self) {
        self.stream.write_all(&vec![b'x'; ANNOUNCED - self.sent]).unwrap();
        let answer = String::from_utf8(self.take()).unwrap();
        assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    }

    /// What comes until the connection ends, in order or not.
    fn take(mut self) -> Vec<u8> {
        let mut all = Vec::new();
        self.stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        match self.stream.read_to_end(&mut all) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("the connection is still open"),
            _ => all,
        }
    }
}

impl Registry {
    fn open_files(&self) -> usize {
        std::fs::read_dir(self.proc("fd")).unwrap().count()
    }

    /// What the process has in memory now, in bytes, without files that are only mapped.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(self.proc("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }
}

/// This process needs a file for each connection too.
pub(crate) fn raise_file_limit(needed: u64) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < needed) {
        let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
        let most = limit.maximum.unwrap_or(u64::MAX);
        assert!(
            raised.is_ok() && most >= needed,
            "{needed} open files are needed and {most} allowed: raise `ulimit -Hn`"
        );
    }
}

/// In memory, if there is such a place: what waits for the disk is no subject here.
fn folder() -> TempDir {
    let memory = std::path::Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

pub(crate) fn larger() -> usize {
    env::var("CARGOHOLD_CROWD").map_or(1, |times| times.parse().expect("CARGOHOLD_CROWD is a whole number"))
}
