//! Repository names: exactly those of the specification's grammar, with at most 255 bytes.

use std::sync::LazyLock;

use cargohold_oci::{RepositoryName, RepositoryNameError};
use regex_lite::Regex;

use crate::{input, refusal};

/// OCI distribution specification, "Pulling manifests".
static GRAMMAR: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$").expect("it is correct")
});

/// Whether a text is a repository name, by another reader than ours.
pub(crate) fn is_name(text: &str) -> bool {
    text.len() <= 255 && GRAMMAR.is_match(text)
}

/// The input is a name.
pub fn check(input: &[u8]) {
    let Some(text) = input::text(input) else { return };
    let parsed = RepositoryName::parse(text);
    assert_eq!(parsed.is_ok(), is_name(text), "{text:?}");
    match parsed {
        Ok(name) => {
            assert_eq!(name.as_str(), text);
            assert_eq!(name.to_string().parse(), Ok(name));
        }
        Err(error) => {
            refusal::check(&error);
            let lower_case = text.to_ascii_lowercase();
            let only_case = matches!(error, RepositoryNameError::UpperCase { .. });
            assert_eq!(only_case, is_name(&lower_case), "{text:?}");
        }
    }
}
