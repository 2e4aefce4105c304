//! What comes, against what removes it: a manifest, a mount, a finished upload; a sweep, a delete.

use cargohold_oci::{Digest, Role};

use super::{Act, act, races};
use crate::{
    Candidate, ClaimKey, DeleteBlob, DeleteManifest, FinishUpload, Grace, Mount, ObjectId, PutManifest,
    ReferencedContent, RenewLink, StartUpload, SweepCandidate, SweepTimes, Timestamp,
    tests::{Facts, HOUR, digest, finish, grace, key, manifest, name, now, seen},
};

/// When all that may go may go.
pub(super) fn late() -> Timestamp {
    now().plus(HOUR)
}

pub(super) fn times() -> SweepTimes {
    SweepTimes { now: late(), grace: HOUR, window: HOUR, keep: HOUR }
}

/// Later than what the scenes make: what is renewed by it is not due for a sweep at [`late`].
pub(super) fn later() -> Grace {
    Grace { now: late(), until: late().plus(HOUR) }
}

pub(super) fn sweep(candidate: Candidate) -> Act {
    act(move || SweepCandidate { candidate, times: times() })
}

pub(super) fn put(content: &'static str, references: Vec<(Role, Digest)>, tags: &'static [&'static str]) -> Act {
    act(move || PutManifest { now: late(), ..manifest("a", content, &references, tags) })
}

/// Puts a manifest that is accepted without what it refers to.
pub(super) fn put_sparse(content: &'static str, references: Vec<(Role, Digest)>) -> Act {
    act(move || sparse("a", content, &references))
}

pub(super) fn sparse(repository: &str, content: &str, references: &[(Role, Digest)]) -> PutManifest {
    let absent =
        |(role, digest): &(Role, Digest)| ReferencedContent { role: *role, digest: *digest, may_be_absent: true };
    let references = references.iter().map(absent).collect();
    PutManifest { references, now: late(), ..manifest(repository, content, &[], &[]) }
}

pub(super) fn mount(source: Option<&'static str>, target: &'static str, digest: Digest) -> Act {
    act(move || Mount { source: source.map(name), target: name(target), digest, grace: later() })
}

pub(super) fn delete_blob(repository: &'static str, digest: Digest) -> Act {
    act(move || DeleteBlob { repository: name(repository), digest, window: later() })
}

pub(super) fn delete(content: &'static str) -> Act {
    act(move || DeleteManifest { repository: name("a"), digest: digest(content), window: later() })
}

impl Facts {
    /// An upload whose bytes are in their place: what is left is to finish it.
    pub(super) async fn placed(&self, repository: &str, content: &'static str) -> Act {
        self.placed_beside(repository, content, None).await
    }

    pub(super) async fn placed_beside(&self, repository: &str, content: &'static str, winner: Option<ObjectId>) -> Act {
        let (upload, mut epoch) = self.start(repository).await;
        if winner.is_none() {
            let claim = ClaimKey {
                seen: seen(upload, epoch),
                keys: vec![key(content), format!("{}-{upload}", key(content))],
                now: now(),
            };
            epoch = self.run(claim).await.unwrap().epoch;
        }
        act(move || FinishUpload { winner, grace: later(), ..finish(upload, epoch, content) })
    }

    pub(super) async fn link(&self, repository: &str, digest: Digest) -> Candidate {
        let copy = self.metadata.blob(&name(repository), &digest).await.unwrap().unwrap();
        Candidate::Link(copy.repository, copy.blob)
    }

    /// A link of the blob to a repository that is deleted; it is due for the sweep.
    pub(super) async fn deleted_link(&self, repository: &'static str, digest: Digest) -> Candidate {
        let link = self.link(repository, digest).await;
        let delete = DeleteBlob { repository: name(repository), digest, window: grace() };
        self.run(delete).await;
        link
    }

    /// The candidates of that kind that are due.
    pub(super) async fn due(&self, kind: &str) -> Candidate {
        let due = self.metadata.due_candidates(late(), 100).await.unwrap();
        let is = |candidate: &Candidate| match candidate {
            Candidate::Repository(_) => kind == "repository",
            Candidate::Link(..) => kind == "link",
            Candidate::Manifest(..) => kind == "manifest",
            Candidate::Payload(_) => kind == "payload",
            Candidate::Blob(_) => kind == "blob",
        };
        due.into_iter().find(is).unwrap_or_else(|| panic!("no {kind} is due"))
    }

    pub(super) async fn swept(&self, candidate: Candidate) {
        self.run(SweepCandidate { candidate, times: times() }).await;
    }

    pub(super) async fn deleted(&self, content: &str) {
        let delete = DeleteManifest { repository: name("a"), digest: digest(content), window: grace() };
        self.run(delete).await.unwrap();
    }

    /// A blob that no repository has any more; it is due for the sweep.
    pub(super) async fn forgotten_blob(&self, content: &str) -> Candidate {
        let blob = self.push_blob("elsewhere", content).await;
        self.swept(self.link("elsewhere", blob).await).await;
        self.due("blob").await
    }

    pub(super) async fn live(&self, content: &str) -> ObjectId {
        self.metadata.live_object(&digest(content)).await.unwrap().unwrap().object
    }
}

races! {
    a_manifest_comes_for_a_blob_whose_link_is_swept => async |facts: &Facts| {
        let layer = facts.push_blob("a", "layer").await;
        [put("image", vec![(Role::Layer, layer)], &["v1"]), sweep(facts.link("a", layer).await)]
    };
    a_manifest_comes_for_a_blob_that_is_deleted => async |facts: &Facts| {
        let layer = facts.push_blob("a", "layer").await;
        [put("image", vec![(Role::Layer, layer)], &["v1"]), delete_blob("a", layer)]
    };
    a_manifest_comes_back_while_it_is_swept => async |facts: &Facts| {
        let layer = facts.push_blob("a", "layer").await;
        facts.put("a", "image", &[(Role::Layer, layer)], &["v1"]).await.unwrap();
        facts.deleted("image").await;
        [put("image", vec![(Role::Layer, layer)], &["v1"]), sweep(facts.due("manifest").await)]
    };
    a_manifest_without_references_comes_back_while_it_is_swept => async |facts: &Facts| {
        facts.put("a", "image", &[], &[]).await.unwrap();
        facts.deleted("image").await;
        [put("image", vec![], &["v1"]), sweep(facts.due("manifest").await)]
    };
    a_manifest_comes_whose_payload_is_swept => async |facts: &Facts| {
        facts.put("a", "image", &[], &[]).await.unwrap();
        facts.deleted("image").await;
        facts.swept(facts.due("manifest").await).await;
        [put("image", vec![], &["v1"]), sweep(facts.due("payload").await)]
    };
    a_manifest_comes_while_the_blob_of_another_repository_is_swept => async |facts: &Facts| {
        let layer = facts.push_blob("a", "layer").await;
        facts.push_blob("b", "layer").await;
        facts.swept(facts.link("b", layer).await).await;
        [put("image", vec![(Role::Layer, layer)], &[]), sweep(facts.due("blob").await)]
    };
    an_index_comes_for_a_child_that_is_deleted => async |facts: &Facts| {
        facts.put("a", "child", &[], &[]).await.unwrap();
        [put("index", vec![(Role::Child, digest("child"))], &["v1"]), delete("child")]
    };
    an_index_comes_for_a_child_that_goes_with_another => async |facts: &Facts| {
        facts.put("a", "child", &[], &[]).await.unwrap();
        facts.put("a", "other", &[(Role::Child, digest("child"))], &[]).await.unwrap();
        [put("index", vec![(Role::Child, digest("child"))], &["v1"]), delete("other")]
    };
    an_index_comes_again_while_it_is_deleted => async |facts: &Facts| {
        facts.put("a", "child", &[], &[]).await.unwrap();
        facts.put("a", "index", &[(Role::Child, digest("child"))], &[]).await.unwrap();
        [put("index", vec![(Role::Child, digest("child"))], &["v1"]), delete("index")]
    };
    an_index_that_may_be_sparse_comes_for_a_child_that_is_swept => async |facts: &Facts| {
        facts.put("a", "child", &[], &[]).await.unwrap();
        facts.deleted("child").await;
        [put_sparse("index", vec![(Role::Child, digest("child"))]), sweep(facts.due("manifest").await)]
    };
    a_tag_comes_to_a_signature_whose_subject_is_deleted => async |facts: &Facts| {
        let image = facts.put("a", "image", &[], &[]).await.unwrap();
        facts.put("a", "signature", &[], &[&format!("sha256-{}.sig", image.hex())]).await.unwrap();
        [put("signature", vec![], &["kept"]), delete("image")]
    };
    a_manifest_comes_into_a_repository_that_is_swept => async |facts: &Facts| {
        facts.push_blob("a", "layer").await;
        facts.swept(facts.link("a", digest("layer")).await).await;
        [put("image", vec![], &["v1"]), sweep(facts.due("repository").await)]
    };
    an_upload_starts_in_a_repository_that_is_swept => async |facts: &Facts| {
        facts.push_blob("a", "layer").await;
        facts.swept(facts.link("a", digest("layer")).await).await;
        let (upload, store) = (cargohold_oci::UploadId::parse("00000000-0000-0000-0000-000000000099").unwrap(), facts.store);
        let start = move || StartUpload {
            repository: name("a"), upload, store, key: "uploads/99".to_owned(), hash_state: vec![1], grace: later(),
        };
        [act(start), sweep(facts.due("repository").await)]
    };
    a_mount_from_a_link_that_is_swept => async |facts: &Facts| {
        let layer = facts.push_blob("a", "layer").await;
        [mount(Some("a"), "b", layer), sweep(facts.link("a", layer).await)]
    };
    a_mount_from_a_link_that_is_deleted => async |facts: &Facts| {
        let layer = facts.push_blob("a", "layer").await;
        [mount(Some("a"), "b", layer), delete_blob("a", layer)]
    };
    a_mount_over_a_deleted_link_that_is_swept => async |facts: &Facts| {
        let layer = facts.push_blob("a", "layer").await;
        facts.push_blob("b", "layer").await;
        [mount(Some("a"), "b", layer), sweep(facts.deleted_link("b", layer).await)]
    };
    a_mount_of_a_blob_that_is_swept => async |facts: &Facts| {
        let layer = facts.push_blob("a", "layer").await;
        facts.swept(facts.link("a", layer).await).await;
        [mount(None, "b", layer), sweep(facts.due("blob").await)]
    };
    a_mount_into_a_repository_that_is_swept => async |facts: &Facts| {
        let layer = facts.push_blob("elsewhere", "layer").await;
        facts.push_blob("a", "layer").await;
        facts.swept(facts.link("a", layer).await).await;
        let repository = facts.metadata.blob(&name("elsewhere"), &layer).await.unwrap().unwrap().repository;
        let due = facts.metadata.due_candidates(late(), 100).await.unwrap().into_iter();
        let mut due = due.filter(|candidate| matches!(candidate, Candidate::Repository(other) if *other != repository));
        [mount(Some("elsewhere"), "a", layer), sweep(due.next().unwrap())]
    };
    a_blob_comes_again_while_its_link_is_swept => async |facts: &Facts| {
        let layer = facts.push_blob("a", "layer").await;
        [facts.placed("a", "layer").await, sweep(facts.link("a", layer).await)]
    };
    a_blob_comes_again_while_its_deleted_link_is_swept => async |facts: &Facts| {
        let layer = facts.push_blob("a", "layer").await;
        let finish = facts.placed("a", "layer").await;
        [finish, sweep(facts.deleted_link("a", layer).await)]
    };
    a_blob_comes_again_while_it_is_deleted => async |facts: &Facts| {
        let layer = facts.push_blob("a", "layer").await;
        [facts.placed("a", "layer").await, delete_blob("a", layer)]
    };
    a_blob_comes_again_while_it_is_swept => async |facts: &Facts| {
        let blob = facts.forgotten_blob("layer").await;
        [facts.placed("a", "layer").await, sweep(blob)]
    };
    a_blob_comes_and_its_winner_is_swept => async |facts: &Facts| {
        let blob = facts.forgotten_blob("layer").await;
        let winner = facts.live("layer").await;
        [facts.placed_beside("a", "layer", Some(winner)).await, sweep(blob)]
    };
    a_blob_comes_into_a_repository_that_is_swept => async |facts: &Facts| {
        let finish = facts.placed("a", "layer").await;
        [finish, sweep(facts.due("repository").await)]
    };
    a_blob_comes_that_a_manifest_is_about_to_wait_for => async |facts: &Facts| {
        let finish = facts.placed("a", "layer").await;
        [put_sparse("image", vec![(Role::Layer, digest("layer"))]), finish]
    };
    a_blob_comes_back_that_a_manifest_is_about_to_wait_for => async |facts: &Facts| {
        let layer = facts.push_blob("a", "layer").await;
        let finish = facts.placed("a", "layer").await;
        facts.deleted_link("a", layer).await;
        [put_sparse("image", vec![(Role::Layer, layer)]), finish]
    };
    a_blob_comes_into_a_new_repository_with_a_manifest_that_waits_for_it => async |facts: &Facts| {
        let layer = facts.push_blob("b", "layer").await;
        [put_sparse("image", vec![(Role::Config, layer)]), mount(Some("b"), "a", layer)]
    };
    a_mount_brings_what_a_manifest_is_about_to_wait_for => async |facts: &Facts| {
        let layer = facts.push_blob("b", "layer").await;
        facts.put("a", "other", &[], &[]).await.unwrap();
        [put_sparse("image", vec![(Role::Config, layer)]), mount(Some("b"), "a", layer)]
    };
    a_child_comes_that_an_index_is_about_to_wait_for => async |facts: &Facts| {
        facts.put("a", "other", &[], &[]).await.unwrap();
        [put_sparse("index", vec![(Role::Child, digest("child"))]), put("child", vec![], &[])]
    };
    a_child_comes_back_that_an_index_is_about_to_wait_for => async |facts: &Facts| {
        facts.put("a", "child", &[], &[]).await.unwrap();
        facts.deleted("child").await;
        [put_sparse("index", vec![(Role::Child, digest("child"))]), put("child", vec![], &[])]
    };
    two_manifests_wait_and_bring_each_other_a_blob_between => async |facts: &Facts| {
        facts.put("a", "other", &[], &[]).await.unwrap();
        [
            put_sparse("one", vec![(Role::Child, digest("two")), (Role::Layer, digest("layer"))]),
            put_sparse("two", vec![(Role::Child, digest("three")), (Role::Layer, digest("layer"))]),
        ]
    };
    a_blob_comes_for_a_deleted_manifest_that_is_swept => async |facts: &Facts| {
        facts.run(sparse("a", "image", &[(Role::Layer, digest("layer"))])).await.unwrap();
        facts.deleted("image").await;
        let finish = facts.placed("a", "layer").await;
        [finish, sweep(facts.due("manifest").await)]
    };
    a_promise_is_renewed_while_its_link_is_swept => async |facts: &Facts| {
        let layer = facts.push_blob("a", "layer").await;
        let Candidate::Link(repository, blob) = facts.link("a", layer).await else { unreachable!() };
        [act(move || RenewLink { repository, blob, grace: later() }), sweep(Candidate::Link(repository, blob))]
    };
    a_promise_is_renewed_while_its_link_is_deleted => async |facts: &Facts| {
        let layer = facts.push_blob("a", "layer").await;
        let Candidate::Link(repository, blob) = facts.link("a", layer).await else { unreachable!() };
        [act(move || RenewLink { repository, blob, grace: later() }), delete_blob("a", layer)]
    };
    two_manifests_come_into_a_new_repository => async |_: &Facts| {
        [put("one", vec![], &["v1"]), put("two", vec![], &["v1"])]
    };
    a_manifest_comes_twice => async |facts: &Facts| {
        let (config, layer) = (facts.push_blob("a", "config").await, facts.push_blob("a", "layer").await);
        let references = vec![(Role::Config, config), (Role::Layer, layer)];
        [put("image", references.clone(), &["v1"]), put("image", references, &["v2"])]
    };
    two_manifests_come_that_share_their_blobs_in_another_order => async |facts: &Facts| {
        let (one, two) = (facts.push_blob("a", "one").await, facts.push_blob("a", "two").await);
        [put("image", vec![(Role::Layer, one), (Role::Layer, two)], &["x", "y"]), put("other", vec![(Role::Layer, two), (Role::Layer, one)], &["x", "y"])]
    };
    two_manifests_come_with_tags_in_another_order => async |facts: &Facts| {
        facts.put("a", "image", &[], &["x", "y"]).await.unwrap();
        [put("one", vec![], &["x", "y"]), put("two", vec![], &["y", "x"])]
    };
}
