//! The state of a registry in a few numbers, for whoever runs it.
//!
//! Small tables are counted when somebody asks. Large ones are counted in the background, page by page and slowly, so that asking
//! costs the same however much there is.

use std::time::Duration;

use cargohold_access::OperatorPermit;
use cargohold_blobs::Space;
use cargohold_metadata::{Count, Counted, SweepStatus, Timestamp};

use crate::{Error, Registry};

/// Rows that are counted at once: less than a millisecond.
const PAGE: u32 = 4096;
/// Rest after each page.
const BREATH: Duration = Duration::from_millis(20);
/// Rest after all is counted.
const PAUSE: Duration = Duration::from_mins(10);

/// The state of a registry.
#[derive(Clone, Debug)]
pub struct Overview {
    /// How much there is; none if it is being counted for the first time.
    pub data: Option<Data>,
    /// Upload sessions.
    pub uploads: Count,
    /// What the sweep and the discard worker have before them; without the candidates themselves.
    pub sweep: SweepStatus,
    /// The scrub.
    pub scrub: ScrubState,
    /// The disk of the registry's own store; none if it cannot be asked.
    pub disk: Option<Space>,
    /// Adopted stores that cannot be reached.
    pub stores_away: usize,
    /// Bytes that were given back to the disk since the start.
    pub bytes_given_back: u64,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Data {
    /// Repositories that readers see.
    pub repositories: u64,
    /// Manifests that they have.
    pub manifests: u64,
    /// Blobs whose bytes are there.
    pub blobs: u64,
    /// These bytes.
    pub bytes: u64,
    /// When it was counted, in microseconds since 1970.
    pub counted_at: i64,
}

/// How the scrub gets on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScrubState {
    /// Each object once in so long; zero if it is switched off.
    pub every: Duration,
    /// When those bytes were last read that have waited for longest; none without bytes.
    pub oldest: Option<Timestamp>,
    /// Objects read since the start.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects of these in which something was wrong.
    pub findings: u64,
}

impl Registry {
    /// The state of the registry.
    pub async fn overview(&self, permit: &OperatorPermit) -> Result<Overview, Error> {
        let parts = &self.0;
        let registry = self.clone();
        let of_disks = tokio::task::spawn_blocking(move || {
            let stores = &registry.0.stores;
            (stores.disk().space().ok(), stores.away().count())
        });
        let (disk, stores_away) = of_disks.await.map_err(|_| Error::Broken)?;
        Ok(Overview {
            data: self.data().await?,
            uploads: parts.metadata.open_uploads().await?,
            sweep: self.sweep_status(permit, 0).await?,
            scrub: ScrubState {
                every: parts.scrub.every,
                oldest: parts.metadata.oldest_verified().await?,
                objects: parts.metrics.objects_scrubbed.value(),
                bytes: parts.metrics.bytes_scrubbed.value(),
                findings: parts.metrics.findings(),
            },
            disk,
            stores_away,
            bytes_given_back: parts.metrics.bytes_discarded.value(),
        })
    }

    /// How much there is: now, if that is quickly counted.
    async fn data(&self) -> Result<Option<Data>, Error> {
        let mut data = Data::default();
        for what in [Counted::Repositories, Counted::Manifests, Counted::Blobs] {
            let page = self.0.metadata.count_page(what, 0, PAGE).await?;
            data.add(what, page.count, page.bytes);
            if page.next.is_some() {
                return Ok(*self.0.counted.borrow());
            }
        }
        data.counted_at = self.0.environment.now().micros();
        Ok(Some(data))
    }

    pub(crate) async fn count_forever(&self) {
        loop {
            match self.count_all().await {
                Ok(data) => drop(self.0.counted.send_replace(Some(data))),
                Err(error) => tracing::warn!(%error, "what there is could not be counted, trying again later"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn count_all(&self) -> Result<Data, Error> {
        let mut data = Data::default();
        for what in [Counted::Repositories, Counted::Manifests, Counted::Blobs] {
            let mut start = Some(0);
            while let Some(from) = start {
                let page = self.0.metadata.count_page(what, from, PAGE).await?;
                data.add(what, page.count, page.bytes);
                start = page.next;
                if start.is_some() {
                    tokio::time::sleep(BREATH).await;
                }
            }
        }
        data.counted_at = self.0.environment.now().micros();
        Ok(data)
    }
}

impl Data {
    fn add(&mut self, what: Counted, count: u64, bytes: u64) {
        match what {
            Counted::Repositories => self.repositories += count,
            Counted::Manifests => self.manifests += count,
            Counted::Blobs => {
                self.blobs += count;
                self.bytes += bytes;
            }
        }
    }
}
