//! References: with a colon a digest, without one a tag, and never both.

use cargohold_oci::Reference;

use crate::{digest::is_digest, input, refusal, tag::is_tag};

/// The input is a reference.
pub fn check(input: &[u8]) {
    let Some(text) = input::text(input) else { return };
    let parsed = Reference::parse(text);
    assert_eq!(matches!(parsed, Ok(Reference::Digest(_))), is_digest(text), "{text:?}");
    assert_eq!(matches!(parsed, Ok(Reference::Tag(_))), is_tag(text), "{text:?}");
    match parsed {
        Ok(reference) => {
            assert_eq!(reference.to_string(), text);
            assert_eq!(reference.to_string().parse(), Ok(reference));
        }
        Err(error) => refusal::check(&error),
    }
}
