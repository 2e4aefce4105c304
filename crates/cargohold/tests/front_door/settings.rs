//! Settings, from a file and from the environment, and what they change for clients.

use std::{fs, path::Path};

use serde_json::json;

use crate::{
    content::{CONFIG, IMAGE, INDEX, LAYER, descriptor, digest, image, index, note},
    registry::{Registry, Settings, Signal, run, serve},
};

fn with_environment(settings: Settings) -> std::sync::Arc<Registry> {
    Registry::start_in(tempfile::tempdir().unwrap(), settings)
}

/// Starts on a file that keeps it from starting; answers what is said about that.
#[track_caller]
fn refused(file: &Path) -> String {
    let folder = tempfile::tempdir().unwrap();
    let output = run(serve(&folder.path().join("data")).arg(file));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(output.stdout.is_empty() && said.starts_with("cargohold: ") && !said.contains("panicked"), "{said}");
    assert!(!folder.path().join("data").exists(), "nothing was made");
    said
}

#[track_caller]
fn refused_text(text: impl AsRef<[u8]>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.yml");
    fs::write(&file, text).unwrap();
    refused(&file).replace(&folder.path().display().to_string(), "...")
}

/// An index with that many children, which the repository does not have.
fn index_of(children: usize) -> String {
    let children = (0..children).map(|child| descriptor(IMAGE, child.to_string())).collect::<Vec<_>>();
    index(&children).to_string()
}

#[test]
fn the_largest_manifest_is_as_large_as_the_file_says() {
    let repository = Registry::configured("validation:\n  manifests:\n    maxbytes: 1KiB\n").repository();
    let padded = |length: usize| note(&"x".repeat(length - note("").len()));
    repository.put("latest", INDEX, padded(1024)).send().expect(201);
    let message = repository.put("latest", INDEX, padded(1025)).send().refused(413, "SIZE_INVALID");
    assert!(message.contains("1024 bytes"), "{message}");
}

#[test]
fn the_largest_manifest_can_be_larger_than_usual() {
    let repository = with_environment(&[("CARGOHOLD__VALIDATION__MANIFESTS__MAXBYTES", "8MiB")]).repository();
    let manifest = crate::manifests::large(6 * 1024 * 1024);
    let digest = repository.push_manifest("latest", INDEX, &manifest);
    repository.get(&format!("manifests/{digest}")).expect(200).brings(manifest);
}

#[test]
fn without_references_an_index_may_lack_its_children_and_an_image_its_layers() {
    for registry in [
        with_environment(&[("CARGOHOLD__VALIDATION__MANIFESTS__REFERENCES", "none")]),
        Registry::configured("validation: {manifests: {references: none}}"),
    ] {
        let repository = registry.repository();
        repository.push_manifest("index", INDEX, index_of(3));
        let sparse = image(&descriptor(CONFIG, "not there"), &[descriptor(LAYER, "nor there")]);
        let answer = repository.put("image", IMAGE, sparse.to_string()).send().expect(201);
        let warning = answer.header("Warning").unwrap();
        assert!(
            warning.contains("without 2 blobs or manifests") && warning.contains(&digest("not there")),
            "{warning}"
        );
        let digest = digest(sparse.to_string());
        repository.get(&format!("manifests/{digest}")).expect(200).brings(sparse.to_string());
    }
    let repository = Registry::shared().repository();
    repository.put("index", INDEX, index_of(3)).send().refused(400, "MANIFEST_BLOB_UNKNOWN");
}

#[test]
fn a_manifest_refers_to_at_most_as_many_as_the_file_says() {
    let file = "validation:\n  manifests:\n    references: none\n    maxreferences: 3\n";
    let repository = Registry::configured(file).repository();
    repository.push_manifest("three", INDEX, index_of(3));
    let message = repository.put("four", INDEX, index_of(4)).send().refused(400, "MANIFEST_INVALID");
    assert!(message.contains("refers to 4") && message.contains("at most 3"), "{message}");
}

#[test]
fn an_artifact_type_is_at_most_as_long_as_the_file_says() {
    let repository = Registry::configured("{\"validation\": {\"manifests\": {\"maxartifacttype\": 20}}}").repository();
    let typed = |length: usize| {
        let mut index = index(&[]);
        index["artifactType"] = json!(format!("a/{}", "b".repeat(length - 2)));
        index.to_string()
    };
    repository.push_manifest("twenty", INDEX, typed(20));
    let message = repository.put("more", INDEX, typed(21)).send().refused(400, "MANIFEST_INVALID");
    assert!(message.contains("21 bytes") && message.contains("at most 20"), "{message}");
}

