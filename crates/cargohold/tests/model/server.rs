//! The real program on a folder and a port of its own, which is stopped and killed and goes on with what it had.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Environment variables beside those that every server here has.
pub(crate) type Settings = &'static [(&'static str, &'static str)];

/// A running program. It ends with this value, and its data with it.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    addr: SocketAddr,
    settings: Settings,
    folder: TempDir,
}

impl Server {
    pub(crate) fn start(settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (child, addr) = start(folder.path(), settings);
        Self { child, addr, settings, folder }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Ends the process by that signal and starts another one on the same data.
    pub(crate) fn restart(&mut self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        self.child.wait().unwrap();
        (self.child, self.addr) = start(self.folder.path(), self.settings);
    }

    /// The end of what it logged.
    pub(crate) fn log(&self) -> String {
        let log = fs::read_to_string(log(self.folder.path())).unwrap();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(folder: &Path, settings: Settings) -> (Child, SocketAddr) {
    let log_file = File::options().create(true).append(true).open(log(folder)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargohold"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGOHOLD_") {
            command.env_remove(name);
        }
    }
    command.arg("serve").env("RUST_LOG", "warn").env("CARGOHOLD__HTTP__ADDR", "127.0.0.1:0");
    command.env("CARGOHOLD__STORAGE__FILESYSTEM__ROOTDIRECTORY", folder.join("data"));
    command.envs(settings.iter().copied());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log_file).spawn().unwrap();
    let said = BufReader::new(child.stdout.take().unwrap());
    for line in said.lines() {
        let line = line.unwrap();
        if let Some(addr) = line.split_whitespace().find_map(|word| word.strip_prefix("http://")) {
            return (child, addr.parse().unwrap());
        }
    }
    let _ = child.wait();
    panic!("the program did not start: {}", fs::read_to_string(log(folder)).unwrap());
}

fn log(folder: &Path) -> PathBuf {
    folder.join("log")
}
