//! Nothing acknowledged is ever lost, whenever the power fails.
//!
//! A registry in this process is driven over HTTP while everything that it does to the disk is recorded ([`recording`]), together
//! with what it committed and answered in between. Then the power is lost at each of these moments: what was synced stays, and of
//! the rest anything may ([`disk`]). What is left, with the database as it was at that moment, is given to the real program
//! ([`inspection`]): what was acknowledged is there byte for byte, uploads go on where the server says, what was deleted stays
//! away, everything can be pushed again, and no file is there that no row names.
//!
//! Processes die in the recordings too: what they had not synced is still in the page cache when the next one comes, and is lost
//! later. That these checks would find a missing sync is shown by leaving out each of them.
//!
//! `CARGOHOLD_POWER_LOSS_STATES` says how many states are inspected for each test; without it there are some hundred.
//! `CARGOHOLD_POWER_LOSS_SEED` repeats a run's random choices.

#![forbid(unsafe_code)]

mod client;
mod commits;
mod disk;
mod inspection;
mod program;
#[path = "../model/random.rs"]
mod random;
mod recording;
mod replay;
mod scripts;
mod world;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    env,
    sync::{
        LazyLock, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::{
    random::{Random, fresh_seed},
    recording::{FileSystem, Recording},
    replay::{Fingerprint, State},
};

pub(crate) const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

/// Syncs that nothing would miss.
const SPARE: [&str; 3] = [
    // Linking syncs the folder before it unlinks; whoever moves a file does so again behind every move.
    "POST with a blob (with links): the names in the folder of a blob",
    "removal (with links): the names in the data folder",
    "start (with links): the names in the data folder",
];

/// States inspected by each test that says nothing else.
const DEFAULT_STATES: u64 = 150;

/// Inspections at a time. More than there are cores: they wait for the disk.
const SIDE_BY_SIDE: usize = 4;

#[test]
fn pushes_survive() {
    survive(&[scripts::pushes(FileSystem::Usual), scripts::pushes(FileSystem::WithoutRename)]);
}

#[test]
fn deletions_survive() {
    survive(&[scripts::deletions(FileSystem::Usual), scripts::deletions(FileSystem::WithoutRename)]);
}

#[test]
fn what_a_dead_process_left_survives() {
    survive(&deaths());
}

#[test]
fn whatever_happens_survives() {
    let seed = seed();
    let runs = setting("CARGOHOLD_POWER_LOSS_STATES").unwrap_or(DEFAULT_STATES).clamp(1, 2000) / 40;
    let runs: Vec<Recording> = (1..=runs).map(|number| scripts::chance(seed, number)).collect();
    survive(&runs);
}

/// Each kind of sync, told apart by what was asked for and what is synced, is left out where it was made until that breaks a
/// promise; with `CARGOHOLD_POWER_LOSS_STATES` every single one is, and how many were noticed is printed.
#[test]
fn leaving_out_any_sync_is_noticed() {
    let mut recordings = vec![
        scripts::pushes(FileSystem::Usual),
        scripts::pushes(FileSystem::WithoutRename),
        scripts::deletions(FileSystem::Usual),
    ];
    recordings.extend(deaths());
    let each = setting("CARGOHOLD_POWER_LOSS_STATES").is_some();
    let number = |(number, recording): (usize, &Recording)| {
        recording.syncs().into_iter().map(move |(sync, what)| (number, sync, what)).collect::<Vec<_>>()
    };
    let syncs: Vec<(usize, usize, String)> = recordings.iter().enumerate().flat_map(number).collect();
    let noticed: Mutex<BTreeMap<&str, usize>> = Mutex::default();
    let known: Mutex<HashMap<(usize, Fingerprint), bool>> = Mutex::default();
    let is_broken = |number: usize, state: &State| {
        let key = (number, state.fingerprint());
        let before = known.lock().unwrap().get(&key).copied();
        before.unwrap_or_else(|| {
            let is_broken = recordings[number].inspect(state).is_err();
            known.lock().unwrap().insert(key, is_broken);
            is_broken
        })
    };
    side_by_side(&syncs, |(number, sync, what)| {
        if !each && noticed.lock().unwrap().get(what.as_str()).is_some_and(|times| *times > 0) {
            return;
        }
        let states = recordings[*number].states_without(*sync);
        let is_noticed = states.iter().any(|state| is_broken(*number, state));
        *noticed.lock().unwrap().entry(what).or_default() += usize::from(is_noticed);
    });
    let noticed = noticed.into_inner().unwrap();
    println!("how often leaving out was noticed: {noticed:#?}");
    let never: BTreeSet<&str> = noticed.iter().filter(|(_, times)| **times == 0).map(|(what, _)| *what).collect();
    assert_eq!(never, BTreeSet::from(SPARE));
}

/// Uploads and removals with a death before each call.
fn deaths() -> Vec<Recording> {
    let uploads = (0..).map_while(|calls| scripts::death(calls, FileSystem::Usual));
    let too_much = (0..).map_while(scripts::death_behind_too_much);
    let removals = (0..).map_while(scripts::death_of_a_removal);
    uploads.chain(too_much).chain(removals).collect()
}

/// Inspects states of the recordings, all or a selection.
fn survive(recordings: &[Recording]) {
    let seed = seed();
    let most = setting("CARGOHOLD_POWER_LOSS_STATES").unwrap_or(DEFAULT_STATES);
    let mut states: Vec<(&Recording, State)> = Vec::new();
    for recording in recordings {
        states.extend(recording.states(seed, 2).into_iter().map(|state| (recording, state)));
    }
    let all = states.len();
    let mut random = Random::part(seed, 0);
    while states.len() as u64 > most {
        states.swap_remove(random.below(states.len()));
    }
    println!("{} of {all} states; CARGOHOLD_POWER_LOSS_SEED={seed} repeats them", states.len());
    let broken = Mutex::new(None);
    side_by_side(&states, |(recording, state)| {
        if broken.lock().unwrap().is_none()
            && let Err(how) = recording.inspect(state)
        {
            broken.lock().unwrap().get_or_insert(format!("{}{how}", recording.describe(state)));
        }
    });
    if let Some(broken) = broken.into_inner().unwrap() {
        panic!("{broken}\nCARGOHOLD_POWER_LOSS_SEED={seed} repeats it");
    }
}

fn side_by_side<'w, T: Sync>(work: &'w [T], act: impl Fn(&'w T) + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                while let Some(item) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                    act(item);
                }
            });
        }
    });
}

/// The same for all tests of a run.
fn seed() -> u64 {
    static SEED: LazyLock<u64> = LazyLock::new(|| setting("CARGOHOLD_POWER_LOSS_SEED").unwrap_or_else(fresh_seed));
    *SEED
}

fn setting(name: &str) -> Option<u64> {
    let value = env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name}={value} is no whole number")))
}
