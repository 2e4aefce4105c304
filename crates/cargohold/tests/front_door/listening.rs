//! Where connections come in: Unix sockets, limits of connections and files, and a stop that is announced.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::Path,
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, kill_process, prlimit};

use crate::{
    content::{digest, noise},
    registry::{Registry, Signal, run, serve},
    waiting::{DEADLINE, eventually},
};

/// A registry on a socket. The process ends with this.
struct OnSocket(Child);

impl OnSocket {
    fn start(folder: &Path, socket: &Path) -> Self {
        Self::run(&mut on_socket(folder, socket), folder)
    }

    fn run(command: &mut Command, folder: &Path) -> Self {
        let log = File::options().create(true).append(true).open(folder.join("log")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut said = String::new();
        while !said.contains("a Unix socket") {
            assert!(output.read_line(&mut said).unwrap() > 0, "{said}");
        }
        // Whatever it says further on goes nowhere.
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        Self(child)
    }

    fn end(mut self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
        eventually("the process ends", || self.0.try_wait().unwrap());
    }
}

impl Drop for OnSocket {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn on_socket(folder: &Path, socket: &Path) -> Command {
    let mut command = serve(&folder.join("data"));
    command.env("CARGOHOLD__HTTP__ADDR", socket).env("CARGOHOLD__HTTP__NET", "unix").stdin(Stdio::null());
    command
}

fn ask(socket: &Path) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    said
}

#[test]
fn a_socket_is_listened_on_taken_over_from_the_dead_and_removed_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("http.sock");
    let registry = OnSocket::start(folder.path(), &socket);
    assert!(ask(&socket).starts_with("HTTP/1.1 200"));
    let found = fs::metadata(&socket).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o777 & !umask(), "its mode is by the umask");

    let other = tempfile::tempdir().unwrap();
    let output = run(&mut on_socket(other.path(), &socket));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("http.addr: cannot listen on the socket") && said.contains("a server listens there"),
        "{said}"
    );
    assert!(ask(&socket).starts_with("HTTP/1.1 200"), "the first one is not disturbed");

    registry.end(Signal::KILL);
    assert!(socket.exists(), "nobody was there to remove it");
    let registry = OnSocket::start(folder.path(), &socket);
    assert!(ask(&socket).starts_with("HTTP/1.1 200"));
    registry.end(Signal::TERM);
    assert!(!socket.exists());
    assert!(fs::read_to_string(folder.path().join("log")).unwrap().contains("peer=unix"));
}

/// That of this process, which the registry has from it.
fn umask() -> u32 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:")).unwrap();
    u32::from_str_radix(line.trim(), 8).unwrap()
}

/// Waits until the log has something.
fn logged(folder: &Path, what: &str) {
    let log = folder.join("log");
    eventually(what, || fs::read_to_string(&log).unwrap().contains(what).then_some(()));
}

fn send(socket: &Path, request: &str, body: &[u8]) -> UnixStream {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(stream, "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 8388608\r\n\r\n")
        .unwrap();
    stream.write_all(body).unwrap();
    stream
}

#[test]
fn who_stops_reading_or_writing_on_a_socket_is_let_go() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("http.sock");
    let mut command = on_socket(folder.path(), &socket);
    let limits = [("CARGOHOLD__HTTP__LIMITS__STALL", "1s"), ("CARGOHOLD__HTTP__LIMITS__UNREAD", "1s")];
    let _registry = OnSocket::run(command.envs(limits), folder.path());
    let content = noise(73, 8 << 20);
    let digest = digest(&content);
    let mut answer = String::new();
    let push = format!("POST /v2/on/socket/blobs/uploads/?digest={digest}");
    send(&socket, &push, &content).read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");

    let mut reader = UnixStream::connect(&socket).unwrap();
    write!(reader, "GET /v2/on/socket/blobs/{digest} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    logged(folder.path(), "complete=false");
    let mut taken = Vec::new();
    reader.set_read_timeout(Some(DEADLINE)).unwrap();
    reader.read_to_end(&mut taken).unwrap();
    assert!(!taken.is_empty() && taken.len() < content.len(), "what the socket held, and no more");

    let mut answer = String::new();
    send(&socket, &push, b"some").read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[test]
fn a_file_that_is_no_socket_stays() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("precious");
    fs::write(&file, "content").unwrap();
    let output = run(&mut on_socket(folder.path(), &file));
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("a file is there that is no socket"));
    assert_eq!(fs::read(&file).unwrap(), b"content");
}

#[test]
fn what_another_put_in_the_sockets_place_stays() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("http.sock");
    let registry = OnSocket::start(folder.path(), &socket);
    fs::remove_file(&socket).unwrap();
    let _other = UnixListener::bind(&socket).unwrap();
    let before = fs::metadata(&socket).unwrap().ino();
    registry.end(Signal::TERM);
    assert_eq!(fs::metadata(&socket).unwrap().ino(), before);
}

fn with(settings: crate::registry::Settings) -> std::sync::Arc<Registry> {
    Registry::start_in(tempfile::tempdir().unwrap(), settings)
}

