//! What there must be, what there may be, and what must not be there: the registers of all blobs, manifests and tags, and the rules
//! by which the sweep may change them.
//!
//! A blob that a manifest of its repository refers to is there as long as that manifest is. One that none refers to is there until it
//! is deleted, or until the sweep may have taken it: from the first start on whose time of grace is short.

use std::collections::{BTreeMap, BTreeSet};

use super::cascade::Holdings;
use super::content::{Blob, Manifest};
use super::register::{Effect, Register, Value};

/// Something in a repository.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) repository: &'static str,
    pub(super) name: Name,
}

/// How it is called: by a digest, or by a tag.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    Blob(String),
    Manifest(String),
    Tag(String),
}

/// What must be seen of a blob or a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    There,
    Gone,
    Either,
}

#[derive(Debug, Default)]
pub(super) struct Facts {
    clock: u64,
    things: BTreeMap<Place, Thing>,
    blobs: BTreeMap<String, Blob>,
    manifests: BTreeMap<String, Manifest>,
    /// How often something was asked to be deleted in a repository.
    removals: BTreeMap<&'static str, u64>,
    /// The sweep may take blobs that nothing refers to.
    sweeping: bool,
    /// It might in the round before: also what was under way at its end.
    swept_before: bool,
}

#[derive(Debug, Default)]
struct Thing {
    register: Register,
    /// When it was last touched.
    touched: u64,
    /// A blob that the sweep may have taken since it was acknowledged.
    forsaken: bool,
}

impl Place {
    pub(super) fn blob(repository: &'static str, digest: &str) -> Self {
        Self { repository, name: Name::Blob(digest.to_owned()) }
    }

    pub(super) fn manifest(repository: &'static str, digest: &str) -> Self {
        Self { repository, name: Name::Manifest(digest.to_owned()) }
    }

    pub(super) fn tag(repository: &'static str, tag: &str) -> Self {
        Self { repository, name: Name::Tag(tag.to_owned()) }
    }
}

impl Facts {
    pub(super) fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    pub(super) fn know_blob(&mut self, blob: &Blob) {
        self.blobs.entry(blob.digest.clone()).or_insert_with(|| blob.clone());
    }

    pub(super) fn know_manifest(&mut self, manifest: &Manifest) {
        self.manifests.entry(manifest.digest.clone()).or_insert_with(|| manifest.clone());
    }

    pub(super) fn blob(&self, digest: &str) -> Option<&Blob> {
        self.blobs.get(digest)
    }

    /// A change is about to be asked for.
    pub(super) fn start(&mut self, place: &Place, effect: &Effect, now: u64) {
        if effect.is_removal() && !matches!(place.name, Name::Tag(_)) {
            *self.removals.entry(place.repository).or_default() += 1;
        }
        let thing = self.things.entry(place.clone()).or_default();
        thing.touched = now;
        thing.register.start(effect.clone(), now);
    }

    pub(super) fn acknowledge(&mut self, place: &Place, effect: &Effect, started: u64, now: u64) {
        let sweeping = self.sweeping;
        let Some(thing) = self.things.get_mut(place) else { return };
        thing.touched = now;
        thing.register.acknowledge(effect, started, now);
        if matches!(effect, Effect::Set(_)) {
            thing.forsaken = sweeping;
        }
    }

    pub(super) fn withdraw(&mut self, place: &Place, effect: &Effect, started: u64) {
        if let Some(thing) = self.things.get_mut(place) {
            thing.register.withdraw(effect, started);
        }
    }

    /// It was seen after a start, while nothing was under way.
    pub(super) fn settle(&mut self, place: &Place, observed: Value) {
        let now = self.tick();
        let sweeping = self.sweeping;
        let thing = self.things.entry(place.clone()).or_default();
        thing.register.settle(observed, now);
        thing.forsaken |= sweeping;
    }

    /// The server starts, and from now on the sweep takes blobs that nothing refers to, or leaves them alone.
    pub(super) fn begin_round(&mut self, sweeping: bool) {
        self.swept_before = self.sweeping;
        self.sweeping = sweeping;
        let held: BTreeSet<(&str, String)> = self.held_blobs();
        for (place, thing) in &mut self.things {
            if let Name::Blob(digest) = &place.name {
                let held = held.contains(&(place.repository, digest.clone()));
                thing.forsaken = sweeping || (thing.forsaken && !held);
            }
        }
    }

