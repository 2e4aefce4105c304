//! Bringing back what was deleted, and ending its window.

use std::time::Duration;

use cargohold_oci::{Role, Tag};

use super::{Facts, HOUR, digest, grace, manifest, name, now};
use crate::{
    Candidate, DeleteBlob, DeleteManifest, DeleteRepository, DeleteTag, Deleted, Grace, NotUndeleted, Purge, Purged,
    PutManifest, RecordBackup, ReferencedContent, Timestamp, UndeleteManifest, UndeleteRepository, UndeleteTag,
    Undeleted, Window,
};

const DAY: Duration = Duration::from_hours(24);
const WEEK: Duration = Duration::from_hours(7 * 24);

fn at(now: Timestamp) -> Window {
    Window { now, length: WEEK }
}

impl Facts {
    async fn delete_tag_at(&self, tag: &str, now: Timestamp) {
        let delete = DeleteTag { repository: name("a"), tag: Tag::parse(tag).unwrap(), now };
        assert!(self.metadata.run(delete).await.unwrap());
    }

    async fn undelete_tag(&self, tag: &str, now: Timestamp) -> Result<Undeleted, NotUndeleted> {
        let tag = Tag::parse(tag).unwrap();
        self.metadata.run(UndeleteTag { repository: name("a"), tag, window: at(now) }).await.unwrap()
    }

    async fn delete_manifest_at(&self, content: &str, now: Timestamp) {
        let window = Grace { now, until: now.plus(WEEK) };
        let delete = DeleteManifest { repository: name("a"), digest: digest(content), window };
        self.metadata.run(delete).await.unwrap().unwrap();
    }

    pub(super) async fn undelete(&self, content: &str, now: Timestamp) -> Result<Undeleted, NotUndeleted> {
        let undelete = UndeleteManifest { repository: name("a"), digest: digest(content), window: at(now) };
        self.metadata.run(undelete).await.unwrap()
    }

    async fn delete_repository(&self, repository: &str) -> bool {
        self.metadata.run(DeleteRepository { repository: name(repository), window: grace() }).await.unwrap()
    }

    async fn undelete_repository(&self, repository: &str, now: Timestamp) -> Result<(), NotUndeleted> {
        self.metadata.run(UndeleteRepository { repository: name(repository), window: at(now) }).await.unwrap()
    }

    async fn purge(&self, repository: &str, deleted: Deleted) -> Purged {
        self.metadata.run(Purge { repository: name(repository), deleted, now: now() }).await.unwrap()
    }
}

const fn undeleted(manifests: usize, tags: usize) -> Undeleted {
    Undeleted { manifests, tags }
}

#[tokio::test]
async fn a_tag_comes_back_to_where_it_was() {
    let facts = Facts::new().await;
    facts.put("a", "old", &[], &["v1"]).await.unwrap();
    facts.put("a", "new", &[], &["v1"]).await.unwrap();
    facts.delete_tag_at("v1", now()).await;
    assert_eq!(facts.undelete_tag("v2", now()).await, Err(NotUndeleted::Unknown));
    assert_eq!(facts.undelete_tag("v1", now().plus(WEEK)).await, Err(NotUndeleted::TooLate));
    assert_eq!(facts.undelete_tag("v1", now().plus(HOUR)).await, Ok(undeleted(0, 1)));
    let found = facts.metadata.manifest_by_tag(&name("a"), &Tag::parse("v1").unwrap()).await.unwrap().unwrap();
    assert_eq!(found.digest, digest("new"));
    assert_eq!(facts.undelete_tag("v1", now().plus(HOUR)).await, Err(NotUndeleted::NotDeleted));
    assert_eq!(facts.ask("select cause from tag_history order by at desc limit 1"), ["undelete"]);
}

#[tokio::test]
async fn a_tag_brings_its_manifest_back() {
    let facts = Facts::new().await;
    facts.put("a", "image", &[], &["v1", "v2"]).await.unwrap();
    facts.delete_manifest_at("image", now()).await;
    assert_eq!(facts.undelete_tag("v1", now()).await, Ok(undeleted(1, 2)));
    assert_eq!(facts.tags("a").await, ["v1", "v2"]);

    facts.delete_tag_at("v1", now().plus(HOUR)).await;
    facts.delete_manifest_at("image", now().plus(2 * HOUR)).await;
    assert_eq!(
        facts.undelete_tag("v1", now().plus(3 * HOUR)).await,
        Ok(undeleted(1, 2)),
        "v2, and the one that was asked for"
    );
}

