//! Moving over from Debian's docker-registry and back again, on a tree of several thousand manifests.
//!
//! What must hold: all that docker-registry answered is answered alike after an adoption that was killed in the middle and run again;
//! pushes, deletions and the sweep leave its folder untouched, so that it serves everything if it is started again; and a folder
//! that is exported from us has it answer everything as we do, what was pushed to us included.

mod answers;
mod pushes;
mod tree;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use self::answers::{Answers, Content, compare};
use self::pushes::Pusher;
use self::tree::{Fingerprint, Tree, fingerprint};
use super::docker_registry::DockerRegistry;
use super::random::Random;
use super::report::Report;
use super::scratch::Scratch;
use super::server::Installation;

/// Longer than any of it takes.
const PATIENCE: Duration = Duration::from_mins(2);
/// What the database's log has when an adoption is well under way, in bytes.
const UNDER_WAY: u64 = 2 << 20;
const SIGKILL: i32 = 9;

/// One thing that is shown.
type Step = fn(&mut Moving, &mut Random) -> Result<()>;

/// Has a registry adopted and exported.
pub(crate) fn flow(program: &Path, scratch: &Scratch, seed: u64, report: &Report) {
    let mut random = Random::fork(seed, 0xAD09);
    let mut moving = None;
    report.flow("adopt", "docker-registry has thousands of manifests", || {
        moving = Some(Moving::begin(program, scratch, &mut random)?);
        Ok(())
    });
    let Some(mut moving) = moving else { return };
    let report = report.with_server_log(moving.ours.log());
    let steps: [(&str, Step); 5] = [
        ("an adoption that is killed goes on, and misses nothing", |moving, _| moving.adopt()),
        ("every answer is the same", |moving, _| moving.serve()),
        ("pushes, deletions and the sweep leave the old folder untouched", Moving::change),
        ("the old registry serves everything again", |moving, _| moving.roll_back()),
        ("what is exported is served by docker-registry as by us", |moving, _| moving.export()),
    ];
    for (what, step) in steps {
        let mut passed = false;
        report.flow("adopt", what, || {
            step(&mut moving, &mut random)?;
            passed = true;
            Ok(())
        });
        // Each goes on from the one before.
        if !passed {
            return;
        }
    }
}

/// A move, and how far it is.
struct Moving {
    folder: PathBuf,
    old: PathBuf,
    ours: Installation,
    content: Content,
    /// What the old registry answered.
    answers: Answers,
    /// What its folder was.
    fingerprint: Fingerprint,
    /// A manifest that was pushed to it by a client.
    pushed: String,
}

impl Moving {
    fn begin(program: &Path, scratch: &Scratch, random: &mut Random) -> Result<Self> {
        let folder = scratch.folder("adopt")?;
        let old = folder.join("old");
        let mut content = Content::default();
        let peer = DockerRegistry::start(&scratch.folder("adopt/pushes")?, &old)?;
        let pushed = Pusher { registry: &peer.registry, content: &mut content }.push("real/images", random)?;
        peer.stop()?;
        Tree::fill(&old, &mut content, random)?;
        let answers = Self::answers_of_peer(&scratch.folder("adopt/before")?, &old, &content)?;
        println!(
            "adopt: {} repositories, {} manifests, {} tags, {} answers",
            content.repositories(),
            content.manifests(),
            content.tags(),
            answers.len()
        );
        // The second link of content by sha512 is one that no manifest refers to.
        let ours =
            Installation::new(program, scratch.folder("adopt/ours")?).with_variable("CARGOHOLD__SWEEP__GRACE", "5s");
        let fingerprint = fingerprint(&old)?;
        Ok(Self { folder, old, ours, content, answers, fingerprint, pushed })
    }

    fn answers_of_peer(folder: &Path, data: &Path, content: &Content) -> Result<Answers> {
        let peer = DockerRegistry::start(folder, data)?;
        let answers = content.ask(&peer.registry)?;
        peer.stop()?;
        Ok(answers)
    }

