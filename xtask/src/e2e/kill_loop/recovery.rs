//! What must hold after a start, and making good what the kill interrupted.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail, ensure};
use ureq::http::Method;

use super::content::Manifest;
use super::facts::{Expected, Name, Place};
use super::ledger::{Change, Interrupted, OWN, Request, SHARED, Session, repositories};
use super::pushes::{Client, Cut};
use super::uploads;
use crate::e2e::random::Random;

/// How many places are looked at after one start: the ones that were touched last, and others at random.
const NEWEST: usize = 150;
const OLDER: usize = 60;

impl Client<'_> {
    /// Checks what was interrupted, the newest facts, a sample of the older ones and all lists; then repeats or resumes what was
    /// interrupted.
    pub(super) fn check_and_make_good(&self, random: &mut Random) -> Result<()> {
        let interrupted = self.ledger.take_interrupted();
        for one in &interrupted {
            self.is_whole_or_absent(one)?;
        }
        let places = self.ledger.places();
        self.check(&sample(&places, random))?;
        self.lists_name_what_is_there()?;
        for one in interrupted {
            let what = format!("{:?}", one.request);
            self.make_good(one.request, random).with_context(|| format!("while this was repeated: {what:.300}"))?;
        }
        self.lists_name_what_is_there()
    }

    /// Checks every fact.
    pub(super) fn check_everything(&self) -> Result<()> {
        self.check(&self.ledger.places().iter().collect::<Vec<_>>())?;
        self.lists_name_what_is_there()
    }

    /// What was under way has happened to all that it was to change, or to nothing; each place holds what it may.
    fn is_whole_or_absent(&self, interrupted: &Interrupted) -> Result<()> {
        let (mut happened, mut not) = (Vec::new(), Vec::new());
        for Change { place, effect, before, .. } in &interrupted.changes {
            let observed = self.observe(place)?;
            let allowed = self.ledger.allowed(place);
            // The sweep may have taken a blob since.
            let swept = observed.is_none() && self.ledger.expected(place) != Expected::There && is_blob(place);
            ensure!(
                swept || allowed.contains(&observed),
                "LOST: {place:?} holds {observed:?} after {:?} was interrupted; it may hold {allowed:?}",
                interrupted.request
            );
            // Where others write as well, what is there now does not tell.
            if let (Some(before), true) = (before, place.repository != SHARED && !is_blob(place)) {
                let after = effect.applied_to(before);
                if after != *before {
                    if observed == after { happened.push(place) } else { not.push(place) }
                }
            }
            self.ledger.settle(place, observed);
        }
        ensure!(
            happened.is_empty() || not.is_empty(),
            "HALF-MADE: {:?} was interrupted; it changed {happened:?}, but not {not:?}",
            interrupted.request
        );
        if !happened.is_empty() {
            self.ledger.count(|counts| counts.completed += 1);
        }
        Ok(())
    }

    fn check(&self, places: &[&Place]) -> Result<()> {
        let mut read: BTreeSet<Place> = BTreeSet::new();
        let manifests: Vec<(&'static str, Manifest)> = repositories()
            .flat_map(|repository| self.ledger.manifests_of(repository).into_iter().map(move |one| (repository, one)))
            .collect();
        for place in places {
            match &place.name {
                Name::Tag(_) => {}
                Name::Blob(_) if read.contains(*place) => {}
                Name::Blob(digest) => {
                    self.check_blob(place, digest)?;
                    read.insert((*place).clone());
                }
                Name::Manifest(digest) => {
                    let found = manifests
                        .iter()
                        .find(|(repository, one)| *repository == place.repository && one.digest == *digest);
                    let Some((repository, manifest)) = found else {
                        self.is_gone(place)?;
                        continue;
                    };
                    self.manifest_is_there(repository, manifest)?;
                    for blob in &manifest.blobs {
                        if read.insert(Place::blob(repository, &blob.digest)) {
                            self.blob_is_there(repository, blob)
                                .with_context(|| format!("the manifest {digest} of {repository} refers to it"))?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn check_blob(&self, place: &Place, digest: &str) -> Result<()> {
        match self.ledger.expected(place) {
            Expected::There => {
                let blob = self.ledger.blob(digest).context("a blob that was never pushed must be there")?;
                self.blob_is_there(place.repository, &blob)
            }
            Expected::Gone => self.is_gone(place),
            Expected::Either => {
                if self.observe(place)?.is_none() {
                    self.ledger.settle(place, None);
                    self.ledger.count(|counts| counts.swept += 1);
                }
                Ok(())
            }
        }
    }

    fn is_gone(&self, place: &Place) -> Result<()> {
        let observed = self.observe(place)?;
        ensure!(observed.is_none(), "BACK: {place:?} is there, though it was deleted or never finished");
        Ok(())
    }

    /// Each tag points at something that it may point at; the lists name exactly the tags that point at something, and the referrers
    /// that are there.
    fn lists_name_what_is_there(&self) -> Result<()> {
        let mut seen: Vec<Place> = Vec::new();
        for place in self.ledger.places().into_iter().filter(|place| matches!(place.name, Name::Tag(_))) {
            let observed = self.observe(&place)?;
            let allowed = self.ledger.allowed(&place);
            if !allowed.contains(&observed) {
                bail!("LOST: the tag {place:?} points at {observed:?}; it may point at {allowed:?}");
            }
            let there = observed.is_some();
            self.ledger.settle(&place, observed);
            if there {
                seen.push(place);
            }
        }
        for repository in repositories() {
            let listed: BTreeSet<Place> =
                self.registry.tags(repository)?.iter().map(|tag| Place::tag(repository, tag)).collect();
            let there: BTreeSet<Place> = seen.iter().filter(|place| place.repository == repository).cloned().collect();
            ensure!(listed == there, "{repository} lists the tags {listed:?}, but has {there:?}");
        }
        OWN.into_iter().try_for_each(|repository| self.referrers_are_listed(repository))
    }

    fn referrers_are_listed(&self, repository: &'static str) -> Result<()> {
        let manifests = self.ledger.manifests_of(repository);
        let subjects: BTreeSet<&String> = manifests.iter().filter_map(|manifest| manifest.subject.as_ref()).collect();
        for subject in subjects {
            let path = self.registry.path(repository, &format!("referrers/{subject}"));
            let answer = self.registry.send(&Method::GET, &path, &[], None)?.expect(200, "200")?;
            let index: serde_json::Value = serde_json::from_slice(&answer.body).context("referrers are no JSON")?;
            let listed = index["manifests"].as_array().into_iter().flatten();
            let listed: BTreeSet<&str> = listed.filter_map(|one| one["digest"].as_str()).collect();
            let there = manifests.iter().filter(|manifest| manifest.subject.as_ref() == Some(subject));
            let there: BTreeSet<&str> = there.map(|manifest| manifest.digest.as_str()).collect();
            ensure!(listed == there, "{repository} lists {listed:?} as referrers of {subject}, but has {there:?}");
        }
        Ok(())
    }

    /// An interrupted request is repeated, as a client does; an interrupted session goes on instead, most of the time.
    fn make_good(&self, request: Request, random: &mut Random) -> Result<()> {
        match request {
            Request::Exists { repository, blob } => self.exists(repository, &blob).map(drop),
            Request::Blob { repository, blob } => self.push_whole(repository, &blob),
            Request::Session(session) if random.one_in(4) => {
                self.push_in_chunks(session.repository, &session.blob, &[])
            }
            Request::Session(session) => self.resume(session, random),
            Request::Manifest { repository, manifest, tag } => {
                self.push_image(repository, &manifest, tag.as_deref(), random).map(drop)
            }
            Request::DeleteBlob { repository, digest } => self.delete_blob(repository, &digest),
            Request::DeleteManifest { repository, digest } => self.delete_manifest(repository, &digest),
            Request::DeleteTag { repository, tag } => self.delete_tag(repository, &tag),
        }
    }

    fn resume(&self, session: Session, random: &mut Random) -> Result<()> {
        let (repository, size, location) = (session.repository, session.blob.size, &session.location);
        let Some(received) = uploads::status(self.registry, location)? else {
            ensure!(session.closing, "LOST: the upload session {location} of {repository}");
            let place = Place::blob(repository, &session.blob.digest);
            let gone = self.observe(&place)?.is_none();
            // Others delete in the shared repository, and the sweep where it may.
            let may_be_gone = repository == SHARED || self.ledger.may_have_swept();
            ensure!(
                !gone || may_be_gone,
                "LOST: the upload session {location} of {repository} was closed, but its blob is not there: {place:?}"
            );
            return if gone { self.push_whole(repository, &session.blob) } else { Ok(()) };
        };
        ensure!(
            (session.received..=session.sent).contains(&received),
            "the upload session {location} of {repository} has {received} bytes; {} of {size} were acknowledged, and {} sent",
            session.received,
            session.sent
        );
        let cuts: Vec<Cut> =
            if received < size && random.one_in(2) { vec![Cut { end: size, with_place: true }] } else { Vec::new() };
        let blob = session.blob.clone();
        self.go_on(Session { received, sent: received, closing: false, ..session }, &cuts)?;
        if self.ledger.expected(&Place::blob(repository, &blob.digest)) == Expected::There {
            self.blob_is_there(repository, &blob)?;
        }
        self.ledger.count(|counts| counts.resumed += 1);
        Ok(())
    }
}

/// The newest places, and older ones at random; `places` has the newest at first.
fn sample<'a>(places: &'a [Place], random: &mut Random) -> Vec<&'a Place> {
    let (newest, older) = places.split_at(places.len().min(NEWEST));
    let mut chosen: Vec<&Place> = newest.iter().collect();
    if older.len() <= OLDER {
        chosen.extend(older);
    } else {
        chosen.extend((0..OLDER).filter_map(|_| random.pick(older)));
    }
    chosen
}

fn is_blob(place: &Place) -> bool {
    matches!(place.name, Name::Blob(_))
}

#[cfg(test)]
mod tests {
    use super::{NEWEST, OLDER, Place, Random, sample};

    #[test]
    fn few_places_are_all_looked_at_and_of_many_the_newest() {
        let places = |count: usize| -> Vec<Place> { (0..count).map(|one| Place::tag("c", &one.to_string())).collect() };
        assert_eq!(sample(&places(10), &mut Random::new(1)).len(), 10);
        let places = places(5_000);
        let chosen = sample(&places, &mut Random::new(1));
        assert_eq!(chosen.len(), NEWEST + OLDER);
        assert!(places[..NEWEST].iter().all(|place| chosen.contains(&place)));
    }
}
