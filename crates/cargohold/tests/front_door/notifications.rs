//! Endpoints are told what happens: in the words of the CNCF registry, in order, at least once, whatever becomes of them or of us.

use std::{sync::Arc, thread};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::{
    client::Request,
    content::{IMAGE, INDEX, digest, note},
    receiver::{Answer, Receiver},
    registry::{Registry, Signal},
    waiting::eventually,
};

/// A registry that tells one endpoint, with these settings beside its name and address.
fn telling(receiver: &Receiver, settings: &str) -> Arc<Registry> {
    Registry::configured(&configuration(receiver, settings))
}

fn configuration(receiver: &Receiver, settings: &str) -> String {
    let url = receiver.url();
    format!("notifications: {{endpoints: [{{name: hook, url: '{url}', backoff: 10ms, {settings}}}]}}\n")
}

/// What it happened to, without what the content's descriptor says.
fn target(event: &Value) -> Value {
    let keep = ["repository", "fromRepository", "tag", "digest", "mediaType"];
    let target = event["target"].as_object().unwrap();
    target
        .iter()
        .filter(|(key, _)| keep.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn told(events: &[Value]) -> Vec<Value> {
    events.iter().map(|event| json!({ "action": event["action"], "target": target(event) })).collect()
}

fn tags(events: &[Value]) -> Vec<&str> {
    events.iter().filter_map(|event| event["target"]["tag"].as_str()).collect()
}

/// What `cargohold notifications status` knows of the only endpoint.
fn status(registry: &Registry) -> Value {
    let status: Value = serde_json::from_str(&registry.command(&["notifications", "status", "--json"])).unwrap();
    status["endpoints"][0].clone()
}

#[test]
fn every_action_is_told_in_the_words_of_the_cncf_registry() {
    let receiver = Receiver::start();
    let registry = telling(&receiver, "pulls: true");
    let repository = registry.named("team/app");
    let layer = repository.push_blob("a layer");
    let other = registry.named("team/other");
    other.post(&format!("?mount={layer}&from=team/app")).send().expect(201);
    let image = repository.push_manifest("v1", INDEX, note("an image"));
    let second = repository.put(&digest(note("second")), INDEX, note("second")).send().expect(201);
    let second = second.header("Docker-Content-Digest").unwrap().to_owned();
    repository.get("manifests/v1").expect(200);
    repository.head(&format!("manifests/{image}")).expect(200);
    repository.pull(&layer).expect(200);
    receiver.wait_for(7);
    repository.request("DELETE", "manifests/v1").send().expect(202);
    repository.request("DELETE", &format!("manifests/{second}")).send().expect(202);
    repository.request("DELETE", &format!("blobs/{layer}")).send().expect(202);
    registry.command(&["repository", "delete", "team/app"]);
    let blob = "application/octet-stream";
    assert_eq!(
        told(&receiver.wait_for(11)),
        [
            json!({ "action": "push", "target": { "repository": "team/app", "digest": layer, "mediaType": blob } }),
            json!({ "action": "mount", "target": {
                "repository": "team/other", "fromRepository": "team/app", "digest": layer, "mediaType": blob } }),
            json!({ "action": "push", "target": {
                "repository": "team/app", "digest": image, "mediaType": INDEX, "tag": "v1" } }),
            json!({ "action": "push", "target": { "repository": "team/app", "digest": second, "mediaType": INDEX } }),
            json!({ "action": "pull", "target": {
                "repository": "team/app", "digest": image, "mediaType": INDEX, "tag": "v1" } }),
            json!({ "action": "pull", "target": { "repository": "team/app", "digest": image, "mediaType": INDEX } }),
            json!({ "action": "pull", "target": { "repository": "team/app", "digest": layer, "mediaType": blob } }),
            json!({ "action": "delete", "target": { "repository": "team/app", "tag": "v1" } }),
            json!({ "action": "delete", "target": { "repository": "team/app", "digest": second } }),
            json!({ "action": "delete", "target": { "repository": "team/app", "digest": layer } }),
            json!({ "action": "delete", "target": { "repository": "team/app" } }),
        ]
    );
}

#[test]
fn an_event_is_whole() {
    let receiver = Receiver::start();
    let headers = "headers: {Authorization: [Bearer token], X-Two: [one, two]}";
    let text = configuration(&receiver, headers).replace("{endpoints", "{events: {includereferences: true}, endpoints");
    let registry = Registry::configured(&text);
    let repository = registry.named("team/app");
    let manifest = repository.push_parts_of_image();
    let put = repository.put("v1", IMAGE, &manifest).header("User-Agent", "docker/28.0").send().expect(201);
    let parts: Value = serde_json::from_slice(&manifest).unwrap();
    let mut event = receiver.wait_for(3).remove(2);
    let (id, time, instance, addr, source) = (
        event["id"].take(),
        event["timestamp"].take(),
        event["source"]["instanceID"].take(),
        event["request"]["addr"].take(),
        event["source"]["addr"].take(),
    );
    assert!(id.as_str().is_some_and(|id| id.len() == 36), "{id}");
    assert!(instance.as_str().is_some_and(|id| id.len() == 36), "{instance}");
    assert!(time.as_str().is_some_and(|time| time.ends_with('Z') && time.contains('T')), "{time}");
    assert!(addr.as_str().is_some_and(|addr| addr.starts_with("127.0.0.1:")), "{addr}");
    assert!(source.as_str().is_some_and(|addr| addr.ends_with(&format!(":{}", registry.addr().port()))), "{source}");
    let (digest, size, host) = (digest(&manifest), manifest.len(), registry.addr().to_string());
    assert_eq!(
        event,
        json!({
            "id": null,
            "timestamp": null,
            "action": "push",
            "target": {
                "mediaType": IMAGE,
                "digest": digest,
                "size": size,
                "length": size,
                "repository": "team/app",
                "url": format!("http://{host}/v2/team/app/manifests/{digest}"),
                "tag": "v1",
                "references": [parts["config"], parts["layers"][0]],
            },
            "request": {
                "id": put.header("X-Request-Id"),
                "addr": null,
                "host": host,
                "method": "PUT",
                "useragent": "docker/28.0",
            },
            "actor": {},
            "source": { "addr": null, "instanceID": null },
        })
    );
    let request = &receiver.seen()[2];
    assert_eq!(request.header("content-type"), "application/vnd.docker.distribution.events.v2+json");
    assert_eq!(request.header("authorization"), "Bearer token");
    assert!(request.header("user-agent").starts_with("cargohold/"));
}

#[test]
fn what_is_sent_is_signed_with_the_secret_in_a_file() {
    let receiver = Receiver::start();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, "It's a secret\n").unwrap();
    let registry = telling(&receiver, &format!("secretfile: '{}'", path.display()));
    registry.named("a").push_manifest("v1", INDEX, note("one"));
    let id = receiver.wait_for(1)[0]["id"].as_str().unwrap().to_owned();
    let request = &receiver.seen()[0];
    let mac = |parts: &[&[u8]]| {
        let mut mac = Hmac::<Sha256>::new_from_slice(b"It's a secret").unwrap();
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes()
    };
    let hub = mac(&[&request.body]).iter().fold(String::new(), |digits, byte| format!("{digits}{byte:02x}"));
    assert_eq!(request.header("x-hub-signature-256"), format!("sha256={hub}"));
    let time = request.header("webhook-timestamp");
    let standard = mac(&[id.as_bytes(), b".", time.as_bytes(), b".", &request.body]);
    assert_eq!(request.header("webhook-id"), id);
    assert_eq!(request.header("webhook-signature"), format!("v1,{}", BASE64_STANDARD.encode(standard)));
}

#[test]
fn nothing_is_lost_while_an_endpoint_is_down_and_we_are_killed() {
    let receiver = Receiver::start();
    let registry = telling(&receiver, "");
    let repository = registry.named("a");
    let mut pushed = Vec::new();
    let mut push = |number: usize| {
        let tag = format!("v{number}");
        repository.push_manifest(&tag, INDEX, note(&tag));
        pushed.push(tag);
    };
    push(0);
    receiver.wait_for(1);
    for (round, down) in [Answer::Hangup, Answer::Status(500), Answer::Status(404)].into_iter().enumerate() {
        receiver.answer(down);
        for number in 1..=5 {
            push(round * 5 + number);
        }
        registry.restart(Signal::KILL);
    }
    receiver.answer(Answer::Status(200));
    let told = eventually("all are told", || {
        let events = receiver.events();
        let mut told = tags(&events).into_iter().map(str::to_owned).collect::<Vec<_>>();
        // At least once: what was taken when we were killed may come twice.
        told.dedup();
        (told.len() >= pushed.len()).then_some(told)
    });
    assert_eq!(told, pushed);
}

#[test]
fn a_dead_endpoint_holds_nobody_up_and_the_bound_is_kept() {
    let (dead, well) = (Receiver::start(), Receiver::start());
    dead.answer(Answer::Silence);
    let endpoint = |name: &str, receiver: &Receiver, more: &str| {
        format!("{{name: {name}, url: '{}', backoff: 10ms{more}}}", receiver.url())
    };
    let (dead_one, well_one) =
        (endpoint("dead", &dead, ", timeout: 1h, maxpending: 10, pulls: true"), endpoint("well", &well, ""));
    let text = format!("notifications: {{endpoints: [{dead_one}, {well_one}]}}\n");
    let registry = Registry::configured(&text);
    let repository = registry.named("a");
    let pushed: Vec<String> = (0..30).map(|number| format!("v{number}")).collect();
    for tag in &pushed {
        repository.push_manifest(tag, INDEX, note(tag));
        repository.get(&format!("manifests/{tag}")).expect(200);
    }
    repository.request("DELETE", "manifests/v0").send().expect(202);
    let all: Vec<String> = pushed.into_iter().chain(["v0".to_owned()]).collect();
    assert_eq!(tags(&well.wait_for(31)), all);
    let status = eventually("the oldest are dropped", || {
        let status = status(&registry);
        assert_eq!(status["name"], "dead");
        (status["pending"]["count"] == 10).then_some(status)
    });
    assert_eq!((&status["dropped"], &status["pulls_pending"]), (&json!(21), &json!(30)));
    // It is still about to be told of the first, which holds the stop as little.
    registry.signal(Signal::TERM);
    assert!(registry.wait().0.success());
    dead.answer(Answer::Status(200));
    registry.start_again();
    assert_eq!(tags(&dead.wait_for(10)), all[21..]);
}

#[test]
fn what_was_given_up_is_shown_and_tried_again() {
    let receiver = Receiver::start();
    receiver.answer(Answer::Status(503));
    let registry = telling(&receiver, "maxattempts: 2");
    registry.named("team/app").push_manifest("v1", INDEX, note("one"));
    let failure = eventually("it is given up", || {
        let failures = registry.command(&["notifications", "failures", "--endpoint", "hook", "--json"]);
        let failures: Value = serde_json::from_str(&failures).unwrap();
        let failure = failures["failures"][0].clone();
        (failure["given_up"] == true).then_some(failure)
    });
    assert_eq!((&failure["attempts"], &failure["body"]["target"]["tag"]), (&json!(2), &json!("v1")));
    let shown = registry.command(&["notifications", "failures"]);
    assert!(shown.contains("push team/app:v1") && shown.contains("given up") && shown.contains("503"), "{shown}");
    let shown = registry.command(&["notifications", "status"]);
    assert!(shown.contains("hook") && shown.contains("GIVEN UP"), "{shown}");
    receiver.answer(Answer::Status(200));
    let event = failure["event"].to_string();
    let said = registry.command(&["notifications", "redeliver", "--endpoint", "hook", &event]);
    assert!(said.contains("1 event that had been given up"), "{said}");
    assert_eq!(tags(&receiver.wait_for(1)), ["v1"]);
    let refused = registry.failing_command(&["notifications", "redeliver", "--endpoint", "other"]);
    assert!(refused.contains("no endpoint is called other"), "{refused}");
    eventually("nothing has failed", || {
        registry.command(&["notifications", "failures"]).contains("nothing has failed").then_some(())
    });
}

#[test]
fn one_that_is_gone_is_left_alone_until_somebody_asks() {
    let receiver = Receiver::start();
    receiver.answer(Answer::Status(410));
    let registry = telling(&receiver, "");
    registry.named("a").push_manifest("v1", INDEX, note("one"));
    eventually("it is known to be gone", || (status(&registry)["state"] == "gone").then_some(()));
    registry.named("a").push_manifest("v2", INDEX, note("two"));
    receiver.answer(Answer::Status(200));
    assert_eq!(receiver.seen().len(), 1);
    registry.command(&["notifications", "redeliver"]);
    assert_eq!(tags(&receiver.wait_for(2)), ["v1", "v2"]);
}

#[test]
fn only_what_is_wanted_is_told() {
    let receiver = Receiver::start();
    let registry = telling(
        &receiver,
        "ignore: {mediatypes: [application/octet-stream], actions: [mount]}, ignoredmediatypes: [x/y]",
    );
    let repository = registry.named("a");
    let layer = repository.push_blob("a layer");
    repository.pull(&layer).expect(200);
    registry.named("b").post(&format!("?mount={layer}&from=a")).send().expect(201);
    repository.push_manifest("v1", INDEX, note("one"));
    repository.get("manifests/v1").expect(200);
    repository.request("DELETE", "manifests/v1").send().expect(202);
    let events = receiver.wait_for(2);
    let actions: Vec<_> = events.iter().map(|event| event["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["push", "delete"], "pulls are not told unless they are asked for");
}

#[test]
fn a_file_of_the_cncf_registry_has_pulls_told_and_names_who_asked() {
    let receiver = Receiver::start();
    let folder = tempfile::tempdir().unwrap();
    let users = folder.path().join("users");
    std::fs::write(&users, format!("alice:{}\n", bcrypt::hash("secret", 4).unwrap())).unwrap();
    let text = format!(
        "version: 0.1\nstorage: filesystem\nauth: {{htpasswd: {{realm: r, path: '{}'}}}}\n{}",
        users.display(),
        configuration(&receiver, "threshold: 1")
    );
    let registry = Registry::configured(&text);
    let as_alice = |request: Request| {
        let login = BASE64_STANDARD.encode("alice:secret");
        request.header("Authorization", format!("Basic {login}")).send()
    };
    let repository = registry.named("a");
    as_alice(repository.put("v1", INDEX, note("one"))).expect(201);
    as_alice(repository.request("GET", "manifests/v1")).expect(200);
    let events = receiver.wait_for(2);
    let told: Vec<_> =
        events.iter().map(|event| (event["action"].as_str().unwrap(), &event["actor"]["name"])).collect();
    assert_eq!(told, [("push", &json!("alice")), ("pull", &json!("alice"))]);
}

#[test]
fn what_waits_for_an_endpoint_that_is_not_configured_any_more_is_dropped() {
    let receiver = Receiver::start();
    receiver.answer(Answer::Hangup);
    let registry = telling(&receiver, "");
    registry.named("a").push_manifest("v1", INDEX, note("one"));
    assert_eq!(status(&registry)["pending"]["count"], 1);
    registry.reconfigure(&configuration(&receiver, "").replace("name: hook", "name: other"));
    registry.restart(Signal::TERM);
    // Not before: the server that stops may try once more.
    receiver.answer(Answer::Status(200));
    eventually("it is forgotten", || (status(&registry)["name"] == "other").then_some(()));
    let line = "an endpoint is not configured any more";
    eventually("the log tells of it", || registry.log().contains(line).then_some(()));
    registry.named("a").push_manifest("v2", INDEX, note("two"));
    assert_eq!(tags(&receiver.wait_for(1)), ["v2"]);
}

/// Has a running server read its configuration again, and waits until it has done so.
fn reload(registry: &Registry, text: &str, said: &str) {
    let times = || registry.log().matches(said).count();
    let before = times();
    registry.reconfigure(text);
    registry.signal(Signal::HUP);
    eventually("it is read again", || (times() > before).then_some(()));
}

/// What the log says once others are told.
const OTHERS: &str = "endpoints are told of events in another way from now on: ";

#[test]
fn endpoints_are_read_again_while_the_server_runs_and_no_event_is_lost() {
    let (old, new, second) = (Receiver::start(), Receiver::start(), Receiver::start());
    old.answer(Answer::Silence);
    let hook =
        |receiver: &Receiver, more: &str| format!("{{name: hook, url: '{}', timeout: 1h{more}}}", receiver.url());
    let endpoints = |endpoints: &[&str]| format!("notifications: {{endpoints: [{}]}}\n", endpoints.join(", "));
    let registry = Registry::configured(&endpoints(&[&hook(&old, "")]));
    let repository = registry.named("a");
    let push = |tag: &str| drop(repository.push_manifest(tag, INDEX, note(tag)));
    push("v1");
    // It is on its way to one that will never answer.
    eventually("it is sent", || (old.seen().len() == 1).then_some(()));
    let moved = hook(&new, ", headers: {X-New: [yes]}, secret: s3cret");
    let another = format!("{{name: second, url: '{}'}}", second.url());
    reload(&registry, &endpoints(&[&moved, &another]), OTHERS);
    assert_eq!(tags(&new.wait_for(1)), ["v1"]);
    assert_eq!(new.seen()[0].header("x-new"), "yes");
    assert!(new.seen()[0].header("x-hub-signature-256").starts_with("sha256="));
    push("v2");
    assert_eq!(tags(&new.wait_for(2)), ["v1", "v2"]);
    assert_eq!(tags(&second.wait_for(1)), ["v2"]);

    // One that is disabled keeps what waits, and is told no more.
    second.answer(Answer::Hangup);
    push("v3");
    new.wait_for(3);
    let disabled = another.replace('}', ", disabled: true}");
    reload(&registry, &endpoints(&[&moved, &disabled]), OTHERS);
    push("v4");
    new.wait_for(4);
    second.answer(Answer::Status(200));
    reload(&registry, &endpoints(&[&moved, &another]), OTHERS);
    assert_eq!(tags(&second.wait_for(2)), ["v2", "v3"]);

    reload(&registry, &endpoints(&[&another]), OTHERS);
    push("v5");
    assert_eq!(tags(&second.wait_for(3)), ["v2", "v3", "v5"]);
    eventually("the other one is forgotten", || (status(&registry)["name"] == "second").then_some(()));
    assert_eq!(tags(&new.events()), ["v1", "v2", "v3", "v4"]);
    assert_eq!(old.seen().len(), 1);
}

#[test]
fn what_cannot_be_read_again_is_said_and_leaves_the_endpoints_alone() {
    let receiver = Receiver::start();
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "one").unwrap();
    let text = configuration(&receiver, &format!("secretfile: '{}'", secret.path().display()));
    let registry = Registry::configured(&text);
    let repository = registry.named("a");
    let mut count = 0;
    let mut signature_is_by = |key: &str| {
        count += 1;
        repository.push_manifest(&format!("v{count}"), INDEX, note(&count.to_string()));
        receiver.wait_for(count);
        let request = &receiver.seen()[count - 1];
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
        mac.update(&request.body);
        let hub = mac.finalize().into_bytes().iter().fold(String::new(), |digits, byte| format!("{digits}{byte:02x}"));
        assert_eq!(request.header("x-hub-signature-256"), format!("sha256={hub}"));
    };
    signature_is_by("one");
    let kept = "told to reload, kept as it was: the endpoints: ";
    reload(&registry, "notifications: {endpoints: [{name: hook}]}\n", kept);
    assert!(registry.log().contains("has no url"), "{}", registry.log());
    signature_is_by("one");
    let next_start = "told to reload: uploads.expiry, log.level changed, which counts from the next start on";
    std::fs::write(secret.path(), "two").unwrap();
    reload(&registry, &format!("log: {{level: debug}}\nuploads: {{expiry: 3d}}\n{text}"), next_start);
    eventually("the secret is read", || registry.log().contains(OTHERS).then_some(()));
    signature_is_by("two");
    // Nothing is other than it was.
    reload(&registry, &text, "told to reload: read the log, the endpoints again");
    assert_eq!(registry.log().matches(OTHERS).count(), 1);
    signature_is_by("two");
}

#[test]
fn the_metrics_tell_how_endpoints_are_doing() {
    let receiver = Receiver::start();
    receiver.answer(Answer::Status(503));
    let registry = telling(&receiver, "maxpending: 2");
    let number = |name: &str, labels: &str| {
        let page = String::from_utf8(registry.get("/metrics").expect(200).body).unwrap();
        let name = format!("cargohold_notifications_{name}{{endpoint=\"hook\"{labels}}} ");
        let line = page.lines().find(|line| line.starts_with(&name)).unwrap_or_else(|| panic!("no {name}in {page}"));
        line[name.len()..].parse::<f64>().unwrap()
    };
    for tag in ["v1", "v2", "v3"] {
        registry.named("a").push_manifest(tag, INDEX, note(tag));
    }
    eventually("one is dropped", || (number("dropped_total", ",kind=\"event\"") > 0.5).then_some(()));
    eventually("one has failed", || (number("failed_attempts_total", "") > 0.5).then_some(()));
    assert!(number("waiting_events", "") > 1.5);
    assert!(number("waiting_oldest_seconds", "") > 0.0);
    receiver.answer(Answer::Status(200));
    eventually("both are told", || {
        (number("delivered_total", "") > 1.5 && number("waiting_events", "") < 0.5).then_some(())
    });
    assert!(number("waiting_oldest_seconds", "") < f64::EPSILON);
}

#[test]
fn pushes_at_the_same_time_are_all_told_each_once() {
    let receiver = Receiver::start();
    let registry = telling(&receiver, "");
    thread::scope(|threads| {
        for thread in 0..8 {
            let repository = registry.named(&format!("r{thread}"));
            threads.spawn(move || {
                for number in 0..10 {
                    let tag = format!("t{thread}-{number}");
                    repository.push_manifest(&tag, INDEX, note(&tag));
                }
            });
        }
    });
    let events = receiver.wait_for(80);
    eventually("all are written down as told", || (status(&registry)["pending"]["count"] == 0).then_some(()));
    for thread in 0..8 {
        let prefix = format!("t{thread}-");
        let told: Vec<_> = tags(&events).into_iter().filter(|tag| tag.starts_with(&prefix)).collect();
        let pushed: Vec<_> = (0..10).map(|number| format!("{prefix}{number}")).collect();
        assert_eq!(told, pushed, "in the order of their pushes");
    }
    assert_eq!(receiver.seen().len(), 80);
}
