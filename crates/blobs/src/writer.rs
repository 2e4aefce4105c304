//! Writing the bytes of an upload as they arrive: gathered in memory, hashed and written in batches on the pool for blocking
//! work, and synced when the request ends. The first step there opens the staged file; the usual request that brings nothing
//! takes none.
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
use tokio::task::{JoinError, JoinHandle};

use crate::claim::Turn;
use crate::file_system::{self, Context as _, Failure};
use crate::key::UPLOADS;
use crate::local_disk::Disk;
use crate::{Error, Failed, HashState, Key, Observer as _, UploadClaim, placing};

/// The most that is gathered before it is written. Measured through a connection: twice as much gains nothing, and a quarter
/// costs a sixth more time.
const BATCH_BYTES: usize = 512 * 1024;

/// The one writer of an upload in this process.
#[derive(Debug)]
pub struct UploadWriter {
    stage: Stage,
    gathered: Vec<u8>,
    /// How many bytes were acknowledged before.
    acknowledged: u64,
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
    Unopened(Box<Unopened>),
    Idle(Box<Staged>),
    /// Something runs on the pool.
    Busy(JoinHandle<Result<Box<Staged>, Failed>>),
    Failed {
        is_unsure: bool,
    },
}

/// Where the bytes are that the upload has so far; see [`UploadClaim::writer`].
#[derive(Debug)]
struct Unopened {
    at: Key,
    received: u64,
    hash: HashState,
    key: Key,
    disk: Arc<Disk>,
    turn: Arc<Turn>,
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
    pub(crate) fn new(claim: UploadClaim, at: &Key, received: u64, hash: HashState) -> Self {
        let (disk, turn) = (Arc::clone(&claim.disk), Arc::clone(&claim.turn));
        let unopened = Unopened { at: at.clone(), received, hash, key: Key::staging(claim.id()), disk, turn };
        Self {
            stage: Stage::Unopened(Box::new(unopened)),
            gathered: Vec::new(),
            acknowledged: received,
            received,
            claim: UploadClaim { synced: None, ..claim },
        }
    }

    /// Takes the next bytes. Waits while two batches are full.
    ///
    /// An error may belong to bytes that were taken before; nothing can be written then any more. If the future is dropped,
    /// [`UploadWriter::received`] tells how many bytes were taken.
    pub async fn write(&mut self, mut chunk: Bytes) -> Result<(), Error> {
        self.go_on()?;
        while !chunk.is_empty() {
            let taken = chunk.split_to(chunk.len().min(BATCH_BYTES - self.gathered.len()));
            self.claim.synced = None;
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

    /// Writes what is gathered and returns once all is on the disk. A write or a sync that [failed](Self::is_unsure) is never
    /// repeated: the upload must be discarded.
    pub async fn sync(&mut self) -> Result<Synced, Error> {
        self.go_on()?;
        self.settle().await?;
        let is_synced = |staged: &Staged| !staged.changed && !staged.new && self.gathered.is_empty();
        if !matches!(&self.stage, Stage::Idle(staged) if is_synced(staged)) {
            self.submit(Staged::write_and_sync);
        }
        self.synced().await
    }

    /// As [`sync`](Self::sync), for bytes that are published next: that they are found where they are staged is not waited for.
    /// Nobody may be told that they were received before they are in their place.
    ///
    /// If [nothing came](Self::is_untouched) behind what was acknowledged, the disk is not touched.
    pub async fn sync_to_publish(&mut self) -> Result<Synced, Error> {
        self.go_on()?;
        self.settle().await?;
        let is_synced = |staged: &Staged| !staged.changed && self.gathered.is_empty();
        if !self.is_untouched() && !matches!(&self.stage, Stage::Idle(staged) if is_synced(staged)) {
            self.submit(Staged::write_and_sync_bytes);
        }
        self.synced().await
    }

    /// Whether nothing came yet, and what was acknowledged before lies where it was staged.
    pub fn is_untouched(&self) -> bool {
        let is_home = |unopened: &Unopened| unopened.received > 0 && unopened.at == unopened.key;
        matches!(&self.stage, Stage::Unopened(unopened) if is_home(unopened) && self.gathered.is_empty())
    }

    async fn synced(&mut self) -> Result<Synced, Error> {
        self.settle().await?;
        let (received, hash) = match &self.stage {
            Stage::Unopened(unopened) => (unopened.received, unopened.hash.clone()),
            Stage::Idle(staged) => (staged.written, staged.hash.clone()),
            Stage::Busy(_) | Stage::Failed { .. } => return Err(self.failed()),
        };
        self.claim.synced = Some(received);
        Ok(Synced { received, hash })
    }

    /// Whether a write or a sync failed: nobody knows what of the file is on the disk, and asking again could answer a lie.
    pub fn is_unsure(&self) -> bool {
        matches!(self.stage, Stage::Failed { is_unsure: true })
    }

    /// Gives the room back that was taken behind what was acknowledged. Nothing can be written any more, but the turn lasts.
    ///
    /// What still runs is waited for. If that fails, [`is_unsure`](Self::is_unsure) says what it means.
    pub async fn cut_back(&mut self) -> Result<(), Error> {
        let settled = if matches!(self.stage, Stage::Busy(_)) { self.settle().await } else { Ok(()) };
        let is_unsure = self.is_unsure();
        if matches!(mem::replace(&mut self.stage, Stage::Failed { is_unsure }), Stage::Unopened(_)) {
            return Ok(());
        }
        let (disk, turn) = (Arc::clone(&self.claim.disk), Arc::clone(&self.claim.turn));
        let (key, acknowledged) = (Key::staging(self.claim.id()), self.acknowledged);
        let cutting = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            placing::cut_back(&disk.path(&key), acknowledged).map_err(|failure| disk.explain(&key, failure))
        });
        cutting.await.unwrap_or_else(|ended| Err(self.broke_off(ended))).and(settled)
    }

