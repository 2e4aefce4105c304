//! What must hold after a power loss, asked of the real program on what was left.

use std::{
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    thread,
};

use cargohold_blobs::Key;
use cargohold_metadata::{Metadata, Timestamp};
use cargohold_oci::{Digest, RepositoryName};

use crate::{
    client::{Answer, Request},
    disk::{self, Tree},
    program::Program,
    recording::DATA,
    world::{self, Content, Promises, Session, World},
};

/// The database as a power loss left it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'f> {
    pub(crate) database: &'f [u8],
    pub(crate) log: &'f [u8],
}

/// Starts the program on what was left and checks that it keeps its promises; what it broke otherwise.
pub(crate) fn inspect(tree: &Tree, facts: Facts<'_>, promises: &Promises) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    disk::write(tree, folder.path());
    let data = folder.path().join(DATA);
    if data.exists() {
        facts.write(&data);
        let copy = tempfile::tempdir().unwrap();
        facts.write(copy.path());
        every_file_has_a_row(&data, copy.path(), &promises.all)?;
    }
    let program = Program::start(&data, &folder.path().join("log"))?;
    let checked = Inspection { addr: program.addr, promises }.check();
    drop(program);
    let log = || fs::read_to_string(folder.path().join("log")).unwrap();
    checked.map_err(|broken| format!("{broken}\n{}", log()))?;
    every_file_has_a_row(&data, &data, &promises.all).map_err(|broken| format!("after the next start {broken}"))
}

struct Inspection<'i> {
    addr: SocketAddr,
    promises: &'i Promises,
}

impl Inspection<'_> {
    fn check(&self) -> Result<(), String> {
        self.blobs()?;
        self.manifests()?;
        self.sessions()?;
        self.pushes_again()
    }

    fn blobs(&self) -> Result<(), String> {
        let Promises { sure, maybe, all } = self.promises;
        for (name, content) in &all.blobs {
            let (is_sure, is_possible) = (sure.blobs.contains_key(name), maybe.blobs.contains_key(name));
            self.holds(&format!("/v2/{}/blobs/{}", name.0, name.1), content, is_sure, is_possible)?;
        }
        Ok(())
    }

    fn manifests(&self) -> Result<(), String> {
        let Promises { sure, maybe, all } = self.promises;
        for (name, content) in &all.manifests {
            let (is_sure, is_possible) = (sure.manifests.contains_key(name), maybe.manifests.contains_key(name));
            self.holds(&format!("/v2/{}/manifests/{}", name.0, name.1), content, is_sure, is_possible)?;
        }
        Ok(())
    }

    /// What was there before and after is there, what was neither is not, and what is served is right.
    fn holds(&self, path: &str, content: &Content, before: bool, after: bool) -> Result<(), String> {
        let answer = self.send(&Request::new("GET", path))?;
        match answer.status {
            200 if !before && !after => Err(format!("GET {path}: it is back")),
            200 if answer.body[..] != content[..] => Err(format!("GET {path}: other bytes are served")),
            404 if before && after => Err(format!("GET {path}: it was acknowledged, and is lost")),
            200 | 404 => Ok(()),
            status => Err(format!("GET {path}: answered {status}")),
        }
    }

    fn sessions(&self) -> Result<(), String> {
        let Promises { sure, maybe, all } = self.promises;
        for (path, session) in &all.sessions {
            let (before, after) = (sure.sessions.get(path), maybe.sessions.get(path));
            let status = self.send(&Request::new("GET", path))?;
            match status.status {
                204 => {
                    let least = before.or(after).ok_or_else(|| format!("GET {path}: it has ended, and is back"))?;
                    let most = after.map_or(least.received, |after| after.received);
                    let received = status.received();
                    if received < least.received || received > most {
                        return Err(format!("GET {path}: {received} bytes, not {} to {most}", least.received));
                    }
                    self.resumes(path, session, received)?;
                }
                404 if before.is_some() && after.is_some() => {
                    return Err(format!("GET {path}: it was acknowledged, and is lost"));
                }
                404 => {}
                other => return Err(format!("GET {path}: answered {other}")),
            }
        }
        Ok(())
    }

    /// An upload goes on where the server says, and has the right bytes at its end.
    fn resumes(&self, path: &str, session: &Session, received: usize) -> Result<(), String> {
        let digest = world::digest(&session.content);
        let closing = Request::new("PUT", format!("{path}?digest={digest}")).with(&session.content[received..]);
        self.expect(201, &closing)?;
        self.serves(&format!("/v2/{}/blobs/{digest}", session.repository), &session.content)
    }

    /// Whatever was left, everything can be pushed.
    fn pushes_again(&self) -> Result<(), String> {
        for ((repository, digest), content) in &self.promises.all.blobs {
            let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
            self.expect(201, &Request::new("POST", path).with(content))?;
            self.serves(&format!("/v2/{repository}/blobs/{digest}"), content)?;
        }
        for ((repository, reference), content) in &self.promises.all.manifests {
            let path = format!("/v2/{repository}/manifests/{reference}");
            self.expect(201, &Request::new("PUT", &path).with(content).of_type(crate::IMAGE))?;
            self.serves(&path, content)?;
        }
        Ok(())
    }

    fn serves(&self, path: &str, content: &Content) -> Result<(), String> {
        self.holds(path, content, true, true)
    }

    fn expect(&self, status: u16, request: &Request) -> Result<(), String> {
        let answer = self.send(request)?;
        if answer.status == status {
            return Ok(());
        }
        let (method, path, said) = (request.method, &request.path, String::from_utf8_lossy(&answer.body));
        Err(format!("{method} {path}: answered {}, not {status}: {said}", answer.status))
    }

    fn send(&self, request: &Request) -> Result<Answer, String> {
        request.send(self.addr).map_err(|error| format!("{} {}: {error}", request.method, request.path))
    }
}

