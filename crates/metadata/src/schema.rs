//! The schema's versions, one folder of DDL for each engine, applied in order at start.

use rusqlite::OptionalExtension;

use crate::{Error, NewerSchema, Timestamp, statement::statements};

/// A step of the schema: its file's name and its text.
pub type Migration = (&'static str, &'static str);

/// The steps for SQLite, oldest first; a step's version is its place, from 1.
pub const SQLITE: &[Migration] = &[
    ("0001_content.sql", include_str!("../schema/sqlite/0001_content.sql")),
    ("0002_deletions.sql", include_str!("../schema/sqlite/0002_deletions.sql")),
    ("0003_recovery.sql", include_str!("../schema/sqlite/0003_recovery.sql")),
    ("0004_deliveries.sql", include_str!("../schema/sqlite/0004_deliveries.sql")),
];

/// The steps for PostgreSQL, oldest first.
pub const POSTGRES: &[Migration] = &[
    ("0001_content.sql", include_str!("../schema/postgres/0001_content.sql")),
    ("0002_deletions.sql", include_str!("../schema/postgres/0002_deletions.sql")),
    ("0003_recovery.sql", include_str!("../schema/postgres/0003_recovery.sql")),
    ("0004_deliveries.sql", include_str!("../schema/postgres/0004_deliveries.sql")),
];

/// The table that records which steps were applied, on either engine.
pub const MIGRATIONS_TABLE: &str = "
    create table if not exists schema_migrations (
        version bigint primary key,
        name text not null,
        applied_at bigint not null
    )";

statements! {
    NEWEST_VERSION = "select coalesce(max(version), 0) from schema_migrations";
    NEWEST_NAME = "select name from schema_migrations order by version desc limit 1";
    RECORD_MIGRATION = "insert into schema_migrations (version, name, applied_at) values ($1, $2, $3)";
}

/// Between a step's file and the program that applied it.
const BY: &str = " by Cargohold ";

/// What is recorded of a step: its file, and the program that applied it. So an older program, which knows nothing of the step, can
/// tell which one reads the database.
pub(crate) fn recorded(name: &str) -> String {
    format!("{name}{BY}{}", env!("CARGO_PKG_VERSION"))
}

/// A database that this program cannot read, whose newest step is recorded so.
pub(crate) fn newer(found: i64, known: usize, recorded: &str) -> Error {
    let by = recorded.split_once(BY).map(|(_, version)| version.chars().take(40).collect());
    Error::NewerSchema(NewerSchema { found, known, by })
}

fn newer_sqlite(connection: &rusqlite::Connection, found: i64) -> Result<(), Error> {
    let name: String = connection.query_row(NEWEST_NAME.sqlite, [], |row| row.get(0))?;
    Err(newer(found, SQLITE.len(), &name))
}

/// Fails unless a database has a schema of this or an earlier program.
pub(crate) fn check_copy(connection: &rusqlite::Connection) -> Result<(), Error> {
    let found: i64 = connection.query_row(NEWEST_VERSION.sqlite, [], |row| row.get(0))?;
    let known = i64::try_from(SQLITE.len()).unwrap_or(i64::MAX);
    match found {
        1.. if found <= known => Ok(()),
        1.. => newer_sqlite(connection, found),
        _ => Err(Error::Damaged("it has no schema".to_owned())),
    }
}

/// Fails unless a database has exactly the newest schema.
pub(crate) fn check_sqlite(connection: &rusqlite::Connection) -> Result<(), Error> {
    let found: i64 = connection.query_row(NEWEST_VERSION.sqlite, [], |row| row.get(0))?;
    let known = i64::try_from(SQLITE.len()).unwrap_or(i64::MAX);
    match found {
        _ if found == known => Ok(()),
        _ if found > known => newer_sqlite(connection, found),
        _ => Err(Error::OlderSchema { found, known }),
    }
}

/// Brings a database up to the newest schema, in one transaction.
pub(crate) fn migrate_sqlite(connection: &mut rusqlite::Connection, now: Timestamp) -> Result<(), Error> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    transaction.execute_batch(MIGRATIONS_TABLE)?;
    let found: i64 = transaction.query_row(NEWEST_VERSION.sqlite, [], |row| row.get(0)).optional()?.unwrap_or(0);
    let Some(steps) = pending(SQLITE, found) else { return newer_sqlite(&transaction, found) };
    for (version, (name, ddl)) in steps {
        transaction.execute_batch(ddl)?;
        transaction.execute(RECORD_MIGRATION.sqlite, (version, recorded(name), now.micros()))?;
    }
    Ok(transaction.commit()?)
}

/// The steps that a database lacks whose newest version is `found`, each with its version; none of it if that is not ours.
pub(crate) fn pending(
    steps: &'static [Migration],
    found: i64,
) -> Option<impl Iterator<Item = (i64, &'static Migration)>> {
    let applied = usize::try_from(found).ok().filter(|applied| *applied <= steps.len())?;
    Some((1i64..).zip(steps).skip(applied))
}
