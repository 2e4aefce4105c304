//! The transactions against a real database, in a small vocabulary: a fact is a few lines.

mod deletions;
mod manifests;
mod schema;
mod sharing;
mod sweep;
mod undelete;
mod uploads;

use std::{sync::atomic::AtomicU64, sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use cargohold_oci::{Algorithm, Digest, RepositoryName, Role, Tag, UploadId};

use crate::{
    ClaimKey, EnsureStore, FinishUpload, Finished, Grace, Metadata, PutManifest, ReferencedContent, StartUpload,
    StoreId, Timestamp,
};

const HOUR: Duration = Duration::from_hours(1);

/// A database of its own in a folder of its own, with one store and a clock that stands still.
struct Facts {
    metadata: Metadata,
    store: StoreId,
    folder: tempfile::TempDir,
    uploads: AtomicU64,
}

impl Facts {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let metadata = Metadata::open(&folder.path().join("facts.db"), now()).unwrap();
        let store = metadata.run(EnsureStore { kind: "filesystem", location: ".".to_owned() }).await.unwrap().id;
        Self { metadata, store, folder, uploads: AtomicU64::new(0) }
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
        (upload, self.metadata.run(start).await.unwrap())
    }

    /// A whole upload: what a push of a blob does here.
    async fn push_blob(&self, repository: &str, content: &str) -> Digest {
        let (upload, epoch) = self.start(repository).await;
        let claim = ClaimKey { upload, epoch, keys: vec![key(content), format!("{}-{upload}", key(content))] };
        self.metadata.run(claim).await.unwrap().unwrap();
        let finished = self.metadata.run(finish(upload, epoch, content)).await.unwrap();
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
        self.metadata.run(put).await.unwrap().map(|_absent| digest(content))
    }

    async fn tags(&self, repository: &str) -> Vec<String> {
        let tags = self.metadata.tags(&name(repository), "", 100).await.unwrap();
        tags.iter().map(|tag| tag.as_str().to_owned()).collect()
    }

    /// What a query for people says, a line for each row.
    fn ask(&self, sql: &str) -> Vec<String> {
        let connection = rusqlite::Connection::open(self.folder.path().join("facts.db")).unwrap();
        let mut statement = connection.prepare(sql).unwrap();
        let columns = statement.column_count();
        let row = |row: &rusqlite::Row<'_>| {
            let values: Vec<_> = (0..columns).map(|column| text(row.get_ref(column).unwrap())).collect();
            Ok(values.join(" "))
        };
        statement.query_map([], row).unwrap().map(Result::unwrap).collect()
    }
}

fn text(value: rusqlite::types::ValueRef<'_>) -> String {
    match value {
        rusqlite::types::ValueRef::Null => "-".to_owned(),
        rusqlite::types::ValueRef::Integer(integer) => integer.to_string(),
        value => value.as_str().unwrap().to_owned(),
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

fn finish(upload: UploadId, epoch: crate::Epoch, content: &str) -> FinishUpload {
    let size = content.len() as u64;
    FinishUpload { upload, epoch, digest: digest(content), size, winner: None, grace: grace() }
}

fn now() -> Timestamp {
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