impl Facts<'_> {
    fn write(self, folder: &Path) {
        fs::write(folder.join("cargohold.db"), self.database).unwrap();
        fs::write(folder.join("cargohold.db-wal"), self.log).unwrap();
    }
}

/// Nothing leaks unseen: each file of bytes is at a place that a row names.
fn every_file_has_a_row(data: &Path, database: &Path, all: &World) -> Result<(), String> {
    // Connections belong to their thread, and end with it.
    let named = thread::scope(|scope| scope.spawn(|| named_places(database, all)).join().unwrap());
    let found = ["uploads", "docker"].iter().flat_map(|folder| files(&data.join(folder)));
    let below = |file: PathBuf| file.strip_prefix(data).unwrap().display().to_string();
    match found.map(below).find(|file| !named.contains(file)) {
        Some(file) => Err(format!("the file {file} is named by no row")),
        None => Ok(()),
    }
}

fn named_places(database: &Path, all: &World) -> BTreeSet<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let end = Timestamp::from_micros(i64::MAX);
        let metadata = Metadata::open(&database.join("cargohold.db"), end).unwrap();
        let mut named = BTreeSet::new();
        let pushed = all.blobs.keys().map(|(_, digest)| digest.clone());
        let resumed = all.sessions.values().map(|session| world::digest(&session.content));
        for digest in pushed.chain(resumed) {
            let live = metadata.live_object(&Digest::parse(&digest).unwrap()).await.unwrap();
            named.extend(live.map(|live| live.key));
        }
        for discarded in metadata.discarded(end, 1000).await.unwrap() {
            named.extend(discarded.upload.map(|id| Key::staging(id).as_str().to_owned()));
            named.insert(discarded.key);
        }
        let repositories: BTreeSet<&String> = all.blobs.keys().map(|(repository, _)| repository).collect();
        for id in metadata.stale_uploads(end, 1000).await.unwrap() {
            named.insert(Key::staging(id).as_str().to_owned());
            for repository in &repositories {
                let name = RepositoryName::parse(repository).unwrap();
                named.extend(metadata.upload(&name, id).await.unwrap().map(|upload| upload.key));
            }
        }
        metadata.close().await;
        named
    })
}

/// Every file below a folder; none if it is not there.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
