//! What hurt users of other registries, replayed here: each complaint is a test, named by what must hold instead.
//!
//! A file for each subject; the table at its top says which complaint is which test, `file::name` being one in this folder or beside
//! it, or why it cannot be replayed here. `dist` is distribution/distribution, `zot` project-zot/zot, `harbor` goharbor/harbor,
//! `quay` quay/quay.

mod corruption;
mod deleting;
mod uploads;

/// What is deleted is swept at once, with its bytes.
const AT_ONCE: crate::registry::Settings = &[
    ("CARGOHOLD__SWEEP__GRACE", "1s"),
    ("CARGOHOLD__SWEEP__WINDOW", "0s"),
    ("CARGOHOLD__SWEEP__KEEP", "0s"),
    ("CARGOHOLD__SWEEP__INTERVAL", "10ms"),
];

#[test]
fn the_overviews_name_tests_that_exist() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/front_door");
    for text in
        [include_str!("pains/corruption.rs"), include_str!("pains/deleting.rs"), include_str!("pains/uploads.rs")]
    {
        let table: Vec<_> = text.lines().filter(|line| line.starts_with("//! | ")).collect();
        assert!(table.len() > 5);
        for named in table.iter().flat_map(|line| line.split('`').skip(1).step_by(2)) {
            let Some((file, test)) = named.split_once("::") else { continue };
            let files =
                ["pains", "quirks", "bad_clients", "."].map(|below| folder.join(below).join(file).with_extension("rs"));
            let texts = files.iter().filter_map(|file| std::fs::read_to_string(file).ok());
            assert!(
                texts.into_iter().any(|text| text.contains(&format!("#[test]\nfn {test}()"))),
                "there is no test {named}"
            );
        }
    }
}
