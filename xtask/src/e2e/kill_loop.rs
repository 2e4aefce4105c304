//! The kill loop: the server is killed (SIGKILL) at random moments while it is pushed to, and started again on the same data.
//!
//! What must hold after every start: all that was ever acknowledged is there byte for byte; what was under way is there whole or not
//! at all; a tag points at what it was last moved to, or at a move that was under way; an interrupted push succeeds when it is
//! repeated, and an interrupted upload goes on from where the server says that it stopped.
//!
//! The choices follow from the seed; how the threads interleave, and so what a kill hits, does not.

mod content;
mod ledger;
mod pusher;
mod recovery;
mod tag_history;
mod uploads;

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};

use self::ledger::Ledger;
use self::pusher::Pusher;
use super::random::Random;
use super::report::Report;
use super::scratch::Scratch;
use super::server::{Installation, Server};

const PUSHERS: u64 = 4;

/// A server that acknowledges nothing for so long hangs.
const PROGRESS_LIMIT: Duration = Duration::from_mins(2);

const SIGKILL: i32 = 9;

/// Kills and restarts the server `rounds` times, on a data folder of its own.
pub(crate) fn flow(program: &Path, scratch: &Scratch, rounds: u32, seed: u64, report: &Report) {
    let folder = match scratch.folder("kill-loop") {
        Ok(folder) => folder,
        Err(error) => return report.flow("kill-loop", "has a folder", || Err(error)),
    };
    let installation = Installation::new(program, folder);
    let report = report.with_server_log(installation.log());
    report.flow("kill-loop", &format!("{rounds} kills lose nothing that was acknowledged (seed {seed})"), || {
        let ledger = Ledger::default();
        for number in 0..rounds {
            round(&installation, &ledger, seed, number).map_err(|error| error.context(format!("in round {number}")))?;
        }
        let mut server = installation.start()?;
        recovery::after_restart(&server.registry, &ledger, &mut Random::fork(seed, u64::MAX))?;
        stop(&mut server)?;
        let mut server = installation.start()?;
        recovery::everything(&server.registry, &ledger)?;
        stop(&mut server)?;
        println!("kill-loop: {}", ledger.summary());
        Ok(())
    });
}

fn round(installation: &Installation, ledger: &Ledger, seed: u64, number: u32) -> Result<()> {
    let mut random = Random::fork(seed, u64::from(number) << 8);
    let mut server = installation.start()?;
    recovery::after_restart(&server.registry, ledger, &mut random)?;
    push_until_killed(&mut server, ledger, seed, number, &mut random)?;
    // A start does work too, and may be killed as well.
    while random.one_in(3) {
        let mut starting = installation.launch()?;
        thread::sleep(Duration::from_micros(random.next() % 60_000));
        starting.kill()?;
    }
    Ok(())
}

fn push_until_killed(server: &mut Server, ledger: &Ledger, seed: u64, number: u32, random: &mut Random) -> Result<()> {
    let killed = AtomicBool::new(false);
    let registry = server.registry.clone();
    let goal = ledger.acknowledged() + random.between(3, 150);
    thread::scope(|threads| {
        let pushers: Vec<_> = (0..PUSHERS)
            .map(|pusher| {
                let choices = Random::fork(seed, (u64::from(number) << 8) + 1 + pusher);
                let pusher = Pusher::new(&registry, ledger, &killed, number, choices);
                threads.spawn(move || pusher.push_until_killed())
            })
            .collect();
        let waited =
            ledger.wait_for(goal, PROGRESS_LIMIT, || pushers.iter().any(thread::ScopedJoinHandle::is_finished));
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

fn stop(server: &mut Server) -> Result<()> {
    let status = server.stop()?;
    ensure!(status.success(), "asked to stop, the server ended with {status}");
    Ok(())
}
