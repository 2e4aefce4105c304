//! One writer an upload: whoever wants to write an upload claims it, and the newest claim wins.
//!
//! A newer claim tells the older ones to stop and waits in line until they are gone. A turn is over only when the last write
//! made under it has returned from the system, even if the request that asked for it is long dropped: what runs on the pool for
//! blocking work carries a share of the turn. An upload takes memory here only while somebody claims it.
//!
//! This orders the writers of one process. That no older writer commits anything is for the epoch in the upload's row.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cargohold_oci::UploadId;
use tokio::sync::{OwnedMutexGuard, watch};

use crate::local_disk::Disk;
use crate::{Error, HashState, Key, UploadWriter};

/// The right to be the one writer of an upload in this process.
///
/// It is dropped as soon as [`UploadClaim::stopped`] resolves: a newer claimant waits for that. Dropping it ends it once a write
/// that is still running has ended.
pub struct UploadClaim {
    pub(crate) disk: Arc<Disk>,
    pub(crate) turn: Arc<Turn>,
    /// How many bytes the upload has, all of them on the disk; none while some may not be.
    pub(crate) synced: Option<u64>,
}

/// The uploads that are claimed.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    slots: Mutex<HashMap<UploadId, Slot>>,
}

/// An upload that is claimed.
#[derive(Debug)]
struct Slot {
    /// How many wait for it or have it; without any it goes.
    claimants: usize,
    /// The number of the newest claimant. Its turn comes last.
    newest: watch::Sender<u64>,
    line: Arc<tokio::sync::Mutex<()>>,
}

/// A claimant's turn. Shared by the claim and what writes for it; over when the last of them is gone.
#[derive(Debug)]
pub(crate) struct Turn {
    // Fields are dropped in this order. The place must be the last: while it is there, whoever comes finds this slot, and so
    // stands in the same line.
    _held: OwnedMutexGuard<()>,
    place: Place,
}

/// A place in the line of an upload's claimants, kept until the turn is over or the wait is given up.
#[derive(Debug)]
struct Place {
    claims: Arc<Claims>,
    id: UploadId,
    number: u64,
    newest: watch::Receiver<u64>,
}

impl UploadClaim {
    /// The upload.
    pub fn id(&self) -> UploadId {
        self.turn.place.id
    }

    /// Resolves when a newer claimant wants the upload.
    pub async fn stopped(&self) {
        self.turn.stopped().await;
    }

    /// Goes on behind the first `received` bytes of the staged file, which `hash` covers. What lies behind them was never
    /// acknowledged and counts for nothing. The file is opened by the first step that needs it.
    ///
    /// `at` is where the row says that the bytes lie: if that is not the staging place, they may have been moved there already
    /// when a crash came, and are brought back first. With `received` = 0 a missing file is made.
    ///
    /// That step fails with [`Error::NotFound`] if acknowledged bytes are nowhere, [`Error::Truncated`] if some of them are
    /// missing, and [`Error::Stopped`] if a newer claimant came.
    pub fn writer(self, at: &Key, received: u64, hash: HashState) -> UploadWriter {
        UploadWriter::new(self, at, received, hash)
    }

    /// Fails if a newer claimant wants the upload.
    pub(crate) fn go_on(&self) -> Result<(), Error> {
        if self.turn.is_stopped() { Err(Error::Stopped) } else { Ok(()) }
    }
}

impl fmt::Debug for UploadClaim {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("UploadClaim").field("id", &self.id()).finish_non_exhaustive()
    }
}

impl Claims {
    /// Stops all who claim the upload, and returns when they are gone. Giving up the wait is harmless, and stops them as well.
    pub(crate) async fn take(self: &Arc<Self>, id: UploadId) -> Turn {
        let (place, line) = self.enter(id);
        Turn { _held: line.lock_owned().await, place }
    }

