//! What endpoints are told, held against what Debian's docker-registry tells them of the same requests.

mod receiver;

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;
use ureq::http::Method;

use self::receiver::Receiver;
use super::digest::sha256 as digest;
use super::docker_registry::DockerRegistry;
use super::registry::{Payload, Registry};
use super::report::Report;
use super::scratch::Scratch;
use super::server::Installation;

const IMAGE: &str = "application/vnd.docker.distribution.manifest.v2+json";
const CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// Far more than all of it takes.
const PATIENCE: Duration = Duration::from_mins(2);
/// What the requests below are told as.
const EVENTS: usize = 11;

/// Does the same to both, and compares what they tell.
pub(crate) fn flow(program: &Path, scratch: &Scratch, report: &Report) {
    report.flow("notifications", "endpoints are told what docker-registry tells them", || {
        let theirs = {
            let receiver = Receiver::start()?;
            let data = scratch.folder("notifications/theirs/data")?;
            let peer = DockerRegistry::telling(&scratch.folder("notifications/theirs")?, &data, receiver.url())?;
            let told = told(&peer.registry, &receiver)?;
            peer.stop()?;
            told
        };
        let receiver = Receiver::start()?;
        let ours = Installation::new(program, scratch.folder("notifications/ours")?)
            .with_variable("CARGOHOLD__NOTIFICATIONS__EVENTS__INCLUDEREFERENCES", "true")
            .with_variable("CARGOHOLD__NOTIFICATIONS__ENDPOINTS__0__NAME", "hook")
            .with_variable("CARGOHOLD__NOTIFICATIONS__ENDPOINTS__0__URL", receiver.url())
            .with_variable("CARGOHOLD__NOTIFICATIONS__ENDPOINTS__0__PULLS", "true");
        let mut server = ours.start()?;
        let ours = told(&server.registry, &receiver)?;
        server.stop()?;
        for (place, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            ensure!(ours == theirs, "event {place} is\n{ours:#}\nand docker-registry's is\n{theirs:#}");
        }
        ensure!(ours.len() == theirs.len(), "we tell of {} events, docker-registry of {}", ours.len(), theirs.len());
        Ok(())
    });
}

/// Does to a registry what is told; answers that, without what is another one each time.
fn told(registry: &Registry, receiver: &Receiver) -> Result<Vec<Value>> {
    let (config, layer) = (br#"{"architecture":"amd64","os":"linux"}"#.as_slice(), b"a layer".as_slice());
    let (config_digest, layer_digest) = (digest(config), digest(layer));
    upload(registry, "team/app", config)?;
    upload(registry, "team/app", layer)?;
    let mount = format!("blobs/uploads/?mount={layer_digest}&from=team/app");
    let send = |method: Method, repository: &str, path: &str, payload: Option<&[u8]>, status: u16| -> Result<()> {
        let headers: &[(&str, &str)] = match (&payload, path.starts_with("manifests")) {
            (Some(_), _) => &[("Content-Type", IMAGE)],
            (None, true) => &[("Accept", IMAGE)],
            (None, false) => &[],
        };
        let path = registry.path(repository, path);
        registry.send(&method, &path, headers, payload.map(Payload::Sized))?.expect(status, "what both answer")?;
        Ok(())
    };
    send(Method::POST, "team/other", &mount, None, 201)?;
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "config": { "mediaType": CONFIG, "size": config.len(), "digest": config_digest },
        "layers": [{ "mediaType": LAYER, "size": layer.len(), "digest": layer_digest }],
    })
    .to_string();
    let by_digest = format!("manifests/{}", digest(manifest.as_bytes()));
    send(Method::PUT, "team/app", "manifests/v1", Some(manifest.as_bytes()), 201)?;
    send(Method::PUT, "team/app", &by_digest, Some(manifest.as_bytes()), 201)?;
    send(Method::GET, "team/app", "manifests/v1", None, 200)?;
    send(Method::HEAD, "team/app", &by_digest, None, 200)?;
    send(Method::GET, "team/app", &format!("blobs/{layer_digest}"), None, 200)?;
    send(Method::DELETE, "team/other", &format!("blobs/{layer_digest}"), None, 202)?;
    send(Method::DELETE, "team/app", &by_digest, None, 202)?;
    let mut events = receiver.wait_for(EVENTS, PATIENCE)?;
    // Ours come from two queues: a pull may be told behind a deletion that came after it.
    events.sort_by_key(|event| event["action"] == "pull");
    Ok(events.into_iter().map(without_chance).collect())
}

fn upload(registry: &Registry, repository: &str, content: &[u8]) -> Result<()> {
    let begin = registry.path(repository, "blobs/uploads/");
    let session = registry.send(&Method::POST, &begin, &[], None)?.expect(202, "a session")?.location()?;
    let separator = if session.contains('?') { '&' } else { '?' };
    let end = format!("{session}{separator}digest={}", digest(content));
    registry.send(&Method::PUT, &end, &[], Some(Payload::Sized(content)))?.expect(201, "a blob")?;
    Ok(())
}

/// Leaves out what differs from start to start.
fn without_chance(mut event: Value) -> Value {
    for key in ["id", "timestamp", "source"] {
        event[key] = Value::Bool(event[key].is_string() || event[key].is_object());
    }
    for key in ["id", "addr", "host"] {
        event["request"][key] = Value::Bool(event["request"][key].is_string());
    }
    if let Some(url) = event["target"]["url"].as_str() {
        let path = url.find("/v2/").map_or(url, |path| &url[path..]);
        event["target"]["url"] = Value::String(path.to_owned());
    }
    event
}
