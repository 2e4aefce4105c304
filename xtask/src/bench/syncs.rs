//! How often a server has the disk make something durable while images are pushed, as strace sees it.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::json;

use super::contender::Contender;
use super::material::{REPOSITORY, blob_path, noise, push};
use crate::e2e::digest;
use crate::e2e::images::OCI_MANIFEST;
use crate::e2e::service::Recipe;
use crate::e2e::tools::locate_or_say;

/// Who push at the same time.
pub(crate) const CLIENTS: usize = 8;
/// Blobs of an image beside its config.
pub(crate) const LAYERS: usize = 10;
const ATTACH_LIMIT: Duration = Duration::from_secs(30);

/// How many syncs one of these images took.
pub(crate) fn of_an_image(contender: &Contender, folder: &Path) -> Result<f64> {
    let written = folder.join("syncs");
    fs::write(&written, "")?;
    let process = contender.processes().0.to_string();
    let calls = "trace=fsync,fdatasync,syncfs,sync,msync,sync_file_range";
    let file = written.display().to_string();
    let mut strace = Recipe {
        name: "strace",
        program: locate_or_say("strace")?,
        arguments: ["-f", "-qq", "-e", "signal=none", "-e", calls, "-o", &file, "-p", &process]
            .map(str::to_owned)
            .to_vec(),
        variables: Vec::new(),
        user: None,
        log: folder.join("strace.log"),
    }
    .start()?;
    strace.wait_until(ATTACH_LIMIT, || is_traced(contender).then_some(()))?;
    // The server's other threads too.
    thread::sleep(Duration::from_millis(300));
    push_all(contender)?;
    strace.stop()?;
    let lines = fs::read_to_string(&written)?;
    let begun = lines.lines().filter(|line| line.contains('(') && !line.contains(" resumed>")).count();
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    Ok(begun as f64 / CLIENTS as f64)
}

fn is_traced(contender: &Contender) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", contender.processes().0)).unwrap_or_default();
    status.lines().any(|line| line.strip_prefix("TracerPid:").is_some_and(|tracer| tracer.trim() != "0"))
}

fn push_all(contender: &Contender) -> Result<()> {
    thread::scope(|scope| {
        let running: Vec<_> = (0..CLIENTS).map(|client| scope.spawn(move || push_image(contender, client))).collect();
        running.into_iter().try_for_each(|client| client.join().map_err(|_| anyhow!("a client panicked"))?)
    })
}

/// Pushes an image that shares nothing with the others', one blob after the other.
fn push_image(contender: &Contender, client: usize) -> Result<()> {
    let mut wire = contender.connect()?;
    let mut descriptors = Vec::new();
    for number in 0..=LAYERS {
        let mut bytes = noise(64 * 1024);
        bytes[..16].copy_from_slice(&[client.to_le_bytes(), number.to_le_bytes()].concat());
        push(&mut wire, &bytes)?;
        let name = digest::sha256(&bytes);
        ensure!(wire.request("HEAD", &blob_path(&name), "", &[])?.status == 200, "{name} was pushed and is not there");
        descriptors.push(
            json!({ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": name, "size": bytes.len() }),
        );
    }
    let (config, layers) = descriptors.split_first().context("there are layers")?;
    let manifest =
        json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers }).to_string();
    let path = format!("/v2/{REPOSITORY}/manifests/client-{client}");
    let answer = wire.request("PUT", &path, &format!("Content-Type: {OCI_MANIFEST}\r\n"), manifest.as_bytes())?;
    ensure!(answer.status == 201, "the manifest was answered with {}", answer.status);
    Ok(())
}
