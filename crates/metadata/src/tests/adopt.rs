//! What another registry has, written down once and again.

use cargohold_oci::{Role, Tag};

use super::{Facts, digest, grace, key, manifest, name, now};
use crate::{
    AdoptLinks, AdoptStore, AdoptTags, AdoptedLink, AdoptedLinks, AdoptedTag, DeleteTag, ManifestId, MarkFound,
    MarkMissing, MoveAdoptedStore, SettleLinks, StoreId, TagOutcome, Timestamp,
};

impl Facts {
    async fn adopt_store(&self, location: &str) -> StoreId {
        self.run(AdoptStore { kind: "filesystem", location: location.to_owned() }).await
    }

    async fn adopt(&self, store: StoreId, content: &str, size: u64) -> AdoptedLinks {
        let link = AdoptedLink { digest: digest(content), key: key(content), size, linked_at: now() };
        self.run(AdoptLinks { repository: name("app"), store, links: vec![link], grace: grace() }).await
    }

    async fn adopt_tag(&self, tag: &str, content: &str, tagged_at: Timestamp) -> TagOutcome {
        let tag = AdoptedTag { tag: Tag::parse(tag).unwrap(), manifest: digest(content), tagged_at };
        self.run(AdoptTags { repository: name("app"), tags: vec![tag] }).await[0]
    }
}

fn found(links: u64, objects: u64, bytes: u64) -> AdoptedLinks {
    AdoptedLinks { links, objects, bytes, ..AdoptedLinks::default() }
}

#[tokio::test]
async fn a_store_is_adopted_once_and_may_be_moved() {
    let facts = Facts::new().await;
    let store = facts.adopt_store("/old").await;
    assert_eq!(facts.adopt_store("/old").await, store);
    let moved =
        |from: &str, to: &str| MoveAdoptedStore { kind: "filesystem", from: from.to_owned(), to: to.to_owned() };
    assert!(!facts.run(moved("/none", "/new")).await);
    assert!(facts.run(moved("/old", "/new")).await);
    assert_eq!(facts.adopt_store("/new").await, store);
    facts.adopt_store("/old").await;
    assert!(!facts.run(moved("/old", "/new")).await, "there is one");
    assert_eq!(facts.metadata.adopted_stores("filesystem").await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_link_is_adopted_once() {
    let facts = Facts::new().await;
    let store = facts.adopt_store("/old").await;
    assert_eq!(facts.adopt(store, "blob", 4).await, found(1, 1, 4));
    assert_eq!(facts.adopt(store, "blob", 4).await, found(0, 0, 0));
    facts.push_blob("other", "ours").await;
    assert_eq!(facts.adopt(store, "ours", 99).await, found(1, 0, 0), "our bytes are good enough");
    let known = facts.metadata.known_links(&name("app"), &["blob", "ours", "none"].map(digest)).await.unwrap();
    assert_eq!(known.len(), 2);
    let copy = facts.metadata.blob(&name("app"), &digest("blob")).await.unwrap().unwrap();
    assert_eq!((copy.store, copy.size), (store, 4));
    assert_eq!(facts.metadata.unverified_holdings(store).await.unwrap().objects, 1);
}

#[tokio::test]
async fn what_was_found_lost_is_read_before_it_is_trusted_again() {
    let facts = Facts::new().await;
    let store = facts.adopt_store("/old").await;
    facts.adopt(store, "blob", 2).await;
    let copy = facts.metadata.blob(&name("app"), &digest("blob")).await.unwrap().unwrap();
    facts.run(MarkMissing { object: copy.object }).await;
    let again = facts.adopt(store, "blob", 4).await;
    assert_eq!(again.lost, [(digest("blob"), copy.object)]);
    assert!(facts.metadata.blob(&name("app"), &digest("blob")).await.unwrap().is_none());
    assert!(facts.run(MarkFound { object: copy.object, size: 4, now: now() }).await);
    assert_eq!(facts.metadata.blob(&name("app"), &digest("blob")).await.unwrap().unwrap().size, 4);
    let elsewhere = facts.adopt_store("/other").await;
    facts.run(MarkMissing { object: copy.object }).await;
    assert_eq!(facts.adopt(elsewhere, "blob", 3).await.refused, [digest("blob")]);
}

#[tokio::test]
async fn a_push_corrects_the_length_of_what_was_cut() {
    let facts = Facts::new().await;
    let store = facts.adopt_store("/old").await;
    facts.adopt(store, "blob", 2).await;
    let copy = facts.metadata.blob(&name("app"), &digest("blob")).await.unwrap().unwrap();
    facts.run(MarkMissing { object: copy.object }).await;
    facts.push_blob("app", "blob").await;
    let copy = facts.metadata.blob(&name("app"), &digest("blob")).await.unwrap().unwrap();
    assert_eq!((copy.store, copy.size), (facts.store, 4));
}

#[tokio::test]
async fn manifests_that_came_before_their_blobs_have_them_then() {
    let facts = Facts::new().await;
    let store = facts.adopt_store("/old").await;
    let mut put = manifest("app", "manifest", &[(Role::Config, digest("config")), (Role::Layer, digest("layer"))], &[]);
    for reference in &mut put.references {
        reference.may_be_absent = true;
    }
    facts.run(put).await.unwrap();
    let absent = facts.metadata.absent_references(&name("app"), ManifestId::FIRST, 10).await.unwrap();
    assert_eq!(absent.len(), 2);
    facts.adopt(store, "config", 6).await;
    facts.adopt(store, "layer", 5).await;
    assert!(facts.metadata.absent_references(&name("app"), ManifestId::FIRST, 10).await.unwrap().is_empty());
    assert_eq!(facts.ask("select count(*) from manifests where config_blob is not null"), ["1"]);
    assert_eq!(facts.ask("select count(*) from repository_blobs where unreferenced_since is not null"), ["0"]);
    facts.adopt(store, "unused", 6).await;
    assert_eq!(facts.ask("select count(*) from sweep_candidates where kind = 'link'"), ["3"]);
    facts.run(SettleLinks { repository: name("app") }).await;
    assert_eq!(facts.ask("select kind from sweep_candidates"), ["link"], "that of what nothing refers to");
}

#[tokio::test]
async fn of_two_who_set_a_tag_the_later_counts() {
    let facts = Facts::new().await;
    for content in ["one", "two"] {
        facts.put("app", content, &[], &[]).await.unwrap();
    }
    let at = |micros| Timestamp::from_micros(now().micros() + micros);
    assert_eq!(facts.adopt_tag("v1", "one", at(-2)).await, TagOutcome::Set);
    assert_eq!(facts.adopt_tag("v1", "one", at(-2)).await, TagOutcome::Stays);
    assert_eq!(facts.adopt_tag("v1", "none", at(-1)).await, TagOutcome::Dangling);
    assert_eq!(facts.adopt_tag("v1", "two", at(-1)).await, TagOutcome::Set);
    facts.run(DeleteTag { repository: name("app"), tag: Tag::parse("v1").unwrap(), now: now() }).await;
    assert_eq!(facts.adopt_tag("v1", "one", at(0)).await, TagOutcome::Stays, "it was deleted then");
    assert_eq!(facts.adopt_tag("v1", "one", at(1)).await, TagOutcome::Set);
    assert_eq!(facts.tags("app").await, ["v1"]);
}
