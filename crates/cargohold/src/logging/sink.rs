//! Where lines go: they are gathered in memory, and a thread writes what has gathered.
//!
//! Whoever logs copies its line and goes on. A line waits for a few milliseconds, so that many share a write. If more wait than
//! [`MOST`] bytes, since the disk or the reader of a pipe is slower than they come, new ones are lost; if writing fails, those that
//! were to be written are. Both are counted, and the log says so as soon as it can be written to again. What is lost if the process
//! is killed is what came in the last milliseconds; whoever ends it in order calls [`Sink::flush`].

use std::{
    fs::File,
    io::{self, Write},
    mem,
    os::fd::AsFd,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant, SystemTime},
};

use tracing::Level;

use super::line::{Style, Value};

/// What may wait to be written, in bytes.
const MOST: usize = 4 << 20;
/// From so many bytes on a write is not put off.
const MUCH: usize = 64 << 10;
/// For how long a line waits for others.
const GATHERING: Duration = Duration::from_millis(5);
/// Pause when whoever reads does not.
const FULL_PAUSE: Duration = Duration::from_millis(5);

/// Where lines are written to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Output {
    #[default]
    Stderr,
    Stdout,
    /// Lines are added at its end; it is made if it is not there.
    File(PathBuf),
}

/// A log cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the log {}", output.display())]
pub(super) struct SinkError {
    output: PathBuf,
    source: io::Error,
}

/// Where lines go. All clones are the same one.
#[derive(Clone, Debug)]
pub(super) struct Sink(Arc<Handle>);

/// Ends the thread with the last of the clones.
#[derive(Debug)]
struct Handle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// There is something to do.
    wake: Condvar,
    /// Something was done.
    done: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    text: Vec<u8>,
    lines: u64,
    /// Lines that found no room since the log last said so.
    unsaid: u64,
    /// Lines that found no room.
    full: u64,
    /// Lines that could not be written.
    failed: u64,
    /// The thread is asked to do what there is to do now.
    urgent: bool,
    reopen: bool,
    ending: bool,
    /// Rounds of the thread that began and that ended.
    began: u64,
    ended: u64,
}

struct Writer {
    output: Output,
    file: File,
    style: Style,
    /// Whether writing failed the last time.
    failing: bool,
    /// Whether that was in the middle of a line.
    torn: bool,
}

impl Output {
    fn open(&self) -> Result<File, SinkError> {
        // Not by the handles of the standard library: they have locks, and one that is held by a write that waits would have
        // everybody wait who panics.
        let opened = match self {
            Self::Stderr => io::stderr().as_fd().try_clone_to_owned().map(File::from),
            Self::Stdout => io::stdout().as_fd().try_clone_to_owned().map(File::from),
            Self::File(path) => File::options().create(true).append(true).open(path),
        };
        opened.map_err(|source| {
            let output = match self {
                Self::Stderr => "stderr".into(),
                Self::Stdout => "stdout".into(),
                Self::File(path) => path.clone(),
            };
            SinkError { output, source }
        })
    }
}

impl Sink {
    /// Opens it. What it says itself is in that style.
    pub(super) fn open(output: &Output, style: Style) -> Result<Self, SinkError> {
        let (output, file) = (output.clone(), output.open()?);
        Ok(Self::start(Writer { output, file, style, failing: false, torn: false }))
    }

    /// One that writes to what is open already.
    #[cfg(test)]
    pub(super) fn onto(file: File, style: Style) -> Self {
        Self::start(Writer { output: Output::Stderr, file, style, failing: false, torn: false })
    }

    fn start(writer: Writer) -> Self {
        let shared = Arc::new(Shared { waiting: Mutex::default(), wake: Condvar::new(), done: Condvar::new() });
        let handle = Arc::new(Handle(shared.clone()));
        // Without the thread nothing is written, and what waits is bounded all the same.
        if let Err(error) = thread::Builder::new().name("log".to_owned()).spawn(move || shared.run(writer)) {
            let _ = writeln!(io::stderr(), "cargohold: nothing is logged, since no thread could be started: {error}");
        }
        Self(handle)
    }

    /// Has a line written, or counts it as lost if too much is waiting.
    pub(super) fn write(&self, line: &str) {
        let shared = &self.0.0;
        let mut waiting = shared.lock();
        if waiting.text.len() + line.len() > MOST {
            waiting.full += 1;
            waiting.unsaid += 1;
            return;
        }
        let (before, after) = (waiting.text.len(), waiting.text.len() + line.len());
        waiting.text.extend_from_slice(line.as_bytes());
        waiting.lines += 1;
        drop(waiting);
        // The thread sleeps while there is nothing, and rests while there is little.
        if before == 0 || (before < MUCH && after >= MUCH) {
            shared.wake.notify_one();
        }
    }

