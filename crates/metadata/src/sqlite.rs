//! The embedded engine: one writer thread, read connections beside it.
//!
//! Reads run inline, on a connection that belongs to the calling thread: an index lookup takes a few microseconds, a hop to
//! another thread several times that (`benches/reads.rs` measures both). Writes go to the one writer, which lets concurrent
//! small transactions share a commit and its sync.

mod reader;
mod writer;

use std::{
    future::{Ready, ready},
    path::Path,
    sync::Arc,
};

use rusqlite::{Connection, config::DbConfig};

use crate::{
    Error, Statement, Timestamp, Transaction,
    connection::{FromRow, Value},
    schema,
};

/// How many prepared statements a connection keeps; more than there are.
const STATEMENTS: usize = 200;

#[derive(Clone, Debug)]
pub(crate) struct Sqlite {
    reader: Arc<reader::Reader>,
    writer: writer::Writer,
}

impl Sqlite {
    pub(crate) fn open(file: &Path, now: Timestamp) -> Result<Self, Error> {
        let mut connection = connect(file)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        schema::migrate_sqlite(&mut connection, now)?;
        Ok(Self { reader: Arc::new(reader::Reader::new(file)), writer: writer::Writer::start(connection)? })
    }

    pub(crate) async fn run<T: Transaction>(&self, transaction: T) -> Result<T::Output, Error> {
        self.writer.run(transaction).await
    }

    pub(crate) async fn close(&self) {
        self.writer.close().await;
    }

    pub(crate) fn optional<T: FromRow>(
        &self,
        statement: &Statement,
        parameters: &[Value<'_>],
    ) -> Ready<Result<Option<T>, Error>> {
        ready(self.reader.with(|connection| connection.optional(statement, parameters).into_inner()))
    }

    pub(crate) fn all<T: FromRow>(
        &self,
        statement: &Statement,
        parameters: &[Value<'_>],
    ) -> Ready<Result<Vec<T>, Error>> {
        ready(self.reader.with(|connection| connection.all(statement, parameters).into_inner()))
    }
}

/// A connection with the settings that readers and the writer share.
fn connect(file: &Path) -> Result<Connection, Error> {
    let connection = Connection::open(file)?;
    // Without it, statistics would make SQLite plan a statement anew for every bound value.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}
