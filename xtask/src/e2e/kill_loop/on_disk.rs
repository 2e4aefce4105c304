//! What lies on the disk: every file is named by a row, and every row that says that bytes are there has its file, of the right length.
//!
//! The rows are read through `cargohold-metadata`, by the questions that the server asks itself: where live bytes of a digest are, for
//! every digest that was ever pushed, which sessions there are, and what is discarded. So nothing here depends on the schema.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use anyhow::{Context as _, Result, bail, ensure};
use cargohold_metadata::{Metadata, Timestamp};

use super::ledger::{Ledger, repositories};

/// Where staged and finished bytes lie, below the data folder.
const UPLOADS: &str = "uploads";
const BLOBS: &str = "docker/registry/v2/blobs";

/// Checks a data folder that no server uses.
pub(super) fn check(data: &Path, ledger: &Ledger) -> Result<()> {
    let files = files(data)?;
    let mut named: BTreeSet<String> = BTreeSet::new();
    let facts = Metadata::open(&data.join("cargohold.db"), Timestamp::from_micros(0))?;
    for blob in ledger.blobs() {
        let Some(live) = now(facts.live_object(&blob.digest.parse()?))? else { continue };
        let length = files.get(&live.key).with_context(|| format!("no file {} for a live object", live.key))?;
        ensure!(*length == live.size, "{} has {length} bytes, not the {} of its row", live.key, live.size);
        ensure!(live.size == blob.size as u64, "the row of {} says {} bytes, not {}", live.key, live.size, blob.size);
        named.insert(live.key);
    }
    let end = Timestamp::from_micros(i64::MAX);
    for discarded in now(facts.discarded(end, u16::MAX))? {
        named.extend(discarded.upload.map(|upload| format!("{UPLOADS}/{upload}")));
        named.insert(discarded.key);
    }
    for upload in now(facts.stale_uploads(end, u16::MAX))? {
        named.insert(format!("{UPLOADS}/{upload}"));
        for repository in repositories() {
            named.extend(now(facts.upload(&repository.parse()?, upload))?.map(|session| session.key));
        }
    }
    let stray: Vec<&String> = files.keys().filter(|file| !named.contains(*file)).collect();
    ensure!(stray.is_empty(), "no row names these files: {stray:?}");
    Ok(())
}

/// The place of `cargohold fsck`: asked beside the running server, after each start.
pub(super) fn fsck(data: &Path) -> Result<()> {
    // There is no such command yet; that every file has a name that some row could have can be asked at any time.
    for file in files(data)?.into_keys() {
        let name = file.rsplit('/').next().unwrap_or_default();
        let known = match file.strip_prefix(BLOBS) {
            Some(_) => name == "data" || name.strip_prefix("data-").is_some_and(is_upload_id),
            None => is_upload_id(name),
        };
        ensure!(known, "what is {file} in the data folder?");
    }
    Ok(())
}

/// All files that hold bytes, with their lengths.
fn files(data: &Path) -> Result<BTreeMap<String, u64>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![UPLOADS.to_owned(), BLOBS.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(data.join(&folder)) {
            // Folders go with their last file, also while they are looked at.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().into_string().ok().context("a file's name is not UTF-8")?;
            let path = format!("{folder}/{name}");
            match entry.metadata() {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Ok(found) if found.is_dir() => folders.push(path),
                found => drop(files.insert(path, found?.len())),
            }
        }
    }
    Ok(files)
}

fn is_upload_id(name: &str) -> bool {
    name.len() == 36 && name.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// The answer of a read, which SQLite has at once.
fn now<T>(read: impl Future<Output = Result<T, cargohold_metadata::Error>>) -> Result<T> {
    match pin!(read).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Ok(answer?),
        Poll::Pending => bail!("a read of the embedded database waits for something"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::super::content::Blob;
    use super::super::ledger::{Ledger, Request};
    use super::{check, files, fsck};

    fn write(data: &Path, file: &str, bytes: &[u8]) {
        let file = data.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
    }

    #[test]
    fn a_file_that_no_row_names_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::default();
        let ticket = ledger.begin(Request::Blob { repository: "c", blob: Blob::new(1) });
        ledger.acknowledge(ticket);
        check(folder.path(), &ledger).unwrap();
        let stray = "docker/registry/v2/blobs/sha256/aa/aabb/data";
        write(folder.path(), stray, b"bytes");
        assert_eq!(files(folder.path()).unwrap()[stray], 5);
        assert!(check(folder.path(), &ledger).unwrap_err().to_string().contains(stray));
    }

    #[test]
    fn only_names_that_rows_can_have_are_known() {
        let folder = tempfile::tempdir().unwrap();
        fsck(folder.path()).unwrap();
        write(folder.path(), "uploads/018f4c1e-0000-7000-8000-000000000000", b"");
        write(folder.path(), "docker/registry/v2/blobs/sha256/aa/aabb/data", b"");
        fsck(folder.path()).unwrap();
        write(folder.path(), "docker/registry/v2/blobs/sha256/aa/aabb/data.tmp", b"");
        assert!(fsck(folder.path()).is_err());
    }
}
