//! Tags: exactly those of the specification's grammar; and whose tag one is that a program derived from a digest.

use std::sync::LazyLock;

use cargohold_oci::Tag;
use regex_lite::Regex;

use crate::{input, refusal};

/// OCI distribution specification, "Pulling manifests".
static GRAMMAR: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$").expect("it is correct"));
/// The tags that hold referrers, and those of cosign. Those of a sha512 digest do not fit into a tag.
static DERIVED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^(sha256-[0-9a-f]{64})(\.sig|\.att|\.sbom)?$").expect("it is correct"));

/// Whether a text is a tag, by another reader than ours.
pub(crate) fn is_tag(text: &str) -> bool {
    GRAMMAR.is_match(text)
}

/// The input is a tag.
pub fn check(input: &[u8]) {
    let Some(text) = input::text(input) else { return };
    let parsed = Tag::parse(text);
    assert_eq!(parsed.is_ok(), is_tag(text), "{text:?}");
    match parsed {
        Ok(tag) => {
            assert_eq!(tag.as_str(), text);
            let subject = tag.subject().map(|digest| digest.to_string().replace(':', "-"));
            assert_eq!(
                subject.as_deref(),
                DERIVED.captures(text).and_then(|parts| parts.get(1)).map(|stem| stem.as_str())
            );
            assert_eq!(tag.to_string().parse(), Ok(tag));
        }
        Err(error) => refusal::check(&error),
    }
}
