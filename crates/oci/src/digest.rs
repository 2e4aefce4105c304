//! Content digests (`sha256:<hex>`, `sha512:<hex>`): the name of every blob and manifest.
//!
//! A [`Digest`] is small, `Copy`, and holds only a supported algorithm with a hash of exactly its length. Text is accepted in
//! its one canonical form (lower-case hexadecimal) and never normalised. Hashing a stream is for the crate that stores bytes.
//!
//! Source: OCI image specification, descriptor.md, "Digests".

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Sha256, Sha512};
use thiserror::Error;

use crate::Excerpt;

const LONGEST_HASH: usize = 64;
const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

/// A hash algorithm that content can be named by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256, what nearly all content is named by.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// The digest of some content: an algorithm and its hash. Ordered by algorithm, then by hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    /// The algorithm's code, then the hash, then zeros.
    bytes: [u8; 1 + LONGEST_HASH],
}

/// Why a text is not a digest. Each is a `DIGEST_INVALID` to a client.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DigestError {
    /// Not of the form `<algorithm>:<encoded>`.
    #[error("digest {digest} is invalid: it must be <algorithm>:<hash>, such as sha256:<64 hexadecimal digits>")]
    Form {
        /// The text that was given.
        digest: Excerpt,
    },
    /// Well formed as far as it was read, but of an algorithm that is not supported here.
    #[error("digest {digest} is not supported: the algorithm must be sha256 or sha512")]
    Algorithm {
        /// The text that was given; of [`Algorithm::from_str`] the algorithm alone.
        digest: Excerpt,
    },
    /// The part behind the colon is not a hash of this algorithm.
    #[error(
        "digest {digest} is invalid: {} takes exactly {} lower-case hexadecimal digits",
        algorithm.as_str(),
        algorithm.hash_len() * 2
    )]
    Hash {
        /// The text that was given.
        digest: Excerpt,
        /// The algorithm that it names.
        algorithm: Algorithm,
    },
}

impl Algorithm {
    const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// The registered name: what stands before the colon.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// The length of a hash in bytes.
    pub const fn hash_len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => LONGEST_HASH,
        }
    }

    /// The byte that stands for the algorithm in [`Digest::as_bytes`]. It is stored: a code never changes its meaning.
    const fn code(self) -> u8 {
        match self {
            Self::Sha256 => 1,
            Self::Sha512 => 2,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.code() == code)
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = DigestError;

    fn from_str(name: &str) -> Result<Self, DigestError> {
        Self::from_name(name).ok_or_else(|| DigestError::Algorithm { digest: Excerpt::of(name) })
    }
}

