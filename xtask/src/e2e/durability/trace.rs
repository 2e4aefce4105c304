//! What strace writes (`strace -f -y`), read as far as the order of durability needs it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// What a process did, call by call.
#[derive(Debug)]
pub(super) struct Trace {
    calls: Vec<Call>,
    /// The first folder that was made: all that must outlive a power loss lies in it.
    root: PathBuf,
}

/// A call that succeeded.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// The lines at which it began and ended.
    began: usize,
    ended: usize,
    pub(super) deed: Deed,
    /// As strace wrote it.
    pub(super) line: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// A file was written.
    Write(PathBuf),
    /// A file or folder is on the disk.
    Sync(PathBuf),
    /// A folder was made.
    Make(PathBuf),
    /// A file has another name.
    Move { from: PathBuf, to: PathBuf },
    /// A push was answered with success.
    Answer,
}

impl Trace {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut calls: Vec<Call> = Vec::new();
        let mut unfinished: HashMap<&str, (usize, &str)> = HashMap::new();
        for (number, line) in text.lines().enumerate() {
            let Some((process, call)) = line.split_once(' ') else { continue };
            let call = call.trim_start();
            if let Some(begun) = call.strip_suffix(" <unfinished ...>") {
                unfinished.insert(process, (number, begun));
                continue;
            }
            let (began, line) = match call.split_once(" resumed>") {
                Some((_, rest)) => match unfinished.remove(process) {
                    Some((began, begun)) => (began, format!("{begun}{rest}")),
                    None => continue,
                },
                None => (number, call.to_owned()),
            };
            if let Some(deed) = deed(&line) {
                calls.push(Call { began, ended: number, deed, line });
            }
        }
        let first = calls.iter().find_map(|call| match &call.deed {
            Deed::Make(folder) => Some(folder.clone()),
            _ => None,
        });
        let root = first.context("no folder was made")?;
        Ok(Self { calls, root })
    }

    /// The answers to pushes that were carried out, in order.
    pub(super) fn answers(&self) -> Vec<Call> {
        self.calls.iter().filter(|call| call.deed == Deed::Answer).cloned().collect()
    }

    /// Blobs on their way to their places.
    pub(super) fn moves(&self) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(|call| matches!(&call.deed, Deed::Move { to, .. } if to.ends_with("data")))
    }

    pub(super) fn before(&self, call: &Call) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(|earlier| earlier.ends_before(call))
    }

    pub(super) fn writes(&self, file: &Path) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(move |call| matches!(&call.deed, Deed::Write(path) if path == file))
    }

    pub(super) fn syncs(&self, path: &Path) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(move |call| matches!(&call.deed, Deed::Sync(synced) if synced == path))
    }

    /// Whether the server made that folder.
    pub(super) fn made(&self, folder: &Path) -> bool {
        self.calls.iter().any(|call| matches!(&call.deed, Deed::Make(made) if made == folder))
    }

    /// The write to the database's log that the answer tells of: the last before it.
    pub(super) fn commit_before(&self, answer: &Call) -> Result<&Call> {
        let commits = self.before(answer).filter(|call| matches!(&call.deed, Deed::Write(file) if self.is_log(file)));
        commits.last().context("answered without a commit")
    }

    /// Whether what it holds must outlive a power loss: not the lock, nor the index of the log, which is made anew.
    pub(super) fn is_kept(&self, path: &Path) -> bool {
        let passing = path.extension().is_some_and(|extension| extension == "lock" || extension == "db-shm");
        path.starts_with(&self.root) && !passing
    }

    pub(super) fn is_log(&self, file: &Path) -> bool {
        self.is_kept(file) && file.extension().is_some_and(|extension| extension == "db-wal")
    }
}

impl Call {
    pub(super) fn begins_after(&self, other: &Self) -> bool {
        self.began > other.ended
    }

    pub(super) fn ends_before(&self, other: &Self) -> bool {
        self.ended < other.began
    }
}

