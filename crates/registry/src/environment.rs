//! The clock and the randomness, passed in, so that a test can hold both.

use std::{fmt, sync::Arc};

use cargohold_metadata::Timestamp;
use cargohold_oci::UploadId;

/// Where the registry gets the time and the ids of upload sessions and events.
#[derive(Clone)]
pub struct Environment {
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    upload_ids: Arc<dyn Fn() -> UploadId + Send + Sync>,
}

impl Environment {
    /// `upload_ids` must never give the same id twice, and none that somebody could guess.
    pub fn new(
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
        upload_ids: impl Fn() -> UploadId + Send + Sync + 'static,
    ) -> Self {
        Self { clock: Arc::new(clock), upload_ids: Arc::new(upload_ids) }
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    pub(crate) fn upload_id(&self) -> UploadId {
        (self.upload_ids)()
    }

    /// Another UUID each time, as the ids of sessions are.
    pub(crate) fn event_id(&self) -> String {
        (self.upload_ids)().to_string()
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment")
    }
}