    /// Resolves when a newer claimant wants the upload; this writer must then be dropped.
    pub async fn stopped(&self) {
        self.claim.stopped().await;
    }

    /// Ends the writing and gives the claim back, to publish after a sync.
    pub fn into_claim(self) -> UploadClaim {
        self.claim
    }

    fn go_on(&self) -> Result<(), Error> {
        self.claim.go_on()?;
        if matches!(self.stage, Stage::Failed { .. }) { Err(self.failed()) } else { Ok(()) }
    }

    /// Lets a small upload take what it needs and a large one a batch, never the double of it that a growing `Vec` may take.
    fn make_room(&mut self, more: usize) {
        let length = self.gathered.len();
        if length + more > BATCH_BYTES / 2 {
            self.gathered.reserve_exact(BATCH_BYTES - length);
        }
    }

    /// Waits until nothing runs on the pool. May be given up and repeated.
    async fn settle(&mut self) -> Result<(), Error> {
        if let Stage::Busy(task) = &mut self.stage {
            let ended = task.await;
            match ended.unwrap_or_else(|ended| Err(Failed::unsure(self.broke_off(ended)))) {
                Ok(staged) => self.stage = Stage::Idle(staged),
                Err(Failed { error, is_unsure }) => {
                    self.stage = Stage::Failed { is_unsure };
                    return Err(error);
                }
            }
        }
        if matches!(self.stage, Stage::Failed { .. }) { Err(self.failed()) } else { Ok(()) }
    }

    /// Hands what is gathered to the pool, if nothing runs there.
    fn submit(&mut self, act: fn(&mut Staged, Vec<u8>) -> Result<(), Failure>) {
        self.stage = match mem::replace(&mut self.stage, Stage::Failed { is_unsure: true }) {
            Stage::Unopened(unopened) => {
                let batch = mem::take(&mut self.gathered);
                Stage::Busy(tokio::task::spawn_blocking(move || unopened.open()?.after(act, batch)))
            }
            Stage::Idle(mut staged) => {
                let batch = mem::replace(&mut self.gathered, mem::take(&mut staged.spare));
                Stage::Busy(tokio::task::spawn_blocking(move || staged.after(act, batch)))
            }
            stage => stage,
        };
    }

    fn failed(&self) -> Error {
        self.io(io::Error::other("an earlier step of this upload failed"))
    }

    fn broke_off(&self, ended: JoinError) -> Error {
        self.io(ended.into())
    }

    fn io(&self, source: io::Error) -> Error {
        Error::Io { path: self.claim.disk.path(&Key::staging(self.claim.id())), source }
    }
}

impl Unopened {
    /// What lies behind what was acknowledged is written over, and cut off when the file is published.
    fn open(self: Box<Self>) -> Result<Box<Staged>, Failed> {
        let Self { at, received, hash, key, disk, turn } = *self;
        let opened = Self::open_file(&disk, &key, &at, received);
        let (file, length) = opened.map_err(|failure| Failed::of(&disk, &at, failure))?;
        if length < received {
            return Err(Failed::sure(Error::Truncated { key: at, received, length }));
        }
        // Nothing acknowledged means that no sync of the file's entry was waited for.
        let new = received == 0 || at != key;
        let (written, spare) = (received, Vec::new());
        Ok(Box::new(Staged { file, hash, written, changed: new, new, spare, key, disk, _turn: turn }))
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
}

impl Staged {
    fn after(
        mut self: Box<Self>,
        act: fn(&mut Self, Vec<u8>) -> Result<(), Failure>,
        batch: Vec<u8>,
    ) -> Result<Box<Self>, Failed> {
        match act(&mut self, batch) {
            Ok(()) => Ok(self),
            Err(failure) => Err(Failed::of(&self.disk, &self.key, failure)),
        }
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
