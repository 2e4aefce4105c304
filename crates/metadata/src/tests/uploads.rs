//! Sessions, their one writer, and how they end.

use super::{Facts, digest, finish, grace, key, name, now};
use crate::{
    AdvanceUpload, CancelUpload, ClaimKey, ClaimUpload, ClaimedKey, ExpireUpload, FinishUpload, Finished,
    ForgetObjects, MarkMissing, Mount, RenewLink,
};

#[tokio::test]
async fn an_upload_ends_in_a_blob_that_only_its_repository_has() {
    let facts = Facts::new().await;
    let layer = facts.push_blob("a", "layer").await;
    let copy = facts.metadata.blob(&name("a"), &layer).await.unwrap().unwrap();
    assert_eq!((copy.key.as_str(), copy.size, copy.unreferenced_since), ("blobs/layer", 5, Some(now())));
    assert_eq!(facts.metadata.blob(&name("b"), &layer).await.unwrap(), None);
    assert_eq!(facts.ask("select count(*) from uploads"), ["0"]);
}

#[tokio::test]
async fn a_repository_that_only_an_upload_made_is_not_published() {
    let facts = Facts::new().await;
    facts.push_blob("a", "layer").await;
    assert!(!facts.metadata.repository_is_published(&name("a")).await.unwrap());
}

#[tokio::test]
async fn a_link_that_nothing_refers_to_is_a_candidate_until_a_manifest_comes() {
    let facts = Facts::new().await;
    facts.push_blob("a", "layer").await;
    let hour = 3_600_000_000i64;
    let due = now().micros() + hour;
    let candidates = facts.ask("select kind, review_after from sweep_candidates order by kind");
    assert_eq!(candidates, [format!("link {due}"), format!("repository {due}")]);
}

#[tokio::test]
async fn a_newer_writer_makes_the_older_ones_commits_fail() {
    let facts = Facts::new().await;
    let (upload, older) = facts.start("a").await;
    let newer = facts.metadata.run(ClaimUpload { upload, received: 0, now: now() }).await.unwrap().unwrap();
    let advance = |epoch, received| AdvanceUpload { upload, epoch, received, hash_state: vec![2], now: now() };
    assert!(!facts.metadata.run(advance(older, 3)).await.unwrap());
    assert!(facts.metadata.run(advance(newer, 5)).await.unwrap());
    assert_eq!(facts.metadata.run(finish(upload, older, "layer")).await.unwrap(), Finished::Superseded);
    let session = facts.metadata.upload(&name("a"), upload).await.unwrap().unwrap();
    assert_eq!((session.received, session.hash_state), (5, vec![2]));
}

#[tokio::test]
async fn nobody_claims_a_session_from_where_it_does_not_stand() {
    let facts = Facts::new().await;
    let (upload, _) = facts.start("a").await;
    assert_eq!(facts.metadata.run(ClaimUpload { upload, received: 7, now: now() }).await.unwrap(), None);
}

#[tokio::test]
async fn a_session_belongs_to_its_repository() {
    let facts = Facts::new().await;
    let (upload, _) = facts.start("a").await;
    assert_eq!(facts.metadata.upload(&name("b"), upload).await.unwrap(), None);
    let cancel = CancelUpload { repository: name("b"), upload, now: now() };
    assert!(!facts.metadata.run(cancel).await.unwrap());
}

#[tokio::test]
async fn two_rows_never_name_the_same_place() {
    let facts = Facts::new().await;
    let keys = |upload| vec![key("same"), format!("beside-{upload}")];
    let (first, epoch) = facts.start("a").await;
    let claimed = facts.metadata.run(ClaimKey { upload: first, epoch, keys: keys(first) }).await.unwrap();
    assert_eq!(claimed, Some(ClaimedKey(0)));
    let (second, epoch) = facts.start("a").await;
    let claimed = facts.metadata.run(ClaimKey { upload: second, epoch, keys: keys(second) }).await.unwrap();
    assert_eq!(claimed, Some(ClaimedKey(1)));
    // Claiming one's own place again, as a repeated finish does, is the same claim.
    let claimed = facts.metadata.run(ClaimKey { upload: second, epoch, keys: keys(second) }).await.unwrap();
    assert_eq!(claimed, Some(ClaimedKey(1)));
}

#[tokio::test]
async fn of_two_finishers_of_one_digest_the_first_is_kept() {
    let facts = Facts::new().await;
    facts.push_blob("a", "same").await;
    facts.push_blob("b", "same").await;
    let states = facts.ask("select state, count(*) from objects group by state order by state");
    assert_eq!(states, ["discarded 1", "live 1"]);
    let found = facts.metadata.blob(&name("b"), &digest("same")).await.unwrap().unwrap();
    assert_eq!(found.key, "blobs/same");
}

