//! A database that cannot be written while the server runs: strace, attached to the server, fails every write to its files.
//!
//! What must hold: pushes and deletions are refused with 503 and `Retry-After`, pulls and lists go on, nothing that was refused has
//! happened, and all goes on once the writes do. A sync that fails ends the server, and the next start has what was acknowledged.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use ureq::http::Method;

use super::digest;
use super::images::OCI_INDEX;
use super::registry::{Answer, Payload, Registry};
use super::report::Report;
use super::scratch::Scratch;
use super::server::{Installation, Server};
use super::service::{Recipe, Service};
use super::tools;

const REPOSITORY: &str = "failing/database";
const INDEX: &[u8] = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
/// The facts' file, and its log.
const FILES: [&str; 2] = ["cargohold.db", "cargohold.db-wal"];
/// How long strace may take to attach itself.
const PATIENCE: Duration = Duration::from_mins(1);

/// Fails writes, then syncs.
pub(crate) fn flow(program: &Path, scratch: &Scratch, report: &Report) {
    report.flow("durability", "a database that cannot be written refuses pushes, and pulls go on", || {
        let folder = scratch.folder("failing-database")?;
        let server = Installation::new(program, folder.clone()).start()?;
        put(&server.registry, "kept")?.expect(201, "201")?;
        push(&server.registry, b"kept")?.expect(201, "201")?;
        for error in ["EROFS", "EDQUOT", "EIO", "ENOSPC"] {
            let failing = fail(&server, &folder, &FILES, "pwrite64,write", error)?;
            refuses(&server.registry, error)?;
            drop(failing);
            until("pushes succeed again", || Ok(put(&server.registry, error)?.status() == 201))?;
            push(&server.registry, error.as_bytes())?.expect(201, "201")?;
        }
        Ok(())
    });
    report.flow("durability", "a database whose sync fails ends the server, which loses nothing", || {
        a_failed_sync_ends_it(program, &scratch.folder("failing-sync")?, &FILES, INDEX)
    });
    report.flow("durability", "so does one that fails when its log is folded into its file", || {
        // A few of them are more pages than the log may have.
        let note = "x".repeat(2_000_000);
        let index = String::from_utf8_lossy(INDEX).replace('}', &format!(r#","annotations":{{"note":"{note}"}}}}"#));
        a_failed_sync_ends_it(program, &scratch.folder("failing-fold")?, &FILES[..1], index.as_bytes())
    });
}

/// Fails the syncs of these files, and has that index pushed until the server ends.
fn a_failed_sync_ends_it(program: &Path, folder: &Path, files: &[&str], index: &[u8]) -> Result<()> {
    let installation = Installation::new(program, folder.to_owned());
    let mut server = installation.start()?;
    put(&server.registry, "kept")?.expect(201, "201")?;
    let failing = fail(&server, folder, files, "fdatasync,fsync", "EIO")?;
    let mut number = 0;
    until("the server ends", || {
        number += 1;
        Ok(put_index(&server.registry, &format!("t{number}"), index).is_err())
    })?;
    // Awaited while strace is still there to see it: told to let go of a process that ends at this moment, strace waits for ever.
    let status = server.kill()?;
    drop(failing);
    ensure!(!status.success(), "it ended in order");
    let again = installation.start()?;
    // The last one was not answered: it may be there or not.
    for tag in ["kept".to_owned()].into_iter().chain((1..number).map(|number| format!("t{number}"))) {
        ensure!(again.registry.manifest(REPOSITORY, &tag)?.is_some(), "{tag} was acknowledged, and is lost");
    }
    Ok(())
}

/// Nothing is taken, and everything is served.
fn refuses(registry: &Registry, error: &str) -> Result<()> {
    let path = registry.path(REPOSITORY, "manifests/kept");
    let text = if error == "ENOSPC" { "no space left on device" } else { "can record nothing" };
    until("pushes are refused", || Ok(put(registry, "refused")?.status() != 201))?;
    let blob = b"nobody takes it";
    for answer in
        [put(registry, "refused-too")?, push(registry, blob)?, registry.send(&Method::DELETE, &path, &[], None)?]
    {
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        let retry = answer.header("Retry-After").is_some();
        ensure!(answer.status() == 503 && retry && said.contains(text), "{error}: {}: {said}", answer.status());
    }
    ensure!(registry.manifest(REPOSITORY, "kept")?.is_some(), "{error}: a manifest is gone");
    ensure!(registry.manifest(REPOSITORY, "refused-too")?.is_none(), "{error}: what was refused is there");
    let kept = registry.blob(REPOSITORY, &digest::sha256(b"kept"))?;
    ensure!(kept.as_deref() == Some(b"kept".as_slice()), "{error}: a blob is not what was pushed");
    ensure!(registry.blob(REPOSITORY, &digest::sha256(blob))?.is_none(), "{error}: what was refused is there");
    ensure!(registry.tags(REPOSITORY)?.contains(&"kept".to_owned()), "{error}: a tag is gone");
    Ok(())
}

fn put(registry: &Registry, tag: &str) -> Result<Answer> {
    put_index(registry, tag, INDEX)
}

fn put_index(registry: &Registry, tag: &str, index: &[u8]) -> Result<Answer> {
    let path = registry.path(REPOSITORY, &format!("manifests/{tag}"));
    Ok(registry.send(&Method::PUT, &path, &[("Content-Type", OCI_INDEX)], Some(Payload::Sized(index)))?)
}

fn push(registry: &Registry, blob: &[u8]) -> Result<Answer> {
    let path = registry.path(REPOSITORY, &format!("blobs/uploads/?digest={}", digest::sha256(blob)));
    Ok(registry.send(
        &Method::POST,
        &path,
        &[("Content-Type", "application/octet-stream")],
        Some(Payload::Sized(blob)),
    )?)
}

fn until(what: &str, is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let (begun, mut is_so) = (Instant::now(), is_so);
    while !is_so()? {
        if begun.elapsed() > PATIENCE {
            bail!("in vain: {what}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Has calls on these files of the database fail until what it answers is dropped.
///
/// strace is asked to end then, which lets go of the server; killed it would let go in the midst of a call.
fn fail(server: &Server, folder: &Path, files: &[&str], calls: &str, error: &str) -> Result<Service> {
    let process = server.process_id().to_string();
    let (traced, injected) = (format!("trace={calls}"), format!("inject={calls}:error={error}"));
    let mut arguments =
        ["-qq", "-f", "-o", "/dev/null", "-p", &process, "-e", &traced, "-e", &injected].map(str::to_owned).to_vec();
    for file in files {
        arguments.extend(["-P".to_owned(), folder.join("data").join(file).display().to_string()]);
    }
    let program = tools::locate_or_say("strace")?;
    Recipe { name: "strace", program, arguments, variables: Vec::new(), user: None, log: folder.join("strace.log") }
        .start()
}
