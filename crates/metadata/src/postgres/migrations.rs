//! Bringing the schema up to date, one process at a time.

use deadpool_postgres::Object;

use crate::{
    Error, Timestamp,
    connection::{Row, Value},
    schema::{MIGRATIONS_TABLE, NEWEST_NAME, NEWEST_VERSION, POSTGRES, RECORD_MIGRATION, newer, pending, recorded},
};

/// Held by the one process that migrates; each schema of a database has its own.
const LOCK: &str = "
    select pg_advisory_xact_lock(hashtextextended('cargohold schema ' || current_schema(), 0))::text";

/// A step that changes a table waits for what is using it, and all that comes later waits behind the step: better to fail and
/// to be tried again.
const DO_NOT_HOLD_UP: &str = "set local lock_timeout = '5s'";

/// Brings a database up to the newest schema, in one transaction.
pub(super) async fn migrate(client: &mut Object, now: Timestamp) -> Result<(), Error> {
    let transaction = client.transaction().await?;
    transaction.batch_execute(LOCK).await?;
    transaction.batch_execute(DO_NOT_HOLD_UP).await?;
    transaction.batch_execute(MIGRATIONS_TABLE).await?;
    let found = transaction.query_one(NEWEST_VERSION.postgres, &[]).await?;
    let found = Row::Postgres(&found).integer(0)?;
    let Some(steps) = pending(POSTGRES, found) else {
        let name = transaction.query_one(NEWEST_NAME.postgres, &[]).await?;
        return Err(newer(found, POSTGRES.len(), Row::Postgres(&name).text(0)?));
    };
    for (version, (name, ddl)) in steps {
        transaction.batch_execute(ddl).await?;
        let name = recorded(name);
        let step = [Value::Integer(version), name.as_str().into(), now.into()];
        transaction.execute(RECORD_MIGRATION.postgres, &[&step[0], &step[1], &step[2]]).await?;
    }
    Ok(transaction.commit().await?)
}