    fn adopt(&mut self) -> Result<()> {
        let old = self.old.display().to_string();
        let mut adopting = self.ours.begin(&["adopt", &old])?;
        let log = self.ours.data().join("cargohold.db-wal");
        let begun = || fs::metadata(&log).is_ok_and(|log| log.len() > UNDER_WAY).then_some(());
        adopting.wait_until(PATIENCE, begun)?;
        let killed = adopting.kill()?;
        ensure!(killed.signal() == Some(SIGKILL), "the adoption was over when it was killed: {killed}");
        let begun = Instant::now();
        let told: Value = serde_json::from_str(&self.ours.command(&["adopt", "--json", &old])?)?;
        println!("adopt: {told} in {:.1} s", begun.elapsed().as_secs_f64());
        let [known, new] = ["all", "new"].map(|which| told["manifests"][which].as_u64().unwrap_or_default());
        ensure!(known == self.content.manifests() as u64, "{known} manifests were adopted");
        ensure!(0 < new && new < known, "{new} of {known} manifests were new after the kill");
        ensure!(told["tags"]["all"] == self.content.tags(), "{} tags were adopted", told["tags"]["all"]);
        let begun = Instant::now();
        let again: Value = serde_json::from_str(&self.ours.command(&["adopt", "--json", &old])?)?;
        println!("adopt: once more in {:.1} s", begun.elapsed().as_secs_f64());
        for what in ["repositories", "manifests", "tags", "blobs"] {
            ensure!(again[what]["new"] == 0 && again[what]["all"] == told[what]["all"], "{what}: {told}, then {again}");
        }
        Ok(())
    }

    fn serve(&mut self) -> Result<()> {
        let mut server = self.ours.start()?;
        let answers = self.content.ask(&server.registry)?;
        server.stop()?;
        compare(&self.answers, &answers)?;
        self.is_untouched()
    }

    fn change(&mut self, random: &mut Random) -> Result<()> {
        let eager = self.ours.clone().with_variable("CARGOHOLD__SWEEP__WINDOW", "0s");
        let eager =
            eager.with_variable("CARGOHOLD__SWEEP__KEEP", "0s").with_variable("CARGOHOLD__SWEEP__INTERVAL", "20ms");
        let mut server = eager.start()?;
        let mut pusher = Pusher { registry: &server.registry, content: &mut self.content };
        pusher.push("new/images", random)?;
        // What is there already, another of the same name, and what is nested in it.
        pusher.push("real/images", random)?;
        pusher.push("real/images/nested", random)?;
        pusher.delete("bulk/r0", "manifests/latest")?;
        pusher.delete("bulk/r1", "manifests/v1.0")?;
        pusher.delete("real/images", &format!("manifests/{}", self.pushed))?;
        let begun = Instant::now();
        loop {
            let status: Value = serde_json::from_str(&eager.command(&["sweep", "status", "--json"])?)?;
            if status["candidates"]["count"] == 0 && status["discarded"]["count"] == 0 {
                break;
            }
            ensure!(begun.elapsed() < PATIENCE, "the sweep does not come to an end: {status}");
            std::thread::sleep(Duration::from_millis(100));
        }
        server.stop()?;
        eager.command(&["fsck", "--repair"])?;
        self.is_untouched()
    }

    fn is_untouched(&self) -> Result<()> {
        let now = fingerprint(&self.old)?;
        let changed = self.fingerprint.iter().find(|(path, was)| now.get(*path) != Some(*was));
        ensure!(changed.is_none(), "{changed:?} was changed");
        ensure!(now.len() == self.fingerprint.len(), "the old folder has more in it than it had");
        Ok(())
    }

    fn roll_back(&mut self) -> Result<()> {
        let copy: Content = self.content.clone();
        let folder = self.folder.join("again");
        fs::create_dir_all(&folder)?;
        let answers = Self::answers_of_peer(&folder, &self.old, &copy)?;
        // What was pushed to us since it does not have.
        let before: Answers = answers.into_iter().filter(|(path, _)| self.answers.contains_key(path)).collect();
        compare(&self.answers, &before)
    }

    fn export(&mut self) -> Result<()> {
        let mut server = self.ours.start()?;
        let expected = self.content.ask(&server.registry)?;
        let to = self.folder.join("exported");
        let begun = Instant::now();
        let told = self.ours.command(&["export", "--json", &to.display().to_string()])?;
        println!("adopt: exported {told} in {:.1} s", begun.elapsed().as_secs_f64());
        server.stop()?;
        let folder = self.folder.join("export-served");
        fs::create_dir_all(&folder)?;
        let answers = Self::answers_of_peer(&folder, &to, &self.content).context("docker-registry on the export")?;
        compare(&expected, &answers)?;
        self.is_untouched()
    }
}
