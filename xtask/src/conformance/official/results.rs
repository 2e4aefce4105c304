//! What the official suite writes into `results.yaml`: for each API and each kind of data, how it ended.

use anyhow::{Result, ensure};

use super::super::rules::Version;

/// An API or a kind of data, and its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    name: String,
    end: String,
}

/// What a version switches off, by the names that the file gives it.
const OFF_BEFORE_DEV: &[&str] =
    &["Blob upload cancel", "Manifest put with tag params", "Tag Param", "Tag Param sha512"];
const OFF_BEFORE_1_1: &[&str] = &["Blob anonymous mount", "Referrers"];
const OFF_UNLESS_SPARSE: &[&str] = &["Sparse Manifests"];

/// Every entry that neither passed nor was switched off on purpose.
pub(super) fn shortcomings(entries: &[Entry], version: Version, sparse: bool) -> Vec<String> {
    let mut off: Vec<&str> = Vec::new();
    if version < Version::Dev {
        off.extend(OFF_BEFORE_DEV);
    }
    if version < Version::V1_1 {
        off.extend(OFF_BEFORE_1_1);
    }
    if !sparse {
        off.extend(OFF_UNLESS_SPARSE);
    }
    entries
        .iter()
        .filter(|entry| entry.end != "Pass" && !(entry.end == "Disabled" && off.contains(&entry.name.as_str())))
        .map(|entry| format!("{} ended with {}", entry.name, entry.end))
        .collect()
}

/// Reads the maps `apis` and `data`, both of which have to have entries.
pub(super) fn parse(yaml: &str) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for map in ["apis", "data"] {
        let before = entries.len();
        entries.extend(map_at_the_top(yaml, map));
        ensure!(entries.len() > before, "there is nothing under {map}");
    }
    Ok(entries)
}

/// The lines `  name: end` behind the line `map:`, as the suite writes them: plain scalars, set in by two spaces.
fn map_at_the_top<'a>(yaml: &'a str, map: &'a str) -> impl Iterator<Item = Entry> + 'a {
    let behind = yaml.lines().skip_while(move |line| line.strip_suffix(':') != Some(map)).skip(1);
    behind.take_while(|line| line.starts_with("  ")).filter_map(|line| {
        let (name, end) = line.trim().rsplit_once(": ")?;
        Some(Entry { name: name.trim_matches('"').to_owned(), end: end.to_owned() })
    })
}

#[cfg(test)]
mod tests {
    use super::{Version, parse, shortcomings};

    const FILE: &str = "config:\n  registry: localhost\n  apis:\n    ping: true\n  data:\n    image: true\n\
        apis:\n  Ping: Pass\n  Blob upload cancel: Disabled\n  Referrers: Disabled\n\
        data:\n  Image: Pass\n  Sparse Manifests: Disabled\n  Tag Param: FAIL\n";

    #[test]
    fn only_the_maps_at_the_top_are_read() {
        let entries = parse(FILE).unwrap();
        let told: Vec<String> = entries.iter().map(|entry| format!("{}={}", entry.name, entry.end)).collect();
        assert_eq!(
            told,
            [
                "Ping=Pass",
                "Blob upload cancel=Disabled",
                "Referrers=Disabled",
                "Image=Pass",
                "Sparse Manifests=Disabled",
                "Tag Param=FAIL"
            ]
        );
    }

    #[test]
    fn what_is_switched_off_depends_on_the_version_and_on_sparse() {
        let entries = parse(FILE).unwrap();
        let wrong = |version, sparse| shortcomings(&entries, version, sparse).len();
        assert_eq!(shortcomings(&entries, Version::V1_0, false), ["Tag Param ended with FAIL"]);
        assert_eq!(wrong(Version::V1_1, false), 2);
        assert_eq!(wrong(Version::Dev, false), 3);
        assert_eq!(wrong(Version::Dev, true), 4);
    }

    #[test]
    fn an_empty_or_half_file_is_an_error() {
        assert!(parse("").is_err());
        assert!(parse("apis:\n  Ping: Pass\n").is_err());
    }
}
