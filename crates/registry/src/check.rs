//! The check of everything that is stored: each live object has its bytes, these have their digest, and in a store that we own no
//! file lies that no row names.
//!
//! It may run beside a server, whose work it must not take for damage: what looks wrong is looked at once more, behind the row as
//! it is by then. A row is there from before an object's first byte until after its deletion, so a file is seen before the
//! row that names it is asked for.

use std::{collections::HashSet, future::Future, sync::atomic::AtomicU64, sync::atomic::Ordering, thread};

use cargohold_access::OperatorPermit;
use cargohold_blobs::{Error as StoreError, Examined, Key, Pace};
use cargohold_metadata::{
    CheckedObject, CheckedSession, DiscardUnnamed, MarkFound, MarkMissing, MarkVerified, PayloadId, StoreId,
};
use cargohold_oci::{Digest, UploadId};
use futures_util::{StreamExt, stream};

use crate::{Error, Registry};

/// Rows read at once.
const PAGE: u16 = 500;
/// Payloads read at once; each may have some MiB.
const PAYLOADS: u16 = 8;
/// Where uploads are staged.
const STAGED: &str = "uploads/";

/// How a check goes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HowToCheck {
    /// Whether all bytes are read; else only their number is looked at.
    pub read: bool,
    /// Whether what is wrong is put right. No server may run then.
    pub repair: bool,
}

/// What a check tells while it runs.
#[derive(Debug)]
pub enum Checking {
    /// So many objects are to be looked at, and they have so many bytes.
    Objects {
        /// Objects.
        objects: u64,
        /// Bytes.
        bytes: u64,
    },
    /// An object was looked at; it has so many bytes.
    Object(u64),
    /// Something is wrong.
    Problem(Problem),
}

/// Something that is wrong, and was put right if that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The database's file itself is damaged.
    #[error("the database is damaged: {0}")]
    Database(String),
    /// A manifest's bytes are not what their digest says.
    #[error("the bytes of manifest {0} are damaged; only a backup of the facts has them")]
    Payload(Digest),
    /// A live object has no bytes: readers cannot be served. Marked, it is replaced by the next push.
    #[error("blob {digest} has no bytes at {key}")]
    Missing {
        /// The blob.
        digest: Digest,
        /// Where they should be.
        key: String,
    },
    /// A live object's bytes are not the blob. Marked as missing, it is replaced by the next push.
    #[error("blob {digest} is damaged at {key}: {found}")]
    Damaged {
        /// The blob.
        digest: Digest,
        /// Where it lies.
        key: String,
        /// What is there.
        found: String,
    },
    /// A live object could not be read, twice. Marked as missing, it is replaced by the next push.
    #[error("blob {digest} cannot be read at {key}: {cause}")]
    Unreadable {
        /// The blob.
        digest: Digest,
        /// Where it lies.
        key: String,
        /// Why.
        cause: String,
    },
    /// An object that is marked as missing has its bytes after all. It can be live again.
    #[error("blob {digest} is marked as missing, and its bytes are there at {key}")]
    Found {
        /// The blob.
        digest: Digest,
        /// Where it lies.
        key: String,
    },
    /// An adopted store cannot be reached: nothing of it was checked, and nothing marked.
    #[error("an adopted store was not checked: {0}")]
    StoreAway(String),
    /// An upload session has fewer bytes than were acknowledged: it cannot be resumed, and is ended.
    #[error("upload {upload} has {length} bytes, and {received} were acknowledged")]
    Session {
        /// The session.
        upload: UploadId,
        /// Bytes that were acknowledged.
        received: u64,
        /// Bytes that are there.
        length: u64,
    },
    /// A file that no row names. Named, it is deleted after a while.
    #[error("{0} is named by nothing")]
    Unnamed(String),
}

