//! A disk that is full, or as full as it may become: a small one of its own (tmpfs), filled by pushes and from outside.
//!
//! What must hold: a push is refused with 503, `Retry-After` and words that say why, before the reserve is touched; pulls go on;
//! nothing stored is harmed; deletions work and give space back; and then pushes work again.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use ureq::http::Method;

use super::command::Tool;
use super::digest;
use super::images::OCI_INDEX;
use super::random::Random;
use super::registry::{Answer, Payload, Registry};
use super::report::Report;
use super::scratch::Scratch;
use super::server::{Installation, Server};

const REPOSITORY: &str = "full/disk";
const MIB: usize = 1 << 20;
/// The whole disk.
const DISK: usize = 48 * MIB;
/// A blob.
const BLOB: usize = 4 * MIB;
/// How long the server may take to give space back.
const PATIENCE: Duration = Duration::from_mins(1);

/// Fills disks.
pub(crate) fn flow(program: &Path, scratch: &Scratch, seed: u64, report: &Report) {
    report.flow("full-disk", "a reserve is kept, and the rest goes on", || {
        let disk = Disk::mount(scratch, "reserve")?;
        let mut full = Full::start(program, &disk, 16 * MIB, seed)?;
        full.fill_by_pushes()?;
        let free = disk.free()?;
        ensure!(free >= 16 * MIB as u64, "{free} bytes are free, 16 MiB were to be kept");
        full.goes_on()
    });
    report.flow("full-disk", "not a byte is left, and nothing is lost", || {
        let disk = Disk::mount(scratch, "brim")?;
        let mut full = Full::start(program, &disk, 0, seed)?;
        full.fill_by_pushes()?;
        disk.fill()?;
        full.is_refused()?;
        disk.make_room()?;
        full.goes_on()
    });
}

/// A small disk. It is given back with the value.
struct Disk {
    folder: PathBuf,
}

impl Disk {
    fn mount(scratch: &Scratch, name: &str) -> Result<Self> {
        ensure!(rustix::process::geteuid().is_root(), "only root can mount a disk");
        let folder = scratch.folder(&format!("full-disk-{name}"))?;
        Tool::new("mount").run(&[
            "-t".as_ref(),
            "tmpfs".as_ref(),
            "-o".as_ref(),
            format!("size={DISK}").as_ref(),
            "tmpfs".as_ref(),
            folder.as_os_str(),
        ])?;
        Ok(Self { folder })
    }

    fn free(&self) -> Result<u64> {
        let disk = rustix::fs::statvfs(&self.folder)?;
        Ok(disk.f_bavail * disk.f_frsize)
    }

    /// Takes what is left.
    fn fill(&self) -> Result<()> {
        let filler = vec![0; usize::try_from(self.free()?)?];
        // What does not fit is refused by the disk, which is full then.
        fs::write(self.filler(), filler).or_else(|error| match error.kind() {
            std::io::ErrorKind::StorageFull => Ok(()),
            _ => Err(error),
        })?;
        Ok(())
    }

    fn make_room(&self) -> Result<()> {
        Ok(fs::remove_file(self.filler())?)
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Tool::new("umount").argument("--lazy").run(&[&self.folder]);
    }
}

/// A server on a disk that gets full.
struct Full {
    server: Server,
    random: Random,
    kept: Vec<u8>,
    pushed: Vec<String>,
}

impl Full {
    fn start(program: &Path, disk: &Disk, reserve: usize, seed: u64) -> Result<Self> {
        let installation = Installation::new(program, disk.folder.clone())
            .with_variable("CARGOHOLD__STORAGE__FILESYSTEM__RESERVE", &reserve.to_string())
            .with_variable("CARGOHOLD__SWEEP__WINDOW", "0s")
            .with_variable("CARGOHOLD__SWEEP__KEEP", "0s")
            .with_variable("CARGOHOLD__SWEEP__INTERVAL", "50ms");
        let mut full = Self {
            server: installation.start()?,
            random: Random::fork(seed, reserve as u64),
            kept: Vec::new(),
            pushed: Vec::new(),
        };
        full.kept = full.blob();
        full.push(&full.kept.clone())?.expect(201, "201")?;
        full.put_manifest()?.expect(201, "201")?;
        Ok(full)
    }

    fn registry(&self) -> &Registry {
        &self.server.registry
    }

    fn blob(&mut self) -> Vec<u8> {
        (0..BLOB / 8).flat_map(|_| self.random.next().to_le_bytes()).collect()
    }

    fn push(&self, blob: &[u8]) -> Result<Answer> {
        let path = self.registry().path(REPOSITORY, &format!("blobs/uploads/?digest={}", digest::sha256(blob)));
        let bytes = [("Content-Type", "application/octet-stream")];
        Ok(self.registry().send(&Method::POST, &path, &bytes, Some(Payload::Chunked(blob)))?)
    }

    fn put_manifest(&self) -> Result<Answer> {
        let index = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
        let path = self.registry().path(REPOSITORY, "manifests/kept");
        Ok(self.registry().send(&Method::PUT, &path, &[("Content-Type", OCI_INDEX)], Some(Payload::Sized(index)))?)
    }

    fn fill_by_pushes(&mut self) -> Result<()> {
        for _ in 0..DISK / BLOB {
            let blob = self.blob();
            let answer = self.push(&blob)?;
            match answer.status() {
                201 => self.pushed.push(digest::sha256(&blob)),
                _ => return refused(&answer),
            }
        }
        bail!("{} blobs fitted on a disk of {DISK} bytes", DISK / BLOB)
    }

    /// Full, it takes nothing and serves everything.
    fn is_refused(&mut self) -> Result<()> {
        let blob = self.blob();
        refused(&self.push(&blob)?)?;
        refused(&self.put_manifest()?)?;
        self.serves()
    }

    fn serves(&self) -> Result<()> {
        let blob = self.registry().blob(REPOSITORY, &digest::sha256(&self.kept))?;
        ensure!(blob.as_deref() == Some(self.kept.as_slice()), "a blob is not what was pushed");
        ensure!(self.registry().manifest(REPOSITORY, "kept")?.is_some(), "a manifest is gone");
        Ok(())
    }

    /// It serves; deletions give space back; pushes work again; a restart finds everything.
    fn goes_on(&mut self) -> Result<()> {
        self.serves()?;
        for digest in &self.pushed {
            let path = self.registry().path(REPOSITORY, &format!("blobs/{digest}"));
            self.registry().send(&Method::DELETE, &path, &[], None)?.expect(202, "202")?;
        }
        let (blob, begun) = (self.blob(), Instant::now());
        while self.push(&blob)?.status() != 201 {
            ensure!(begun.elapsed() < PATIENCE, "deletions gave no space back");
            std::thread::sleep(Duration::from_millis(50));
        }
        self.serves()?;
        let status = self.server.stop()?;
        ensure!(status.success(), "the server ended with {status}");
        Ok(())
    }
}

fn refused(answer: &Answer) -> Result<()> {
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let retry = answer.header("Retry-After").is_some();
    ensure!(answer.status() == 503 && retry, "{} with Retry-After {retry}: {text}", answer.status());
    ensure!(text.contains("no space left on device"), "the refusal does not say why: {text}");
    Ok(())
}
