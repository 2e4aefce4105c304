//! Delivering, against a real database and endpoints that are closures.

use std::collections::VecDeque;

use cargohold_access::{Caller, Gate};
use cargohold_metrics::Page;
use cargohold_oci::{Digest, Reference, RepositoryName, Tag};
use proptest::prelude::*;
use serde_json::Value;
use tokio::sync::mpsc;

use super::*;
use crate::{Error, Registry, tests::Home};

const MANIFEST: &str = "application/vnd.oci.image.index.v1+json";

/// An endpoint that takes what it is sent if it is told to, and in any case shows it to the test.
struct Receiver {
    courier: Courier,
    seen: mpsc::UnboundedReceiver<Value>,
    /// What is answered next; then everything is taken.
    answers: Arc<Mutex<VecDeque<Sent>>>,
}

impl Receiver {
    fn new() -> Self {
        let (show, seen) = mpsc::unbounded_channel();
        let answers = Arc::new(Mutex::new(VecDeque::new()));
        let courier: Courier = {
            let answers = answers.clone();
            Arc::new(move |parcel: Parcel| {
                let envelope: Value = serde_json::from_slice(&parcel.body).unwrap();
                assert_eq!(envelope["events"][0]["id"], parcel.id);
                show.send(envelope["events"][0].clone()).unwrap();
                let answer = answers.lock().unwrap().pop_front().unwrap_or(Sent::Delivered);
                Box::pin(async move { answer })
            })
        };
        Self { courier, seen, answers }
    }

    fn answer<const N: usize>(&self, answers: [Sent; N]) {
        self.answers.lock().unwrap().extend(answers);
    }

    /// The tag of what comes next.
    async fn tag(&mut self) -> String {
        let event = self.seen.recv().await.unwrap();
        event["target"]["tag"].as_str().unwrap_or_default().to_owned()
    }

    /// The tags of what comes next, up to this one.
    async fn tags_until(&mut self, last: &str) -> Vec<String> {
        let mut tags = Vec::new();
        while tags.last().is_none_or(|tag| tag != last) {
            tags.push(self.tag().await);
        }
        tags
    }
}

/// To an endpoint that says nothing.
fn silent() -> Courier {
    Arc::new(|_parcel| Box::pin(std::future::pending()))
}

fn failed() -> Sent {
    Sent::Failed { reason: "answered 500".to_owned(), pause: None }
}

fn hook(name: &str) -> Endpoint {
    Endpoint { name: name.to_owned(), backoff: Duration::from_millis(1), threshold: 1, ..Endpoint::default() }
}

/// These endpoints, to which one courier goes.
fn by(courier: &Courier, endpoints: Vec<Endpoint>) -> Notifications {
    let addressee = |endpoint| Addressee { endpoint, courier: courier.clone() };
    Notifications { endpoints: endpoints.into_iter().map(addressee).collect(), include_references: true }
}

async fn listen(registry: &Registry, notifications: Notifications) {
    let source = Source { address: "node:5000".to_owned(), instance: "i".to_owned() };
    registry.set_notifications(&notifications, source, || 0).await.unwrap();
}

