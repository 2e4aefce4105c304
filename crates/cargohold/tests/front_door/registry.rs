//! A registry as its operator runs it: the real program, with a data folder and a port of its own.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

pub(crate) use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
use tempfile::TempDir;

use crate::{
    client::{Request, Response},
    repository::Repository,
    waiting::eventually,
    wire::Wire,
};

/// A running program. The process ends with the last handle to it, and the data with it.
#[derive(Debug)]
pub(crate) struct Registry {
    process: Mutex<Process>,
    settings: Settings,
    // Behind the process, which writes to it as long as it lives.
    folder: TempDir,
}

/// Environment variables, beside those that every registry here has.
pub(crate) type Settings = &'static [(&'static str, &'static str)];

#[derive(Debug)]
struct Process {
    child: Child,
    addr: SocketAddr,
    /// What was read of the standard output so far.
    said: String,
    output: BufReader<ChildStdout>,
}

impl Registry {
    /// One that nobody else uses.
    pub(crate) fn start() -> Arc<Self> {
        Self::start_in(tempfile::tempdir().unwrap(), &[])
    }

    /// One on data that may be there already, with these settings.
    pub(crate) fn start_in(folder: TempDir, settings: Settings) -> Arc<Self> {
        let process = Mutex::new(Process::start(folder.path(), settings));
        Arc::new(Self { process, settings, folder })
    }

    /// One that nobody else uses, started with this as its configuration file.
    pub(crate) fn configured(text: &str) -> Arc<Self> {
        let folder = tempfile::tempdir().unwrap();
        Self::configure(&folder, text);
        Self::start_in(folder, &[])
    }

    /// Has whatever starts in a folder read this as its configuration file.
    pub(crate) fn configure(folder: &TempDir, text: &str) {
        fs::write(configuration(folder.path()), text).unwrap();
    }

    /// Has it read this as its configuration file when it is started again.
    pub(crate) fn reconfigure(&self, text: &str) {
        Self::configure(&self.folder, text);
    }

    /// One that tests share. It lives as long as any of them uses it.
    pub(crate) fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Registry>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let registry = Self::start();
            *shared = Arc::downgrade(&registry);
            registry
        })
    }

    /// A repository that no other test uses.
    pub(crate) fn repository(self: &Arc<Self>) -> Repository {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        self.named(&format!("facts/r{}", NEXT.fetch_add(1, Ordering::Relaxed)))
    }

    pub(crate) fn named(self: &Arc<Self>, name: &str) -> Repository {
        Repository::new(self.clone(), name)
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.process().addr
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> Request {
        Request::new(method, format!("http://{}{path}", self.addr()))
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Response {
        self.request("GET", path).send()
    }

    #[track_caller]
    pub(crate) fn head(&self, path: &str) -> Response {
        self.request("HEAD", path).send()
    }

    pub(crate) fn connect(self: &Arc<Self>) -> Wire {
        Wire::connect(self.clone())
    }

    /// The data folder.
    pub(crate) fn root(&self) -> PathBuf {
        data(self.folder.path())
    }

    /// Files below a folder of the data folder, none if it is not there.
    pub(crate) fn files(&self, below: &str) -> Vec<PathBuf> {
        files(&self.root().join(below))
    }

    /// What the program has logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(log(self.folder.path())).unwrap()
    }

    /// The most memory that the process ever had at a time, in bytes.
    pub(crate) fn most_memory(&self) -> u64 {
        let status = fs::read_to_string(self.proc("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// What the system tells of the process.
    pub(crate) fn proc(&self, of: &str) -> PathBuf {
        Path::new("/proc").join(self.process().child.id().to_string()).join(of)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.process().child);
        kill_process(pid, signal).unwrap();
    }

    /// Waits for the end of the process; answers how it ended and all that it wrote to its standard output.
    pub(crate) fn wait(&self) -> (ExitStatus, String) {
        let mut process = self.process();
        let status = wait(&mut process.child);
        let mut said = process.said.clone();
        process.output.read_to_string(&mut said).unwrap();
        (status, said)
    }

    /// Waits until nothing new is accepted.
    pub(crate) fn wait_until_closed(&self) {
        let addr = self.addr();
        eventually("connections are refused", || TcpStream::connect(addr).is_err().then_some(()));
    }

    /// Ends the process and starts another one on the same data.
    pub(crate) fn restart(&self, signal: Signal) {
        self.signal(signal);
        self.wait();
        self.start_again();
    }

    /// Starts another process on the same data, after one that has ended.
    pub(crate) fn start_again(&self) {
        *self.process() = Process::start(self.folder.path(), self.settings);
    }

    /// Runs another command of the program on the same data and with the same settings; answers what it says, which must not
    /// be about a mistake.
    #[track_caller]
    pub(crate) fn command(&self, arguments: &[&str]) -> String {
        let output = self.try_command(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// As [`command`](Self::command), for one that fails; answers what it says about that.
    #[track_caller]
    pub(crate) fn failing_command(&self, arguments: &[&str]) -> String {
        let output = self.try_command(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Runs another command of the program on the same data and with the same settings.
    pub(crate) fn try_command(&self, arguments: &[&str]) -> Output {
        run(on(&self.root()).args(arguments).envs(self.settings.iter().copied()))
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        if thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            eprintln!("the end of the registry's log:\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
        }
    }
}

impl Process {
    fn start(folder: &Path, settings: Settings) -> Self {
        let log_file = File::options().create(true).append(true).open(log(folder)).unwrap();
        let mut command = serve(&data(folder));
        command.args(Some(configuration(folder)).filter(|file| file.exists()));
        command.envs(settings.iter().copied());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log_file).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut said = String::new();
        while output.read_line(&mut said).unwrap() > 0 {
            let addr =
                |word: &'_ str| word.strip_prefix("http://").or(word.strip_prefix("https://")).map(str::to_owned);
            if let Some(addr) = said.split_whitespace().find_map(addr) {
                let addr = addr.parse().unwrap();
                return Self { child, addr, said, output };
            }
        }
        wait(&mut child);
        panic!("the registry did not start:\n{said}{}", fs::read_to_string(log(folder)).unwrap());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `cargohold serve` on that folder and a free port, with nothing else set.
pub(crate) fn serve(root: &Path) -> Command {
    let mut command = on(root);
    command.arg("serve").env("CARGOHOLD__HTTP__ADDR", "127.0.0.1:0");
    command
}

/// `cargohold` on that folder, with nothing else set.
pub(crate) fn on(root: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargohold"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGOHOLD_") {
            command.env_remove(name);
        }
    }
    command.env("RUST_LOG", "info").env("CARGOHOLD__STORAGE__FILESYSTEM__ROOTDIRECTORY", root);
    command
}

/// Runs a command that ends by itself.
pub(crate) fn run(command: &mut Command) -> Output {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait(&mut child);
    child.wait_with_output().unwrap()
}

/// Waits for the end of a process, and ends it if it does not come.
fn wait(child: &mut Child) -> ExitStatus {
    struct Killed<'c>(&'c mut Child);
    impl Drop for Killed<'_> {
        fn drop(&mut self) {
            let _ = self.0.kill();
        }
    }
    let child = Killed(child);
    eventually("the process ends", || child.0.try_wait().unwrap())
}

pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

fn configuration(folder: &Path) -> PathBuf {
    folder.join("configuration.yml")
}

fn log(folder: &Path) -> PathBuf {
    folder.join("log")
}
