//! Every SQL statement of the program, prepared on PostgreSQL: what has a name and a text that is no SQL there is found here.

use anyhow::{Context as _, Result, bail};
use cargohold_metadata::schema;
use postgres::Client;

use super::command::indented;
use super::postgres::Cluster;
use super::report::Report;
use super::scratch::Scratch;

/// A schema file or a statement: its name and its SQL.
type Named<'a> = (&'a str, &'a str);

/// Starts a cluster, applies the schema and prepares every statement.
pub(crate) fn flow(scratch: &Scratch, report: &Report) {
    report.flow("statements", "the schema applies and every statement prepares on PostgreSQL", || {
        let cluster = Cluster::start(scratch)?;
        check(&mut cluster.connect()?, schema(), statements())
    });
}

/// The schema's files, in the order in which they are applied.
fn schema() -> impl Iterator<Item = Named<'static>> {
    std::iter::once(("the table of migrations", schema::MIGRATIONS_TABLE)).chain(schema::POSTGRES.iter().copied())
}

/// The statements of the program.
fn statements() -> impl Iterator<Item = Named<'static>> {
    cargohold_metadata::statements().map(|statement| (statement.name, statement.postgres))
}

/// Applies the files, then prepares each statement; an error names every statement that does not prepare.
fn check<'a>(
    client: &mut Client,
    schema: impl Iterator<Item = Named<'a>>,
    statements: impl Iterator<Item = Named<'a>>,
) -> Result<()> {
    for (file, sql) in schema {
        client.batch_execute(sql).with_context(|| format!("{file} does not apply"))?;
    }
    let mut count = 0;
    let mut failures = Vec::new();
    for (name, sql) in statements {
        count += 1;
        if let Err(error) = client.prepare(sql) {
            failures.push(format!("{name}: {}\n{}", told(&error), indented(sql)));
        }
    }
    if count == 0 {
        bail!("there are no statements");
    }
    if !failures.is_empty() {
        bail!("{} of {count} statements do not prepare:\n{}", failures.len(), failures.join("\n"));
    }
    Ok(())
}

/// What the database said, which the client's own message leaves out.
fn told(error: &postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string)
}