#[tokio::test]
async fn what_was_deleted_together_comes_back_together() {
    let facts = Facts::new().await;
    let layer = facts.push_blob("a", "layer").await;
    facts.put("a", "child", &[(Role::Layer, layer)], &[]).await.unwrap();
    facts.put("a", "index", &[(Role::Child, digest("child"))], &["v1", "v2"]).await.unwrap();
    facts.delete_manifest_at("index", now()).await;
    facts.put("a", "other", &[], &["v2"]).await.unwrap();
    let delete = DeleteBlob { repository: name("a"), digest: layer, window: grace() };
    facts.metadata.run(delete).await.unwrap();

    assert_eq!(facts.undelete("child", now().plus(WEEK)).await, Err(NotUndeleted::TooLate));
    assert_eq!(facts.undelete("child", now().plus(HOUR)).await, Ok(undeleted(2, 1)));
    assert_eq!(facts.undelete("index", now().plus(HOUR)).await, Err(NotUndeleted::NotDeleted));
    assert_eq!(facts.undelete("nothing", now()).await, Err(NotUndeleted::Unknown));
    assert!(facts.metadata.blob(&name("a"), &layer).await.unwrap().is_some(), "a manifest needs it again");
    let v2 = facts.metadata.manifest_by_tag(&name("a"), &Tag::parse("v2").unwrap()).await.unwrap().unwrap();
    assert_eq!(v2.digest, digest("other"), "it was set again since");
    facts.sweep(now().plus(4 * WEEK)).await;
    assert!(facts.metadata.blob(&name("a"), &layer).await.unwrap().is_some());
    assert_eq!(facts.tags("a").await, ["v1", "v2"]);
}

#[tokio::test]
async fn what_waited_for_something_deleted_has_it_when_it_comes_back() {
    let facts = Facts::new().await;
    let (config, layer) = (facts.push_blob("a", "config").await, facts.push_blob("a", "layer").await);
    facts.put("a", "child", &[(Role::Config, config), (Role::Layer, layer)], &[]).await.unwrap();
    facts.put("a", "index", &[(Role::Child, digest("child"))], &["v1"]).await.unwrap();
    facts.delete_manifest_at("index", now()).await;
    for blob in [config, layer] {
        facts.run(DeleteBlob { repository: name("a"), digest: blob, window: grace() }).await;
    }
    for (content, references) in [
        ("other index", vec![(Role::Child, digest("child"))]),
        ("other image", vec![(Role::Config, config), (Role::Layer, layer)]),
    ] {
        let references = references.into_iter();
        let absent = |(role, digest)| ReferencedContent { role, digest, may_be_absent: true };
        let put = PutManifest { references: references.map(absent).collect(), ..manifest("a", content, &[], &[]) };
        assert!(!facts.run(put).await.unwrap().is_empty());
    }
    assert_eq!(facts.undelete("index", now()).await, Ok(undeleted(2, 1)));
    assert_eq!(facts.ask("select count(*) from manifest_references where absent_digest is not null"), ["0"]);
    assert_eq!(facts.ask("select count(*) from manifests where config_blob is not null"), ["2"]);
    facts.delete_manifest_at("index", now().plus(HOUR)).await;
    let child = facts.metadata.manifest_by_digest(&name("a"), &digest("child")).await.unwrap();
    assert!(child.is_some(), "the other index has it");
}

#[tokio::test]
async fn a_second_deletion_has_nothing_of_the_first() {
    let facts = Facts::new().await;
    facts.put("a", "child", &[], &[]).await.unwrap();
    facts.put("a", "index", &[(Role::Child, digest("child"))], &["v1", "v2"]).await.unwrap();
    facts.delete_manifest_at("index", now()).await;
    facts.undelete("index", now()).await.unwrap();
    facts.delete_tag_at("v1", now().plus(HOUR)).await;
    facts.delete_manifest_at("index", now().plus(2 * HOUR)).await;
    assert_eq!(facts.undelete("index", now().plus(3 * HOUR)).await, Ok(undeleted(2, 1)));
    assert_eq!(facts.tags("a").await, ["v2"]);
}

