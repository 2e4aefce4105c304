//! What is told to Prometheus of each endpoint. What waits is counted by an index and up to a bound, so that asking costs the same
//! however much it is.

use cargohold_access::OperatorPermit;
use cargohold_metadata::Timestamp;
use cargohold_metrics::Page;

use super::{EndpointState, EndpointStatus};
use crate::Registry;

impl Registry {
    /// Tells how the endpoints are doing.
    pub(crate) async fn tell_of_endpoints(&self, permit: &OperatorPermit, page: &mut Page) {
        // What cannot be found out is not told: its metric is there without a number.
        let endpoints = self.endpoints(permit).await.inspect_err(|error| {
            tracing::warn!(%error, "how the endpoints are doing could not be told among the metrics");
        });
        let mut endpoints = endpoints.unwrap_or_default();
        // What waits for one that is not configured is about to be dropped.
        endpoints.retain(|endpoint| endpoint.state != EndpointState::Unknown);
        tell_state(&endpoints, self.0.environment.now(), page);
        tell_counts(&endpoints, page);
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers for people and graphs")]
fn tell_state<'s>(endpoints: &'s [EndpointStatus], now: Timestamp, page: &mut Page) {
    let mut gauges = |name, help, value: fn(&EndpointStatus, Timestamp) -> Option<f64>| {
        let sample = |endpoint: &'s EndpointStatus| Some(([endpoint.name.as_str()], value(endpoint, now)?));
        page.gauges(name, help, ["endpoint"], endpoints.iter().filter_map(sample));
    };
    gauges(
        "cargohold_notifications_waiting_events",
        "Events that an endpoint is yet to be told of, without pulls; 10000 stands for that many or more.",
        |endpoint, _| Some(endpoint.pending.counted as f64),
    );
    gauges(
        "cargohold_notifications_waiting_oldest_seconds",
        "How long ago the oldest of them happened; 0 if nothing waits. Not there for an endpoint that is disabled.",
        |endpoint, now| {
            let age = endpoint.oldest.map_or(0, |oldest| now.micros().saturating_sub(oldest.micros()).max(0));
            (endpoint.state != EndpointState::Disabled).then_some(age as f64 / 1e6)
        },
    );
    gauges(
        "cargohold_notifications_given_up_events",
        "Events that are not tried any more (notifications.endpoints.maxattempts) until somebody asks for it: \
         cargohold notifications redeliver. 10000 stands for that many or more.",
        |endpoint, _| Some(endpoint.given_up.counted as f64),
    );
    gauges(
        "cargohold_notifications_waiting_pulls",
        "Pulls that an endpoint is yet to be told of. They are kept in memory.",
        |endpoint, _| Some(endpoint.pulls_pending as f64),
    );
}

fn tell_counts(endpoints: &[EndpointStatus], page: &mut Page) {
    let mut counters = |name, help, value: fn(&EndpointStatus) -> u64| {
        let samples = endpoints.iter().map(|endpoint| ([endpoint.name.as_str()], value(endpoint)));
        page.counters(name, help, ["endpoint"], samples);
    };
    counters(
        "cargohold_notifications_delivered_total",
        "Events that an endpoint has taken, pulls among them.",
        |endpoint| endpoint.delivered,
    );
    counters(
        "cargohold_notifications_failed_attempts_total",
        "Times that an endpoint could not be told of an event. It is tried again.",
        |endpoint| endpoint.failed,
    );
    counters(
        "cargohold_notifications_given_up_total",
        "Events that were tried as often as notifications.endpoints.maxattempts says, in vain.",
        |endpoint| endpoint.given_up_since_start,
    );
    let dropped = endpoints.iter().flat_map(|endpoint| {
        let name = endpoint.name.as_str();
        [([name, "event"], endpoint.dropped_since_start), ([name, "pull"], endpoint.pulls_lost)]
    });
    page.counters(
        "cargohold_notifications_dropped_total",
        "What an endpoint was never told of since too much waited: events (notifications.endpoints.maxpending), and pulls, for \
         which there is room in memory for 10000.",
        ["endpoint", "kind"],
        dropped,
    );
}
