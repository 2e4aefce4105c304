//! What is recorded: clients that push, resume and delete, and processes that die.

use std::sync::Arc;

use cargohold_oci::{Algorithm, Digest};
use serde_json::json;

use crate::{
    IMAGE,
    random::Random,
    recording::{FileSystem, Recording, Run},
    world::{Content, Session, digest, sha512},
};

const LIVES: &str = "nothing dies here";

/// Every way in which bytes come in.
pub(crate) fn pushes(file_system: FileSystem) -> Recording {
    let mut run = Run::start(&format!("pushes, {file_system:?}"), file_system);
    pushes_of(&mut run).expect(LIVES);
    run.stop()
}

fn pushes_of(run: &mut Run) -> Option<()> {
    let (config, layer, other, third) = (content(1, 300), content(2, 5000), content(3, 4000), content(4, 700));
    run.push_blob("a", &config)?;
    let chunked = run.start_upload("a", &layer)?;
    run.append(&chunked, 2000)?;
    run.append(&chunked, 4500)?;
    run.finish(&chunked, &digest(&layer))?;
    let manifest = image(&config, &layer);
    run.push_manifest("a", "v1", &manifest)?;
    // One that stays open, beside those that end.
    let open = run.start_upload("a", &other)?;
    run.append(&open, 1500)?;
    let in_one = run.start_upload("b", &third)?;
    run.finish(&in_one, &sha512(&third))?;
    let wrong = run.start_upload("b", &other)?;
    run.append(&wrong, 1000)?;
    run.discard(&wrong, true)?;
    run.settle(4)?;
    let cancelled = run.start_upload("b", &other)?;
    run.append(&cancelled, 1000)?;
    run.discard(&cancelled, false)?;
    run.settle(4)?;
    // Somebody else has it already, so that these bytes are not needed.
    let loser = run.start_upload("b", &layer)?;
    run.append(&loser, 5000)?;
    run.finish(&loser, &digest(&layer))?;
    run.settle(4)?;
    run.append(&open, 2500)
}

/// What is deleted, swept, and pushed again.
pub(crate) fn deletions(file_system: FileSystem) -> Recording {
    let mut run = Run::start(&format!("deletions, {file_system:?}"), file_system);
    deletions_of(&mut run).expect(LIVES);
    run.stop()
}

fn deletions_of(run: &mut Run) -> Option<()> {
    let (config, layer, kept) = (content(1, 300), content(2, 3000), content(3, 500));
    for blob in [&config, &layer, &kept] {
        run.push_blob("a", blob)?;
    }
    let manifest = image(&config, &kept);
    run.push_manifest("a", "v1", &manifest)?;
    run.push_manifest("a", "v2", &manifest)?;
    run.delete_manifest("a", "v1")?;
    run.delete_manifest("a", &digest(&manifest))?;
    run.delete_blob("a", &layer)?;
    run.settle(2)?;
    run.push_blob("a", &layer)?;
    run.delete_blob("a", &layer)?;
    run.settle(2)?;
    let again = run.start_upload("a", &layer)?;
    run.append(&again, 1000)?;
    run.finish(&again, &digest(&layer))
}

/// An upload in which a process dies before one of its calls to the file system, and the next takes it up. None if it makes fewer.
pub(crate) fn death(calls: usize, file_system: FileSystem) -> Option<Recording> {
    let mut run = Run::start(&format!("a death after {calls} calls, {file_system:?}"), file_system);
    let layer = content(2, 5000);
    run.dies_after(calls);
    let session = begun(&mut run, &layer);
    go_on(&mut run, &session, |run| run.append(&session, 2000), |row| row.received >= 2000);
    go_on(&mut run, &session, |run| run.finish(&session, &digest(&layer)), |_| false);
    (run.deaths > 0).then(|| run.stop())
}

/// The same, and the last request brings nothing: all has come, and more than that, by one that broke off.
pub(crate) fn death_behind_too_much(calls: usize) -> Option<Recording> {
    let mut run = Run::start(&format!("a death after {calls} calls, behind too much"), FileSystem::Usual);
    let layer = content(2, 5000);
    let session = begun(&mut run, &layer);
    run.append(&session, 5000).expect(LIVES);
    run.break_off(&session).expect(LIVES);
    run.dies_after(calls);
    go_on(&mut run, &session, |run| run.finish_as("PUT behind too much", &session, &digest(&layer)), |_| false);
    (run.deaths > 0).then(|| run.stop())
}

