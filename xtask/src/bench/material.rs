//! What is pushed and pulled: bytes that nothing can make smaller, and the image that is made of them.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::contender::{Contender, Role};
use super::wire::Wire;
use crate::e2e::digest;
use crate::e2e::images::OCI_MANIFEST;

/// Where the image is pushed to.
pub(crate) const REPOSITORY: &str = "bench/image";
const TAG: &str = "latest";
/// Bytes that are sent at a time.
const PIECE: usize = 1024 * 1024;

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Of the large blob, in bytes.
    pub(crate) large: usize,
    /// How often it is pulled.
    pub(crate) pulls: u32,
    /// How often something small is asked for.
    pub(crate) requests: u32,
    /// How many small blobs are pushed.
    pub(crate) small_pushes: u32,
    /// How many clients ask at a time.
    pub(crate) clients: &'static [usize],
    /// How many rows a table has.
    pub(crate) rows: &'static [u64],
    /// How many readers take what they asked for slowly.
    pub(crate) readers: usize,
    /// How many files are read that are not in memory.
    pub(crate) cold_files: usize,
    /// What a slow reader asked for, and a file that is not in memory, in bytes.
    pub(crate) file: usize,
}

impl Sizes {
    pub(crate) const FULL: Self = Self {
        large: 1 << 30,
        pulls: 4,
        requests: 20_000,
        small_pushes: 500,
        clients: &[1, 2, 4, 8, 16, 32, 64],
        rows: &[100, 100_000, 1_000_000],
        readers: 1000,
        cold_files: 50,
        file: 100 << 20,
    };
    pub(crate) const SMOKE: Self = Self {
        large: 8 << 20,
        pulls: 1,
        requests: 50,
        small_pushes: 5,
        clients: &[1, 2],
        rows: &[100, 1000],
        readers: 20,
        cold_files: 5,
        file: 4 << 20,
    };
}

/// The same for all contenders.
#[derive(Debug)]
pub(crate) struct Material {
    pub(crate) large: Vec<u8>,
    small: Vec<u8>,
    manifest: String,
    /// The paths at a registry.
    pub(crate) of_large: String,
    of_small: String,
}

/// Where it lies at a contender.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    pub(crate) large: String,
    pub(crate) small: String,
    pub(crate) manifest: String,
}

impl Material {
    pub(crate) fn new(large: usize) -> Self {
        let (large, small) = (noise(large), noise(16 * 1024));
        let layer = digest::sha256(&large);
        let manifest = json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest::sha256(b"{}"), "size": 2 },
            "layers": [{ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer, "size": large.len() }],
        });
        let (of_large, of_small) = (blob_path(&layer), blob_path(&digest::sha256(&small)));
        Self { large, small, manifest: manifest.to_string(), of_large, of_small }
    }

    /// Where it is at such a contender.
    pub(crate) fn paths(&self, role: Role) -> Paths {
        if role == Role::Files {
            return Paths { large: "/large".to_owned(), small: "/small".to_owned(), manifest: "/manifest".to_owned() };
        }
        let manifest = format!("/v2/{REPOSITORY}/manifests/{TAG}");
        Paths { large: self.of_large.clone(), small: self.of_small.clone(), manifest }
    }

    /// Sees to it that the contender has it.
    pub(crate) fn bring(&self, contender: &Contender) -> Result<()> {
        let paths = self.paths(contender.role);
        if contender.role == Role::Files {
            for (path, bytes) in
                [(paths.large, &*self.large), (paths.small, &self.small), (paths.manifest, self.manifest.as_bytes())]
            {
                fs::write(contender.root.join(&path[1..]), bytes)?;
            }
            return Ok(());
        }
        let mut wire = contender.connect()?;
        // From an earlier round: what is pushed again has to be removed again, and that would be measured with what comes next.
        if wire.request("HEAD", &paths.large, "", &[])?.status == 200 {
            return Ok(());
        }
        for bytes in [&*self.large, &self.small, b"{}"] {
            push(&mut wire, bytes)?;
        }
        let kind = format!("Content-Type: {OCI_MANIFEST}\r\n");
        let answer = wire.request("PUT", &paths.manifest, &kind, self.manifest.as_bytes())?;
        ensure!(answer.status == 201, "the manifest was answered with {}", answer.status);
        Ok(())
    }
}

/// Pushes a blob with POST and PUT.
pub(crate) fn push(wire: &mut Wire, bytes: &[u8]) -> Result<()> {
    let path = closing(&begin(wire)?, &digest::sha256(bytes));
    put(wire, &path, bytes)
}

/// Sends a blob's bytes to where its upload is closed.
pub(crate) fn put(wire: &mut Wire, path: &str, bytes: &[u8]) -> Result<()> {
    wire.begin("PUT", path, "Content-Type: application/octet-stream\r\n", bytes.len() as u64)?;
    for piece in bytes.chunks(PIECE) {
        wire.write(piece)?;
    }
    let status = wire.answer(false)?.status;
    ensure!(status == 201, "the blob was answered with {status}");
    Ok(())
}

/// Opens an upload; answers where it is.
pub(crate) fn begin(wire: &mut Wire) -> Result<String> {
    let answer = wire.request("POST", &format!("/v2/{REPOSITORY}/blobs/uploads/"), "", &[])?;
    ensure!(answer.status == 202, "POST was answered with {}", answer.status);
    target(answer.location)
}

/// The path and the query of a location.
pub(crate) fn target(location: Option<String>) -> Result<String> {
    let location = location.context("no Location")?;
    let behind = location.split_once("://").map_or(location.as_str(), |(_, rest)| rest);
    behind.find('/').map(|start| behind[start..].to_owned()).context("a Location without a path")
}

/// Where an upload is closed.
pub(crate) fn closing(location: &str, digest: &str) -> String {
    format!("{location}{}digest={digest}", if location.contains('?') { '&' } else { '?' })
}

/// Where a blob is.
pub(crate) fn blob_path(digest: &str) -> String {
    format!("/v2/{REPOSITORY}/blobs/{digest}")
}

/// Bytes that nothing can make smaller, the same each time (xorshift64).
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).flatten().take(length).collect()
}