    /// Whether the sweep may have taken a blob that was under way when the round before ended.
    pub(super) fn may_have_swept(&self) -> bool {
        self.sweeping || self.swept_before
    }

    /// All that the place may be seen to hold, if the sweep leaves it alone.
    pub(super) fn allowed(&self, place: &Place) -> BTreeSet<Value> {
        let thing = self.things.get(place);
        thing.map_or_else(|| BTreeSet::from([None]), |thing| thing.register.allowed())
    }

    /// What the place must be seen to hold, if only one thing may be.
    pub(super) fn certain(&self, place: &Place) -> Option<Value> {
        match self.things.get(place) {
            None => Some(None),
            Some(thing) => thing.register.certain(),
        }
    }

    /// What must be seen of a blob or a manifest.
    pub(super) fn expected(&self, place: &Place) -> Expected {
        if self.is_held(place) {
            return Expected::There;
        }
        let forsaken = self.things.get(place).is_some_and(|thing| thing.forsaken);
        match self.certain(place) {
            Some(Some(_)) if forsaken && matches!(place.name, Name::Blob(_)) => Expected::Either,
            Some(Some(_)) => Expected::There,
            Some(None) => Expected::Gone,
            None => Expected::Either,
        }
    }

    /// Whether a manifest of its repository needs this blob.
    pub(super) fn is_held(&self, place: &Place) -> bool {
        let Name::Blob(digest) = &place.name else { return false };
        let mut manifests = self.manifests_of(place.repository);
        manifests.any(|manifest| manifest.blobs.iter().any(|blob| blob.digest == *digest))
    }

    /// If all of these must be there: a number that is the same as long as nobody asked to delete anything beside them.
    pub(super) fn stand(&self, places: &[Place]) -> Option<u64> {
        let all = places.iter().all(|place| self.expected(place) == Expected::There);
        let repositories: BTreeSet<&str> = places.iter().map(|place| place.repository).collect();
        let removals = repositories.iter().map(|repository| self.removals.get(repository).copied().unwrap_or_default());
        all.then(|| removals.sum::<u64>())
    }

    /// The manifests that a repository must have.
    pub(super) fn manifests_of(&self, repository: &str) -> impl Iterator<Item = &Manifest> {
        self.things.iter().filter(move |(place, _)| place.repository == repository).filter_map(|(place, thing)| {
            let Name::Manifest(digest) = &place.name else { return None };
            thing.register.certain()??;
            self.manifests.get(digest)
        })
    }

    /// What a deletion of the manifest changes, in a repository that has one pusher.
    pub(super) fn effects_of_deletion(&self, repository: &'static str, digest: &str) -> Vec<(Place, Effect)> {
        let manifests = self.manifests_of(repository).map(|manifest| (manifest.digest.as_str(), manifest)).collect();
        let named: Vec<(&str, String)> =
            self.tags_of(repository).filter_map(|(tag, thing)| Some((tag, thing.register.certain()??))).collect();
        let tags = named.iter().map(|(tag, digest)| (*tag, digest.as_str())).collect();
        let taken = Holdings { manifests, tags }.delete(digest);
        let manifests = taken.manifests.iter().map(|digest| (Place::manifest(repository, digest), Effect::Remove));
        manifests.chain(taken.tags.iter().map(|tag| (Place::tag(repository, tag), Effect::Remove))).collect()
    }

    /// What a deletion of the manifest changes, in a repository whose tags others move and whose manifests hold each other in no way.
    pub(super) fn effects_of_shared_deletion(&self, repository: &'static str, digest: &str) -> Vec<(Place, Effect)> {
        let tags = self.tags_of(repository).map(|(tag, _)| Place::tag(repository, tag));
        let tags = tags.map(|place| (place, Effect::RemoveIf(digest.to_owned())));
        std::iter::once((Place::manifest(repository, digest), Effect::Remove)).chain(tags).collect()
    }

    /// All places, the ones that were touched last at first.
    pub(super) fn places(&self) -> Vec<Place> {
        let mut places: Vec<(&Place, u64)> = self.things.iter().map(|(place, thing)| (place, thing.touched)).collect();
        places.sort_by_key(|(_, touched)| std::cmp::Reverse(*touched));
        places.into_iter().map(|(place, _)| place.clone()).collect()
    }

