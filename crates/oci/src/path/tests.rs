use proptest::prelude::*;

use super::*;
use crate::Tag;

const ID: &str = "018f3c1e-7b9a-7cc0-8a51-2f6d1c0e9b47";
const SHA256: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

fn named(text: &str) -> RepositoryName {
    RepositoryName::parse(text).unwrap()
}

fn sha256() -> Digest {
    Digest::parse(SHA256).unwrap()
}

fn tagged(name: &str, tag: &str) -> Path {
    Path::Manifest { name: named(name), reference: Tag::parse(tag).unwrap().into() }
}

#[track_caller]
fn check(raw_path: &str, expected: &Path) {
    assert_eq!(Path::parse(raw_path).as_ref(), Ok(expected), "{raw_path}");
}

#[track_caller]
fn not_found(raw_path: &str) {
    assert_eq!(Path::parse(raw_path), Err(PathError::NotFound), "{raw_path}");
}

#[test]
fn every_path_of_the_api() {
    check("/v2", &Path::Ping);
    check("/v2/", &Path::Ping);
    check("/v2/_catalog", &Path::Catalog);
    check("/v2/_oci/ext/discover", &Path::Discover { name: None });
    check("/v2/a/b/_oci/ext/discover", &Path::Discover { name: Some(named("a/b")) });
    check("/v2/a/b/tags/list", &Path::Tags { name: named("a/b") });
    check("/v2/a/b/manifests/1.0", &tagged("a/b", "1.0"));
    let by_digest = Path::Manifest { name: named("a/b"), reference: sha256().into() };
    check(&format!("/v2/a/b/manifests/{SHA256}"), &by_digest);
    check(&format!("/v2/a/b/blobs/{SHA256}"), &Path::Blob { name: named("a/b"), digest: sha256() });
    check("/v2/a/b/blobs/uploads/", &Path::Uploads { name: named("a/b") });
    check("/v2/a/b/blobs/uploads", &Path::Uploads { name: named("a/b") });
    let upload = Path::Upload { name: named("a/b"), id: UploadId::parse(ID).unwrap() };
    check(&format!("/v2/a/b/blobs/uploads/{ID}"), &upload);
    check(&format!("/v2/a/b/referrers/{SHA256}"), &Path::Referrers { name: named("a/b"), digest: sha256() });
}

#[test]
fn names_may_hold_the_words_of_the_paths() {
    check(&format!("/v2/a/blobs/b/blobs/{SHA256}"), &Path::Blob { name: named("a/blobs/b"), digest: sha256() });
    check("/v2/tags/list/tags/list", &Path::Tags { name: named("tags/list") });
    check("/v2/tags/list/manifests/list", &tagged("tags/list", "list"));
    check("/v2/a/blobs/uploads/tags/list", &Path::Tags { name: named("a/blobs/uploads") });
    check("/v2/a/manifests/tags/list", &Path::Tags { name: named("a/manifests") });
    check("/v2/v2/v2/manifests/v2", &tagged("v2/v2", "v2"));
    check("/v2/blobs/uploads/blobs/uploads/", &Path::Uploads { name: named("blobs/uploads") });
    check("/v2/blobs/blobs/uploads", &Path::Uploads { name: named("blobs") });
    check("/v2/a/blobs/uploads/manifests/uploads", &tagged("a/blobs/uploads", "uploads"));
    check(
        &format!("/v2/referrers/referrers/{SHA256}"),
        &Path::Referrers { name: named("referrers"), digest: sha256() },
    );
}

#[test]
fn segments_are_decoded_before_they_are_matched() {
    let blob = Path::Blob { name: named("a/b"), digest: sha256() };
    check(&format!("/v2/a/b/blobs/{}", SHA256.replace(':', "%3A")), &blob);
    check(&format!("/v2/a/b/blobs/{}", SHA256.replace(':', "%3a")), &blob);
    check(&format!("/v2/a%2Fb/%62lobs/{SHA256}"), &blob);
    check("/v2/a/manifests/%6Catest", &tagged("a", "latest"));
    check("/v2/%5Fcatalog", &Path::Catalog);
    // Once, not twice.
    assert!(matches!(Path::parse("/v2/a/manifests/%256Catest"), Err(PathError::Tag { .. })));
    // A slash that comes out of an escape separates nothing.
    assert!(matches!(Path::parse("/v2/a/manifests/b%2Fc"), Err(PathError::Tag { .. })));
    not_found("/v2/a%2Fmanifests%2Flatest");
}

#[test]
fn malformed_escapes_are_errors_of_the_part_they_are_in() {
    for escape in ["%", "%4", "%zz", "%ff", "%c3%28", "%00", "%0a", "%2e%2e"] {
        assert!(matches!(Path::parse(&format!("/v2/a{escape}/tags/list")), Err(PathError::Name { .. })), "{escape}");
        assert!(matches!(Path::parse(&format!("/v2/a/manifests/-{escape}")), Err(PathError::Tag { .. })), "{escape}");
        let blob = format!("/v2/a/blobs/{SHA256}{escape}");
        assert!(matches!(Path::parse(&blob), Err(PathError::Digest { .. })), "{escape}");
        not_found(&format!("/v2/a/tags{escape}/list"));
    }
}

