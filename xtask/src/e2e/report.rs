//! The suite's verdict: one line per flow, the story of each failure, and the counts at the end.
//!
//! Flows report from several threads; each report is printed whole. A flow that hangs ends the run, and is named.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::command::indented;
use super::service::tail;

/// Collects what the flows report. Cheap to clone; all clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    counts: Arc<Counts>,
    server_log: Option<PathBuf>,
}

#[derive(Debug, Default)]
struct Counts {
    passed: AtomicUsize,
    failed: AtomicUsize,
    /// When each flow began that has not ended.
    running: Mutex<BTreeMap<String, Instant>>,
}

impl Report {
    /// The same report, for flows whose failures should show the end of this server's log.
    pub(crate) fn with_server_log(&self, log: PathBuf) -> Self {
        Self { counts: Arc::clone(&self.counts), server_log: Some(log) }
    }

    /// Runs one flow and reports it: `what` says in a few words what it has shown if it passes.
    pub(crate) fn flow(&self, client: &str, what: &str, run: impl FnOnce() -> anyhow::Result<()>) {
        let started = Instant::now();
        let name = format!("{client}: {what}");
        self.running(|flows| flows.insert(name.clone(), started));
        let outcome = run();
        self.running(|flows| flows.remove(&name));
        let seconds = started.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => {
                self.counts.passed.fetch_add(1, Ordering::Relaxed);
                println!("ok {client}: {what} ({seconds:.1} s)");
            }
            Err(error) => {
                self.counts.failed.fetch_add(1, Ordering::Relaxed);
                println!("{}", self.story(&format!("FAILED {client}: {what} ({seconds:.1} s)"), &error));
            }
        }
    }

    /// Ends the run once a flow takes longer than `limit`: what it waits for will not come, and nobody else would say which it was.
    pub(crate) fn end_what_hangs(&self, limit: Duration) {
        let counts = Arc::downgrade(&self.counts);
        thread::spawn(move || {
            while let Some(counts) = counts.upgrade() {
                let running = counts.running.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if running.values().any(|started| started.elapsed() > limit) {
                    for (flow, started) in running {
                        println!("FAILED {flow} (still running after {:.0} s)", started.elapsed().as_secs_f64());
                    }
                    std::process::exit(1);
                }
                drop(counts);
                thread::sleep(Duration::from_secs(1));
            }
        });
    }

    fn running<T>(&self, what: impl FnOnce(&mut BTreeMap<String, Instant>) -> T) -> T {
        what(&mut self.counts.running.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The closing line, and whether nothing failed (and something passed).
    pub(crate) fn close(&self) -> bool {
        let (passed, failed) = (self.counts.passed.load(Ordering::Relaxed), self.counts.failed.load(Ordering::Relaxed));
        println!("{passed} passed, {failed} failed");
        failed == 0 && passed > 0
    }

    fn story(&self, headline: &str, error: &anyhow::Error) -> String {
        let mut story = headline.to_owned();
        for cause in error.chain() {
            let _ = write!(story, "\n  {cause}");
        }
        if let Some(log) = &self.server_log {
            let _ = write!(story, "\n  the server's log ends so ({}):\n{}", log.display(), indented(&tail(log, 25)));
        }
        story
    }
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, bail};

    use super::Report;

    #[test]
    fn a_report_is_good_when_something_passed_and_nothing_failed() {
        let report = Report::default();
        assert!(!report.close());
        report.flow("client", "a flow", || Ok(()));
        assert!(report.close());
        report.clone().flow("client", "another", || bail!("no"));
        assert!(!report.close());
    }

    #[test]
    fn a_flow_is_running_until_it_has_ended() {
        let report = Report::default();
        report.flow("client", "a flow", || {
            assert!(report.running(|flows| flows.contains_key("client: a flow")));
            Ok(())
        });
        assert!(report.running(|flows| flows.is_empty()));
    }

    #[test]
    fn a_failure_is_told_with_its_causes_and_the_servers_log() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        std::fs::write(&log, "started\nwent wrong\n").unwrap();
        let error = Err::<(), _>(std::io::Error::other("disk on fire")).context("cannot push").unwrap_err();
        let story = Report::default().with_server_log(log.clone()).story("FAILED x", &error);
        assert_eq!(
            story,
            format!(
                "FAILED x\n  cannot push\n  disk on fire\n  the server's log ends so ({}):\n    | started\n    | went wrong",
                log.display()
            )
        );
    }
}
