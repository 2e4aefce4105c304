//! The sweep: what it takes, what it leaves, and that nothing is left in the end that nobody needs.

use std::time::Duration;

use cargohold_oci::{Digest, Role};
use proptest::prelude::*;

use super::{Facts, HOUR, digest, finish, grace, key, manifest, name, now, seen};
use crate::{
    Candidate, ClaimKey, DeleteBlob, DeleteManifest, DeleteRepository, Deleted, FinishUpload, Grace, Mount, Purge,
    PutManifest, ReferencedContent, SweepCandidate, SweepTimes, Swept, Timestamp, UndeleteManifest, UndeleteRepository,
    Window,
};

const DAY: Duration = Duration::from_hours(24);
const WEEK: Duration = Duration::from_hours(7 * 24);

impl Facts {
    /// Looks at every candidate that is due, until none is.
    pub(super) async fn sweep(&self, now: Timestamp) -> Vec<Swept> {
        let times = SweepTimes { now, grace: DAY, window: WEEK, keep: DAY };
        let mut swept = Vec::new();
        loop {
            let due = self.metadata.due_candidates(now, 10).await.unwrap();
            if due.is_empty() {
                return swept;
            }
            for candidate in due {
                swept.push(self.metadata.run(SweepCandidate { candidate, times }).await.unwrap());
            }
        }
    }

    /// Looks at the first candidate of a kind that is due, once.
    pub(super) async fn sweep_first(&self, now: Timestamp, kind: impl Fn(&Candidate) -> bool) -> Swept {
        let times = SweepTimes { now, grace: DAY, window: WEEK, keep: DAY };
        let due = self.metadata.due_candidates(now, 1000).await.unwrap();
        let candidate = due.into_iter().find(kind).unwrap();
        self.metadata.run(SweepCandidate { candidate, times }).await.unwrap()
    }

    async fn delete_manifest(&self, content: &str) {
        let delete = DeleteManifest { repository: name("a"), digest: digest(content), window: grace() };
        self.metadata.run(delete).await.unwrap().unwrap();
    }

    fn count(&self, table: &str) -> String {
        self.ask(&format!("select count(*) from {table}")).remove(0)
    }
}

#[tokio::test]
async fn a_blob_that_no_manifest_came_for_goes_after_its_grace() {
    let facts = Facts::new().await;
    let blob = facts.push_blob("a", "layer").await;
    assert_eq!(facts.sweep(now().plus(HOUR)).await, [Swept::Waits(now().plus(DAY)); 2], "the link and its repository");
    assert!(facts.metadata.blob(&name("a"), &blob).await.unwrap().is_some());
    facts.sweep(now().plus(2 * DAY)).await;
    assert!(facts.metadata.blob(&name("a"), &blob).await.unwrap().is_none());
    assert_eq!(facts.count("blobs"), "0");
    let discarded = facts.ask("select state, delete_after, blob_id from objects");
    assert_eq!(discarded, [format!("discarded {} -", now().plus(3 * DAY).micros())]);
    facts.sweep(now().plus(4 * DAY)).await;
    assert_eq!(facts.count("repositories"), "0", "nothing was ever put into it");
}

#[tokio::test]
async fn what_a_manifest_refers_to_stays() {
    let facts = Facts::new().await;
    let blob = facts.push_blob("a", "layer").await;
    facts.put("a", "image", &[(Role::Layer, blob)], &[]).await.unwrap();
    assert_eq!(facts.sweep(now().plus(WEEK)).await, [Swept::Needed, Swept::Needed]);
    assert_eq!(facts.count("sweep_candidates"), "0");
    assert!(facts.metadata.blob(&name("a"), &blob).await.unwrap().is_some());
}

