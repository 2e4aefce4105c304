//! One target for a while: its program started from the corpus, and what it says at its end.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};

use super::build::Built;
use super::finding::Finding;
use super::target::Target;
use crate::e2e::command::indented;
use crate::e2e::scratch::Scratch;

/// How long one input may take: a parser that needs more is one that can be stalled.
const INPUT_SECONDS: u32 = 10;
/// What starting, the corpus and the last input may take beside the time that was asked for.
const SLACK_SECONDS: u32 = 120;
const MOST_MEMORY_MIB: u32 = 1024;

/// A target and how long it is to run.
#[derive(Debug)]
pub(crate) struct Session<'s> {
    pub(crate) target: &'s Target,
    pub(crate) built: &'s Built,
    pub(crate) scratch: &'s Scratch,
    pub(crate) seconds: u32,
}

impl Session<'_> {
    /// Runs it: a line about it, or the story of what it found.
    pub(crate) fn run(&self) -> Result<String> {
        let name = self.target.name();
        let findings = self.built.findings();
        fs::create_dir_all(&findings).with_context(|| format!("cannot make {}", findings.display()))?;
        // libFuzzer writes into the first folder only, so the repository's is not.
        let new = self.scratch.folder(&format!("{name}.new"))?;
        let log = self.scratch.path(&format!("{name}.log"));
        let to_log = File::create(&log).with_context(|| format!("cannot make {}", log.display()))?;
        let mut command = bounded(self.seconds + SLACK_SECONDS, &self.built.program(self.target));
        command
            .arg(format!("-max_total_time={}", self.seconds))
            .arg(format!("-artifact_prefix={}/{name}-", findings.display()))
            .args(self.target.dictionary().map(|file| format!("-dict={}", file.display())))
            .args([&new, self.target.corpus()])
            .stdout(Stdio::null())
            .stderr(to_log);
        let status = command.status().with_context(|| format!("{name} does not start"))?;
        let said = fs::read(&log).with_context(|| format!("cannot read {}", log.display()))?;
        judge(self.target, status.success(), &String::from_utf8_lossy(&said))
    }
}

/// Runs one input with everything it prints going to the terminal.
pub(crate) fn repeat(program: &Path, input: &Path) -> Result<ExitCode> {
    let input = fs::canonicalize(input).with_context(|| format!("cannot read {}", input.display()))?;
    let status = bounded(SLACK_SECONDS, program).arg(input).status().context("the target does not start")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A command that ends with xtask, and after that many seconds.
fn bounded(seconds: u32, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "timeout", "--kill-after=10"]).arg(seconds.to_string()).arg(program);
    command.arg(format!("-timeout={INPUT_SECONDS}")).arg(format!("-rss_limit_mb={MOST_MEMORY_MIB}"));
    command.stdin(Stdio::null());
    command
}

/// What a run's end means. One that saw nothing of the code has shown nothing, however well it ended.
fn judge(target: &Target, succeeded: bool, log: &str) -> Result<String> {
    if let Some(finding) = Finding::of(log) {
        bail!("{}", finding.story(target));
    }
    let last = log.lines().rev().find(|line| line.starts_with('#') && line.contains("DONE"));
    let number_after = |word: &str| {
        let mut words = last?.split_whitespace().skip_while(|found| *found != word);
        words.nth(1)?.parse::<u64>().ok().filter(|number| *number > 0)
    };
    let runs = last.and_then(|line| line[1..].split_whitespace().next()).unwrap_or_default();
    match (succeeded, number_after("cov:")) {
        (true, Some(coverage)) => Ok(format!("{runs} inputs, {coverage} places in the code")),
        (true, None) => bail!("the program has no counters in its code, so it was not fuzzed\n{}", end_of(log)),
        (false, _) => bail!("the program failed, and names no input\n{}", end_of(log)),
    }
}

fn end_of(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    indented(&lines[lines.len().saturating_sub(20)..].join("\n"))
}

#[cfg(test)]
mod tests {
    use super::{Target, judge};

    const DONE: &str = "#32\tINITED cov: 12 ft: 13 corp: 1/1b exec/s: 0 rss: 27Mb\n\
        #4711\tDONE   cov: 407 ft: 1877 corp: 332/22Kb lim: 252 exec/s: 8393 rss: 28Mb\nDone 4711 runs in 21 second(s)\n";

    fn judged(succeeded: bool, log: &str) -> Result<String, String> {
        judge(&Target::of_name("path"), succeeded, log).map_err(|error| error.to_string())
    }

    #[test]
    fn a_run_to_the_end_held() {
        assert_eq!(judged(true, DONE).unwrap(), "4711 inputs, 407 places in the code");
    }

    #[test]
    fn a_program_without_counters_has_shown_nothing() {
        assert!(judged(true, &DONE.replace("cov: ", "ft: ")).unwrap_err().contains("was not fuzzed"));
        assert!(judged(true, &DONE.replace("cov: 407", "cov: 0")).unwrap_err().contains("was not fuzzed"));
        assert!(judged(true, "").unwrap_err().contains("was not fuzzed"));
    }

    #[test]
    fn a_failure_that_names_no_input_is_one() {
        let error = judged(false, "ParseDictionaryFile: error in line 3\n").unwrap_err();
        assert_eq!(error, "the program failed, and names no input\n    | ParseDictionaryFile: error in line 3");
    }

    #[test]
    fn a_finding_fails_whatever_the_exit_status_says() {
        let log = "thread '<unnamed>' panicked at src/path.rs:1:1:\nno\nTest unit written to /nowhere/path-crash-1\n";
        for succeeded in [true, false] {
            assert!(judged(succeeded, log).unwrap_err().contains("panicked at src/path.rs:1:1:"));
        }
    }
}
