//! What every contender is given to do, and what that costs it.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::contender::{Contender, Role};
use super::report::{Figure, Row, Table};
use super::wire::Wire;
use crate::e2e::digest;
use crate::e2e::images::OCI_MANIFEST;

const REPOSITORY: &str = "bench/image";
const TAG: &str = "latest";
/// Bytes that are sent at a time.
const PIECE: usize = 1024 * 1024;

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Of the large blob, in bytes.
    large: usize,
    /// How often it is pulled.
    pulls: u32,
    /// How often something small is asked for.
    requests: u32,
    /// How many small blobs are pushed.
    small_pushes: u32,
}

impl Sizes {
    pub(crate) const FULL: Self = Self { large: 1 << 30, pulls: 4, requests: 20_000, small_pushes: 500 };
    pub(crate) const SMOKE: Self = Self { large: 8 << 20, pulls: 1, requests: 50, small_pushes: 5 };
}

/// Something that is asked for again and again.
struct Asked {
    row: Row,
    method: &'static str,
    path: String,
}

/// Does all of it that the contender can do.
pub(crate) fn all(contender: &mut Contender, sizes: Sizes, runs: usize, table: &mut Table) -> Result<()> {
    let large = noise(sizes.large);
    let processes = contender.processes();
    let idle = processes.memory();
    processes.pin(true)?;
    if contender.role != Role::Files {
        // Each time other bytes, or the registry would have them already.
        let mut bytes = large.clone();
        let figure = median(runs, |run| {
            bytes[..8].copy_from_slice(&(run as u64 + 1).to_le_bytes());
            push_large(contender, &bytes)
        })?;
        table.put(Row::Push, contender.name(), figure);
    }
    if contender.role != Role::Receiver {
        let served = serve(contender, &large)?;
        let pull = median(runs, |_| {
            let work = |wire: &mut Wire| repeat(wire, sizes.pulls, "GET", &served.large, large.len() as u64);
            let cost = cost(contender, work)?;
            Ok(cost.per(u64::from(sizes.pulls) * large.len() as u64, GIGABYTE))
        })?;
        table.put(Row::Pull, contender.name(), pull);
        processes.pin(false)?;
        for Asked { row, method, path } in served.small {
            let figure = median(runs, |_| {
                let length = if method == "HEAD" { 0 } else { u64::MAX };
                let cost = cost(contender, |wire| repeat(wire, sizes.requests, method, &path, length))?;
                Ok(cost.per(u64::from(sizes.requests), 1))
            })?;
            table.put(row, contender.name(), figure);
        }
    }
    if contender.role == Role::Registry {
        let mut serial = 0_u64;
        let figure = median(runs, |_| {
            let cost = cost(contender, |wire| push_small(wire, sizes.small_pushes, &mut serial))?;
            Ok(cost.per(u64::from(sizes.small_pushes), 1))
        })?;
        table.put(Row::SmallPush, contender.name(), figure);
    }
    table.memory(contender.name(), idle, processes.most_memory());
    processes.pin(false)
}

const GIGABYTE: u64 = 1_000_000_000;

/// What some work has cost.
struct Cost {
    cpu: Duration,
    wall: Duration,
}

impl Cost {
    /// For `unit` of so many.
    fn per(&self, done: u64, unit: u64) -> Figure {
        #[expect(clippy::cast_precision_loss, reason = "figures have three digits")]
        let share = unit as f64 / done as f64;
        Figure { cpu: self.cpu.as_secs_f64() * share, wall: self.wall.as_secs_f64() * share }
    }
}

fn cost(contender: &Contender, work: impl FnOnce(&mut Wire) -> Result<()>) -> Result<Cost> {
    let processes = contender.processes();
    let mut wire = contender.connect()?;
    let (before, began) = (processes.cpu()?, Instant::now());
    work(&mut wire)?;
    let wall = began.elapsed();
    Ok(Cost { cpu: processes.cpu()?.saturating_sub(before), wall })
}

fn median(runs: usize, mut run: impl FnMut(usize) -> Result<Figure>) -> Result<Figure> {
    let mut figures = (0..runs.max(1)).map(&mut run).collect::<Result<Vec<_>>>()?;
    figures.sort_by(|one, other| one.cpu.total_cmp(&other.cpu));
    Ok(figures[figures.len() / 2])
}

fn repeat(wire: &mut Wire, times: u32, method: &str, path: &str, length: u64) -> Result<()> {
    for _ in 0..times {
        let answer = wire.request(method, path, &format!("Accept: {OCI_MANIFEST}\r\n"), &[])?;
        ensure!(answer.status == 200, "{method} {path} was answered with {}", answer.status);
        ensure!(length == u64::MAX || answer.body == length, "{method} {path} brought {} bytes", answer.body);
    }
    Ok(())
}