#[tokio::test]
async fn a_deleted_manifest_goes_after_its_window_and_its_blobs_after_a_grace_more() {
    let facts = Facts::new().await;
    let (own, shared) = (facts.push_blob("a", "own").await, facts.push_blob("a", "shared").await);
    facts.put("a", "image", &[(Role::Layer, own), (Role::Layer, shared)], &["v1"]).await.unwrap();
    facts.put("a", "other", &[(Role::Layer, shared)], &[]).await.unwrap();
    facts.put("b", "image", &[], &[]).await.unwrap_or(own);
    facts.delete_manifest("image").await;
    facts.sweep(now().plus(DAY * 6)).await;
    assert_eq!(facts.count("manifests"), "3");
    facts.sweep(now().plus(WEEK)).await;
    assert_eq!(
        facts
            .ask("select count(*) from manifests where repository_id = (select id from repositories where name = 'a')"),
        ["1"]
    );
    assert!(facts.metadata.blob(&name("a"), &own).await.unwrap().is_some(), "a push may want it");
    facts.sweep(now().plus(WEEK + DAY)).await;
    assert!(facts.metadata.blob(&name("a"), &own).await.unwrap().is_none());
    assert!(facts.metadata.blob(&name("a"), &shared).await.unwrap().is_some());
    assert_eq!(facts.count("manifest_payloads"), "2", "the other repository has the same manifest");
}

#[tokio::test]
async fn a_manifest_that_came_back_is_not_swept() {
    let facts = Facts::new().await;
    let blob = facts.push_blob("a", "layer").await;
    facts.put("a", "image", &[(Role::Layer, blob)], &[]).await.unwrap();
    facts.delete_manifest("image").await;
    facts.put("a", "image", &[(Role::Layer, blob)], &["v1"]).await.unwrap();
    facts.sweep(now().plus(4 * WEEK)).await;
    assert_eq!(facts.tags("a").await, ["v1"]);
    assert!(facts.metadata.blob(&name("a"), &blob).await.unwrap().is_some());
}

#[tokio::test]
async fn an_index_outlives_a_child_that_was_deleted_and_has_it_again_with_the_next_push() {
    let facts = Facts::new().await;
    facts.put("a", "child", &[], &[]).await.unwrap();
    facts.put("a", "index", &[(Role::Child, digest("child"))], &["v1"]).await.unwrap();
    facts.delete_manifest("child").await;
    facts.sweep(now().plus(2 * WEEK)).await;
    assert_eq!(facts.ask("select absent_digest is not null from manifest_references"), ["1"]);
    facts.put("a", "child", &[], &[]).await.unwrap();
    assert_eq!(facts.ask("select child_manifest_id is not null from manifest_references"), ["1"]);
}

#[tokio::test]
async fn bytes_that_are_pushed_again_while_the_old_ones_wait_get_a_place_of_their_own() {
    let facts = Facts::new().await;
    facts.push_blob("a", "layer").await;
    facts.sweep(now().plus(2 * DAY)).await;
    let blob = facts.push_blob("a", "layer").await;
    let copy = facts.metadata.blob(&name("a"), &blob).await.unwrap().unwrap();
    assert_ne!(copy.key, key("layer"), "that one is about to be deleted");
}

#[tokio::test]
async fn a_deleted_repository_goes_with_all_that_it_has() {
    let facts = Facts::new().await;
    let blob = facts.push_blob("a", "layer").await;
    let children: Vec<_> = (0..120).map(|number| format!("child {number}")).collect();
    for child in &children {
        facts.put("a", child, &[(Role::Layer, blob)], &[&format!("t{}", child.len())]).await.unwrap();
    }
    let references: Vec<_> = children.iter().map(|child| (Role::Child, digest(child))).collect();
    facts.put("a", "index", &references, &["v1"]).await.unwrap();
    facts.start("a").await;
    facts.put("b", "kept", &[], &["v1"]).await.unwrap();
    let delete = DeleteRepository { repository: name("a"), window: Grace { now: now(), until: now().plus(WEEK) } };
    assert!(facts.metadata.run(delete).await.unwrap());
    facts.sweep(now().plus(HOUR)).await;
    assert_eq!(facts.count("repositories"), "2");
    facts.sweep(now().plus(WEEK)).await;
    assert_eq!(facts.ask("select name from repositories"), ["b"]);
    for (table, rows) in [
        ("manifests", "1"),
        ("manifest_payloads", "1"),
        ("repository_blobs", "0"),
        ("uploads", "0"),
        ("tags", "1"),
        ("blobs", "0"),
    ] {
        assert_eq!(facts.count(table), rows, "{table}");
    }
    assert_eq!(facts.ask("select distinct state from objects"), ["discarded"]);
}

