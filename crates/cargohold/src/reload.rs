//! `SIGHUP`: what can be read again is, while everything goes on.

mod settings;

pub(crate) use settings::Said;

use std::sync::Arc;

use cargohold_http::{Tls, tls::Reload};
use tokio::signal::unix::{SignalKind, signal};

/// What can be read again.
pub(crate) struct Reloading {
    parts: Vec<Part>,
}

struct Part {
    name: &'static str,
    read: Box<dyn Fn() -> Result<(), String> + Send + Sync>,
}

impl Reloading {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self { parts: Vec::new() }
    }

    /// And this, which is told of by its name. `read` may block; what it says is why nothing has changed.
    pub(crate) fn and(
        mut self,
        name: &'static str,
        read: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.parts.push(Part { name, read: Box::new(read) });
        self
    }

    /// And the files of TLS, if it is spoken.
    pub(crate) fn and_tls(self, tls: Option<&Arc<Tls>>) -> Self {
        let Some(tls) = tls.cloned() else { return self };
        self.and("the TLS files", move || match tls.reload() {
            Reload::Failed(error) => Err(error.to_string()),
            Reload::Done | Reload::Unchanged => Ok(()),
        })
    }

    /// Waits for signals from now on, and does so for ever.
    pub(crate) fn on_signal(self) -> std::io::Result<impl Future<Output = ()>> {
        let mut hangups = signal(SignalKind::hangup())?;
        let parts = Arc::new(self.parts);
        Ok(async move {
            while hangups.recv().await.is_some() {
                let parts = parts.clone();
                // A panic in one of them is told by the runtime's hook, and ends nothing else.
                let _ = tokio::task::spawn_blocking(move || read_all(&parts)).await;
            }
        })
    }
}

fn read_all(parts: &[Part]) {
    let (mut done, mut kept) = (Vec::new(), Vec::new());
    for part in parts {
        match (part.read)() {
            Ok(()) => done.push(part.name),
            Err(why) => kept.push(format!("{}: {why}", part.name)),
        }
    }
    let listed = if done.is_empty() { "nothing".to_owned() } else { done.join(", ") };
    tracing::info!("told to reload: read {listed} again");
    for part in kept {
        tracing::error!("told to reload, kept as it was: {part}");
    }
}
