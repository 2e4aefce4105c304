//! The transactions against a real database, in a small vocabulary: a fact is a few lines.
//!
//! The database is SQLite; where `CARGOHOLD_TEST_POSTGRES` has the address of a PostgreSQL database, all of them run there.

mod adopt;
mod database;
mod deletions;
mod deliveries;
mod manifests;
mod races;
mod schema;
mod settings;
mod sharing;
mod sweep;
mod undelete;
mod uploads;

use std::{
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use cargohold_oci::{Algorithm, Digest, RepositoryName, Role, Tag, UploadId};

use self::database::Database;
use crate::{
    ClaimKey, EnsureStore, FinishUpload, Finished, Grace, Metadata, PutManifest, ReferencedContent, Seen, StartUpload,
    StoreId, Timestamp, Transaction,
};

const HOUR: Duration = Duration::from_hours(1);

/// A database of its own, with one store and a clock that stands still.
struct Facts {
    metadata: Metadata,
    store: StoreId,
    database: Database,
    uploads: AtomicU64,
}

impl Facts {
    async fn new() -> Self {
        Self::of(Database::new()).await
    }

    /// On SQLite, whatever the tests run on.
    async fn in_a_file() -> Self {
        Self::of(Database::file()).await
    }

    async fn of(database: Database) -> Self {
        let metadata = database.open().await.unwrap();
        let store = metadata
            .run(EnsureStore { kind: "filesystem", location: ".".to_owned(), random: 7 << 30 })
            .await
            .unwrap()
            .id;
        Self { metadata, store, database, uploads: AtomicU64::new(0) }
    }

    /// A test awaits many of these: boxed, so that each is not compiled into every test.
    fn run<T: Transaction>(&self, transaction: T) -> Pin<Box<dyn Future<Output = T::Output> + Send + '_>> {
        Box::pin(async { self.metadata.run(transaction).await.unwrap() })
    }

    async fn start(&self, repository: &str) -> (UploadId, crate::Epoch) {
        let number = self.uploads.fetch_add(1, Ordering::Relaxed);
        let upload = UploadId::parse(&format!("00000000-0000-0000-0000-{number:012}")).unwrap();
        let start = StartUpload {
            repository: name(repository),
            upload,
            store: self.store,
            key: format!("uploads/{upload}"),
            hash_state: vec![1],
            grace: grace(),
        };
        (upload, self.run(start).await)
    }

    /// A whole upload: what a push of a blob does here.
    async fn push_blob(&self, repository: &str, content: &str) -> Digest {
        let (upload, epoch) = self.start(repository).await;
        let claim = ClaimKey {
            seen: seen(upload, epoch),
            keys: vec![key(content), format!("{}-{upload}", key(content))],
            now: now(),
        };
        let claimed = self.run(claim).await.unwrap();
        let finished = self.run(finish(upload, claimed.epoch, content)).await;
        assert!(matches!(finished, Finished::Live | Finished::Discarded), "{finished:?}");
        digest(content)
    }

    async fn put(
        &self,
        repository: &str,
        content: &str,
        references: &[(Role, Digest)],
        tags: &[&str],
    ) -> Result<Digest, Vec<Digest>> {
        let put = manifest(repository, content, references, tags);
        self.run(put).await.map(|_absent| digest(content))
    }

    async fn tags(&self, repository: &str) -> Vec<String> {
        let tags = self.metadata.tags(&name(repository), "", 100).await.unwrap();
        tags.iter().map(|tag| tag.as_str().to_owned()).collect()
    }

    /// What a query for people says, a line for each row.
    fn ask(&self, sql: &str) -> Vec<String> {
        self.database.ask(sql)
    }
}

fn manifest(repository: &str, content: &str, references: &[(Role, Digest)], tags: &[&str]) -> PutManifest {
    let references = references.iter().map(|(role, digest)| ReferencedContent {
        role: *role,
        digest: *digest,
        may_be_absent: false,
    });
    PutManifest {
        repository: name(repository),
        digest: digest(content),
        bytes: Bytes::copy_from_slice(content.as_bytes()),
        media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
        artifact_type: None,
        subject: None,
        total_size: 7,
        references: references.collect(),
        tags: tags.iter().map(|tag| Tag::parse(tag).unwrap()).collect(),
        now: now(),
    }
}

/// A session to which nothing came.
const fn seen(upload: UploadId, epoch: crate::Epoch) -> Seen {
    Seen { upload, epoch, received: 0 }
}

fn finish(upload: UploadId, epoch: crate::Epoch, content: &str) -> FinishUpload {
    let size = content.len() as u64;
    FinishUpload { seen: seen(upload, epoch), digest: digest(content), size, winner: None, grace: grace() }
}

const fn now() -> Timestamp {
    Timestamp::from_micros(1_000_000)
}

fn grace() -> Grace {
    Grace { now: now(), until: now().plus(HOUR) }
}

fn name(text: &str) -> RepositoryName {
    RepositoryName::parse(text).unwrap()
}

fn digest(content: &str) -> Digest {
    Digest::of(Algorithm::Sha256, content.as_bytes())
}

fn key(content: &str) -> String {
    format!("blobs/{content}")
}
