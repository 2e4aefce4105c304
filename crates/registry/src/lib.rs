//! What a registry does: push, pull, mount, delete and list, over facts in the database and bytes in a store.
//!
//! Every operation takes a permit for the repository that it touches, and keeps the order that makes it safe to die at any
//! instruction: bytes durable, then the fact committed, then the answer. It knows nothing of HTTP, of SQL text, or of where
//! bytes lie.

#![forbid(unsafe_code)]

mod adopt;
mod backup;
mod check;
mod delete;
mod discard;
mod distribution;
mod environment;
mod error;
mod expire;
mod export;
mod list_referrers;
mod list_repositories;
mod list_tags;
mod liveness;
mod metrics;
mod mount;
mod notifications;
mod overview;
mod pull_blob;
mod pull_manifest;
mod put_manifest;
mod scrub;
mod stores;
mod sweep;
mod sweep_status;
mod undelete;
mod uploads;
mod validation;

use std::{sync::Arc, time::Duration};

use cargohold_metadata::Metadata;
pub use cargohold_metadata::{
    CandidateStatus, Count, FailedDelivery, Grace, Reason, SweepStatus, Timestamp, Undeleted,
};

use tokio::sync::{Notify, watch};

pub use adopt::{Adopted, Adopting, Found, Odd, Oddity};
pub use check::{Checked, Checking, HowToCheck, Problem};
pub use delete::TakenAlong;
pub use environment::Environment;
pub use error::{Error, Part};
pub use export::{ExportFolder, Exported, Exporting};
pub use list_referrers::{Place, Referrer};
pub use notifications::{
    Action, Addressee, Courier, Endpoint, EndpointState, EndpointStatus, FailedEvent, Notifications, Origin, Parcel,
    Pulled, Redelivery, Sent, Source,
};
pub use overview::{Data, Overview, ScrubState};
pub use pull_blob::BlobHead;
pub use put_manifest::Put;
pub use scrub::Scrub;
pub use stores::Stores;
pub use uploads::{Content, ContentError, Placement};
pub use validation::{Platform, Platforms, References, UrlPattern, Urls, Validation};

/// How long things are left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// A blob that no manifest refers to stays this long after the last push that was told it exists.
    pub unreferenced_blob: Duration,
    /// What was deleted can come back for this long.
    pub deleted: Duration,
    /// The bytes of a blob that was swept stay this long.
    pub swept_bytes: Duration,
    /// How long the sweep, the discard worker, the expiry of uploads and the scrub rest when nothing is due.
    pub between_sweeps: Duration,
    /// An upload session that no byte came to for this long ends in nothing.
    pub idle_upload: Duration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        let (day, week) = (Duration::from_hours(24), Duration::from_hours(7 * 24));
        Self {
            unreferenced_blob: day,
            deleted: week,
            swept_bytes: day,
            between_sweeps: Duration::from_mins(1),
            idle_upload: week,
        }
    }
}

/// A registry. Cheap to clone; all clones are the same one. It may know whose request it works for.
#[derive(Clone, Debug)]
pub struct Registry(Arc<Parts>, Option<Arc<Origin>>);

/// What a registry is made of.
#[derive(Debug)]
struct Parts {
    metadata: Metadata,
    stores: Stores,
    lifetimes: Lifetimes,
    scrub: Scrub,
    validation: Validation,
    environment: Environment,
    discards: Notify,
    sweeps: Notify,
    notifying: notifications::Notifying,
    metrics: metrics::RegistryMetrics,
    /// How much there is, as it was last counted.
    counted: watch::Sender<Option<Data>>,
}

impl Registry {
    /// A registry over these facts and these stores.
    pub fn new(
        metadata: Metadata,
        stores: Stores,
        lifetimes: Lifetimes,
        scrub: Scrub,
        validation: Validation,
        environment: Environment,
    ) -> Self {
        let (discards, sweeps) = (Notify::new(), Notify::new());
        let (metrics, counted) = (metrics::RegistryMetrics::default(), watch::Sender::default());
        let parts = Parts {
            metadata,
            stores,
            lifetimes,
            scrub,
            validation,
            environment,
            discards,
            sweeps,
            notifying: notifications::Notifying::default(),
            metrics,
            counted,
        };
        Self(Arc::new(parts), None)
    }

    /// The largest manifest that may be pushed, in bytes.
    pub fn manifest_bytes(&self) -> usize {
        self.0.validation.manifest_bytes
    }

    /// Ends what writes facts, once what was asked of it is done. A process that ends without it loses nothing.
    pub async fn close(&self) {
        self.0.metadata.close().await;
    }

    /// Runs what must be done again and again, until dropped. Stopping it at any point is safe.
    pub async fn keep_house(&self) {
        let clean = async { tokio::join!(self.discard_forever(), self.expire_forever(), self.sweep_forever()) };
        tokio::join!(clean, self.scrub_forever(), self.count_forever());
    }

    /// Does once what is due of it.
    pub async fn keep_house_once(&self) -> Result<(), Error> {
        while self.expire_step().await? {}
        while self.sweep_step().await? {}
        while self.discard_step().await? {}
        Ok(())
    }

    /// From now on, for as long as a blob that nothing refers to is left alone.
    fn grace(&self) -> Grace {
        let now = self.0.environment.now();
        Grace { now, until: now.plus(self.0.lifetimes.unreferenced_blob) }
    }
}

#[cfg(test)]
mod tests;