fn push_large(contender: &Contender, bytes: &[u8]) -> Result<Figure> {
    let name = digest::sha256(bytes);
    let cost = cost(contender, |wire| {
        let path = if contender.role == Role::Receiver { "/".to_owned() } else { closing(&begin(wire)?, &name) };
        wire.begin("PUT", &path, "Content-Type: application/octet-stream\r\n", bytes.len() as u64)?;
        for piece in bytes.chunks(PIECE) {
            wire.write(piece)?;
        }
        let status = wire.answer(false)?.status;
        ensure!(status == 201, "the blob was answered with {status}");
        Ok(())
    })?;
    Ok(cost.per(bytes.len() as u64, GIGABYTE))
}

/// POST, PATCH and PUT for each, as docker does.
fn push_small(wire: &mut Wire, times: u32, serial: &mut u64) -> Result<()> {
    for _ in 0..times {
        *serial += 1;
        let bytes = format!("a small blob, number {serial}");
        let opened = begin(wire)?;
        let answer = wire.request("PATCH", &opened, "Content-Type: application/octet-stream\r\n", bytes.as_bytes())?;
        ensure!(answer.status == 202, "PATCH was answered with {}", answer.status);
        let location = target(answer.location)?;
        let answer = wire.request("PUT", &closing(&location, &digest::sha256(bytes.as_bytes())), "", &[])?;
        ensure!(answer.status == 201, "PUT was answered with {}", answer.status);
    }
    Ok(())
}

/// Opens an upload; answers where it is.
fn begin(wire: &mut Wire) -> Result<String> {
    let answer = wire.request("POST", &format!("/v2/{REPOSITORY}/blobs/uploads/"), "", &[])?;
    ensure!(answer.status == 202, "POST was answered with {}", answer.status);
    target(answer.location)
}

/// The path and the query of a location.
fn target(location: Option<String>) -> Result<String> {
    let location = location.context("no Location")?;
    let behind = location.split_once("://").map_or(location.as_str(), |(_, rest)| rest);
    behind.find('/').map(|start| behind[start..].to_owned()).context("a Location without a path")
}

fn closing(location: &str, digest: &str) -> String {
    format!("{location}{}digest={digest}", if location.contains('?') { '&' } else { '?' })
}

/// Where what is asked for lies.
struct Served {
    large: String,
    small: Vec<Asked>,
}

/// Sees to it that the contender has what it is asked for.
fn serve(contender: &Contender, large: &[u8]) -> Result<Served> {
    let small = noise(16 * 1024);
    let config = b"{}";
    let layer = digest::sha256(large);
    let manifest = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST,
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest::sha256(config), "size": 2 },
        "layers": [{ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer, "size": large.len() }],
    });
    let manifest = manifest.to_string();
    let asked = |row, method, path: &str| Asked { row, method, path: path.to_owned() };
    if contender.role == Role::Files {
        for (name, bytes) in [("large", large), ("small", &small), ("manifest", manifest.as_bytes())] {
            fs::write(contender.root.join(name), bytes)?;
        }
        let small = vec![
            asked(Row::SmallBlob, "GET", "/small"),
            asked(Row::Manifest, "GET", "/manifest"),
            asked(Row::Head, "HEAD", "/small"),
        ];
        return Ok(Served { large: "/large".to_owned(), small });
    }
    let mut wire = contender.connect()?;
    for bytes in [large, &small, config.as_slice()] {
        let path = closing(&begin(&mut wire)?, &digest::sha256(bytes));
        let answer = wire.request("PUT", &path, "Content-Type: application/octet-stream\r\n", bytes)?;
        ensure!(answer.status == 201, "the blob was answered with {}", answer.status);
    }
    let path = format!("/v2/{REPOSITORY}/manifests/{TAG}");
    let answer = wire.request("PUT", &path, &format!("Content-Type: {OCI_MANIFEST}\r\n"), manifest.as_bytes())?;
    ensure!(answer.status == 201, "the manifest was answered with {}", answer.status);
    let blob = |digest: &str| format!("/v2/{REPOSITORY}/blobs/{digest}");
    let of_small = blob(&digest::sha256(&small));
    let small = vec![
        asked(Row::SmallBlob, "GET", &of_small),
        asked(Row::Manifest, "GET", &path),
        asked(Row::Head, "HEAD", &of_small),
    ];
    Ok(Served { large: blob(&layer), small })
}

/// Bytes that nothing can make smaller, the same each time (xorshift64).
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).flatten().take(length).collect()
}
