//! The model test: random sequences of requests get the same answers from the real program as from a simple model of the
//! protocol, kept in memory.
//!
//! A sequence is some hundred steps against a server of its own, about a few names, tags, contents and manifests, so that the
//! steps meet what others left behind: uploads of every kind, pulls, mounts, manifests that refer to each other, lists, deletes,
//! requests that mean nothing, and restarts by SIGTERM and SIGKILL. Compared is all that the protocol promises of an answer:
//! its status, the code of a refusal, headers, body. A failure is printed with its seed, the step and both answers, and then
//! again as the shortest sequence of requests that still fails.
//!
//! `CARGOHOLD_MODEL_SEED` repeats a run; without it each run has a seed of its own. `CARGOHOLD_MODEL_STEPS` says how many steps
//! each configuration gets. A run of any length begins with the same sequences as a shorter one of that seed.

#![forbid(unsafe_code)]

mod client;
mod digest;
mod generator;
mod manifest;
mod model;
mod pool;
mod promise;
mod random;
mod ranges;
mod reach;
mod sequence;
mod server;
mod shrink;
mod step;

use std::{
    env,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use crate::{
    generator::Generator,
    model::References,
    pool::Pool,
    random::{Random, fresh_seed},
    sequence::{Configuration, Failure, Sequence},
    step::Step,
};

/// Steps of one sequence: many enough that repositories fill up, few enough that many pools are tried.
const STEPS: u64 = 400;

/// Steps of a run that says nothing else.
const DEFAULT_STEPS: u64 = 2400;

/// Sequences at a time. More than there are cores: they wait for the disk.
const SIDE_BY_SIDE: u64 = 4;

#[test]
fn a_registry_answers_as_the_model() {
    compare(Configuration { settings: &[], references: References::All });
}

#[test]
fn a_registry_that_takes_manifests_without_their_content_answers_as_the_model() {
    let settings = &[("CARGOHOLD__VALIDATION__MANIFESTS__REFERENCES", "none")];
    compare(Configuration { settings, references: References::None });
}

/// Takes all sequences of a run, until one of them fails.
fn compare(configuration: Configuration) {
    let seed = setting("CARGOHOLD_MODEL_SEED").unwrap_or_else(fresh_seed);
    let steps = setting("CARGOHOLD_MODEL_STEPS").unwrap_or(DEFAULT_STEPS);
    println!("{configuration:?}; {steps} steps; CARGOHOLD_MODEL_SEED={seed} repeats them");
    let (next, failed) = (AtomicU64::new(0), Mutex::new(None));
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let left = steps.saturating_sub(number * STEPS);
            if left == 0 || failed.lock().unwrap().is_some() {
                return;
            }
            if let Some(found) = sequence(configuration, seed, number, left.min(STEPS)) {
                failed.lock().unwrap().get_or_insert((number, found));
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(work);
        }
    });
    if let Some((number, found)) = failed.into_inner().unwrap() {
        let Found { pool, steps, failure } = found;
        println!("\nsequence {number} of CARGOHOLD_MODEL_SEED={seed}\n{failure}{}", failure.last_steps(10));
        let shortest = shrink::shortest(&pool, configuration, &steps, failure);
        println!("\nthe shortest sequence found that fails\n{shortest}{}", shortest.last_steps(usize::MAX));
        panic!("the server and the model differ; CARGOHOLD_MODEL_SEED={seed} repeats it");
    }
}

/// A sequence that failed at its last step.
struct Found {
    pool: Pool,
    steps: Vec<Step>,
    failure: Failure,
}

/// Takes one sequence; answers nothing if all went well.
fn sequence(configuration: Configuration, seed: u64, number: u64, length: u64) -> Option<Found> {
    let mut random = Random::part(seed, number);
    let pool = Pool::new(&mut random);
    let mut generator = Generator::new(&pool, random);
    let mut sequence = Sequence::start(&pool, configuration);
    let mut steps = Vec::new();
    for _ in 0..length {
        let step = generator.next(&sequence.model);
        let taken = sequence.take(&step);
        steps.push(step);
        if let Err(failure) = taken {
            drop(sequence);
            return Some(Found { pool, steps, failure });
        }
    }
    None
}

fn setting(name: &str) -> Option<u64> {
    let value = env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name}={value} is no whole number")))
}