impl Digest {
    /// Reads `<algorithm>:<hash>`, the hash in lower-case hexadecimal.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        let digest = || Excerpt::of(text);
        let (name, hex) = text.split_once(':').ok_or_else(|| DigestError::Form { digest: digest() })?;
        if name.is_empty() {
            return Err(DigestError::Form { digest: digest() });
        }
        let algorithm = Algorithm::from_name(name).ok_or_else(|| DigestError::Algorithm { digest: digest() })?;
        Self::from_hex(algorithm, hex).ok_or_else(|| DigestError::Hash { digest: digest(), algorithm })
    }

    /// The digest of `content`, hashed now.
    pub fn of(algorithm: Algorithm, content: &[u8]) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::new(algorithm, &<Sha256 as sha2::Digest>::digest(content)),
            Algorithm::Sha512 => Self::new(algorithm, &<Sha512 as sha2::Digest>::digest(content)),
        }
    }

    /// A digest of a finished hash; `None` if `hash` is not of the algorithm's length.
    pub fn from_hash(algorithm: Algorithm, hash: &[u8]) -> Option<Self> {
        (hash.len() == algorithm.hash_len()).then(|| Self::new(algorithm, hash))
    }

    /// Reads what [`Digest::as_bytes`] wrote; `None` if it is anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (code, hash) = bytes.split_first()?;
        Self::from_hash(Algorithm::from_code(*code)?, hash)
    }

    /// The form that is stored: the algorithm's code (1 for sha256, 2 for sha512), then the hash; 33 or 65 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..=self.algorithm().hash_len()]
    }

    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        // The first byte is always the code of an algorithm; asking it this way round leaves nothing that could panic.
        if self.bytes[0] == Algorithm::Sha512.code() { Algorithm::Sha512 } else { Algorithm::Sha256 }
    }

    /// The hash, as long as the algorithm says.
    pub fn hash(&self) -> &[u8] {
        &self.as_bytes()[1..]
    }

    /// The hash in lower-case hexadecimal.
    pub fn hex(&self) -> String {
        self.with_hex(str::to_owned)
    }

    /// Hands on the hash in lower-case hexadecimal, for which no memory has to be found: most answers have it twice.
    fn with_hex<T>(&self, take: impl FnOnce(&str) -> T) -> T {
        let mut digits = [0; 2 * LONGEST_HASH];
        for (pair, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(self.hash()) {
            *pair = [byte >> 4, byte & 0xf].map(|nibble| HEX_DIGITS[usize::from(nibble)]);
        }
        take(str::from_utf8(&digits[..2 * self.algorithm().hash_len()]).unwrap_or_default())
    }

    /// `hash` must be of the algorithm's length.
    fn new(algorithm: Algorithm, hash: &[u8]) -> Self {
        let mut bytes = [0; 1 + LONGEST_HASH];
        bytes[0] = algorithm.code();
        bytes[1..=algorithm.hash_len()].copy_from_slice(hash);
        Self { bytes }
    }

    fn from_hex(algorithm: Algorithm, hex: &str) -> Option<Self> {
        let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
        if pairs.len() != algorithm.hash_len() || !rest.is_empty() {
            return None;
        }
        let mut hash = [0; LONGEST_HASH];
        for (byte, [high, low]) in hash.iter_mut().zip(pairs) {
            *byte = nibble(*high)? << 4 | nibble(*low)?;
        }
        Self::from_hash(algorithm, &hash[..algorithm.hash_len()])
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.algorithm().as_str())?;
        formatter.write_str(":")?;
        self.with_hex(|hex| formatter.write_str(hex))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        Self::parse(text)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(DigestVisitor)
    }
}

struct DigestVisitor;

impl de::Visitor<'_> for DigestVisitor {
    type Value = Digest;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a digest, such as \"sha256:<64 hexadecimal digits>\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Digest, E> {
        Digest::parse(text).map_err(E::custom)
    }
}

