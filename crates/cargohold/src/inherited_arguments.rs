//! The command line of the CNCF registry, for those who put this program into its place: in its containers the program is called
//! `registry`, and a configuration alone starts it.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
};

use clap::Args;

/// What the CNCF registry's collector takes. It is read and has no effect.
#[derive(Debug, Args)]
pub(crate) struct GarbageCollect {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    _ignored: Vec<OsString>,
}

/// Answers those who have it run by a timer: nothing has to be done, so nothing has failed.
pub(crate) fn garbage_collect() {
    eprintln!(
        "cargohold: nothing to collect: the running server gives back what nothing needs by itself\n  \
         What waits, and until when: cargohold sweep status"
    );
}

/// The arguments as our own command line has them, the program's name first.
pub(crate) fn translated(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    // `docker run <image> registry serve config.yml`, as with the image's own program.
    let is_registry = |argument: &OsString| Path::new(argument).file_name() == Some(OsStr::new("registry"));
    if arguments.get(1).is_some_and(is_registry) {
        arguments.remove(1);
    }
    // `docker run <image> config.yml`.
    let is_configuration = |argument: &OsString| {
        Path::new(argument).extension().is_some_and(|extension| extension == "yml" || extension == "yaml")
    };
    if arguments.get(1).is_some_and(is_configuration) {
        arguments.insert(1, "serve".into());
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_starts_the_cncf_registry_starts_this_one() {
        for (theirs, ours) in [
            (
                &["cargohold", "/etc/docker/registry/config.yml"][..],
                &["cargohold", "serve", "/etc/docker/registry/config.yml"][..],
            ),
            (&["cargohold", "registry", "serve", "config.yaml"], &["cargohold", "serve", "config.yaml"]),
            (&["registry", "/bin/registry", "config.yml"], &["registry", "serve", "config.yml"]),
            (&["registry", "serve", "config.yml"], &["registry", "serve", "config.yml"]),
            (&["cargohold", "sweep", "status"], &["cargohold", "sweep", "status"]),
            (&["cargohold"], &["cargohold"]),
        ] {
            assert_eq!(translated(theirs.iter().map(OsString::from)), ours);
        }
    }
}
