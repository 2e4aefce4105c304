//! Manifests, tags and their history.

use cargohold_oci::{Role, Tag};

use super::{Facts, digest, manifest, name};
use crate::{ManifestId, MarkMissing, ReferencedContent};

#[tokio::test]
async fn a_manifest_whose_content_is_there_is_found_by_tag_and_digest() {
    let facts = Facts::new().await;
    let (config, layer) = (facts.push_blob("a", "config").await, facts.push_blob("a", "layer").await);
    let put = facts.put("a", "image", &[(Role::Config, config), (Role::Layer, layer)], &["v1"]).await.unwrap();
    let by_tag = facts.metadata.manifest_by_tag(&name("a"), &Tag::parse("v1").unwrap()).await.unwrap().unwrap();
    let by_digest = facts.metadata.manifest_by_digest(&name("a"), &put).await.unwrap().unwrap();
    assert_eq!((by_tag.bytes.as_ref(), by_tag.digest), (b"image".as_slice(), put));
    assert_eq!(by_tag, by_digest);
    let head = facts.metadata.manifest_head_by_digest(&name("a"), &put).await.unwrap().unwrap();
    assert_eq!((head.size, head.media_type), (5, by_tag.media_type));
    assert!(facts.metadata.repository_is_published(&name("a")).await.unwrap());
    assert_eq!(facts.metadata.manifest_by_digest(&name("b"), &put).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_missing_is_named_and_nothing_happens() {
    let facts = Facts::new().await;
    let config = facts.push_blob("a", "config").await;
    facts.push_blob("elsewhere", "layer").await;
    let references = [
        (Role::Config, config),
        (Role::Layer, digest("layer")),
        (Role::Child, digest("child")),
        (Role::Layer, digest("layer")),
    ];
    let refused = facts.put("a", "image", &references, &["v1"]).await;
    assert_eq!(refused, Err(vec![digest("layer"), digest("child")]));
    assert_eq!(facts.ask("select count(*) from manifests"), ["0"]);
    assert!(facts.tags("a").await.is_empty());
    assert_eq!(facts.put("nowhere", "image", &references[..1], &[]).await, Err(vec![config]));
    assert_eq!(facts.ask("select count(*) from repositories where name = 'nowhere'"), ["0"]);
}

#[tokio::test]
async fn a_blob_whose_bytes_are_missing_counts_as_missing() {
    let facts = Facts::new().await;
    let layer = facts.push_blob("a", "layer").await;
    let live = facts.metadata.live_object(&layer).await.unwrap().unwrap();
    facts.metadata.run(MarkMissing { object: live.object }).await.unwrap();
    assert_eq!(facts.put("a", "image", &[(Role::Layer, layer)], &[]).await, Err(vec![layer]));
}

#[tokio::test]
async fn a_referenced_link_is_no_longer_on_its_way_out() {
    let facts = Facts::new().await;
    let layer = facts.push_blob("a", "layer").await;
    facts.put("a", "image", &[(Role::Layer, layer)], &[]).await.unwrap();
    assert!(facts.metadata.blob(&name("a"), &layer).await.unwrap().unwrap().unreferenced_since.is_none());
    facts.push_blob("a", "layer").await;
    assert!(
        facts.metadata.blob(&name("a"), &layer).await.unwrap().unwrap().unreferenced_since.is_none(),
        "nor after another push of it"
    );
}

#[tokio::test]
async fn a_manifest_that_refers_to_nothing_makes_its_repository() {
    let facts = Facts::new().await;
    facts.put("new", "empty index", &[], &["v1"]).await.unwrap();
    assert_eq!(facts.tags("new").await, ["v1"]);
}

#[tokio::test]
async fn an_index_refers_to_manifests_and_as_older_build_caches_do_to_blobs() {
    let facts = Facts::new().await;
    let (image, layer) = (facts.put("a", "image", &[], &[]).await.unwrap(), facts.push_blob("a", "layer").await);
    facts.put("a", "index", &[(Role::Child, image), (Role::Child, layer)], &["v1"]).await.unwrap();
    let references = facts.ask(
        "select kind, blob_id is not null, child_manifest_id is not null from manifest_references order by position",
    );
    assert_eq!(references, ["child 0 1", "child 1 0"]);
}

#[tokio::test]
async fn content_that_may_be_absent_is_referred_to_from_when_it_comes() {
    let facts = Facts::new().await;
    let absent = |role, content| ReferencedContent { role, digest: digest(content), may_be_absent: true };
    let references = vec![absent(Role::Layer, "foreign"), absent(Role::Child, "child")];
    let put = crate::PutManifest { references, ..manifest("a", "index", &[], &[]) };
    facts.metadata.run(put).await.unwrap().unwrap();
    let waiting = "select count(*) from manifest_references where absent_digest is not null";
    assert_eq!(facts.ask(waiting), ["2"]);
    let foreign = facts.push_blob("a", "foreign").await;
    facts.put("a", "child", &[], &[]).await.unwrap();
    assert_eq!(facts.ask(waiting), ["0"]);
    assert!(facts.metadata.blob(&name("a"), &foreign).await.unwrap().unwrap().unreferenced_since.is_none());
}

#[tokio::test]
async fn the_same_content_twice_in_a_manifest_is_two_references() {
    let facts = Facts::new().await;
    let empty = facts.push_blob("a", "{}").await;
    facts.put("a", "artifact", &[(Role::Config, empty), (Role::Layer, empty)], &[]).await.unwrap();
    assert_eq!(facts.ask("select kind from manifest_references order by position"), ["config", "layer"]);
}

#[tokio::test]
async fn a_tag_that_moves_leaves_its_manifest_and_a_history() {
    let facts = Facts::new().await;
    let first = facts.put("a", "first", &[], &["latest"]).await.unwrap();
    facts.put("a", "second", &[], &["latest"]).await.unwrap();
    let latest = facts.metadata.manifest_by_tag(&name("a"), &Tag::parse("latest").unwrap()).await.unwrap().unwrap();
    assert_eq!(latest.digest, digest("second"));
    assert!(facts.metadata.manifest_by_digest(&name("a"), &first).await.unwrap().is_some());
    let history = facts.ask("select old_manifest_id is not null, cause from tag_history order by id");
    assert_eq!(history, ["0 push", "1 push"]);
    assert_eq!(facts.ask("select count(*) from tags where previous_manifest_id is not null"), ["1"]);
}

#[tokio::test]
async fn pushing_the_same_again_writes_no_history() {
    let facts = Facts::new().await;
    facts.put("a", "image", &[], &["v1"]).await.unwrap();
    facts.put("a", "image", &[], &["v1"]).await.unwrap();
    assert_eq!(facts.ask("select count(*) from tag_history"), ["1"]);
    assert_eq!(facts.ask("select count(*) from manifests"), ["1"]);
}

#[tokio::test]
async fn a_payload_is_stored_once_for_all_repositories() {
    let facts = Facts::new().await;
    facts.put("a", "image", &[], &[]).await.unwrap();
    facts.put("b", "image", &[], &[]).await.unwrap();
    assert_eq!(facts.ask("select (select count(*) from manifest_payloads), (select count(*) from manifests)"), ["1 2"]);
}

#[tokio::test]
async fn tags_come_in_byte_order_a_page_at_a_time() {
    let facts = Facts::new().await;
    facts.put("a", "image", &[], &["b", "a", "B", "_", "a.1", "a-1"]).await.unwrap();
    assert_eq!(facts.tags("a").await, ["B", "_", "a", "a-1", "a.1", "b"]);
    let page = facts.metadata.tags(&name("a"), "_", 2).await.unwrap();
    assert_eq!(page, [Tag::parse("a").unwrap(), Tag::parse("a-1").unwrap()]);
    let after_what_is_no_tag = facts.metadata.tags(&name("a"), "a.", 9).await.unwrap();
    assert_eq!(after_what_is_no_tag, [Tag::parse("a.1").unwrap(), Tag::parse("b").unwrap()]);
}

#[tokio::test]
async fn a_tag_that_names_a_subject_remembers_it() {
    let facts = Facts::new().await;
    let image = facts.put("a", "image", &[], &[]).await.unwrap();
    facts.put("a", "signature", &[], &[&format!("sha256-{}.sig", image.hex())]).await.unwrap();
    assert_eq!(facts.ask("select count(*) from tags where subject is not null"), ["1"]);
}

#[tokio::test]
async fn referrers_come_in_the_order_in_which_they_came_from_their_repository_alone() {
    let facts = Facts::new().await;
    let subject = digest("not here");
    for (repository, content) in [("a", "first"), ("a", "second"), ("b", "elsewhere")] {
        let put = crate::PutManifest { subject: Some(subject), ..manifest(repository, content, &[], &[]) };
        facts.metadata.run(put).await.unwrap().unwrap();
    }
    facts.put("a", "about nothing", &[], &[]).await.unwrap();
    let listed = facts.metadata.referrers(&name("a"), &subject, ManifestId::FIRST, 9).await.unwrap();
    assert_eq!(listed.iter().map(|it| it.digest).collect::<Vec<_>>(), [digest("first"), digest("second")]);
    let rest = facts.metadata.referrers(&name("a"), &subject, listed[0].manifest, 9).await.unwrap();
    assert_eq!(rest, listed[1..]);
}

#[tokio::test]
async fn published_repositories_come_in_byte_order() {
    let facts = Facts::new().await;
    for repository in ["b", "a/b", "a-b"] {
        facts.put(repository, "image", &[], &[]).await.unwrap();
    }
    facts.push_blob("a/unpublished", "layer").await;
    assert_eq!(facts.metadata.repositories("", 9).await.unwrap(), [name("a-b"), name("a/b"), name("b")]);
    assert_eq!(facts.metadata.repositories("a-b", 1).await.unwrap(), [name("a/b")]);
}
