//! What lists and lookups cost in a database with few rows and in one with many, which are put there by SQL.
//!
//! For every number up to it there is a repository, a blob that one repository has, a manifest with a tag in one repository, and a
//! hundred of those manifests each are about the same subject.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rusqlite::{Connection, params};
use serde_json::json;

use super::contender::{Contender, Kind};
use super::load::Waits;
use super::material::{Material, REPOSITORY, Sizes};
use super::report::Figure;
use super::wire::Wire;
use super::work::{cost, least_of, repeat};
use crate::e2e::digest;
use crate::e2e::images::OCI_MANIFEST;
use crate::e2e::scratch::Scratch;

/// How long a list is.
const PAGE: u64 = 100;
/// How often each figure is taken for one of what takes longer: requests are over soon, and what else the machine does shows.
const ROUNDS: usize = 3;
/// Ids that the server gives to nothing.
const FIRST_ID: i64 = 1 << 40;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Tags,
    Repositories,
    Referrers,
    Head,
    Mount,
}

/// What it costs in a table with so many rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Among {
    pub(crate) asked: Asked,
    pub(crate) rows: u64,
    pub(crate) figure: Figure,
}

/// How fast it is there, and what it has of the machine before anybody asks for anything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    /// From the start of the process to the first answer.
    pub(crate) answered: Duration,
    /// In bytes.
    pub(crate) resident: u64,
}

impl Asked {
    pub(crate) const ALL: [Self; 5] = [Self::Tags, Self::Repositories, Self::Referrers, Self::Head, Self::Mount];

    /// How often it is asked: what is over sooner, more often.
    fn times(self, sizes: Sizes) -> u32 {
        match self {
            Self::Referrers | Self::Mount => sizes.requests / 10,
            Self::Tags | Self::Repositories | Self::Head => sizes.requests / 2,
        }
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Tags => "a page of 100 tags",
            Self::Repositories => "a page of 100 repositories",
            Self::Referrers => "100 referrers",
            Self::Head => "HEAD blob",
            Self::Mount => "mount without from",
        })
    }
}

/// Measures all of it, in one database that grows.
pub(crate) fn all(
    kind: &Kind,
    scratch: &Scratch,
    material: &Material,
    sizes: Sizes,
    runs: usize,
) -> Result<(Vec<Among>, Vec<Start>)> {
    let scratch = scratch.within("rows")?;
    let start = || Contender::start(kind, &scratch, None)?.context("the server is not there");
    let mut contender = start()?;
    material.bring(&contender)?;
    contender.stop()?;
    let (mut costs, mut starts, mut from) = (Vec::new(), Vec::new(), 0);
    for rows in sizes.rows.iter().copied() {
        fill(&contender, from, rows).context("the database cannot be filled")?;
        // Else the syncs of the start would wait for all of that.
        rustix::fs::sync();
        from = rows;
        let (mut waits, mut resident) = (Vec::new(), 0);
        for _ in 0..runs {
            let began = Instant::now();
            contender = start()?;
            repeat(&mut contender.connect()?, 1, "GET", "/v2/", u64::MAX)?;
            waits.push(began.elapsed());
            resident = contender.processes().memory();
            contender.stop()?;
        }
        starts.push(Start { answered: Waits::of(waits).median, resident });
        contender = start()?;
        contender.processes().pin(true)?;
        for asked in Asked::ALL {
            let figure = least_of(ROUNDS * runs, || {
                let times = asked.times(sizes);
                let cost = cost(&contender, || ask(asked, &mut contender.connect()?, material, rows, times))?;
                Ok(cost.per(u64::from(times), 1))
            })?;
            println!("  {asked} among {rows}: {:.1} us", figure.cpu * 1e6);
            costs.push(Among { asked, rows, figure });
        }
        contender.processes().pin(false)?;
        contender.stop()?;
    }
    Ok((costs, starts))
}

