//! Pulls: told from memory, so that reading writes nothing. They may be lost: when the process ends, and when more come than an
//! endpoint takes.

use std::sync::Arc;

use cargohold_access::{Permit, Pull as PullRight};
use cargohold_oci::{Digest, RepositoryName, Tag};
use serde_json::Value;

use super::{
    Action, Live, Notifier, Origin, Parcel,
    event::{self, BLOB, Target},
};
use crate::Registry;

/// The most that wait for one endpoint: some megabytes.
const MOST_PULLS: usize = 10_000;

/// What was pulled.
#[derive(Clone, Copy, Debug)]
pub enum Pulled<'p> {
    /// A blob.
    Blob {
        /// Which.
        digest: Digest,
        /// Its length in bytes.
        size: u64,
    },
    /// A manifest.
    Manifest {
        /// Which.
        digest: Digest,
        /// Its length in bytes.
        size: u64,
        /// What it is served as.
        media_type: &'p str,
        /// The tag that it was asked for by.
        tag: Option<&'p Tag>,
        /// The manifest, if it was read.
        bytes: Option<&'p [u8]>,
    },
}

/// A pull that is to be told. It is put into words when it is sent.
#[derive(Debug)]
pub(super) struct Pull {
    origin: Arc<Origin>,
    repository: RepositoryName,
    digest: Digest,
    size: u64,
    /// None for a blob.
    media_type: Option<String>,
    tag: Option<Tag>,
    references: Option<Arc<Value>>,
}

impl Registry {
    /// Tells of a pull whoever wants to know. It waits for nothing and fails at nothing.
    pub fn note_pull(&self, permit: &Permit<PullRight>, pulled: Pulled<'_>) {
        // A request that nobody wants to know of has no origin.
        let (Some(notifier), Some(origin)) = (self.notifier(), &self.1) else { return };
        let media_type = match pulled {
            Pulled::Blob { .. } => BLOB,
            Pulled::Manifest { media_type, .. } => media_type,
        };
        let mut pull = None;
        for live in notifier.endpoints.iter().filter(|live| live.wants(Action::Pull, Some(media_type))) {
            let pull = pull.get_or_insert_with(|| {
                Arc::new(Pull::new(origin.clone(), permit.repository().clone(), pulled, notifier.include_references))
            });
            live.note(pull.clone());
        }
    }

    /// Whether somebody wants to know what the manifest refers to that this request reads.
    pub fn tells_references(&self) -> bool {
        self.1.is_some() && self.notifier().is_some_and(|notifier| notifier.include_references)
    }

    /// What is sent of a pull.
    pub(super) fn parcel_of_pull(&self, notifier: &Notifier, pull: &Pull) -> Parcel {
        let event = self.event(notifier, Action::Pull, pull.target(), &pull.origin);
        Parcel { id: event.uuid, body: event::envelope(&event.body).into() }
    }
}

impl Live {
    fn note(&self, pull: Arc<Pull>) {
        let mut progress = self.progress();
        if progress.pulls.len() < MOST_PULLS {
            progress.pulls.push_back(pull);
        } else {
            progress.pulls_lost += 1;
        }
        let first = progress.pulls.len() == 1;
        drop(progress);
        if first {
            self.work.notify_one();
        }
    }
}

impl Pull {
    fn new(origin: Arc<Origin>, repository: RepositoryName, pulled: Pulled<'_>, include_references: bool) -> Self {
        match pulled {
            Pulled::Blob { digest, size } => {
                Self { origin, repository, digest, size, media_type: None, tag: None, references: None }
            }
            Pulled::Manifest { digest, size, media_type, tag, bytes } => Self {
                origin,
                repository,
                digest,
                size,
                media_type: Some(media_type.to_owned()),
                tag: tag.cloned(),
                references: bytes.filter(|_| include_references).and_then(event::references),
            },
        }
    }

    fn target(&self) -> Target {
        let (site, repository) = (&self.origin.site, &self.repository);
        match &self.media_type {
            None => Target::blob(site, repository, self.digest, self.size),
            Some(media_type) => Target::manifest(
                site,
                repository,
                self.digest,
                media_type.clone(),
                self.size,
                self.tag.as_ref(),
                self.references.clone(),
            ),
        }
    }
}
