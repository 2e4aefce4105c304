//! What every contender is given to do by one client, and what that costs it.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::contender::{Contender, Role};
use super::crowd;
use super::curl::{Curl, Protocol};
use super::far;
use super::material::{Material, Paths, Sizes, begin, closing, put, target};
use super::report::{Figure, Row, Table, least};
use super::wire::Wire;
use crate::e2e::digest;
use crate::e2e::images::OCI_MANIFEST;
use crate::e2e::scratch::Scratch;

const GIGABYTE: u64 = 1_000_000_000;
/// After this, a figure is known well enough.
pub(crate) const ENOUGH: Duration = Duration::from_secs(4);
/// How often small requests are measured in a round.
const SMALL_ROUNDS: usize = 2;
/// Requests between two looks at the clock.
pub(crate) const A_FEW: u32 = 100;
/// To the other side of a continent and back.
const ROUND_TRIP: Duration = Duration::from_millis(50);

/// Who does it and how often, and where it is written down.
pub(crate) struct Bench<'b> {
    pub(crate) sizes: Sizes,
    /// How often all of it was done before.
    pub(crate) round: usize,
    pub(crate) material: &'b mut Material,
    pub(crate) table: &'b mut Table,
}

impl Bench<'_> {
    /// Does all of it that the contender can do without TLS.
    pub(crate) fn plain(&mut self, contender: &Contender) -> Result<()> {
        let processes = contender.processes();
        let idle = processes.memory();
        processes.pin(true)?;
        if contender.role != Role::Files {
            self.large_pushes(contender)?;
        }
        if contender.role != Role::Receiver {
            self.material.bring(contender)?;
            self.large_pulls(contender)?;
            // They are over soon, and what else the machine does shows in them the most.
            for _ in 0..SMALL_ROUNDS {
                self.small_requests(contender)?;
            }
        }
        if contender.role == Role::Registry {
            self.small_pushes(contender)?;
        }
        self.table.memory(contender.name(), idle, processes.most_memory());
        processes.pin(false)
    }

    /// Pulls the large blob by TLS from a contender that has it already.
    pub(crate) fn tls(&mut self, contender: &Contender, authority: &Path) -> Result<()> {
        contender.processes().pin(true)?;
        let curl = Curl::new(Some(authority))?;
        let address = format!("https://{}{}", contender.address, self.material.paths(contender.role).large);
        let (length, pulls) = (self.material.large.len() as u64, self.sizes.pulls);
        for (row, protocol) in [(Row::PullTls, Protocol::Http1), (Row::PullTlsHttp2, Protocol::Http2)] {
            let figure = cost(contender, || curl.pull(&address, protocol, pulls, length))
                .map(|cost| cost.per(u64::from(pulls) * length, GIGABYTE));
            // docker-registry knows no HTTP/2 with some settings; who does not speak it has no figure.
            match figure {
                Ok(figure) => self.table.put(row, contender.name(), figure),
                Err(error) if row == Row::PullTlsHttp2 && !contender.is_ours() => println!("  {error:#}"),
                Err(error) => return Err(error),
            }
        }
        contender.processes().pin(false)
    }

    /// Pushes to a server that is far away, by both protocols.
    pub(crate) fn far(&mut self, contender: &Contender, scratch: &Scratch) -> Result<()> {
        let address = far::server(&contender.address, ROUND_TRIP)?;
        let (curl, file) = (Curl::new(None)?, scratch.path("far"));
        let mut bytes = self.material.large[..self.sizes.large / 4].to_vec();
        for (row, protocol) in [(Row::PushFar, Protocol::Http1), (Row::PushFarHttp2, Protocol::Http2)] {
            bytes[0] = row as u8;
            std::fs::write(&file, &bytes)?;
            let path = closing(&begin(&mut contender.connect()?)?, &digest::sha256(&bytes));
            let cost = cost(contender, || curl.push(&format!("http://{address}{path}"), protocol, &file))?;
            self.table.put(row, contender.name(), cost.per(bytes.len() as u64, GIGABYTE));
        }
        Ok(std::fs::remove_file(file)?)
    }

    /// Each time other bytes, or the registry would have them already.
    fn large_pushes(&mut self, contender: &Contender) -> Result<()> {
        let bytes = &mut self.material.large;
        let begins = bytes[..8].to_vec();
        bytes[..8].copy_from_slice(&(self.round as u64 + 1).to_le_bytes());
        let name = digest::sha256(bytes);
        // What was pushed before takes no memory that this push has to get back.
        crowd::forget(&contender.root)?;
        let cost = cost(contender, || {
            let mut wire = contender.connect()?;
            let is_registry = contender.role == Role::Registry;
            let path = if is_registry { closing(&begin(&mut wire)?, &name) } else { "/".to_owned() };
            put(&mut wire, &path, bytes)
        })?;
        bytes[..8].copy_from_slice(&begins);
        self.table.put(Row::Push, contender.name(), cost.per(bytes.len() as u64, GIGABYTE));
        Ok(())
    }

    fn large_pulls(&mut self, contender: &Contender) -> Result<()> {
        let (path, length) = (self.material.paths(contender.role).large, self.material.large.len() as u64);
        let pulls = self.sizes.pulls;
        let cost = cost(contender, || repeat(&mut contender.connect()?, pulls, "GET", &path, length))?;
        self.table.put(Row::Pull, contender.name(), cost.per(u64::from(pulls) * length, GIGABYTE));
        Ok(())
    }

    fn small_requests(&mut self, contender: &Contender) -> Result<()> {
        let paths = self.material.paths(contender.role);
        for row in [Row::SmallBlob, Row::Manifest, Row::Head] {
            let mut wire = contender.connect()?;
            // Of somebody slow, one knows it soon.
            let (began, most, mut done) = (Instant::now(), self.sizes.requests, 0);
            let cost = cost(contender, || {
                while done < most && began.elapsed() < ENOUGH {
                    ask_small(&mut wire, A_FEW.min(most), row, &paths)?;
                    done += A_FEW.min(most);
                }
                Ok(())
            })?;
            self.table.put(row, contender.name(), cost.per(u64::from(done), 1));
        }
        Ok(())
    }

    fn small_pushes(&mut self, contender: &Contender) -> Result<()> {
        let times = self.sizes.small_pushes;
        let mut serial = self.round as u64 * u64::from(times);
        let cost = cost(contender, || push_small(&mut contender.connect()?, times, &mut serial))?;
        self.table.put(Row::SmallPush, contender.name(), cost.per(u64::from(times), 1));
        Ok(())
    }
}

