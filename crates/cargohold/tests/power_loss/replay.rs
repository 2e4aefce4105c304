//! The states that a power loss can leave behind, from a recording: at each moment, with each commit that had happened, and with
//! whatever may survive of what was not synced.

use std::{
    collections::{HashMap, hash_map::Entry as Slot},
    hash::{DefaultHasher, Hash, Hasher},
    path::Path,
    sync::Arc,
};

use crate::{
    commits,
    disk::{Change, Disk, Kind, Survival, Tree},
    inspection::{self, Facts},
    random::Random,
    recording::{Event, FileSystem, Recording},
    world::{Promises, World},
};

/// What a power loss left, and when it came.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// How many moments had passed.
    passed: usize,
    survival: Survival,
    tree: Arc<Tree>,
    /// Where in the database's log the last commit ends.
    commit: usize,
    /// The number of the last request that was answered, and of the last that was sent.
    sure: usize,
    maybe: usize,
}

/// Tells states apart, and nothing else.
pub(crate) type Fingerprint = (u64, usize, usize, usize);

impl Recording {
    /// Every state of the extremes and of `selections` more at each moment, each once.
    pub(crate) fn states(&self, seed: u64, selections: u64) -> Vec<State> {
        let selection = |number| Survival::Some(Random::part(seed, number));
        let mut strictest: HashMap<(u64, usize), State> = HashMap::new();
        for state in self.each_state(None, |passed| {
            let numbers = (0..selections).map(|number| number + selections * passed as u64);
            Survival::EXTREMES.into_iter().chain(numbers.map(selection)).collect()
        }) {
            match strictest.entry((state.tree_hash(), state.commit)) {
                Slot::Vacant(slot) => drop(slot.insert(state)),
                // The same disk promises most when nothing is under way, and more the later it is.
                Slot::Occupied(mut slot) if !state.is_under_way() || slot.get().is_under_way() => {
                    slot.insert(state);
                }
                Slot::Occupied(_) => {}
            }
        }
        let mut states: Vec<State> = strictest.into_values().collect();
        states.sort_by_key(|state| (state.passed, state.commit, state.tree_hash()));
        states
    }

    /// The states that are others if a sync does nothing, those first that have the most to lose.
    pub(crate) fn states_without(&self, sync: usize) -> Vec<State> {
        let extremes = |_| vec![Survival::Nothing, Survival::Names, Survival::Data];
        let with: Vec<State> = self.each_state(None, extremes);
        let without: Vec<State> = self.each_state(Some(sync), extremes);
        let others = with.into_iter().zip(without).filter(|(with, without)| with.tree != without.tree);
        let mut others: Vec<State> = others.map(|(_, without)| without).collect();
        others.sort_by_key(|state| (state.is_under_way(), state.passed));
        others
    }

    /// The numbers of the moments that are syncs, and what each is for. Whoever syncs behind a removal does so for that: it may
    /// happen while something is asked for.
    pub(crate) fn syncs(&self) -> Vec<(usize, String)> {
        let links = if self.file_system == FileSystem::WithoutRename { " (with links)" } else { "" };
        let (mut asked, mut removed) = ("nothing", false);
        let mut syncs = Vec::new();
        for (number, moment) in self.moments.iter().enumerate() {
            let change = match &moment.event {
                Event::Change(change) => change,
                Event::Asked(request) => {
                    asked = &self.asked[*request];
                    continue;
                }
                Event::Started => {
                    (asked, removed) = ("start", false);
                    continue;
                }
                Event::Answered(_) => continue,
            };
            let occasion = if removed { "removal" } else { asked };
            removed = matches!(change.kind, Kind::Remove);
            let what = match change.kind {
                Kind::SyncData => "bytes of",
                Kind::SyncFolder => "names in",
                _ => continue,
            };
            syncs.push((number, format!("{occasion}{links}: the {what} {}", place(&change.path))));
        }
        syncs
    }