#[test]
fn a_wrong_part_is_named() {
    let error = |raw_path: &str| Path::parse(raw_path).unwrap_err();
    assert!(matches!(error("/v2/Library/nginx/manifests/latest"), PathError::Name { .. }));
    assert!(matches!(error("/v2//tags/list"), PathError::Name { .. }));
    assert!(matches!(error("/v2//a/tags/list"), PathError::Name { .. }));
    assert!(matches!(error("/v2/a/../tags/list"), PathError::Name { .. }));
    assert!(matches!(error("/v2/a/manifests/sha256:baddigeststring"), PathError::Digest { .. }));
    assert!(matches!(error("/v2/a/blobs/sha256:baddigeststring"), PathError::Digest { .. }));
    assert!(matches!(error("/v2/a/referrers/latest"), PathError::Digest { .. }));
    assert!(matches!(error("/v2/a/manifests/.hidden"), PathError::Tag { .. }));
    assert!(matches!(error("/v2/a/manifests/"), PathError::Tag { .. }));
    assert!(matches!(error("/v2/a/blobs/uploads/1"), PathError::Upload { .. }));
    assert!(matches!(error("/v2/a/blobs/uploads/uploads"), PathError::Upload { .. }));
}

#[test]
fn everything_else_is_not_found() {
    for raw_path in [
        "",
        "/",
        "/v1/_ping",
        "/v2x",
        "/v22/a/tags/list",
        "v2/",
        "/v2//",
        "/v2/a",
        "/v2/a/b",
        "/v2/_catalog/",
        "/v2/tags/list",
        "/v2/manifests/latest",
        "/v2/blobs/uploads/",
        "/v2/blobs/uploads",
        "/v2/a/tags/list/",
        "/v2/a/tags/lists",
        "/v2/a/uploads/b",
        "/v2/a/b/uploads/c",
        "/v2/a/blobs/uploads//",
        "/v2/a/manifests/b/c",
        "/v2/a/_trust/tuf/root.json",
        "/v2/_zot/ext/search",
        "/v2/a/ext/discover",
        "/v2/a/b/ext/discover",
    ] {
        not_found(raw_path);
    }
}

#[test]
fn the_text_of_a_message_is_bounded() {
    let message = Path::parse(&format!("/v2/a/manifests/{}", "x".repeat(100_000))).unwrap_err().to_string();
    assert!(message.len() < 400, "{message}");
}

/// Names whose components are the words of the paths.
fn name_of_words() -> impl Strategy<Value = RepositoryName> {
    let word = prop_oneof![
        Just("v2"),
        Just("blobs"),
        Just("uploads"),
        Just("manifests"),
        Just("tags"),
        Just("list"),
        Just("referrers"),
        Just("ext"),
        Just("discover"),
        Just("a"),
    ];
    prop::collection::vec(word, 1..6).prop_map(|words| named(&words.join("/")))
}

fn any_path() -> impl Strategy<Value = Path> {
    let digest = any::<Vec<u8>>().prop_map(|content| Digest::of(crate::Algorithm::Sha512, &content));
    let tag = prop_oneof![Just("list"), Just("uploads"), Just("discover"), Just("blobs"), Just("v2")];
    let id = any::<u128>().prop_map(|id| UploadId::from_uuid(uuid::Uuid::from_u128(id)));
    (0..10, name_of_words(), digest, tag, id).prop_map(|(kind, name, digest, tag, id)| match kind {
        0 => Path::Ping,
        1 => Path::Catalog,
        2 => Path::Discover { name: None },
        3 => Path::Discover { name: Some(name) },
        4 => Path::Tags { name },
        5 => Path::Manifest { name, reference: Tag::parse(tag).unwrap().into() },
        6 => Path::Manifest { name, reference: digest.into() },
        7 => Path::Blob { name, digest },
        8 => Path::Uploads { name },
        9 => Path::Upload { name, id },
        _ => Path::Referrers { name, digest },
    })
}

/// Every byte of every segment escaped, the slashes between them as they are.
fn escaped(path: &Path) -> String {
    let text = path.to_string();
    let segments = text.strip_prefix("/v2/").unwrap().split('/');
    let escape = |segment: &str| segment.bytes().fold(String::new(), |text, byte| text + &format!("%{byte:02X}"));
    format!("/v2/{}", segments.map(escape).collect::<Vec<_>>().join("/"))
}

proptest! {
    #[test]
    fn what_is_built_is_parsed_back(path in any_path()) {
        prop_assert_eq!(Path::parse(&path.to_string()), Ok(path));
    }

    #[test]
    fn escapes_change_nothing(path in any_path()) {
        prop_assert_eq!(Path::parse(&escaped(&path)), Ok(path));
    }

    #[test]
    fn parsing_never_panics(text in any::<String>()) {
        let _ = Path::parse(&text);
        let _ = Path::parse(&format!("/v2/{text}"));
    }

    #[test]
    fn what_is_accepted_stands_for_one_path(
        text in "/v2(/(a|B|blobs|uploads|manifests|tags|list|referrers|%2[f5]|_oci|ext|discover||x:y)){0,7}"
    ) {
        if let Ok(path) = Path::parse(&text) {
            prop_assert_eq!(Path::parse(&path.to_string()), Ok(path));
        }
    }
}
