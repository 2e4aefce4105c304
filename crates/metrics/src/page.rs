//! The page that Prometheus reads: its text format, version 0.0.4, which every scraper and its `promtool check metrics` read.
//!
//! Each metric is told once, with all its samples together; its name follows Prometheus' conventions.

use std::fmt::Write;

use crate::Histogram;

/// What is told of a metric beside its numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// What it is called.
    pub name: &'static str,
    /// How its numbers behave.
    pub kind: Kind,
    /// What tells its numbers apart.
    pub labels: Vec<&'static str>,
    /// What it means, in a sentence.
    pub help: &'static str,
}

/// How the numbers of a metric behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, from nothing at the start of the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts things by their size.
    Histogram,
}

/// The name of a kind, in the words of the format.
pub type Type = &'static str;

/// The numbers of one moment.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
    described: Vec<Described>,
}

impl Kind {
    /// As the format calls it.
    pub fn name(self) -> Type {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl Page {
    /// The media type of [`Page::text`].
    pub const MEDIA_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// Tells of a counter, whose name ends in `_total`.
    pub fn counter(&mut self, name: &'static str, help: &'static str, value: u64) {
        self.counters(name, help, [], [([], value)]);
    }

    /// Tells of counters that differ in their labels.
    pub fn counters<'v, const N: usize>(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
        samples: impl IntoIterator<Item = ([&'v str; N], u64)>,
    ) {
        debug_assert!(name.ends_with("_total"), "{name}");
        self.describe(name, help, Kind::Counter, &labels);
        for (values, value) in samples {
            self.sample(name, "", labels.iter().copied().zip(values), None, format_args!("{value}"));
        }
    }

    /// Tells of a gauge.
    pub fn gauge(&mut self, name: &'static str, help: &'static str, value: f64) {
        self.gauges(name, help, [], [([], value)]);
    }

    /// Tells of gauges that differ in their labels.
    pub fn gauges<'v, const N: usize>(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
        samples: impl IntoIterator<Item = ([&'v str; N], f64)>,
    ) {
        self.describe(name, help, Kind::Gauge, &labels);
        for (values, value) in samples {
            self.sample(name, "", labels.iter().copied().zip(values), None, format_args!("{}", Number(value)));
        }
    }

    /// Tells of what counts as a counter and is no whole number, such as seconds.
    pub fn seconds(&mut self, name: &'static str, help: &'static str, value: f64) {
        debug_assert!(name.ends_with("_seconds_total"), "{name}");
        self.describe(name, help, Kind::Counter, &[]);
        self.sample(name, "", [], None, format_args!("{}", Number(value)));
    }

    /// Tells of histograms that differ in their labels.
    pub fn histograms<'v, const N: usize>(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
        samples: impl IntoIterator<Item = ([&'v str; N], &'v Histogram)>,
    ) {
        self.describe(name, help, Kind::Histogram, &labels);
        for (values, histogram) in samples {
            let labelled = || labels.iter().copied().zip(values);
            let mut all = 0;
            for (bound, count) in histogram.up_to() {
                all = count;
                let bound = bound.map_or("+Inf".to_owned(), |bound| Number(bound).to_string());
                self.sample(name, "_bucket", labelled(), Some(&bound), format_args!("{count}"));
            }
            self.sample(name, "_sum", labelled(), None, format_args!("{}", Number(histogram.sum())));
            // Not counted anew: it has to be what the last bucket says.
            self.sample(name, "_count", labelled(), None, format_args!("{all}"));
        }
    }

    /// Tells of a histogram.
    pub fn histogram(&mut self, name: &'static str, help: &'static str, histogram: &Histogram) {
        self.histograms(name, help, [], [([], histogram)]);
    }

    /// What was told, as Prometheus reads it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What was told, as Prometheus reads it.
    pub fn into_text(self) -> String {
        self.text
    }

    /// All metrics that were told of, in that order.
    pub fn described(&self) -> &[Described] {
        &self.described
    }

    fn describe(&mut self, name: &'static str, help: &'static str, kind: Kind, labels: &[&'static str]) {
        debug_assert!(self.described.iter().all(|known| known.name != name), "{name} is told twice");
        // Writing to a text cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {}", kind.name());
        self.described.push(Described { name, kind, labels: labels.to_vec(), help });
    }

    fn sample<'v>(
        &mut self,
        name: &str,
        suffix: &str,
        labels: impl IntoIterator<Item = (&'static str, &'v str)>,
        bound: Option<&'v str>,
        value: std::fmt::Arguments<'_>,
    ) {
        self.text.push_str(name);
        self.text.push_str(suffix);
        let mut separator = '{';
        for (label, value) in labels.into_iter().chain(bound.map(|bound| ("le", bound))) {
            let _ = write!(self.text, "{separator}{label}=\"");
            escape(value, &mut self.text);
            self.text.push('"');
            separator = ',';
        }
        if separator == ',' {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

/// A number as the format has it.
struct Number(f64);

impl std::fmt::Display for Number {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            number if number.is_nan() => formatter.write_str("NaN"),
            number if number.is_infinite() => formatter.write_str(if number > 0.0 { "+Inf" } else { "-Inf" }),
            number => write!(formatter, "{number}"),
        }
    }
}

fn escape(value: &str, into: &mut String) {
    for sign in value.chars() {
        match sign {
            '\\' => into.push_str("\\\\"),
            '"' => into.push_str("\\\""),
            '\n' => into.push_str("\\n"),
            sign => into.push(sign),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::{Counter, Gauge};

    #[test]
    fn a_page_is_what_prometheus_reads() {
        let (pulls, open, took) = (Counter::new(), Gauge::new(), Histogram::new(&[0.1, 1.0]));
        pulls.increment();
        pulls.add(2);
        open.change(5);
        open.change(-2);
        for time in [100, 101, 5000] {
            took.observe_time(Duration::from_millis(time));
        }
        let mut page = Page::default();
        page.counter("pulls_total", "Pulls.", pulls.value());
        page.counters(
            "requests_total",
            "Requests.",
            ["method", "status"],
            [(["GET", "200"], 7), (["a\"\\\n", "?"], 0)],
        );
        #[expect(clippy::cast_precision_loss, reason = "it is small")]
        page.gauge("open", "Open ones.", open.value() as f64);
        page.gauges("free", "Free.", ["disk"], [(["a"], 0.5), (["b"], f64::INFINITY)]);
        page.histogram("duration_seconds", "Durations.", &took);
        page.seconds("cpu_seconds_total", "CPU.", 1.25);
        assert_eq!(
            page.text(),
            "# HELP pulls_total Pulls.\n# TYPE pulls_total counter\npulls_total 3\n\
             # HELP requests_total Requests.\n# TYPE requests_total counter\n\
             requests_total{method=\"GET\",status=\"200\"} 7\nrequests_total{method=\"a\\\"\\\\\\n\",status=\"?\"} 0\n\
             # HELP open Open ones.\n# TYPE open gauge\nopen 3\n\
             # HELP free Free.\n# TYPE free gauge\nfree{disk=\"a\"} 0.5\nfree{disk=\"b\"} +Inf\n\
             # HELP duration_seconds Durations.\n# TYPE duration_seconds histogram\n\
             duration_seconds_bucket{le=\"0.1\"} 1\nduration_seconds_bucket{le=\"1\"} 2\nduration_seconds_bucket{le=\"+Inf\"} 3\n\
             duration_seconds_sum 5.201\nduration_seconds_count 3\n\
             # HELP cpu_seconds_total CPU.\n# TYPE cpu_seconds_total counter\ncpu_seconds_total 1.25\n"
        );
        assert_eq!(page.described()[1].labels, ["method", "status"]);
    }

    proptest! {
        #[test]
        fn everything_is_in_exactly_one_bucket(sizes in proptest::collection::vec(0u32..2000, 0..50)) {
            let histogram = Histogram::new(&[1.0, 10.0, 100.0, 1000.0]);
            for size in &sizes {
                histogram.observe(*size);
            }
            for (bound, count) in histogram.up_to() {
                let wanted = sizes.iter().filter(|size| bound.is_none_or(|bound| f64::from(**size) <= bound)).count();
                prop_assert_eq!(count, wanted as u64);
            }
            let sum: f64 = sizes.iter().map(|size| f64::from(*size)).sum();
            prop_assert!((histogram.sum() - sum).abs() < 1e-6);
            prop_assert_eq!(histogram.count(), sizes.len() as u64);
        }
    }
}
