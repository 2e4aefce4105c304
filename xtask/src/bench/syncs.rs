//! How often a server has the disk make something durable while images are pushed, as strace sees it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::contender::Contender;
use super::material::{REPOSITORY, blob_path, noise, push};
use crate::e2e::digest;
use crate::e2e::images::OCI_MANIFEST;
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
    let mut strace = Command::new(locate_or_say("strace")?)
        .args(["-f", "-qq", "-e", "signal=none", "-e", "trace=fsync,fdatasync,syncfs,sync,msync,sync_file_range"])
        .arg("-o")
        .arg(&written)
        .args(["-p", &contender.processes().0.to_string()])
        .stderr(Stdio::null())
        .spawn()
        .context("strace does not start")?;
    let pushed = traced(contender).and_then(|()| push_all(contender));
    // It lets go of the server, which runs on.
    kill_process(Pid::from_child(&strace), Signal::INT)?;
    strace.wait()?;
    pushed?;
    let lines = fs::read_to_string(&written)?;
    let begun = lines.lines().filter(|line| line.contains('(') && !line.contains(" resumed>")).count();
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    Ok(begun as f64 / CLIENTS as f64)
}

/// Waits until somebody traces the server.
fn traced(contender: &Contender) -> Result<()> {
    let status = format!("/proc/{}/status", contender.processes().0);
    let began = Instant::now();
    while began.elapsed() < ATTACH_LIMIT {
        let is_traced = |line: &str| line.strip_prefix("TracerPid:").is_some_and(|tracer| tracer.trim() != "0");
        if fs::read_to_string(&status)?.lines().any(is_traced) {
            // Its other threads too.
            thread::sleep(Duration::from_millis(300));
            return Ok(());
        }
        thread::sleep(Duration::from_millis(10));
    }
    bail!("strace did not attach to {}", contender.name())
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
