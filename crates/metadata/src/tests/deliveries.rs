//! What changes is written down for whoever wants to know, with the change or not at all, and stays until it was told.

use std::sync::Arc;

use cargohold_oci::{Role, Tag};

use super::{Facts, HOUR, digest, finish, grace, manifest, name, now, seen};
use crate::{
    Change, ClaimKey, DeleteBlob, DeleteManifest, DeleteRepository, DeleteTag, Delivered, EndpointId, EnsureEndpoint,
    EventId, Fence, ForgetEndpoint, Herald, HoldEndpoint, KeepEndpoint, Mount, NewEvent, NotDelivered, Notice,
    Redeliver, Segment, Telling, Timestamp, Told, TrimDeliveries, tests::key,
};

/// Tells everything in a few words.
#[derive(Debug)]
struct Crier(Vec<EndpointId>);

impl Herald for Crier {
    fn tell(&self, changes: Vec<Change>) -> Option<Notice> {
        let event = |change: Change| NewEvent { uuid: "u".to_owned(), at: now(), body: words(&change) };
        Some(Notice { endpoints: self.0.clone(), events: changes.into_iter().map(event).collect() })
    }
}

fn words(change: &Change) -> String {
    let short = |digest: &cargohold_oci::Digest| digest.hex()[..6].to_owned();
    match change {
        Change::BlobPushed { digest, size } => format!("push-blob {} {size}", short(digest)),
        Change::BlobMounted { digest, size, source } => format!("mount {} {size} {source}", short(digest)),
        Change::ManifestPushed { digest, size, tag, .. } => {
            format!("push {} {size} {}", short(digest), tag.as_ref().map_or("-", Tag::as_str))
        }
        Change::TagDeleted(tag) => format!("delete-tag {tag}"),
        Change::ManifestDeleted(digest) => format!("delete {}", short(digest)),
        Change::BlobDeleted(digest) => format!("delete-blob {}", short(digest)),
        Change::RepositoryDeleted => "delete-repository".to_owned(),
    }
}

fn short(content: &str) -> String {
    digest(content).hex()[..6].to_owned()
}

pub(super) fn told<T: Telling>(transaction: T, endpoints: &[EndpointId]) -> Told<T> {
    Told { transaction, herald: Arc::new(Crier(endpoints.to_vec())) }
}

impl Facts {
    pub(super) async fn endpoint(&self, name: &str) -> EndpointId {
        self.run(EnsureEndpoint { name: name.to_owned() }).await
    }

    pub(super) async fn hold(&self, endpoint: EndpointId) -> Option<Fence> {
        self.run(HoldEndpoint { endpoint, until: now().plus(HOUR), now: now() }).await
    }

    /// Puts a manifest that endpoints are told of.
    pub(super) async fn tell(&self, content: &str, endpoints: &[EndpointId]) {
        self.run(told(manifest("a", content, &[], &[]), endpoints)).await.unwrap();
    }

    pub(super) async fn waiting(&self, endpoint: EndpointId) -> Vec<(EventId, String)> {
        let next = self.metadata.next_deliveries(endpoint, 1000).await.unwrap();
        next.into_iter().map(|delivery| (delivery.event, delivery.body)).collect()
    }

    async fn words(&self, endpoint: EndpointId) -> Vec<String> {
        self.waiting(endpoint).await.into_iter().map(|(_event, body)| body).collect()
    }

    fn events(&self) -> String {
        self.ask("select count(*) from events").remove(0)
    }
}

#[tokio::test]
async fn every_change_is_told_in_order() {
    let facts = Facts::new().await;
    let hook = facts.endpoint("hook").await;
    let to = &[hook];
    let (upload, epoch) = facts.start("a").await;
    let claim = ClaimKey { seen: seen(upload, epoch), keys: vec![key("layer")], now: now() };
    let claimed = facts.run(claim).await.unwrap();
    facts.run(told(finish(upload, claimed.epoch, "layer"), to)).await;
    let layer = digest("layer");
    for source in [Some(name("a")), None] {
        let target = name(if source.is_some() { "b" } else { "c" });
        assert!(facts.run(told(Mount { source, target, digest: layer, grace: grace() }, to)).await);
    }
    facts.run(told(manifest("a", "image", &[(Role::Layer, layer)], &["v1", "v2"]), to)).await.unwrap();
    facts.run(told(manifest("a", "image", &[(Role::Layer, layer)], &[]), to)).await.unwrap();
    let tag = Tag::parse("v1").unwrap();
    assert!(facts.run(told(DeleteTag { repository: name("a"), tag, now: now() }, to)).await);
    facts.run(told(DeleteBlob { repository: name("c"), digest: layer, window: grace() }, to)).await;
    assert!(facts.run(told(DeleteRepository { repository: name("b"), window: grace() }, to)).await);
    let (layer, image) = (short("layer"), short("image"));
    let mut mounts = facts.words(hook).await;
    // Which repository it came from if any would do is not said beforehand.
    assert!(mounts[2] == format!("mount {layer} 5 a") || mounts[2] == format!("mount {layer} 5 b"), "{}", mounts[2]);
    mounts.remove(2);
    assert_eq!(
        mounts,
        [
            format!("push-blob {layer} 5"),
            format!("mount {layer} 5 a"),
            format!("push {image} 5 v1"),
            format!("push {image} 5 v2"),
            format!("push {image} 5 -"),
            "delete-tag v1".to_owned(),
            format!("delete-blob {layer}"),
            "delete-repository".to_owned(),
        ]
    );
}

