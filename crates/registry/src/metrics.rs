//! What a registry counts of what it does, and the state that it is in.

use cargohold_access::OperatorPermit;
use cargohold_metrics::{Counter, Page};

use crate::{Overview, Problem, Registry, Timestamp};

/// What was done since the start.
#[derive(Debug, Default)]
pub(crate) struct RegistryMetrics {
    pub(crate) blobs_pushed: Counter,
    pub(crate) blob_bytes_pushed: Counter,
    pub(crate) blobs_mounted: Counter,
    pub(crate) manifests_put: Counter,
    pub(crate) tags_deleted: Counter,
    pub(crate) manifests_deleted: Counter,
    pub(crate) blobs_deleted: Counter,
    pub(crate) repositories_deleted: Counter,
    pub(crate) uploads_started: Counter,
    pub(crate) uploads_expired: Counter,
    pub(crate) swept: Counter,
    pub(crate) sweep_failures: Counter,
    pub(crate) objects_discarded: Counter,
    pub(crate) bytes_discarded: Counter,
    pub(crate) discard_failures: Counter,
    pub(crate) objects_scrubbed: Counter,
    pub(crate) bytes_scrubbed: Counter,
    findings: [Counter; 3],
    pub(crate) scrub_failures: Counter,
}

/// What the scrub finds, as a label.
const FINDINGS: [&str; 3] = ["missing", "damaged", "unreadable"];

impl RegistryMetrics {
    /// The scrub found something wrong.
    pub(crate) fn found(&self, problem: &Problem) {
        let place = match problem {
            Problem::Missing { .. } => 0,
            Problem::Unreadable { .. } => 2,
            _ => 1,
        };
        self.findings[place].increment();
    }

    /// Problems that the scrub found since the start.
    pub(crate) fn findings(&self) -> u64 {
        self.findings.iter().map(Counter::value).sum()
    }

    fn tell(&self, page: &mut Page) {
        page.counter(
            "cargohold_blobs_pushed_total",
            "Blobs that came by an upload, those included whose bytes were there already.",
            self.blobs_pushed.value(),
        );
        page.counter("cargohold_blob_pushed_bytes_total", "Their bytes.", self.blob_bytes_pushed.value());
        page.counter(
            "cargohold_blobs_mounted_total",
            "Blobs that a repository got from another one, without an upload.",
            self.blobs_mounted.value(),
        );
        page.counter(
            "cargohold_manifests_put_total",
            "Manifests that were put, those included that were there already.",
            self.manifests_put.value(),
        );
        let deleted = [
            (["tag"], &self.tags_deleted),
            (["manifest"], &self.manifests_deleted),
            (["blob"], &self.blobs_deleted),
            (["repository"], &self.repositories_deleted),
        ];
        page.counters(
            "cargohold_deleted_total",
            "What was deleted by clients and operators, with all that went along: tags and manifests that only a deleted one kept. \
             What a repository had is not counted when it is deleted as a whole.",
            ["kind"],
            deleted.map(|(kind, count)| (kind, count.value())),
        );
        page.counter(
            "cargohold_uploads_started_total",
            "Upload sessions that were begun, and blobs that came in one request.",
            self.uploads_started.value(),
        );
        page.counter(
            "cargohold_uploads_expired_total",
            "Upload sessions that were given up because no byte came for long (uploads.expiry).",
            self.uploads_expired.value(),
        );
        page.counter(
            "cargohold_sweep_removed_total",
            "Candidates of the sweep that nothing needed any more and that were removed.",
            self.swept.value(),
        );
        page.counter(
            "cargohold_sweep_failures_total",
            "Times that the sweep could not look at a candidate, or not go on. It tries again by itself.",
            self.sweep_failures.value(),
        );
        page.counter(
            "cargohold_discarded_objects_total",
            "Objects whose bytes were deleted from the disk.",
            self.objects_discarded.value(),
        );
        page.counter(
            "cargohold_discarded_bytes_total",
            "Bytes that were given back to the disk, without those of uploads that came to nothing.",
            self.bytes_discarded.value(),
        );
        page.counter(
            "cargohold_discard_failures_total",
            "Times that bytes could not be deleted from the disk. It is tried again by itself.",
            self.discard_failures.value(),
        );
        page.counter(
            "cargohold_scrub_objects_total",
            "Objects that the scrub has read again.",
            self.objects_scrubbed.value(),
        );
        page.counter("cargohold_scrub_bytes_total", "Their bytes.", self.bytes_scrubbed.value());
        page.counters(
            "cargohold_scrub_findings_total",
            "Objects in which the scrub found something wrong: no bytes, other bytes than their digest says, or bytes that the disk \
             does not give. A push of the blob puts it right.",
            ["problem"],
            FINDINGS.iter().zip(&self.findings).map(|(problem, count)| ([*problem], count.value())),
        );
        page.counter(
            "cargohold_scrub_failures_total",
            "Times that the scrub could not go on. It tries again by itself.",
            self.scrub_failures.value(),
        );
    }
}

