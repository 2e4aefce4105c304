//! Running a program to its end: its arguments, environment and time limit, and what it said.
//!
//! A command dies with xtask (`setpriv --pdeathsig`) and with its time limit (`timeout`): both are in every Debian, and with them
//! no interrupted or hanging run leaves processes behind.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a command may take before it counts as hanging.
const LIMIT_SECONDS: u32 = 600;

/// Where Debian keeps what a user's `PATH` may lack: engines and runtimes.
const SYSTEM_FOLDERS: &str = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin:/usr/local/go/bin";

/// A program with the arguments and variables that every use of it has in common.
#[derive(Clone, Debug)]
pub(crate) struct Tool {
    program: PathBuf,
    arguments: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
    limit_seconds: u32,
}

/// What a command that succeeded has written.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A command that did not succeed, told as one wants to read it in a log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error("`{command}` does not start: {source}")]
    Start { command: String, source: std::io::Error },
    #[error("`{command}` {verdict}\n{output}")]
    Failed { command: String, verdict: String, output: String },
}

impl Tool {
    pub(crate) fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            variables: vec![("PATH".into(), search_path())],
            limit_seconds: LIMIT_SECONDS,
        }
    }

    pub(crate) fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    pub(crate) fn limit_seconds(mut self, seconds: u32) -> Self {
        self.limit_seconds = seconds;
        self
    }

    /// Runs it with further arguments and waits for its end; another exit status than 0 is an error.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Result<Output, CommandError> {
        let told = self.told(arguments);
        let output = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "timeout", "--kill-after=10"])
            .arg(self.limit_seconds.to_string())
            .arg(&self.program)
            .args(&self.arguments)
            .args(arguments)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .output()
            .map_err(|source| CommandError::Start { command: told.clone(), source })?;
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() {
            return Ok(Output { stdout, stderr });
        }
        let verdict = match output.status.code() {
            Some(124) => format!("did not end within {} s", self.limit_seconds),
            Some(code) => format!("ended with exit status {code}"),
            None => "was killed".to_owned(),
        };
        Err(CommandError::Failed { command: told, verdict, output: indented(&format!("{stdout}{stderr}")) })
    }

    /// Runs it and hands back what it wrote to its standard output, without the newline at its end.
    pub(crate) fn read<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Result<String, CommandError> {
        Ok(self.run(arguments)?.stdout.trim_end().to_owned())
    }

    fn told<A: AsRef<OsStr>>(&self, arguments: &[A]) -> String {
        let all = self.arguments.iter().map(OsString::as_os_str).chain(arguments.iter().map(AsRef::as_ref));
        let name = self.program.file_name().unwrap_or(self.program.as_os_str());
        std::iter::once(name).chain(all).map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
    }
}

/// The caller's `PATH` and the system's folders behind it.
pub(crate) fn search_path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":");
    path.push(SYSTEM_FOLDERS);
    path
}

/// Where a program lies, if it is installed.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&search_path()).map(|folder| folder.join(program)).find(|file| is_executable(file))
}

/// Each line set in by four spaces and a bar, so that quoted output stands out from our own lines.
pub(crate) fn indented(text: &str) -> String {
    text.trim_end().lines().map(|line| format!("    | {line}")).collect::<Vec<_>>().join("\n")
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::{CommandError, Tool, find, indented};

    #[test]
    fn output_comes_back_without_its_last_newline() {
        assert_eq!(Tool::new("echo").argument("hello").read(&["world"]).unwrap(), "hello world");
    }

    #[test]
    fn a_failure_tells_the_command_its_status_and_its_output() {
        let error = Tool::new("sh").argument("-c").run(&["echo out; echo err >&2; exit 3"]).unwrap_err().to_string();
        assert_eq!(error, "`sh -c echo out; echo err >&2; exit 3` ended with exit status 3\n    | out\n    | err");
    }

    #[test]
    fn a_hanging_command_is_ended() {
        let error = Tool::new("sleep").limit_seconds(1).run(&["60"]).unwrap_err();
        assert!(matches!(error, CommandError::Failed { verdict, .. } if verdict == "did not end within 1 s"));
    }

    #[test]
    fn variables_reach_the_command() {
        assert_eq!(Tool::new("sh").variable("GREETING", "hi").read(&["-c", "echo $GREETING"]).unwrap(), "hi");
    }

    #[test]
    fn programs_are_found_in_the_system_folders_too() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program-anywhere").is_none());
    }

    #[test]
    fn quoted_lines_are_set_in() {
        assert_eq!(indented("a\nb\n"), "    | a\n    | b");
    }
}
