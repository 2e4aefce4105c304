//! Two that delete, or one that deletes and one that sweeps.

use cargohold_oci::{Role, Tag};

use super::{
    act,
    arrivals::{delete, delete_blob, late, put, sweep},
    races,
};
use crate::{
    DeleteTag, PutManifest,
    tests::{Facts, digest, manifest, name},
};

fn delete_tag(tag: &'static str) -> super::Act {
    act(move || DeleteTag { repository: name("a"), tag: Tag::parse(tag).unwrap(), now: late() })
}

races! {
    two_indexes_that_share_a_child_are_deleted => async |facts: &Facts| {
        facts.put("a", "child", &[], &[]).await.unwrap();
        facts.put("a", "one", &[(Role::Child, digest("child"))], &[]).await.unwrap();
        facts.put("a", "two", &[(Role::Child, digest("child"))], &[]).await.unwrap();
        [delete("one"), delete("two")]
    };
    two_indexes_that_share_children_in_another_order_are_deleted => async |facts: &Facts| {
        for child in ["x", "y", "z"] {
            facts.put("a", child, &[], &["tag"]).await.unwrap();
        }
        let (x, y, z) = ((Role::Child, digest("x")), (Role::Child, digest("y")), (Role::Child, digest("z")));
        facts.put("a", "one", &[x, y, z], &["one"]).await.unwrap();
        facts.put("a", "two", &[z, y, x], &["two"]).await.unwrap();
        [delete("one"), delete("two")]
    };
    an_index_and_its_child_are_deleted => async |facts: &Facts| {
        facts.put("a", "child", &[], &[]).await.unwrap();
        facts.put("a", "index", &[(Role::Child, digest("child"))], &[]).await.unwrap();
        [delete("index"), delete("child")]
    };
    a_manifest_is_deleted_twice => async |facts: &Facts| {
        facts.put("a", "image", &[], &["v1"]).await.unwrap();
        [delete("image"), delete("image")]
    };
    a_referrer_comes_whose_subject_is_deleted => async |facts: &Facts| {
        facts.put("a", "image", &[], &[]).await.unwrap();
        facts.put_about("first", "image", &[]).await;
        let about = || PutManifest { subject: Some(digest("image")), now: late(), ..manifest("a", "second", &[], &[]) };
        [act(about), delete("image")]
    };
    a_referrer_is_tagged_whose_subject_is_deleted => async |facts: &Facts| {
        facts.put("a", "image", &[], &[]).await.unwrap();
        facts.put_about("sbom", "image", &[]).await;
        let tagged = || PutManifest { subject: Some(digest("image")), now: late(), ..manifest("a", "sbom", &[], &["kept"]) };
        [act(tagged), delete("image")]
    };
    a_tag_is_deleted_while_it_moves => async |facts: &Facts| {
        facts.put("a", "image", &[], &["v1"]).await.unwrap();
        [put("other", vec![], &["v1"]), delete_tag("v1")]
    };
    a_tag_moves_from_a_manifest_that_is_deleted => async |facts: &Facts| {
        facts.put("a", "image", &[], &["v1"]).await.unwrap();
        [put("other", vec![], &["v1"]), delete("image")]
    };
    a_tag_comes_to_a_child_whose_index_is_deleted => async |facts: &Facts| {
        facts.put("a", "child", &[], &[]).await.unwrap();
        facts.put("a", "index", &[(Role::Child, digest("child"))], &[]).await.unwrap();
        [put("child", vec![], &["kept"]), delete("index")]
    };
    the_last_tag_of_a_signature_is_deleted_while_its_subject_is => async |facts: &Facts| {
        let image = facts.put("a", "image", &[], &[]).await.unwrap();
        facts.put("a", "signature", &[], &["v1", &format!("sha256-{}.sig", image.hex())]).await.unwrap();
        [delete_tag("v1"), delete("image")]
    };
    a_manifest_is_deleted_while_its_child_is_swept => async |facts: &Facts| {
        facts.put("a", "child", &[], &[]).await.unwrap();
        facts.put("a", "index", &[(Role::Child, digest("child"))], &[]).await.unwrap();
        facts.deleted("child").await;
        [delete("index"), sweep(facts.due("manifest").await)]
    };
    a_blob_is_deleted_while_its_manifest_is => async |facts: &Facts| {
        let layer = facts.push_blob("a", "layer").await;
        facts.put("a", "image", &[(Role::Layer, layer)], &[]).await.unwrap();
        [delete("image"), delete_blob("a", layer)]
    };
    a_blob_is_deleted_while_its_link_is_swept => async |facts: &Facts| {
        let layer = facts.push_blob("a", "layer").await;
        [delete_blob("a", layer), sweep(facts.link("a", layer).await)]
    };
    a_blob_is_deleted_while_its_manifest_is_swept => async |facts: &Facts| {
        let layer = facts.push_blob("a", "layer").await;
        facts.put("a", "image", &[(Role::Layer, layer)], &[]).await.unwrap();
        facts.deleted("image").await;
        [delete_blob("a", layer), sweep(facts.due("manifest").await)]
    };
}
