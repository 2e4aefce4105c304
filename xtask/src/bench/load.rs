//! Many clients at a time: how much is answered, and how long each waits.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use super::contender::Contender;
use super::wire::Wire;
use super::work::{ENOUGH, repeat};

/// How it went for so many clients that ask one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Level {
    pub(crate) clients: usize,
    pub(crate) per_second: f64,
    pub(crate) waits: Waits,
}

/// How long answers took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Waits {
    pub(crate) median: Duration,
    /// Of a hundred, all but one took at most this.
    pub(crate) p99: Duration,
}

impl Waits {
    pub(crate) fn of(mut waits: Vec<Duration>) -> Self {
        waits.sort_unstable();
        let at = |share: usize| waits.get((waits.len() * share / 100).min(waits.len().saturating_sub(1)));
        let at = |share| at(share).copied().unwrap_or_default();
        Self { median: at(50), p99: at(99) }
    }
}

/// Has `clients` of them GET the same, `requests` times in all, or for as long as it takes to know how it goes.
pub(crate) fn level(contender: &Contender, clients: usize, requests: u32, path: &str) -> Result<Level> {
    let each = (requests as usize / clients).max(1);
    let ready = Barrier::new(clients + 1);
    let (took, waits) = thread::scope(|scope| {
        let client = || {
            let wire = contender.connect();
            ready.wait();
            waits(&mut wire?, each, path)
        };
        let running: Vec<_> = (0..clients).map(|_| scope.spawn(client)).collect();
        ready.wait();
        let began = Instant::now();
        let waits = running.into_iter().map(|client| client.join().map_err(|_| anyhow!("a client panicked"))?);
        let waits: Vec<Vec<Duration>> = waits.collect::<Result<_>>()?;
        anyhow::Ok((began.elapsed(), waits.concat()))
    })?;
    #[expect(clippy::cast_precision_loss, reason = "figures have three digits")]
    let per_second = waits.len() as f64 / took.as_secs_f64();
    Ok(Level { clients, per_second, waits: Waits::of(waits) })
}

/// How long each of so many answers took.
pub(crate) fn waits(wire: &mut Wire, times: usize, path: &str) -> Result<Vec<Duration>> {
    let (started, mut waits) = (Instant::now(), Vec::new());
    while waits.len() < times && started.elapsed() < ENOUGH {
        let began = Instant::now();
        repeat(wire, 1, "GET", path, u64::MAX)?;
        waits.push(began.elapsed());
    }
    Ok(waits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_a_hundred_may_wait_for_longer() {
        let waits = (1..=200).map(Duration::from_millis).collect();
        let Waits { median, p99 } = Waits::of(waits);
        assert_eq!((median, p99), (Duration::from_millis(101), Duration::from_millis(199)));
        assert_eq!(Waits::of(Vec::new()).p99, Duration::ZERO);
    }
}