#[tokio::test]
async fn a_deletion_tells_of_all_that_went_with_it() {
    let facts = Facts::new().await;
    let hook = facts.endpoint("hook").await;
    facts.put("a", "child", &[], &[]).await.unwrap();
    facts.put("a", "index", &[(Role::Child, digest("child"))], &["v1"]).await.unwrap();
    facts.put_about("signature", "index", &[]).await;
    facts.run(told(DeleteManifest { repository: name("a"), digest: digest("index"), window: grace() }, &[hook])).await;
    let told = facts.words(hook).await;
    let others = [format!("delete {}", short("child")), format!("delete {}", short("signature"))];
    assert_eq!(told[0], format!("delete {}", short("index")), "{told:?}");
    assert!(others.iter().all(|other| told[1..3].contains(other)), "{told:?}");
    assert_eq!(told[3..], ["delete-tag v1"]);
}

#[tokio::test]
async fn what_does_not_happen_is_not_told() {
    let facts = Facts::new().await;
    let hook = facts.endpoint("hook").await;
    let to = &[hook];
    facts.run(told(manifest("a", "image", &[(Role::Layer, digest("missing"))], &[]), to)).await.unwrap_err();
    facts.run(told(Mount { source: None, target: name("a"), digest: digest("missing"), grace: grace() }, to)).await;
    facts.run(told(DeleteTag { repository: name("a"), tag: Tag::parse("v1").unwrap(), now: now() }, to)).await;
    facts.run(told(DeleteManifest { repository: name("a"), digest: digest("x"), window: grace() }, to)).await;
    facts.run(told(DeleteRepository { repository: name("a"), window: grace() }, to)).await;
    assert_eq!(facts.events(), "0");
}

#[tokio::test]
async fn an_event_stays_until_everybody_was_told() {
    let facts = Facts::new().await;
    let (one, other) = (facts.endpoint("one").await, facts.endpoint("other").await);
    assert_eq!(facts.endpoint("one").await, one, "known already");
    facts.tell("image", &[one, other]).await;
    for (endpoint, left) in [(one, "1"), (other, "0")] {
        let fence = facts.hold(endpoint).await.unwrap();
        let events = facts.waiting(endpoint).await.into_iter().map(|(event, _body)| event).collect();
        assert!(facts.run(Delivered { endpoint, fence, events }).await);
        assert!(facts.waiting(endpoint).await.is_empty());
        assert_eq!(facts.events(), left);
    }
}

#[tokio::test]
async fn an_endpoint_that_nobody_knows_is_told_nothing() {
    let facts = Facts::new().await;
    let gone = facts.endpoint("gone").await;
    assert_eq!(facts.run(ForgetEndpoint { endpoint: gone, limit: 10 }).await, 0);
    facts.tell("image", &[gone]).await;
    assert!(facts.waiting(gone).await.is_empty());
}

#[tokio::test]
async fn one_delivers_at_a_time_and_a_newer_one_counts() {
    let facts = Facts::new().await;
    let endpoint = facts.endpoint("hook").await;
    facts.tell("image", &[endpoint]).await;
    let event = facts.waiting(endpoint).await[0].0;
    let older = facts.hold(endpoint).await.unwrap();
    assert_eq!(facts.hold(endpoint).await, None, "it is held");
    let later = now().plus(2 * HOUR);
    let newer = facts.run(HoldEndpoint { endpoint, until: later.plus(HOUR), now: later }).await.unwrap();
    let failed = |fence| NotDelivered { endpoint, fence, event, error: "?".to_owned(), now: now(), give_up: false };
    assert!(!facts.run(KeepEndpoint { endpoint, fence: older, until: later }).await);
    assert!(!facts.run(Delivered { endpoint, fence: older, events: vec![event] }).await);
    assert!(!facts.run(failed(older)).await);
    assert_eq!(facts.waiting(endpoint).await.len(), 1);
    assert!(facts.run(failed(newer)).await);
    assert!(facts.run(Delivered { endpoint, fence: newer, events: vec![event] }).await);
    assert!(facts.run(KeepEndpoint { endpoint, fence: newer, until: Timestamp::from_micros(0) }).await);
    assert!(facts.hold(endpoint).await.is_some(), "it was let go of");
}

