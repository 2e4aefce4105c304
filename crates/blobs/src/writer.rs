//! Writing the bytes of an upload as they arrive: gathered in memory, hashed and written in batches on the pool for blocking
//! work, and synced when the request ends.
//!
//! While one batch is written the next one fills, so an upload takes the memory of two batches, however large it is and however
//! small its pieces are. Gathering copies: that measured the same as writing the connection's own buffers, and keeps none of them
//! alive. What goes to the pool (file, hash, position, and a share of the turn at the upload) comes back only if all went well:
//! after a failure nothing can be written, synced or published through this writer any more.

use std::fs::File;
use std::io;
use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinHandle;

use crate::claim::Turn;
use crate::file_system::{self, Context as _, Failure};
use crate::key::UPLOADS;
use crate::local_disk::Disk;
use crate::{Error, HashState, Key, Observer as _, UploadClaim, placing};

/// The most that is gathered before it is written. Measured through a connection: twice as much gains nothing, and a quarter
/// costs a sixth more time.
const BATCH_BYTES: usize = 512 * 1024;

/// The one writer of an upload in this process.
#[derive(Debug)]
pub struct UploadWriter {
    stage: Stage,
    gathered: Vec<u8>,
    received: u64,
    // Behind the stage, so that the file is closed before the turn is over.
    claim: UploadClaim,
}

/// What is on the disk after a sync, to be committed together.
#[derive(Debug, Clone)]
pub struct Synced {
    /// How many bytes.
    pub received: u64,
    /// Their hash.
    pub hash: HashState,
}

#[derive(Debug)]
enum Stage {
    Idle(Box<Staged>),
    /// Something runs on the pool.
    Busy(JoinHandle<Result<Box<Staged>, Error>>),
    /// Something failed.
    Failed,
}

/// The staged file, as far as it is written.
#[derive(Debug)]
struct Staged {
    file: File,
    hash: HashState,
    written: u64,
    /// Whether the file differs from what was last synced.
    changed: bool,
    /// Whether the file's entry in the folder of uploads may not be on the disk.
    new: bool,
    /// An empty buffer for the next batch.
    spare: Vec<u8>,
    key: Key,
    disk: Arc<Disk>,
    /// The turn lasts as long as something may be written.
    _turn: Arc<Turn>,
}

impl UploadWriter {
    pub(crate) async fn open(claim: UploadClaim, at: &Key, received: u64, hash: HashState) -> Result<Self, Error> {
        claim.go_on()?;
        let (disk, turn, at) = (Arc::clone(&claim.disk), Arc::clone(&claim.turn), at.clone());
        let key = Key::staging(claim.id());
        let opening = tokio::task::spawn_blocking(move || Staged::open(disk, turn, key, &at, received, hash));
        let mut writer = Self {
            stage: Stage::Busy(opening),
            gathered: Vec::new(),
            received,
            claim: UploadClaim { synced: false, ..claim },
        };
        writer.settle().await?;
        Ok(writer)
    }

    /// Takes the next bytes. Waits while two batches are full.
    ///
    /// An error may belong to bytes that were taken before; the upload must then be discarded. If the future is dropped,
    /// [`UploadWriter::received`] tells how many bytes were taken.
    pub async fn write(&mut self, mut chunk: Bytes) -> Result<(), Error> {
        self.go_on()?;
        while !chunk.is_empty() {
            let taken = chunk.split_to(chunk.len().min(BATCH_BYTES - self.gathered.len()));
            self.claim.synced = false;
            self.make_room(taken.len());
            self.gathered.extend_from_slice(&taken);
            self.received += taken.len() as u64;
            if self.gathered.len() == BATCH_BYTES {
                self.settle().await?;
                self.submit(Staged::write);
            }
        }
        Ok(())
    }

    /// How many bytes the upload has so far, those included that are not written yet.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Writes what is gathered and returns once all is on the disk. A sync that failed is never repeated: the upload must be
    /// discarded.
    pub async fn sync(&mut self) -> Result<Synced, Error> {
        self.go_on()?;
        let staged = self.settle().await?;
        if staged.changed || staged.new || !self.gathered.is_empty() {
            self.submit(Staged::write_and_sync);
        }
        self.synced().await
    }

    /// As [`sync`](Self::sync), for bytes that are published next: that they are found where they are staged is not waited for.
    /// Nobody may be told that they were received before they are in their place.
    pub async fn sync_to_publish(&mut self) -> Result<Synced, Error> {
        self.go_on()?;
        let staged = self.settle().await?;
        if staged.changed || !self.gathered.is_empty() {
            self.submit(Staged::write_and_sync_bytes);
        }
        self.synced().await
    }

    async fn synced(&mut self) -> Result<Synced, Error> {
        let staged = self.settle().await?;
        let synced = Synced { received: staged.written, hash: staged.hash.clone() };
        self.claim.synced = true;
        Ok(synced)
    }