async fn put(registry: &Registry, tag: &str) -> Digest {
    let name = RepositoryName::parse("a").unwrap();
    let permit = Gate::this_machine().permit(&Caller::ANONYMOUS, name).unwrap();
    let bytes =
        format!(r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","manifests":[],"annotations":{{"t":"{tag}"}}}}"#);
    let reference = Reference::Tag(Tag::parse(tag).unwrap());
    registry.put_manifest(&permit, &reference, vec![], Some(MANIFEST), bytes.into()).await.unwrap().digest
}

/// Delivers until `test` is done.
async fn while_delivering(registry: &Registry, test: impl Future<Output = ()>) {
    tokio::select! {
        () = registry.notify_forever() => unreachable!("it goes on"),
        ended = tokio::time::timeout(Duration::from_mins(1), test) => ended.expect("it comes to an end"),
    }
}

async fn status(registry: &Registry) -> Vec<EndpointStatus> {
    registry.endpoints(&operator()).await.unwrap()
}

impl Registry {
    fn live_names(&self) -> Vec<String> {
        self.notifier().unwrap().endpoints.iter().map(|live| live.name.clone()).collect()
    }
}

fn operator() -> cargohold_access::OperatorPermit {
    Gate::this_machine().operator(&Caller::OPERATOR).unwrap()
}

/// Waits for something that another task brings about.
async fn until<F: Future<Output = bool>>(holds: impl Fn() -> F) {
    while !holds().await {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_failed_is_tried_again_before_what_came_later() {
    let home = Home::new().await;
    let mut receiver = Receiver::new();
    let registry = &home.registry;
    listen(registry, by(&receiver.courier, vec![hook("hook")])).await;
    receiver.answer([failed(), failed(), Sent::Delivered, failed()]);
    put(registry, "one").await;
    put(registry, "two").await;
    while_delivering(registry, async {
        for tag in ["one", "one", "one", "two", "two"] {
            assert_eq!(receiver.tag().await, tag);
        }
        put(registry, "three").await;
        assert_eq!(receiver.tag().await, "three");
        until(async || status(registry).await[0].pending.counted == 0).await;
    })
    .await;
    let status = &status(registry).await[0];
    assert_eq!((status.delivered, status.failed, status.state), (3, 3, EndpointState::Well));
}

#[tokio::test]
async fn what_was_not_delivered_is_after_a_restart() {
    let home = Home::new().await;
    let mut receiver = Receiver::new();
    listen(&home.registry, by(&receiver.courier, vec![hook("hook"), hook("gone")])).await;
    put(&home.registry, "one").await;
    home.registry.close().await;
    let home = home.restart().await;
    listen(&home.registry, by(&receiver.courier, vec![hook("hook")])).await;
    while_delivering(&home.registry, async {
        assert_eq!(receiver.tag().await, "one");
        // What the configuration names no more is forgotten.
        until(async || status(&home.registry).await.len() == 1).await;
    })
    .await;
}

#[tokio::test]
async fn one_that_takes_nothing_holds_no_other() {
    let home = Home::new().await;
    let registry = &home.registry;
    let mut well = Receiver::new();
    let mut notifications = by(&silent(), vec![hook("slow")]);
    notifications.endpoints.extend(by(&well.courier, vec![hook("well")]).endpoints);
    listen(registry, notifications).await;
    while_delivering(registry, async {
        for tag in ["one", "two", "three"] {
            put(registry, tag).await;
            assert_eq!(well.tag().await, tag);
        }
    })
    .await;
    assert_eq!(status(registry).await[0].pending.counted, 3);
}

#[tokio::test]
async fn beyond_the_bound_the_oldest_are_dropped() {
    let home = Home::new().await;
    let registry = &home.registry;
    listen(registry, by(&silent(), vec![Endpoint { most_pending: 3, ..hook("dead") }])).await;
    put(registry, "before").await;
    while_delivering(registry, async {
        for tag in ["one", "two", "three", "four", "five"] {
            put(registry, tag).await;
        }
        until(async || {
            let rows = registry.notifier().unwrap().endpoints[0].progress().rows;
            status(registry).await[0].dropped == 3 && rows == 3
        })
        .await;
    })
    .await;
    let status = &status(registry).await[0];
    assert_eq!((status.pending.counted, status.dropped_since_start), (3, 3));
    let mut receiver = Receiver::new();
    registry.change_notifications(by(&receiver.courier, vec![Endpoint { most_pending: 2, ..hook("dead") }]));
    while_delivering(registry, async {
        receiver.tags_until("five").await;
    })
    .await;
}

#[tokio::test]
async fn one_that_is_gone_is_left_alone_until_somebody_asks() {
    let home = Home::new().await;
    let mut receiver = Receiver::new();
    let registry = &home.registry;
    listen(registry, by(&receiver.courier, vec![hook("hook")])).await;
    receiver.answer([Sent::Gone]);
    put(registry, "one").await;
    while_delivering(registry, async {
        assert_eq!(receiver.tag().await, "one");
        until(async || status(registry).await[0].state == EndpointState::Gone).await;
        put(registry, "two").await;
        let unknown = Redelivery { endpoint: Some("other".to_owned()), event: None };
        assert!(matches!(registry.redeliver(&operator(), &unknown).await, Err(Error::EndpointUnknown(_))));
        registry.redeliver(&operator(), &Redelivery::default()).await.unwrap();
        assert_eq!(receiver.tag().await, "one");
        assert_eq!(receiver.tag().await, "two");
    })
    .await;
}

#[tokio::test]
async fn what_is_given_up_holds_nothing_and_can_be_asked_for() {
    let home = Home::new().await;
    let mut receiver = Receiver::new();
    let registry = &home.registry;
    listen(registry, by(&receiver.courier, vec![Endpoint { most_attempts: Some(2), ..hook("hook") }])).await;
    receiver.answer([failed(), failed()]);
    put(registry, "one").await;
    put(registry, "two").await;
    while_delivering(registry, async {
        for tag in ["one", "one", "two"] {
            assert_eq!(receiver.tag().await, tag);
        }
        let failed = registry.failed_events(&operator(), Some("hook"), 10).await.unwrap();
        let told = failed
            .iter()
            .map(|FailedEvent { delivery, .. }| (delivery.attempts, delivery.given_up, delivery.error.as_deref()));
        assert_eq!(told.collect::<Vec<_>>(), [(2, true, Some("answered 500"))]);
        assert!(failed[0].delivery.body.contains(r#""tag":"one""#));
        assert_eq!(registry.redeliver(&operator(), &Redelivery::default()).await.unwrap(), 1);
        assert_eq!(receiver.tag().await, "one");
    })
    .await;
}

#[tokio::test]
async fn nothing_is_written_down_that_nobody_wants_to_know() {
    let home = Home::new().await;
    let registry = &home.registry;
    assert!(!registry.notifies(true) && !registry.notifies(false));
    let endpoints = vec![
        Endpoint { disabled: true, ..hook("disabled") },
        Endpoint { ignored_actions: vec![Action::Push], ..hook("deletes") },
        Endpoint { ignored_media_types: vec![MANIFEST.to_owned()], ..hook("others") },
    ];
    listen(registry, by(&silent(), endpoints)).await;
    assert!(registry.notifies(true) && registry.notifies(false));
    put(registry, "one").await;
    assert!(status(registry).await.iter().all(|status| status.pending.counted == 0));
}

#[tokio::test]
async fn pulls_are_told_behind_what_happened_before() {
    let home = Home::new().await;
    let (mut receiver, mut of_pushes) = (Receiver::new(), Receiver::new());
    let registry = &home.registry;
    let pushes = Endpoint { ignored_actions: vec![Action::Pull], ..hook("pushes") };
    let mut notifications = by(&receiver.courier, vec![hook("hook")]);
    notifications.endpoints.extend(by(&of_pushes.courier, vec![pushes]).endpoints);
    listen(registry, notifications).await;
    let asking = registry.on_behalf_of(Origin { method: "GET".to_owned(), ..Origin::default() });
    let digest = put(registry, "one").await;
    let permit = Gate::this_machine().permit(&Caller::ANONYMOUS, RepositoryName::parse("a").unwrap()).unwrap();
    asking.note_pull(&permit, Pulled::Blob { digest, size: 7 });
    registry.note_pull(&permit, Pulled::Blob { digest, size: 8 });
    while_delivering(registry, async {
        let action = async |receiver: &mut Receiver| receiver.seen.recv().await.unwrap()["action"].clone();
        assert_eq!(action(&mut receiver).await, "push");
        assert_eq!(action(&mut receiver).await, "pull");
        assert_eq!(action(&mut of_pushes).await, "push");
        put(registry, "two").await;
        // A request without an origin is not told of.
        assert_eq!(action(&mut receiver).await, "push");
        assert_eq!(action(&mut of_pushes).await, "push");
    })
    .await;
}

#[tokio::test]
async fn pulls_take_no_more_room_than_they_may() {
    let home = Home::new().await;
    let registry = &home.registry;
    listen(registry, by(&silent(), vec![hook("dead")])).await;
    let digest = put(registry, "one").await;
    let asking = registry.on_behalf_of(Origin::default());
    let permit = Gate::this_machine().permit(&Caller::ANONYMOUS, RepositoryName::parse("a").unwrap()).unwrap();
    for size in 0..10_003 {
        asking.note_pull(&permit, Pulled::Blob { digest, size });
    }
    let dead = &status(registry).await[0];
    assert_eq!((dead.pulls_pending, dead.pulls_lost), (10_000, 3));
    let mut page = Page::default();
    registry.tell(&operator(), &mut page).await;
    for line in [
        r#"cargohold_notifications_waiting_events{endpoint="dead"} 1"#,
        r#"cargohold_notifications_waiting_pulls{endpoint="dead"} 10000"#,
        r#"cargohold_notifications_dropped_total{endpoint="dead",kind="event"} 0"#,
        r#"cargohold_notifications_dropped_total{endpoint="dead",kind="pull"} 3"#,
    ] {
        assert!(page.text().lines().any(|told| told == line), "{line}: {}", page.text());
    }
}

#[tokio::test]
async fn endpoints_change_while_a_registry_runs_and_nothing_is_lost() {
    let home = Home::new().await;
    let registry = &home.registry;
    listen(registry, by(&silent(), vec![hook("hook")])).await;
    let (mut moved, mut new) = (Receiver::new(), Receiver::new());
    put(registry, "one").await;
    while_delivering(registry, async {
        let asked = async |tag, endpoints: Vec<Addressee>| {
            registry.change_notifications(Notifications { endpoints, include_references: false });
            put(registry, tag).await;
        };
        let at = |courier: &Courier, name| by(courier, vec![hook(name)]).endpoints.remove(0);
        // What was on its way to nowhere is sent to where it is now.
        registry.change_notifications(by(&moved.courier, vec![hook("hook")]));
        assert_eq!(moved.tag().await, "one");
        asked("two", vec![at(&moved.courier, "hook"), at(&new.courier, "new")]).await;
        assert_eq!(moved.tag().await, "two");
        until(async || registry.live_names() == ["hook", "new"]).await;
        put(registry, "three").await;
        assert_eq!(moved.tag().await, "three");
        new.tags_until("three").await;
        asked("four", vec![at(&new.courier, "new")]).await;
        assert_eq!(new.tag().await, "four");
        until(async || status(registry).await.len() == 1).await;
        put(registry, "five").await;
        assert_eq!(new.tag().await, "five");
        asked("six", vec![at(&new.courier, "new"), at(&moved.courier, "hook")]).await;
        until(async || registry.live_names() == ["new", "hook"]).await;
        put(registry, "seven").await;
        new.tags_until("seven").await;
        let told = moved.tags_until("seven").await;
        assert!(!told.contains(&"five".to_owned()), "{told:?}");
    })
    .await;
}

#[tokio::test]
async fn one_that_is_disabled_for_a_while_keeps_what_waits() {
    let home = Home::new().await;
    let registry = &home.registry;
    let mut receiver = Receiver::new();
    let disabled = || Endpoint { disabled: true, ..hook("hook") };
    listen(registry, by(&receiver.courier, vec![disabled()])).await;
    while_delivering(registry, async {
        registry.change_notifications(by(&silent(), vec![hook("hook")]));
        until(async || status(registry).await[0].state == EndpointState::Well).await;
        put(registry, "one").await;
        registry.change_notifications(by(&receiver.courier, vec![disabled()]));
        until(async || status(registry).await[0].state == EndpointState::Disabled).await;
        put(registry, "two").await;
        assert_eq!(status(registry).await[0].pending.counted, 1);
        registry.change_notifications(by(&receiver.courier, vec![hook("hook")]));
        assert_eq!(receiver.tag().await, "one");
        put(registry, "three").await;
        assert_eq!(receiver.tag().await, "three");
    })
    .await;
}

#[tokio::test]
async fn an_event_says_what_receivers_of_the_other_registry_expect() {
    let home = Home::new().await;
    let mut receiver = Receiver::new();
    listen(&home.registry, by(&receiver.courier, vec![hook("hook")])).await;
    let origin = Origin {
        id: "r-1".to_owned(),
        address: "10.0.0.5:4321".to_owned(),
        host: "reg".to_owned(),
        method: "PUT".to_owned(),
        agent: "docker/28".to_owned(),
        actor: Some("alice".to_owned()),
        site: "https://reg".to_owned(),
    };
    let digest = put(&home.registry.on_behalf_of(origin), "1.0").await;
    while_delivering(&home.registry, async {
        let mut event = receiver.seen.recv().await.unwrap();
        let (id, time) = (event["id"].take(), event["timestamp"].take());
        assert!(id.as_str().is_some_and(|id| id.len() == 36), "{id}");
        assert!(time.as_str().is_some_and(|time| time.parse::<jiff::Timestamp>().is_ok()), "{time}");
        let size = event["target"]["size"].clone();
        let expected = serde_json::json!({
            "id": null,
            "timestamp": null,
            "action": "push",
            "target": {
                "mediaType": MANIFEST,
                "digest": digest.to_string(),
                "size": size,
                "length": size,
                "repository": "a",
                "url": format!("https://reg/v2/a/manifests/{digest}"),
                "tag": "1.0",
            },
            "request": {
                "id": "r-1", "addr": "10.0.0.5:4321", "host": "reg", "method": "PUT", "useragent": "docker/28",
            },
            "actor": { "name": "alice" },
            "source": { "addr": "node:5000", "instanceID": "i" },
        });
        assert_eq!(event, expected);
    })
    .await;
}

#[test]
fn references_are_told_as_the_manifest_says_them() {
    let manifest =
        r#"{"layers":[{"digest":"l","annotations":{"a":"b"}}],"config":{"digest":"c"},"subject":{"digest":"s"}}"#;
    let told = event::references(manifest.as_bytes()).unwrap().to_string();
    assert_eq!(told, r#"[{"digest":"c"},{"annotations":{"a":"b"},"digest":"l"}]"#);
    assert_eq!(event::references(br#"{"manifests":[{"digest":"m"}]}"#).unwrap().to_string(), r#"[{"digest":"m"}]"#);
    assert_eq!(event::references(b"{}"), None);
    assert_eq!(event::references(b"?"), None);
}

proptest! {
    #[test]
    fn pauses_grow_and_end(
        failures in 1..1000_u32, threshold in 0..20_usize, backoff in 1..600_000_u64, random: u64,
    ) {
        let endpoint = Endpoint { threshold, backoff: Duration::from_millis(backoff), ..hook("hook") };
        let pause = |failures| deliver::pause(&endpoint, failures, 0);
        prop_assert!(pause(failures) <= pause(failures + 1));
        prop_assert!(pause(failures) <= Duration::from_mins(1).max(endpoint.backoff));
        prop_assert!((failures as usize) < threshold || pause(failures) >= endpoint.backoff);
        let random = deliver::pause(&endpoint, failures, random);
        prop_assert!(random <= pause(failures) && random >= pause(failures) * 511 / 1024);
    }
}
