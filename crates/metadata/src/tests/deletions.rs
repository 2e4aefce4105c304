//! Deleting: what goes, what goes with it, and what holds.

use std::collections::{BTreeMap, BTreeSet};

use cargohold_oci::{Digest, Role, Tag};
use proptest::prelude::*;

use super::{Facts, digest, grace, manifest, name, now};
use crate::{DeleteBlob, DeleteManifest, DeleteTag, DeletedBlob, DeletedManifests, PutManifest};

impl Facts {
    async fn delete(&self, content: &str) -> Option<DeletedManifests> {
        let delete = DeleteManifest { repository: name("a"), digest: digest(content), window: grace() };
        self.metadata.run(delete).await.unwrap()
    }

    async fn delete_tag(&self, tag: &str) -> bool {
        let tag = Tag::parse(tag).unwrap();
        self.metadata.run(DeleteTag { repository: name("a"), tag, now: now() }).await.unwrap()
    }

    async fn delete_blob(&self, digest: Digest) -> DeletedBlob {
        self.metadata.run(DeleteBlob { repository: name("a"), digest, window: grace() }).await.unwrap()
    }

    pub(super) async fn put_about(&self, content: &str, subject: &str, tags: &[&str]) {
        let put = PutManifest { subject: Some(digest(subject)), ..manifest("a", content, &[], tags) };
        self.metadata.run(put).await.unwrap().unwrap();
    }

    async fn has(&self, content: &str) -> bool {
        self.metadata.manifest_by_digest(&name("a"), &digest(content)).await.unwrap().is_some()
    }
}

#[tokio::test]
async fn a_deleted_tag_leaves_its_manifest_and_a_history() {
    let facts = Facts::new().await;
    facts.put("a", "image", &[], &["v1", "v2"]).await.unwrap();
    assert!(facts.delete_tag("v1").await);
    assert!(!facts.delete_tag("v1").await);
    assert_eq!(facts.tags("a").await, ["v2"]);
    assert!(facts.has("image").await);
    let history = facts.ask("select name, new_manifest_id is null, cause from tag_history order by id desc limit 1");
    assert_eq!(history, ["v1 1 delete"]);
}

#[tokio::test]
async fn a_deleted_manifest_takes_its_tags_and_comes_back_with_a_push() {
    let facts = Facts::new().await;
    facts.put("a", "image", &[], &["v1", "v2"]).await.unwrap();
    facts.put("b", "image", &[], &["v1"]).await.unwrap();
    assert_eq!(facts.delete("image").await, Some(DeletedManifests { manifests: 1, tags: 2 }));
    assert_eq!(facts.delete("image").await, None);
    assert!(!facts.has("image").await && facts.tags("a").await.is_empty());
    assert_eq!(facts.tags("b").await, ["v1"], "another repository's manifest is its own");
    let removals = facts.ask("select name, cause from tag_history where new_manifest_id is null order by name");
    assert_eq!(removals, ["v1 manifest deleted", "v2 manifest deleted"]);
    facts.put("a", "image", &[], &["v3"]).await.unwrap();
    assert!(facts.has("image").await);
    assert_eq!(facts.tags("a").await, ["v3"]);
    assert_eq!(facts.ask("select count(*) from manifests where deleted_with is not null"), ["0"]);
}

#[tokio::test]
async fn what_is_deleted_is_a_candidate_once_it_cannot_come_back() {
    let facts = Facts::new().await;
    let layer = facts.push_blob("a", "layer").await;
    facts.put("a", "child", &[(Role::Layer, layer)], &[]).await.unwrap();
    facts.put("a", "index", &[(Role::Child, digest("child"))], &[]).await.unwrap();
    facts.delete("index").await.unwrap();
    let candidates = format!(
        "select count(*) from sweep_candidates where kind = 'manifest' and review_after = {}",
        grace().until.micros()
    );
    assert_eq!(facts.ask(&candidates), ["2"]);
    let together = "select count(distinct deleted_with), count(*) from manifests where deleted_at is not null";
    assert_eq!(facts.ask(together), ["1 2"], "the child went with the index");
    assert_eq!(facts.delete_blob(layer).await, DeletedBlob::Deleted);
    assert_eq!(facts.ask("select count(*) from sweep_candidates where kind = 'link'"), ["1"]);
}

#[tokio::test]
async fn a_blob_that_a_live_manifest_needs_stays() {
    let facts = Facts::new().await;
    let layer = facts.push_blob("a", "layer").await;
    facts.push_blob("b", "layer").await;
    facts.put("a", "image", &[(Role::Layer, layer)], &[]).await.unwrap();
    assert_eq!(facts.delete_blob(layer).await, DeletedBlob::NeededBy(digest("image")));
    assert!(facts.metadata.blob(&name("a"), &layer).await.unwrap().is_some());
    facts.delete("image").await.unwrap();
    assert_eq!(facts.delete_blob(layer).await, DeletedBlob::Deleted);
    assert_eq!(facts.delete_blob(layer).await, DeletedBlob::Unknown);
    assert!(facts.metadata.blob(&name("a"), &layer).await.unwrap().is_none());
    assert!(facts.metadata.blob(&name("b"), &layer).await.unwrap().is_some(), "another repository's link is its own");
    assert_eq!(facts.put("a", "image", &[(Role::Layer, layer)], &[]).await, Err(vec![layer]));
    facts.push_blob("a", "layer").await;
    facts.put("a", "image", &[(Role::Layer, layer)], &[]).await.unwrap();
}

