//! Connections that end under a transaction, and what both engines promise of waiting.

use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use super::{
    Act, act,
    driver::{Script, Stop},
};
use crate::{
    ClaimKey, ClaimUpload, EnsureStore,
    tests::{Facts, database::Database, key, manifest, name, now, seen},
};

/// Runs a transaction whose connection ends when it comes to `stop`.
async fn cut_off_at(facts: &Facts, act: &Act, stop: Stop) -> String {
    let script = Script::new(stop);
    let task = tokio::spawn(act.0(facts.metadata.clone(), Arc::clone(&script)));
    script.until_it_stops().await;
    facts.database.end_connections();
    script.go_on();
    task.await.unwrap()
}

#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask e2e metadata"]
async fn a_transaction_whose_connection_ends_runs_again_on_another() {
    let facts = Facts::of(Database::server()).await;
    let put = act(|| manifest("a", "image", &[], &["v1"]));
    assert_eq!(cut_off_at(&facts, &put, Stop::Before(4)).await, "Ok(Ok([]))");
    assert_eq!(facts.ask("select count(*) from tag_history"), ["1"], "the first run left nothing");
    assert_eq!(facts.tags("a").await, ["v1"]);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask e2e metadata"]
async fn nobody_is_told_that_a_commit_failed_that_may_have_happened() {
    let facts = Facts::of(Database::server()).await;
    let put = act(|| manifest("a", "image", &[], &["v1"]));
    assert_eq!(cut_off_at(&facts, &put, Stop::Commit).await, "Err(OutcomeUnknown)");
    facts.put("a", "image", &[], &["v1"]).await.unwrap();
    assert_eq!(facts.tags("a").await, ["v1"], "to try again is safe");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask e2e metadata"]
async fn reads_go_on_after_every_connection_has_ended() {
    let facts = Facts::of(Database::server()).await;
    facts.put("a", "image", &[], &["v1"]).await.unwrap();
    facts.database.end_connections();
    assert!(facts.metadata.repository_is_published(&name("a")).await.unwrap());
}

#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask e2e metadata"]
async fn two_processes_that_start_together_have_the_same_store() {
    let facts = Facts::of(Database::server()).await;
    let ensure = || EnsureStore { kind: "filesystem", location: "new".to_owned(), random: 8 << 30 };
    let script = Script::new(Stop::Commit);
    let first = tokio::spawn(act(ensure).0(facts.metadata.clone(), Arc::clone(&script)));
    script.until_it_stops().await;
    let second = tokio::spawn(act(ensure).0(facts.metadata.clone(), Script::running()));
    while !facts.database.is_blocked() {
        tokio::task::yield_now().await;
    }
    script.go_on();
    assert_eq!(first.await.unwrap(), second.await.unwrap());
}

/// A newer writer has read where the bytes are when it claims the session: nothing may have changed that, or change it then.
#[tokio::test]
#[ignore = "needs PostgreSQL: cargo xtask e2e metadata"]
async fn a_place_is_not_claimed_behind_the_answer_to_a_newer_writer() {
    let facts = Facts::of(Database::server()).await;
    for stop in 1..4 {
        let (upload, epoch) = facts.start("a").await;
        let script = Script::new(Stop::Before(stop));
        let claim_key = act(move || ClaimKey {
            seen: seen(upload, epoch),
            keys: vec![key("layer"), format!("layer-{upload}")],
            now: now(),
        });
        let older = tokio::spawn(claim_key.0(facts.metadata.clone(), Arc::clone(&script)));
        while !older.is_finished()
            && tokio::time::timeout(std::time::Duration::ZERO, script.until_it_stops()).await.is_err()
        {
            tokio::task::yield_now().await;
        }
        let newer = act(move || ClaimUpload { seen: seen(upload, epoch), now: now() });
        let newer = tokio::spawn(newer.0(facts.metadata.clone(), Script::running()));
        while !newer.is_finished() && !facts.database.is_blocked() {
            tokio::task::yield_now().await;
        }
        script.go_on();
        let (older, newer) = (older.await.unwrap(), newer.await.unwrap());
        assert_ne!(older == "Ok(None)", newer == "Ok(None)", "stopped before statement {stop}: {older}, {newer}");
    }
}

#[tokio::test]
async fn sqlite_answers_a_read_within_the_call() {
    let facts = Facts::in_a_file().await;
    let name = name("a");
    let read = pin!(facts.metadata.repository_is_published(&name));
    let answer = read.poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(answer, Poll::Ready(Ok(false))));
}
