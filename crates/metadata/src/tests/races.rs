//! Two transactions at the same time, on two connections, in every order that their statements can take with two changes between them.
//!
//! One is stopped before each of its statements in turn. Then the other runs until it ends or is about to commit, or the other way
//! round, or until it waits for a lock of the first; then the first goes on, then the other. Whatever comes of it has to be what
//! one of the two orders, one behind the other, comes to: the answers, and every fact. Those two orders run on SQLite too, whose
//! one writer knows no others, and come to the same there. With `CARGOHOLD_TEST_RACES=all`, both are stopped before each of their
//! statements.

mod arrivals;
mod connections;
mod deletions;
mod deliveries;
mod driver;
mod snapshot;
mod sweeps;
mod undelete;
mod writers;

use std::{future::Future, pin::Pin, sync::Arc, sync::atomic::Ordering};

use self::driver::{Script, Stop};
use super::{Facts, database::Database};
use crate::{Engine, Metadata, Transaction, postgres::steps::STEPS};

/// One of two transactions: run again and again, it answers in words.
struct Act(Box<dyn Fn(Metadata, Arc<Script>) -> Answer + Send>);

type Answer = Pin<Box<dyn Future<Output = String> + Send>>;

/// The transaction that `make` makes.
fn act<T: Transaction>(make: impl Fn() -> T + Send + 'static) -> Act
where
    T::Output: std::fmt::Debug,
{
    Act(Box::new(move |metadata, script| {
        let transaction = make();
        Box::pin(async move {
            match metadata.engine {
                Engine::Sqlite(_) => format!("{:?}", metadata.run(transaction).await),
                // Not handed over to another task: the script belongs to this one.
                Engine::Postgres(postgres) => {
                    let run = Box::pin(postgres.run_here(&transaction));
                    format!("{:?}", STEPS.scope(script, run).await)
                }
            }
        })
    }))
}

/// What came of both: their answers, and the facts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Outcome {
    answers: [String; 2],
    facts: Vec<String>,
}

/// Makes what both need, and both. It is called for every order anew, and makes the same each time.
type Scene<'s> = &'s dyn for<'f> Fn(&'f Facts) -> Pin<Box<dyn Future<Output = [Act; 2]> + 'f>>;

/// Runs the two orders on SQLite; nothing is broken in either.
async fn in_turn(scene: Scene<'_>) -> [Outcome; 2] {
    let mut outcomes = Vec::new();
    for second_first in [false, true] {
        let facts = Facts::of(Database::file()).await;
        outcomes.push(one_behind_the_other(&facts, scene, second_first).await.0);
    }
    outcomes.try_into().unwrap()
}

/// Runs every order on PostgreSQL.
async fn at_the_same_time(scene: Scene<'_>) {
    let facts = Facts::of(Database::server()).await;
    let (forward, lengths) = one_behind_the_other(&facts, scene, false).await;
    let (backward, other_lengths) = one_behind_the_other(&facts, scene, true).await;
    let lengths = [lengths[0].max(other_lengths[0]), lengths[1].max(other_lengths[1])];
    let serial = [forward, backward];
    assert_eq!(serial, in_turn(scene).await, "what one behind the other comes to differs between the engines");
    let mut broken = Vec::new();
    for stops in stops(lengths) {
        let (outcome, told) = driver::interleave(&facts, scene, stops).await;
        if !serial.contains(&outcome) {
            broken.push(format!("{told}\n{}", snapshot::difference(&outcome, &serial)));
        }
    }
    let number = broken.len();
    assert!(broken.is_empty(), "{number} orders come to what neither serial order does:\n{}", broken.join("\n\n"));
}

/// Where two transactions of so many statements are stopped.
fn stops([first, second]: [usize; 2]) -> Vec<[Stop; 2]> {
    let places = |length| (1..length).map(Stop::Before);
    if std::env::var_os("CARGOHOLD_TEST_RACES").is_some_and(|all| all == "all") {
        return places(first)
            .flat_map(|one| places(second).chain([Stop::Nowhere]).map(move |other| [one, other]))
            .collect();
    }
    let others = |one| [[one, Stop::Nowhere], [one, Stop::Commit]];
    places(first).flat_map(others).chain(places(second).map(|other| [Stop::Commit, other])).collect()
}

/// One order; also how many statements each runs.
async fn one_behind_the_other(facts: &Facts, scene: Scene<'_>, second_first: bool) -> (Outcome, [usize; 2]) {
    reset(facts);
    let acts = scene(facts).await;
    let scripts = [Script::running(), Script::running()];
    let mut answers = [String::new(), String::new()];
    for place in if second_first { [1, 0] } else { [0, 1] } {
        answers[place] = acts[place].0(facts.metadata.clone(), Arc::clone(&scripts[place])).await;
    }
    let outcome = Outcome { answers, facts: snapshot::take(facts) };
    snapshot::assert_whole(facts);
    (outcome, [scripts[0].reached_so_far(), scripts[1].reached_so_far()])
}

/// As if nothing had ever happened, but for the store.
fn reset(facts: &Facts) {
    facts.uploads.store(0, Ordering::Relaxed);
    if let Database::Schema(_) = facts.database {
        facts.database.execute(
            "truncate blobs, objects, repositories, repository_blobs, manifest_payloads, manifests, manifest_references, tags,
                tag_history, uploads, sweep_candidates, endpoints, events, deliveries",
        );
    }
}

/// A scene on both engines: on SQLite always, on PostgreSQL where the tests are told of one.
macro_rules! races {
    ($($(#[$doc:meta])* $name:ident => $scene:expr;)+) => {$(
        mod $name {
            #[allow(unused_imports, reason = "a scene uses what it needs")]
            use super::*;

            fn scene(facts: &Facts) -> std::pin::Pin<Box<dyn Future<Output = [crate::tests::races::Act; 2]> + '_>> {
                Box::pin(($scene)(facts))
            }

            $(#[$doc])*
            #[tokio::test]
            async fn one_behind_the_other() {
                crate::tests::races::in_turn(&scene).await;
            }

            #[tokio::test]
            #[ignore = "needs PostgreSQL: cargo xtask e2e metadata"]
            async fn at_the_same_time() {
                crate::tests::races::at_the_same_time(&scene).await;
            }
        }
    )+};
}
use races;