/// What some work has cost.
pub(crate) struct Cost {
    cpu: Duration,
    wall: Duration,
}

impl Cost {
    /// For `unit` of so many.
    pub(crate) fn per(&self, done: u64, unit: u64) -> Figure {
        #[expect(clippy::cast_precision_loss, reason = "figures have three digits")]
        let share = unit as f64 / done as f64;
        Figure { cpu: self.cpu.as_secs_f64() * share, wall: self.wall.as_secs_f64() * share }
    }
}

/// Has the work done, and says what of it the contender's processes did.
pub(crate) fn cost(contender: &Contender, work: impl FnOnce() -> Result<()>) -> Result<Cost> {
    let processes = contender.processes();
    let (before, began) = (processes.cpu()?, Instant::now());
    work()?;
    let wall = began.elapsed();
    Ok(Cost { cpu: processes.cpu()?.saturating_sub(before), wall })
}

/// The least of so many runs.
pub(crate) fn least_of(runs: usize, mut run: impl FnMut() -> Result<Figure>) -> Result<Figure> {
    Ok(least(&(0..runs.max(1)).map(|_| run()).collect::<Result<Vec<_>>>()?))
}

/// Asks so often. `length` is that of the body, or nothing that is looked at (`u64::MAX`).
pub(crate) fn repeat(wire: &mut Wire, times: u32, method: &str, path: &str, length: u64) -> Result<()> {
    for _ in 0..times {
        let answer = wire.request(method, path, &format!("Accept: {OCI_MANIFEST}\r\n"), &[])?;
        ensure!(answer.status == 200, "{method} {path} was answered with {}", answer.status);
        ensure!(length == u64::MAX || answer.body == length, "{method} {path} brought {} bytes", answer.body);
    }
    Ok(())
}

/// Asks so often for what such a row is about.
pub(crate) fn ask_small(wire: &mut Wire, times: u32, row: Row, paths: &Paths) -> Result<()> {
    match row {
        Row::Head => repeat(wire, times, "HEAD", &paths.small, 0),
        Row::SmallBlob => repeat(wire, times, "GET", &paths.small, u64::MAX),
        _ => repeat(wire, times, "GET", &paths.manifest, u64::MAX),
    }
}

/// POST, PATCH and PUT for each, as docker does.
pub(crate) fn push_small(wire: &mut Wire, times: u32, serial: &mut u64) -> Result<()> {
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