    /// Has the file opened anew before the next write.
    pub(super) fn reopen(&self) {
        self.0.0.lock().reopen = true;
        self.0.0.wake.notify_one();
    }

    /// Lines that were lost: for want of room, and for failed writes.
    pub(super) fn lost(&self) -> (u64, u64) {
        let waiting = self.0.0.lock();
        (waiting.full, waiting.failed)
    }

    /// Waits until everything is written that was logged before, at most for `patience`.
    pub(super) fn flush(&self, patience: Duration) {
        let shared = &self.0.0;
        let deadline = Instant::now() + patience;
        let mut waiting = shared.lock();
        waiting.urgent = true;
        shared.wake.notify_one();
        // What waits now goes with the next round, unless there is nothing and none under way.
        let round = if waiting.text.is_empty() && !waiting.reopen { waiting.began } else { waiting.began + 1 };
        while waiting.ended < round {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            waiting = shared.done.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.lock().ending = true;
        self.0.wake.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, mut writer: Writer) {
        let mut text = Vec::new();
        loop {
            let mut waiting = self.gather();
            if waiting.text.is_empty() && !waiting.reopen && waiting.ending {
                return;
            }
            mem::swap(&mut waiting.text, &mut text);
            let (lines, unsaid) = (mem::take(&mut waiting.lines), mem::take(&mut waiting.unsaid));
            let reopen = mem::take(&mut waiting.reopen);
            waiting.urgent = false;
            waiting.began += 1;
            drop(waiting);
            if reopen {
                writer.reopen(&mut text);
            }
            if unsaid > 0 {
                writer.say(
                    &mut text,
                    "lines were lost here: they came faster than they could be written",
                    Some(unsaid),
                );
            }
            let written = writer.write(&text);
            text.clear();
            // A burst does not keep its memory.
            text.shrink_to(MUCH);
            let mut waiting = self.lock();
            if !written {
                waiting.failed += lines;
                waiting.unsaid += unsaid;
            }
            waiting.ended = waiting.began;
            drop(waiting);
            self.done.notify_all();
        }
    }

    /// Waits until there is something to write, and a little longer for more of it.
    fn gather(&self) -> MutexGuard<'_, Waiting> {
        let idle = |waiting: &mut Waiting| waiting.text.is_empty() && !waiting.reopen && !waiting.ending;
        let waiting = self.wake.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
        let little = |waiting: &mut Waiting| waiting.text.len() < MUCH && !waiting.urgent && !waiting.ending;
        self.wake.wait_timeout_while(waiting, GATHERING, little).unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Writer {
    /// Writes all of it; false if that failed.
    fn write(&mut self, text: &[u8]) -> bool {
        let torn = if self.torn { &b"\n"[..] } else { b"" };
        if !self.write_all(torn) || !self.write_all(text) {
            return false;
        }
        self.torn = false;
        if mem::take(&mut self.failing) {
            let mut text = Vec::new();
            self.say(&mut text, "the log is written again; lines before these were lost", None);
            return self.write_all(&text);
        }
        true
    }

    fn write_all(&mut self, mut text: &[u8]) -> bool {
        while !text.is_empty() {
            match self.file.write(text) {
                Ok(0) => return self.failed(),
                Ok(written) => {
                    self.torn = text[written - 1] != b'\n';
                    text = &text[written..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Whoever gave us the file made it so for itself.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(FULL_PAUSE),
                Err(_) => return self.failed(),
            }
        }
        true
    }

    fn failed(&mut self) -> bool {
        self.failing = true;
        false
    }

    fn reopen(&mut self, text: &mut Vec<u8>) {
        if !matches!(self.output, Output::File(_)) {
            return;
        }
        match self.output.open() {
            Ok(file) => self.file = file,
            Err(SinkError { source, .. }) => {
                self.say(text, &format!("the log could not be opened again and goes on where it was: {source}"), None);
            }
        }
    }

    /// Adds a line of our own.
    fn say(&self, text: &mut Vec<u8>, message: &str, lines: Option<u64>) {
        let mut own = String::new();
        let said = Value::Text(message);
        let mut line = self.style.begin(&mut own, SystemTime::now(), Level::WARN, "cargohold::logging", said);
        if let Some(lines) = lines {
            line.field("lines", Value::Unsigned(lines));
        }
        line.end();
        text.extend_from_slice(own.as_bytes());
    }
}
