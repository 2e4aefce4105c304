//! The corpus in the repository, without libFuzzer: every input holds, and every target has what belongs to it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::TARGETS;

fn names_in(folder: &str) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = files(&folder).into_iter();
    files.map(|file| file.file_stem().and_then(|stem| stem.to_str()).expect("names are ASCII").to_owned()).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn every_input_of_the_corpus_holds() {
    for (target, check) in TARGETS {
        let inputs = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target));
        assert!(inputs.len() >= 5, "{target} has hardly a corpus");
        for input in inputs {
            println!("{}", input.display());
            check(&fs::read(input).unwrap());
        }
    }
}

#[test]
fn every_target_has_a_program_and_a_corpus() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names_in("fuzz_targets"), targets);
    assert_eq!(names_in("corpus"), targets);
    let of_no_target: Vec<_> = names_in("dictionaries").difference(&targets).cloned().collect();
    assert!(of_no_target.is_empty(), "dictionaries of no target: {of_no_target:?}");
}
