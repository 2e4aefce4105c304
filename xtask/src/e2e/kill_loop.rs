//! The kill loop: the server is killed (SIGKILL) at random moments while it is pushed to, deleted from and sweeps, and started again on
//! the same data.
//!
//! What must hold after every start: all that was ever acknowledged and not deleted is there byte for byte; what was deleted is gone, comes
//! back whole within its window, and never if it was purged;
//! what was under way has happened whole or not at all; a tag points at what it was last moved to, or at a move that was under way; an
//! interrupted request succeeds when it is repeated, and an interrupted upload goes on from where the server says that it stopped. A
//! blob that no manifest refers to may have been swept where its time of grace is short, which it is in some of the rounds. An endpoint
//! is told of all that was acknowledged, in order, however often the server is killed while it tells.
//!
//! The choices follow from the seed; how the threads interleave, and so what a kill hits, does not.

mod cascade;
mod content;
mod deletions;
mod endpoint;
mod facts;
mod ledger;
mod pusher;
mod pushes;
mod reads;
mod recovery;
mod register;
mod times;
mod undo;
mod uploads;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};

use self::content::{Manifest, Pool};
use self::endpoint::{Endpoint, Health};
use self::ledger::Ledger;
use self::pusher::Pusher;
use self::pushes::Client;
use self::times::Times;
use self::undo::{Doors, Undo};
use super::command::Tool;
use super::operator::Operator;
use super::random::Random;
use super::report::Report;
use super::scratch::Scratch;
use super::server::{Installation, Server};

/// As many as there are repositories that have one pusher each.
const PUSHERS: usize = ledger::OWN.len();

/// How many images each pusher has in the repository that all of them share.
const SHARED_IMAGES: usize = 5;

/// Rounds on one data folder.
const LIFE: u32 = 50;

/// A server that acknowledges nothing for so long hangs.
const PROGRESS_LIMIT: Duration = Duration::from_mins(2);

const SIGKILL: i32 = 9;

/// Kills and restarts the server `rounds` times, on data folders of its own.
pub(crate) fn flow(program: &Path, scratch: &Scratch, rounds: u32, seed: u64, report: &Report) {
    for first in (0..rounds).step_by(LIFE as usize) {
        let last = rounds.min(first + LIFE) - 1;
        let folder = match scratch.folder("kill-loop") {
            Ok(folder) => folder,
            Err(error) => return report.flow("kill-loop", "has a folder", || Err(error)),
        };
        let installation = Installation::new(program, folder.clone());
        let report = report.with_server_log(installation.log());
        let what = format!("kills {first} to {last} lose nothing that was acknowledged (seed {seed})");
        let mut passed = false;
        report.flow("kill-loop", &what, || {
            Life::new(installation, program, &folder, Random::fork(seed, u64::from(first)).next())?
                .live(first..=last)?;
            // The next one begins with an empty folder.
            if last + 1 < rounds {
                fs::remove_dir_all(&folder)?;
            }
            passed = true;
            Ok(())
        });
        if !passed {
            return;
        }
    }
}

/// One data folder, and what is known of it.
struct Life {
    installation: Installation,
    program: PathBuf,
    data: PathBuf,
    seed: u64,
    ledger: Ledger,
    pool: Pool,
    /// What each pusher puts into the shared repository.
    shared: Vec<Vec<Manifest>>,
    /// What is deleted and comes back.
    undo: Undo,
    operator: Operator,
    /// Whom the server tells.
    endpoint: Endpoint,
}

impl Life {
    fn new(installation: Installation, program: &Path, folder: &Path, seed: u64) -> Result<Self> {
        let pool = Pool::new(seed);
        let mut random = Random::fork(seed, 1);
        let shared = (0..PUSHERS).map(|_| (0..SHARED_IMAGES).map(|_| pool.new_image(&mut random)).collect()).collect();
        let data = folder.join("data");
        let endpoint = Endpoint::start(seed)?;
        Ok(Self {
            installation: endpoint.told_by(installation),
            program: program.to_owned(),
            seed,
            ledger: Ledger::default(),
            undo: Undo::new(&pool),
            pool,
            shared,
            operator: Operator::of(&data),
            data,
            endpoint,
        })
    }

    fn live(&self, rounds: std::ops::RangeInclusive<u32>) -> Result<()> {
        for number in rounds {
            let mut random = Random::fork(self.seed, u64::from(number) << 8);
            let times = Times::of_a_round(&mut random);
            self.round(number, times, &mut random).with_context(|| format!("in round {number}, {times:?}"))?;
        }
        self.end()
    }