    /// Resolves when a newer claimant wants the upload; this writer must then be dropped.
    pub async fn stopped(&self) {
        self.claim.stopped().await;
    }

    /// Ends the writing and gives the claim back: to publish after a sync, or to discard.
    pub fn into_claim(self) -> UploadClaim {
        self.claim
    }

    fn go_on(&self) -> Result<(), Error> {
        self.claim.go_on()?;
        if matches!(self.stage, Stage::Failed) { Err(self.failed()) } else { Ok(()) }
    }

    /// Lets a small upload take what it needs and a large one a batch, never the double of it that a growing `Vec` may take.
    fn make_room(&mut self, more: usize) {
        let length = self.gathered.len();
        if length + more > BATCH_BYTES / 2 {
            self.gathered.reserve_exact(BATCH_BYTES - length);
        }
    }

    /// Waits until nothing runs on the pool. May be given up and repeated.
    async fn settle(&mut self) -> Result<&Staged, Error> {
        if let Stage::Busy(task) = &mut self.stage {
            let ended = task.await;
            self.stage = Stage::Failed;
            let path = || self.claim.disk.path(&Key::staging(self.claim.id()));
            self.stage = Stage::Idle(ended.map_err(|ended| Error::Io { path: path(), source: ended.into() })??);
        }
        match &self.stage {
            Stage::Idle(staged) => Ok(staged),
            Stage::Busy(_) | Stage::Failed => Err(self.failed()),
        }
    }

    /// Hands what is gathered to the pool, if nothing runs there.
    fn submit(&mut self, act: fn(&mut Staged, Vec<u8>) -> Result<(), Failure>) {
        match mem::replace(&mut self.stage, Stage::Failed) {
            Stage::Idle(mut staged) => {
                let batch = mem::replace(&mut self.gathered, mem::take(&mut staged.spare));
                self.stage = Stage::Busy(tokio::task::spawn_blocking(move || match act(&mut staged, batch) {
                    Ok(()) => Ok(staged),
                    Err(failure) => Err(staged.disk.explain(&staged.key, failure)),
                }));
            }
            stage => self.stage = stage,
        }
    }

    fn failed(&self) -> Error {
        Error::Io {
            path: self.claim.disk.path(&Key::staging(self.claim.id())),
            source: io::Error::other("an earlier write or sync of this upload failed"),
        }
    }
}

impl Staged {
    /// See [`UploadClaim::writer`].
    fn open(
        disk: Arc<Disk>,
        turn: Arc<Turn>,
        key: Key,
        at: &Key,
        received: u64,
        hash: HashState,
    ) -> Result<Box<Self>, Error> {
        let opened = Self::open_file(&disk, &key, at, received);
        let (file, length) = opened.map_err(|failure| disk.explain(at, failure))?;
        if length < received {
            return Err(Error::Truncated { key: at.clone(), received, length });
        }
        // Nothing acknowledged means that no sync of the file's entry was waited for.
        let new = received == 0 || *at != key;
        let changed = length > received || new;
        if length > received {
            tracing::debug!(%key, length, received, "cutting off bytes that were never acknowledged");
            file_system::cut(&file, &disk.path(&key), received).map_err(|failure| disk.explain(at, failure))?;
        }
        Ok(Box::new(Self { file, hash, written: received, changed, new, spare: Vec::new(), key, disk, _turn: turn }))
    }

    fn open_file(disk: &Disk, key: &Key, at: &Key, received: u64) -> Result<(File, u64), Failure> {
        let path = disk.path(key);
        if at != key {
            placing::bring_back(disk.root(), at, &path)?;
        }
        let file = file_system::open_for_writing(&path, received == 0)?;
        let length = file.metadata().at(&path)?.len();
        Ok((file, length))
    }

    fn write(&mut self, mut batch: Vec<u8>) -> Result<(), Failure> {
        if !batch.is_empty() {
            self.disk.reserve.require(self.disk.root(), batch.len() as u64)?;
            self.changed = true;
            self.hash.observe(&batch);
            file_system::write(&self.file, &self.disk.path(&self.key), &batch, self.written)?;
            if batch.len() == BATCH_BYTES {
                file_system::start_writeback(&self.file, self.written, batch.len() as u64);
            }
            self.written += batch.len() as u64;
        }
        batch.clear();
        self.spare = batch;
        Ok(())
    }

    fn write_and_sync_bytes(&mut self, batch: Vec<u8>) -> Result<(), Failure> {
        self.write(batch)?;
        if self.changed {
            file_system::sync_data(&self.file, &self.disk.path(&self.key))?;
            self.changed = false;
        }
        Ok(())
    }

    fn write_and_sync(&mut self, batch: Vec<u8>) -> Result<(), Failure> {
        self.write_and_sync_bytes(batch)?;
        if self.new {
            let folder = self.disk.root().join(UPLOADS);
            file_system::sync_folder(&file_system::open_folder(&folder)?, &folder)?;
            self.new = false;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