/// Something that happens to one of two repositories.
#[derive(Clone, Debug)]
enum Step {
    Push(usize),
    Mount(usize),
    Put { manifest: usize, layers: Vec<usize>, children: Vec<usize>, sparse: bool, tagged: bool },
    DeleteManifest(usize),
    DeleteBlob(usize),
    DeleteRepository,
    UndeleteManifest(usize),
    UndeleteRepository,
    PurgeManifest(usize),
    PurgeRepository,
    Sweep,
}

fn step() -> impl Strategy<Value = (bool, u64, Step)> {
    let few = || prop::collection::vec(0..4usize, 0..3);
    let put = (0..4usize, few(), few(), any::<bool>(), any::<bool>()).prop_map(
        |(manifest, layers, children, sparse, tagged)| Step::Put { manifest, layers, children, sparse, tagged },
    );
    let step = prop_oneof![
        3 => (0..4usize).prop_map(Step::Push),
        1 => (0..4usize).prop_map(Step::Mount),
        4 => put,
        2 => (0..4usize).prop_map(Step::DeleteManifest),
        1 => (0..4usize).prop_map(Step::DeleteBlob),
        1 => Just(Step::DeleteRepository),
        2 => (0..4usize).prop_map(Step::UndeleteManifest),
        1 => Just(Step::UndeleteRepository),
        1 => (0..4usize).prop_map(Step::PurgeManifest),
        1 => Just(Step::PurgeRepository),
        2 => Just(Step::Sweep),
    ];
    (any::<bool>(), 0..80u64, step)
}

/// The same bytes always refer to the same content, so what a manifest refers to is part of its name.
fn named(manifest: usize, layers: &[usize], children: &[usize]) -> String {
    format!("manifest {manifest} of {layers:?} and {children:?}")
}

struct Story {
    facts: Facts,
    now: Timestamp,
    put: Vec<(&'static str, String)>,
}

impl Story {
    fn grace(&self) -> Grace {
        Grace { now: self.now, until: self.now.plus(DAY) }
    }

    async fn tell(&mut self, repository: &'static str, step: &Step) {
        match step {
            Step::Push(blob) => self.push(repository, &format!("blob {blob}")).await,
            Step::Mount(blob) => {
                let other = if repository == "a" { "b" } else { "a" };
                let digest = digest(&format!("blob {blob}"));
                let mount = Mount { source: Some(name(other)), target: name(repository), digest, grace: self.grace() };
                self.facts.metadata.run(mount).await.unwrap();
            }
            Step::Put { manifest, layers, children, sparse, tagged } => {
                self.put_manifest(repository, &named(*manifest, layers, children), layers, children, *sparse, *tagged)
                    .await;
            }
            Step::DeleteManifest(which) => {
                let Some((repository, content)) = self.put.get(*which) else { return };
                let window = Grace { now: self.now, until: self.now.plus(WEEK) };
                let delete = DeleteManifest { repository: name(repository), digest: digest(content), window };
                self.facts.metadata.run(delete).await.unwrap();
            }
            Step::DeleteBlob(blob) => {
                let window = Grace { now: self.now, until: self.now.plus(WEEK) };
                let digest = digest(&format!("blob {blob}"));
                self.facts.metadata.run(DeleteBlob { repository: name(repository), digest, window }).await.unwrap();
            }
            Step::DeleteRepository => {
                let window = Grace { now: self.now, until: self.now.plus(WEEK) };
                self.facts.metadata.run(DeleteRepository { repository: name(repository), window }).await.unwrap();
            }
            Step::UndeleteManifest(which) => {
                let Some((repository, content)) = self.put.get(*which) else { return };
                let window = Window { now: self.now, length: WEEK };
                let undelete = UndeleteManifest { repository: name(repository), digest: digest(content), window };
                self.facts.metadata.run(undelete).await.unwrap().ok();
            }
            Step::UndeleteRepository => {
                let window = Window { now: self.now, length: WEEK };
                let undelete = UndeleteRepository { repository: name(repository), window };
                self.facts.metadata.run(undelete).await.unwrap().ok();
            }
            Step::PurgeManifest(which) => {
                let Some((repository, content)) = self.put.get(*which) else { return };
                self.purge(repository, Deleted::Manifest(digest(content))).await;
            }
            Step::PurgeRepository => self.purge(repository, Deleted::Repository).await,
            Step::Sweep => {
                self.facts.sweep(self.now).await;
            }
        }
    }

