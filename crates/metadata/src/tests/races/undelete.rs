//! What comes back, or may come back no more, against what changes it; and the deletion of repositories.

use std::time::Duration;

use cargohold_oci::{Role, Tag};

use super::{
    Act, act,
    arrivals::{delete, delete_blob, late, later, mount, put, put_sparse, sweep},
    races,
};
use crate::{
    DeleteRepository, DeleteTag, Deleted, Purge, UndeleteManifest, UndeleteRepository, UndeleteTag, Window,
    tests::{Facts, HOUR, digest, grace, name, now},
};

/// Longer than the sweep's: what the sweep takes could still come back, as it is with two clocks that differ.
const WINDOW: Window = Window { now: now(), length: Duration::from_hours(2) };

fn undelete(content: &'static str) -> Act {
    act(move || UndeleteManifest { repository: name("a"), digest: digest(content), window: WINDOW })
}

fn undelete_tag(tag: &'static str) -> Act {
    act(move || UndeleteTag { repository: name("a"), tag: Tag::parse(tag).unwrap(), window: WINDOW })
}

fn undelete_repository() -> Act {
    act(|| UndeleteRepository { repository: name("a"), window: WINDOW })
}

fn delete_repository() -> Act {
    act(|| DeleteRepository { repository: name("a"), window: later() })
}

fn purge(deleted: impl Fn() -> Deleted + Send + 'static) -> Act {
    act(move || Purge { repository: name("a"), deleted: deleted(), now: late() })
}

impl Facts {
    async fn deleted_image(&self) {
        let layer = self.push_blob("a", "layer").await;
        self.put("a", "image", &[(Role::Layer, layer)], &["v1"]).await.unwrap();
        self.deleted("image").await;
    }

    async fn deleted_repository(&self) {
        self.put("a", "image", &[], &["v1"]).await.unwrap();
        assert!(self.run(DeleteRepository { repository: name("a"), window: grace() }).await);
    }
}

