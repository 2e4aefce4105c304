//! An input that breaks something, told so that whoever reads it in a log can repeat it.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use super::target::Target;
use crate::e2e::command::indented;

/// Inputs that are longer are not printed.
const MOST_PRINTED: usize = 16 * 1024;
/// Lines of what the program said, and characters of a line.
const MOST_LINES: usize = 20;
const MOST_COLUMNS: usize = 500;

/// What a program said of an input, and where it put that.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    what: String,
    file: PathBuf,
}

impl Finding {
    /// Reads the log of a program; none if it has found nothing.
    pub(crate) fn of(log: &str) -> Option<Self> {
        let file = log.lines().find_map(|line| line.split_once("Test unit written to "))?.1;
        let is_beginning = |line: &str| line.contains("panicked at ") || line.contains("ERROR: libFuzzer");
        let story = log.lines().skip_while(|line| !is_beginning(line));
        let story = story.take_while(|line| !line.starts_with("SUMMARY: ") && !line.starts_with("stack backtrace:"));
        let lines = story.filter(|line| !line.is_empty()).take(MOST_LINES);
        let lines: Vec<&str> = lines.map(|line| &line[..line.floor_char_boundary(MOST_COLUMNS)]).collect();
        Some(Self { what: lines.join("\n"), file: PathBuf::from(file.trim()) })
    }

    /// What happened, the input, and how to run it again.
    pub(crate) fn story(&self, target: &Target) -> String {
        let mut story = format!("an input breaks it\n{}", indented(&self.what));
        let file = self.file.display();
        match fs::read(&self.file) {
            Ok(input) if input.len() <= MOST_PRINTED => {
                let _ = write!(story, "\n  the input, {} bytes:\n    {} > input", input.len(), printf(&input));
                let _ = write!(story, "\n  repeat it:\n    cargo xtask fuzz {target} --input input");
                let _ = write!(story, "\n  it also lies in {file}");
            }
            Ok(input) => {
                let _ = write!(story, "\n  the input, {} bytes, lies in {file}; repeat it:", input.len());
                let _ = write!(story, "\n    cargo xtask fuzz {target} --input {file}");
            }
            Err(error) => {
                let _ = write!(story, "\n  the input was to lie in {file}, and cannot be read: {error}");
            }
        }
        let _ = write!(
            story,
            "\n  once it is mended, add the input to fuzz/corpus/{target} under a name that says what it is"
        );
        story
    }
}

/// The command of a shell that writes these bytes.
fn printf(input: &[u8]) -> String {
    let mut command = "printf '".to_owned();
    for byte in input {
        match byte {
            b'%' => command.push_str("%%"),
            b' '..=b'~' if !b"'\\".contains(byte) => command.push(char::from(*byte)),
            byte => {
                let _ = write!(command, "\\{byte:03o}");
            }
        }
    }
    command + "'"
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::process::Command;

    use super::{Finding, Target, printf};

    /// As libFuzzer ends when a property does not hold.
    fn log(file: &Path) -> String {
        format!(
            "INFO: Seed: 1\n#36\tINITED cov: 951 ft: 2116 corp: 35/1552b exec/s: 0 rss: 27Mb\n\
             #99\tNEW    cov: 952 ft: 2117 corp: 36/1553b lim: 457 exec/s: 0 rss: 27Mb L: 1/3 MS: 1 ChangeBit-\n\n\
             thread '<unnamed>' (7) panicked at src/path.rs:27:5:\nassertion `left == right` failed\n  left: 1\n right: 2\n\
             stack backtrace:\n   0: core::panicking::panic\n==7== ERROR: libFuzzer: deadly signal\n    #0 0x1 in main\n\
             SUMMARY: libFuzzer: deadly signal\nMS: 1 ChangeBit-; base unit: 00\n\
             artifact_prefix='/x/'; Test unit written to {}\nBase64: YSdcJQA=\n",
            file.display()
        )
    }

    #[test]
    fn a_finding_tells_what_happened_the_input_and_how_to_repeat_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("path-crash-0a");
        fs::write(&file, b"a'\\%\0").unwrap();
        let story = Finding::of(&log(&file)).unwrap().story(&Target::of_name("path"));
        let expected = format!(
            r"an input breaks it
    | thread '<unnamed>' (7) panicked at src/path.rs:27:5:
    | assertion `left == right` failed
    |   left: 1
    |  right: 2
  the input, 5 bytes:
    printf 'a\047\134%%\000' > input
  repeat it:
    cargo xtask fuzz path --input input
  it also lies in {}
  once it is mended, add the input to fuzz/corpus/path under a name that says what it is",
            file.display()
        );
        assert_eq!(story, expected);
    }

    #[test]
    fn what_takes_too_long_is_a_finding_too() {
        let log = "ALARM: working on the last Unit for 11 seconds\n==7== ERROR: libFuzzer: timeout after 11 seconds\n\
                   SUMMARY: libFuzzer: timeout\nTest unit written to /nowhere/path-timeout-1\n";
        let finding = Finding::of(log).unwrap();
        assert_eq!(finding.what, "==7== ERROR: libFuzzer: timeout after 11 seconds");
        assert!(finding.story(&Target::of_name("path")).contains("/nowhere/path-timeout-1, and cannot be read"));
    }

    #[test]
    fn a_run_without_one_has_none() {
        assert_eq!(Finding::of("#36\tDONE cov: 951\nDone 36 runs in 1 second(s)\n"), None);
    }

    #[test]
    fn the_command_writes_every_byte() {
        let input: Vec<u8> = (0..=255).chain(*b"%s %d 100%").chain(*b"1\x002").collect();
        let output = Command::new("sh").arg("-c").arg(printf(&input)).output().unwrap();
        assert_eq!(output.stdout, input);
    }
}
