//! The page of numbers that Prometheus reads: what each part tells, put together.

mod process;

use std::sync::Arc;

use cargohold_access::OperatorPermit;
use cargohold_http::{HttpMetrics, Numbers};
use cargohold_metrics::Page;
use cargohold_registry::Registry;

use crate::{logging::Logs, management};

/// Everybody who has numbers to tell.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    pub(crate) http: Arc<HttpMetrics>,
    registry: Registry,
    logs: Logs,
}

impl Metrics {
    pub(crate) fn new(registry: Registry, logs: Logs) -> Self {
        Self { http: Arc::default(), registry, logs }
    }

    /// What answers whoever asks for the numbers.
    pub(crate) fn numbers(&self) -> anyhow::Result<Numbers> {
        let (metrics, permit) = (Arc::new(self.clone()), Arc::new(management::operator()?));
        Ok(Numbers::new(move || {
            let (metrics, permit) = (metrics.clone(), permit.clone());
            async move { metrics.page(&permit).await }
        }))
    }

    async fn page(&self, permit: &OperatorPermit) -> Page {
        let mut page = Page::default();
        page.gauges(
            "cargohold_build_info",
            "Always 1; the label tells the program's version.",
            ["version"],
            [([env!("CARGO_PKG_VERSION")], 1.0)],
        );
        self.http.tell(&mut page);
        self.registry.tell(permit, &mut page).await;
        let (full, failed) = self.logs.lost();
        page.counters(
            "cargohold_log_lines_lost_total",
            "Lines that are in no log: they came faster than they could be written (full), or writing failed (failed).",
            ["reason"],
            [(["full"], full), (["failed"], failed)],
        );
        process::tell(&mut page);
        page
    }
}

#[cfg(test)]
mod tests;
