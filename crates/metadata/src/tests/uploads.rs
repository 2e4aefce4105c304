//! Sessions, their one writer, and how they end.

use super::{Facts, digest, finish, grace, key, name, now, seen};
use crate::{
    AbandonUpload, AdvanceUpload, CancelUpload, ClaimKey, ClaimUpload, ExpireUpload, FinishUpload, Finished,
    ForgetObjects, MarkMissing, Mount, RenewLink, Seen,
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
    let newer = facts.metadata.run(ClaimUpload { seen: seen(upload, older), now: now() }).await.unwrap().unwrap();
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
    let (upload, epoch) = facts.start("a").await;
    let claim = |seen| ClaimUpload { seen, now: now() };
    assert_eq!(facts.metadata.run(claim(Seen { received: 7, ..seen(upload, epoch) })).await.unwrap(), None);
    let claimed = facts.metadata.run(claim(seen(upload, epoch))).await.unwrap();
    assert!(claimed.is_some_and(|claimed| claimed > epoch));
    assert_eq!(facts.metadata.run(claim(seen(upload, epoch))).await.unwrap(), None, "somebody did since it was seen");
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
    let claim = async |upload, epoch| {
        let keys = vec![key("same"), format!("beside-{upload}")];
        facts.metadata.run(ClaimKey { seen: seen(upload, epoch), keys, now: now() }).await.unwrap().unwrap()
    };
    let (first, epoch) = facts.start("a").await;
    assert_eq!(claim(first, epoch).await.place, 0);
    let (second, epoch) = facts.start("a").await;
    let claimed = claim(second, epoch).await;
    assert_eq!(claimed.place, 1);
    // Claiming one's own place again, as a repeated finish does, is the same claim.
    assert_eq!(claim(second, claimed.epoch).await.place, 1);
}

#[tokio::test]
async fn who_names_the_place_is_the_newest_writer() {
    let facts = Facts::new().await;
    let (upload, older) = facts.start("a").await;
    let claim = |epoch| ClaimKey { seen: seen(upload, epoch), keys: vec![key("layer")], now: now() };
    let newer = facts.metadata.run(claim(older)).await.unwrap().unwrap().epoch;
    assert!(newer > older);
    assert_eq!(facts.metadata.run(claim(older)).await.unwrap(), None, "of two who saw the same session one goes on");
    let advance = AdvanceUpload { upload, epoch: older, received: 3, hash_state: vec![2], now: now() };
    assert!(!facts.metadata.run(advance).await.unwrap());
    assert_eq!(facts.metadata.run(finish(upload, older, "layer")).await.unwrap(), Finished::Superseded);
    assert_eq!(facts.metadata.run(finish(upload, newer, "layer")).await.unwrap(), Finished::Live);
}

#[tokio::test]
async fn nobody_names_a_place_for_less_than_was_received() {
    let facts = Facts::new().await;
    let (upload, epoch) = facts.start("a").await;
    let seen = |received| Seen { received, ..seen(upload, epoch) };
    let claim = |received| ClaimKey { seen: seen(received), keys: vec![key("layer")], now: now() };
    let advance = AdvanceUpload { upload, epoch, received: 5, hash_state: vec![2], now: now() };
    assert!(facts.metadata.run(advance).await.unwrap());
    assert_eq!(facts.metadata.run(claim(0)).await.unwrap(), None);
    assert_eq!(facts.metadata.run(finish(upload, epoch, "")).await.unwrap(), Finished::Superseded);
    assert!(facts.metadata.run(claim(5)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_session_that_is_about_to_end_does_not_expire() {
    let facts = Facts::new().await;
    let (upload, epoch) = facts.start("a").await;
    let later = now().plus(super::HOUR);
    let claim = ClaimKey { seen: seen(upload, epoch), keys: vec![key("layer")], now: later };
    assert!(facts.metadata.run(claim).await.unwrap().is_some());
    assert!(!facts.metadata.run(ExpireUpload { upload, touched_before: later, now: later }).await.unwrap());
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
async fn who_abandons_a_session_ends_nothing_that_came_since() {
    let facts = Facts::new().await;
    let (upload, epoch) = facts.start("a").await;
    let abandon = |seen| AbandonUpload { seen, now: now() };
    let advance = AdvanceUpload { upload, epoch, received: 5, hash_state: vec![2], now: now() };
    assert!(facts.metadata.run(advance).await.unwrap());
    assert!(!facts.metadata.run(abandon(seen(upload, epoch))).await.unwrap());
    let newest = Seen { received: 5, ..seen(upload, epoch) };
    let newer = facts.metadata.run(ClaimUpload { seen: newest, now: now() }).await.unwrap().unwrap();
    assert!(!facts.metadata.run(abandon(newest)).await.unwrap());
    assert!(facts.metadata.run(abandon(Seen { epoch: newer, ..newest })).await.unwrap());
    assert_eq!(facts.metadata.upload(&name("a"), upload).await.unwrap(), None);
    assert_eq!(facts.metadata.discarded(now(), 10).await.unwrap().len(), 1);
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