fn begun(run: &mut Run, layer: &Content) -> String {
    loop {
        match run.start_upload("a", layer) {
            Some(session) => break session,
            None => run.restart(),
        }
    }
}

/// Asks until the session is where it is to be, or has ended; each time that the process dies, the next one.
fn go_on(run: &mut Run, session: &str, ask: impl Fn(&mut Run) -> Option<()>, is_there: impl Fn(&Session) -> bool) {
    while run.world().sessions.get(session).is_some_and(|row| !is_there(row)) {
        let start = run.world().sessions[session].received;
        if ask(run).is_none() {
            run.restart();
            run.look_again();
            let resumed = run.world().sessions.get(session).map_or(usize::MAX, |row| row.received);
            assert!(resumed >= start, "{resumed}");
        }
    }
}

/// A removal in which a process dies before one of its calls to the file system. None if it makes fewer.
pub(crate) fn death_of_a_removal(calls: usize) -> Option<Recording> {
    let mut run = Run::start(&format!("a death after {calls} calls of a removal"), FileSystem::Usual);
    let (layer, other) = (content(2, 3000), content(3, 300));
    run.push_blob("a", &layer).expect(LIVES);
    run.dies_after(calls);
    run.delete_blob("a", &layer).expect(LIVES);
    if run.settle(0).is_none() {
        run.restart();
        run.settle(0).expect(LIVES);
    }
    run.lives_on();
    run.push_blob("a", &other).expect(LIVES);
    (run.deaths > 0).then(|| run.stop())
}

/// Anything, in the order that a seed gives, with deaths in between.
pub(crate) fn chance(seed: u64, number: u64) -> Recording {
    let mut random = Random::part(seed, number);
    let file_system = random.pick(&[FileSystem::Usual, FileSystem::Usual, FileSystem::WithoutRename]);
    let mut run = Run::start(&format!("run {number} of seed {seed}, {file_system:?}"), file_system);
    let lengths: Vec<usize> = (0..4).map(|_| 2 + random.below(5000)).collect();
    let contents: Vec<Content> = lengths.into_iter().map(|length| Arc::from(random.bytes(length))).collect();
    for _ in 0..10 + random.below(8) {
        if random.chance(25) {
            run.dies_after(random.below(12));
        }
        if step(&mut run, &mut random, &contents).is_none() {
            run.restart();
            run.look_again();
        }
    }
    run.stop()
}

fn step(run: &mut Run, random: &mut Random, contents: &[Content]) -> Option<()> {
    let (repository, content) = (random.pick(&["a", "b"]), random.pick(contents));
    let open: Vec<String> = run.world().sessions.keys().cloned().collect();
    let blobs: Vec<(String, String)> = run.world().blobs.keys().cloned().collect();
    match random.below(8) {
        0 => run.push_blob(repository, &content),
        1 if !blobs.is_empty() => {
            let name = random.pick(&blobs);
            let content = run.world().blobs[&name].clone();
            run.delete_blob(&name.0, &content)
        }
        2..=6 if !open.is_empty() => {
            let session = random.pick(&open);
            let row = run.world().sessions[&session].clone();
            let missing = row.content.len() - row.received;
            match random.below(6) {
                0 => run.discard(&session, random.chance(50)),
                1 | 2 => run.finish(&session, &digest(&row.content)),
                _ if missing > 0 => run.append(&session, (row.received + 1 + random.below(missing)).max(2)),
                _ => Some(()),
            }
        }
        _ => run.start_upload(repository, &content).map(drop),
    }
}

fn content(number: u64, length: usize) -> Content {
    Arc::from(Random::part(5, number).bytes(length))
}

fn image(config: &Content, layer: &Content) -> Content {
    let describe = |media_type: &str, content: &Content| {
        let digest = Digest::of(Algorithm::Sha256, content).to_string();
        json!({ "mediaType": media_type, "digest": digest, "size": content.len() })
    };
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "config": describe("application/vnd.oci.image.config.v1+json", config),
        "layers": [describe("application/vnd.oci.image.layer.v1.tar+gzip", layer)],
    });
    Arc::from(manifest.to_string().into_bytes())
}
