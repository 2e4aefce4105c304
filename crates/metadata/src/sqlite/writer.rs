//! The one writer: a thread that owns the write connection and commits in groups.
//!
//! Whatever waits when a commit ends shares the next one, so that one sync makes all of them durable, with a savepoint each if there
//! are several; every answer is sent after that commit. A commit that nobody in it awaits the disk for has no sync of its own. A
//! transaction that fails is undone alone.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Instant,
};

use cargohold_metrics::Page;
use rusqlite::hooks::Wal;
use tokio::sync::{mpsc, oneshot};

use super::{reader::Views, steer};
use crate::{
    Error, Transaction,
    connection::Connection,
    ids::Ids,
    metrics::WriterMetrics,
    transaction::{Tx, sealed::Run},
};

/// Transactions that may wait for the writer; past that, their callers wait to hand them over.
const QUEUE: usize = 1024;
/// Transactions that share one commit at the most.
const GROUP: usize = 256;
/// Pages in the log with which it is folded into the database file, so that it can start over: those of SQLite's own choice.
const LOG: i32 = 1000;

#[derive(Clone, Debug)]
pub(crate) struct Writer {
    queue: mpsc::Sender<Order>,
    metrics: Arc<WriterMetrics>,
}

/// What the thread is told.
enum Order {
    Run(Box<dyn Job>),
    /// Nothing more will be run; answered when the connection is closed.
    Close(oneshot::Sender<()>),
}

impl Writer {
    /// Starts the thread; it ends once every clone of this handle is gone and the queue is empty.
    ///
    /// It tells `views` when they are outdated.
    pub(crate) fn start(mut connection: rusqlite::Connection, views: Arc<Views>) -> Result<Self, Error> {
        let committed = views.clone();
        connection.wal_hook(Some(move |log: &mut Wal, pages| {
            end_commit(log, pages, &committed);
            Ok(())
        }))?;
        let (queue, orders) = mpsc::channel(QUEUE);
        let metrics = Arc::<WriterMetrics>::default();
        let counted = metrics.clone();
        std::thread::Builder::new()
            .name("metadata-writer".to_owned())
            .spawn(move || {
                let thread = WriterThread { connection, views, syncs: true, ids: Ids::none(), metrics: counted };
                let thread = AssertUnwindSafe(|| thread.run(orders));
                if catch_unwind(thread).is_err() {
                    stop("the thread that writes facts panicked");
                }
            })
            .map_err(|_| Error::Closed)?;
        Ok(Self { queue, metrics })
    }

    /// One that takes nothing.
    pub(crate) fn none() -> Self {
        Self { queue: mpsc::channel(1).0, metrics: Arc::default() }
    }

    pub(crate) async fn run<T: Transaction>(&self, transaction: T) -> Result<T::Output, Error> {
        let (answer, answered) = oneshot::channel();
        let job = Pending { transaction, output: None, answer };
        self.queue.send(Order::Run(Box::new(job))).await.map_err(|_| Error::Closed)?;
        answered.await.map_err(|_| Error::Closed)?
    }

    pub(crate) fn tell(&self, page: &mut Page) {
        self.metrics.tell(self.queue.max_capacity() - self.queue.capacity(), page);
    }

    pub(crate) async fn close(&self) {
        let (closed, ended) = oneshot::channel();
        if self.queue.send(Order::Close(closed)).await.is_ok() {
            ended.await.ok();
        }
    }
}

