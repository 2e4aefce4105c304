//! Delivering, against a real database and endpoints that are closures.

use std::collections::VecDeque;

use cargohold_access::{Caller, Gate};
use cargohold_oci::{Digest, Reference, RepositoryName, Tag};
use proptest::prelude::*;
use serde_json::Value;
use tokio::sync::mpsc;

use super::*;
use crate::{Registry, tests::Home};

const MANIFEST: &str = "application/vnd.oci.image.index.v1+json";

/// An endpoint that takes what it is sent if it is told to, and in any case shows it to the test.
struct Receiver {
    courier: Courier,
    seen: mpsc::UnboundedReceiver<(usize, Value)>,
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
                show.send((parcel.endpoint, envelope["events"][0].clone())).unwrap();
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
        let (_, event) = self.seen.recv().await.unwrap();
        event["target"]["tag"].as_str().unwrap_or_default().to_owned()
    }
}

fn failed() -> Sent {
    Sent::Failed { reason: "answered 500".to_owned(), pause: None }
}

fn hook(name: &str) -> Endpoint {
    Endpoint { name: name.to_owned(), backoff: Duration::from_millis(1), threshold: 1, ..Endpoint::default() }
}

async fn listen(registry: &Registry, endpoints: Vec<Endpoint>) {
    let notifications = Notifications { endpoints, include_references: true };
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
async fn while_delivering(registry: &Registry, courier: Courier, test: impl Future<Output = ()>) {
    tokio::select! {
        () = registry.notify_forever(courier) => unreachable!("it goes on"),
        ended = tokio::time::timeout(Duration::from_mins(1), test) => ended.expect("it comes to an end"),
    }
}

async fn status(registry: &Registry) -> Vec<EndpointStatus> {
    registry.endpoints(&operator()).await.unwrap()
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
    let registry = &home.registry;
    listen(registry, vec![hook("hook")]).await;
    let mut receiver = Receiver::new();
    receiver.answer([failed(), failed(), Sent::Delivered, failed()]);
    put(registry, "one").await;
    put(registry, "two").await;
    while_delivering(registry, receiver.courier.clone(), async {
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
    listen(&home.registry, vec![hook("hook"), hook("gone")]).await;
    put(&home.registry, "one").await;
    home.registry.close().await;
    let home = home.restart().await;
    listen(&home.registry, vec![hook("hook")]).await;
    let mut receiver = Receiver::new();
    while_delivering(&home.registry, receiver.courier.clone(), async {
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
    listen(registry, vec![hook("slow"), hook("well")]).await;
    let (show, mut seen) = mpsc::unbounded_channel();
    let courier: Courier = Arc::new(move |parcel: Parcel| {
        let show = show.clone();
        Box::pin(async move {
            if parcel.endpoint == 0 {
                std::future::pending::<()>().await;
            }
            show.send(parcel.endpoint).unwrap();
            Sent::Delivered
        })
    });
    while_delivering(registry, courier, async {
        for tag in ["one", "two", "three"] {
            put(registry, tag).await;
            assert_eq!(seen.recv().await, Some(1));
        }
    })
    .await;
    assert_eq!(status(registry).await[0].pending.counted, 3);
}

#[tokio::test]
async fn beyond_the_bound_the_oldest_are_dropped() {
    let home = Home::new().await;
    let registry = &home.registry;
    listen(registry, vec![Endpoint { most_pending: 3, ..hook("dead") }]).await;
    let courier: Courier = Arc::new(|_parcel| Box::pin(std::future::pending()));
    put(registry, "before").await;
    while_delivering(registry, courier, async {
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
    assert_eq!(status(registry).await[0].pending.counted, 3);
    let mut receiver = Receiver::new();
    while_delivering(registry, receiver.courier.clone(), async {
        for tag in ["three", "four", "five"] {
            assert_eq!(receiver.tag().await, tag);
        }
    })
    .await;
}

#[tokio::test]
async fn one_that_is_gone_is_left_alone_until_somebody_asks() {
    let home = Home::new().await;
    let registry = &home.registry;
    listen(registry, vec![hook("hook")]).await;
    let mut receiver = Receiver::new();
    receiver.answer([Sent::Gone]);
    put(registry, "one").await;
    while_delivering(registry, receiver.courier.clone(), async {
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
    let registry = &home.registry;
    listen(registry, vec![Endpoint { most_attempts: Some(2), ..hook("hook") }]).await;
    let mut receiver = Receiver::new();
    receiver.answer([failed(), failed()]);
    put(registry, "one").await;
    put(registry, "two").await;
    while_delivering(registry, receiver.courier.clone(), async {
        for tag in ["one", "one", "two"] {
            assert_eq!(receiver.tag().await, tag);
        }
        let failed = registry.failed_events(&operator(), Some("hook"), 10).await.unwrap();
        let told = failed.iter().map(|failed| (failed.attempts, failed.given_up, failed.error.as_deref()));
        assert_eq!(told.collect::<Vec<_>>(), [(2, true, Some("answered 500"))]);
        assert!(failed[0].body.contains(r#""tag":"one""#));
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
    listen(registry, endpoints).await;
    assert!(registry.notifies(true) && registry.notifies(false));
    put(registry, "one").await;
    assert!(status(registry).await.iter().all(|status| status.pending.counted == 0));
}

#[tokio::test]
async fn pulls_are_told_behind_what_happened_before() {
    let home = Home::new().await;
    let registry = &home.registry;
    listen(registry, vec![hook("hook"), Endpoint { ignored_actions: vec![Action::Pull], ..hook("pushes") }]).await;
    let asking = registry.on_behalf_of(Origin { method: "GET".to_owned(), ..Origin::default() });
    let digest = put(registry, "one").await;
    let permit = Gate::this_machine().permit(&Caller::ANONYMOUS, RepositoryName::parse("a").unwrap()).unwrap();
    asking.note_pull(&permit, Pulled::Blob { digest, size: 7 });
    registry.note_pull(&permit, Pulled::Blob { digest, size: 8 });
    let mut receiver = Receiver::new();
    while_delivering(registry, receiver.courier.clone(), async {
        let mut seen = Vec::new();
        for _ in 0..3 {
            let (endpoint, event) = receiver.seen.recv().await.unwrap();
            seen.push((endpoint, event["action"].as_str().unwrap().to_owned()));
        }
        let first: Vec<_> = seen.iter().filter(|(endpoint, _)| *endpoint == 0).map(|(_, action)| action).collect();
        assert_eq!(first, ["push", "pull"], "a request without an origin is not told of");
        assert_eq!(seen.len(), 3);
    })
    .await;
}

#[tokio::test]
async fn an_event_says_what_receivers_of_the_other_registry_expect() {
    let home = Home::new().await;
    listen(&home.registry, vec![hook("hook")]).await;
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
    let mut receiver = Receiver::new();
    while_delivering(&home.registry, receiver.courier.clone(), async {
        let (_, mut event) = receiver.seen.recv().await.unwrap();
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