#[test]
fn running_out_of_files_is_survived() {
    let registry = Registry::start();
    let repository = registry.repository();
    let blob = repository.push_blob("before");
    let mut open = registry.connect();
    open.begin("GET", "/v2/", &[]);
    open.answer().expect(200);
    let limit = limit_files(&registry, files(&registry) + 3);
    let crowd: Vec<_> = (0..20).map(|_| TcpStream::connect(registry.addr()).unwrap()).collect();
    eventually("it is told", || registry.log().contains("connections cannot be accepted").then_some(()));
    open.begin("GET", "/v2/", &[]);
    open.answer().expect(200);
    drop(crowd);
    limit_to(&registry, limit);
    repository.pull(&blob).expect(200).brings("before");
    repository.push_blob("after");
    // The log is written by somebody else, a moment later.
    eventually("that is told too", || registry.log().contains("connections are accepted again").then_some(()));
}

#[test]
fn files_are_left_for_those_who_are_connected() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    // As if a service manager had set it: `sh` gives it on.
    command.args(["-c", "ulimit -n 128 && exec \"$0\" serve", env!("CARGO_BIN_EXE_cargohold")]);
    command.env("CARGOHOLD__HTTP__ADDR", "127.0.0.1:0");
    command.env("CARGOHOLD__STORAGE__FILESYSTEM__ROOTDIRECTORY", folder.path().join("data"));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut said = String::new();
    let addr = loop {
        assert!(output.read_line(&mut said).unwrap() > 0, "{said}");
        let addr = |word: &str| word.strip_prefix("http://").map(str::to_owned);
        if let Some(addr) = said.split_whitespace().find_map(addr) {
            break addr;
        }
    };
    let registry = OnSocket(child);
    let ping = |stream: &mut TcpStream| {
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut line = String::new();
        BufReader::new(&*stream).read_line(&mut line).unwrap();
        assert!(line.starts_with("HTTP/1.1 200"), "{line}");
    };
    // As many as there is room for are served, all others wait for one of them to go.
    let mut served: Vec<_> = (0..32).map(|_| TcpStream::connect(&addr).unwrap()).collect();
    served.iter_mut().for_each(&ping);
    let mut waiting = TcpStream::connect(&addr).unwrap();
    drop(served);
    ping(&mut waiting);
    registry.end(Signal::TERM);
}

/// How many files the registry has open.
fn files(registry: &Registry) -> u64 {
    fs::read_dir(registry.proc("fd")).unwrap().count() as u64
}

/// Allows it so many files from now on; answers what was allowed.
fn limit_files(registry: &Registry, most: u64) -> Rlimit {
    // Its maximum is the one of this process.
    let limit = Rlimit { current: Some(most), ..getrlimit(Resource::Nofile) };
    prlimit(pid(registry), Resource::Nofile, limit).unwrap()
}

fn limit_to(registry: &Registry, limit: Rlimit) {
    prlimit(pid(registry), Resource::Nofile, limit).unwrap();
}

fn pid(registry: &Registry) -> Option<Pid> {
    let folder = registry.proc("status");
    Pid::from_raw(folder.iter().nth(2).unwrap().to_str().unwrap().parse().unwrap())
}

#[test]
fn a_stop_can_be_announced_for_a_while_before_the_door_closes() {
    let registry = with(&[("CARGOHOLD__HTTP__DRAIN__DELAY", "1h")]);
    registry.signal(Signal::TERM);
    eventually("it has heard", || registry.log().contains("stopping").then_some(()));
    registry.get("/v2/").expect(200);
    registry.signal(Signal::TERM);
    assert_eq!(registry.wait().0.code(), Some(130));
}

#[test]
fn without_time_to_drain_what_runs_is_cut_off() {
    let registry = with(&[("CARGOHOLD__HTTP__DRAINTIMEOUT", "0s")]);
    let repository = registry.repository();
    let content = noise(72, 48 << 20);
    let blob = repository.push_blob(&content);
    let mut wire = registry.connect();
    wire.begin("GET", &repository.path(&format!("blobs/{blob}")), &[]);
    wire.answer_head().expect(200);
    registry.signal(Signal::TERM);
    assert_eq!(registry.wait().0.code(), Some(0));
    assert!(registry.log().contains("cutting off what took too long"));
}

#[test]
fn the_users_are_read_again_when_somebody_asks() {
    let folder = tempfile::tempdir().unwrap();
    let users = folder.path().join("users");
    fs::write(&users, format!("alice:{}\n", bcrypt::hash("s:cret", 4).unwrap())).unwrap();
    let registry = Registry::configured(&format!("auth:\n  htpasswd:\n    path: {}\n", users.display()));
    registry.signal(Signal::HUP);
    eventually("it is told", || {
        registry.log().contains("told to reload: read the log, the users, the endpoints again").then_some(())
    });
    fs::write(&users, "nonsense\n").unwrap();
    registry.signal(Signal::HUP);
    eventually("it is told", || registry.log().contains("kept as it was: the users").then_some(()));
}
