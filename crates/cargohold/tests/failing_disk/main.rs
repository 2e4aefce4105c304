//! A disk that fails, that cannot be written any more, or that is slow, under the whole server.
//!
//! A registry in this process is driven over HTTP while calls to its file system fail ([`faults`]): each call that clients cause,
//! one after the other, with each error; then many, by chance. What must hold after each: the client got an answer that says
//! what to do; what was acknowledged is served, and nothing else; the same push succeeds once the disk does; every file has its
//! row; and no sync that failed was made good by asking again ([`audit`]).
//!
//! Slow calls are held up until the test lets them go: meanwhile everything else must go on.
//!
//! `CARGOHOLD_FAILING_DISK_SEED` repeats the choices of a run, `CARGOHOLD_FAILING_DISK_PUSHES` sets how many pushes meet a disk
//! that fails by chance.

#![forbid(unsafe_code)]

mod audit;
mod client;
mod faults;
#[path = "../model/random.rs"]
mod random;
mod registry;
mod script;
mod slow;

use std::{env, time::Duration};

use cargohold_blobs::watch::Call;
use rustix::io::Errno;

use crate::{
    client::{Answer, Request},
    faults::{FileSystem, Mood, Strike},
    random::{Random, fresh_seed},
    registry::Registry,
    script::Script,
};

/// Longer than anything takes that is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

#[test]
fn each_call_fails_once() {
    each_call_fails(Errno::IO);
}

#[test]
fn each_call_finds_the_disk_full_once() {
    each_call_fails(Errno::NOSPC);
}

#[test]
fn each_call_finds_the_disk_read_only_once() {
    each_call_fails(Errno::ROFS);
}

#[test]
fn each_call_finds_the_quota_used_up_once() {
    each_call_fails(Errno::DQUOT);
}

/// The n-th call fails, for every n.
fn each_call_fails(error: Errno) {
    for file_system in [FileSystem::Usual, FileSystem::WithoutRename] {
        let registry = Registry::start(file_system);
        let kept = Script::new(0);
        kept.run(&registry).unwrap_or_else(|answer| panic!("{answer}"));
        let mut blobs = kept.blobs().to_vec();
        let mut refused = 0;
        for calls in 0.. {
            let script = Script::new(calls as u64 + 1);
            registry.disk.set(Mood::Fails(calls, error));
            let ran = script.run(&registry);
            registry.is_sound(&blobs);
            registry.disk.set(Mood::Good);
            let strikes = registry.disk.take_strikes();
            let context = strikes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            if let Err(answer) = ran {
                refused += 1;
                println!("{context}: {answer}");
                assert!(is_proper(&answer, &strikes), "{context}: {answer}");
            }
            kept.pull(&registry).unwrap_or_else(|answer| panic!("{context}, then {answer}"));
            script.run(&registry).unwrap_or_else(|answer| panic!("{context}, then {answer}"));
            blobs.extend(script.blobs());
            registry.is_sound(&blobs);
            if strikes.is_empty() {
                println!("{file_system:?}: {calls} calls failed, {refused} requests were refused");
                assert!(refused > 20, "hardly anything was refused");
                break;
            }
        }
    }
}

#[test]
fn calls_fail_by_chance() {
    let seed = setting("CARGOHOLD_FAILING_DISK_SEED").unwrap_or_else(fresh_seed);
    println!("CARGOHOLD_FAILING_DISK_SEED={seed} repeats the choices");
    let pushes = setting("CARGOHOLD_FAILING_DISK_PUSHES").unwrap_or(40);
    for (part, file_system) in [(0, FileSystem::Usual), (1, FileSystem::WithoutRename)] {
        let registry = Registry::start(file_system);
        let mut blobs = Vec::new();
        let (mut refused, mut failed) = (0, 0);
        for number in 0..pushes / 2 {
            let script = Script::new(number);
            let mut random = Random::part(seed, 2 * number + part);
            let percent = 1 + random.below(8);
            registry.disk.set(Mood::Chance(random, percent));
            for _ in 0..3 {
                if let Err(answer) = script.run(&registry) {
                    refused += 1;
                    // Another failure than the last may be what was in the way.
                    assert!(answer.status == 500 || is_proper(&answer, &registry.disk.take_strikes()), "{answer}");
                }
            }
            registry.disk.set(Mood::Good);
            failed += registry.disk.take_strikes().len();
            registry.is_sound(&blobs);
            script.run(&registry).unwrap_or_else(|answer| panic!("on a good disk: {answer}"));
            blobs.extend(script.blobs());
            registry.is_sound(&blobs);
        }
        println!("{file_system:?}: {refused} requests were refused, and {failed} more calls failed unseen");
        for number in 0..pushes / 2 {
            Script::new(number).pull(&registry).unwrap_or_else(|answer| panic!("{answer}"));
        }
    }
}

#[test]
fn a_disk_that_cannot_be_written_serves_what_it_has() {
    for (which, error) in [
        ((|_| true) as fn(Call) -> bool, Errno::ROFS),
        (|_| true, Errno::IO),
        (|call| matches!(call, Call::SyncData | Call::SyncFolder), Errno::IO),
        (|call| matches!(call, Call::Open | Call::Write | Call::MakeFolder), Errno::DQUOT),
    ] {
        let registry = Registry::start(FileSystem::Usual);
        let (kept, other) = (Script::new(1), Script::new(2));
        kept.run(&registry).unwrap_or_else(|answer| panic!("{answer}"));
        let open = script::start(&registry, "a").unwrap_or_else(|answer| panic!("{answer}"));
        let chunk = |content: &'static [u8]| registry.send(Request::new("PATCH", &open).with(content));
        chunk(b"a begin").expect(202);

        registry.disk.set(Mood::Refuses(which, error));
        for _ in 0..3 {
            let answer = other.run(&registry).expect_err("nothing can be written");
            assert!(is_proper(&answer, &registry.disk.take_strikes()), "{answer}");
            kept.pull(&registry).unwrap_or_else(|answer| panic!("{answer}"));
        }
        // Facts can be written: what needs no bytes goes on.
        registry.send(Request::new("PUT", "/v2/a/manifests/moved").with(INDEX.as_bytes())).expect(201);
        registry.send(Request::new("DELETE", "/v2/a/manifests/moved")).expect(202);
        let half = chunk(b"ning");
        assert!(is_proper(&half, &registry.disk.take_strikes()), "{half}");

        registry.disk.set(Mood::Good);
        other.run(&registry).unwrap_or_else(|answer| panic!("{answer}"));
        kept.pull(&registry).unwrap_or_else(|answer| panic!("{answer}"));
        registry.is_sound(&[kept.blobs(), other.blobs()].concat());
    }
}

const INDEX: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;

/// Whether a refusal tells the client what to do, and whoever reads it what is wrong.
fn is_proper(answer: &Answer, strikes: &[Strike]) -> bool {
    let errors: Vec<Errno> = strikes.iter().map(|strike| strike.error).collect();
    let of = |wanted: &[Errno]| errors.iter().any(|error| wanted.contains(error));
    let text = answer.text();
    match answer.status {
        503 => {
            let full = text.contains("no space left on device") && of(&[Errno::NOSPC, Errno::DQUOT]);
            let read_only = text.contains("can only be read") && of(&[Errno::ROFS]);
            (full || read_only) && text.contains("UNAVAILABLE") && answer.header("Retry-After") == "10"
        }
        500 => of(&[Errno::IO]) && text.contains("UNKNOWN"),
        _ => false,
    }
}

fn setting(name: &str) -> Option<u64> {
    let value = env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name}={value} is no whole number")))
}