/// A transaction on its way, whatever its output.
trait Job: Send {
    /// Runs the statements; keeps the outcome for the answer. True if they are to be kept.
    fn run(&mut self, tx: &mut Tx<'_>) -> bool;
    /// Whether it is answered only once the disk has it.
    fn awaits_disk(&self) -> bool;
    /// Why everything was rolled back, if this one's statements met the reason.
    fn failure(&self) -> Error;
    /// Answers the caller, after the commit.
    fn answer(self: Box<Self>, commit: Commit);
}

/// How a commit ended.
#[derive(Clone, Copy, Debug)]
enum Commit {
    Done,
    NoSpace,
    Failed,
}

struct Pending<T: Transaction> {
    transaction: T,
    output: Option<Result<T::Output, Error>>,
    answer: oneshot::Sender<Result<T::Output, Error>>,
}

impl<T: Transaction> Job for Pending<T> {
    fn run(&mut self, tx: &mut Tx<'_>) -> bool {
        let output = now(Run::run(&self.transaction, tx));
        let keep = output.is_ok();
        self.output = Some(output);
        keep
    }

    fn awaits_disk(&self) -> bool {
        T::AWAITS_DISK
    }

    fn failure(&self) -> Error {
        match self.output {
            Some(Err(Error::NoSpace)) => Error::NoSpace,
            _ => Error::NotCommitted,
        }
    }

    fn answer(self: Box<Self>, commit: Commit) {
        let output = match (commit, self.output) {
            (_, Some(Err(error))) => Err(error),
            (Commit::Done, Some(Ok(output))) => Ok(output),
            (Commit::NoSpace, _) => Err(Error::NoSpace),
            // The engine's own reason was logged where it was met.
            (Commit::Failed, _) | (_, None) => Err(Error::NotCommitted),
        };
        // A caller that no longer waits is not told; what it asked for has happened all the same.
        self.answer.send(output).ok();
    }
}

/// What never waits, run here and now.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("SQLite answers within the call"),
    }
}

struct WriterThread {
    connection: rusqlite::Connection,
    views: Arc<Views>,
    /// Whether its commits sync the log.
    syncs: bool,
    ids: Ids,
    metrics: Arc<WriterMetrics>,
}

impl WriterThread {
    fn run(mut self, mut queue: mpsc::Receiver<Order>) {
        let mut orders = Vec::with_capacity(GROUP);
        let mut closing = Vec::new();
        while closing.is_empty() && queue.blocking_recv_many(&mut orders, GROUP) > 0 {
            let mut group = Vec::with_capacity(orders.len());
            for order in orders.drain(..) {
                match order {
                    Order::Run(job) => group.push(job),
                    Order::Close(closed) => closing.push(closed),
                }
            }
            for (job, commit) in self.commit_together(group) {
                job.answer(commit);
            }
        }
        // Nothing more gets in; who is in the queue already is told that it is closed by losing its sender.
        drop(queue);
        if !closing.is_empty() {
            self.fold();
        }
        drop(self.connection);
        for closed in closing {
            closed.send(()).ok();
        }
    }