#[tokio::test]
async fn tags_about_a_deleted_manifest_go_with_what_they_name() {
    let facts = Facts::new().await;
    facts.put("a", "image", &[], &["v1"]).await.unwrap();
    let about = |suffix: &str| format!("sha256-{}{suffix}", digest("image").hex());
    facts.put("a", "signature", &[], &[&about(".sig")]).await.unwrap();
    facts.put("a", "list", &[], &[&about(""), "kept"]).await.unwrap();
    facts.put("a", "about another", &[], &[&format!("sha256-{}.sig", digest("other").hex())]).await.unwrap();
    assert_eq!(facts.delete("image").await, Some(DeletedManifests { manifests: 2, tags: 3 }));
    assert!(!facts.has("signature").await);
    assert!(facts.has("list").await, "another tag holds it");
    assert!(facts.has("about another").await, "its subject was never here");
}

#[tokio::test]
async fn referrers_of_a_deleted_manifest_go_and_so_do_theirs() {
    let facts = Facts::new().await;
    facts.put("a", "image", &[], &[]).await.unwrap();
    facts.put_about("sbom", "image", &[]).await;
    facts.put_about("signature of sbom", "sbom", &[]).await;
    facts.put_about("tagged", "image", &["kept"]).await;
    assert_eq!(facts.delete("image").await, Some(DeletedManifests { manifests: 3, tags: 0 }));
    assert!(facts.has("tagged").await);
}

#[tokio::test]
async fn a_configuration_that_comes_later_is_the_manifests_own() {
    let facts = Facts::new().await;
    let config = crate::ReferencedContent { role: Role::Config, digest: digest("config"), may_be_absent: true };
    let put = PutManifest { references: vec![config], ..manifest("a", "image", &[], &[]) };
    assert_eq!(facts.metadata.run(put).await.unwrap(), Ok(vec![digest("config")]));
    assert_eq!(facts.ask("select count(*) from manifests where config_blob is null"), ["1"]);
    facts.push_blob("a", "config").await;
    assert_eq!(facts.ask("select count(*) from manifests where config_blob is null"), ["0"]);
}

/// A manifest of the model; it refers to others by their places, which are before its own.
#[derive(Clone, Debug)]
struct Node {
    children: BTreeSet<usize>,
    subject: Option<usize>,
    tagged: bool,
}

fn graph() -> impl Strategy<Value = (Vec<Node>, Vec<usize>)> {
    let node = (
        prop::collection::btree_set(0..12usize, 0..4),
        prop::option::weighted(0.4, 0..12usize),
        prop::bool::weighted(0.2),
    );
    let nodes = prop::collection::vec(node, 1..12).prop_map(|nodes| {
        let before = |place: usize| move |other: &usize| *other < place;
        let node = |(place, (children, subject, tagged)): (usize, (BTreeSet<usize>, Option<usize>, bool))| Node {
            children: children.into_iter().filter(before(place)).collect(),
            subject: subject.filter(before(place)),
            tagged,
        };
        nodes.into_iter().enumerate().map(node).collect::<Vec<_>>()
    });
    (nodes, prop::collection::vec(0..12usize, 1..6))
}

/// What a deletion leaves, told as simply as it can be: again and again, whatever hung on something deleted and is not held goes.
fn delete_in_model(live: &mut BTreeMap<usize, Node>, root: usize) {
    let Some(removed) = live.remove(&root) else { return };
    let mut gone = BTreeMap::from([(root, removed)]);
    loop {
        let held = |place: usize, node: &Node| {
            node.tagged
                || live.values().any(|parent| parent.children.contains(&place))
                || node.subject.is_some_and(|subject| live.contains_key(&subject))
        };
        let hung = |place: usize, node: &Node| {
            gone.values().any(|parent| parent.children.contains(&place))
                || node.subject.is_some_and(|subject| gone.contains_key(&subject))
        };
        let falls = live.iter().find(|(place, node)| hung(**place, node) && !held(**place, node));
        let Some(place) = falls.map(|(place, _)| *place) else { return };
        let node = live.remove(&place).unwrap();
        gone.insert(place, node);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_deletion_leaves_what_the_model_leaves((nodes, roots) in graph()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let facts = Facts::new().await;
            let content = |place: usize| format!("manifest {place}");
            for (place, node) in nodes.iter().enumerate() {
                let references: Vec<_> = node.children.iter().map(|child| (Role::Child, digest(&content(*child)))).collect();
                let tag = format!("t{place}");
                let tags: &[&str] = if node.tagged { &[&tag] } else { &[] };
                let subject = node.subject.map(|subject| digest(&content(subject)));
                let put = PutManifest { subject, ..manifest("a", &content(place), &references, tags) };
                facts.metadata.run(put).await.unwrap().unwrap();
            }
            let mut live: BTreeMap<usize, Node> = nodes.iter().cloned().enumerate().collect();
            for root in roots {
                let before = live.len();
                delete_in_model(&mut live, root);
                let deleted = facts.delete(&content(root)).await.map_or(0, |deleted| deleted.manifests);
                assert_eq!(deleted, before - live.len());
                if deleted > 0 {
                    // There and back again: it takes along and brings back the same.
                    let tags = facts.tags("a").await;
                    let undeleted = facts.undelete(&content(root), now()).await.unwrap();
                    assert_eq!(undeleted.manifests, deleted);
                    assert_eq!(facts.tags("a").await.len(), tags.len() + undeleted.tags);
                    assert_eq!(facts.delete(&content(root)).await.unwrap(), DeletedManifests { manifests: deleted, tags: undeleted.tags });
                    assert_eq!(facts.tags("a").await, tags);
                }
                for place in 0..nodes.len() {
                    assert_eq!(facts.has(&content(place)).await, live.contains_key(&place), "manifest {place}");
                }
            }
        });
    }
}
