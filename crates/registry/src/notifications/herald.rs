//! Says what is told of a change: called within the transaction that makes it.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use cargohold_metadata::{Change, Herald, NewEvent, Notice, Telling, Told};
use cargohold_oci::RepositoryName;
use serde_json::Value;

use super::{
    Action, Live, Notifier, Origin,
    event::{self, Actor, Event, Target},
};
use crate::{Error, Registry};

/// Tells of one request.
struct Crier {
    registry: Registry,
    repository: RepositoryName,
    references: Option<Arc<Value>>,
    /// What was written down: how many events, for which endpoints.
    written: Mutex<(usize, Vec<Arc<Live>>)>,
}

impl Registry {
    /// Runs what changes a repository, and tells of it whoever wants to know.
    pub(crate) async fn change<T: Telling>(
        &self,
        repository: &RepositoryName,
        transaction: T,
    ) -> Result<T::Output, Error> {
        self.change_with(repository, || None, transaction).await
    }

    /// As [`change`](Self::change), for a manifest, whose references are told where that is wanted.
    pub(crate) async fn change_manifest<T: Telling>(
        &self,
        repository: &RepositoryName,
        manifest: &[u8],
        transaction: T,
    ) -> Result<T::Output, Error> {
        self.change_with(repository, || event::references(manifest), transaction).await
    }

    async fn change_with<T: Telling>(
        &self,
        repository: &RepositoryName,
        references: impl FnOnce() -> Option<Arc<Value>>,
        transaction: T,
    ) -> Result<T::Output, Error> {
        if !self.notifies(true) {
            return Ok(self.0.metadata.run(transaction).await?);
        }
        let include = self.notifier().is_some_and(|notifier| notifier.include_references);
        let crier = Arc::new(Crier {
            registry: self.clone(),
            repository: repository.clone(),
            references: include.then(references).flatten(),
            written: Mutex::default(),
        });
        let output = self.0.metadata.run(Told { transaction, herald: crier.clone() }).await?;
        let written = crier.written.lock().unwrap_or_else(PoisonError::into_inner);
        for live in &written.1 {
            live.grow(written.0);
        }
        Ok(output)
    }

    /// An event in JSON, and the id that receivers know it by.
    pub(super) fn event(&self, notifier: &Notifier, action: Action, target: Target, origin: &Origin) -> NewEvent {
        let (id, at) = (self.0.environment.event_id(), self.0.environment.now());
        let event = Event {
            id: &id,
            timestamp: event::time(at),
            action,
            target,
            request: origin,
            actor: Actor::of(origin),
            source: &notifier.source,
        };
        let body = serde_json::to_string(&event).expect("strings, numbers and lists are JSON");
        NewEvent { uuid: id, at, body }
    }
}

impl Herald for Crier {
    /// What commits together is of one kind: whoever wants to know of one event wants to know of all.
    fn tell(&self, changes: Vec<Change>) -> Option<Notice> {
        let notifier = self.registry.notifier()?;
        let nobody = Origin::default();
        let origin = self.registry.1.as_deref().unwrap_or(&nobody);
        let told = |change| event::of_change(change, &origin.site, &self.repository, self.references.clone());
        let told: Vec<(Action, Target)> = changes.into_iter().map(told).collect();
        let (action, target) = told.first()?;
        let media_type = target.media_type.as_deref();
        let wanted: Vec<_> =
            notifier.endpoints.iter().filter(|live| live.wants(*action, media_type)).cloned().collect();
        if wanted.is_empty() {
            return None;
        }
        let events: Vec<NewEvent> =
            told.into_iter().map(|(action, target)| self.registry.event(&notifier, action, target, origin)).collect();
        let endpoints = wanted.iter().map(|live| live.id).collect();
        *self.written.lock().unwrap_or_else(PoisonError::into_inner) = (events.len(), wanted);
        Some(Notice { endpoints, events })
    }
}

impl fmt::Debug for Crier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Crier({})", self.repository)
    }
}
