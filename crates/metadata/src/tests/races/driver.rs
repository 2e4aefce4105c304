//! Stops transactions and lets them go on.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, task::JoinHandle};

use super::{Act, Facts, Outcome, Scene, reset, snapshot};
use crate::postgres::steps::Steps;

/// Where a transaction is stopped, once.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stop {
    /// Before the statement of that number, counted from 0.
    Before(usize),
    Commit,
    Nowhere,
}

/// Where a transaction is stopped, and how far it came.
pub(super) struct Script {
    stop: Stop,
    stopped: AtomicBool,
    reached: Mutex<Vec<&'static str>>,
    go_on: Notify,
}

impl Script {
    pub(super) fn running() -> Arc<Self> {
        Self::new(Stop::Nowhere)
    }

    pub(super) fn new(stop: Stop) -> Arc<Self> {
        Arc::new(Self { stop, stopped: AtomicBool::new(false), reached: Mutex::default(), go_on: Notify::new() })
    }

    pub(super) fn reached_so_far(&self) -> usize {
        self.reached.lock().unwrap().len()
    }

    pub(super) async fn until_it_stops(&self) {
        while !self.is_at_its_stop() {
            look_again().await;
        }
    }

    pub(super) fn go_on(&self) {
        self.go_on.notify_one();
    }

    fn is_at_its_stop(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// What it reached last.
    fn last(&self) -> &'static str {
        let name = self.reached.lock().unwrap().last().copied().unwrap_or("its begin");
        name.rsplit("::").next().unwrap_or(name)
    }
}

impl Steps for Script {
    fn reached(&self, statement: &'static str) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let place = {
            let mut reached = self.reached.lock().unwrap();
            reached.push(statement);
            reached.len() - 1
        };
        let here = match self.stop {
            Stop::Before(stop) => stop == place,
            Stop::Commit => statement == "commit",
            Stop::Nowhere => false,
        };
        Box::pin(async move {
            if here && !self.stopped.swap(true, Ordering::SeqCst) {
                self.go_on.notified().await;
            }
        })
    }
}

/// Runs the first until its stop, the second until its stop or as far as it gets, the first again, and both to their ends.
pub(super) async fn interleave(facts: &Facts, scene: Scene<'_>, stops: [Stop; 2]) -> (Outcome, String) {
    reset(facts);
    let [first, second] = scene(facts).await;
    let scripts = stops.map(Script::new);
    let mut first = start(facts, &first, &scripts[0]);
    let first_came_to = until_it_stands(facts, &mut first, &scripts[0]).await;
    let first_at = scripts[0].last();
    let mut second = start(facts, &second, &scripts[1]);
    let second_came_to = until_it_stands(facts, &mut second, &scripts[1]).await;
    let second_at = scripts[1].last();
    scripts[0].go_on.notify_one();
    let then = until_it_ends_or_waits(facts, &mut first).await;
    scripts[1].go_on.notify_one();
    let answers = [first.await.unwrap(), second.await.unwrap()];
    let told = format!(
        "the first {first_came_to} at {first_at}, the second {second_came_to} at {second_at}, then the first {then}"
    );
    (Outcome { answers, facts: snapshot::take(facts) }, told)
}

fn start(facts: &Facts, act: &Act, script: &Arc<Script>) -> JoinHandle<String> {
    tokio::spawn(act.0(facts.metadata.clone(), Arc::clone(script)))
}

async fn until_it_stands(facts: &Facts, task: &mut JoinHandle<String>, script: &Script) -> &'static str {
    loop {
        look_again().await;
        if task.is_finished() {
            return "ends";
        }
        if script.is_at_its_stop() {
            return "stops";
        }
        if facts.database.is_blocked() {
            return "waits";
        }
    }
}

async fn until_it_ends_or_waits(facts: &Facts, task: &mut JoinHandle<String>) -> &'static str {
    loop {
        look_again().await;
        if task.is_finished() {
            return "ends";
        }
        if facts.database.is_blocked() {
            return "waits";
        }
    }
}

/// What the server knows is asked for again and again: nobody tells when a lock begins to be waited for.
async fn look_again() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}
