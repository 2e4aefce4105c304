//! What a process and its children have used, as `/proc` tells it (proc(5)).

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

/// Ticks of `/proc/<pid>/stat` in a second: 100 on every Linux that runs here (`getconf CLK_TCK`).
const TICKS: u64 = 100;

/// A server's processes, by the number of the one that was started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Processes(pub(crate) u32);

impl Processes {
    /// The CPU time of all of them.
    pub(crate) fn cpu(self) -> Result<Duration> {
        let mut ticks = 0;
        for process in self.all() {
            let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
            // The name may have spaces; behind its bracket is the state, field 3.
            let (_, fields) = stat.rsplit_once(") ").context("/proc has another form")?;
            let field = |number: usize| fields.split(' ').nth(number - 3).and_then(|field| field.parse::<u64>().ok());
            ticks += field(14).zip(field(15)).map(|(user, system)| user + system).context("no times")?;
        }
        Ok(Duration::from_millis(ticks * 1000 / TICKS))
    }

    /// The most memory that they had at a time, in bytes: of each its own.
    pub(crate) fn most_memory(self) -> u64 {
        self.number("VmHWM:") * 1024
    }

    /// The memory that they have, in bytes.
    pub(crate) fn memory(self) -> u64 {
        self.number("VmRSS:") * 1024
    }

    /// How many sockets they have open.
    pub(crate) fn sockets(self) -> usize {
        let of = |process: u32| {
            let open = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
            let is_socket = |link: PathBuf| link.to_string_lossy().starts_with("socket:");
            open.filter(|entry| fs::read_link(entry.path()).is_ok_and(is_socket)).count()
        };
        self.all().into_iter().map(of).sum()
    }

    /// How many there are.
    pub(crate) fn count(self) -> usize {
        self.all().len()
    }

    /// How many threads they have.
    pub(crate) fn threads(self) -> u64 {
        self.number("Threads:")
    }

    /// Holds them, and this process, on one core, or lets them run on all.
    pub(crate) fn pin(self, one_core: bool) -> Result<()> {
        let list = if one_core { "0".to_owned() } else { format!("0-{}", cores() - 1) };
        for process in self.all().into_iter().chain([std::process::id()]) {
            let done = Command::new("taskset").args(["-acp", &list, &process.to_string()]).output()?;
            ensure!(done.status.success(), "taskset: {}", String::from_utf8_lossy(&done.stderr));
        }
        Ok(())
    }

    /// A number of their status, of all together.
    fn number(self, field: &str) -> u64 {
        let of = |process: u32| {
            let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
            let line = status.lines().find_map(|line| line.strip_prefix(field))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        self.all().into_iter().filter_map(of).sum()
    }

    /// It and its children: nginx works in one.
    fn all(self) -> Vec<u32> {
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.0)).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|process| process.parse().ok());
        std::iter::once(self.0).chain(children).collect()
    }
}

/// How many cores there are, whatever this process is held on.
pub(crate) fn cores() -> usize {
    let told = fs::read_to_string("/proc/cpuinfo").map_or(1, |text| text.matches("processor\t").count());
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get).max(told)
}
