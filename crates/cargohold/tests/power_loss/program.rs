//! The real program, started on what a power loss left.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

/// A running program. It ends with this value, by SIGKILL.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    pub(crate) addr: SocketAddr,
}

impl Program {
    /// Starts it on a data folder; what it logged if it does not start.
    pub(crate) fn start(data: &Path, log: &Path) -> Result<Self, String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cargohold"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CARGOHOLD_") {
                command.env_remove(name);
            }
        }
        command.arg("serve").env("RUST_LOG", "warn").env("CARGOHOLD__HTTP__ADDR", "127.0.0.1:0");
        command.env("CARGOHOLD__STORAGE__FILESYSTEM__ROOTDIRECTORY", data);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(log).unwrap());
        let mut child = command.spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        for line in said.lines() {
            if let Some(addr) = line.unwrap().split_whitespace().find_map(|word| word.strip_prefix("http://")) {
                return Ok(Self { child, addr: addr.parse().unwrap() });
            }
        }
        let _ = child.wait();
        Err(format!("the program does not start: {}", fs::read_to_string(log).unwrap()))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
