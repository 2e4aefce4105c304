//! The `/v2` paths: a second reader, which knows nothing of escapes, finds the same; and what is written is read back.

use std::sync::LazyLock;

use cargohold_oci::{Algorithm, Digest, Path, PathError, Reference, RepositoryName, UploadId};
use percent_encoding::percent_decode_str;
use regex_lite::Regex;

use crate::{digest::is_digest, input, refusal, repository_name::is_name, tag::is_tag};

static UPLOAD_ID: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$").expect("it is correct"));

/// The input is a path as a request carries it; or, if it does not begin with a slash, a name and what a path names beside it,
/// each on a line.
pub fn check(input: &[u8]) {
    let Some(text) = input::text(input) else { return };
    if text.starts_with('/') {
        check_read(text);
    } else {
        check_written(text);
    }
}

fn check_read(text: &str) {
    let parsed = Path::parse(text);
    if !text.contains('%') {
        assert_eq!(Verdict::of(&parsed), verdict(text), "{text:?}");
    }
    match parsed {
        Ok(path) => {
            if !text.contains('%') {
                let written = path.to_string();
                // The two paths that have a second spelling.
                assert!(text == written || format!("{text}/") == written, "{text:?} is written {written:?}");
            }
            check_path(&path);
        }
        Err(error) => refusal::check(&error),
    }
}

/// Every path that can be made of the lines.
fn check_written(text: &str) {
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let Ok(name) = RepositoryName::parse(line()) else { return };
    let (reference, id) = (line(), line());
    let digest = Digest::parse(reference).unwrap_or_else(|_| Digest::of(Algorithm::Sha512, reference.as_bytes()));
    let mut paths = vec![
        Path::Ping,
        Path::Catalog,
        Path::Discover { name: None },
        Path::Discover { name: Some(name.clone()) },
        Path::Tags { name: name.clone() },
        Path::Manifest { name: name.clone(), reference: digest.into() },
        Path::Blob { name: name.clone(), digest },
        Path::Uploads { name: name.clone() },
        Path::Referrers { name: name.clone(), digest },
    ];
    paths.extend(Reference::parse(reference).map(|reference| Path::Manifest { name: name.clone(), reference }));
    paths.extend(UploadId::parse(id).map(|id| Path::Upload { name, id }));
    paths.iter().for_each(check_path);
}

/// What holds for each path: it is read back from what it is written as, however much of that is escaped.
fn check_path(path: &Path) {
    let written = path.to_string();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-:".contains(&byte);
    assert!(written.bytes().all(is_plain), "{written:?} needs escapes");
    assert_eq!(Path::parse(&written).as_ref(), Ok(path));
    let rest = written.strip_prefix("/v2/").expect("every path begins with it");
    let segments: Vec<String> = rest.split('/').map(escaped).collect();
    assert_eq!(Path::parse(&format!("/v2/{}", segments.join("/"))).as_ref(), Ok(path), "with escapes in each segment");
    if let Some(name) = path.name() {
        let rest = rest.strip_prefix(name.as_str()).expect("a path begins with its repository");
        assert_eq!(
            Path::parse(&format!("/v2/{}{rest}", escaped(name.as_str()))).as_ref(),
            Ok(path),
            "with an escaped name"
        );
    }
}

fn escaped(text: &str) -> String {
    let escaped = text.bytes().fold(String::new(), |escaped, byte| escaped + &format!("%{byte:02x}"));
    assert_eq!(percent_decode_str(&escaped).decode_utf8().ok().as_deref(), Some(text));
    escaped
}

/// What a path is, or what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Fine,
    NotFound,
    BadName,
    BadDigest,
    BadTag,
    BadUpload,
}

impl Verdict {
    fn of(parsed: &Result<Path, PathError>) -> Self {
        match parsed {
            Ok(_) => Self::Fine,
            Err(PathError::NotFound) => Self::NotFound,
            Err(PathError::Name(_)) => Self::BadName,
            Err(PathError::Digest(_)) => Self::BadDigest,
            Err(PathError::Tag(_)) => Self::BadTag,
            Err(PathError::Upload(_)) => Self::BadUpload,
        }
    }
}

/// The same grammar as a table of segments, for paths without escapes.
fn verdict(text: &str) -> Verdict {
    let segments: Vec<&str> = text.split('/').collect();
    let ["", "v2", segments @ ..] = segments.as_slice() else { return Verdict::NotFound };
    let (name, part, bad_part): (&[&str], bool, Verdict) = match segments {
        [] | ["" | "_catalog"] | ["_oci", "ext", "discover"] => return Verdict::Fine,
        [name @ .., "tags", "list"]
        | [name @ .., "blobs", "uploads"]
        | [name @ .., "blobs", "uploads", ""]
        | [name @ .., "_oci", "ext", "discover"] => (name, true, Verdict::Fine),
        [name @ .., "manifests", digest] if digest.contains(':') => (name, is_digest(digest), Verdict::BadDigest),
        [name @ .., "manifests", tag] => (name, is_tag(tag), Verdict::BadTag),
        [name @ .., "blobs" | "referrers", digest] => (name, is_digest(digest), Verdict::BadDigest),
        [name @ .., "blobs", "uploads", id] => (name, UPLOAD_ID.is_match(id), Verdict::BadUpload),
        _ => return Verdict::NotFound,
    };
    match name {
        [] => Verdict::NotFound,
        name if !is_name(&name.join("/")) => Verdict::BadName,
        _ if !part => bad_part,
        _ => Verdict::Fine,
    }
}
