//! A program that runs beside the suite: started, watched, stopped or killed, with its output in a log file.
//!
//! It ends when its `Service` is dropped. If the thread that started it dies, the kernel sends it SIGTERM (`setpriv --pdeathsig`),
//! so the thread that starts a service must outlive it; every flow keeps to that by owning its services.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::command::{indented, search_path};
use super::tools;

/// How long a service may take to stop before it is killed.
const STOP_LIMIT: Duration = Duration::from_mins(1);

/// How often a state is looked at that nothing reports by itself.
const POLL: Duration = Duration::from_millis(1);

/// How to start a service.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub(crate) name: &'static str,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) variables: Vec<(String, String)>,
    /// The user to run as, where that is not the one who runs the suite.
    pub(crate) user: Option<&'static str>,
    /// Both outputs are appended to it.
    pub(crate) log: PathBuf,
}

/// A running program.
#[derive(Debug)]
pub(crate) struct Service {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Recipe {
    pub(crate) fn start(&self) -> Result<Service> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        // By its path: what has to be looked for is started by a fork, which copies the tables of all the memory that is held here.
        let mut command = Command::new(tools::locate_or_say("setpriv")?);
        command.args(["--pdeathsig", "TERM"]);
        if let Some(user) = self.user {
            command.args(["--reuid", user, "--regid", user, "--init-groups"]);
        }
        let child = command
            .arg(&self.program)
            .args(&self.arguments)
            .env("PATH", search_path())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("{} does not start ({})", self.name, self.program.display()))?;
        Ok(Service { name: self.name, child, log: self.log.clone() })
    }
}

impl Service {
    /// Waits until `ready` has a value, the program ends (an error that shows its log), or `limit` is over.
    pub(crate) fn wait_until<T>(&mut self, limit: Duration, mut ready: impl FnMut() -> Option<T>) -> Result<T> {
        let started = Instant::now();
        loop {
            if let Some(value) = ready() {
                return Ok(value);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended before it was ready ({status})\n{}", self.name, indented(&self.tail()));
            }
            if started.elapsed() > limit {
                bail!("{} was not ready within {limit:?}\n{}", self.name, indented(&self.tail()));
            }
            thread::sleep(POLL);
        }
    }

    /// Asks it to stop and waits for its end; past the limit it is killed, which shows in its exit status.
    pub(crate) fn stop(&mut self) -> Result<ExitStatus> {
        self.stop_within(STOP_LIMIT)
    }

    /// As [`stop`](Self::stop), with a limit of its own.
    pub(crate) fn stop_within(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.signal(Signal::TERM);
        self.end_within(limit)
    }

    /// Waits for its end; past the limit it is killed, which shows in its exit status.
    pub(crate) fn end_within(&mut self, limit: Duration) -> Result<ExitStatus> {
        let began = Instant::now();
        while began.elapsed() < limit {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            thread::sleep(POLL);
        }
        self.kill()
    }

    /// Ends it at once, at whatever instruction it is.
    pub(crate) fn kill(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::KILL);
        Ok(self.child.wait()?)
    }

    /// What the system calls its process.
    pub(crate) fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// The last lines of its log.
    pub(crate) fn tail(&self) -> String {
        tail(&self.log, 40)
    }

    fn signal(&mut self, signal: Signal) {
        // A child that was waited for has no process any more, and its number may be somebody else's.
        if let (Ok(None), Some(process)) =
            (self.child.try_wait(), i32::try_from(self.child.id()).ok().and_then(Pid::from_raw))
        {
            let _ = kill_process(process, signal);
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

/// The last `lines` lines of a file, however large it is; empty if it cannot be read.
pub(crate) fn tail(file: &Path, lines: usize) -> String {
    const WINDOW: u64 = 64 * 1024;
    let read = || -> std::io::Result<String> {
        use std::io::{Read, Seek, SeekFrom};
        let mut file = File::open(file)?;
        let size = file.metadata()?.len();
        file.seek(SeekFrom::Start(size.saturating_sub(WINDOW)))?;
        let mut end = Vec::new();
        file.read_to_end(&mut end)?;
        Ok(String::from_utf8_lossy(&end).into_owned())
    };
    let text = read().unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Recipe, tail};

    fn recipe(folder: &tempfile::TempDir, script: &str) -> Recipe {
        Recipe {
            name: "sh",
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            variables: vec![("WORD".into(), "hello".into())],
            user: None,
            log: folder.path().join("log"),
        }
    }

    #[test]
    fn a_service_stops_when_asked_and_tells_its_exit_status() {
        let folder = tempfile::tempdir().unwrap();
        let mut service =
            recipe(&folder, "trap 'exit 7' TERM; echo $WORD; while :; do sleep 0.01; done").start().unwrap();
        service
            .wait_until(Duration::from_mins(1), || (tail(&folder.path().join("log"), 1) == "hello").then_some(()))
            .unwrap();
        assert_eq!(service.stop().unwrap().code(), Some(7));
    }

    #[test]
    fn one_that_ends_early_is_an_error_that_shows_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let mut service = recipe(&folder, "echo no room >&2; exit 1").start().unwrap();
        let error = service.wait_until(Duration::from_mins(1), || None::<()>).unwrap_err().to_string();
        assert!(error.contains("ended before it was ready") && error.contains("    | no room"), "{error}");
    }

    #[test]
    fn the_tail_of_a_file_is_its_last_lines() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("log");
        std::fs::write(&file, "a\nb\nc\n").unwrap();
        assert_eq!(tail(&file, 2), "b\nc");
        assert_eq!(tail(&file, 9), "a\nb\nc");
        assert_eq!(tail(&folder.path().join("none"), 2), "");
    }
}
