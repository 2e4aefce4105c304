//! The schema's versions, one folder of DDL for each engine, applied in order at start.

use rusqlite::OptionalExtension;

use crate::{Error, Timestamp, statement::statements};

/// A step of the schema: its file's name and its text.
pub type Migration = (&'static str, &'static str);

/// The steps for SQLite, oldest first; a step's version is its place, from 1.
pub const SQLITE: &[Migration] = &[
    ("0001_content.sql", include_str!("../schema/sqlite/0001_content.sql")),
    ("0002_deletions.sql", include_str!("../schema/sqlite/0002_deletions.sql")),
    ("0003_recovery.sql", include_str!("../schema/sqlite/0003_recovery.sql")),
];

/// The steps for PostgreSQL, oldest first.
pub const POSTGRES: &[Migration] = &[
    ("0001_content.sql", include_str!("../schema/postgres/0001_content.sql")),
    ("0002_deletions.sql", include_str!("../schema/postgres/0002_deletions.sql")),
    ("0003_recovery.sql", include_str!("../schema/postgres/0003_recovery.sql")),
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
    RECORD_MIGRATION = "insert into schema_migrations (version, name, applied_at) values ($1, $2, $3)";
}

/// Fails unless a database has a schema of this or an earlier program.
pub(crate) fn check_copy(connection: &rusqlite::Connection) -> Result<(), Error> {
    let found: i64 = connection.query_row(NEWEST_VERSION.sqlite, [], |row| row.get(0))?;
    let known = i64::try_from(SQLITE.len()).unwrap_or(i64::MAX);
    match found {
        1.. if found <= known => Ok(()),
        1.. => Err(Error::NewerSchema { found, known }),
        _ => Err(Error::Damaged("it has no schema".to_owned())),
    }
}

/// Fails unless a database has exactly the newest schema.
pub(crate) fn check_sqlite(connection: &rusqlite::Connection) -> Result<(), Error> {
    let found: i64 = connection.query_row(NEWEST_VERSION.sqlite, [], |row| row.get(0))?;
    let known = i64::try_from(SQLITE.len()).unwrap_or(i64::MAX);
    match found {
        _ if found == known => Ok(()),
        _ if found > known => Err(Error::NewerSchema { found, known }),
        _ => Err(Error::OlderSchema { found, known }),
    }
}

/// Brings a database up to the newest schema, in one transaction.
pub(crate) fn migrate_sqlite(connection: &mut rusqlite::Connection, now: Timestamp) -> Result<(), Error> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    transaction.execute_batch(MIGRATIONS_TABLE)?;
    let found: i64 = transaction.query_row(NEWEST_VERSION.sqlite, [], |row| row.get(0)).optional()?.unwrap_or(0);
    for (version, (name, ddl)) in pending(SQLITE, found)? {
        transaction.execute_batch(ddl)?;
        transaction.execute(RECORD_MIGRATION.sqlite, (version, name, now.micros()))?;
    }
    Ok(transaction.commit()?)
}

/// The steps that a database lacks whose newest version is `found`, each with its version.
pub(crate) fn pending(
    steps: &'static [Migration],
    found: i64,
) -> Result<impl Iterator<Item = (i64, &'static Migration)>, Error> {
    let applied = usize::try_from(found).map_err(|_| Error::impossible("schema version", found))?;
    if applied > steps.len() {
        return Err(Error::NewerSchema { found, known: i64::try_from(steps.len()).unwrap_or(i64::MAX) });
    }
    Ok((1i64..).zip(steps).skip(applied))
}