#[test]
fn a_name_is_at_most_as_long_as_the_file_says() {
    let registry = Registry::configured("validation: {repositories: {maxname: 8}}");
    registry.named("abcd/efg").push_blob("fits");
    let longer = registry.named("abcd/efgh");
    let message = longer.post("").send().refused(400, "NAME_INVALID");
    assert!(message.contains("9 bytes") && message.contains("at most 8"), "{message}");
    longer.put("latest", INDEX, note("")).send().refused(400, "NAME_INVALID");
    longer.post(&format!("?mount={}", digest("fits"))).send().refused(400, "NAME_INVALID");
}

#[test]
fn the_environment_wins_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    Registry::configure(&folder, "validation: {repositories: {maxname: 8}, manifests: {references: none}}");
    let registry = Registry::start_in(folder, &[("CARGOHOLD__VALIDATION__REPOSITORIES__MAXNAME", "9")]);
    registry.named("abcd/efgh").push_manifest("sparse", INDEX, index_of(1));
    registry.named("abcd/efghi").post("").send().refused(400, "NAME_INVALID");
}

#[test]
fn where_to_listen_and_the_data_can_be_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (file, taken) = (folder.path().join("settings.yml"), folder.path().join("a file"));
    fs::write(&taken, "here first").unwrap();
    let start = |text: &str| {
        fs::write(&file, text).unwrap();
        let mut command = serve(&folder.path().join("data"));
        command.env_remove("CARGOHOLD__HTTP__ADDR").env_remove("CARGOHOLD__STORAGE__FILESYSTEM__ROOTDIRECTORY");
        let output = run(command.arg(&file).current_dir(folder.path()));
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let said = start("http: {addr: 192.0.2.1:5000}\nauth: open\n");
    assert!(said.contains("cannot listen on 192.0.2.1:5000: this machine does not have that address"), "{said}");
    let said = start("http: {addr: 127.0.0.1:0}\nstorage: {filesystem: {rootdirectory: ./a file}}\n");
    assert!(said.contains("storage.filesystem.rootdirectory: ./a file"), "{said}");
}

#[test]
fn a_file_with_mistakes_stops_the_start_and_names_them_all() {
    let said = refused_text("http:\n  adress: :5000\n  limits:\n    requests: many\n");
    assert_eq!(
        said,
        "cargohold: the configuration has 2 mistakes\n\
         .../settings.yml:2:3: \"http.adress\" is not a setting\n  The nearest one is http.addr\n\
         .../settings.yml:4:15: http.limits.requests: \"many\" is not a whole number from 1 to 1000000\n  \
         Write it in digits alone, or leave it out for 1000\n"
    );
}

#[test]
fn a_file_that_cannot_be_read_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    for (file, says) in [
        (folder.path().join("none.yml"), "none.yml: cannot read the configuration file: No such file or directory"),
        (folder.path().to_owned(), "cannot read the configuration file: Is a directory"),
        ("/dev/zero".into(), "/dev/zero: the configuration file is larger than 1048576 bytes"),
    ] {
        let said = refused(&file);
        assert!(said.contains(says), "{said}");
    }
    for (text, says) in [
        (&b"http: {addr: :5000\n"[..], "settings.yml:2:1: not YAML: "),
        (b"auth: open\nhttp: \xff\n", "settings.yml:2:7: not a text: "),
        (b"auth: open\nauth: open\n", "settings.yml:2:1: the key \"auth\" a second time: line 1 has it"),
    ] {
        let said = refused_text(text);
        assert!(said.contains(says), "{said}");
    }
}

#[test]
fn on_a_disk_that_is_as_full_as_it_may_become_nothing_is_pushed_and_the_rest_goes_on() {
    let registry = Registry::start();
    let repository = registry.repository();
    let manifest = repository.push_image("v1");
    repository.push_image("v2");
    let upload = repository.start_upload();
    upload.patch("kept").send().expect(202);
    registry.reconfigure("storage:\n  filesystem:\n    reserve: 1048576GiB\n");
    registry.restart(Signal::TERM);

    let refusals = [
        repository.post("").send(),
        repository.post(&format!("?digest={}", digest("new"))).body("new").send(),
        upload.patch("more").send(),
        upload.put(&digest("kept"), "").send(),
        repository.put("v3", IMAGE, repository.get("manifests/v1").expect(200).body).send(),
    ];
    for refused in refusals {
        let message = refused.with("Retry-After", "10").refused(503, "UNAVAILABLE");
        assert!(message.contains("no space left on device"), "{message}");
    }
    repository.get("manifests/v1").expect(200);
    repository.pull(&repository.layer()).expect(200);
    assert_eq!(upload.range(), "0-3", "it was not touched");
    repository.deletes("manifests/v2");
    repository.deletes(&format!("manifests/{manifest}"));

    registry.reconfigure("storage:\n  filesystem:\n    reserve: 0\n");
    registry.restart(Signal::TERM);
    upload.put(&digest("kept"), "").send().expect(201);
}
