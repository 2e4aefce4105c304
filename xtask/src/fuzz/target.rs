//! The targets: what is in the folder `fuzz/`, found by name.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

/// A program that takes inputs, and where they begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    name: String,
    corpus: PathBuf,
    dictionary: Option<PathBuf>,
}

impl Target {
    fn new(folder: &Path, name: String) -> Result<Self> {
        let corpus = folder.join("corpus").join(&name);
        let has_inputs = fs::read_dir(&corpus).is_ok_and(|mut inputs| inputs.next().is_some());
        ensure!(has_inputs, "{name} has no corpus: put a few inputs into {}", corpus.display());
        let dictionary = Some(folder.join("dictionaries").join(&name).with_extension("dict"));
        Ok(Self { name, corpus, dictionary: dictionary.filter(|file| file.exists()) })
    }

    #[cfg(test)]
    pub(crate) fn of_name(name: &str) -> Self {
        Self { name: name.to_owned(), corpus: PathBuf::from("corpus"), dictionary: None }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The folder of inputs to begin with; not to be written to.
    pub(crate) fn corpus(&self) -> &Path {
        &self.corpus
    }

    /// Words that inputs are made of.
    pub(crate) fn dictionary(&self) -> Option<&Path> {
        self.dictionary.as_deref()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.name)
    }
}

/// Every target of the folder, by name.
pub(crate) fn all(folder: &Path) -> Result<Vec<Target>> {
    let programs = folder.join("fuzz_targets");
    let entries = fs::read_dir(&programs).with_context(|| format!("cannot list {}", programs.display()))?;
    let sources = entries.flatten().map(|entry| entry.path());
    let sources = sources.filter(|file| file.extension().is_some_and(|extension| extension == "rs"));
    let mut names: Vec<String> = sources.filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    ensure!(!names.is_empty(), "{} has no targets", programs.display());
    names.into_iter().map(|name| Target::new(folder, name)).collect()
}

/// Those that are named; all if none is.
pub(crate) fn select(all: Vec<Target>, named: &[String]) -> Result<Vec<Target>> {
    let known = all.iter().map(Target::name).collect::<Vec<_>>().join(", ");
    if let Some(unknown) = named.iter().find(|name| !all.iter().any(|target| target.name == **name)) {
        bail!("there is no target {unknown}: the targets are {known}");
    }
    Ok(all.into_iter().filter(|target| named.is_empty() || named.contains(&target.name)).collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Target, all, select};

    #[test]
    fn targets_are_chosen_by_name() {
        let known = ["path", "range", "tag"].map(Target::of_name).to_vec();
        let names = |named: &[&str]| {
            let named: Vec<String> = named.iter().map(|name| (*name).to_owned()).collect();
            select(known.clone(), &named).map(|targets| targets.iter().map(Target::to_string).collect::<Vec<_>>())
        };
        assert_eq!(names(&[]).unwrap(), ["path", "range", "tag"]);
        assert_eq!(names(&["tag", "path"]).unwrap(), ["path", "tag"]);
        let error = names(&["tags"]).unwrap_err().to_string();
        assert_eq!(error, "there is no target tags: the targets are path, range, tag");
    }

    #[test]
    fn a_target_without_a_corpus_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("fuzz_targets")).unwrap();
        assert!(all(folder.path()).unwrap_err().to_string().ends_with("has no targets"));
        std::fs::write(folder.path().join("fuzz_targets/path.rs"), "").unwrap();
        assert!(all(folder.path()).unwrap_err().to_string().starts_with("path has no corpus"));
        let corpus = folder.path().join("corpus/path");
        std::fs::create_dir_all(&corpus).unwrap();
        std::fs::write(corpus.join("ping"), "/v2/").unwrap();
        assert_eq!(all(folder.path()).unwrap()[0].corpus(), corpus);
    }

    #[test]
    fn the_repository_has_targets() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
        assert!(
            all(&folder).unwrap().iter().any(|target| target.name() == "manifest" && target.dictionary().is_some())
        );
    }
}