    fn enter(self: &Arc<Self>, id: UploadId) -> (Place, Arc<tokio::sync::Mutex<()>>) {
        let mut slots = self.slots();
        let slot = slots.entry(id).or_default();
        slot.claimants += 1;
        slot.newest.send_modify(|newest| *newest += 1);
        let newest = slot.newest.subscribe();
        let number = *newest.borrow();
        (Place { claims: Arc::clone(self), id, number, newest }, Arc::clone(&slot.line))
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<UploadId, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Slot {
    fn default() -> Self {
        Self { claimants: 0, newest: watch::Sender::new(0), line: Arc::default() }
    }
}

impl Turn {
    async fn stopped(&self) {
        let mut newest = self.place.newest.clone();
        // The sender lives in the slot, which this turn keeps.
        let _ = newest.wait_for(|newest| *newest > self.place.number).await;
    }

    fn is_stopped(&self) -> bool {
        *self.place.newest.borrow() > self.place.number
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut slots = self.claims.slots();
        if let Some(slot) = slots.get_mut(&self.id) {
            slot.claimants -= 1;
            if slot.claimants == 0 {
                slots.remove(&self.id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;
    use crate::testing::{ask, id};

    #[test]
    fn a_newer_claim_stops_the_older_and_waits_for_its_end() {
        let claims = Arc::new(Claims::default());
        let older = ask(pin!(claims.take(id(1)))).unwrap();
        assert!(ask(pin!(older.stopped())).is_none());
        let mut newer = pin!(claims.take(id(1)));
        assert!(ask(newer.as_mut()).is_none());
        assert!(older.is_stopped());
        assert!(ask(pin!(older.stopped())).is_some());
        drop(older);
        let newer = ask(newer).unwrap();
        assert!(!newer.is_stopped());
    }

    #[test]
    fn who_was_overtaken_in_the_line_is_stopped_when_its_turn_comes() {
        let claims = Arc::new(Claims::default());
        let first = ask(pin!(claims.take(id(1)))).unwrap();
        let mut second = Box::pin(claims.take(id(1)));
        assert!(ask(second.as_mut()).is_none());
        let mut third = Box::pin(claims.take(id(1)));
        assert!(ask(third.as_mut()).is_none());
        drop(first);
        assert!(ask(third.as_mut()).is_none());
        let second = ask(second.as_mut()).unwrap();
        assert!(second.is_stopped());
        drop(second);
        assert!(!ask(third.as_mut()).unwrap().is_stopped());
    }

    #[test]
    fn who_gives_up_waiting_leaves_the_line() {
        let claims = Arc::new(Claims::default());
        let first = ask(pin!(claims.take(id(1)))).unwrap();
        let mut second = Box::pin(claims.take(id(1)));
        assert!(ask(second.as_mut()).is_none());
        drop(second);
        assert!(first.is_stopped());
        drop(first);
        assert!(claims.slots().is_empty());
    }

    #[test]
    fn uploads_do_not_wait_for_each_other() {
        let claims = Arc::new(Claims::default());
        let one = ask(pin!(claims.take(id(1)))).unwrap();
        let other = ask(pin!(claims.take(id(2)))).unwrap();
        assert!(!one.is_stopped() && !other.is_stopped());
    }

    #[test]
    fn nothing_is_kept_of_an_upload_that_nobody_claims() {
        let claims = Arc::new(Claims::default());
        let turns: Vec<Turn> = (0..100).map(|number| ask(pin!(claims.take(id(number)))).unwrap()).collect();
        assert_eq!(claims.slots().len(), 100);
        drop(turns);
        assert!(claims.slots().is_empty());
    }

    /// Many tasks claim one upload at once; never are two of them at it.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn one_at_a_time() {
        let claims = Arc::new(Claims::default());
        let at_it = Arc::new(tokio::sync::Mutex::new(()));
        let tasks: Vec<_> = (0..200)
            .map(|number| {
                let (claims, at_it) = (Arc::clone(&claims), Arc::clone(&at_it));
                tokio::spawn(async move {
                    let turn = claims.take(id(number % 2)).await;
                    let alone = (number % 2 == 0).then(|| at_it.try_lock().expect("nobody else is at it"));
                    tokio::task::yield_now().await;
                    drop(alone);
                    drop(turn);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert!(claims.slots().is_empty());
    }
}