#[tokio::test]
async fn what_was_given_up_waits_until_it_is_asked_for_and_comes_in_its_old_place() {
    let facts = Facts::new().await;
    let endpoint = facts.endpoint("hook").await;
    for content in ["one", "two", "three"] {
        facts.tell(content, &[endpoint]).await;
    }
    let fence = facts.hold(endpoint).await.unwrap();
    let all = facts.waiting(endpoint).await;
    let fails =
        |event, give_up| NotDelivered { endpoint, fence, event, error: "answered 500".to_owned(), now: now(), give_up };
    facts.run(fails(all[0].0, false)).await;
    facts.run(fails(all[0].0, true)).await;
    facts.run(fails(all[1].0, true)).await;
    assert_eq!(facts.waiting(endpoint).await, all[2..]);
    let pending = facts.metadata.pending_deliveries(endpoint).await.unwrap();
    assert_eq!((pending.pending.counted, pending.given_up.counted, pending.oldest), (1, 2, Some(now())));
    let failed = facts.metadata.failed_deliveries(endpoint, EventId::FIRST, 10).await.unwrap();
    assert_eq!(failed.len(), 2);
    assert_eq!((failed[0].attempts, failed[0].given_up, failed[0].error.as_deref()), (2, true, Some("answered 500")));
    let redeliver = |event| Redeliver { endpoint, event, limit: 1 };
    assert_eq!(facts.run(redeliver(Some(all[2].0))).await, 0, "it waits anyway");
    assert_eq!(facts.run(redeliver(Some(all[1].0))).await, 1);
    assert_eq!(facts.run(redeliver(None)).await, 1);
    assert_eq!(facts.run(redeliver(None)).await, 0);
    assert_eq!(facts.waiting(endpoint).await, all);
}

#[tokio::test]
async fn the_oldest_are_dropped_and_counted() {
    let facts = Facts::new().await;
    let (endpoint, other) = (facts.endpoint("full").await, facts.endpoint("other").await);
    for content in ["one", "two", "three", "four", "five"] {
        facts.tell(content, &[endpoint]).await;
        facts.tell(&format!("{content} for all"), &[endpoint, other]).await;
    }
    let all = facts.waiting(endpoint).await;
    let newest = facts.metadata.deliveries_before(endpoint, None, 3).await.unwrap();
    assert_eq!(newest, Segment { count: 3, oldest: Some(all[7].0) });
    let more = facts.metadata.deliveries_before(endpoint, newest.oldest, 100).await.unwrap();
    assert_eq!(more, Segment { count: 7, oldest: Some(all[0].0) });
    assert_eq!(facts.run(TrimDeliveries { endpoint, count: 5 }).await, 5);
    assert_eq!(facts.run(TrimDeliveries { endpoint, count: 2 }).await, 2);
    assert_eq!(facts.waiting(endpoint).await, all[7..]);
    assert_eq!(facts.waiting(other).await.len(), 5);
    assert_eq!(facts.events(), "6", "those that wait for the other one, and one more");
    let endpoints = facts.metadata.endpoints("", 10).await.unwrap();
    assert_eq!(
        endpoints.iter().map(|known| (known.name.as_str(), known.dropped)).collect::<Vec<_>>(),
        [("full", 7), ("other", 0)]
    );
}

#[tokio::test]
async fn a_forgotten_endpoint_takes_what_waited_for_it_along() {
    let facts = Facts::new().await;
    let endpoint = facts.endpoint("gone").await;
    for content in ["one", "two", "three"] {
        facts.tell(content, &[endpoint]).await;
    }
    assert_eq!(facts.run(ForgetEndpoint { endpoint, limit: 2 }).await, 2);
    assert_eq!(facts.metadata.endpoints("", 10).await.unwrap().len(), 1, "not yet");
    assert_eq!(facts.run(ForgetEndpoint { endpoint, limit: 2 }).await, 1);
    assert_eq!(facts.metadata.endpoints("", 10).await.unwrap(), []);
    assert_eq!(facts.events(), "0");
}
