//! Numbers that are changed by many threads at a time, without a lock.

use std::{
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
    time::Duration,
};

/// How often something happened, or how much of it there was, since the start.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

/// How many there are now.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

/// How large things were: how many of them were at most as large as each of some bounds, and their sum.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    /// One for each bound, and one for what is larger than all of them.
    counts: Box<[AtomicU64]>,
    /// In billionths, so that it is a whole number.
    sum: AtomicU64,
}

impl Counter {
    /// One that begins at nothing.
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Once more.
    pub fn increment(&self) {
        self.add(1);
    }

    /// So much more.
    pub fn add(&self, much: u64) {
        self.0.fetch_add(much, Ordering::Relaxed);
    }

    /// What it is now.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Gauge {
    /// One that begins at zero.
    pub const fn new() -> Self {
        Self(AtomicI64::new(0))
    }

    /// So many more, or fewer.
    pub fn change(&self, by: i64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    /// It is that from now on.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// What it is now.
    pub fn value(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Histogram {
    /// Seconds, from what is answered out of memory to an upload over a slow line.
    pub const SECONDS: &'static [f64] =
        &[0.000_1, 0.000_25, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0];

    /// One with these bounds, smallest first.
    pub fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(), sum: AtomicU64::new(0) }
    }

    /// There was one that large, a number of things.
    pub fn observe(&self, many: u32) {
        self.take(many.into(), u64::from(many).saturating_mul(1_000_000_000));
    }

    /// There was one that long, in seconds.
    pub fn observe_time(&self, time: Duration) {
        self.take(time.as_secs_f64(), u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    fn take(&self, value: f64, billionths: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(billionths, Ordering::Relaxed);
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// What they were together.
    #[expect(clippy::cast_precision_loss, reason = "a sum that is read by people and divided")]
    pub(crate) fn sum(&self) -> f64 {
        self.sum.load(Ordering::Relaxed) as f64 / 1e9
    }

    /// How many were at most as large as each bound; the last of them is all.
    pub(crate) fn up_to(&self) -> impl Iterator<Item = (Option<f64>, u64)> {
        let bounds = self.bounds.iter().copied().map(Some).chain([None]);
        bounds.zip(&self.counts).scan(0, |so_far, (bound, count)| {
            *so_far += count.load(Ordering::Relaxed);
            Some((bound, *so_far))
        })
    }
}
