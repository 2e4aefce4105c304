//! The embedded engine: one writer thread, read connections beside it.
//!
//! Reads run inline, on a connection that belongs to the calling thread: an index lookup takes a few microseconds, a hop to
//! another thread several times that (`benches/reads.rs` measures both). Writes go to the one writer, which lets concurrent
//! small transactions share a commit and its sync.

mod reader;
mod writer;

use std::{path::Path, sync::Arc};

use cargohold_metrics::Page;
use rusqlite::{
    Connection, ToSql,
    config::DbConfig,
    params_from_iter,
    types::{ToSqlOutput, ValueRef},
};

use crate::{
    Error, Statement, Timestamp, Transaction,
    connection::{FromRow, Row, Value},
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
        let views = Arc::<reader::Views>::default();
        let reader = Arc::new(reader::Reader::new(file, views.clone()));
        Ok(Self { reader, writer: writer::Writer::start(connection, views)? })
    }

    /// Reads beside the process that writes.
    pub(crate) fn beside(file: &Path) -> Result<Self, Error> {
        let connection = connect(file)?;
        schema::check_sqlite(&connection)?;
        let reader = reader::Reader::new(file, Arc::new(reader::Views::none()));
        Ok(Self { reader: Arc::new(reader), writer: writer::Writer::none() })
    }

    pub(crate) fn damage(&self) -> Result<Vec<String>, Error> {
        let connection = connect(self.reader.file())?;
        let mut damage: Vec<String> = connection
            .prepare("pragma integrity_check(100)")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        damage.retain(|line| line != "ok");
        let mut orphans = connection.prepare("pragma foreign_key_check")?;
        let orphans = orphans.query_map([], |row| {
            let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
            Ok(format!("a row of {table} refers to a row of {parent} that is not there"))
        })?;
        for orphan in orphans {
            damage.push(orphan?);
        }
        Ok(damage)
    }

    pub(crate) fn copy_to(&self, file: &Path) -> Result<(), Error> {
        let text = file.to_str().ok_or_else(|| Error::impossible("file name", file.display()))?;
        connect(self.reader.file())?.execute("vacuum into $1", [text])?;
        Ok(std::fs::File::open(file).and_then(|copy| copy.sync_all())?)
    }

    pub(crate) async fn run<T: Transaction>(&self, transaction: T) -> Result<T::Output, Error> {
        self.writer.run(transaction).await
    }

    pub(crate) fn tell(&self, page: &mut Page) {
        self.writer.tell(page);
    }

    pub(crate) async fn close(&self) {
        self.writer.close().await;
    }

    pub(crate) fn optional<T: FromRow>(
        &self,
        statement: &Statement,
        parameters: &[Value<'_>],
    ) -> Result<Option<T>, Error> {
        self.reader.with(|connection| optional(connection, statement, parameters))
    }

    pub(crate) fn all<T: FromRow>(&self, statement: &Statement, parameters: &[Value<'_>]) -> Result<Vec<T>, Error> {
        self.reader.with(|connection| all(connection, statement, parameters))
    }
}

/// See [`Metadata::store_of_copy`](crate::Metadata::store_of_copy).
pub(crate) fn store_of_copy(file: &Path) -> Result<Option<crate::StoreId>, Error> {
    use rusqlite::{OpenFlags, OptionalExtension};
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let damage: String = connection.query_row("pragma integrity_check(1)", [], |row| row.get(0))?;
    if damage != "ok" {
        return Err(Error::Damaged(damage));
    }
    schema::check_copy(&connection)?;
    let store = connection.query_row("select id from stores where owned = 1 limit 1", [], |row| row.get(0));
    Ok(store.optional()?.map(crate::StoreId))
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

/// Runs a statement that begins, ends or undoes; it is prepared once.
fn steer(connection: &Connection, statement: &str) -> Result<(), Error> {
    connection.prepare_cached(statement)?.execute([])?;
    Ok(())
}

/// Runs a statement that gives no rows; answers how many it touched.
pub(crate) fn execute(
    connection: &Connection,
    statement: &Statement,
    parameters: &[Value<'_>],
) -> Result<usize, Error> {
    Ok(connection.prepare_cached(statement.sqlite)?.execute(params_from_iter(parameters))?)
}

/// The first row, if there is one.
pub(crate) fn optional<T: FromRow>(
    connection: &Connection,
    statement: &Statement,
    parameters: &[Value<'_>],
) -> Result<Option<T>, Error> {
    let mut prepared = connection.prepare_cached(statement.sqlite)?;
    let mut rows = prepared.query(params_from_iter(parameters))?;
    rows.next()?.map(|row| T::from_row(&Row::Sqlite(row))).transpose()
}

/// All rows.
pub(crate) fn all<T: FromRow>(
    connection: &Connection,
    statement: &Statement,
    parameters: &[Value<'_>],
) -> Result<Vec<T>, Error> {
    let mut prepared = connection.prepare_cached(statement.sqlite)?;
    let mut rows = prepared.query(params_from_iter(parameters))?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(T::from_row(&Row::Sqlite(row))?);
    }
    Ok(all)
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Self::Null => ValueRef::Null,
            Self::Integer(integer) => ValueRef::Integer(integer),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}