/// The value of a lower-case hexadecimal digit.
fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHA256_OF_NOTHING: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const SHA512_OF_NOTHING: &str = "sha512:cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce\
                                     47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e";

    #[test]
    fn content_is_hashed() {
        assert_eq!(Digest::of(Algorithm::Sha256, b"").to_string(), SHA256_OF_NOTHING);
        assert_eq!(Digest::of(Algorithm::Sha512, b"").to_string(), SHA512_OF_NOTHING);
    }

    #[test]
    fn the_stored_form_is_the_code_and_the_hash() {
        let digest = Digest::parse(SHA256_OF_NOTHING).unwrap();
        assert_eq!(digest.as_bytes()[..3], [1, 0xe3, 0xb0]);
        assert_eq!(digest.as_bytes().len(), 33);
        assert_eq!(digest.hash().len(), 32);
        assert_eq!(digest.hex(), SHA256_OF_NOTHING[7..]);
        let digest = Digest::parse(SHA512_OF_NOTHING).unwrap();
        assert_eq!(digest.as_bytes()[..3], [2, 0xcf, 0x83]);
        assert_eq!(digest.as_bytes().len(), 65);
        assert_eq!(size_of::<Digest>(), 65);
    }

    #[test]
    fn other_bytes_are_no_digest() {
        assert_eq!(Digest::from_bytes(&[]), None);
        assert_eq!(Digest::from_bytes(&[1; 32]), None);
        assert_eq!(Digest::from_bytes(&[1; 34]), None);
        assert_eq!(Digest::from_bytes(&[1; 65]), None);
        assert_eq!(Digest::from_bytes(&[2; 33]), None);
        assert_eq!(Digest::from_bytes(&[0; 33]), None);
        assert_eq!(Digest::from_bytes(&[3; 33]), None);
        assert_eq!(Digest::from_hash(Algorithm::Sha512, &[0; 32]), None);
    }

    #[test]
    fn an_error_says_which_rule_is_broken() {
        let message = |text: &str| Digest::parse(text).unwrap_err().to_string();
        let hash = "sha256 takes exactly 64 lower-case hexadecimal digits";
        assert_eq!(message("sha256:baddigeststring"), format!("digest \"sha256:baddigeststring\" is invalid: {hash}"));
        let upper = SHA256_OF_NOTHING.to_uppercase().replace("SHA", "sha");
        assert_eq!(message(&upper), format!("digest \"{upper}\" is invalid: {hash}"));
        assert!(message(&format!("{SHA256_OF_NOTHING}0")).ends_with(hash));
        assert!(message(&SHA256_OF_NOTHING[..70]).ends_with(hash));
        assert!(message("sha512:00").ends_with("sha512 takes exactly 128 lower-case hexadecimal digits"));
        assert_eq!(message("md5:00"), r#"digest "md5:00" is not supported: the algorithm must be sha256 or sha512"#);
        assert!(matches!(Digest::parse("SHA256:00"), Err(DigestError::Algorithm { .. })));
        assert!(matches!(Digest::parse("latest"), Err(DigestError::Form { .. })));
        assert!(matches!(Digest::parse(":00"), Err(DigestError::Form { .. })));
        assert!(matches!(Digest::parse(""), Err(DigestError::Form { .. })));
    }

    #[test]
    fn algorithms_have_names() {
        assert_eq!("sha512".parse(), Ok(Algorithm::Sha512));
        assert_eq!(Algorithm::Sha256.to_string(), "sha256");
        assert!("SHA256".parse::<Algorithm>().is_err());
        assert!("blake3".parse::<Algorithm>().is_err());
    }

    #[test]
    fn json_has_the_text() {
        let digest = Digest::of(Algorithm::Sha256, b"");
        let json = serde_json::to_string(&digest).unwrap();
        assert_eq!(json, format!("\"{SHA256_OF_NOTHING}\""));
        assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
        assert!(serde_json::from_str::<Digest>("\"sha256:0\"").is_err());
        assert!(serde_json::from_str::<Digest>("7").is_err());
    }

    fn any_algorithm() -> impl Strategy<Value = Algorithm> {
        prop_oneof![Just(Algorithm::Sha256), Just(Algorithm::Sha512)]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(algorithm in any_algorithm(), hash: [[u8; 32]; 2]) {
            let digest = Digest::from_hash(algorithm, &hash.as_flattened()[..algorithm.hash_len()]).unwrap();
            prop_assert_eq!(digest.algorithm(), algorithm);
            prop_assert_eq!(Digest::parse(&digest.to_string()), Ok(digest));
            prop_assert_eq!(Digest::from_bytes(digest.as_bytes()), Some(digest));
        }

        #[test]
        fn the_order_is_that_of_the_stored_form(algorithms in [any_algorithm(), any_algorithm()], contents: [u8; 2]) {
            let [one, other] = [0, 1].map(|index| Digest::of(algorithms[index], &contents[index..=index]));
            prop_assert_eq!(one.cmp(&other), one.as_bytes().cmp(other.as_bytes()));
        }

        #[test]
        fn what_is_accepted_is_canonical(text in "(sha256|sha512|sha1)?:?([0-9a-fA-F]{64}){0,2}[0-9a-f]?") {
            if let Ok(digest) = Digest::parse(&text) {
                prop_assert_eq!(digest.to_string(), text);
            }
        }

        #[test]
        fn parsing_never_panics(text: String) {
            let _ = Digest::parse(&text);
            let _ = Digest::parse(&format!("sha256:{text}"));
            let _ = Digest::from_bytes(text.as_bytes());
        }
    }
}