#[tokio::test]
async fn a_repository_comes_back_unless_there_is_a_new_one() {
    let facts = Facts::new().await;
    let layer = facts.push_blob("a", "layer").await;
    facts.put("a", "image", &[(Role::Layer, layer)], &["v1"]).await.unwrap();
    assert_eq!(facts.undelete_repository("a", now()).await, Err(NotUndeleted::NotDeleted));
    assert!(facts.delete_repository("a").await);
    assert!(!facts.delete_repository("a").await);
    assert!(facts.tags("a").await.is_empty() && facts.metadata.blob(&name("a"), &layer).await.unwrap().is_none());
    assert!(facts.metadata.repositories("", 10).await.unwrap().is_empty());
    assert_eq!(facts.undelete("image", now()).await, Err(NotUndeleted::Unknown));
    assert_eq!(facts.undelete_repository("b", now()).await, Err(NotUndeleted::Unknown));
    assert_eq!(facts.undelete_repository("a", now().plus(WEEK)).await, Err(NotUndeleted::TooLate));

    facts.put("a", "new", &[], &["v2"]).await.unwrap();
    assert_eq!(facts.undelete_repository("a", now()).await, Err(NotUndeleted::NotDeleted));
    assert_eq!(facts.tags("a").await, ["v2"]);
    assert_eq!(facts.purge("a", Deleted::Repository).await, Purged::Ended(1));
    facts.sweep(now()).await;
    assert_eq!(facts.ask("select count(*) from repositories"), ["1"]);
    assert_eq!(facts.tags("a").await, ["v2"]);

    facts.delete_repository("a").await;
    assert_eq!(facts.undelete_repository("a", now().plus(HOUR)).await, Ok(()));
    assert_eq!(facts.tags("a").await, ["v2"]);
    facts.sweep(now().plus(4 * WEEK)).await;
    assert_eq!(facts.tags("a").await, ["v2"]);
}

#[tokio::test]
async fn what_is_purged_goes_at_once_with_what_it_alone_held() {
    let facts = Facts::new().await;
    let (own, shared) = (facts.push_blob("a", "own").await, facts.push_blob("a", "shared").await);
    facts.put("a", "secret", &[(Role::Layer, own), (Role::Layer, shared)], &["v1"]).await.unwrap();
    facts.put("a", "other", &[(Role::Layer, shared)], &[]).await.unwrap();
    assert_eq!(facts.purge("a", Deleted::Manifest(digest("secret"))).await, Purged::NotDeleted);
    assert_eq!(facts.purge("a", Deleted::Manifest(digest("nothing"))).await, Purged::Unknown);
    facts.delete_manifest_at("secret", now()).await;
    facts.sweep(now().plus(DAY)).await;
    assert_eq!(facts.ask("select count(*) from manifests"), ["2"]);
    assert_eq!(facts.purge("a", Deleted::Manifest(digest("secret"))).await, Purged::Ended(1));
    assert_eq!(facts.undelete("secret", now()).await, Err(NotUndeleted::TooLate));
    assert_eq!(facts.undelete_tag("v1", now()).await, Err(NotUndeleted::Unknown));
    facts.sweep(now().plus(DAY)).await;
    assert_eq!(facts.ask("select count(*) from manifest_payloads"), ["1"]);
    let discarded = facts.ask("select delete_after from objects where state = 'discarded'");
    assert_eq!(discarded, [now().plus(DAY).micros().to_string()], "not kept a day more");
    assert!(facts.metadata.blob(&name("a"), &shared).await.unwrap().is_some());
}

#[tokio::test]
async fn a_purge_takes_blobs_that_were_deleted_by_themselves() {
    let facts = Facts::new().await;
    let secret = facts.push_blob("a", "secret layer").await;
    facts.put("a", "secret", &[(Role::Layer, secret)], &[]).await.unwrap();
    facts.put("a", "other", &[], &[]).await.unwrap();
    facts.delete_manifest_at("secret", now()).await;
    facts.run(DeleteBlob { repository: name("a"), digest: secret, window: grace() }).await;
    facts.purge("a", Deleted::Manifest(digest("secret"))).await;
    facts.sweep(now()).await;
    assert_eq!(facts.ask("select delete_after from objects"), [now().micros().to_string()]);
}