    /// Checks one state; what is broken in it otherwise.
    pub(crate) fn inspect(&self, state: &State) -> Result<(), String> {
        let mut all = World::default();
        self.worlds.iter().for_each(|world| all.add(world));
        let (sure, maybe) = (self.worlds[state.sure].clone(), self.worlds[state.maybe].clone());
        let promises = Promises { sure, maybe, all: Arc::new(all) };
        let facts = Facts { database: &self.database, log: &self.log[..state.commit] };
        inspection::inspect(&state.tree, facts, &promises)
    }

    /// When it was and what was left, for people.
    pub(crate) fn describe(&self, state: &State) -> String {
        let (name, survival) = (&self.name, &state.survival);
        let mut lines = format!("{name}: power lost after moment {}, left is {survival:?}\n", state.passed);
        // What went wrong may have begun long before.
        for number in 0..state.passed {
            lines = format!("{lines}    {}\n", self.line(number));
        }
        for (path, entry) in state.tree.iter() {
            if let crate::disk::Entry::File(_, bytes) = entry {
                lines = format!("{lines}  there is {}, {} bytes\n", path.display(), bytes.len());
            }
        }
        lines
    }

    fn line(&self, number: usize) -> String {
        let told = match &self.moments[number].event {
            Event::Change(Change { path, kind: Kind::Write { bytes, offset } }) => {
                format!("write {} bytes at {offset} to {}", bytes.len(), path.display())
            }
            Event::Change(Change { path, kind }) => format!("{kind:?} {}", path.display()),
            Event::Asked(request) => format!("asked: {}", self.asked[*request]),
            Event::Answered(request) => format!("answered: {}", self.asked[*request]),
            Event::Started => "a process starts".to_owned(),
        };
        format!("{number} {told}")
    }

    fn each_state(&self, without: Option<usize>, survivals: impl Fn(usize) -> Vec<Survival>) -> Vec<State> {
        let ends = commits::ends(&self.log);
        let mut disk = Disk::new();
        let (mut sure, mut maybe) = (0, 0);
        let mut states = Vec::new();
        for passed in 0..=self.moments.len() {
            if let Some(last) = passed.checked_sub(1) {
                match &self.moments[last].event {
                    Event::Change(change) if without != Some(last) => disk.apply(change),
                    Event::Change(_) | Event::Started => {}
                    Event::Asked(request) => maybe = *request,
                    Event::Answered(request) => sure = *request,
                }
            }
            let commits = self.commits(&ends, passed);
            for survival in survivals(passed) {
                let tree = Arc::new(disk.lose_power(survival.clone()));
                let state =
                    |commit| State { passed, survival: survival.clone(), tree: tree.clone(), commit, sure, maybe };
                states.extend(commits.iter().map(|commit| state(*commit)));
            }
        }
        states
    }

    /// Where the log may end once so many moments have passed: at the last commit before, or at one before the next moment.
    fn commits(&self, ends: &[usize], passed: usize) -> Vec<usize> {
        let before = passed.checked_sub(1).map_or(0, |last| self.moments[last].log).max(self.first_log);
        let next = self.moments.get(passed).map_or(self.log.len(), |next| next.log).max(before);
        let first = ends.partition_point(|end| *end <= before) - 1;
        ends[first..].iter().copied().take_while(|end| *end <= next).collect()
    }
}

impl State {
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        (self.tree_hash(), self.commit, self.sure, self.maybe)
    }

    fn tree_hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.tree.hash(&mut hasher);
        hasher.finish()
    }

    fn is_under_way(&self) -> bool {
        self.sure != self.maybe
    }
}

/// What a path is, whichever upload and blob it belongs to.
fn place(path: &Path) -> String {
    let parts: Vec<&str> = path.iter().map(|part| part.to_str().unwrap()).collect();
    match &parts[1.min(parts.len())..] {
        [] if parts.is_empty() => "the folder above the data folder".to_owned(),
        [] => "the data folder".to_owned(),
        ["cargohold-store.new"] => "the marker".to_owned(),
        ["uploads", _] => "the staged file".to_owned(),
        ["docker", "registry", "v2", "blobs", _] => "the folder of an algorithm".to_owned(),
        ["docker", "registry", "v2", "blobs", _, _] => "the folder of a prefix".to_owned(),
        ["docker", "registry", "v2", "blobs", _, _, _] => "the folder of a blob".to_owned(),
        other => other.join("/"),
    }
}