/// How much was checked, and how much of it was wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Objects that were looked at.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Manifests that were read.
    pub payloads: u64,
    /// Upload sessions that were looked at.
    pub sessions: u64,
    /// Files that were looked for in the facts.
    pub files: u64,
    /// Blobs that are known to be lost: readers get 404 until somebody pushes them again.
    pub missing: u64,
    /// Problems.
    pub problems: u64,
    /// Those of them that a repair does not put right.
    pub lasting: u64,
}

impl Problem {
    /// Whether a repair puts it right, as far as it can be.
    fn can_be_repaired(&self) -> bool {
        match self {
            Self::Database(_) | Self::Payload(_) | Self::StoreAway(_) => false,
            Self::Missing { .. }
            | Self::Damaged { .. }
            | Self::Unreadable { .. }
            | Self::Found { .. }
            | Self::Session { .. }
            | Self::Unnamed(_) => true,
        }
    }
}

impl Registry {
    /// Checks everything that is stored. Problems are told to `tell` as they are found, in no order.
    pub async fn check(
        &self,
        _permit: &OperatorPermit,
        how: HowToCheck,
        tell: &(dyn Fn(Checking) + Sync),
    ) -> Result<Checked, Error> {
        let (missing, problems, lasting) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        let mut check = Check { registry: self, how, tell, away: HashSet::new(), missing, problems, lasting };
        for (store, error) in self.0.stores.away() {
            check.away.insert(store);
            check.problem(Problem::StoreAway(chain(&error)));
        }
        for damage in self.0.metadata.damage()? {
            check.problem(Problem::Database(damage));
        }
        let payloads = check.payloads().await?;
        let (objects, bytes) = check.count().await?;
        tell(Checking::Objects { objects, bytes });
        let (objects, bytes) = check.objects().await?;
        let sessions = check.sessions().await?;
        let files = check.files().await?;
        let Check { missing, problems, lasting, .. } = check;
        let [missing, problems, lasting] = [missing, problems, lasting].map(AtomicU64::into_inner);
        Ok(Checked { objects, bytes, payloads, sessions, files, missing, problems, lasting })
    }

    /// What is wrong with an object, asked twice: what changed in between is the work of others.
    pub(crate) async fn examine(&self, object: &CheckedObject, pace: Option<Pace>) -> Result<Option<Problem>, Error> {
        if self.look_at(object, pace).await?.is_none() {
            return Ok(None);
        }
        match self.0.metadata.object_to_check(object.object).await? {
            Some(again) if again.live == object.live => self.look_at(&again, pace).await,
            _ => Ok(None),
        }
    }

    async fn look_at(&self, object: &CheckedObject, pace: Option<Pace>) -> Result<Option<Problem>, Error> {
        let CheckedObject { store, digest, key: place, size, live, .. } = object.clone();
        let (disk, key) = self.locate(store, &place)?;
        let seen = match pace {
            Some(pace) => disk.examine(&key, digest.algorithm(), pace).await,
            None => disk.length(&key).await.map(|size| Examined { digest, size }),
        };
        Ok(match (seen, live) {
            (Ok(seen), true) if seen == (Examined { digest, size }) => None,
            (Ok(seen), false) if pace.is_some() && seen == (Examined { digest, size }) => {
                Some(Problem::Found { digest, key: place })
            }
            // What is marked as missing may be anything.
            (Ok(_) | Err(StoreError::NotFound { .. } | StoreError::Io { .. }), false) => None,
            (Ok(seen), true) if seen.size != size => {
                let found = format!("it has {} bytes instead of {size}", seen.size);
                Some(Problem::Damaged { digest, key: place, found })
            }
            (Ok(seen), true) => {
                let found = format!("its bytes have the digest {}", seen.digest);
                Some(Problem::Damaged { digest, key: place, found })
            }
            (Err(StoreError::NotFound { .. }), true) => Some(Problem::Missing { digest, key: place }),
            (Err(StoreError::Io { source, .. }), true) => {
                Some(Problem::Unreadable { digest, key: place, cause: source.to_string() })
            }
            (Err(error), _) => return Err(error.into()),
        })
    }

