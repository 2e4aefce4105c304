use std::{
    path::PathBuf,
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use super::Reader;
use crate::{
    Error, Timestamp,
    sqlite::Sqlite,
    transaction::{Tx, sealed::Run},
};

/// More than one page of the database.
const LARGE: usize = 100_000;

/// Puts a row with this many bytes where rows can be counted.
struct Put(usize);

impl Run for Put {
    type Output = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        let crate::connection::Connection::Sqlite(connection) = &mut tx.connection else { unreachable!() };
        connection.execute("insert into filling values (zeroblob($1))", [i64::try_from(self.0).unwrap()])?;
        Ok(())
    }
}

struct Opened {
    sqlite: Sqlite,
    file: PathBuf,
    _folder: tempfile::TempDir,
}

fn opened() -> Opened {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("facts.db");
    let sqlite = Sqlite::open(&file, Timestamp::from_micros(0)).unwrap();
    super::super::connect(&file).unwrap().execute_batch("create table filling (bytes blob)").unwrap();
    Opened { sqlite, file, _folder: folder }
}

impl Opened {
    fn put(&self, bytes: usize) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(self.sqlite.run(Put(bytes))).unwrap();
    }

    fn rows(&self) -> usize {
        rows(&self.sqlite.reader)
    }

    /// The length of the log, in bytes.
    fn log(&self) -> u64 {
        std::fs::metadata(self.file.with_extension("db-wal")).unwrap().len()
    }

    /// Whether somebody sees something that keeps the log from starting over.
    fn is_log_in_use(&self) -> bool {
        let connection = rusqlite::Connection::open(&self.file).unwrap();
        connection.query_row("pragma wal_checkpoint(restart)", [], |row| row.get::<_, i64>(0)).unwrap() == 1
    }
}

fn rows(reader: &Reader) -> usize {
    let count = |connection: &rusqlite::Connection| {
        Ok(connection.query_row("select count(*) from filling", [], |row| row.get(0))?)
    };
    let rows: i64 = reader.with(count).unwrap();
    rows.try_into().unwrap()
}

#[test]
fn every_thread_sees_what_was_committed() {
    let (opened, turn) = (opened(), Barrier::new(5));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for round in 0..100 {
                    turn.wait();
                    assert_eq!((opened.rows(), opened.rows()), (round, round));
                    turn.wait();
                }
            });
        }
        for _ in 0..100 {
            turn.wait();
            turn.wait();
            opened.put(1);
        }
    });
}

#[test]
fn what_is_seen_is_kept_until_a_commit_and_no_longer() {
    let opened = opened();
    opened.put(1);
    opened.rows();
    assert!(opened.is_log_in_use(), "a view is kept");
    opened.put(1);
    assert!(!opened.is_log_in_use(), "and let go");
}

#[test]
fn what_another_process_commits_is_seen_by_those_who_read_beside() {
    let opened = opened();
    let beside = Sqlite::beside(&opened.file).unwrap();
    for round in 0..3 {
        assert_eq!(rows(&beside.reader), round);
        opened.put(1);
    }
}

#[test]
fn a_read_that_fails_leaves_the_connection_as_it_was() {
    let opened = opened();
    let fail = |connection: &rusqlite::Connection| Ok(connection.execute("insert into filling values ('')", [])?);
    opened.sqlite.reader.with(fail).unwrap_err();
    opened.put(1);
    assert_eq!(opened.rows(), 1);
}

/// Else the end of the server would wait for whoever asks it how it is.
#[test]
fn nothing_is_kept_of_a_database_that_is_closed() {
    let (opened, done) = (opened(), AtomicBool::new(false));
    opened.put(1);
    // Keeps a connection open, or the last one to be closed would remove the log.
    opened.rows();
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                assert_eq!(opened.rows(), 1);
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(opened.sqlite.close());
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!((opened.log(), opened.rows()), (0, 1));
}

/// However much is written while others read without a pause.
#[test]
fn the_log_starts_over() {
    let (opened, done) = (opened(), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    opened.rows();
                }
            });
        }
        // Some 10,000 pages, of which the log may have 1,000 and what came before it could start over.
        for _ in 0..400 {
            opened.put(LARGE);
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(opened.log() < 1200 * 4096, "{} bytes", opened.log());
}