    async fn purge(&self, repository: &str, deleted: Deleted) {
        self.facts.metadata.run(Purge { repository: name(repository), deleted, now: self.now }).await.unwrap();
    }

    async fn push(&self, repository: &str, content: &str) {
        let (upload, epoch) = self.facts.start(repository).await;
        let claim = ClaimKey {
            seen: seen(upload, epoch),
            keys: vec![key(content), format!("{}-{upload}", key(content))],
            now: now(),
        };
        let claimed = self.facts.metadata.run(claim).await.unwrap().unwrap();
        let finish = FinishUpload { grace: self.grace(), ..finish(upload, claimed.epoch, content) };
        self.facts.metadata.run(finish).await.unwrap();
    }

    async fn put_manifest(
        &mut self,
        repository: &'static str,
        content: &str,
        layers: &[usize],
        children: &[usize],
        sparse: bool,
        tagged: bool,
    ) {
        let layer = |layer: &usize| (Role::Layer, digest(&format!("blob {layer}")));
        let child = |child: &usize| (Role::Child, digest(&named(*child, &[], &[])));
        let references = layers.iter().map(layer).chain(children.iter().map(child));
        let references: Vec<_> = references
            .map(|(role, digest): (Role, Digest)| ReferencedContent { role, digest, may_be_absent: sparse })
            .collect();
        let tags: &[&str] = if tagged { &["latest"] } else { &[] };
        let put = PutManifest { references, now: self.now, ..manifest(repository, content, &[], tags) };
        if self.facts.metadata.run(put).await.unwrap().is_ok() {
            self.put.insert(0, (repository, content.to_owned()));
        }
    }
}

pub(super) const BROKEN: &[(&str, &str)] = &[
    (
        "a live manifest's blob without live bytes",
        "select f.manifest_id from manifest_references f
         join manifests m on m.id = f.manifest_id and m.deleted_at is null
         where f.blob_id is not null and not exists (
            select 1 from objects o where o.blob_id = f.blob_id and o.state = 'live')",
    ),
    (
        "a tag on a deleted manifest",
        "select t.name from tags t join manifests m on m.id = t.manifest_id where m.deleted_at is not null",
    ),
    (
        "a discarded object that a blob names",
        "select id from objects where state = 'discarded' and blob_id is not null",
    ),
];

const LEFT_OVER: &[(&str, &str)] = &[
    ("a candidate", "select kind from sweep_candidates"),
    ("a deleted repository", "select id from repositories where deleted_at is not null"),
    ("a deleted manifest", "select id from manifests where deleted_at is not null"),
    ("a payload of nothing", "select id from manifest_payloads where id not in (select payload_id from manifests)"),
    (
        "a link that nothing refers to",
        "select blob_id from repository_blobs l where not exists (
            select 1 from manifest_references f where f.repository_id = l.repository_id and f.blob_id = l.blob_id)",
    ),
    ("a blob of no repository", "select id from blobs where id not in (select blob_id from repository_blobs)"),
    ("live bytes of no blob", "select id from objects where state = 'live' and blob_id is null"),
    ("a repository of nothing", "select id from repositories where published_at is null"),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// At no time is anything broken, and in the end nothing is left that nobody needs.
    #[test]
    fn the_sweep_takes_all_the_garbage_and_nothing_else(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut story = Story { facts: Facts::new().await, now: now(), put: Vec::new() };
            for (in_a, hours, step) in &steps {
                story.now = story.now.plus(HOUR * u32::try_from(*hours).unwrap());
                story.tell(if *in_a { "a" } else { "b" }, step).await;
                for (what, query) in BROKEN {
                    assert_eq!(story.facts.ask(query), [""; 0], "{what} after {step:?}");
                }
            }
            let live = "select m.id from manifests m join repositories r on r.id = m.repository_id
                where m.deleted_at is null and r.deleted_at is null";
            let before = story.facts.ask(live);
            for weeks in 1..6 {
                story.facts.sweep(story.now.plus(WEEK * weeks)).await;
            }
            assert_eq!(story.facts.ask(live), before);
            for (what, query) in BROKEN.iter().chain(LEFT_OVER) {
                assert_eq!(story.facts.ask(query), [""; 0], "{what}");
            }
        });
    }
}