    /// Writes down what was found about an object.
    pub(crate) async fn settle(&self, object: &CheckedObject, problem: Option<&Problem>) -> Result<(), Error> {
        let (metadata, now) = (&self.0.metadata, self.0.environment.now());
        let CheckedObject { object, size, .. } = *object;
        match problem {
            None => metadata.run(MarkVerified { object, now }).await?,
            Some(Problem::Missing { .. } | Problem::Damaged { .. } | Problem::Unreadable { .. }) => {
                metadata.run(MarkMissing { object }).await?;
            }
            Some(Problem::Found { .. }) => drop(metadata.run(MarkFound { object, size, now }).await?),
            Some(_) => {}
        }
        Ok(())
    }
}

struct Check<'c> {
    registry: &'c Registry,
    how: HowToCheck,
    tell: &'c (dyn Fn(Checking) + Sync),
    /// Adopted stores that cannot be reached.
    away: HashSet<StoreId>,
    missing: AtomicU64,
    problems: AtomicU64,
    lasting: AtomicU64,
}

impl Check<'_> {
    fn problem(&self, problem: Problem) {
        self.problems.fetch_add(1, Ordering::Relaxed);
        self.lasting.fetch_add(u64::from(!problem.can_be_repaired()), Ordering::Relaxed);
        (self.tell)(Checking::Problem(problem));
    }

    async fn payloads(&self) -> Result<u64, Error> {
        let (mut after, mut checked): (Option<PayloadId>, _) = (None, 0);
        loop {
            let page = self.registry.0.metadata.payloads_to_check(after, PAYLOADS).await?;
            let Some(last) = page.last() else { return Ok(checked) };
            after = Some(last.payload);
            for payload in page {
                if Digest::of(payload.digest.algorithm(), &payload.bytes) != payload.digest {
                    self.problem(Problem::Payload(payload.digest));
                }
                checked += 1;
            }
        }
    }

    async fn count(&self) -> Result<(u64, u64), Error> {
        let (objects, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        self.each_object(async |object| {
            objects.fetch_add(1, Ordering::Relaxed);
            bytes.fetch_add(object.size, Ordering::Relaxed);
            Ok(())
        })
        .await?;
        Ok((objects.into_inner(), bytes.into_inner()))
    }

    async fn objects(&self) -> Result<(u64, u64), Error> {
        let (objects, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        self.each_object(async |object| {
            let pace = self.how.read.then_some(Pace::Fast);
            let problem = self.registry.examine(&object, pace).await?;
            // A length that fits says nothing about the bytes.
            if self.how.repair && (self.how.read || problem.is_some()) {
                self.registry.settle(&object, problem.as_ref()).await?;
            }
            match problem {
                Some(problem) => self.problem(problem),
                None if !object.live && self.registry.0.metadata.live_object(&object.digest).await?.is_none() => {
                    self.missing.fetch_add(1, Ordering::Relaxed);
                }
                None => {}
            }
            objects.fetch_add(1, Ordering::Relaxed);
            bytes.fetch_add(object.size, Ordering::Relaxed);
            (self.tell)(Checking::Object(object.size));
            Ok(())
        })
        .await?;
        Ok((objects.into_inner(), bytes.into_inner()))
    }

    /// Does something with every object, with as many at a time as there are processors.
    async fn each_object<F: Future<Output = Result<(), Error>>>(
        &self,
        act: impl Fn(CheckedObject) -> F,
    ) -> Result<(), Error> {
        let at_a_time = thread::available_parallelism().map_or(1, usize::from);
        let mut after = None;
        loop {
            let page = self.registry.0.metadata.objects_to_check(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.object);
            let here = page.into_iter().filter(|object| !self.away.contains(&object.store));
            let mut acts = stream::iter(here).map(&act).buffer_unordered(at_a_time);
            while let Some(acted) = acts.next().await {
                acted?;
            }
        }
    }

    async fn sessions(&self) -> Result<u64, Error> {
        let (mut after, mut checked) = (None, 0);
        loop {
            let page = self.registry.0.metadata.sessions_to_check(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(checked) };
            after = Some(last.upload);
            for session in page {
                if let Some(problem) = self.session(&session).await? {
                    if self.how.repair {
                        self.registry.give_up(session.upload).await?;
                    }
                    self.problem(problem);
                }
                checked += 1;
            }
        }
    }

    /// A session that goes on meanwhile only gets longer, and one that ends is finished elsewhere.
    async fn session(&self, session: &CheckedSession) -> Result<Option<Problem>, Error> {
        if self.length_of(session).await? >= session.received {
            return Ok(None);
        }
        // Its bytes may have been moved, or it may have ended, since it was read.
        let Some(again) = self.registry.0.metadata.session_to_check(session.upload).await? else { return Ok(None) };
        let length = self.length_of(&again).await?;
        let CheckedSession { upload, received, .. } = again;
        if length >= received || self.registry.0.metadata.session_to_check(upload).await?.is_none() {
            return Ok(None);
        }
        Ok(Some(Problem::Session { upload, received, length }))
    }

    /// How long what a session has written is, wherever it lies.
    async fn length_of(&self, session: &CheckedSession) -> Result<u64, Error> {
        let mut length = 0;
        for key in [Key::staging(session.upload), Key::parse(&session.key)?] {
            match self.registry.0.stores.disk().reader().length(&key).await {
                Ok(there) => length = length.max(there),
                Err(StoreError::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(length)
    }

    async fn files(&self) -> Result<u64, Error> {
        let (mut walk, mut checked) = (self.registry.0.stores.disk().walk(), 0);
        while let Some(files) = walk.recv().await {
            let files = files?;
            checked += files.len() as u64;
            let unnamed = self.unnamed(files).await?;
            if self.how.repair && !unnamed.is_empty() {
                self.registry.discard_unnamed(unnamed.clone()).await?;
            }
            for file in unnamed {
                self.problem(Problem::Unnamed(file));
            }
        }
        Ok(checked)
    }

    /// Those of some files that are there and that no row names.
    async fn unnamed(&self, mut files: Vec<String>) -> Result<Vec<String>, Error> {
        // Twice: one that came and went between the walk and the question is not there any more.
        for _ in 0..2 {
            let named = self.registry.named(&files).await?;
            files.retain(|file| !named.contains(file));
            let mut there = Vec::new();
            for file in files {
                let Ok(key) = Key::parse(&file) else {
                    there.push(file);
                    continue;
                };
                match self.registry.0.stores.disk().reader().length(&key).await {
                    Err(StoreError::NotFound { .. }) => {}
                    Err(error @ StoreError::StoreAway { .. }) => return Err(error.into()),
                    _ => there.push(file),
                }
            }
            files = there;
            if files.is_empty() {
                break;
            }
        }
        Ok(files)
    }
}

impl Registry {
    /// Those of some files that a row names.
    async fn named(&self, files: &[String]) -> Result<HashSet<String>, Error> {
        let metadata = &self.0.metadata;
        let mut named: HashSet<String> = metadata.named_keys(self.0.stores.own(), files).await?.into_iter().collect();
        let staged: Vec<&str> = files.iter().filter_map(|file| file.strip_prefix(STAGED)).collect();
        let uploads = metadata.named_uploads(&staged).await?;
        named.extend(uploads.into_iter().map(|upload| format!("{STAGED}{upload}")));
        Ok(named)
    }

    /// Has files that no row names deleted, once the bytes of something that was swept now would be.
    pub(crate) async fn discard_unnamed(&self, files: Vec<String>) -> Result<(), Error> {
        // What has no key of ours is somebody else's, whatever it does there.
        let keys: Vec<String> = files.into_iter().filter(|file| Key::parse(file).is_ok()).collect();
        let delete_after = self.0.environment.now().plus(self.0.lifetimes.swept_bytes);
        Ok(self.0.metadata.run(DiscardUnnamed { store: self.0.stores.own(), keys, delete_after }).await?)
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(because) = cause {
        text = format!("{text}: {because}");
        cause = because.source();
    }
    text
}