#[tokio::test]
async fn a_winner_that_is_gone_changes_nothing() {
    let facts = Facts::new().await;
    facts.push_blob("a", "same").await;
    let live = facts.metadata.live_object(&digest("same")).await.unwrap().unwrap();
    facts.metadata.run(MarkMissing { object: live.object }).await.unwrap();
    let (upload, epoch) = facts.start("b").await;
    let finish = FinishUpload { winner: Some(live.object), ..finish(upload, epoch, "same") };
    assert_eq!(facts.metadata.run(finish).await.unwrap(), Finished::WinnerGone);
    assert!(facts.metadata.upload(&name("b"), upload).await.unwrap().is_some());
    assert_eq!(facts.metadata.blob(&name("a"), &digest("same")).await.unwrap(), None, "missing bytes are not served");
}

#[tokio::test]
async fn a_push_heals_what_is_missing_for_every_repository() {
    let facts = Facts::new().await;
    facts.push_blob("a", "same").await;
    let live = facts.metadata.live_object(&digest("same")).await.unwrap().unwrap();
    facts.metadata.run(MarkMissing { object: live.object }).await.unwrap();
    facts.push_blob("b", "same").await;
    assert!(facts.metadata.blob(&name("a"), &digest("same")).await.unwrap().is_some());
}

#[tokio::test]
async fn a_cancelled_upload_is_deleted_at_once() {
    let facts = Facts::new().await;
    let (upload, _) = facts.start("a").await;
    let cancel = || CancelUpload { repository: name("a"), upload, now: now() };
    assert!(facts.metadata.run(cancel()).await.unwrap());
    assert!(!facts.metadata.run(cancel()).await.unwrap());
    let due = facts.metadata.discarded(now(), 10).await.unwrap();
    assert_eq!(due.iter().map(|object| object.upload).collect::<Vec<_>>(), [Some(upload)]);
    facts.metadata.run(ForgetObjects { objects: due.iter().map(|object| object.object).collect() }).await.unwrap();
    assert_eq!(facts.ask("select count(*) from objects"), ["0"]);
}

#[tokio::test]
async fn a_live_object_is_never_forgotten() {
    let facts = Facts::new().await;
    facts.push_blob("a", "layer").await;
    let live = facts.metadata.live_object(&digest("layer")).await.unwrap().unwrap();
    facts.metadata.run(ForgetObjects { objects: vec![live.object] }).await.unwrap();
    assert!(facts.metadata.live_object(&digest("layer")).await.unwrap().is_some());
}

#[tokio::test]
async fn a_mount_needs_a_source_that_has_the_blob() {
    let facts = Facts::new().await;
    let layer = facts.push_blob("a", "layer").await;
    let mount =
        |source, target| Mount { source: Some(name(source)), target: name(target), digest: layer, grace: grace() };
    assert!(!facts.metadata.run(mount("nowhere", "b")).await.unwrap());
    assert_eq!(facts.ask("select name from repositories"), ["a"], "a mount that was not done leaves nothing behind");
    assert!(facts.metadata.run(mount("a", "b")).await.unwrap());
    assert!(facts.metadata.blob(&name("b"), &layer).await.unwrap().is_some());
}

#[tokio::test]
async fn a_renewed_link_is_reviewed_later() {
    let facts = Facts::new().await;
    let layer = facts.push_blob("a", "layer").await;
    let copy = facts.metadata.blob(&name("a"), &layer).await.unwrap().unwrap();
    let later = crate::Grace { now: now().plus(super::HOUR), until: now().plus(super::HOUR * 2) };
    let renew = RenewLink { repository: copy.repository, blob: copy.blob, grace: later };
    assert!(facts.metadata.run(renew).await.unwrap());
    assert_eq!(facts.ask("select unreferenced_since from repository_blobs"), [later.now.micros().to_string()]);
    assert_eq!(
        facts.ask("select review_after from sweep_candidates where kind = 'link'"),
        [later.until.micros().to_string()]
    );
}

#[tokio::test]
async fn a_session_expires_unless_a_byte_came() {
    let facts = Facts::new().await;
    let (upload, _) = facts.start("a").await;
    let later = now().plus(super::HOUR);
    let expire = |touched_before| ExpireUpload { upload, touched_before, now: later };
    assert!(facts.metadata.stale_uploads(now(), 10).await.unwrap().is_empty());
    assert!(!facts.metadata.run(expire(now())).await.unwrap());
    assert_eq!(facts.metadata.stale_uploads(later, 10).await.unwrap(), [upload]);
    assert!(facts.metadata.run(expire(later)).await.unwrap());
    assert_eq!(facts.metadata.discarded(later, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_mount_that_names_no_source_takes_any() {
    let facts = Facts::new().await;
    let layer = facts.push_blob("a", "layer").await;
    let mount = |digest| Mount { source: None, target: name("b"), digest, grace: grace() };
    assert!(!facts.metadata.run(mount(digest("nobody has this"))).await.unwrap());
    assert!(facts.metadata.run(mount(layer)).await.unwrap());
    assert!(facts.metadata.blob(&name("b"), &layer).await.unwrap().is_some());
}
