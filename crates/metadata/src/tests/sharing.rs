//! The one writer: many callers share a commit, and one that fails takes nobody with it.

use super::{Facts, manifest, name, now};
use crate::{
    Error, Transaction,
    transaction::{Tx, sealed::Run},
};

/// Makes a repository and then fails.
struct Fails;

impl Run for Fails {
    type Output = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        crate::repositories::make(tx, &name("half-made"), now()).await?;
        Err(Error::impossible("test", "on purpose"))
    }
}

fn is_a_transaction(_: &impl Transaction) {}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_fails_is_undone_alone() {
    let facts = Facts::new().await;
    is_a_transaction(&Fails);
    let puts = (0..50).map(|number| facts.metadata.run(manifest("a", &format!("image {number}"), &[], &[])));
    let fails = (0..50).map(|_| facts.metadata.run(Fails));
    let (puts, fails) = tokio::join!(join_all(puts), join_all(fails));
    assert!(puts.into_iter().all(|put| put.is_ok_and(|put| put.is_ok())));
    assert!(fails.into_iter().all(|fail| matches!(fail, Err(Error::Impossible { .. }))));
    assert_eq!(facts.ask("select name, (select count(*) from manifests) from repositories"), ["a 50"]);
}

/// The first transaction of a process reserves ids; undone, it has reserved none.
#[tokio::test]
async fn one_that_fails_alone_takes_the_ids_with_it_that_it_reserved() {
    let facts = Facts::new().await;
    facts.metadata.close().await;
    let facts = Facts { metadata: facts.database.open().await.unwrap(), ..facts };
    facts.metadata.run(Fails).await.unwrap_err();
    facts.put("a", "image", &[], &["v1"]).await.unwrap();
    assert_eq!(facts.ask("select name from repositories"), ["a"]);
    let within = "select (select max(id) from manifests) <= cast(value as bigint) from settings where key = 'last_id'";
    assert_eq!(facts.ask(within), ["1"]);
}

async fn join_all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.map(Box::pin).collect();
    let mut outputs = Vec::new();
    // Polled together, so that all are handed over before the first is awaited.
    std::future::poll_fn(|context| {
        futures.retain_mut(|future| match future.as_mut().poll(context) {
            std::task::Poll::Ready(output) => {
                outputs.push(output);
                false
            }
            std::task::Poll::Pending => true,
        });
        if futures.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    outputs
}

#[tokio::test]
async fn what_was_handed_over_happens_even_if_nobody_waits() {
    let facts = Facts::new().await;
    {
        let mut put = Box::pin(facts.metadata.run(manifest("a", "image", &[], &["v1"])));
        // One poll hands it over; then the caller is gone.
        let _ = std::future::poll_fn(|context| std::task::Poll::Ready(put.as_mut().poll(context).is_ready())).await;
    }
    // What was handed over ends before the database is closed.
    facts.metadata.close().await;
    let facts = Facts { metadata: facts.database.open().await.unwrap(), ..facts };
    assert_eq!(facts.tags("a").await, ["v1"]);
}

#[tokio::test]
async fn a_closed_database_is_one_whole_file_and_takes_nothing_more() {
    let facts = Facts::in_a_file().await;
    facts.put("a", "image", &[], &["v1"]).await.unwrap();
    assert_eq!(facts.tags("a").await, ["v1"], "with a reader's connection open");
    facts.metadata.close().await;
    assert_eq!(std::fs::metadata(facts.database.log_file()).unwrap().len(), 0);
    let refused = facts.metadata.run(manifest("a", "late", &[], &[])).await;
    assert!(matches!(refused, Err(Error::Closed)), "{refused:?}");
    facts.metadata.close().await;
}
