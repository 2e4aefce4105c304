//! Bytes that are gone from the disk though the facts say that they are there, by hand, by a broken disk, or because the disk
//! is not mounted.

use std::{
    fs::{self, File},
    path::Path,
};

use crate::{
    client::Response,
    content::{CONFIG, IMAGE, descriptor, digest, image, noise, sha512},
    registry::Registry,
    repository::Upload,
    waiting::eventually,
};

#[test]
fn a_blob_whose_bytes_are_gone_is_unknown_until_it_is_pushed_again() {
    let registry = Registry::start();
    let repository = registry.repository();
    let blob = repository.push_blob("lost and found");
    fs::remove_file(&registry.files("docker")[0]).unwrap();
    repository.pull(&blob).refused(404, "BLOB_UNKNOWN");
    repository.head(&format!("blobs/{blob}")).expect(404);
    repository.push_blob("lost and found");
    repository.head(&format!("blobs/{blob}")).expect(200);
    repository.pull(&blob).expect(200).brings("lost and found");
}

#[test]
fn a_push_heals_what_nobody_has_missed_yet() {
    let registry = Registry::start();
    let (one, other) = (registry.repository(), registry.repository());
    let blob = one.push_blob("lost unseen");
    fs::remove_file(&registry.files("docker")[0]).unwrap();
    other.push_blob("lost unseen");
    one.pull(&blob).expect(200).brings("lost unseen");
    other.pull(&blob).expect(200).brings("lost unseen");
}

#[test]
fn a_file_that_was_cut_is_as_good_as_gone() {
    let registry = Registry::start();
    let repository = registry.repository();
    for content in [b"cut me short".to_vec(), noise(71, 1 << 20)] {
        let blob = repository.push_blob(&content);
        let file =
            registry.files("docker").into_iter().find(|file| file.to_string_lossy().contains(&blob[7..])).unwrap();
        File::options().write(true).open(file).unwrap().set_len(5).unwrap();
        repository.pull(&blob).refused(404, "BLOB_UNKNOWN");
        repository.head(&format!("blobs/{blob}")).expect(404);
        repository.push_blob(&content);
        repository.pull(&blob).expect(200).brings(&content);
    }
}

#[test]
fn a_session_whose_bytes_are_lost_is_gone() {
    let registry = Registry::start();
    let repository = registry.repository();
    for damage in
        [|file: &Path| fs::remove_file(file), |file: &Path| File::options().write(true).open(file)?.set_len(3)]
    {
        // What brings nothing names the blob with or without having it read again.
        let requests: [fn(&Upload) -> Response; 4] = [
            |upload| upload.patch("more bytes").send(),
            |upload| upload.put(&digest("some bytes and more"), " and more").send(),
            |upload| upload.put(&digest("some bytes"), "").send(),
            |upload| upload.put(&sha512("some bytes"), "").send(),
        ];
        for request in requests {
            let upload = repository.start_upload();
            upload.patch("some bytes").send().expect(202);
            damage(&registry.files("uploads")[0]).unwrap();
            request(&upload).refused(404, "BLOB_UPLOAD_UNKNOWN");
            upload.status().refused(404, "BLOB_UPLOAD_UNKNOWN");
            eventually("the staged bytes are gone", || registry.files("uploads").is_empty().then_some(()));
        }
    }
}

#[test]
fn lost_bytes_are_no_ground_for_a_manifest_or_a_mount() {
    let registry = Registry::start();
    let (source, target) = (registry.repository(), registry.repository());
    let blob = source.push_blob("{}");
    fs::remove_file(&registry.files("docker")[0]).unwrap();
    source.pull(&blob).refused(404, "BLOB_UNKNOWN");
    let manifest = image(&descriptor(CONFIG, "{}"), &[]).to_string();
    source.put("latest", IMAGE, &manifest).send().refused(400, "MANIFEST_BLOB_UNKNOWN");
    target.post(&format!("?mount={blob}&from={}", source.name)).send().expect(202);
    source.push_blob("{}");
    source.push_manifest("latest", IMAGE, manifest);
}

#[test]
fn while_the_store_is_away_nothing_is_lost() {
    let registry = Registry::start();
    let repository = registry.repository();
    let blob = repository.push_blob("not mounted");
    let away = tempfile::tempdir_in(registry.root().parent().unwrap()).unwrap();
    let places = [
        (registry.files("docker").remove(0), away.path().join("data")),
        (registry.root().join("cargohold-store"), away.path().join("marker")),
    ];
    for (here, away) in &places {
        fs::rename(here, away).unwrap();
    }
    let answer = repository.pull(&blob);
    answer.refused(503, "UNAVAILABLE");
    assert!(answer.header("Retry-After").is_some_and(|seconds| seconds.parse::<u32>().is_ok()), "{answer}");
    for (here, away) in &places {
        fs::rename(away, here).unwrap();
    }
    repository.pull(&blob).expect(200).brings("not mounted");
}

#[test]
fn a_file_that_nobody_knows_is_left_alone() {
    let registry = Registry::start();
    let repository = registry.repository();
    let blob = crate::content::digest("in the way");
    let hex = &blob["sha256:".len()..];
    let folder = registry.root().join(format!("docker/registry/v2/blobs/sha256/{}/{hex}", &hex[..2]));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("data"), "a stranger").unwrap();
    repository.push_blob("in the way");
    repository.pull(&blob).expect(200).brings("in the way");
    assert_eq!(fs::read(folder.join("data")).unwrap(), b"a stranger");
}