impl Registry {
    /// Tells what it counted, and the state that it is in.
    pub async fn tell(&self, permit: &OperatorPermit, page: &mut Page) {
        self.0.metrics.tell(page);
        self.0.metadata.tell(page);
        // What cannot be found out is not told: its metric is there without a number.
        let overview = self.overview(permit).await.inspect_err(|error| {
            tracing::warn!(%error, "the state of the registry could not be told among its metrics");
        });
        tell_state(overview.ok().as_ref(), self.0.environment.now(), page);
        self.tell_of_endpoints(permit, page).await;
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers for people and graphs")]
fn tell_state(state: Option<&Overview>, now: Timestamp, page: &mut Page) {
    let mut gauge = |name, help, value: Option<f64>| page.gauges(name, help, [], value.map(|value| ([], value)));
    let data = state.and_then(|state| state.data);
    gauge("cargohold_repositories", "Repositories that readers see.", data.map(|data| data.repositories as f64));
    gauge("cargohold_manifests", "Manifests that readers see.", data.map(|data| data.manifests as f64));
    gauge("cargohold_blobs", "Blobs whose bytes are stored.", data.map(|data| data.blobs as f64));
    gauge(
        "cargohold_blob_bytes",
        "Their bytes. Large registries are counted in the background, every ten minutes.",
        data.map(|data| data.bytes as f64),
    );
    gauge(
        "cargohold_uploads_open",
        "Upload sessions that are under way or can be resumed; 10000 stands for that many or more.",
        state.map(|state| state.uploads.counted as f64),
    );
    gauge(
        "cargohold_sweep_candidates",
        "What the sweep has to look at; 10000 stands for that many or more.",
        state.map(|state| state.sweep.candidates_in_all.counted as f64),
    );
    let overdue = |time: Option<Timestamp>| time.map_or(0.0, |time| seconds_between(time, now).max(0.0));
    gauge(
        "cargohold_sweep_overdue_seconds",
        "For how long the oldest candidate should have been looked at already. More than some minutes: the sweep cannot keep up.",
        state.map(|state| overdue(state.sweep.first_review)),
    );
    gauge(
        "cargohold_discard_waiting_objects",
        "Objects whose bytes wait for their deletion; 10000 stands for that many or more.",
        state.map(|state| state.sweep.discarded.counted as f64),
    );
    gauge(
        "cargohold_discard_waiting_bytes",
        "Their bytes, without those of uploads that came to nothing.",
        state.map(|state| state.sweep.discarded_bytes as f64),
    );
    gauge(
        "cargohold_discard_overdue_seconds",
        "For how long the oldest of them should be gone already.",
        state.map(|state| overdue(state.sweep.first_deletion)),
    );
    gauge(
        "cargohold_scrub_oldest_seconds",
        "How long ago those bytes were last read and found right that have waited for the scrub the longest. Adopted bytes that were \
         never read count from 1970.",
        state.and_then(|state| state.scrub.oldest).map(|oldest| seconds_between(oldest, now)),
    );
    let disk = state.and_then(|state| state.disk);
    gauge("cargohold_disk_size_bytes", "The size of the data folder's disk.", disk.map(|disk| disk.size as f64));
    gauge(
        "cargohold_disk_free_bytes",
        "What is free on it for the registry's user.",
        disk.map(|disk| disk.free as f64),
    );
    gauge(
        "cargohold_disk_reserve_bytes",
        "What is kept free of it: a push that would use that is refused (storage.filesystem.reserve).",
        disk.map(|disk| disk.reserve as f64),
    );
    gauge(
        "cargohold_stores_away",
        "Adopted stores that cannot be reached: their blobs are answered with 503.",
        state.map(|state| state.stores_away as f64),
    );
}

#[expect(clippy::cast_precision_loss, reason = "a time")]
fn seconds_between(earlier: Timestamp, later: Timestamp) -> f64 {
    later.micros().saturating_sub(earlier.micros()) as f64 / 1e6
}
