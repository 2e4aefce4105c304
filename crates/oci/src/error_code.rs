//! The error codes of the registry protocol. Which HTTP status goes with one is for the `http` crate to say.

use std::fmt;

/// What went wrong, in the protocol's words: the `code` of an error in a response's body.
///
/// Source: OCI distribution specification, "Error Codes", and what the CNCF registry adds to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorCode {
    /// The blob is not in this repository.
    BlobUnknown,
    /// The upload request is malformed.
    BlobUploadInvalid,
    /// No such upload session in this repository.
    BlobUploadUnknown,
    /// The caller is known, and may not do this.
    Denied,
    /// Not a digest, an unsupported algorithm, or not the digest of the content that came.
    DigestInvalid,
    /// The manifest refers to content that is not in this repository.
    ManifestBlobUnknown,
    /// The manifest cannot be read or breaks a rule.
    ManifestInvalid,
    /// No manifest has this tag or digest.
    ManifestUnknown,
    /// The signature of a schema 1 manifest does not fit. In no OCI list.
    ManifestUnverified,
    /// Not a repository name.
    NameInvalid,
    /// No such repository.
    NameUnknown,
    /// The page size is not a whole number. From the CNCF registry.
    PaginationNumberInvalid,
    /// A chunk does not begin where the upload stands. From the CNCF registry.
    RangeInvalid,
    /// The announced length is not the length that came.
    SizeInvalid,
    /// Not a tag. In no OCI list.
    TagInvalid,
    /// Too many requests; try again later.
    TooManyRequests,
    /// The caller has to say who they are.
    Unauthorized,
    /// The registry cannot serve this now. From the CNCF registry.
    Unavailable,
    /// Something else failed, inside. From the CNCF registry.
    Unknown,
    /// The operation is switched off, or does not exist.
    Unsupported,
}

impl ErrorCode {
    /// The code as the protocol writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BlobUnknown => "BLOB_UNKNOWN",
            Self::BlobUploadInvalid => "BLOB_UPLOAD_INVALID",
            Self::BlobUploadUnknown => "BLOB_UPLOAD_UNKNOWN",
            Self::Denied => "DENIED",
            Self::DigestInvalid => "DIGEST_INVALID",
            Self::ManifestBlobUnknown => "MANIFEST_BLOB_UNKNOWN",
            Self::ManifestInvalid => "MANIFEST_INVALID",
            Self::ManifestUnknown => "MANIFEST_UNKNOWN",
            Self::ManifestUnverified => "MANIFEST_UNVERIFIED",
            Self::NameInvalid => "NAME_INVALID",
            Self::NameUnknown => "NAME_UNKNOWN",
            Self::PaginationNumberInvalid => "PAGINATION_NUMBER_INVALID",
            Self::RangeInvalid => "RANGE_INVALID",
            Self::SizeInvalid => "SIZE_INVALID",
            Self::TagInvalid => "TAG_INVALID",
            Self::TooManyRequests => "TOOMANYREQUESTS",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::Unavailable => "UNAVAILABLE",
            Self::Unknown => "UNKNOWN",
            Self::Unsupported => "UNSUPPORTED",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_spelt_as_clients_compare_them() {
        assert_eq!(ErrorCode::BlobUploadUnknown.as_str(), "BLOB_UPLOAD_UNKNOWN");
        // The one code whose words are not separated.
        assert_eq!(ErrorCode::TooManyRequests.to_string(), "TOOMANYREQUESTS");
    }
}
