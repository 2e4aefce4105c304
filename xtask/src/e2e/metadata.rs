//! The facts on PostgreSQL: every SQL statement prepared, what has a name and a text that is no SQL there is found here; and the tests
//! of the crate `metadata`, which run on SQLite otherwise, with those of races, which only several writers have.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use cargohold_metadata::schema;
use postgres::Client;

use super::command::{Tool, find, indented};
use super::postgres::Cluster;
use super::report::Report;
use super::scratch::Scratch;

/// A schema file or a statement: its name and its SQL.
type Named<'a> = (&'a str, &'a str);

/// What tells the tests of the crate `metadata` where their database is.
const ADDRESS: &str = "CARGOHOLD_TEST_POSTGRES";

/// What building them may take.
const BUILD_LIMIT_SECONDS: u32 = 1800;

/// What the tests may take. With every order of the races (`CARGOHOLD_TEST_RACES=all`) they take long: give `--flow-minutes` too.
const TEST_LIMIT_SECONDS: u32 = 7200;

/// Starts a cluster, applies the schema, prepares every statement, and runs the tests of the crate.
pub(crate) fn flow(scratch: &Scratch, report: &Report) {
    let mut started = None;
    report.flow("metadata", "the schema applies and every statement prepares on PostgreSQL", || {
        let cluster = started.insert(Cluster::start(scratch)?);
        check(&mut cluster.connect()?, schema(), statements())
    });
    let Some(cluster) = started else { return };
    report.flow("metadata", "the tests pass on PostgreSQL, and so do those of races", || {
        let tests = Tool::new(tests()?).variable(ADDRESS, cluster.address()).limit_seconds(TEST_LIMIT_SECONDS);
        let output = tests.run(&["--include-ignored"])?;
        let counts = output.stdout.lines().rfind(|line| line.starts_with("test result:")).unwrap_or_default();
        println!("metadata: {counts}");
        ensure!(counts.contains(" 0 ignored; 0 measured; 0 filtered out"), "not every test was run: {counts:?}");
        Ok(())
    });
}

/// The program with the tests. It is built with the whole workspace, as for `cargo test --workspace`: alone, its dependencies would
/// have other features, and be built once more.
fn tests() -> Result<PathBuf> {
    let cargo = find("cargo").context("the tests are built by cargo, which is not on PATH")?;
    let build = Tool::new(cargo).limit_seconds(BUILD_LIMIT_SECONDS);
    let messages = build.run(&["test", "--workspace", "--lib", "--locked", "--no-run", "--message-format=json"])?;
    messages.stdout.lines().find_map(program_of).context("cargo built no tests of cargohold-metadata")
}

/// The program that a message of cargo tells of, if it is the one with the tests.
fn program_of(message: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    let ours = message["target"]["name"] == "cargohold_metadata" && message["profile"]["test"] == true;
    message["executable"].as_str().filter(|_| ours).map(PathBuf::from)
}

/// The schema's files, in the order in which they are applied.
fn schema() -> impl Iterator<Item = Named<'static>> {
    std::iter::once(("the table of migrations", schema::MIGRATIONS_TABLE)).chain(schema::POSTGRES.iter().copied())
}

/// The statements of the program.
fn statements() -> impl Iterator<Item = Named<'static>> {
    let locks = cargohold_metadata::locks().map(|lock| (lock.name, lock.postgres));
    cargohold_metadata::statements().map(|statement| (statement.name, statement.postgres)).chain(locks)
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
