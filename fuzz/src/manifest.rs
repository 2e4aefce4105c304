//! Manifests: what is accepted is bounded by its bytes, is one kind of manifest only, is accepted again the same, and refers to what
//! another JSON reader sees in it (one that, like Go's, takes the last of equal keys).

mod second_reader;

use cargohold_oci::{Descriptor, Manifest, ManifestType, Role};
use http::HeaderValue;
use serde_json::Value;

use crate::{digest::is_digest, input, refusal};

/// The shortest descriptor that there can be, around its digest.
const SHORTEST_DESCRIPTOR: usize = r#"{"mediaType":"","digest":"","size":0}"#.len() + "sha256:".len() + 64;
const MOST_MEDIA_TYPE_BYTES: usize = 1024;
/// The formats have no greater number.
const MOST_SIZE: u64 = i64::MAX as u64;

/// The first line is the Content-Type, empty for none, the rest the body.
pub fn check(input: &[u8]) {
    let (content_type, Some(body)) = input::first_line(input) else { return };
    let Some(content_type) = input::text(content_type) else { return };
    let content_type = Some(content_type).filter(|text| !text.is_empty());
    match Manifest::parse(body, content_type) {
        Ok(manifest) => {
            check_bounds(&manifest, body);
            check_type(&manifest, body);
            check_again(&manifest, body, content_type);
        }
        Err(error) => refusal::check(&error),
    }
}

/// What is stored and counted with.
fn check_bounds(manifest: &Manifest, body: &[u8]) {
    let count = manifest.references().count() + usize::from(manifest.subject().is_some());
    assert!(count * SHORTEST_DESCRIPTOR <= body.len(), "{count} descriptors in {} bytes", body.len());
    manifest.references().map(|reference| reference.descriptor).chain(manifest.subject()).for_each(check_descriptor);
    let sizes = manifest.references().map(|reference| u128::from(reference.descriptor.size));
    let total = body.len() as u128 + sizes.sum::<u128>();
    assert_eq!(u128::from(manifest.total_size()), total.min(MOST_SIZE.into()));
    assert!(manifest.artifact_type().is_none_or(|kind| !kind.is_empty() && is_bounded(kind)));
}

fn check_descriptor(descriptor: &Descriptor) {
    assert!(is_bounded(&descriptor.media_type));
    assert!(descriptor.artifact_type.as_ref().is_none_or(|kind| !kind.is_empty() && is_bounded(kind)));
    assert!(descriptor.size <= MOST_SIZE);
    assert!(is_digest(&descriptor.digest.to_string()));
}

fn is_bounded(media_type: &str) -> bool {
    media_type.len() <= MOST_MEDIA_TYPE_BYTES && !media_type.contains(char::is_control)
}

/// One kind only, and what is served as its Content-Type says which.
fn check_type(manifest: &Manifest, body: &[u8]) {
    let kind = manifest.manifest_type();
    assert!(manifest.media_type().eq_ignore_ascii_case(kind.as_str()), "{}", manifest.media_type());
    assert!(HeaderValue::from_str(manifest.media_type()).is_ok());
    for claimed in ManifestType::ALL {
        let accepted = Manifest::parse(body, Some(claimed.as_str())).is_ok();
        assert_eq!(accepted, claimed == kind, "taken for {claimed}, and is {kind}");
    }
    assert_eq!(manifest.config().is_some(), !kind.is_index());
    let mut roles = manifest.references().map(|reference| reference.role);
    if kind.is_index() {
        assert!(roles.all(|role| role == Role::Child));
    } else {
        assert_eq!(roles.next(), Some(Role::Config));
        assert!(roles.all(|role| role == Role::Layer));
    }
}

/// Whoever reads it later, as another reader or with the type that it was stored with, reads the same.
fn check_again(manifest: &Manifest, body: &[u8], content_type: Option<&str>) {
    assert_eq!(
        Manifest::parse(body, Some(manifest.media_type())).as_ref(),
        Ok(manifest),
        "with the type it is served with"
    );
    // Numbers and escapes in what nobody looks at are not looked at by us, but by this reader.
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return };
    second_reader::check(manifest, &value);
    let written = Manifest::parse(value.to_string().as_bytes(), content_type).expect("it says the same as before");
    assert!(written.references().eq(manifest.references()));
    assert_eq!(written.media_type(), manifest.media_type());
    assert_eq!(written.artifact_type(), manifest.artifact_type());
    assert_eq!(written.subject(), manifest.subject());
    assert_eq!(written.annotations(), manifest.annotations());
}
