//! Two that sweep, as two processes do.

use cargohold_oci::Role;

use super::{
    arrivals::{late, sweep},
    races,
};
use crate::{Candidate, tests::Facts};

races! {
    a_blob_is_swept_while_its_last_link_is => async |facts: &Facts| {
        let layer = facts.push_blob("a", "layer").await;
        facts.push_blob("b", "layer").await;
        facts.swept(facts.link("b", layer).await).await;
        [sweep(facts.link("a", layer).await), sweep(facts.due("blob").await)]
    };
    two_links_of_a_blob_are_swept => async |facts: &Facts| {
        let layer = facts.push_blob("a", "layer").await;
        facts.push_blob("b", "layer").await;
        [sweep(facts.link("a", layer).await), sweep(facts.link("b", layer).await)]
    };
    a_payload_is_swept_while_its_last_manifest_is => async |facts: &Facts| {
        facts.put("b", "image", &[], &[]).await.unwrap();
        facts.put("a", "image", &[], &[]).await.unwrap();
        facts.deleted("image").await;
        facts.swept(facts.due("manifest").await).await;
        let delete = crate::DeleteManifest {
            repository: crate::tests::name("b"),
            digest: crate::tests::digest("image"),
            window: crate::tests::grace(),
        };
        facts.run(delete).await.unwrap();
        [sweep(facts.due("manifest").await), sweep(facts.due("payload").await)]
    };
    two_manifests_that_share_a_blob_are_swept => async |facts: &Facts| {
        let layer = facts.push_blob("a", "layer").await;
        for content in ["one", "two"] {
            facts.put("a", content, &[(Role::Layer, layer)], &[]).await.unwrap();
            facts.deleted(content).await;
        }
        let due = facts.metadata.due_candidates(late(), 100).await.unwrap();
        let mut due = due.into_iter().filter(|candidate| matches!(candidate, Candidate::Manifest(..)));
        [sweep(due.next().unwrap()), sweep(due.next().unwrap())]
    };
    a_link_is_swept_while_a_manifest_that_needed_it_is => async |facts: &Facts| {
        let layer = facts.push_blob("a", "layer").await;
        facts.put("a", "image", &[(Role::Layer, layer)], &[]).await.unwrap();
        facts.deleted("image").await;
        let link = facts.deleted_link("a", layer).await;
        [sweep(facts.due("manifest").await), sweep(link)]
    };
    a_link_is_swept_twice => async |facts: &Facts| {
        let layer = facts.push_blob("a", "layer").await;
        let link = facts.link("a", layer).await;
        [sweep(link), sweep(link)]
    };
    an_index_and_its_child_are_swept => async |facts: &Facts| {
        facts.put("a", "child", &[], &[]).await.unwrap();
        facts.put("a", "index", &[(Role::Child, crate::tests::digest("child"))], &[]).await.unwrap();
        facts.deleted("index").await;
        let due = facts.metadata.due_candidates(late(), 100).await.unwrap();
        let mut due = due.into_iter().filter(|candidate| matches!(candidate, Candidate::Manifest(..)));
        [sweep(due.next().unwrap()), sweep(due.next().unwrap())]
    };
    /// Another process had looked at the link already, and it came back.
    a_link_that_was_swept_comes_back_while_it_is_looked_at_again => async |facts: &Facts| {
        let layer = facts.push_blob("a", "layer").await;
        facts.push_blob("b", "layer").await;
        let link = facts.link("a", layer).await;
        let finish = facts.placed("a", "layer").await;
        facts.swept(link).await;
        [finish, sweep(link)]
    };
}