races! {
    a_manifest_comes_back_while_it_is_swept => async |facts: &Facts| {
        facts.deleted_image().await;
        [undelete("image"), sweep(facts.due("manifest").await)]
    };
    a_manifest_comes_back_while_it_is_purged => async |facts: &Facts| {
        facts.deleted_image().await;
        [undelete("image"), purge(|| Deleted::Manifest(digest("image")))]
    };
    a_manifest_comes_back_while_it_is_put => async |facts: &Facts| {
        facts.deleted_image().await;
        [undelete("image"), put("image", vec![(Role::Layer, digest("layer"))], &["v2"])]
    };
    a_manifest_comes_back_twice => async |facts: &Facts| {
        facts.deleted_image().await;
        [undelete("image"), undelete_tag("v1")]
    };
    a_manifest_comes_back_while_its_blob_is_deleted => async |facts: &Facts| {
        facts.deleted_image().await;
        [undelete("image"), delete_blob("a", digest("layer"))]
    };
    a_manifest_comes_back_while_its_deleted_link_is_swept => async |facts: &Facts| {
        facts.deleted_image().await;
        [undelete("image"), sweep(facts.deleted_link("a", digest("layer")).await)]
    };
    a_manifest_comes_back_while_its_blob_comes_again => async |facts: &Facts| {
        facts.deleted_image().await;
        facts.deleted_link("a", digest("layer")).await;
        [undelete("image"), facts.placed("a", "layer").await]
    };
    a_manifest_comes_back_while_another_that_shares_its_blob_is_swept => async |facts: &Facts| {
        facts.deleted_image().await;
        facts.put("a", "other", &[(Role::Layer, digest("layer"))], &[]).await.unwrap();
        let sweep = sweep(facts.due("manifest").await);
        facts.deleted("other").await;
        [undelete("other"), sweep]
    };
    a_manifest_comes_back_while_its_tag_is_set => async |facts: &Facts| {
        facts.deleted_image().await;
        [undelete("image"), put("other", vec![], &["v1"])]
    };
    an_index_comes_back_while_its_child_is_deleted => async |facts: &Facts| {
        facts.put("a", "child", &[], &[]).await.unwrap();
        facts.put("a", "index", &[(Role::Child, digest("child"))], &["v1"]).await.unwrap();
        facts.deleted("index").await;
        facts.put("a", "child", &[], &[]).await.unwrap();
        [undelete("index"), delete("child")]
    };
    an_index_comes_back_while_another_that_shares_its_child_is_deleted => async |facts: &Facts| {
        facts.put("a", "child", &[], &[]).await.unwrap();
        facts.put("a", "other", &[(Role::Child, digest("child"))], &[]).await.unwrap();
        facts.put("a", "index", &[(Role::Child, digest("child"))], &["v1"]).await.unwrap();
        facts.deleted("index").await;
        [undelete("index"), delete("other")]
    };
    a_child_comes_back_that_an_index_is_about_to_wait_for => async |facts: &Facts| {
        facts.put("a", "child", &[], &[]).await.unwrap();
        facts.deleted("child").await;
        [put_sparse("index", vec![(Role::Child, digest("child"))]), undelete("child")]
    };
    a_tag_comes_back_while_it_is_set => async |facts: &Facts| {
        facts.put("a", "image", &[], &["v1"]).await.unwrap();
        facts.run(DeleteTag { repository: name("a"), tag: Tag::parse("v1").unwrap(), now: now() }).await;
        [undelete_tag("v1"), put("other", vec![], &["v1"])]
    };
    a_tag_comes_back_while_its_manifest_is_deleted => async |facts: &Facts| {
        facts.put("a", "image", &[], &["v1"]).await.unwrap();
        facts.run(DeleteTag { repository: name("a"), tag: Tag::parse("v1").unwrap(), now: now() }).await;
        [undelete_tag("v1"), delete("image")]
    };
    a_tag_comes_back_while_it_is_purged => async |facts: &Facts| {
        facts.put("a", "image", &[], &["v1"]).await.unwrap();
        facts.run(DeleteTag { repository: name("a"), tag: Tag::parse("v1").unwrap(), now: now() }).await;
        [undelete_tag("v1"), purge(|| Deleted::Tag(Tag::parse("v1").unwrap()))]
    };
    a_manifest_is_purged_while_it_is_put => async |facts: &Facts| {
        facts.deleted_image().await;
        [put("image", vec![(Role::Layer, digest("layer"))], &["v2"]), purge(|| Deleted::Manifest(digest("image")))]
    };
    a_manifest_is_purged_while_it_is_swept => async |facts: &Facts| {
        facts.deleted_image().await;
        [purge(|| Deleted::Manifest(digest("image"))), sweep(facts.due("manifest").await)]
    };
    a_repository_is_deleted_while_a_manifest_comes => async |facts: &Facts| {
        facts.put("a", "image", &[], &["v1"]).await.unwrap();
        [put("other", vec![], &["v2"]), delete_repository()]
    };
    a_repository_is_deleted_while_a_mount_comes => async |facts: &Facts| {
        let layer = facts.push_blob("b", "layer").await;
        facts.put("a", "image", &[], &["v1"]).await.unwrap();
        [mount(Some("b"), "a", layer), delete_repository()]
    };
    a_repository_is_deleted_while_a_blob_comes => async |facts: &Facts| {
        facts.put("a", "image", &[], &["v1"]).await.unwrap();
        [facts.placed("a", "layer").await, delete_repository()]
    };
    a_repository_comes_back_while_a_new_one_is_made => async |facts: &Facts| {
        facts.deleted_repository().await;
        [undelete_repository(), put("other", vec![], &["v2"])]
    };
    a_repository_comes_back_while_it_is_swept => async |facts: &Facts| {
        facts.deleted_repository().await;
        [undelete_repository(), sweep(facts.due("repository").await)]
    };
    a_repository_comes_back_while_it_is_purged => async |facts: &Facts| {
        facts.deleted_repository().await;
        [undelete_repository(), purge(|| Deleted::Repository)]
    };
}

/// The scenes' window is longer than the sweep's, which is an hour.
const _: () = assert!(WINDOW.length.as_secs() > HOUR.as_secs());
