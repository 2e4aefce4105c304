//! What clients know: what was acknowledged, and what may be because it was asked for.

use std::{collections::BTreeMap, sync::Arc};

use cargohold_oci::{Algorithm, Digest};

pub(crate) type Content = Arc<[u8]>;

/// What is there after an answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    /// By repository and digest.
    pub(crate) blobs: BTreeMap<(String, String), Content>,
    /// By repository and tag or digest.
    pub(crate) manifests: BTreeMap<(String, String), Content>,
    /// By the path that requests go to.
    pub(crate) sessions: BTreeMap<String, Session>,
}

/// An upload that goes on.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) repository: String,
    /// All that is to be uploaded.
    pub(crate) content: Content,
    pub(crate) received: usize,
}

/// What may be found at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Promises {
    /// After the last answer.
    pub(crate) sure: Arc<World>,
    /// If what is being asked for has happened; the same if nothing is.
    pub(crate) maybe: Arc<World>,
    /// Everything that was, is or will be there.
    pub(crate) all: Arc<World>,
}

impl World {
    /// Takes in everything that another one has.
    pub(crate) fn add(&mut self, other: &World) {
        self.blobs.extend(other.blobs.clone());
        self.manifests.extend(other.manifests.clone());
        self.sessions.extend(other.sessions.clone());
    }
}

pub(crate) fn digest(content: &[u8]) -> String {
    Digest::of(Algorithm::Sha256, content).to_string()
}

pub(crate) fn sha512(content: &[u8]) -> String {
    Digest::of(Algorithm::Sha512, content).to_string()
}