fn ask(asked: Asked, wire: &mut Wire, material: &Material, rows: u64, times: u32) -> Result<()> {
    // A page in the middle, and a whole one where there are no more rows than that.
    let before = (rows.saturating_sub(PAGE) / 2).checked_sub(1).map_or(String::new(), |before| format!("{before:07}"));
    let get = |wire: &mut Wire, path: &str| repeat(wire, times, "GET", path, u64::MAX);
    match asked {
        Asked::Tags => get(wire, &format!("/v2/{REPOSITORY}/tags/list?n={PAGE}&last=t{before}")),
        Asked::Repositories => get(wire, &format!("/v2/_catalog?n={PAGE}&last=many/r{before}")),
        Asked::Referrers => {
            let subject = format!("sha256:{:064x}", rows / 2 / PAGE);
            get(wire, &format!("/v2/{REPOSITORY}/referrers/{subject}"))
        }
        Asked::Head => repeat(wire, times, "HEAD", &material.of_large, 0),
        Asked::Mount => {
            let path = format!("/v2/bench/mounted/blobs/uploads/?mount={}", digest::sha256(b"{}"));
            for _ in 0..times {
                let status = wire.request("POST", &path, "", &[])?.status;
                ensure!(status == 201, "the mount was answered with {status}");
            }
            Ok(())
        }
    }
}

/// Has the database of a server that is stopped have rows with these numbers.
fn fill(contender: &Contender, from: u64, to: u64) -> Result<()> {
    let mut database = Connection::open(contender.root.join("cargohold.db"))?;
    database.pragma_update(None, "synchronous", "off")?;
    let insert = database.transaction()?;
    let store: i64 = insert.query_row("select id from stores", [], |row| row.get(0))?;
    let repository: i64 =
        insert.query_row("select id from repositories where name = ?1", [REPOSITORY], |row| row.get(0))?;
    let (first, last) = (FIRST_ID + i64::try_from(from)?, FIRST_ID + i64::try_from(to)? - 1);
    let numbers = "with recursive numbers(id, n) as (select ?1, ?1 - ?3 union all select id + 1, n + 1 from numbers where id < ?2)";
    let name = |first: &str, number: &str| format!("unhex('01{first}' || printf('%062x', {number}))");
    let insertions = [
        "insert into repositories (id, name, created_at, published_at) select id, printf('many/r%07d', n), 1, 1 from numbers"
            .to_owned(),
        format!("insert into blobs (id, digest, size) select id, {}, 1000 from numbers", name("b0", "n")),
        "insert into objects (id, store_id, key, state, blob_id, size) \
         select id, ?4, printf('made-up/%07d', n), 'live', id, 1000 from numbers"
            .to_owned(),
        "insert into repository_blobs (repository_id, blob_id, linked_at) select ?5, id, 1 from numbers".to_owned(),
        format!(
            "insert into manifest_payloads (id, digest, bytes) select id, {}, cast('{}' as blob) from numbers",
            name("a0", "n"),
            json!({
                "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "application/vnd.example",
                "config": { "mediaType": "application/vnd.oci.empty.v1+json", "digest": digest::sha256(b"{}"), "size": 2 },
                "layers": [], "annotations": { "org.example.number": "one of many" },
            })
        ),
        format!(
            "insert into manifests (id, repository_id, payload_id, media_type, artifact_type, subject, total_size, pushed_at) \
             select id, ?5, id, 'application/vnd.oci.image.manifest.v1+json', 'application/vnd.example', {}, 0, 1 from numbers",
            name("00", "n / 100")
        ),
        "insert into tags (repository_id, name, manifest_id, pushed_at) select ?5, printf('t%07d', n), id, 1 from numbers"
            .to_owned(),
    ];
    for insertion in insertions {
        let rows = insert.execute(
            &format!("{numbers} {insertion} where ?4 + ?5 > 0"),
            params![first, last, FIRST_ID, store, repository],
        )?;
        ensure!(rows as u64 == to - from, "{rows} rows came of {insertion}");
    }
    Ok(insert.commit()?)
}