    fn tags_of(&self, repository: &str) -> impl Iterator<Item = (&str, &Thing)> {
        self.things.iter().filter(move |(place, _)| place.repository == repository).filter_map(|(place, thing)| {
            let Name::Tag(tag) = &place.name else { return None };
            Some((tag.as_str(), thing))
        })
    }

    fn held_blobs(&self) -> BTreeSet<(&'static str, String)> {
        let repositories: BTreeSet<&'static str> = self.things.keys().map(|place| place.repository).collect();
        let manifests = repositories
            .into_iter()
            .flat_map(|repository| self.manifests_of(repository).map(move |manifest| (repository, manifest)));
        manifests
            .flat_map(|(repository, manifest)| manifest.blobs.iter().map(move |blob| (repository, blob.digest.clone())))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::content::{Blob, Manifest};
    use super::{Effect, Expected, Facts, Place};

    const HERE: &str = "here";

    fn set(facts: &mut Facts, place: &Place, digest: &str) {
        change(facts, place, &Effect::Set(digest.to_owned()));
    }

    fn change(facts: &mut Facts, place: &Place, effect: &Effect) {
        let started = facts.tick();
        facts.start(place, effect, started);
        let now = facts.tick();
        facts.acknowledge(place, effect, started, now);
    }

    #[test]
    fn a_pushed_blob_stays_until_it_is_deleted_or_may_have_been_swept() {
        let (blob, mut facts) = (Place::blob(HERE, "b"), Facts::default());
        assert_eq!(facts.expected(&blob), Expected::Gone);
        set(&mut facts, &blob, "b");
        assert_eq!(facts.expected(&blob), Expected::There);
        facts.begin_round(true);
        assert_eq!(facts.expected(&blob), Expected::Either);
        facts.begin_round(false);
        assert_eq!(facts.expected(&blob), Expected::Either, "it may be gone since");
        set(&mut facts, &blob, "b");
        assert_eq!(facts.expected(&blob), Expected::There);
        change(&mut facts, &blob, &Effect::Remove);
        assert_eq!(facts.expected(&blob), Expected::Gone);
    }

    #[test]
    fn a_manifest_keeps_its_blobs_whatever_the_sweep_may_take() {
        let image = Manifest::image(&[Blob::new(1)], false, 1);
        let (blob, manifest) = (Place::blob(HERE, &image.blobs[0].digest), Place::manifest(HERE, &image.digest));
        let mut facts = Facts::default();
        facts.know_manifest(&image);
        facts.begin_round(true);
        set(&mut facts, &blob, &image.blobs[0].digest);
        set(&mut facts, &manifest, &image.digest);
        assert_eq!(facts.expected(&blob), Expected::There);
        change(&mut facts, &manifest, &Effect::Remove);
        assert_eq!(facts.expected(&blob), Expected::Either);
    }

    #[test]
    fn what_stands_is_there_and_nobody_has_asked_to_delete_it() {
        let (blob, mut facts) = (Place::blob(HERE, "b"), Facts::default());
        assert_eq!(facts.stand(std::slice::from_ref(&blob)), None);
        set(&mut facts, &blob, "b");
        let stood = facts.stand(std::slice::from_ref(&blob));
        assert!(stood.is_some());
        change(&mut facts, &blob, &Effect::Remove);
        set(&mut facts, &blob, "b");
        assert_ne!(facts.stand(std::slice::from_ref(&blob)), stood);
    }

    #[test]
    fn a_deletion_takes_tags_along() {
        let image = Manifest::image(&[Blob::new(1)], false, 1);
        let (tag, manifest) = (Place::tag(HERE, "latest"), Place::manifest(HERE, &image.digest));
        let mut facts = Facts::default();
        facts.know_manifest(&image);
        set(&mut facts, &manifest, &image.digest);
        set(&mut facts, &tag, &image.digest);
        let effects = facts.effects_of_deletion(HERE, &image.digest);
        assert_eq!(effects, [(manifest.clone(), Effect::Remove), (tag.clone(), Effect::Remove)]);
        let effects = facts.effects_of_shared_deletion(HERE, &image.digest);
        assert_eq!(effects, [(manifest, Effect::Remove), (tag, Effect::RemoveIf(image.digest))]);
    }
}
