//! The name of an upload session: a UUID, handed out in the `Location` of an upload and given back in its path.
//!
//! Only the canonical text is accepted (hyphens, lower case), so a session has one URL, one row and one staging file name.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use uuid::Uuid;

use crate::Excerpt;

/// The id of an upload session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UploadId(Uuid);

/// A text that is not an upload id: no session can have this name, so to a client it is a `BLOB_UPLOAD_UNKNOWN`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("upload {id} is unknown: the id of an upload is a UUID as the registry wrote it into the Location header")]
pub struct UploadIdError {
    id: Excerpt,
}

impl UploadId {
    /// Reads an id.
    pub fn parse(text: &str) -> Result<Self, UploadIdError> {
        // The parser of `uuid` takes four spellings of one id; writing it again leaves one.
        let is_canonical =
            |id: &Uuid| id.hyphenated().encode_lower(&mut Uuid::encode_buffer()).as_bytes() == text.as_bytes();
        let id = Uuid::try_parse(text).ok().filter(is_canonical);
        id.map(Self).ok_or_else(|| UploadIdError { id: Excerpt::of(text) })
    }

    /// The id of a session that is made now; the caller draws the UUID.
    pub const fn from_uuid(id: Uuid) -> Self {
        Self(id)
    }

    /// The UUID, for the column that stores it.
    pub const fn uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.hyphenated(), formatter)
    }
}

impl FromStr for UploadId {
    type Err = UploadIdError;

    fn from_str(text: &str) -> Result<Self, UploadIdError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_canonical_text_is_an_id() {
        let text = "018f3c1e-7b9a-7cc0-8a51-2f6d1c0e9b47";
        let id = UploadId::parse(text).unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(UploadId::from_uuid(id.uuid()), id);
        for other in [
            "",
            "1",
            "uploads",
            "..",
            "018f3c1e7b9a7cc08a512f6d1c0e9b47",
            "018F3C1E-7B9A-7CC0-8A51-2F6D1C0E9B47",
            "{018f3c1e-7b9a-7cc0-8a51-2f6d1c0e9b47}",
            "urn:uuid:018f3c1e-7b9a-7cc0-8a51-2f6d1c0e9b47",
            "018f3c1e-7b9a-7cc0-8a51-2f6d1c0e9b47 ",
        ] {
            let message = UploadId::parse(other).unwrap_err().to_string();
            assert!(message.starts_with(&format!("upload \"{other}\" is unknown")), "{message}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(id: u128) {
            let id = UploadId::from_uuid(Uuid::from_u128(id));
            prop_assert_eq!(UploadId::parse(&id.to_string()), Ok(id));
        }

        #[test]
        fn parsing_never_panics(text: String) {
            let _ = UploadId::parse(&text);
        }
    }
}
