//! The order in which the server makes things durable, as the kernel sees it: the server runs under strace while a blob and a
//! manifest are pushed, and what it was asked for is compared with what ARCHITECTURE.md promises.
//!
//! Before a push is answered with 201: every file of the data folder that was written is synced behind its last write, and every
//! folder that got an entry behind that entry. A blob's bytes are synced before it is moved to its place, and the folders before
//! the database's log, whose sync is the last thing before the answer.

mod trace;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use ureq::http::Method;

use self::trace::{Call, Deed, Trace};
use super::digest;
use super::images::OCI_INDEX;
use super::registry::{Payload, Registry};
use super::report::Report;
use super::scratch::Scratch;
use super::server::Installation;
use super::tools;

/// The data folder, some levels of which the server has to make first.
const DATA: &str = "made/by/the/server";

/// Calls that change the disk, make changes durable, or answer.
const CALLS: &str = "openat,write,writev,pwrite64,pwritev,sendto,sendmsg,fdatasync,fsync,mkdir,mkdirat,rename,renameat,\
                     renameat2,link,linkat";

/// Starts the server under strace, pushes to it and reads what it did.
pub(crate) fn flow(program: &Path, scratch: &Scratch, report: &Report) {
    report.flow("durability", "bytes, folders, commit and answer come in this order", || {
        let trace = Trace::parse(&record(program, scratch)?)?;
        let answers = trace.answers();
        ensure!(answers.len() == 3, "{} pushes were answered with 201, not 3", answers.len());
        for answer in &answers {
            everything_is_synced(&trace, answer)?;
            the_commit_comes_last(&trace, answer)?;
        }
        nobody_waits_for_more_than_it_needs(&trace, &answers)?;
        let blobs: Vec<&Call> = trace.moves().collect();
        ensure!(blobs.len() == 2, "{} blobs were moved to their places, not 2", blobs.len());
        for (blob, answer) in blobs.iter().zip(&answers) {
            a_blob_is_placed_in_order(&trace, blob, answer)?;
        }
        Ok(())
    });
}

/// Pushes a blob in one request, another in chunks, and a manifest; answers what strace wrote.
fn record(program: &Path, scratch: &Scratch) -> Result<String> {
    let folder = scratch.folder("durability")?;
    let (data, written) = (folder.join("data").join(DATA), folder.join("trace"));
    let traced = traced(program, &folder, &written)?;
    let installation = Installation::new(&traced, folder)
        .with_variable("CARGOHOLD__STORAGE__FILESYSTEM__ROOTDIRECTORY", &data.display().to_string());
    let mut server = installation.start()?;
    push(&server.registry)?;
    let status = server.stop()?;
    ensure!(status.success(), "the server ended with {status}");
    fs::read_to_string(&written).with_context(|| format!("strace wrote no {}", written.display()))
}

fn push(registry: &Registry) -> Result<()> {
    let bytes = [("Content-Type", "application/octet-stream")];
    let blob = b"in one request";
    let path = registry.path("durable", &format!("blobs/uploads/?digest={}", digest::sha256(blob)));
    registry.send(&Method::POST, &path, &bytes, Some(Payload::Sized(blob)))?.expect(201, "201")?;

    let path = registry.path("durable", "blobs/uploads/");
    let session =
        registry.send(&Method::POST, &path, &[], Some(Payload::Sized(&[])))?.expect(202, "202")?.location()?;
    registry.send(&Method::PATCH, &session, &bytes, Some(Payload::Sized(b"in ")))?.expect(202, "202")?;
    let closing = format!("{session}?digest={}", digest::sha256(b"in chunks"));
    registry.send(&Method::PUT, &closing, &bytes, Some(Payload::Sized(b"chunks")))?.expect(201, "201")?;

    let index = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
    let path = registry.path("durable", "manifests/v1");
    registry
        .send(&Method::PUT, &path, &[("Content-Type", OCI_INDEX)], Some(Payload::Sized(index)))?
        .expect(201, "201")?;
    Ok(())
}

