//! Referrers: what was attached to a manifest.

use std::{collections::BTreeMap, fmt, num::ParseIntError, str::FromStr};

use cargohold_access::{Permit, Pull};
use cargohold_metadata::{ManifestId, Referrer as StoredReferrer};
use cargohold_oci::{Digest, Manifest};

use crate::{Error, Registry};

/// A place in a list of referrers: what stands behind it is what comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(ManifestId);

impl Place {
    /// Before all of them.
    pub const BEGINNING: Self = Self(ManifestId::FIRST);
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.number().fmt(f)
    }
}

impl FromStr for Place {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        text.parse().map(|number| Self(ManifestId::from_number(number)))
    }
}

/// A manifest that is about another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrer {
    /// Where it stands in the list.
    pub place: Place,
    /// The digest that it was pushed under.
    pub digest: Digest,
    /// What it was pushed as.
    pub media_type: String,
    /// What kind of artifact it is; an index need not say.
    pub artifact_type: Option<String>,
    /// Length of its bytes.
    pub size: u64,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

impl Registry {
    /// The referrers of a subject behind `after`, at most `limit`; none where there are none, or no such repository or subject.
    pub async fn list_referrers(
        &self,
        permit: &Permit<Pull>,
        subject: &Digest,
        after: Place,
        limit: u16,
    ) -> Result<Vec<Referrer>, Error> {
        let found = self.0.metadata.referrers(permit.repository(), subject, after.0, limit).await?;
        Ok(found.into_iter().map(referrer).collect())
    }
}

fn referrer(stored: StoredReferrer) -> Referrer {
    let annotations = Manifest::annotations_of(&stored.bytes).unwrap_or_else(|| {
        tracing::error!(digest = %stored.digest, "a stored manifest cannot be read: it is listed without its annotations");
        BTreeMap::new()
    });
    Referrer {
        place: Place(stored.manifest),
        digest: stored.digest,
        size: stored.bytes.len() as u64,
        media_type: stored.media_type,
        artifact_type: stored.artifact_type,
        annotations,
    }
}

#[cfg(test)]
mod tests {
    use cargohold_oci::Algorithm;

    use super::*;

    #[test]
    fn one_that_cannot_be_read_any_more_is_listed_without_annotations() {
        let stored = |bytes: &'static [u8]| StoredReferrer {
            manifest: ManifestId::from_number(1),
            digest: Digest::of(Algorithm::Sha256, bytes),
            media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
            artifact_type: None,
            bytes: bytes.into(),
        };
        assert_eq!(referrer(stored(br#"{"annotations":{"a":"b"}}"#)).annotations["a"], "b");
        let broken = referrer(stored(b"gone"));
        assert_eq!((broken.size, broken.annotations.is_empty()), (4, true));
    }
}
