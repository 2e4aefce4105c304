//! The stores that the bytes of a registry lie in: its own, which takes what is pushed, and those that were adopted from other
//! registries, which are only read.

use std::collections::BTreeMap;

use cargohold_blobs::{Key, LocalDisk, ReadOnlyDisk};
use cargohold_metadata::StoreId;

use crate::{Error, Registry};

/// Every store of a registry.
#[derive(Clone, Debug)]
pub struct Stores {
    own: StoreId,
    disk: LocalDisk,
    adopted: BTreeMap<StoreId, ReadOnlyDisk>,
}

impl Stores {
    /// Only the registry's own store `disk`, whose row is `own`.
    pub fn new(own: StoreId, disk: LocalDisk) -> Self {
        Self { own, disk, adopted: BTreeMap::new() }
    }

    /// These, and one that belongs to another registry.
    #[must_use]
    pub fn and(mut self, adopted: StoreId, disk: ReadOnlyDisk) -> Self {
        self.adopted.insert(adopted, disk);
        self
    }

    /// The row of the store that takes what is pushed.
    pub(crate) fn own(&self) -> StoreId {
        self.own
    }

    /// The store that takes what is pushed.
    pub(crate) fn disk(&self) -> &LocalDisk {
        &self.disk
    }

    /// What reads the bytes of a store.
    pub(crate) fn reader(&self, store: StoreId) -> Result<&ReadOnlyDisk, Error> {
        if store == self.own {
            return Ok(self.disk.reader());
        }
        self.adopted.get(&store).ok_or(Error::StoreUnknown(store.number()))
    }

    /// The adopted stores that cannot be reached at the moment, and why. Blocks.
    pub(crate) fn away(&self) -> impl Iterator<Item = (StoreId, cargohold_blobs::Error)> {
        self.adopted.iter().filter_map(|(store, disk)| Some((*store, disk.is_there().err()?)))
    }
}

impl Registry {
    /// Says in the log which adopted stores cannot be reached: their blobs are answered with 503 until they can. Blocks.
    pub fn warn_of_stores_away(&self) {
        for (_, error) in self.0.stores.away() {
            let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            tracing::warn!(%error, cause, "an adopted store is away: its blobs cannot be pulled until it is back");
        }
    }

    /// What reads an object, and where it lies there.
    pub(crate) fn locate(&self, store: StoreId, key: &str) -> Result<(&ReadOnlyDisk, Key), Error> {
        Ok((self.0.stores.reader(store)?, Key::parse(key)?))
    }
}
