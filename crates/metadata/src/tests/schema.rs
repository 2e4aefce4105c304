//! Opening, again and by the wrong program; and every statement as the engine sees it.

use super::{Facts, name};
use crate::{Error, schema, statements};

#[tokio::test]
async fn every_statement_is_understood() {
    let facts = Facts::in_a_file().await;
    let connection = facts.database.sqlite();
    for statement in statements() {
        connection.prepare(statement.sqlite).unwrap_or_else(|error| panic!("{}: {error}", statement.name));
    }
}

/// "Every lookup is an index lookup": no statement reads a table from end to end.
#[tokio::test]
async fn no_statement_walks_a_table() {
    let facts = Facts::in_a_file().await;
    for statement in statements().filter(|statement| !statement.name.contains("schema")) {
        let plan = explain(&facts, statement.sqlite);
        // What a part of the statement brought is no table; that part is looked at too.
        let is_part = |step: &str| {
            step.strip_prefix("SCAN ").is_some_and(|name| plan.iter().any(|step| *step == format!("CO-ROUTINE {name}")))
        };
        let walks = plan.iter().any(|step| {
            step.starts_with("SCAN") && !step.contains("VIRTUAL TABLE") && !step.contains("CONSTANT") && !is_part(step)
        });
        assert!(!walks, "{}: {plan:#?}", statement.name);
    }
}

fn explain(facts: &Facts, sql: &str) -> Vec<String> {
    let connection = facts.database.sqlite();
    let mut statement = connection.prepare(&format!("explain query plan {sql}")).unwrap();
    let parameters = statement.parameter_count();
    let nulls = rusqlite::params_from_iter(std::iter::repeat_n(rusqlite::types::Null, parameters));
    statement.query_map(nulls, |row| row.get(3)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn both_engines_have_the_same_tables_and_columns() {
    let columns = |ddl: &str| -> Vec<String> {
        let words = ddl.lines().filter(|line| line.starts_with("create table") || line.starts_with("    "));
        let words = words.map(|line| {
            line.split_whitespace().take(if line.starts_with("create") { 3 } else { 1 }).collect::<Vec<_>>().join(" ")
        });
        words.collect()
    };
    assert_eq!(schema::SQLITE.len(), schema::POSTGRES.len());
    for ((name, sqlite), (_, postgres)) in schema::SQLITE.iter().zip(schema::POSTGRES) {
        assert_eq!(columns(sqlite), columns(postgres), "{name}");
    }
}

#[tokio::test]
async fn a_database_is_opened_again_with_what_it_had_and_new_ids() {
    let facts = Facts::new().await;
    facts.put("a", "one", &[], &["v1"]).await.unwrap();
    let again = Facts { metadata: facts.database.open().await.unwrap(), ..facts };
    assert!(again.metadata.repository_is_published(&name("a")).await.unwrap());
    again.put("b", "two", &[], &["v1"]).await.unwrap();
    assert_eq!(again.ask("select repository || ' ' || tag from readable_tags order by 1"), ["a v1", "b v1"]);
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_refused() {
    let facts = Facts::new().await;
    for (name, by) in [("later.sql by Cargohold 7.8.9", Some("7.8.9")), ("later.sql", None)] {
        facts.database.execute(&format!(
            "delete from schema_migrations where version = 99; insert into schema_migrations values (99, '{name}', 0)"
        ));
        let refused = facts.database.open().await.unwrap_err();
        let Error::NewerSchema(newer) = &refused else { panic!("{refused}") };
        assert_eq!((newer.found, newer.by.as_deref()), (99, by));
    }
}

#[tokio::test]
async fn each_step_says_which_program_applied_it() {
    let facts = Facts::new().await;
    let steps = facts.ask("select name from schema_migrations order by version");
    let by = concat!(".sql by Cargohold ", env!("CARGO_PKG_VERSION"));
    assert!(steps.len() == schema::SQLITE.len() && steps.iter().all(|step| step.ends_with(by)), "{steps:?}");
}

#[tokio::test]
async fn people_read_digests_as_text() {
    let facts = Facts::new().await;
    let layer = facts.push_blob("a", "layer").await;
    assert_eq!(
        facts.ask("select digest, size, state, key from readable_blobs"),
        [format!("{layer} 5 live blobs/layer")]
    );
}