/// What a call did, if it succeeded and matters.
fn deed(line: &str) -> Option<Deed> {
    let (name, rest) = line.split_once('(')?;
    // strace aligns the outcomes of short lines, and lines are short where a call is resumed.
    let (arguments, outcome) = rest.rsplit_once(" = ")?;
    let arguments = arguments.trim_end().strip_suffix(')')?;
    if outcome.starts_with('-') {
        return None;
    }
    let first = || described(arguments);
    Some(match name {
        "fdatasync" | "fsync" => Deed::Sync(first()?),
        "mkdir" => Deed::Make(quoted(arguments).next()?.into()),
        "mkdirat" | "rename" | "renameat" | "renameat2" | "link" | "linkat" => at(name, arguments)?,
        _ if arguments.contains("HTTP/1.1 201 Created") => Deed::Answer,
        "write" | "writev" | "pwrite64" | "pwritev" => Deed::Write(first()?),
        _ => return None,
    })
}

/// A call that takes paths below opened folders: `15</a/b>, "name"`, or whole paths.
fn at(name: &str, arguments: &str) -> Option<Deed> {
    let mut folders = arguments.split('"').step_by(2).map(described);
    let mut paths = quoted(arguments).map(|path| folders.next().flatten().unwrap_or_default().join(path));
    let first = paths.next()?;
    Some(if name == "mkdirat" { Deed::Make(first) } else { Deed::Move { from: first, to: paths.next()? } })
}

/// The path of the first opened file or folder in a list of arguments.
fn described(arguments: &str) -> Option<PathBuf> {
    let (_, path) = arguments.split_once('<')?;
    Some(path.split_once('>')?.0.into())
}

/// What stands between quotes; paths here have no escapes.
fn quoted(arguments: &str) -> impl Iterator<Item = &str> {
    arguments.split('"').skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::{Deed, Trace, deed};

    #[test]
    fn calls_are_read_with_the_paths_of_their_files() {
        assert_eq!(deed(r"fdatasync(9</d/up>) = 0"), Some(Deed::Sync("/d/up".into())));
        assert_eq!(deed(r#"pwrite64(9</d/up>, "a(b) = c", 8, 0) = 8"#), Some(Deed::Write("/d/up".into())));
        assert_eq!(deed(r#"mkdir("/d", 0700) = 0"#), Some(Deed::Make("/d".into())));
        assert_eq!(
            deed(r#"renameat2(AT_FDCWD</home>, "/d/up", 11</d/xx>, "data", RENAME_NOREPLACE) = 0"#),
            Some(Deed::Move { from: "/d/up".into(), to: "/d/xx/data".into() })
        );
        assert_eq!(deed(r#"writev(8<socket:[1]>, [{iov_base="HTTP/1.1 201 Created"}], 1) = 99"#), Some(Deed::Answer));
    }

    #[test]
    fn what_failed_has_done_nothing() {
        assert_eq!(deed(r#"mkdir("/d", 0700) = -1 EEXIST (File exists)"#), None);
    }

    #[test]
    fn a_call_that_others_came_between_lasts_from_its_first_line_to_its_last() {
        let text = "1  mkdir(\"/d\", 0700) = 0\n\
                    2  fsync(3</> <unfinished ...>\n\
                    1  pwrite64(9</d/up>, \"a\", 1, 0) = 1\n\
                    2  <... fsync resumed>)              = 0\n\
                    1  fdatasync(9</d/up>) = 0\n";
        let trace = Trace::parse(text).unwrap();
        let [made, written, above, bytes] = trace.calls.as_slice() else { panic!("{trace:?}") };
        assert_eq!(above.deed, Deed::Sync("/".into()));
        assert!(above.begins_after(made) && !above.begins_after(written) && !written.ends_before(above));
        assert!(bytes.begins_after(above) && bytes.begins_after(written));
    }
}