#[tokio::test]
async fn what_is_purged_is_kept_for_no_backup_and_the_rest_is() {
    let facts = Facts::new().await;
    for (content, layer) in [("secret", "secret layer"), ("image", "layer")] {
        let layer = facts.push_blob("a", layer).await;
        facts.put("a", content, &[(Role::Layer, layer)], &[]).await.unwrap();
        facts.delete_manifest_at(content, now()).await;
    }
    facts.metadata.run(RecordBackup { now: now(), keep_until: now().plus(10 * WEEK) }).await.unwrap();
    facts.purge("a", Deleted::Manifest(digest("secret"))).await;
    facts.sweep(now()).await;
    facts.sweep(now().plus(WEEK)).await;
    facts.sweep(now().plus(WEEK + DAY)).await;
    let discarded = facts.ask("select delete_after from objects where state = 'discarded' order by delete_after");
    assert_eq!(discarded, [now(), now().plus(10 * WEEK)].map(|time| time.micros().to_string()));
}

#[tokio::test]
async fn what_was_pushed_again_since_it_was_purged_is_left_alone() {
    let facts = Facts::new().await;
    let blob = facts.push_blob("a", "layer").await;
    facts.put("a", "image", &[(Role::Layer, blob)], &["v1"]).await.unwrap();
    facts.delete_manifest_at("image", now()).await;
    facts.purge("a", Deleted::Manifest(digest("image"))).await;
    facts.put("a", "image", &[(Role::Layer, blob)], &["v1"]).await.unwrap();
    facts.sweep(now().plus(4 * WEEK)).await;
    assert_eq!(facts.tags("a").await, ["v1"]);
    assert!(facts.metadata.blob(&name("a"), &blob).await.unwrap().is_some());
}

#[tokio::test]
async fn a_purged_tag_is_forgotten() {
    let facts = Facts::new().await;
    facts.put("a", "image", &[], &["v1"]).await.unwrap();
    let tag = || Deleted::Tag(Tag::parse("v1").unwrap());
    assert_eq!(facts.purge("a", tag()).await, Purged::NotDeleted);
    facts.delete_tag_at("v1", now()).await;
    assert_eq!(facts.purge("a", tag()).await, Purged::Ended(2));
    assert_eq!(facts.undelete_tag("v1", now()).await, Err(NotUndeleted::Unknown));
    assert_eq!(facts.purge("a", tag()).await, Purged::Unknown);
}

/// A start with a longer window does not bring back what an earlier one had begun to sweep.
#[tokio::test]
async fn what_is_half_swept_does_not_come_back() {
    let facts = Facts::new().await;
    facts.put("a", "one", &[], &["v1"]).await.unwrap();
    facts.put("a", "two", &[], &[]).await.unwrap();
    facts.put("a", "index", &[(Role::Child, digest("one")), (Role::Child, digest("two"))], &["all"]).await.unwrap();
    facts.delete_tag_at("v1", now()).await;
    facts.delete_manifest_at("index", now()).await;
    assert_eq!(facts.ask("select count(*) from manifests where deleted_at is not null"), ["3"]);
    facts.sweep_first(now().plus(WEEK), |candidate| matches!(candidate, Candidate::Manifest(..))).await;
    for content in ["one", "two", "index"] {
        let answer = facts.undelete(content, now()).await;
        assert!(matches!(answer, Err(NotUndeleted::TooLate | NotUndeleted::Unknown)), "{content}: {answer:?}");
    }
    facts.put("a", "one", &[], &[]).await.unwrap();
    facts.sweep(now().plus(4 * WEEK)).await;
    assert_eq!(facts.ask("select count(*) from manifests"), ["1"]);

    assert!(facts.delete_repository("a").await);
    facts.sweep_first(now().plus(WEEK), |candidate| matches!(candidate, Candidate::Repository(_))).await;
    assert_eq!(facts.ask("select count(*) from repositories"), ["1"], "it goes in steps");
    assert_eq!(facts.undelete_repository("a", now()).await, Err(NotUndeleted::TooLate));
    facts.sweep(now().plus(8 * WEEK)).await;
    assert_eq!(facts.ask("select count(*) from repositories"), ["0"]);
}
