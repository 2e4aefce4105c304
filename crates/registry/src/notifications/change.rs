//! Whom a registry tells: at its start, and what changes of that while it runs.
//!
//! An endpoint is known by its name. One that keeps its name keeps what waits for it and how it is doing, whatever else changes.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use cargohold_metadata::EnsureEndpoint;
use tokio::{
    sync::{Notify, watch},
    task::{AbortHandle, JoinSet},
};

use super::{Addressee, Live, Notifications, Notifier, Source};
use crate::{Error, Registry};

/// How long to wait after the database failed.
const RETRY: Duration = Duration::from_secs(10);

/// Who looks after which endpoint.
#[derive(Default)]
struct Keepers {
    tasks: JoinSet<()>,
    kept: Vec<(Arc<Live>, AbortHandle)>,
}

/// What became of the endpoints, for the log.
#[derive(Debug, Default)]
struct Changes {
    added: Vec<String>,
    changed: Vec<String>,
    removed: Vec<String>,
}

impl Registry {
    /// Tells endpoints of what happens from now on. `source` is what they know this process by. It is called once, before the
    /// first request.
    pub async fn set_notifications(
        &self,
        notifications: &Notifications,
        source: Source,
        random: fn() -> u64,
    ) -> Result<(), Error> {
        let none = Notifier { source, include_references: false, endpoints: Vec::new(), random };
        self.replace(&none, notifications).await.map(drop)
    }

    /// Has others be told, or the same in another way, as soon as [`notify_forever`](Self::notify_forever) comes to it.
    pub fn change_notifications(&self, notifications: Notifications) {
        self.0.notifying.wanted.send_replace(Some(notifications));
    }

    /// Delivers what there is to deliver, until dropped. Stopping it at any point is safe.
    pub async fn notify_forever(&self) {
        let mut wanted = self.0.notifying.wanted.subscribe();
        let mut keepers = Keepers::default();
        let mut undone = self.change_to(&mut wanted).await.is_err();
        loop {
            if let Some(notifier) = self.notifier() {
                keepers.keep(self, &notifier);
                let configured: Vec<_> = notifier.endpoints.iter().map(|live| live.id).collect();
                if let Err(error) = self.forget_endpoints(&configured).await {
                    tracing::error!(%error, cause = ?error, "endpoints that are not configured any more could not be forgotten; the next start or reload tries again");
                }
            }
            let retry = async { if undone { tokio::time::sleep(RETRY).await } else { std::future::pending().await } };
            tokio::select! {
                () = keepers.broke_off() => {}
                _ = wanted.changed() => {}
                () = retry => {}
            }
            undone = self.change_to(&mut wanted).await.is_err();
        }
    }

    /// Has those be told who are wanted, if somebody said so.
    async fn change_to(&self, wanted: &mut watch::Receiver<Option<Notifications>>) -> Result<(), Error> {
        let Some(wanted) = wanted.borrow_and_update().clone() else { return Ok(()) };
        let Some(before) = self.notifier() else { return Ok(()) };
        match self.replace(&before, &wanted).await {
            Ok(changes) => {
                if !changes.are_none() {
                    tracing::info!("endpoints are told of events in another way from now on: {changes}");
                }
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, cause = ?error, "the endpoints cannot be changed yet since the database failed, trying again later");
                Err(error)
            }
        }
    }

    async fn replace(&self, before: &Notifier, wanted: &Notifications) -> Result<Changes, Error> {
        let newest = self.0.metadata.newest_event().await?;
        let mut changes = Changes::default();
        let mut endpoints = Vec::new();
        for addressee in &wanted.endpoints {
            let name = addressee.endpoint.name.clone();
            let live = if let Some(live) = before.endpoints.iter().find(|live| live.name == name) {
                live.clone()
            } else {
                let id = self.0.metadata.run(EnsureEndpoint { name: name.clone() }).await?;
                changes.added.push(name.clone());
                Arc::new(Live {
                    id,
                    name,
                    newest,
                    addressee: watch::Sender::new(Arc::new(addressee.clone())),
                    work: Notify::new(),
                    grown: Notify::new(),
                    progress: Mutex::default(),
                })
            };
            endpoints.push(live);
        }
        // From here on nothing can fail.
        for (live, addressee) in endpoints.iter().zip(&wanted.endpoints) {
            if live.change(addressee) {
                changes.changed.push(live.name.clone());
            }
        }
        let removed = before.endpoints.iter().filter(|live| endpoints.iter().all(|kept| kept.name != live.name));
        changes.removed.extend(removed.map(|live| live.name.clone()));
        let notifier = Notifier {
            source: before.source.clone(),
            include_references: wanted.include_references,
            endpoints,
            random: before.random,
        };
        self.0.notifying.current.send_replace(Some(Arc::new(notifier)));
        Ok(changes)
    }
}

impl Live {
    /// Has other settings. Answers whether they are others. What was on its way is sent anew if it went elsewhere, and what held it
    /// up counts no more.
    fn change(&self, to: &Addressee) -> bool {
        let changed = self.addressee.send_if_modified(|now| {
            let is_same = now.endpoint == to.endpoint && now.is_reached_as(to);
            if !is_same {
                *now = Arc::new(to.clone());
            }
            !is_same
        });
        if changed {
            let mut progress = self.progress();
            (progress.failures, progress.next_try, progress.gone) = (0, None, false);
            drop(progress);
            self.work.notify_one();
            self.grown.notify_one();
        }
        changed
    }
}

impl Changes {
    fn are_none(&self) -> bool {
        let Self { added, changed, removed } = self;
        added.is_empty() && changed.is_empty() && removed.is_empty()
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists = [("added", &self.added), ("changed", &self.changed), ("removed", &self.removed)];
        let lists = lists.iter().filter(|(_, names)| !names.is_empty());
        let lists: Vec<_> = lists.map(|(what, names)| format!("{what} {}", names.join(", "))).collect();
        f.write_str(&lists.join("; "))
    }
}

impl Keepers {
    /// Looks after these endpoints, and after no others.
    fn keep(&mut self, registry: &Registry, notifier: &Notifier) {
        self.kept.retain(|(live, task)| {
            let stays = notifier.endpoints.iter().any(|known| Arc::ptr_eq(known, live));
            if !stays {
                task.abort();
            }
            stays
        });
        for live in &notifier.endpoints {
            if self.kept.iter().all(|(kept, _)| !Arc::ptr_eq(kept, live)) {
                let (registry, of) = (registry.clone(), live.clone());
                let task = self.tasks.spawn(async move { registry.look_after(&of).await });
                self.kept.push((live.clone(), task));
            }
        }
    }

    /// Waits until one of them breaks off, which is passed on. It never ends otherwise.
    async fn broke_off(&mut self) {
        loop {
            match self.tasks.join_next().await {
                Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }
}