/// A program that is the server under strace. The server is the process that signals go to.
fn traced(program: &Path, folder: &Path, written: &Path) -> Result<PathBuf> {
    let strace = tools::locate_or_say("strace")?;
    let script = folder.join("traced");
    let text = format!(
        "#!/bin/sh\nexec {} -D -f -y -qq -s 64 -e signal=none -e trace={CALLS} -o {} {} \"$@\"\n",
        strace.display(),
        written.display(),
        program.display()
    );
    fs::write(&script, text)?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    Ok(script)
}

/// Whatever was written or named before the answer is on the disk before it.
fn everything_is_synced(trace: &Trace, answer: &Call) -> Result<()> {
    for call in trace.before(answer) {
        let needs = match &call.deed {
            Deed::Write(file) if trace.is_kept(file) => file.clone(),
            Deed::Make(entry) | Deed::Move { to: entry, .. } if trace.is_kept(entry) => above(entry),
            _ => continue,
        };
        ensure!(
            trace.syncs(&needs).any(|sync| sync.begins_after(call) && sync.ends_before(answer)),
            "answered before {} was synced\n  {}\n  {}",
            needs.display(),
            call.line,
            answer.line
        );
    }
    Ok(())
}

/// Bytes, then the move, then the folder, then the commit.
fn a_blob_is_placed_in_order(trace: &Trace, blob: &Call, answer: &Call) -> Result<()> {
    let Deed::Move { from, to } = &blob.deed else { return Ok(()) };
    let written = trace.writes(from).last().with_context(|| format!("nothing was written to {}", from.display()))?;
    let bytes = trace.syncs(from).find(|sync| sync.begins_after(written) && sync.ends_before(blob));
    ensure!(bytes.is_some(), "moved before its bytes were synced\n  {}\n  {}", written.line, blob.line);
    let commit = trace.commit_before(answer)?;
    let mut folder = above(to);
    while trace.made(&folder) {
        let synced = trace.syncs(&above(&folder)).any(|sync| sync.ends_before(commit));
        ensure!(synced, "committed before the entry of {} was synced\n  {}", folder.display(), commit.line);
        folder = above(&folder);
    }
    let placed = trace.syncs(&above(to)).any(|sync| sync.begins_after(blob) && sync.ends_before(commit));
    ensure!(placed, "committed before the move was synced\n  {}\n  {}", blob.line, commit.line);
    Ok(())
}

/// The log is synced for the session, for the chunk that was acknowledged, for the place of the blob and for the blob, and for
/// nothing that no client is told of. The server's own work may come in between once.
fn nobody_waits_for_more_than_it_needs(trace: &Trace, answers: &[Call]) -> Result<()> {
    let [whole, chunked, ..] = answers else { anyhow::bail!("{} answers", answers.len()) };
    let since = |call: &&Call| call.begins_after(whole);
    let syncs =
        trace.before(chunked).filter(since).filter(|call| matches!(&call.deed, Deed::Sync(file) if trace.is_log(file)));
    let syncs = syncs.count();
    ensure!((4..=5).contains(&syncs), "the log was synced {syncs} times for a blob that came in chunks, not 4 times");
    Ok(())
}

/// The log is written and then synced, and nothing else is made durable between that and the answer.
fn the_commit_comes_last(trace: &Trace, answer: &Call) -> Result<()> {
    let commit = trace.commit_before(answer)?;
    let later = trace.before(answer).find(|call| {
        call.begins_after(commit)
            && matches!(&call.deed, Deed::Sync(file) if trace.is_kept(file) && !trace.is_log(file))
    });
    match later {
        Some(later) => anyhow::bail!("made durable after the commit\n  {}\n  {}", commit.line, later.line),
        None => Ok(()),
    }
}

fn above(path: &Path) -> PathBuf {
    path.parent().unwrap_or(path).to_owned()
}