    fn round(&self, number: u32, times: Times, random: &mut Random) -> Result<()> {
        let installation = times.set(&self.installation);
        self.ledger.begin_round(times.sweep_pushed_blobs());
        self.undo.begin_round(times.end_windows());
        let mut server = self.start(&installation)?;
        self.fsck()?;
        let registry = server.registry.clone();
        let client = Client { registry: &registry, ledger: &self.ledger, dawdle: times.dawdle() };
        client.check_and_make_good(random)?;
        self.undo.check(self.doors(&server))?;
        if random.one_in(2) {
            self.endpoint.is(Health::Shaky);
            self.endpoint.has_been_told(PROGRESS_LIMIT)?;
        }
        self.endpoint.is(if random.one_in(4) { Health::Down } else { Health::Shaky });
        self.push_until_killed(&mut server, client, number, random)?;
        // A start does work too, and may be killed as well.
        while random.one_in(3) {
            let mut starting = installation.launch()?;
            thread::sleep(Duration::from_micros(random.next() % 60_000));
            starting.kill()?;
        }
        Ok(())
    }

    fn push_until_killed(
        &self,
        server: &mut Server,
        client: Client<'_>,
        number: u32,
        random: &mut Random,
    ) -> Result<()> {
        let killed = AtomicBool::new(false);
        let goal = self.ledger.counts().acknowledged() + random.between(3, 200);
        thread::scope(|threads| {
            let pushers: Vec<_> = self
                .shared
                .iter()
                .enumerate()
                .map(|(pusher, images)| {
                    let choices = Random::fork(self.seed, (u64::from(number) << 8) + 1 + pusher as u64);
                    let pusher = Pusher::new(client, &self.pool, images, pusher, &killed, choices);
                    threads.spawn(move || pusher.push_until_killed())
                })
                .collect();
            let choices = Random::fork(self.seed, (u64::from(number) << 8) + 1 + PUSHERS as u64);
            let (doors, killed_too) = (Doors { registry: client.registry, operator: &self.operator }, &killed);
            let undo = threads.spawn(move || self.undo.go_on_until_killed(doors, killed_too, choices));
            let pushers: Vec<_> = pushers.into_iter().chain([undo]).collect();
            let given_up = || pushers.iter().any(thread::ScopedJoinHandle::is_finished);
            let waited = self.ledger.wait_for(goal, PROGRESS_LIMIT, given_up);
            // Not always right after an answer: any instruction may be the last.
            thread::sleep(Duration::from_micros(random.next() % 40_000));
            killed.store(true, Ordering::SeqCst);
            let status = server.kill();
            let pushed: Result<Vec<()>> = pushers
                .into_iter()
                .map(|pusher| pusher.join().unwrap_or_else(|_| Err(anyhow!("a pusher panicked"))))
                .collect();
            pushed?;
            ensure!(waited, "the server acknowledged nothing more for {PROGRESS_LIMIT:?}");
            let status = status?;
            ensure!(status.signal() == Some(SIGKILL), "the server ended by itself ({status})");
            Ok(())
        })
    }

    /// Looks at everything, before and behind a stop that is no kill, and at what lies on the disk then.
    fn end(&self) -> Result<()> {
        self.ledger.begin_round(false);
        self.undo.begin_round(false);
        self.endpoint.is(Health::Shaky);
        let mut server = self.start(&self.installation)?;
        self.undo.check(self.doors(&server))?;
        self.client(&server).check_and_make_good(&mut Random::fork(self.seed, u64::MAX))?;
        stop(&mut server)?;
        let mut server = self.start(&self.installation)?;
        self.fsck()?;
        self.undo.check(self.doors(&server))?;
        self.client(&server).check_everything()?;
        self.endpoint.has_been_told(PROGRESS_LIMIT)?;
        stop(&mut server)?;
        self.fsck()?;
        let (undone, told) = (self.undo.done(), self.endpoint.done());
        println!("kill-loop: {}; {undone} deleted, brought back or purged; {told}", self.ledger.counts());
        Ok(())
    }

    /// Starts the server. What it acknowledges is noted.
    fn start(&self, installation: &Installation) -> Result<Server> {
        let mut server = installation.start()?;
        server.registry = server.registry.seen_by(self.endpoint.witness());
        Ok(server)
    }

    /// Has the program itself look: every live object has its bytes, all bytes their digest, every file its row. A server may run.
    fn fsck(&self) -> Result<()> {
        let root = "CARGOHOLD__STORAGE__FILESYSTEM__ROOTDIRECTORY";
        Tool::new(&self.program).argument("fsck").argument("--json").variable(root, &self.data).run::<&str>(&[])?;
        Ok(())
    }

    fn doors<'a>(&'a self, server: &'a Server) -> Doors<'a> {
        Doors { registry: &server.registry, operator: &self.operator }
    }

    fn client<'a>(&'a self, server: &'a Server) -> Client<'a> {
        Client { registry: &server.registry, ledger: &self.ledger, dawdle: Duration::ZERO }
    }
}

fn stop(server: &mut Server) -> Result<()> {
    let status = server.stop()?;
    ensure!(status.success(), "asked to stop, the server ended with {status}");
    Ok(())
}
