//! What the writer counts of its work.

use cargohold_metrics::{Counter, Histogram, Page};

/// Transactions in a commit.
const SIZES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// The numbers of the one writer.
#[derive(Debug)]
pub(crate) struct WriterMetrics {
    /// How many transactions shared a commit.
    pub(crate) sizes: Histogram,
    /// From the beginning of a commit until it was durable.
    pub(crate) durations: Histogram,
    /// Transactions that were undone, for whatever reason.
    pub(crate) undone: Counter,
    /// Commits that failed.
    pub(crate) failures: Counter,
}

impl Default for WriterMetrics {
    fn default() -> Self {
        let (sizes, durations) = (Histogram::new(SIZES), Histogram::new(Histogram::SECONDS));
        Self { sizes, durations, undone: Counter::new(), failures: Counter::new() }
    }
}

impl WriterMetrics {
    /// Tells all of it; `queue` transactions wait.
    #[expect(clippy::cast_precision_loss, reason = "a bounded queue")]
    pub(crate) fn tell(&self, queue: usize, page: &mut Page) {
        page.gauge(
            "cargohold_database_write_queue",
            "Transactions that wait for the database's writer. At 1024 those who bring more have to wait.",
            queue as f64,
        );
        page.histogram("cargohold_database_commit_transactions", "Transactions that shared a commit.", &self.sizes);
        page.histogram(
            "cargohold_database_commit_duration_seconds",
            "From the beginning of a commit until it was durable: mostly what the disk takes for a sync.",
            &self.durations,
        );
        page.counter(
            "cargohold_database_transactions_undone_total",
            "Transactions that were undone because one of their statements failed.",
            self.undone.value(),
        );
        page.counter(
            "cargohold_database_commit_failures_total",
            "Commits that failed, for instance on a full disk.",
            self.failures.value(),
        );
    }
}
