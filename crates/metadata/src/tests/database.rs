//! The database that a test has for itself: a file, or a schema of the PostgreSQL database that the tests were given.

use std::{
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use postgres::{Client, NoTls, types::Type};

use super::now;
use crate::{Error, Metadata};

/// Names the database: a libpq connection string or URI of a user who may make schemas.
const ADDRESS: &str = "CARGOHOLD_TEST_POSTGRES";
/// As many as a test has transactions under way at the same time; past that they wait for each other.
const CONNECTIONS: usize = 8;

pub(super) enum Database {
    File(tempfile::TempDir),
    Schema(Box<Schema>),
}

/// A schema of the test's own; it goes with it.
pub(super) struct Schema {
    address: String,
    name: String,
    client: Mutex<Option<Client>>,
}

impl Database {
    /// On the engine that the tests run on.
    pub(super) fn new() -> Self {
        match std::env::var(ADDRESS) {
            Ok(address) => Self::schema(&address),
            Err(_) => Self::file(),
        }
    }

    pub(super) fn file() -> Self {
        Self::File(tempfile::tempdir().unwrap())
    }

    /// On PostgreSQL.
    pub(super) fn server() -> Self {
        let address = std::env::var(ADDRESS).unwrap_or_else(|_| panic!("{ADDRESS} names no PostgreSQL database"));
        Self::schema(&address)
    }

    fn schema(address: &str) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", std::process::id());
        let mut client = outside_tokio(|| Client::connect(address, NoTls)).unwrap();
        let make = format!("drop schema if exists {name} cascade; create schema {name}; set search_path = {name}");
        outside_tokio(|| client.batch_execute(&make)).unwrap();
        Self::Schema(Box::new(Schema { address: address.to_owned(), name, client: Mutex::new(Some(client)) }))
    }

    /// Opens it, again if it was opened before.
    pub(super) async fn open(&self) -> Result<Metadata, Error> {
        match self {
            Self::File(_) => Metadata::open(&self.path("facts.db"), now()),
            Self::Schema(schema) => Metadata::connect(&schema.url(), CONNECTIONS, now()).await,
        }
    }

    /// What a query says, a line for each row; a condition is 1 or 0.
    pub(super) fn ask(&self, sql: &str) -> Vec<String> {
        match self {
            Self::File(_) => ask_file(&self.sqlite(), sql),
            Self::Schema(schema) => {
                let rows = schema.with(|client| client.query(sql, &[]));
                rows.unwrap_or_else(|error| panic!("{sql}: {error:?}")).iter().map(line).collect()
            }
        }
    }

    pub(super) fn execute(&self, sql: &str) {
        match self {
            Self::File(_) => self.sqlite().execute_batch(sql).unwrap(),
            Self::Schema(schema) => {
                schema.with(|client| client.batch_execute(sql)).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
            }
        }
    }

    /// Whether any of our connections waits for a lock that another holds.
    pub(super) fn is_blocked(&self) -> bool {
        let Self::Schema(schema) = self else { return false };
        let name = &schema.name;
        let waiting = "select count(*) > 0 from pg_stat_activity where wait_event_type = 'Lock' and application_name";
        self.ask(&format!("{waiting} = '{name}'")) == ["1"]
    }

    /// Ends every connection to the server but the one that asks.
    pub(super) fn end_connections(&self) {
        let Self::Schema(schema) = self else { return };
        let name = &schema.name;
        let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name";
        self.ask(&format!("{end} = '{name}'"));
    }

    /// A connection of a test about SQLite.
    pub(super) fn sqlite(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path("facts.db")).unwrap()
    }

    /// Where SQLite writes before it writes into the database file.
    pub(super) fn log_file(&self) -> PathBuf {
        self.path("facts.db-wal")
    }

    fn path(&self, file: &str) -> PathBuf {
        match self {
            Self::File(folder) => folder.path().join(file),
            Self::Schema(_) => panic!("a test about files asks for `Facts::in_a_file`"),
        }
    }
}

impl Schema {
    fn with<T: Send>(&self, ask: impl FnOnce(&mut Client) -> T + Send) -> T {
        outside_tokio(|| ask(self.client.lock().unwrap().as_mut().unwrap()))
    }

    /// The address, with this schema in front.
    fn url(&self) -> String {
        let Self { address, name, .. } = self;
        if address.contains("://") {
            let separator = if address.contains('?') { '&' } else { '?' };
            format!("{address}{separator}options=-c%20search_path%3D{name}&application_name={name}")
        } else {
            format!("{address} options='-c search_path={name}' application_name='{name}'")
        }
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        let Some(mut client) = self.client.get_mut().ok().and_then(Option::take) else { return };
        // Of a test that failed on the way, statements may still run; what is left then is dropped by nobody.
        let drop = format!("set lock_timeout = '5s'; drop schema {} cascade", self.name);
        outside_tokio(move || client.batch_execute(&drop).ok());
    }
}

/// The client runs a tokio of its own, which cannot be within another.
fn outside_tokio<T: Send>(ask: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|threads| threads.spawn(ask).join().unwrap())
}

fn ask_file(connection: &rusqlite::Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).unwrap();
    let columns = statement.column_count();
    let row = |row: &rusqlite::Row<'_>| {
        let values: Vec<_> = (0..columns).map(|column| text(row.get_ref(column).unwrap())).collect();
        Ok(values.join(" "))
    };
    statement.query_map([], row).unwrap().map(Result::unwrap).collect()
}

fn text(value: rusqlite::types::ValueRef<'_>) -> String {
    match value {
        rusqlite::types::ValueRef::Null => "-".to_owned(),
        rusqlite::types::ValueRef::Integer(integer) => integer.to_string(),
        value => value.as_str().unwrap().to_owned(),
    }
}

fn line(row: &postgres::Row) -> String {
    let value = |(place, column): (usize, &postgres::Column)| match *column.type_() {
        Type::BOOL => row.get::<_, Option<bool>>(place).map(|flag| i64::from(flag).to_string()),
        Type::INT4 => row.get::<_, Option<i32>>(place).map(|integer| integer.to_string()),
        Type::INT8 => row.get::<_, Option<i64>>(place).map(|integer| integer.to_string()),
        _ => row.get::<_, Option<String>>(place),
    };
    let values = row.columns().iter().enumerate().map(value).map(|value| value.unwrap_or_else(|| "-".to_owned()));
    values.collect::<Vec<_>>().join(" ")
}