    /// Folds the whole log into the database file. Read connections are still open, so closing this one would not do it, and what
    /// they see is in its way.
    fn fold(&self) {
        self.views.close();
        if let Err(error) = self.connection.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(())) {
            tracing::warn!(%error, "the log was not folded into the database file; the next start does it");
        }
    }

    /// Runs the group in one transaction. If that fails, each runs alone: what one of them met is not the others' fault.
    fn commit_together(&mut self, mut group: Vec<Box<dyn Job>>) -> Vec<(Box<dyn Job>, Commit)> {
        if group.is_empty() {
            return Vec::new();
        }
        match self.commit(&mut group) {
            Commit::Failed if group.len() > 1 => {
                let alone = |mut job: Box<dyn Job>| {
                    let commit = self.commit(std::slice::from_mut(&mut job));
                    (job, commit)
                };
                group.into_iter().map(alone).collect()
            }
            commit => group.into_iter().map(|job| (job, commit)).collect(),
        }
    }

    fn commit(&mut self, group: &mut [Box<dyn Job>]) -> Commit {
        let began = Instant::now();
        let Err(error) = self.run_group(group) else {
            self.metrics.sizes.observe(u32::try_from(group.len()).unwrap_or(u32::MAX));
            self.metrics.durations.observe_time(began.elapsed());
            return Commit::Done;
        };
        self.metrics.failures.increment();
        stop_if_a_sync_failed(&error);
        tracing::error!(%error, cause = ?error, "a commit failed, nothing of it is kept");
        if let Err(error) = self.undo_all() {
            stop(&format!("a failed commit could not be rolled back: {error}"));
        }
        if matches!(error, Error::NoSpace) { Commit::NoSpace } else { Commit::Failed }
    }

    /// Has the next commits sync the log, or leave it to a later one that does (SQLite, "PRAGMA synchronous").
    fn sync_commits(&mut self, syncs: bool) -> Result<(), Error> {
        if self.syncs != syncs {
            self.connection.execute_batch(if syncs {
                "pragma synchronous = full"
            } else {
                "pragma synchronous = normal"
            })?;
            self.syncs = syncs;
        }
        Ok(())
    }

    fn run_group(&mut self, group: &mut [Box<dyn Job>]) -> Result<(), Error> {
        self.sync_commits(group.iter().any(|job| job.awaits_disk()))?;
        steer(&self.connection, "begin immediate")?;
        if let [job] = group {
            // What is alone is undone with all that there is: it needs no savepoint.
            self.reserve_ids()?;
            return if self.run_job(job.as_mut())? { steer(&self.connection, "commit") } else { self.undo_all() };
        }
        for job in group {
            self.reserve_ids()?;
            steer(&self.connection, "savepoint job")?;
            if !self.run_job(job.as_mut())? {
                steer(&self.connection, "rollback to job")?;
            }
            steer(&self.connection, "release job")?;
        }
        steer(&self.connection, "commit")
    }

    fn reserve_ids(&mut self) -> Result<(), Error> {
        now(self.ids.reserve(&mut Connection::new(&mut self.connection)))
    }

    /// True if what the job did is to be kept.
    fn run_job(&mut self, job: &mut dyn Job) -> Result<bool, Error> {
        let keep = job.run(&mut Tx { connection: Connection::new(&mut self.connection), ids: &mut self.ids });
        // Some errors (a full disk) make SQLite roll everything back by itself: then nothing of the group is left.
        if self.connection.is_autocommit() {
            return Err(job.failure());
        }
        if !keep {
            self.metrics.undone.increment();
        }
        Ok(keep)
    }

    /// Undoes the whole transaction, unless SQLite did so by itself. Ids that it reserved were not reserved.
    fn undo_all(&mut self) -> Result<(), Error> {
        self.ids = Ids::none();
        if self.connection.is_autocommit() { Ok(()) } else { steer(&self.connection, "rollback") }
    }
}

/// What follows a commit, before anybody is told of it: readers are to see it, and the log is not to grow for ever.
fn end_commit(log: &mut Wal, pages: i32, views: &Views) {
    if pages < LOG {
        return views.outdate();
    }
    // Pages that somebody may still read from the log stay there.
    views.end();
    if let Err(error) = log.checkpoint() {
        let error = error.into();
        stop_if_a_sync_failed(&error);
        tracing::warn!(%error, "the log was not folded into the database file; a later commit tries it again");
    }
    // Who began to read in between reads from the log, which cannot start over as long as somebody does.
    views.end();
}

/// After a failed sync nobody knows what is on the disk, and asking again could answer a lie.
fn stop_if_a_sync_failed(error: &Error) {
    use rusqlite::ffi::{SQLITE_IOERR_DIR_FSYNC, SQLITE_IOERR_FSYNC};
    if let Error::Engine(rusqlite::Error::SqliteFailure(failure, _)) = error
        && [SQLITE_IOERR_FSYNC, SQLITE_IOERR_DIR_FSYNC].contains(&failure.extended_code)
    {
        stop(&format!("the database file could not be synced: {error}"));
    }
}

/// A server that cannot write facts any more is of no use, and what it would promise may be a lie. The next start reads what is
/// really there.
fn stop(why: &str) -> ! {
    // The field has the line written before the process is gone.
    tracing::error!(last_words = true, "{why}: stopping, since nothing can be promised any more");
    std::process::abort();
}
