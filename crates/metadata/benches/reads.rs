//! Why reads run inline: the same index lookup on the calling thread's own connection, and through a hop to another thread.
//!
//! `cargo bench -p cargohold-metadata`

use std::sync::LazyLock;

use bytes::Bytes;
use cargohold_metadata::{Metadata, PutManifest, Timestamp};
use cargohold_oci::{Algorithm, Digest, RepositoryName, Tag};
use tokio::runtime::Runtime;

const TAGS: usize = 500;

struct Filled {
    runtime: Runtime,
    metadata: Metadata,
    repository: RepositoryName,
    tag: Tag,
    _folder: tempfile::TempDir,
}

static FILLED: LazyLock<Filled> = LazyLock::new(|| {
    let runtime = Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let now = Timestamp::from_micros(0);
    let metadata = Metadata::open(&folder.path().join("facts.db"), now).expect("a database");
    let repository = RepositoryName::parse("team/app").expect("a name");
    let tag = |number: usize| Tag::parse(&format!("v{number}")).expect("a tag");
    for number in 0..TAGS {
        let bytes = Bytes::from(format!("{{\"number\":{number}}}{}", " ".repeat(1000)));
        let put = PutManifest {
            repository: repository.clone(),
            digest: Digest::of(Algorithm::Sha256, &bytes),
            bytes,
            media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
            artifact_type: None,
            subject: None,
            total_size: 0,
            references: vec![],
            tags: vec![tag(number)],
            now,
        };
        runtime.block_on(metadata.run(put)).expect("a commit").expect("nothing is missing");
    }
    Filled { runtime, metadata, repository, tag: tag(TAGS / 2), _folder: folder }
});

fn main() {
    divan::main();
}

#[divan::bench]
fn manifest_by_tag_inline(bencher: divan::Bencher<'_, '_>) {
    let filled = &*FILLED;
    let read = || filled.metadata.manifest_by_tag(&filled.repository, &filled.tag);
    bencher.bench_local(|| filled.runtime.block_on(read()));
}

#[divan::bench]
fn manifest_by_tag_through_the_blocking_pool(bencher: divan::Bencher<'_, '_>) {
    let filled = &*FILLED;
    let read = async || {
        let (metadata, handle) = (filled.metadata.clone(), filled.runtime.handle().clone());
        let read = move || handle.block_on(metadata.manifest_by_tag(&filled.repository, &filled.tag));
        tokio::task::spawn_blocking(read).await
    };
    bencher.bench_local(|| filled.runtime.block_on(read()));
}
