//! What a run demands: the version of the specification, and what its options leave out.

use std::fmt;

use clap::ValueEnum;

/// A version of the distribution specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Version {
    #[value(name = "1.0")]
    V1_0,
    #[value(name = "1.1")]
    V1_1,
    /// What stands on the specification's main branch behind 1.1.
    Dev,
}

/// How a registry that refuses to delete is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Deletes {
    /// A refusal is a failure
    On,
    /// Nothing is deleted
    Off,
    /// A refusal is a skip
    Supported,
}

/// What the tests of one run demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) version: Version,
    /// Whether manifests have to be accepted whose layers or children are missing.
    pub(crate) sparse: bool,
    pub(crate) deletes: Deletes,
}

impl Version {
    pub(crate) const ALL: [Self; 3] = [Self::V1_0, Self::V1_1, Self::Dev];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::V1_0 => "1.0",
            Self::V1_1 => "1.1",
            Self::Dev => "dev",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl Rules {
    /// The referrers API and `OCI-Subject` came with 1.1.
    pub(crate) fn referrers(self) -> bool {
        self.version >= Version::V1_1
    }

    /// A mount that names no source came with 1.1.
    pub(crate) fn mounts_from_anywhere(self) -> bool {
        self.version >= Version::V1_1
    }

    /// Cancelling an upload is on the main branch.
    pub(crate) fn cancels_uploads(self) -> bool {
        self.version >= Version::Dev
    }

    /// `Docker-Content-Digest` has to be there from the main branch on; before, it has to be right where it is.
    pub(crate) fn digest_header(self) -> bool {
        self.version >= Version::Dev
    }

    /// `PUT /manifests/<digest>?tag=` is on the main branch.
    pub(crate) fn tag_parameters(self) -> bool {
        self.version >= Version::Dev
    }
}

#[cfg(test)]
mod tests {
    use super::{Deletes, Rules, Version};

    #[test]
    fn each_version_demands_what_the_one_before_it_does_and_more() {
        let rules = |version| Rules { version, sparse: false, deletes: Deletes::On };
        assert!(!rules(Version::V1_0).referrers() && !rules(Version::V1_0).mounts_from_anywhere());
        assert!(rules(Version::V1_1).referrers() && rules(Version::V1_1).mounts_from_anywhere());
        assert!(!rules(Version::V1_1).digest_header() && !rules(Version::V1_1).tag_parameters());
        assert!(rules(Version::Dev).referrers() && rules(Version::Dev).cancels_uploads());
    }
}
