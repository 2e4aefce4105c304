//! Clients that come in crowds: readers that take what they asked for slowly, and those who ask for files that are on no page in
//! memory. What it holds for them, and how long others wait meanwhile.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use rustix::fs::{Advice, fadvise};

use super::contender::Contender;
use super::curl;
use super::load::{Waits, waits};
use super::material::{Material, Sizes, blob_path, noise, push};
use crate::e2e::digest;

/// How long readers may take to have all begun.
const BEGIN_LIMIT: Duration = Duration::from_mins(1);
/// How often somebody else asks meanwhile.
const QUESTIONS: usize = 2000;

/// How it goes with many slow readers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crowd {
    pub(crate) readers: usize,
    /// In bytes.
    pub(crate) resident: u64,
    pub(crate) threads: u64,
    /// Of others, without the readers and with them, if they were looked at.
    pub(crate) others: Option<(Waits, Waits)>,
}

/// How long `/healthz` takes while nobody else asks, and while many cold files are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cold {
    pub(crate) files: usize,
    pub(crate) quiet: Waits,
    pub(crate) meanwhile: Waits,
}

/// Readers of a file: without TLS, where it is pushed first and others ask for a manifest meanwhile, or by TLS if there is an
/// authority to trust.
pub(crate) fn slow_readers(
    contender: &Contender,
    authority: Option<&Path>,
    material: &Material,
    sizes: Sizes,
) -> Result<Crowd> {
    let file = noise(sizes.file);
    let scheme = if authority.is_some() { "https" } else { "http" };
    let path = blob_path(&digest::sha256(&file));
    let manifest = material.paths(contender.role).manifest;
    let ask = || anyhow::Ok(Waits::of(waits(&mut contender.connect()?, QUESTIONS, &manifest)?));
    let quiet = if authority.is_none() {
        push(&mut contender.connect()?, &file)?;
        Some(ask()?)
    } else {
        None
    };
    let address = format!("{scheme}://{}{path}", contender.address);
    let readers =
        curl::slow_readers(&address, authority, sizes.readers, &contender.root.with_file_name("readers.log"))?;
    let processes = contender.processes();
    let began = Instant::now();
    while processes.sockets() < sizes.readers {
        ensure!(began.elapsed() < BEGIN_LIMIT, "{} of {} readers came", processes.sockets(), sizes.readers);
        thread::sleep(Duration::from_millis(50));
    }
    // Until the pipes are full, they are fast.
    thread::sleep(Duration::from_secs(3));
    let others = quiet.map(|quiet| anyhow::Ok((quiet, ask()?))).transpose()?;
    let (resident, threads) = (processes.memory(), processes.threads());
    drop(readers);
    Ok(Crowd { readers: sizes.readers, resident, threads, others })
}

/// Pulls of files that the page cache has nothing of.
pub(crate) fn cold(contender: &Contender, sizes: Sizes) -> Result<Cold> {
    let mut bytes = noise(sizes.file / 4);
    let mut paths = Vec::new();
    for number in 0..sizes.cold_files {
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        push(&mut contender.connect()?, &bytes)?;
        paths.push(blob_path(&digest::sha256(&bytes)));
    }
    let quiet = Waits::of(waits(&mut contender.connect()?, QUESTIONS, "/healthz")?);
    forget(&contender.root)?;
    let done = AtomicBool::new(false);
    let meanwhile = thread::scope(|scope| {
        let pull = |path: &String| {
            let answer = contender.connect()?.request("GET", path, "", &[])?;
            ensure!(answer.body == bytes.len() as u64, "{path} brought {} bytes", answer.body);
            Ok(())
        };
        let pulls: Vec<_> = paths.iter().map(|path| scope.spawn(move || pull(path))).collect();
        let health = scope.spawn(|| {
            let (mut wire, mut all) = (contender.connect()?, Vec::new());
            while !done.load(Ordering::Relaxed) {
                all.extend(waits(&mut wire, 1, "/healthz")?);
            }
            anyhow::Ok(all)
        });
        let pulled: Result<Vec<()>> =
            pulls.into_iter().map(|pull| pull.join().map_err(|_| anyhow!("a client panicked"))?).collect();
        done.store(true, Ordering::Relaxed);
        let all = health.join().map_err(|_| anyhow!("a client panicked"))?;
        pulled.and(all)
    })?;
    Ok(Cold { files: sizes.cold_files, quiet, meanwhile: Waits::of(meanwhile) })
}

/// Has the page cache drop all files of a folder.
pub(crate) fn forget(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            forget(&path)?;
        } else if let Ok(file) = fs::File::open(&path) {
            fadvise(&file, 0, None, Advice::DontNeed)?;
        }
    }
    Ok(())
}
